// Derivatives of gather, scatter and the dynamic slices: reading becomes adding, writing becomes reading.
import type { Node, Value } from '../../graph/graph.ts';
import { UnsupportedError } from '../../errors.ts';
import { dtypes } from '../../types/dtype.ts';
import type { DType } from '../../types/dtype.ts';
import { TensorLiteral } from '../../types/ivalue.ts';
import type { GatherDimensionNumbers, ScatterDimensionNumbers } from '../attributes.ts';
import type { CoreBuilder, Region } from '../builder.ts';
import { encodeElement, highestOf } from '../../types/element-encoding.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator } from '../operator.ts';
import { compareWith, keepWhere, zerosLike } from '../cotangent.ts';
import { combinerOf, range } from './inference.ts';
import { scatterPlan } from './indexing-plan.ts';

export const dynamicSliceVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  const [x, ...start] = node.inputs;
  const none = start.map(() => null);
  return g === null ? [null, ...none] : [b.dynamicUpdateSlice(zerosLike(b, x), g, start), ...none];
};

export const dynamicUpdateSliceVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  const [, update, ...start] = node.inputs;
  const none = start.map(() => null);
  if (g === null) return [null, null, ...none];
  const rest = b.dynamicUpdateSlice(g, zerosLike(b, update), start);
  return [rest, b.dynamicSlice(g, start, specOf(update).sizes), ...none];
};

// ---- positions ----------------------------------------------------------------------------------------------------

/** One number for each entry of an index vector, as a tensor of the shape of the indices. */
function alongVector(b: CoreBuilder, indices: Value, vectorDim: number, entries: readonly number[]): Value {
  const { dtype, sizes } = specOf(indices);
  if (entries.every((entry) => entry === entries[0]))
    return b.full(inRange(entries[0] ?? 0, dtype), dtype, sizes);
  const { bytes } = dtypes[dtype];
  const data = new Uint8Array(entries.length * bytes);
  const view = new DataView(data.buffer);
  entries.forEach((entry, at) => encodeElement(view, at * bytes, dtype, inRange(entry, dtype)));
  return b.broadcastInDim(b.constant(new TensorLiteral(dtype, [entries.length], data)), sizes, [vectorDim]);
}

/** No index of a narrow dtype exceeds its highest value, so neither need a bound. */
function inRange(bound: number, dtype: DType): bigint {
  const highest = highestOf(dtype) as bigint;
  return BigInt(bound) > highest ? highest : BigInt(bound);
}

// ---- gather -------------------------------------------------------------------------------------------------------

/** Adds up in each element what was read from it. A gather clamps its indices, which a scatter would skip. */
export const gatherVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  const [x, indices] = node.inputs;
  if (g === null) return [null, null];
  const map = node.ints('start_index_map');
  const vectorDim = node.int('index_vector_dim');
  const slice = node.ints('slice_sizes');
  const last = map.map((at) => specOf(x).sizes[at] - slice[at]);
  const clamped = b.clamp(b.fullLike(indices, 0), indices, alongVector(b, indices, vectorDim, last));
  const scattered = b.scatter(
    zerosLike(b, x),
    clamped,
    g,
    {
      updateWindowDims: node.ints('offset_dims'),
      insertedWindowDims: node.ints('collapsed_slice_dims'),
      inputBatchingDims: node.ints('operand_batching_dims'),
      scatterIndicesBatchingDims: node.ints('start_indices_batching_dims'),
      scatterDimsToOperandDims: map,
      indexVectorDim: vectorDim,
      indicesAreSorted: node.get('b', 'indices_are_sorted'),
    },
    addUp,
  );
  return [scattered, null];
};

const addUp: Region = (b, old, update) => [b.add(old, update)];
const replace: Region = (_b, _old, update) => [update];

// ---- scatter ------------------------------------------------------------------------------------------------------

/** The dimension numbers of a scatter node, and of the gather that reads where it writes. */
class ScatterSite {
  readonly numbers: ScatterDimensionNumbers;
  private readonly reading: GatherDimensionNumbers;
  readonly indices: Value;
  /** Whether the whole slice of an index vector lies inside, so that the scatter does not skip it. */
  private isInside: Value | undefined;

  constructor(
    private readonly b: CoreBuilder,
    private readonly node: Node,
  ) {
    this.indices = node.inputs[1];
    this.numbers = {
      updateWindowDims: node.ints('update_window_dims'),
      insertedWindowDims: node.ints('inserted_window_dims'),
      inputBatchingDims: node.ints('input_batching_dims'),
      scatterIndicesBatchingDims: node.ints('scatter_indices_batching_dims'),
      scatterDimsToOperandDims: node.ints('scatter_dims_to_operand_dims'),
      indexVectorDim: node.int('index_vector_dim'),
      indicesAreSorted: node.get('b', 'indices_are_sorted'),
      uniqueIndices: node.get('b', 'unique_indices'),
    };
    this.reading = {
      offsetDims: this.numbers.updateWindowDims,
      collapsedSliceDims: this.numbers.insertedWindowDims,
      operandBatchingDims: this.numbers.inputBatchingDims,
      startIndicesBatchingDims: this.numbers.scatterIndicesBatchingDims,
      startIndexMap: this.numbers.scatterDimsToOperandDims,
      indexVectorDim: this.numbers.indexVectorDim,
      sliceSizes: this.windowSizes(),
      indicesAreSorted: this.numbers.indicesAreSorted,
    };
  }

  /** The size of an update's window in each dimension of the operand. */
  private windowSizes(): number[] {
    const plan = scatterPlan(this.node);
    const updates = specOf(this.node.inputs[2]).sizes;
    return specOf(this.node.inputs[0]).sizes.map((_, at) => {
      const window = plan.operandWindowDims.indexOf(at);
      return window < 0 ? 1 : updates[plan.windowDims[window]];
    });
  }

  scatter(x: Value, updates: Value, combine: Region): Value {
    return this.b.scatter(x, this.indices, updates, this.numbers, combine);
  }

  /** What stands in `x` where each update is written; zero for updates that are skipped. */
  read(x: Value): Value {
    return keepWhere(this.b, this.inside(), this.b.gather(x, this.indices, this.reading));
  }

  private inside(): Value {
    if (this.isInside !== undefined) return this.isInside;
    const { b, indices, node } = this;
    const { indexVectorDim, scatterDimsToOperandDims } = this.numbers;
    const last = scatterDimsToOperandDims.map(
      (at) => specOf(node.inputs[0]).sizes[at] - this.reading.sliceSizes[at],
    );
    const fits = b.and(
      compareWith(b, indices, 'GE', 0),
      b.compare(indices, alongVector(b, indices, indexVectorDim, last), 'LE'),
    );
    const isVector = indexVectorDim < specOf(indices).sizes.length;
    const all = isVector ? b.reduceAnd(fits, [indexVectorDim]) : fits;
    return (this.isInside = b.broadcastInDim(all, specOf(node.inputs[2]).sizes, scatterPlan(node).batchDims));
  }
}

export const scatterVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null, null, null];
  const site = new ScatterSite(b, node);
  const updates = node.inputs[2];
  const [region] = node.blocks;
  const isReplace = region.outputs[0] === region.inputs[1];
  if (isReplace) return [site.scatter(g, zerosLike(b, updates), replace), null, site.read(g)];
  switch (combinerOf(region)) {
    case 'add':
      return [g, null, site.read(g)];
    case 'multiply':
      return [site.scatter(g, updates, (b, p, q) => [b.multiply(p, q)]), null, factorVjp(b, node, site, g)];
    case 'maximum':
    case 'minimum':
      return extremumVjp(b, node, site, g);
    default:
      throw new UnsupportedError(
        'the derivative of core::scatter is known for regions that replace, add, multiply or take the maximum or minimum',
        node.source,
      );
  }
};

/** Cotangents of factors: the product of all others, also where one or more factors of an element are zero. */
function factorVjp(b: CoreBuilder, node: Node, site: ScatterSite, g: Value): Value {
  const [x, , updates] = node.inputs;
  const isZero = compareWith(b, updates, 'EQ', 0);
  const nonzero = b.select(isZero, b.fullLike(updates, 1), updates);
  const product = b.multiply(
    g,
    site.scatter(x, nonzero, (b, p, q) => [b.multiply(p, q)]),
  );
  const zeros = site.scatter(zerosLike(b, x), b.convert(isZero, specOf(x).dtype), addUp);
  const others = site.read(product);
  const count = site.read(zeros);
  const only = keepWhere(b, compareWith(b, count, 'EQ', 1), others);
  const rest = keepWhere(b, compareWith(b, count, 'EQ', 0), b.divide(others, nonzero));
  return b.select(isZero, only, rest);
}

/** PyTorch's scatter_reduce: all updates and operands equal to the result share the cotangent. */
function extremumVjp(b: CoreBuilder, node: Node, site: ScatterSite, g: Value): (Value | null)[] {
  const [x, , updates] = node.inputs;
  const { dtype } = specOf(x);
  const result = node.outputs[0];
  const stayed = b.compare(x, result, 'EQ');
  const won = b.compare(updates, site.read(result), 'EQ');
  const count = site.scatter(b.convert(stayed, dtype), b.convert(won, dtype), addUp);
  const share = b.divide(g, count);
  return [keepWhere(b, stayed, share), null, keepWhere(b, won, site.read(share))];
}

// ---- reordering along one dimension -------------------------------------------------------------------------------

/** Writes `values` at `positions` along a dimension of a tensor of zeros with `size` there; other dimensions agree. */
export function placeAlong(
  b: CoreBuilder,
  values: Value,
  positions: Value,
  dimension: number,
  size: number,
): Value {
  const { dtype, sizes } = specOf(values);
  const others = range(sizes.length).filter((at) => at !== dimension);
  const target = b.full(
    0,
    dtype,
    sizes.map((old, at) => (at === dimension ? size : old)),
  );
  return b.scatter(
    target,
    positions,
    values,
    {
      updateWindowDims: [],
      insertedWindowDims: [dimension],
      inputBatchingDims: others,
      scatterIndicesBatchingDims: others,
      scatterDimsToOperandDims: [dimension],
      indexVectorDim: sizes.length,
      uniqueIndices: true,
    },
    replace,
  );
}
