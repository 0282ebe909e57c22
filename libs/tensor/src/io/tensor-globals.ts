// The names that every pickle of PyTorch may use: those that make tensors, and plain values of Python and PyTorch. Each reader
// adds its own to them.
import { Complex, DeviceValue, UnsupportedError } from '@weft/ir';
import { Parameter } from '../nn/parameter.ts';
import { Tensor } from '../tensor.ts';
import { ArchiveError } from './archive-error.ts';
import type { Pickled } from './pickle-reader.ts';
import { PickledTuple, PickledValue } from './pickle-reader.ts';
import type { PickledGlobal } from './pickle-reader.ts';
import type { StorageReader } from './storages.ts';
import { dtypeOfGlobal, isStorageType } from './storages.ts';

/** Tensors of kinds that weft does not have, by the function that makes them. */
const unsupported: Readonly<Record<string, string>> = {
  'torch._utils._rebuild_sparse_tensor': 'sparse tensors',
  'torch._utils._rebuild_sparse_csr_tensor': 'sparse tensors',
  'torch._utils._rebuild_nested_tensor': 'nested tensors',
  'torch._utils._rebuild_qtensor': 'quantized tensors',
  'torch._utils._rebuild_meta_tensor_no_storage': 'tensors on the meta device, which have no data,',
  'torch._utils._rebuild_device_tensor_from_numpy': 'tensors of devices that store them as NumPy arrays',
  'torch._utils._rebuild_device_tensor_from_cpu_tensor': 'tensors of devices that PyTorch keeps copies of',
  'torch._utils._rebuild_wrapper_subclass': 'subclasses of tensors',
  'torch._tensor._rebuild_from_type_v2': 'subclasses of tensors and tensors with attributes',
  'torch._tensor._rebuild_from_type': 'subclasses of tensors',
};

type Call = (
  given: readonly Pickled[],
  storages: StorageReader,
  refuse: (reason: string) => never,
) => Pickled;

const calls: Readonly<Record<string, Call>> = {
  'torch._utils._rebuild_tensor_v2': (given, storages) =>
    new PickledValue(storages.rebuild(new PickledTuple(given))),
  'torch._utils._rebuild_tensor': (given, storages) =>
    new PickledValue(storages.rebuild(new PickledTuple(given))),
  'torch._utils._rebuild_tensor_v3': (given, storages) =>
    new PickledValue(storages.rebuild(new PickledTuple(given), true)),
  'torch._utils._rebuild_parameter': parameter,
  'torch._utils._rebuild_parameter_with_state': parameter,
  'collections.OrderedDict': orderedDict,
  // What MultiStepLR saves its milestones in; it is read as a dict.
  'collections.Counter': orderedDict,
  'builtins.complex': complex,
  '__builtin__.complex': complex,
  'torch.device': (given, _, refuse) => {
    const [name, index] = given;
    if (typeof name !== 'string') return refuse('a device has no name');
    const [kind, own] = name.split(':');
    const number = typeof index === 'bigint' ? Number(index) : own === undefined ? null : Number(own);
    if (number !== null && !(Number.isSafeInteger(number) && number >= 0)) refuse(`'${name}' is no device`);
    return new PickledValue(new DeviceValue(kind, number));
  },
  'torch.Size': ([sizes], _, refuse) => {
    if (sizes instanceof PickledTuple) return sizes;
    return Array.isArray(sizes) ? new PickledTuple(sizes) : refuse('a size is no tuple');
  },
};

function parameter(given: readonly Pickled[], _: StorageReader, refuse: (reason: string) => never): Pickled {
  const [data, requiresGrad] = given;
  if (!(data instanceof PickledValue && data.value instanceof Tensor))
    refuse('a parameter is made of no tensor');
  const { dtype } = data.value;
  return new PickledValue(new Parameter(data.value, requiresGrad === true && /float|complex/.test(dtype)));
}

function complex([re, im]: readonly Pickled[], _: StorageReader, refuse: (reason: string) => never): Pickled {
  if (typeof re !== 'number' || typeof im !== 'number') refuse('a complex number has no two parts');
  return new PickledValue(new Complex(re, im));
}

/** Made of nothing, of a dict or of pairs. */
function orderedDict(
  [entries]: readonly Pickled[],
  _: StorageReader,
  refuse: (reason: string) => never,
): Pickled {
  if (entries === undefined) return new Map();
  if (entries instanceof Map) return new Map(entries);
  if (!Array.isArray(entries)) refuse('an OrderedDict is made of something that is no dict');
  const pairs = entries.map((pair): [Pickled, Pickled] => {
    const items = pair instanceof PickledTuple ? pair.items : Array.isArray(pair) ? pair : [];
    return items.length === 2
      ? [items[0], items[1]]
      : refuse('an OrderedDict is made of something that is no pairs');
  });
  return new Map(pairs);
}

/** Whether a pickle may name this. Throws UnsupportedError for tensors that weft does not have. */
export function isTensorGlobal(
  global: PickledGlobal,
  where: { readonly file: string; readonly entry: string },
): boolean {
  const name = global.toString();
  if (Object.hasOwn(unsupported, name))
    throw new UnsupportedError(
      `${where.file}, entry '${where.entry}': ${unsupported[name]} cannot be read (${name})`,
    );
  return Object.hasOwn(calls, name) || isStorageType(global) || dtypeOfGlobal(global) !== undefined;
}

/** Calls such a global; undefined when it is none that can be called. */
export function callTensorGlobal(
  global: PickledGlobal,
  given: Pickled,
  storages: StorageReader,
  where: { readonly file: string; readonly entry: string },
): Pickled | undefined {
  const call = Object.hasOwn(calls, global.toString()) ? calls[global.toString()] : undefined;
  const items = given instanceof PickledTuple ? given.items : [given];
  return call?.(items, storages, (reason) => {
    throw new ArchiveError(where.file, where.entry, reason);
  });
}
