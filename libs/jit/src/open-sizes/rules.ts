// What each core operator does with open sizes. Most follow their sharding rule: what may be computed for each slice of a dimension by itself
// may be computed for slices that mean nothing too. Operators that combine along a dimension are given neutral elements there; those
// whose attributes are sizes have rules of their own.
import type { Node, TensorLiteral, Value } from '@weft/ir';
import {
  UnsupportedError,
  combinerOf,
  dotPlan,
  dtypes,
  literalElements,
  numel,
  shardingOf,
  specOf,
} from '@weft/ir';
import type { Dimension } from './dimension.ts';
import {
  agreed,
  dimensionOf,
  equalDimensions,
  isOpen,
  lengthAt,
  lengthOf,
  onlyPart,
  regroup,
  staticDimension,
  varied,
} from './dimension.ts';
import type { Fill, Opener } from './open-graph.ts';
import type { LinearForm, Samples } from './samples.ts';
import { sumOf } from './samples.ts';

/** An output, or what stands in its place. */
export interface OpenResult {
  readonly value: Value;
  readonly dimensions: readonly Dimension[];
}

export interface OpenRule {
  /** Attributes that may be others in the graphs for other sizes; all others are the same. */
  readonly sized?: readonly string[];
  /** Changes the node where it has to, and tells what its outputs are. Throws UnsupportedError. */
  apply(opener: Opener, node: Node, others: readonly Node[]): OpenResult[];
}

/** The rule for a node that is no composite. */
export const ruleOf = ({ operator }: Node): OpenRule =>
  Object.hasOwn(rules, operator) ? rules[operator] : sharded;

const refuse = ({ operator, source }: Node, what: string): never => {
  throw new UnsupportedError(`core::${operator} ${what}`, source);
};

const results = (node: Node, dimensions: readonly (readonly Dimension[])[]): OpenResult[] =>
  node.outputs.map((value, index) => ({ value, dimensions: dimensions[index] }));

/** An integer attribute at the points: a list for each dimension. */
const columns = (nodes: readonly Node[], name: string): number[][] => {
  const lists = nodes.map((node) => node.ints(name));
  return lists[0].map((_, dim) => lists.map((list) => list[dim]));
};

const areEqual = (values: readonly number[]): boolean => values.every((value) => value === values[0]);

// ---- by the sharding rule -----------------------------------------------------------------------------------------------

/**
 * Dimensions that combine are the caller's to fill.
 * @param mayBeWhole says of what the rule wants whole whether it may be open all the same
 */
function followSharding(
  opener: Opener,
  node: Node,
  combines: boolean,
  mayBeWhole?: (operand: number, dim: number) => boolean,
): OpenResult[] {
  const rule = shardingOf(node);
  const byFactor = new Map<number, Dimension>();
  node.inputs.forEach((input, index) => {
    opener.of(input).forEach((dimension, dim) => {
      const factor = rule?.operands[index][dim] ?? null;
      if (factor === null) {
        if (isOpen(dimension) && mayBeWhole?.(index, dim) !== true)
          refuse(node, `cannot leave dimension ${dim} of operand ${index} open`);
        return;
      }
      const known = byFactor.get(factor);
      const both = known === undefined ? dimension : agreed(known, dimension, opener.samples);
      byFactor.set(factor, both ?? refuse(node, 'has operands whose dimensions are open in different ways'));
    });
  });
  const kept = new Set(rule?.results.flat());
  for (const [factor, dimension] of byFactor)
    if (!combines && isOpen(dimension) && !kept.has(factor)) refuse(node, 'combines along an open dimension');
  return node.outputs.map((value, index) => ({
    value,
    dimensions: specOf(value).sizes.map((size, dim) => {
      const factor = rule?.results[index][dim] ?? null;
      return (factor === null ? undefined : byFactor.get(factor)) ?? staticDimension(size);
    }),
  }));
}

const sharded: OpenRule = { apply: (opener, node) => followSharding(opener, node, false) };

/** The slices that it reads are whole where they are open. */
const sliced: OpenRule = { ...sharded, sized: ['slice_sizes'] };

/** Single elements along an open dimension may be picked: positions beyond the size are no right program's. */
const gather: OpenRule = {
  sized: ['slice_sizes'],
  apply(opener, node) {
    const picked = node.ints('collapsed_slice_dims');
    return followSharding(opener, node, false, (operand, dim) => operand === 0 && picked.includes(dim));
  },
};

const neutralElements: Readonly<Record<string, Fill>> = {
  add: 'zero',
  multiply: 'one',
  maximum: 'lowest',
  minimum: 'highest',
};

const reduce: OpenRule = {
  apply(opener, node) {
    const dims = node.ints('dimensions');
    const inputs = node.inputs.slice(0, node.outputs.length);
    if (inputs.some((input) => dims.some((dim) => isOpen(opener.of(input)[dim])))) {
      const combiner = inputs.length === 1 ? combinerOf(node.blocks[0]) : undefined;
      const isBool = specOf(inputs[0]).dtype === 'bool';
      const neutral =
        combiner === 'and' && isBool
          ? 'one'
          : combiner === 'or' && isBool
            ? 'zero'
            : neutralElements[combiner!];
      if (combiner === undefined || neutral === undefined)
        refuse(node, 'combines an open dimension in a way without a neutral element');
      opener.fill(node, 0, dims, neutral);
    }
    const kept = opener.of(node.inputs[0]).filter((_, dim) => !dims.includes(dim));
    return results(node, node.outputs.map(() => kept)); // prettier-ignore
  },
};

const dotGeneral: OpenRule = {
  apply(opener, node) {
    const [lhs, rhs] = node.inputs.map((input) => specOf(input).sizes.length);
    const { lhsContracting, rhsContracting } = dotPlan(node, lhs, rhs);
    // Zero times what means nothing need not be zero: it may be infinite.
    lhsContracting.forEach((dim, index) => {
      const [left, right] = node.inputs;
      const other = rhsContracting[index];
      const both = agreed(opener.of(left)[dim], opener.of(right)[other], opener.samples);
      if (both === undefined) return refuse(node, 'combines dimensions that are open in different ways');
      opener.arrange(left, dim, both);
      opener.arrange(right, other, both);
    });
    [lhsContracting, rhsContracting].forEach((dims, operand) => {
      const value = node.inputs[operand];
      opener.fill(node, operand, dims.filter((dim) => !opener.isZeroBeyond(value, dim)), 'zero'); // prettier-ignore
    });
    return followSharding(opener, node, true);
  },
};

// ---- shapes ---------------------------------------------------------------------------------------------------------------

/** What is the same whatever its sizes: counting from zero. */
const counted: OpenRule = {
  sized: ['shape'],
  apply: (opener, node, others) => results(node, [opener.dimensionsAt(outputsOf(node, others))]),
};

const outputsOf = (node: Node, others: readonly Node[]): Value[] =>
  [node, ...others].map(({ outputs }) => outputs[0]);

const constant: OpenRule = {
  sized: ['value'],
  apply(opener, node, others) {
    const literals = [node, ...others].map((each) => each.get('t', 'value'));
    const isOne = literals.every(({ splat, shape }) => splat || numel(shape) === 1);
    const dimensions = opener.dimensionsAt(outputsOf(node, others), isOne);
    if (literals.every((literal) => isBeginning(literal, literals[0]))) return results(node, [dimensions]);
    const make = isOne ? numberOf(opener.samples, literals) : undefined;
    if (make === undefined) return refuse(node, 'has contents that depend on a size in an unknown way');
    const { dtype, sizes } = specOf(node.output);
    const value = opener.before(node, (b) => {
      const size = opener.sizes.number(make.form, dtype);
      const number = make.numerator === undefined ? size : b.divide(b.full(make.numerator, dtype), size);
      return b.broadcastTo(number, sizes);
    });
    opener.replace(node, value);
    return [{ value, dimensions }];
  },
};

/** Whether the literal is what stands at the beginning of another one, in every dimension. */
function isBeginning(literal: TensorLiteral, whole: TensorLiteral): boolean {
  if (literal === whole) return true;
  const width = dtypes[whole.dtype].bytes;
  const isSame = (at: number, from: number): boolean => {
    for (let byte = 0; byte < width; byte++)
      if (literal.bytes[at * width + byte] !== whole.bytes[from * width + byte]) return false;
    return true;
  };
  if (literal.splat || whole.splat) {
    const isOne = (each: TensorLiteral): boolean => each.splat || numel(each.shape) === 1;
    return isOne(literal) && isOne(whole) && isSame(0, 0);
  }
  const { shape } = literal;
  const index = shape.map(() => 0);
  for (let at = 0; at < numel(shape); at++) {
    const from = index.reduce((sum, each, dim) => sum * whole.shape[dim] + each, 0);
    if (!isSame(at, from)) return false;
    for (let dim = shape.length - 1; dim >= 0 && ++index[dim] === shape[dim]; dim--) index[dim] = 0;
  }
  return true;
}

/** A number that is linear in the sizes, or a number over one that is: 12 of 12, 11, 6 and 1/12 of these. */
function numberOf(
  samples: Samples,
  literals: readonly TensorLiteral[],
): { readonly form: LinearForm; readonly numerator?: number } | undefined {
  const [{ dtype }] = literals;
  const { category } = dtypes[dtype];
  if (category !== 'int' && category !== 'float') return undefined;
  const values = literals.map((literal) =>
    Number(literalElements({ ...literal, shape: [] } as TensorLiteral)[0]),
  );
  const form = samples.linear(values);
  if (form !== undefined && values.every(Number.isSafeInteger)) return { form };
  if (category !== 'float') return undefined;
  // A numerator that is rounded may fit by chance for few sizes; a whole one, small, does not.
  for (const numerator of [1, 2]) {
    const denominators = values.map((value) => Math.round(numerator / value));
    const under = samples.linear(denominators);
    const round = roundingOf(dtype);
    if (
      under !== undefined &&
      round !== undefined &&
      denominators.every((each, at) => each !== 0 && round(numerator / each) === values[at])
    )
      return { form: under, numerator };
  }
  return undefined;
}

const roundingOf = (dtype: string): ((value: number) => number) | undefined =>
  dtype === 'float64' ? (value) => value : dtype === 'float32' ? Math.fround : undefined;

const reshape: OpenRule = {
  sized: ['shape'],
  apply: (opener, node) => results(node, [regroup(opener.of(node.inputs[0]), node.ints('shape'))]),
};

const broadcastInDim: OpenRule = {
  sized: ['shape'],
  apply(opener, node, others) {
    const places = node.ints('broadcast_dimensions');
    const operand = opener.of(node.inputs[0]);
    const lengths = columns([node, ...others], 'shape');
    const dimensions = lengths.map((length, dim) => {
      const from = places.indexOf(dim);
      const isRepeated = from < 0 || lengthOf(operand[from]) === 1;
      return isRepeated ? dimensionOf(opener.samples, length, true) : operand[from];
    });
    return results(node, [dimensions]);
  },
};

const slice: OpenRule = {
  sized: ['start_indices', 'limit_indices'],
  apply(opener, node, others) {
    const nodes = [node, ...others];
    const [starts, limits] = ['start_indices', 'limit_indices'].map((name) => columns(nodes, name));
    const strides = node.ints('strides');
    const operand = opener.of(node.inputs[0]);
    /** Where slices begin at a place that depends on sizes. */
    const moving = new Map<number, LinearForm>();
    const dimensions = operand.map((dimension, dim) => {
      const [start, limit] = [starts[dim], limits[dim]];
      const lengths = limit.map((end, at) => Math.ceil((end - start[at]) / strides[dim]));
      const isWhole =
        strides[dim] === 1 && start.every((at) => at === 0) && limit.every((end, at) => end === lengthAt(dimension, opener.samples.points[at])); // prettier-ignore
      if (isWhole) return dimension;
      const some = strides[dim] === 1 ? outermostOf(opener, dimension, start, limit) : undefined;
      if (some !== undefined) return some;
      if (isOpen(dimension) && onlyPart(dimension) === undefined)
        refuse(node, `takes a part of dimension ${dim}, which is open inside`);
      if (!areEqual(start)) {
        const form = opener.samples.linear(start);
        if (form === undefined || !areEqual(lengths) || strides[dim] !== 1)
          return refuse(node, `takes a part of dimension ${dim} that depends on a size in an unknown way`);
        moving.set(dim, form);
      } else if (strides[dim] !== 1 && !areEqual(limit)) {
        refuse(node, `takes every ${strides[dim]}th element of dimension ${dim}, which is open`);
      }
      return dimensionOf(opener.samples, lengths);
    });
    if (moving.size === 0) return results(node, [dimensions]);
    const value = opener.before(node, (b) => {
      const [x] = node.inputs;
      const { sizes } = specOf(x);
      const rest = b.slice(
        x,
        sizes.map((_, dim) => (moving.has(dim) ? 0 : starts[dim][0])),
        sizes.map((size, dim) => (moving.has(dim) ? size : limits[dim][0])),
        sizes.map((_, dim) => (moving.has(dim) ? 1 : strides[dim])),
      );
      const at = sizes.map((_, dim) => opener.sizes.number(moving.get(dim) ?? opener.samples.constant(0)));
      return b.dynamicSlice(rest, at, specOf(node.output).sizes);
    });
    opener.replace(node, value);
    return [{ value, dimensions }];
  },
};

/** Some of the elements of an outermost part of fixed length, each with all that is inside it: steps of a sequence of batches. */
function outermostOf(
  opener: Opener,
  [outermost, ...rest]: Dimension,
  start: readonly number[],
  limit: readonly number[],
): Dimension | undefined {
  if (!isOpen(rest) || outermost.form !== undefined) return undefined;
  const inside = start.map((_, at) => lengthAt(rest, opener.samples.points[at]));
  const [first, ...others] = start.map((from, at) => from / inside[at]);
  const [end, ...ends] = limit.map((to, at) => to / inside[at]);
  if (!Number.isInteger(first) || !Number.isInteger(end)) return undefined;
  if (others.some((each) => each !== first) || ends.some((each) => each !== end)) return undefined;
  return [...staticDimension(end - first), ...rest];
}

const pad: OpenRule = {
  sized: ['edge_padding_high'],
  apply(opener, node, others) {
    const high = columns([node, ...others], 'edge_padding_high');
    const [low, interior] = ['edge_padding_low', 'interior_padding'].map((name) => node.ints(name));
    const operand = opener.of(node.inputs[0]);
    const padded: number[] = [];
    const dimensions = operand.map((dimension, dim) => {
      const isUntouched = low[dim] === 0 && interior[dim] === 0 && high[dim].every((each) => each === 0);
      if (isUntouched) return dimension;
      if (isOpen(dimension)) {
        if (interior[dim] !== 0 || onlyPart(dimension) === undefined)
          refuse(node, `pads inside dimension ${dim}, which is open`);
        padded.push(dim);
      }
      return dimensionOf(
        opener.samples,
        outputsOf(node, others).map((value) => specOf(value).sizes[dim]),
      );
    });
    opener.fill(node, 0, padded, node.inputs[1]);
    return results(node, [dimensions]);
  },
};

const concatenate: OpenRule = {
  apply(opener, node) {
    const along = node.int('dimension');
    const parts = node.inputs.map((input) => opener.of(input)[along]);
    const [first] = node.inputs;
    const others = opener.of(first).map((dimension, dim) =>
      node.inputs.reduce<Dimension>((known, input) => {
        const both = dim === along ? known : agreed(known, opener.of(input)[dim], opener.samples);
        return both ?? refuse(node, `joins tensors whose dimension ${dim} is open in different ways`);
      }, dimension),
    );
    const length = specOf(node.output).sizes[along];
    if (!parts.some(isOpen)) return results(node, [others.with(along, staticDimension(length))]);
    // Alike, they lie one behind the other as they are.
    const [one] = parts;
    if (parts.every((dimension) => equalDimensions(dimension, one)))
      return results(node, [others.with(along, [{ length: parts.length }, ...varied(one)])]);
    const forms = parts.map((dimension) => {
      if (!isOpen(dimension)) return opener.samples.constant(lengthOf(dimension));
      return (
        onlyPart(dimension)?.form ?? refuse(node, `joins along dimension ${along}, which is open inside`)
      );
    });
    const dimensions = others.with(along, [{ length, form: sumOf(forms) }]);
    // Each is written over what means nothing of those before it.
    const firstOpen = parts.findIndex(isOpen);
    if (firstOpen === node.inputs.length - 1) return results(node, [dimensions]);
    const value = opener.before(node, (b) => {
      const whole = b.concatenate(node.inputs, along);
      const zero = opener.sizes.number(opener.samples.constant(0));
      return node.inputs.slice(firstOpen + 1).reduce((joined, input, index) => {
        const start = opener.sizes.number(sumOf(forms.slice(0, firstOpen + 1 + index)));
        return b.dynamicUpdateSlice(joined, input, specOf(input).sizes.map((_, dim) => (dim === along ? start : zero))); // prettier-ignore
      }, whole);
    });
    opener.replace(node, value);
    return [{ value, dimensions }];
  },
};

/** Draws others for other sizes. */
const never: OpenRule = {
  apply: (opener, node, others) => {
    const dimensions = opener.dimensionsAt(outputsOf(node, others));
    if (dimensions.some(isOpen) || node.inputs.some((input) => opener.of(input).some(isOpen)))
      refuse(node, 'cannot leave a size open');
    return followSharding(opener, node, false);
  },
};

const rules: Readonly<Record<string, OpenRule>> = {
  iota: counted,
  constant,
  reshape,
  broadcast_in_dim: broadcastInDim,
  slice,
  pad,
  concatenate,
  dynamic_slice: sliced,
  gather,
  reduce,
  dot_general: dotGeneral,
  rng_bit_generator: never,
};
