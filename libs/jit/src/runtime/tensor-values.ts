// Host operators that need the eager tensor library: lists of tensors compared by their elements, the gradient mode, and
// the names under which Python's own operators reach tensors.
import type { DType, IValue } from '@weft/ir';
import { Complex, CoreBuilder, dtypeOfScalarType, dtypes, isTensorLike, tensorSpec } from '@weft/ir';
import type { Scalar } from '@weft/ops';
import { HostError, canCast, copyList, hostFunctions, promoteTypes, resultType } from '@weft/ops';
import type { Tensor } from '@weft/tensor';
import { callOperator, grad, isGradEnabled, manualSeed, setGradEnabled } from '@weft/tensor';

const isTrue = (operator: string, a: IValue, b: IValue): boolean =>
  callOperator('aten::Bool.Tensor', [callOperator(operator, [a, b])]) === true;
const isEqual = (a: IValue, b: IValue): boolean => isTrue('aten::eq.Tensor', a, b);
const listsEqual = (a: IValue[], b: IValue[]): boolean =>
  a.length === b.length && a.every((item, index) => isEqual(item, b[index]));

function sortTensors(list: IValue[], reverse: boolean): IValue[] {
  const order = (a: IValue, b: IValue): number =>
    isTrue('aten::lt.Tensor', a, b) ? -1 : isTrue('aten::lt.Tensor', b, a) ? 1 : 0;
  return list.sort((a, b) => (reverse ? order(b, a) : order(a, b)));
}

/** The dtype, as its number, in which an operator would compute on these operands. */
function resultTypeOf(...operands: IValue[]): bigint {
  const b = new CoreBuilder();
  const given = operands.map((operand) =>
    isTensorLike(operand) ? b.input(tensorSpec(operand.dtype, operand.shape)) : (operand as Scalar),
  );
  return BigInt(dtypes[resultType(given)].scalarType);
}

/** Part of a complex number; a tensor gives its only element. */
const partOf = (part: IValue): number =>
  isTensorLike(part) ? (callOperator('aten::Float.Tensor', [part]) as number) : Number(part);

/** `complex(re, im)` where a part is a tensor. */
const complexOf = (re: IValue, im: IValue): Complex => new Complex(partOf(re), partOf(im));

const copyInto = (self: IValue, source: IValue): IValue => callOperator('aten::copy_', [self, source, false]);

function dtypeNumbered(number: bigint): DType {
  const dtype = dtypeOfScalarType(Number(number));
  if (dtype === undefined) throw new HostError(`there is no dtype with the number ${number}`);
  return dtype;
}

const parts = ['Tensor', 'int', 'float', 'bool'];
for (const other of parts) {
  for (const name of new Set([`Tensor_${other}`, `${other}_Tensor`])) {
    hostFunctions({ [`aten::Complex.${name}`]: complexOf });
  }
}

hostFunctions({
  'aten::copy_.Tensor': copyInto,
  'aten::copy_.int': copyInto,
  'aten::copy_.float': copyInto,
  'aten::result_type.Tensor': resultTypeOf,
  'aten::result_type.Scalar': resultTypeOf,
  'aten::result_type.Scalar_Tensor': resultTypeOf,
  'aten::result_type.Scalar_Scalar': resultTypeOf,
  'aten::promote_types': (a: bigint, b: bigint) =>
    BigInt(dtypes[promoteTypes(dtypeNumbered(a), dtypeNumbered(b))].scalarType),
  'aten::can_cast': (from: bigint, to: bigint) => canCast(dtypeNumbered(from), dtypeNumbered(to)),
  'aten::grad': (
    outputs: Tensor[],
    inputs: Tensor[],
    gradOutputs: (Tensor | null)[] | null,
    retainGraph: boolean | null,
    createGraph: boolean,
    allowUnused: boolean,
  ) => grad(outputs, inputs, gradOutputs, { retainGraph, createGraph, allowUnused }) as IValue[],
  'aten::manual_seed': (seed: bigint) => {
    manualSeed(seed);
    return null;
  },
  'aten::get_device': () => -1n,
  'aten::eq.Tensor_list': listsEqual,
  'aten::ne.Tensor_list': (a: IValue[], b: IValue[]) => !listsEqual(a, b),
  'aten::count.Tensor': (list: IValue[], item: IValue) =>
    BigInt(list.filter((other) => isEqual(other, item)).length),
  'aten::index.list_Tensor': (list: IValue[], item: IValue) => {
    const position = list.findIndex((other) => isEqual(other, item));
    if (position < 0) throw new HostError('the tensor is not in list');
    return BigInt(position);
  },
  'aten::remove.Tensor': (list: IValue[], item: IValue) => {
    const position = list.findIndex((other) => isEqual(other, item));
    if (position < 0) throw new HostError('list.remove(x): x not in list');
    list.splice(position, 1);
    return null;
  },
  'aten::sort.Tensor': (list: IValue[], reverse: boolean) => {
    sortTensors(list, reverse);
    return null;
  },
  'aten::sorted.Tensor': (list: IValue[]) => sortTensors(copyList(list), false),
  'aten::is_grad_enabled': () => isGradEnabled(),
  'aten::set_grad_enabled': (on: boolean) => {
    setGradEnabled(on);
    return null;
  },
  'prim::abs': (x: IValue) => callOperator('aten::abs', [x]),
  'prim::NumToTensor.Scalar': (x: IValue) =>
    callOperator('aten::scalar_tensor', [x, typeof x === 'bigint' ? 4n : 7n]),
  'prim::NumToTensor.bool': (x: IValue) => callOperator('aten::scalar_tensor', [x, 11n]),
});
