// Where an operator of an archive runs: as JavaScript on values, as a view, or as a core graph on a device. An archive holds no shapes
// of what it will be called with, so the graph is that of a sample call: the node's constants, and tensors of the first shapes
// and dtypes that the lowering takes.
import type { DType, Graph, IValue, Node, TensorLiteral, Type, Value } from '@weft/ir';
import { CoreBuilder, Graph as CoreGraph, WeftError, constantValue } from '@weft/ir';
import type { Operator } from '@weft/tensor';
import { findOperator, functionalArguments, isCallable, loweringArguments } from '@weft/tensor';
import type { UsedOperator } from './unsupported.ts';

export type OperatorPlace =
  /** JavaScript, on numbers, lists and texts, or on the data of tensors. */
  | { readonly kind: 'host' }
  /** Nothing is computed: a look at the same memory. */
  | { readonly kind: 'view' }
  /** A core graph on a device: that of a sample call; null where no sample fits. */
  | { readonly kind: 'device'; readonly sample: Graph | null };

/** Where the operator of a node runs; undefined when it does not run at all. */
export function placeOf({ name, first, isSupported }: UsedOperator): OperatorPlace | undefined {
  if (!isSupported) return undefined;
  if (!isCallable(name)) return { kind: 'host' };
  const operator = findOperator(name);
  const { meaning } = operator;
  if (meaning === undefined || meaning.kind === 'host' || meaning.kind === 'kernel') return { kind: 'host' };
  if (meaning.kind === 'view' && operator.written.length === 0) return { kind: 'view' };
  return { kind: 'device', sample: sampleGraph(operator, first) };
}

/** What stands for a tensor among the arguments. */
class Sample {
  constructor(
    readonly dtype: DType,
    readonly sizes: readonly number[],
  ) {}
}

function sampleGraph(operator: Operator, node: Node): Graph | null {
  for (const channels of channelsOf(node)) {
    for (const dtypes of dtypePatterns) {
      for (const shapes of shapePatterns(channels)) {
        // Lists of numbers may be sizes of windows or of the last dimensions.
        for (const list of [[1n, 1n], [BigInt(channels)]]) {
          const sample: Pattern<Sample> = (index) => new Sample(dtypes(index), shapes(index));
          const graph = attempt(operator, node, sample, list);
          if (graph !== null) return graph;
        }
      }
    }
  }
  return null;
}

type Pattern<T> = (index: number) => T;
const dtypePatterns: readonly Pattern<DType>[] = [
  () => 'float32',
  () => 'int64',
  (index) => (index === 0 ? 'float32' : 'int64'),
  () => 'bool',
  (index) => (index === 0 ? 'float32' : 'bool'),
  () => 'complex64',
];

/** Shapes of the tensors of a call: all alike, or of weights and a value for each channel after the first. */
function shapePatterns(c: number): Pattern<readonly number[]>[] {
  const firsts = [[c, c, 8, 8], [c, c], [c, c, 8], [c], [c, c, 8, 8, 8], []];
  return firsts.flatMap((first): Pattern<readonly number[]>[] => {
    const spatial = first.slice(2).map(() => 3);
    const [full, deep] = [
      [c, c, ...spatial],
      [c, 1, ...spatial],
    ];
    return [
      () => first,
      (index) => (index === 0 ? first : index === 1 ? full : [c]),
      (index) => (index === 0 ? first : index === 1 ? deep : [c]),
      (index) => (index === 0 ? first : [c]),
    ];
  });
}

/** Numbers of channels to try: eight, and what the node's constants name (groups, normalised shapes). */
function channelsOf(node: Node): number[] {
  const named = node.inputs
    .flatMap((input) => [knownValue(input)].flat())
    .filter((each) => typeof each === 'bigint');
  return [...new Set([8, ...named.map(Number).filter((each) => each > 1 && each <= 8192)])];
}

function attempt(
  operator: Operator,
  node: Node,
  sample: Pattern<Sample>,
  list: readonly bigint[],
): Graph | null {
  const { schema, kinds, meaning } = operator;
  if (meaning?.kind !== 'lowering' && meaning?.kind !== 'view') return null;
  const graph = new CoreGraph();
  const b: CoreBuilder = new CoreBuilder(graph, {
    draw: (builder, { dtype, sizes }) => builder.input({ kind: 'Tensor', dtype, sizes }),
  });
  let next = 0;
  const given = schema.arguments.map((formal, index): IValue => {
    const input = node.inputs.at(index);
    const known = input === undefined ? (formal.default ?? null) : knownValue(input);
    if (known !== undefined) return known;
    return unknownValue(formal.type, list, () => sample(next++) as unknown as IValue);
  });
  try {
    const own = loweringArguments(schema, kinds, given, (tensor) => {
      const value = tensor as unknown as Sample | TensorLiteral;
      const sizes = value instanceof Sample ? value.sizes : value.shape;
      return b.input({ kind: 'Tensor', dtype: value.dtype, sizes });
    });
    const result = meaning.lower(b, ...functionalArguments(operator, own, () => 'float32'));
    for (const each of [result].flat(2) as (Value | null)[]) if (each !== null) graph.addOutput(each);
    return graph;
  } catch (error) {
    // Most samples do not fit; the lowering says so in one of many ways.
    if (error instanceof WeftError || error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  }
}

/** A constant, or a list of constants; undefined when it is only known at run time. */
function knownValue(value: Value): IValue | undefined {
  const constant = constantValue(value);
  if (constant !== undefined) return constant;
  if (value.node.kind !== 'prim::ListConstruct') return undefined;
  const items = value.node.inputs.map((each) => knownValue(each));
  return items.includes(undefined) ? undefined : (items as IValue[]);
}

function unknownValue(type: Type, list: readonly bigint[], tensor: () => IValue): IValue {
  switch (type.kind) {
    case 'Optional':
      return unknownValue(type.element, list, tensor);
    case 'Tensor':
      return tensor();
    case 'List':
      return type.element.kind === 'int'
        ? [...list]
        : [0, 1].map(() => unknownValue(type.element, list, tensor));
    case 'int':
    case 'number':
      return 1n;
    case 'float':
      return 0.5;
    case 'bool':
      return false;
    default:
      return null;
  }
}
