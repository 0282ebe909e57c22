// Makes of graphs that one program was lowered to, for different sizes, one graph that serves all of them: memory is laid out
// for the bounds, the sizes are inputs, and of each result the first elements mean something, as many as the size says. (XLA calls this
// bounded dynamism.) The graphs are walked side by side: they have to be the same but for sizes, and a rule for each operator
// (rules.ts) says which dimensions of its results are open, where masks have to keep out what means nothing, and what it cannot do.
import type { Attribute, Block, DType, Graph, Node, Value } from '@weft/ir';
import {
  CoreBuilder,
  InternalError,
  UnsupportedError,
  compositeAttributes,
  compositeName,
  highestOf,
  inlineRegion,
  lowestOf,
  specOf,
  typeToString,
} from '@weft/ir';
import { attributeKey } from '../passes/node-key.ts';
import type { Dimension } from './dimension.ts';
import { dimensionOf, isOpen, lengthAt, varied } from './dimension.ts';
import { ruleOf } from './rules.ts';
import type { Samples } from './samples.ts';
import { SizeValues, openOnes } from './size-values.ts';

export interface OpenedGraph {
  /** The first of the graphs, changed. Its last inputs are the sizes: int64 scalars. */
  readonly graph: Graph;
  readonly inputs: readonly (readonly Dimension[])[];
  readonly outputs: readonly (readonly Dimension[])[];
}

/**
 * @param graphs one for each point of the samples; all are used up
 * @throws UnsupportedError where no one graph serves all sizes, naming the operator
 */
export function openGraph(graphs: readonly Graph[], samples: Samples): OpenedGraph {
  return new Opener(graphs, samples).run();
}

/** Says that the node has to be changed, which the body of a composite must not be. */
class BodyChange extends Error {}

/** What a neutral element is neutral to. */
export type Fill = 'zero' | 'one' | 'lowest' | 'highest';

export class Opener {
  readonly sizes: SizeValues;
  private readonly dimensions = new Map<Value, readonly Dimension[]>();
  /** The values of the other graphs that stand for one of the first. */
  private readonly others = new Map<Value, readonly Value[]>();
  /** What a value of another graph is called where a composite was taken apart. */
  private readonly names = new Map<Value, Value>();
  /** Dimensions of which all that means nothing is zero. */
  private readonly zeros = new Map<Value, readonly number[]>();
  /** Slices that are the whole at the bounds, where lowering leaves them out, by what they are of. */
  private readonly wholes = new Map<Value, Value[]>();
  private bodies = 0;

  constructor(
    private readonly graphs: readonly Graph[],
    readonly samples: Samples,
  ) {
    this.sizes = new SizeValues(graphs[0], samples);
  }

  run(): OpenedGraph {
    const [graph, ...others] = this.graphs;
    const nodes = [...graph.nodes()].slice(1);
    const given = others.map(({ inputs }) => inputs);
    const inputs = graph.inputs.slice(0, given[0].length).map((input, index) => {
      const same = given.map((list) => list[index]);
      return this.define(input, same, this.dimensionsAt([input, ...same]));
    });
    this.walk(nodes, others.map(({ block }) => [...block.nodes()])); // prettier-ignore
    graph.outputs.forEach((output, index) => this.check(output, others.map(({ outputs }) => outputs[index]))); // prettier-ignore
    this.sizes.finish();
    return { graph, inputs, outputs: graph.outputs.map((output) => this.of(output)) };
  }

  // ---- for rules ------------------------------------------------------------------------------------------------------

  /** The dimensions of a value. */
  of(value: Value): readonly Dimension[] {
    const found = this.dimensions.get(value);
    if (found === undefined) throw new InternalError(`%${value.name} has no dimensions`);
    return found;
  }

  /**
   * The dimensions of a value that is made of nothing: as its sizes at the points are.
   * @param isUniform whether all its elements are alike
   */
  dimensionsAt(values: readonly Value[], isUniform = false): Dimension[] {
    const sizes = values.map((value) => specOf(value).sizes);
    return sizes[0].map((_, dim) =>
      dimensionOf(
        this.samples,
        sizes.map((each) => each[dim]),
        isUniform,
      ),
    );
  }

  /** Says of a dimension along which all elements are alike in which order they are. */
  arrange(value: Value, dim: number, dimension: Dimension): void {
    this.dimensions.set(value, this.of(value).with(dim, dimension));
  }

  isZeroBeyond(value: Value, dim: number): boolean {
    return this.zeros.get(value)?.includes(dim) === true;
  }
  setZeroBeyond(value: Value, dims: readonly number[]): void {
    this.zeros.set(value, dims);
  }

  /** A builder in front of a node. */
  before<T>(node: Node, make: (b: CoreBuilder) => T): T {
    this.refuseInBody();
    const { graph } = this;
    return graph.withInsertPoint(node, () => {
      graph.currentSource = node.source;
      return make(new CoreBuilder(graph));
    });
  }

  /** Puts a neutral element where an operand means nothing, in the open ones of these dimensions. */
  fill(node: Node, operand: number, dims: readonly number[], neutral: Fill | Value): void {
    const value = node.inputs[operand];
    const dimensions = this.of(value);
    const open = openOnes(dimensions).filter((dim) => dims.includes(dim));
    if (open.length === 0) return;
    const filled = this.before(node, (b) => {
      const { dtype, sizes } = specOf(value);
      const beyond =
        typeof neutral === 'string'
          ? b.full(neutralElement(neutral, dtype), dtype, sizes)
          : b.broadcastTo(neutral, sizes);
      return b.select(this.sizes.mask(dimensions, open), value, beyond);
    });
    this.dimensions.set(filled, dimensions.map((dimension, dim) => (open.includes(dim) ? varied(dimension) : dimension))); // prettier-ignore
    this.others.set(filled, this.partners(value));
    if (neutral === 'zero') this.setZeroBeyond(filled, open);
    node.replaceInput(operand, filled);
  }

  /** Puts another value in the place of the only output. */
  replace(node: Node, value: Value): void {
    this.refuseInBody();
    node.replaceWith([value]);
  }

  // ---- the walk -------------------------------------------------------------------------------------------------------

  private get graph(): Graph {
    return this.graphs[0];
  }

  private refuseInBody(): void {
    if (this.bodies > 0) throw new BodyChange();
  }

  private nameOf(value: Value): Value {
    let name = value;
    for (let next = this.names.get(name); next !== undefined; next = this.names.get(name)) name = next;
    return name;
  }

  private partners(value: Value): readonly Value[] {
    const found = this.others.get(value);
    if (found === undefined) throw new InternalError(`%${value.name} stands for nothing`);
    return found;
  }

  private define(
    value: Value,
    others: readonly Value[],
    dimensions: readonly Dimension[],
  ): readonly Dimension[] {
    this.dimensions.set(value, dimensions);
    this.others.set(value, others.map((other) => this.nameOf(other))); // prettier-ignore
    [value, ...others].forEach((each, at) => {
      const point = this.samples.points[at];
      if (specOf(each).sizes.some((size, dim) => size !== lengthAt(dimensions[dim], point)))
        throw new UnsupportedError(`${describe(value)} has other sizes than its operands say`);
    });
    return dimensions;
  }

  private standsFor(value: Value, others: readonly Value[]): boolean {
    const known = this.partners(value);
    return others.every((other, at) => this.nameOf(other) === known[at]);
  }

  private check(value: Value, others: readonly Value[]): void {
    if (!this.standsFor(value, others)) throw differs();
  }

  private walk(nodes: readonly Node[], others: readonly (readonly Node[])[]): void {
    const places = others.map(() => 0);
    const current = (): (Node | undefined)[] => others.map((each, index) => each[places[index]]);
    const advance = (): void => places.forEach((_, index) => places[index]++);
    for (const node of nodes) {
      let given = current();
      while (this.addWhole(node, given)) {
        advance();
        given = current();
      }
      if (given.includes(undefined)) throw differs(node);
      this.node(node, given as Node[]);
      advance();
    }
    if (others.some((each, index) => places[index] !== each.length)) throw differs();
  }

  /** Makes the slice that only the other graphs have in front of a node; false where there is none. */
  private addWhole(node: Node, others: readonly (Node | undefined)[]): boolean {
    const slices = others.flatMap((other) => (other?.kind === 'core::slice' ? [other] : []));
    if (slices.length !== others.length) return false;
    const of = slices.map(({ inputs }) => inputs[0]);
    if (node.operator === 'slice' && this.standsFor(node.inputs[0], of)) return false;
    const whole = [...this.others.keys()].find((value) => this.standsFor(value, of));
    if (whole === undefined) return false;
    const { sizes } = specOf(whole);
    const value = this.before(node, (b) => b.slice(whole, sizes.map(() => 0), sizes)); // prettier-ignore
    this.node(value.node, slices);
    const known = this.wholes.get(whole);
    if (known === undefined) this.wholes.set(whole, [value]);
    else known.push(value);
    return true;
  }

  private node(node: Node, others: readonly Node[]): void {
    if (others.some(({ kind }) => kind !== node.kind)) throw differs(node);
    if (others.some(({ inputs }) => inputs.length !== node.inputs.length)) throw differs(node);
    node.inputs.forEach((input, index) => {
      const given = others.map(({ inputs }) => inputs[index]);
      if (this.standsFor(input, given)) return;
      const whole = this.wholes.get(input)?.find((value) => this.standsFor(value, given));
      if (whole === undefined) throw differs(node);
      this.refuseInBody();
      node.replaceInput(index, whole);
    });
    if (node.operator === 'composite') return this.composite(node, others);
    const results = this.resultsOf(node, others);
    results.forEach(
      ({ value, dimensions }, index) =>
      this.define(value, others.map(({ outputs }) => outputs[index]), dimensions), // prettier-ignore
    );
  }

  private resultsOf(
    node: Node,
    others: readonly Node[],
  ): { readonly value: Value; readonly dimensions: readonly Dimension[] }[] {
    const rule = ruleOf(node);
    const free = rule.sized ?? [];
    for (const other of others) if (!haveSameAttributes(node, other, free)) throw differs(node);
    others.forEach((other, index) => {
      const map = new Map<Value, Value>();
      if (!node.blocks.every((block, at) => this.areSame(block, other.blocks[at], index, map)))
        throw differs(node);
    });
    return rule.apply(this, node, others);
  }

  /** Whether regions compute the same on the same shapes, with nothing from outside but what stands for the same and is not open. */
  private areSame(block: Block, other: Block, index: number, map: Map<Value, Value>): boolean {
    const stands = (value: Value, otherValue: Value): boolean => {
      if (map.has(value)) return map.get(value) === otherValue;
      return this.partners(value)[index] === this.nameOf(otherValue) && !this.of(value).some(isOpen);
    };
    const pair = (values: readonly Value[], others: readonly Value[]): boolean => {
      values.forEach((value, at) => map.set(value, others[at]));
      return values.every((value, at) => typeToString(value.type) === typeToString(others[at].type));
    };
    const [nodes, given] = [[...block.nodes()], [...other.nodes()]];
    return (
      nodes.length === given.length &&
      pair(block.inputs, other.inputs) &&
      nodes.every((node, at) => {
        const same = given[at];
        return (
          node.kind === same.kind &&
          node.inputs.length === same.inputs.length &&
          node.inputs.every((input, place) => stands(input, same.inputs[place])) &&
          haveSameAttributes(node, same, []) &&
          node.blocks.every((inner, place) => this.areSame(inner, same.blocks[place], index, map)) &&
          pair(node.outputs, same.outputs)
        );
      }) &&
      block.outputs.every((output, place) => stands(output, other.outputs[place]))
    );
  }

  // ---- composites -----------------------------------------------------------------------------------------------------

  /** Stays whole where its body needs no change; else its body stands in its place. */
  private composite(node: Node, others: readonly Node[]): void {
    const results = this.wholeComposite(node, others);
    if (results !== undefined) {
      node.outputs.forEach(
        (output, index) =>
        this.define(output, others.map(({ outputs }) => outputs[index]), results[index]), // prettier-ignore
      );
      return;
    }
    this.refuseInBody();
    const [body] = node.blocks;
    others.forEach((other) => {
      other.blocks[0].inputs.forEach((input, index) =>
        this.names.set(input, this.nameOf(other.inputs[index])),
      );
    });
    const { nodes, outputs } = this.graph.withInsertPoint(node, () =>
      inlineRegion(new CoreBuilder(this.graph), body, node.inputs),
    );
    node.replaceWith(outputs);
    this.walk(nodes, others.map(({ blocks }) => [...blocks[0].nodes()])); // prettier-ignore
    others.forEach((other) => {
      other.outputs.forEach((output, index) => this.names.set(output, other.blocks[0].outputs[index]));
    });
  }

  /** The dimensions of the results of a composite that stays; undefined where it cannot. */
  private wholeComposite(node: Node, others: readonly Node[]): (readonly Dimension[])[] | undefined {
    if (!others.every((other) => haveSameAttributes(node, other, []))) return undefined;
    const [body] = node.blocks;
    const bodies = others.map(({ blocks }) => blocks[0]);
    this.bodies++;
    try {
      body.inputs.forEach(
        (input, index) =>
        this.define(input, bodies.map(({ inputs }) => inputs[index]), this.of(node.inputs[index])), // prettier-ignore
      );
      this.walk([...body.nodes()], bodies.map((each) => [...each.nodes()])); // prettier-ignore
      body.outputs.forEach((output, index) => this.check(output, bodies.map(({ outputs }) => outputs[index]))); // prettier-ignore
      return body.outputs.map((output) => this.of(output));
    } catch (error) {
      if (!(error instanceof BodyChange)) throw error;
    } finally {
      this.bodies--;
    }
    return this.softmax(node);
  }

  /** A softmax along an open dimension is one of what was filled with the least. */
  private softmax(node: Node): (readonly Dimension[])[] | undefined {
    const name = compositeName(node);
    if (name !== 'softmax' && name !== 'log_softmax') return undefined;
    const dimensions = this.of(node.inputs[0]);
    const open = openOnes(dimensions);
    const dim = softmaxDimension(node);
    if (!open.includes(dim)) return undefined;
    this.fill(node, 0, [dim], 'lowest');
    if (name === 'softmax') this.setZeroBeyond(node.outputs[0], [dim]);
    return [this.of(node.inputs[0])];
  }
}

const softmaxDimension = (node: Node): number => Number(compositeAttributes(node).dim);

function neutralElement(fill: Fill, dtype: DType): number | bigint | boolean {
  switch (fill) {
    case 'zero':
      return dtype === 'bool' ? false : 0;
    case 'one':
      return dtype === 'bool' ? true : 1;
    case 'lowest':
      return lowestOf(dtype);
    case 'highest':
      return highestOf(dtype);
    default:
      return fill satisfies never;
  }
}

const describe = ({ node }: Value): string => node.kind;

function differs(node?: Node): UnsupportedError {
  const what = node === undefined ? 'the program' : node.kind;
  return new UnsupportedError(`${what} is another for other sizes`, node?.source);
}

/** @param free names of attributes that may differ */
function haveSameAttributes(a: Node, b: Node, free: readonly string[]): boolean {
  if (a.attributes.size !== b.attributes.size) return false;
  for (const [name, attribute] of a.attributes) {
    if (free.includes(name)) continue;
    const other = b.attributes.get(name);
    if (other === undefined || !haveSameText(attribute, other)) return false;
  }
  return true;
}

function haveSameText(a: Attribute, b: Attribute): boolean {
  const key = attributeKey(a);
  return key !== undefined && key === attributeKey(b);
}
