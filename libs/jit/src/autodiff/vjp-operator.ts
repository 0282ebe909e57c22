// The derivative of one operator, at run time: `weft::vjp` and the arithmetic on lists of cotangents. It runs the operator
// again on the tape and takes the gradients there, so there is one rule for eager tensors and for differentiated graphs.
import type { IValue, Node } from '@weft/ir';
import { InternalError, TupleValue, dtypes } from '@weft/ir';
import { listPosition } from '@weft/ops';
import { Tensor, callOperator, enableGrad, findOperator, grad, invoke } from '@weft/tensor';
import type { ContextCallee } from '../runtime/instruction.ts';

const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
const zeros = (tensor: Tensor): Tensor =>
  callOperator('aten::zeros_like', [tensor as unknown as IValue]) as unknown as Tensor;

function runVjp(node: Node): ContextCallee {
  const overload = node.get('s', 'overload');
  const operator = findOperator(`${node.get('s', 'operator')}${overload === '' ? '' : `.${overload}`}`);
  const wrt = node.ints('wrt');
  const count = operator.schema.arguments.length;
  return (_, values) => {
    const args = values.slice(0, count);
    const cotangents = values.slice(count);
    const leaves: Tensor[] = [];
    const leaf = (value: IValue): IValue => {
      if (Array.isArray(value)) return value.map(leaf);
      if (!isTensor(value) || !isDifferentiable(value)) return value;
      const fresh = value.detach();
      fresh.requiresGrad = true;
      leaves.push(fresh);
      return fresh as unknown as IValue;
    };
    const given = args.map((value, index) => (wrt.includes(index) ? leaf(value) : value));
    const results = enableGrad(() => invoke(operator, given));
    const outputs: Tensor[] = [];
    const seeds: Tensor[] = [];
    const pair = (result: IValue, cotangent: IValue): void => {
      if (cotangent === null) return;
      if (Array.isArray(result)) result.forEach((item, index) => pair(item, (cotangent as IValue[])[index]));
      else if (isTensor(result) && result.requiresGrad) {
        outputs.push(result);
        seeds.push(cotangent as unknown as Tensor);
      }
    };
    const several = operator.schema.returns.length > 1;
    (several ? (results as IValue[]) : [results]).forEach((result, index) => pair(result, cotangents[index]));
    const found = outputs.length === 0 ? [] : grad(outputs, leaves, seeds, { allowUnused: true });
    const gradientOf = (value: IValue): IValue => {
      if (Array.isArray(value)) return value.map(gradientOf);
      const at = leaves.indexOf(value as unknown as Tensor);
      return (found[at] ?? zeros(value as unknown as Tensor)) as unknown as IValue;
    };
    const gradients = wrt.map((index) => gradientOf(given[index]));
    return gradients.length === 1 ? gradients[0] : gradients;
  };
}

const isDifferentiable = (tensor: Tensor): boolean =>
  ['float', 'complex'].includes(dtypes[tensor.dtype].category);

/** Applies `change` to the tensors of nested lists and tuples. */
function mapTensors(value: IValue, change: (tensor: Tensor) => Tensor): IValue {
  if (isTensor(value)) return change(value) as unknown as IValue;
  if (Array.isArray(value)) return value.map((item) => mapTensors(item, change));
  if (value instanceof TupleValue) {
    return new TupleValue(
      value.items.map((item) => mapTensors(item, change)),
      value.type,
    );
  }
  return value;
}

function place(container: IValue, index: IValue, item: IValue): IValue {
  const items = container instanceof TupleValue ? container.items : (container as IValue[]);
  const position = listPosition(items, index as bigint);
  const filled = items.map((each, at) => (at === position ? item : mapTensors(each, zeros)));
  return container instanceof TupleValue ? new TupleValue(filled, container.type) : filled;
}

function add(a: IValue, b: IValue): IValue {
  if (isTensor(a)) return callOperator('aten::add.Tensor', [a as unknown as IValue, b]);
  if (Array.isArray(a)) return a.map((item, index) => add(item, (b as IValue[])[index]));
  if (a instanceof TupleValue && b instanceof TupleValue) {
    return new TupleValue(
      a.items.map((item, index) => add(item, b.items[index])),
      a.type,
    );
  }
  if (a === null || typeof a !== 'object') return a;
  throw new InternalError('cotangents of unequal structure are added');
}

export const vjpOperators: Readonly<Record<string, (node: Node) => ContextCallee>> = {
  'weft::vjp': runVjp,
  'weft::place': () => (_, args) => place(args[0], args[1], args[2]),
  'weft::zeros': () => (_, args) => mapTensors(args[0], zeros),
  'weft::add': () => (_, args) => add(args[0], args[1]),
};
