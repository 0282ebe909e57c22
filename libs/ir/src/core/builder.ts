// The one way to make core nodes. A lowering is written against this builder once: run on a scratch graph it is shape
// inference, in eager mode it makes the small graph that the operator runs as, in the compiler it makes part of the whole.
// Each method is a StableHLO operator; what it means, accepts and infers stands in ops/. Identities (a reshape to the
// same shape, a conversion to the same dtype) return their operand and emit nothing.
import { OperatorError } from '../errors.ts';
import type { AttributeKind } from '../graph/attribute.ts';
import type { Block, Value } from '../graph/graph.ts';
import { Graph } from '../graph/graph.ts';
import type { DType } from '../types/dtype.ts';
import { highestOf, lowestOf, splatLiteral } from '../types/element-encoding.ts';
import type { TensorLiteral } from '../types/ivalue.ts';
import type { TensorSpec } from '../types/types.ts';
import { tensorSpec } from '../types/types.ts';
import type {
  AttributeInput,
  CollectiveReduction,
  ComparisonDirection,
  ConvolutionOptions,
  DotDimensionNumbers,
  GatherDimensionNumbers,
  ScatterDimensionNumbers,
  WindowOptions,
} from './attributes.ts';
import { toAttribute, windowAttributes } from './attributes.ts';
import { inferTypes, specOf } from './infer-types.ts';
import { coreKind, coreOperator } from './operator.ts';

/** Makes the nodes of a region: receives its parameters, returns its results. */
export type Region = (b: CoreBuilder, ...parameters: Value[]) => readonly Value[];

/**
 * A source of random numbers for lowerings. Eager and single-process runs fill the value from PyTorch's mt19937
 * stream (it is an extra input of the graph); split graphs make it with `rng_bit_generator` (Philox).
 */
export interface RandomSource {
  draw(b: CoreBuilder, request: RandomRequest): Value;
}
export interface RandomRequest {
  /**
   * As PyTorch's in-place fills: uniform_(from, to), normal_(mean, std), log_normal_(mean, std), bernoulli_(p),
   * exponential_(lambda), random_(from, to).
   */
  readonly distribution:
    'uniform' | 'normal' | 'log_normal' | 'bernoulli' | 'exponential' | 'randint' | 'randperm';
  readonly dtype: DType;
  readonly sizes: readonly number[];
  readonly parameters: readonly number[];
  /** Drawn row-major, however the result lies: noise beside it (default: what fills the result is drawn as it lies). */
  readonly rowMajor?: boolean;
}

export class CoreBuilder {
  constructor(
    readonly graph: Graph = new Graph(),
    readonly random?: RandomSource,
  ) {}

  /** Adds a parameter to the graph. */
  input(spec: TensorSpec, name?: string): Value {
    return this.graph.addInput(spec, name);
  }

  /**
   * Emits any core operator. Attributes are given in plain JavaScript and checked against the operator's declaration;
   * result types are inferred. Throws OperatorError naming the operator, the operand types and the source line.
   */
  emit(
    name: string,
    operands: readonly Value[],
    attributes: Readonly<Record<string, AttributeInput | undefined>> = {},
    regions: readonly { readonly parameters: readonly TensorSpec[]; readonly body: Region }[] = [],
  ): Value[] {
    const operator = coreOperator(name);
    const node = this.graph.create(coreKind(name), operands, 0);
    try {
      for (const [key, value] of Object.entries(attributes)) {
        if (value === undefined) continue;
        const kind = operator.attributes[key];
        if (kind === undefined)
          throw new OperatorError(`core::${name} has no attribute '${key}'`, node.source);
        node.set(key, toAttribute(kind.replace('?', '') as AttributeKind, value));
      }
      for (const region of regions) this.buildRegion(node.addBlock(), region.parameters, region.body);
      for (const spec of inferTypes(node)) node.addOutput(spec);
    } catch (error) {
      node.destroy();
      throw error;
    }
    this.graph.insertNode(node);
    return [...node.outputs];
  }

  /** Emits an operator with one result. */
  private one(
    name: string,
    operands: readonly Value[],
    attributes?: Readonly<Record<string, AttributeInput | undefined>>,
    regions?: readonly { readonly parameters: readonly TensorSpec[]; readonly body: Region }[],
  ): Value {
    return this.emit(name, operands, attributes, regions)[0];
  }

  private buildRegion(block: Block, parameters: readonly TensorSpec[], body: Region): void {
    const values = parameters.map((spec) => block.addInput(spec));
    this.graph.withInsertPoint(block, () => {
      for (const result of body(this, ...values)) block.addOutput(result);
    });
  }

  // ---- constants and shapes -------------------------------------------------------------------------------------

  /** A tensor constant. */
  constant(literal: TensorLiteral): Value {
    return this.one('constant', [], { value: literal });
  }

  /** A constant whose every element is `value`. For complex dtypes `value` is the real part. */
  full(value: number | bigint | boolean, dtype: DType, sizes: readonly number[] = []): Value {
    return this.constant(splatLiteral(value, dtype, sizes));
  }
  fullLike(x: Value, value: number | bigint | boolean): Value {
    const { dtype, sizes } = specOf(x);
    return this.full(value, dtype, sizes);
  }
  iota(dtype: DType, sizes: readonly number[], dimension: number): Value {
    return this.one('iota', [], { dtype, shape: sizes, iota_dimension: dimension });
  }
  reshape(x: Value, shape: readonly number[]): Value {
    return sameSizes(specOf(x).sizes, shape) ? x : this.one('reshape', [x], { shape });
  }
  /** Dimension i of `x` becomes dimension `dimensions[i]` of the result; sizes of 1 are repeated. */
  broadcastInDim(x: Value, shape: readonly number[], dimensions: readonly number[]): Value {
    const identity =
      sameSizes(specOf(x).sizes, shape) && dimensions.every((dimension, index) => dimension === index);
    return identity ? x : this.one('broadcast_in_dim', [x], { shape, broadcast_dimensions: dimensions });
  }
  /** Broadcasts as PyTorch does: dimensions are aligned at the end. */
  broadcastTo(x: Value, shape: readonly number[]): Value {
    const rank = specOf(x).sizes.length;
    return this.broadcastInDim(
      x,
      shape,
      Array.from({ length: rank }, (_, index) => shape.length - rank + index),
    );
  }
  transpose(x: Value, permutation: readonly number[]): Value {
    return permutation.every((from, to) => from === to) ? x : this.one('transpose', [x], { permutation });
  }
  reverse(x: Value, dimensions: readonly number[]): Value {
    return dimensions.length === 0 ? x : this.one('reverse', [x], { dimensions });
  }
  slice(x: Value, start: readonly number[], limit: readonly number[], strides?: readonly number[]): Value {
    return this.one('slice', [x], {
      start_indices: start,
      limit_indices: limit,
      strides: strides ?? start.map(() => 1),
    });
  }
  /** Start indices are integer scalars, clamped so that the slice fits. */
  dynamicSlice(x: Value, start: readonly Value[], sizes: readonly number[]): Value {
    return this.one('dynamic_slice', [x, ...start], { slice_sizes: sizes });
  }
  dynamicUpdateSlice(x: Value, update: Value, start: readonly Value[]): Value {
    return this.one('dynamic_update_slice', [x, update, ...start]);
  }
  pad(
    x: Value,
    value: Value,
    low: readonly number[],
    high: readonly number[],
    interior?: readonly number[],
  ): Value {
    return this.one('pad', [x, value], {
      edge_padding_low: low,
      edge_padding_high: high,
      interior_padding: interior ?? low.map(() => 0),
    });
  }
  concatenate(values: readonly Value[], dimension: number): Value {
    return values.length === 1 ? values[0] : this.one('concatenate', values, { dimension });
  }
  gather(x: Value, indices: Value, d: GatherDimensionNumbers): Value {
    return this.one('gather', [x, indices], {
      offset_dims: d.offsetDims,
      collapsed_slice_dims: d.collapsedSliceDims,
      operand_batching_dims: d.operandBatchingDims ?? [],
      start_indices_batching_dims: d.startIndicesBatchingDims ?? [],
      start_index_map: d.startIndexMap,
      index_vector_dim: d.indexVectorDim,
      slice_sizes: d.sliceSizes,
      indices_are_sorted: d.indicesAreSorted ?? false,
    });
  }
  /** `combine(b, old, update)` makes the new element; out-of-bounds updates are skipped. */
  scatter(x: Value, indices: Value, updates: Value, d: ScatterDimensionNumbers, combine: Region): Value {
    const scalar = tensorSpec(specOf(x).dtype, []);
    return this.one(
      'scatter',
      [x, indices, updates],
      {
        update_window_dims: d.updateWindowDims,
        inserted_window_dims: d.insertedWindowDims,
        input_batching_dims: d.inputBatchingDims ?? [],
        scatter_indices_batching_dims: d.scatterIndicesBatchingDims ?? [],
        scatter_dims_to_operand_dims: d.scatterDimsToOperandDims,
        index_vector_dim: d.indexVectorDim,
        indices_are_sorted: d.indicesAreSorted ?? false,
        unique_indices: d.uniqueIndices ?? false,
      },
      [{ parameters: [scalar, scalar], body: combine }],
    );
  }

  // ---- elementwise ----------------------------------------------------------------------------------------------
  // Operands have one and the same shape and dtype (nothing broadcasts): broadcastTo and convert come first.

  abs(x: Value): Value {
    return this.one('abs', [x]);
  }
  negate(x: Value): Value {
    return this.one('negate', [x]);
  }
  sign(x: Value): Value {
    return this.one('sign', [x]);
  }
  exponential(x: Value): Value {
    return this.one('exponential', [x]);
  }
  exponentialMinusOne(x: Value): Value {
    return this.one('exponential_minus_one', [x]);
  }
  log(x: Value): Value {
    return this.one('log', [x]);
  }
  logPlusOne(x: Value): Value {
    return this.one('log_plus_one', [x]);
  }
  logistic(x: Value): Value {
    return this.one('logistic', [x]);
  }
  sqrt(x: Value): Value {
    return this.one('sqrt', [x]);
  }
  rsqrt(x: Value): Value {
    return this.one('rsqrt', [x]);
  }
  cbrt(x: Value): Value {
    return this.one('cbrt', [x]);
  }
  sine(x: Value): Value {
    return this.one('sine', [x]);
  }
  cosine(x: Value): Value {
    return this.one('cosine', [x]);
  }
  tan(x: Value): Value {
    return this.one('tan', [x]);
  }
  tanh(x: Value): Value {
    return this.one('tanh', [x]);
  }
  ceil(x: Value): Value {
    return this.one('ceil', [x]);
  }
  floor(x: Value): Value {
    return this.one('floor', [x]);
  }
  roundNearestEven(x: Value): Value {
    return this.one('round_nearest_even', [x]);
  }
  roundNearestAfz(x: Value): Value {
    return this.one('round_nearest_afz', [x]);
  }
  isFinite(x: Value): Value {
    return this.one('is_finite', [x]);
  }
  not(x: Value): Value {
    return this.one('not', [x]);
  }
  popcnt(x: Value): Value {
    return this.one('popcnt', [x]);
  }
  countLeadingZeros(x: Value): Value {
    return this.one('count_leading_zeros', [x]);
  }
  real(x: Value): Value {
    return this.one('real', [x]);
  }
  imag(x: Value): Value {
    return this.one('imag', [x]);
  }
  /** CHLO. */
  erf(x: Value): Value {
    return this.one('erf', [x]);
  }
  erfc(x: Value): Value {
    return this.one('erfc', [x]);
  }
  erfInv(x: Value): Value {
    return this.one('erf_inv', [x]);
  }
  lgamma(x: Value): Value {
    return this.one('lgamma', [x]);
  }
  digamma(x: Value): Value {
    return this.one('digamma', [x]);
  }
  acos(x: Value): Value {
    return this.one('acos', [x]);
  }
  acosh(x: Value): Value {
    return this.one('acosh', [x]);
  }
  asin(x: Value): Value {
    return this.one('asin', [x]);
  }
  asinh(x: Value): Value {
    return this.one('asinh', [x]);
  }
  atan(x: Value): Value {
    return this.one('atan', [x]);
  }
  atanh(x: Value): Value {
    return this.one('atanh', [x]);
  }
  sinh(x: Value): Value {
    return this.one('sinh', [x]);
  }
  cosh(x: Value): Value {
    return this.one('cosh', [x]);
  }

  add(a: Value, b: Value): Value {
    return this.one('add', [a, b]);
  }
  subtract(a: Value, b: Value): Value {
    return this.one('subtract', [a, b]);
  }
  multiply(a: Value, b: Value): Value {
    return this.one('multiply', [a, b]);
  }
  /** Integers truncate towards zero. */
  divide(a: Value, b: Value): Value {
    return this.one('divide', [a, b]);
  }
  /** Sign of the dividend. */
  remainder(a: Value, b: Value): Value {
    return this.one('remainder', [a, b]);
  }
  power(a: Value, b: Value): Value {
    return this.one('power', [a, b]);
  }
  /** NaN when either operand is NaN. */
  maximum(a: Value, b: Value): Value {
    return this.one('maximum', [a, b]);
  }
  minimum(a: Value, b: Value): Value {
    return this.one('minimum', [a, b]);
  }
  atan2(a: Value, b: Value): Value {
    return this.one('atan2', [a, b]);
  }
  and(a: Value, b: Value): Value {
    return this.one('and', [a, b]);
  }
  or(a: Value, b: Value): Value {
    return this.one('or', [a, b]);
  }
  xor(a: Value, b: Value): Value {
    return this.one('xor', [a, b]);
  }
  shiftLeft(a: Value, b: Value): Value {
    return this.one('shift_left', [a, b]);
  }
  shiftRightArithmetic(a: Value, b: Value): Value {
    return this.one('shift_right_arithmetic', [a, b]);
  }
  shiftRightLogical(a: Value, b: Value): Value {
    return this.one('shift_right_logical', [a, b]);
  }
  complex(re: Value, im: Value): Value {
    return this.one('complex', [re, im]);
  }
  compare(a: Value, b: Value, direction: ComparisonDirection): Value {
    return this.one('compare', [a, b], { comparison_direction: direction });
  }
  /** `predicate` is bool, of the same shape or a scalar. */
  select(predicate: Value, onTrue: Value, onFalse: Value): Value {
    return this.one('select', [predicate, onTrue, onFalse]);
  }
  /** `min` and `max` are scalars or of the shape of `x`. */
  clamp(min: Value, x: Value, max: Value): Value {
    return this.one('clamp', [min, x, max]);
  }
  /** As PyTorch's `to`: to bool means `!= 0`, float to integer truncates, complex to real drops the imaginary part. */
  convert(x: Value, dtype: DType): Value {
    return specOf(x).dtype === dtype ? x : this.one('convert', [x], { dtype });
  }
  bitcastConvert(x: Value, dtype: DType): Value {
    return this.one('bitcast_convert', [x], { dtype });
  }
  reducePrecision(x: Value, exponentBits: number, mantissaBits: number): Value {
    return this.one('reduce_precision', [x], { exponent_bits: exponentBits, mantissa_bits: mantissaBits });
  }

  // ---- contractions and windows ---------------------------------------------------------------------------------

  /** Result dimensions: batching, then the free ones of `lhs`, then the free ones of `rhs`. Accumulates in float32 or wider. */
  dotGeneral(lhs: Value, rhs: Value, d: DotDimensionNumbers, resultDType?: DType): Value {
    return this.one('dot_general', [lhs, rhs], {
      lhs_batching_dimensions: d.lhsBatching ?? [],
      rhs_batching_dimensions: d.rhsBatching ?? [],
      lhs_contracting_dimensions: d.lhsContracting,
      rhs_contracting_dimensions: d.rhsContracting,
      result_dtype: resultDType,
    });
  }
  convolution(lhs: Value, rhs: Value, o: ConvolutionOptions): Value {
    const rank = specOf(lhs).sizes.length;
    const ones = o.windowStrides.map(() => 1);
    const order = Array.from({ length: rank }, (_, index) => index);
    return this.one('convolution', [lhs, rhs], {
      window_strides: o.windowStrides,
      padding: o.padding,
      lhs_dilation: o.lhsDilation ?? ones,
      rhs_dilation: o.rhsDilation ?? ones,
      window_reversal: o.windowReversal ?? ones.map(() => false),
      input_dimensions: o.inputDimensions ?? order,
      kernel_dimensions: o.kernelDimensions ?? order,
      output_dimensions: o.outputDimensions ?? order,
      feature_group_count: o.featureGroupCount ?? 1,
      batch_group_count: o.batchGroupCount ?? 1,
    });
  }
  /** `body` receives the accumulators then the elements, all scalars, and returns the new accumulators. */
  reduce(
    inputs: readonly Value[],
    inits: readonly Value[],
    dimensions: readonly number[],
    body: Region,
  ): Value[] {
    const scalars = inits.map((init) => tensorSpec(specOf(init).dtype, []));
    return this.emit('reduce', [...inputs, ...inits], { dimensions }, [
      { parameters: [...scalars, ...scalars], body },
    ]);
  }
  /** Sums over `dimensions`, which disappear. */
  reduceSum(x: Value, dimensions: readonly number[]): Value {
    return dimensions.length === 0 ? x : this.reduceBy(x, dimensions, 0, (b, p, q) => [b.add(p, q)]);
  }
  reduceProd(x: Value, dimensions: readonly number[]): Value {
    return dimensions.length === 0 ? x : this.reduceBy(x, dimensions, 1, (b, p, q) => [b.multiply(p, q)]);
  }
  /** The largest element; NaN if any is; the lowest value of the dtype over nothing. */
  reduceMax(x: Value, dimensions: readonly number[]): Value {
    if (dimensions.length === 0) return x;
    return this.reduceBy(x, dimensions, lowestOf(specOf(x).dtype), (b, p, q) => [b.maximum(p, q)]);
  }
  reduceMin(x: Value, dimensions: readonly number[]): Value {
    if (dimensions.length === 0) return x;
    return this.reduceBy(x, dimensions, highestOf(specOf(x).dtype), (b, p, q) => [b.minimum(p, q)]);
  }
  reduceAnd(x: Value, dimensions: readonly number[]): Value {
    return dimensions.length === 0 ? x : this.reduceBy(x, dimensions, true, (b, p, q) => [b.and(p, q)]);
  }
  reduceOr(x: Value, dimensions: readonly number[]): Value {
    return dimensions.length === 0 ? x : this.reduceBy(x, dimensions, false, (b, p, q) => [b.or(p, q)]);
  }
  private reduceBy(
    x: Value,
    dimensions: readonly number[],
    init: number | bigint | boolean,
    body: Region,
  ): Value {
    return this.reduce([x], [this.full(init, specOf(x).dtype)], dimensions, body)[0];
  }
  reduceWindow(inputs: readonly Value[], inits: readonly Value[], o: WindowOptions, body: Region): Value[] {
    const scalars = inits.map((init) => tensorSpec(specOf(init).dtype, []));
    return this.emit('reduce_window', [...inputs, ...inits], windowAttributes(o), [
      { parameters: [...scalars, ...scalars], body },
    ]);
  }
  /** `select(b, old, candidate)` is true where old stays; `scatter` adds up the sources that fall on one element. */
  selectAndScatter(
    x: Value,
    source: Value,
    init: Value,
    o: WindowOptions,
    select: Region,
    scatter: Region,
  ): Value {
    const scalar = tensorSpec(specOf(x).dtype, []);
    const { window_dimensions, window_strides, padding } = windowAttributes(o);
    return this.one('select_and_scatter', [x, source, init], { window_dimensions, window_strides, padding }, [
      { parameters: [scalar, scalar], body: select },
      { parameters: [scalar, scalar], body: scatter },
    ]);
  }

  // ---- algorithms -----------------------------------------------------------------------------------------------

  /** Sorts all inputs together by `comparator(b, a0, b0, a1, b1, …)`. */
  sort(inputs: readonly Value[], dimension: number, isStable: boolean, comparator: Region): Value[] {
    const parameters = inputs.flatMap((input) => {
      const scalar = tensorSpec(specOf(input).dtype, []);
      return [scalar, scalar];
    });
    return this.emit('sort', inputs, { dimension, is_stable: isStable }, [{ parameters, body: comparator }]);
  }
  /** CHLO: the k largest of the last dimension, sorted, and their indices (int32). */
  topK(x: Value, k: number): [values: Value, indices: Value] {
    const [values, indices] = this.emit('top_k', [x], { k });
    return [values, indices];
  }
  fft(x: Value, type: 'FFT' | 'IFFT' | 'RFFT' | 'IRFFT', length: readonly number[]): Value {
    return this.one('fft', [x], { fft_type: type, fft_length: length });
  }
  cholesky(x: Value, lower: boolean): Value {
    return this.one('cholesky', [x], { lower });
  }
  triangularSolve(
    a: Value,
    b: Value,
    o: {
      leftSide: boolean;
      lower: boolean;
      unitDiagonal: boolean;
      transpose: 'NO_TRANSPOSE' | 'TRANSPOSE' | 'ADJOINT';
    },
  ): Value {
    return this.one('triangular_solve', [a, b], {
      left_side: o.leftSide,
      lower: o.lower,
      unit_diagonal: o.unitDiagonal,
      transpose_a: o.transpose,
    });
  }
  /** Philox 4×32-10; `state` is uint64[2] (key, counter). Bits have the unsigned dtype asked for. */
  rngBitGenerator(state: Value, dtype: DType, sizes: readonly number[]): [state: Value, bits: Value] {
    const [next, bits] = this.emit('rng_bit_generator', [state], {
      rng_algorithm: 'PHILOX',
      dtype,
      shape: sizes,
    });
    return [next, bits];
  }

  // ---- control flow; regions may use values from outside -----------------------------------------------------------

  if(
    predicate: Value,
    onTrue: (b: CoreBuilder) => readonly Value[],
    onFalse: (b: CoreBuilder) => readonly Value[],
  ): Value[] {
    return this.emit('if', [predicate], {}, [
      { parameters: [], body: onTrue },
      { parameters: [], body: onFalse },
    ]);
  }
  case(index: Value, branches: readonly ((b: CoreBuilder) => readonly Value[])[]): Value[] {
    return this.emit(
      'case',
      [index],
      {},
      branches.map((body) => ({ parameters: [], body })),
    );
  }
  while(operands: readonly Value[], condition: Region, body: Region): Value[] {
    const parameters = operands.map(specOf);
    return this.emit('while', operands, {}, [
      { parameters, body: condition },
      { parameters, body },
    ]);
  }
  optimizationBarrier(values: readonly Value[]): Value[] {
    return this.emit('optimization_barrier', values);
  }

  /**
   * A named operation with a body of core operators: devices may claim the name, all others run the body. `name`'s
   * derivative is its own if one is registered (composite.ts), else that of the body. The body uses nothing from outside.
   */
  composite(
    name: string,
    operands: readonly Value[],
    attributes: Readonly<Record<string, number | boolean | string | readonly number[]>>,
    body: Region,
  ): Value[] {
    return this.emit('composite', operands, { name, composite_attributes: JSON.stringify(attributes) }, [
      { parameters: operands.map(specOf), body },
    ]);
  }

  // ---- collectives and transfers: over groups of logical device ids ------------------------------------------------

  allReduce(x: Value, groups: readonly (readonly number[])[], reduction: CollectiveReduction = 'sum'): Value {
    return this.one('all_reduce', [x], { replica_groups: groups, reduction });
  }
  allGather(x: Value, dimension: number, groups: readonly (readonly number[])[]): Value {
    return this.one('all_gather', [x], { all_gather_dim: dimension, replica_groups: groups });
  }
  reduceScatter(
    x: Value,
    dimension: number,
    groups: readonly (readonly number[])[],
    reduction: CollectiveReduction = 'sum',
  ): Value {
    return this.one('reduce_scatter', [x], {
      scatter_dimension: dimension,
      replica_groups: groups,
      reduction,
    });
  }
  allToAll(
    x: Value,
    splitDimension: number,
    concatDimension: number,
    groups: readonly (readonly number[])[],
  ): Value {
    return this.one('all_to_all', [x], {
      split_dimension: splitDimension,
      concat_dimension: concatDimension,
      split_count: groups[0].length,
      replica_groups: groups,
    });
  }
  collectivePermute(x: Value, pairs: readonly (readonly number[])[]): Value {
    return this.one('collective_permute', [x], { source_target_pairs: pairs });
  }
  collectiveBroadcast(x: Value, groups: readonly (readonly number[])[]): Value {
    return this.one('collective_broadcast', [x], { replica_groups: groups });
  }
  partitionId(): Value {
    return this.one('partition_id', []);
  }
  replicaId(): Value {
    return this.one('replica_id', []);
  }
  /** Offers `x` to device `peer` under `channel`, from which it is pulled. */
  send(x: Value, peer: number, channel: string): void {
    this.emit('send', [x], { peer, channel });
  }
  recv(spec: TensorSpec, peer: number, channel: string): Value {
    return this.one('recv', [], { peer, channel, dtype: spec.dtype, shape: spec.sizes });
  }
}

const sameSizes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, index) => size === b[index]);
