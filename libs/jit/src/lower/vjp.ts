// `weft::vjp` while a program is lowered: the operator's own lowering, made aside, is differentiated into the graph.
import type { IValue, Node, Value } from '@weft/ir';
import { CoreBuilder, InternalError, TupleValue, specOf, vjpOfGraph } from '@weft/ir';
import { findOperator } from '@weft/tensor';
import { Evaluator } from './evaluator.ts';
import { SymbolicTensor, isSymbolic } from './symbolic.ts';
import { evaluateTensorOperator } from './tensor-operators.ts';

/** Tensors of a value, through lists and tuples, in order. */
function tensorsOf(value: IValue | readonly IValue[]): (SymbolicTensor | null)[] {
  if (value === null) return [null];
  if (isSymbolic(value)) return [value];
  if (Array.isArray(value)) return (value as IValue[]).flatMap(tensorsOf);
  return value instanceof TupleValue ? value.items.flatMap(tensorsOf) : [];
}

function mapTensors(value: IValue, change: (tensor: SymbolicTensor) => IValue): IValue {
  if (isSymbolic(value)) return change(value);
  if (Array.isArray(value)) return value.map((item) => mapTensors(item, change));
  return value;
}

/** The cotangents of the operands in `wrt` from those of the results; null stands for zero. */
export function evaluateVjp(evaluator: Evaluator, values: readonly IValue[], node: Node | undefined): IValue {
  if (node === undefined) throw new InternalError('weft::vjp is evaluated without its node');
  const overload = node.get('s', 'overload');
  const name = `${node.get('s', 'operator')}${overload === '' ? '' : `.${overload}`}`;
  const { schema } = findOperator(name);
  const args = values.slice(0, schema.arguments.length);
  const given = values.slice(schema.arguments.length);

  const aside = new Evaluator(new CoreBuilder(), evaluator.unrollLimit);
  const operands: SymbolicTensor[] = [];
  const inner = args.map((value) =>
    mapTensors(value, (tensor) => {
      operands.push(tensor);
      return SymbolicTensor.of(aside.b.input(tensor.spec), tensor.numberKind);
    }),
  );
  const results = evaluateTensorOperator(aside, name, inner);
  const outputs = tensorsOf(results).map((tensor) => tensor!.read(aside.b));
  for (const output of outputs) aside.b.graph.addOutput(output);
  const several = schema.returns.length > 1 ? (results as readonly IValue[]) : [results as IValue];
  const cotangents = several.flatMap((result, index) =>
    given[index] === null ? tensorsOf(result).map(() => null) : tensorsOf(given[index]),
  );

  const { b } = evaluator;
  const read = (tensor: SymbolicTensor | null): Value | null => (tensor === null ? null : tensor.read(b));
  const operandValues = operands.map((tensor) => tensor.read(b));
  const found = vjpOfGraph(b, aside.b.graph, operandValues, cotangents.map(read));
  const gradients = node.ints('wrt').map((index) =>
    mapTensors(args[index], (tensor) => {
      const value = found.cotangents[operands.indexOf(tensor)];
      const spec = specOf(tensor.read(b));
      return SymbolicTensor.of(value ?? b.full(spec.dtype === 'bool' ? false : 0, spec.dtype, spec.sizes));
    }),
  );
  return gradients.length === 1 ? gradients[0] : gradients;
}
