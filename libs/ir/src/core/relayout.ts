// A core graph for operands and results that lie in another order than row-major: the same computation on memory that is
// read and written as it lies. Orders move through elementwise nodes, so that a pointwise graph whose operands and results
// lie alike computes on the memory itself; where an order meets a node that has its own idea of dimensions, a transpose
// stands.
import type { Node, Value } from '../graph/graph.ts';
import { Graph, cloneNode } from '../graph/graph.ts';
import { InternalError } from '../errors.ts';
import { TensorLiteral } from '../types/ivalue.ts';
import { numel, tensorSpec } from '../types/types.ts';
import { CoreBuilder } from './builder.ts';
import { inferTypes, specOf } from './infer-types.ts';
import { compositeAttributes, compositeName } from './composite.ts';
import { coreOperator } from './operator.ts';
import { capturesOf } from './region.ts';

/** How row-major memory becomes a strided operand: dense sizes, then the place of each dense dimension in the operand. */
export interface OperandLayout {
  readonly sizes: readonly number[];
  readonly dimensions: readonly number[];
  /**
   * Where the operand leaves gaps: the sizes of the memory, and where the operand's part of it begins. One more dimension than
   * `sizes` has, the last one, is one of which a single element is taken.
   */
  readonly part?: { readonly memory: readonly number[]; readonly start: readonly number[] };
}

/** The sizes of the memory that an operand lies in. */
export const memoryOf = ({ sizes, part }: OperandLayout): readonly number[] => part?.memory ?? sizes;

/** Dimension i of the reordered value is dimension `order[i]` of the value itself. */
type Order = readonly number[];

/**
 * @param operands how each input lies; undefined where it is row-major
 * @param results the dimensions of each output from the outermost in memory to the innermost; null where it is row-major
 * @returns a graph whose inputs have the sizes of the memory that the layouts tell and whose outputs have their dimensions in the orders
 */
export function relayout(
  graph: Graph,
  operands: readonly (OperandLayout | undefined)[],
  results: readonly (Order | null | undefined)[],
): Graph {
  const made = new Graph();
  const b = new CoreBuilder(made);
  const reordering = new Reordering(b);
  graph.inputs.forEach((input, index) => {
    const layout = operands[index];
    const { dtype, sizes } = specOf(input);
    const value = b.input(layout === undefined ? specOf(input) : tensorSpec(dtype, memoryOf(layout)));
    reordering.define(input, (order) =>
      layout === undefined ? b.transpose(value, order) : strided(b, value, layout, sizes, order),
    );
  });
  const orders = graph.outputs.map((output, index) => results[index] ?? identity(output));
  graph.outputs.forEach((output, index) => reordering.demand(output, orders[index]));
  const nodes = [...graph.block.nodes()];
  for (const node of [...nodes].reverse()) reordering.require(node);
  for (const node of nodes) reordering.emit(node);
  graph.outputs.forEach((output, index) => made.addOutput(reordering.value(output, orders[index])));
  return made;
}

const identity = (value: Value): Order => specOf(value).sizes.map((_, dim) => dim);
const isIdentity = (order: Order): boolean => order.every((dim, at) => dim === at);

/** Memory as the operand of `sizes` that it stands for, its dimensions in an order. */
function strided(
  b: CoreBuilder,
  x: Value,
  layout: OperandLayout,
  sizes: readonly number[],
  order: Order,
): Value {
  const places = layout.dimensions.map((dim) => order.indexOf(dim));
  const sorted = [...places].sort((a, c) => a - c);
  const transposed = b.transpose(
    partOf(b, x, layout),
    sorted.map((place) => places.indexOf(place)),
  );
  return b.broadcastInDim(
    transposed,
    order.map((dim) => sizes[dim]),
    sorted,
  );
}

function partOf(b: CoreBuilder, x: Value, { sizes, part }: OperandLayout): Value {
  if (part === undefined) return x;
  const { start } = part;
  const limit = start.map((from, at) => from + (sizes[at] ?? 1));
  return b.reshape(b.slice(x, start, limit), sizes);
}

/** How a node is computed in another order of its result's dimensions. */
interface Move {
  readonly operands: readonly Order[];
  emit(b: CoreBuilder, operands: readonly Value[]): Value;
}

class Reordering {
  /** For each value the orders in which it is read. */
  private readonly demands = new Map<Value, Map<string, Order>>();
  private readonly made = new Map<Value, Map<string, Value>>();
  private readonly sources = new Map<Value, (order: Order) => Value>();

  constructor(private readonly b: CoreBuilder) {}

  /** Says how a value from outside the nodes is had in an order. */
  define(value: Value, source: (order: Order) => Value): void {
    this.sources.set(value, source);
  }

  demand(value: Value, order: Order): void {
    let orders = this.demands.get(value);
    if (orders === undefined) this.demands.set(value, (orders = new Map<string, Order>()));
    orders.set(order.join(), order);
  }

  /** Asks for what the node needs, once all that read its outputs have asked. */
  require(node: Node): void {
    let stays = false;
    for (const [output, order] of this.demandsOf(node)) {
      const move = moveOf(output, order);
      if (move === null) stays = true;
      else node.inputs.forEach((input, index) => this.demand(input, move.operands[index]));
    }
    if (!stays && !coreOperator(node.operator).hasEffect) return;
    for (const input of readBy(node)) this.demand(input, identity(input));
  }

  /** Emits the node in the orders asked for. */
  emit(node: Node): void {
    let copied = false;
    const copy = (): void => {
      if (copied) return;
      copied = true;
      const map = new Map(readBy(node).map((input) => [input, this.value(input, identity(input))]));
      const made = this.b.graph.insertNode(cloneNode(this.b.graph, node, map));
      node.outputs.forEach((output, index) => this.keep(output, identity(output), made.outputs[index]));
    };
    if (coreOperator(node.operator).hasEffect) copy();
    for (const [output, order] of this.demandsOf(node)) {
      const move = moveOf(output, order);
      if (move === null) {
        copy();
        if (!isIdentity(order)) {
          this.keep(output, order, this.b.transpose(this.value(output, identity(output)), order));
        }
        continue;
      }
      const operands = node.inputs.map((input, index) => this.value(input, move.operands[index]));
      this.keep(output, order, move.emit(this.b, operands));
    }
  }

  /** The value in an order that was asked for. */
  value(value: Value, order: Order): Value {
    const key = order.join();
    let found = this.made.get(value)?.get(key);
    if (found === undefined) {
      const source = this.sources.get(value);
      if (source === undefined)
        throw new InternalError(`%${value.name} is read in an order that nothing made`);
      this.keep(value, order, (found = source(order)));
    }
    return found;
  }

  private keep(value: Value, order: Order, made: Value): void {
    let orders = this.made.get(value);
    if (orders === undefined) this.made.set(value, (orders = new Map<string, Value>()));
    orders.set(order.join(), made);
  }

  private demandsOf(node: Node): [Value, Order][] {
    return node.outputs.flatMap((output) =>
      [...(this.demands.get(output)?.values() ?? [])].map((order): [Value, Order] => [output, order]),
    );
  }
}

/** Operands of a node, and what its regions read from outside. */
const readBy = (node: Node): Value[] => [...new Set([...node.inputs, ...node.blocks.flatMap(capturesOf)])];

/** How the node of `output` gives it in another order; null when it cannot, and for any node in its own order. */
function moveOf(output: Value, order: Order): Move | null {
  const { node } = output;
  if (node.operator === 'transpose') {
    const permutation = node.ints('permutation');
    return { operands: [order.map((dim) => permutation[dim])], emit: (_, [x]) => x };
  }
  if (isIdentity(order)) return null;
  const { sizes, dtype } = specOf(output);
  const reordered = order.map((dim) => sizes[dim]);
  switch (node.operator) {
    case 'constant': {
      const literal = node.get('t', 'value');
      if (!literal.splat && numel(literal.shape) !== 1) return null;
      return {
        operands: [],
        emit: (b) => b.constant(new TensorLiteral(dtype, reordered, literal.bytes, numel(reordered) !== 1)),
      };
    }
    case 'iota': {
      const along = order.indexOf(node.int('iota_dimension'));
      return { operands: [], emit: (b) => b.iota(dtype, reordered, along) };
    }
    case 'broadcast_in_dim': {
      const places = node.ints('broadcast_dimensions').map((dim) => order.indexOf(dim));
      const sorted = [...places].sort((a, c) => a - c);
      return {
        operands: [sorted.map((place) => places.indexOf(place))],
        emit: (b, [x]) => b.broadcastInDim(x, reordered, sorted),
      };
    }
    case 'composite':
      return moveOfComposite(node, order);
    default:
      return isElementwise(node) ? { operands: ordersOf(node, order), emit: emitAgain(node) } : null;
  }
}

const hasSizes = (value: Value, sizes: readonly number[]): boolean =>
  String(specOf(value).sizes) === String(sizes);

/** Whether element i of the only result depends on element i of each operand (scalars aside). */
function isElementwise(node: Node): boolean {
  if (coreOperator(node.operator).isElementwise !== true || node.outputs.length !== 1) return false;
  const { sizes } = specOf(node.outputs[0]);
  return node.inputs.every((input) => specOf(input).sizes.length === 0 || hasSizes(input, sizes));
}

const ordersOf = (node: Node, order: Order): Order[] =>
  node.inputs.map((input) => (specOf(input).sizes.length === 0 ? [] : order));

const emitAgain =
  (node: Node) =>
  (b: CoreBuilder, operands: readonly Value[]): Value => {
    const made = b.graph.create(node.kind, operands, 0);
    made.copyAttributes(node);
    made.source = node.source;
    for (const spec of inferTypes(made)) made.addOutput(spec);
    return b.graph.insertNode(made).outputs[0];
  };

/** A composite of elementwise nodes, such as an activation, is one in every order. */
function moveOfComposite(node: Node, order: Order): Move | null {
  const [body] = node.blocks;
  if (node.outputs.length !== 1 || capturesOf(body).length > 0) return null;
  const { sizes } = specOf(node.outputs[0]);
  const fits = (value: Value): boolean => specOf(value).sizes.length === 0 || hasSizes(value, sizes);
  const moves = (inner: Node): boolean =>
    inner.outputs.every(fits) &&
    inner.inputs.every(fits) &&
    inner.outputs.length === 1 &&
    moveIn(inner, order);
  if (!node.inputs.every(fits) || ![...body.nodes()].every(moves)) return null;
  return {
    operands: ordersOf(node, order),
    emit: (b, operands) => {
      const [made] = b.composite(
        compositeName(node),
        operands,
        compositeAttributes(node),
        (inner, ...given) => {
          const map = new Map(body.inputs.map((input, index) => [input, given[index]]));
          for (const each of body.nodes()) {
            const own = specOf(each.outputs[0]).sizes.length === 0 ? [] : order;
            const move = moveOf(each.outputs[0], own);
            const inputs = each.inputs.map((input) => map.get(input)!);
            map.set(each.outputs[0], (move?.emit ?? emitAgain(each))(inner, inputs));
          }
          return body.outputs.map((output) => map.get(output)!);
        },
      );
      return made;
    },
  };
}

/** Whether a node of a composite's body can be computed in an order with its operands in the same one. */
function moveIn(node: Node, order: Order): boolean {
  if (node.operator === 'transpose') return false;
  if (specOf(node.outputs[0]).sizes.length === 0) return node.blocks.length === 0;
  const move = moveOf(node.outputs[0], order);
  return move?.operands.every((each) => each.length === 0 || String(each) === String(order)) ?? false;
}
