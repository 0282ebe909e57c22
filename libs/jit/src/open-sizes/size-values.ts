// What a graph computes from its open sizes: numbers, and masks that say which elements mean something. All of it stands in front of the
// rest of the graph, each once.
import type { DType, Node, Value } from '@weft/ir';
import { CoreBuilder, tensorSpec } from '@weft/ir';
import type { Graph } from '@weft/ir';
import type { Dimension } from './dimension.ts';
import { isOpen, lengthOf } from './dimension.ts';
import type { LinearForm, Samples } from './samples.ts';

export class SizeValues {
  private readonly b: CoreBuilder;
  /** Inputs of the graph: the sizes, int64 scalars. */
  private readonly sizes: readonly Value[];
  private readonly made = new Map<string, Value>();
  /** What is made stands before this node, which nobody reads. */
  private readonly end: Node;

  constructor(graph: Graph, samples: Samples) {
    this.b = new CoreBuilder(graph);
    const [first = graph.returnNode] = graph.nodes();
    this.end = graph.withInsertPoint(first, () => this.b.full(false, 'bool').node);
    this.sizes = samples.sizes.map((_, index) => this.b.input(tensorSpec('int64', []), `size${index}`));
  }

  /** A scalar. */
  number(form: LinearForm, dtype: DType = 'int64'): Value {
    return this.once(`${dtype} ${form.constant} ${form.slopes.join()}`, (b) => {
      let sum = b.full(form.constant, 'int64');
      form.slopes.forEach((slope, index) => {
        if (slope === 0) return;
        const size = this.sizes[index];
        sum = b.add(sum, slope === 1 ? size : b.multiply(size, b.full(slope, 'int64')));
      });
      return b.convert(sum, dtype);
    });
  }

  /**
   * For a tensor of these dimensions, which of its elements mean something, asking the `open` ones of them. Bool, of the shape at
   * the bounds.
   */
  mask(dimensions: readonly Dimension[], open: readonly number[]): Value {
    const shape = dimensions.map(lengthOf);
    const key = `${shape.join()} ${open.map((at) => `${at}:${keyOf(dimensions[at])}`).join(' ')}`;
    return this.once(`mask ${key}`, (b) =>
      open
        .map((at) => b.broadcastInDim(this.along(dimensions[at]), shape, [at]))
        .reduce((all, each) => b.and(all, each)),
    );
  }

  /** One-dimensional. */
  private along(dimension: Dimension): Value {
    return this.once(`along ${keyOf(dimension)}`, (b) => {
      const lengths = dimension.map(({ length }) => length);
      const masks = dimension.flatMap(({ form }, index) =>
        form === undefined
          ? []
          : [b.compare(b.iota('int64', lengths, index), b.broadcastTo(this.number(form), lengths), 'LT')],
      );
      return b.reshape(
        masks.reduce((all, each) => b.and(all, each)),
        [lengthOf(dimension)],
      );
    });
  }

  /** Has to be called once nothing more is made. */
  finish(): void {
    this.end.destroy();
  }

  private once(key: string, make: (b: CoreBuilder) => Value): Value {
    let value = this.made.get(key);
    if (value === undefined) {
      value = this.b.graph.withInsertPoint(this.end, () => make(this.b));
      this.made.set(key, value);
    }
    return value;
  }
}

const keyOf = (dimension: Dimension): string =>
  dimension
    .map(({ length, form }) =>
      form === undefined ? length : `${length}<${form.constant},${form.slopes.join()}`,
    )
    .join('*');

/** The dimensions that are open. */
export const openOnes = (dimensions: readonly Dimension[]): number[] =>
  dimensions.flatMap((dimension, at) => (isOpen(dimension) ? [at] : []));
