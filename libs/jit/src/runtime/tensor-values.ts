// Host operators that need the eager tensor library: lists of tensors compared by their elements, the gradient mode, and
// the names under which Python's own operators reach tensors.
import type { IValue } from '@weft/ir';
import { HostError, copyList, hostFunctions } from '@weft/ops';
import { callOperator, isGradEnabled, setGradEnabled } from '@weft/tensor';

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

hostFunctions({
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
