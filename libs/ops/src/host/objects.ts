// Operators on values of any kind and on the small ones: identity, optionals, enums, devices, tuples, shapes, flags.
import type { EnumValue, IValue, TupleValue } from '@weft/ir';
import { DeviceValue } from '@weft/ir';
import { autocastDType } from '../autocast.ts';
import { hostFunctions } from '../operator.ts';
import { fail } from './error.ts';
import { overloads } from './overloads.ts';
import { sameObject, valuesEqual } from './values.ts';

const deviceTypes =
  'cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, ort, xla, lazy, vulkan, mps, meta, hpu, privateuseone';

function parseDevice(text: string): DeviceValue {
  if (text === '') fail('Device string must not be empty');
  const match = /^([A-Za-z_]+)(?::(\d+))?$/.exec(text);
  if (match === null) return fail(`Invalid device string: '${text}'`);
  if (!deviceTypes.split(', ').includes(match[1])) {
    fail(`Expected one of ${deviceTypes} device type at start of device string: ${match[1]}`);
  }
  return new DeviceValue(match[1], match[2] === undefined ? null : Number(match[2]));
}

function tupleIndex(tuple: TupleValue, index: bigint): IValue {
  const position = Number(index) + (index < 0n ? tuple.items.length : 0);
  if (position < 0 || position >= tuple.items.length) fail('Tuple list index out of range');
  return tuple.items[position];
}

const unwrap = (value: IValue): IValue => (value === null ? fail('Unwrapping null optional') : value);

/** PyTorch's broadcast of two shapes, from the last dimension; its message calls the second shape a. */
function inferSize(b: bigint[], a: bigint[]): bigint[] {
  const rank = Math.max(a.length, b.length);
  const sizes = new Array<bigint>(rank);
  for (let dimension = rank - 1; dimension >= 0; dimension--) {
    const sizeA = a[dimension - rank + a.length] ?? 1n;
    const sizeB = b[dimension - rank + b.length] ?? 1n;
    if (sizeA !== sizeB && sizeA !== 1n && sizeB !== 1n) {
      fail(
        `The size of tensor a (${sizeA}) must match the size of tensor b (${sizeB}) at non-singleton dimension ${dimension}`,
      );
    }
    sizes[dimension] = sizeA === 1n ? sizeB : sizeA;
  }
  return sizes;
}

const wrapDim = (dimension: bigint, rank: number): number => Number(dimension) + (dimension < 0n ? rank : 0);

for (const [name, same] of Object.entries({ eq: true, ne: false })) {
  overloads(`aten::${name}`, ['device', 'enum'], (a: IValue, b: IValue) => valuesEqual(a, b) === same);
}

overloads('prim::EnumValue', ['int', 'float', 'str'], (value: EnumValue) => value.value);

hostFunctions({
  'aten::__is__': sameObject,
  'aten::__isnot__': (a: IValue, b: IValue) => !sameObject(a, b),
  'aten::_unwrap_optional': unwrap,
  'prim::unchecked_unwrap_optional': (value: IValue) => value,
  'prim::unchecked_cast': (value: IValue) => value,
  'prim::EnumName': (value: EnumValue) => value.name,
  'prim::TupleIndex': tupleIndex,
  'prim::IfThenElse': (condition: boolean, onTrue: IValue, onFalse: IValue) => (condition ? onTrue : onFalse),
  'prim::Uninitialized': () => null,
  'aten::device': parseDevice,
  'prim::type': (device: DeviceValue) => device.type,
  'prim::index': (device: DeviceValue) => (device.index === null ? null : BigInt(device.index)),
  'aten::_infer_size': inferSize,
  'aten::_size_if_not_equal': (a: bigint[], b: bigint[]) => (valuesEqual(a, b) ? null : a),
  'prim::infer_unsqueeze_size': (sizes: bigint[], dimension: bigint) =>
    sizes.toSpliced(wrapDim(dimension, sizes.length + 1), 0, 1n),
  'prim::infer_squeeze_size': (sizes: bigint[]) => sizes.filter((size) => size !== 1n),
  'prim::infer_squeeze_size.dim': (sizes: bigint[], dimension: bigint) => {
    const at = wrapDim(dimension, sizes.length);
    return sizes[at] === 1n ? sizes.toSpliced(at, 1) : sizes.slice();
  },
  'prim::ReductionSizes': (sizes: bigint[], axes: bigint[], keepdim: boolean) => {
    const reduced = new Set(axes.map((axis) => wrapDim(axis, sizes.length)));
    return sizes.flatMap((size, at) => (!reduced.has(at) ? [size] : keepdim ? [1n] : []));
  },
  'aten::is_scripting': () => true,
  'aten::_get_tracing_state': () => false,
  'aten::has_torch_function': () => false,
  'aten::is_autocast_enabled': () => false,
  'aten::is_autocast_cpu_enabled': () => autocastDType() !== null,
  'aten::is_vulkan_available': () => false,
  'aten::_nnpack_available': () => false,
  'aten::_use_cudnn_rnn_flatten_weight': () => false,
  'prim::TimePoint': () => process.hrtime.bigint(),
});
