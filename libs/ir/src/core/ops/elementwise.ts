// Elementwise operators: result element i depends on element i of each operand. Operands have one and the same shape.
import type { Node, Value } from '../../graph/graph.ts';
import type { DType } from '../../types/dtype.ts';
import { dtypes, isComplex, realDType } from '../../types/dtype.ts';
import type { TensorSpec } from '../../types/types.ts';
import { tensorSpec } from '../../types/types.ts';
import type { CoreOperator, InferenceSite, ShardingRule } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import { specOf } from '../infer-types.ts';
import type { Category } from './inference.ts';
import {
  costPerElement,
  dtypeAttribute,
  expectAtLeast,
  expectCategory,
  expectChoice,
  expectOperands,
  expectSame,
  expectSameDType,
  range,
  sizesText,
} from './inference.ts';
import { elementwiseVjps } from './elementwise-vjp.ts';

const FLOAT: readonly Category[] = ['float'];
const FLOATING: readonly Category[] = ['float', 'complex'];
const SIGNED: readonly Category[] = ['int', 'float', 'complex'];
const NUMERIC: readonly Category[] = ['int', 'uint', 'float', 'complex'];
const INTEGER: readonly Category[] = ['int', 'uint'];
const BITS: readonly Category[] = ['bool', 'int', 'uint'];
const ANY: readonly Category[] = ['bool', 'int', 'uint', 'float', 'complex'];

interface Elementwise {
  readonly accepts: readonly Category[];
  /** Floating-point operations an element takes, for planning; default 1. */
  readonly flops?: number;
  /** Sets of operands in which the result is linear. */
  readonly linear?: readonly (readonly number[])[];
  /** Element type of the result; default that of the operands. */
  readonly result?: (dtype: DType) => DType;
}

const TRANSCENDENTAL = 10;
const transcendental: Elementwise = { accepts: FLOATING, flops: TRANSCENDENTAL };
const special: Elementwise = { accepts: FLOAT, flops: 20 };
const rounding: Elementwise = { accepts: FLOAT };
const bits: Elementwise = { accepts: BITS };
const integer: Elementwise = { accepts: INTEGER };

const unary: Readonly<Record<string, Elementwise>> = {
  abs: { accepts: SIGNED, result: realDType },
  negate: { accepts: NUMERIC, linear: [[0]] },
  sign: { accepts: SIGNED },
  exponential: transcendental,
  exponential_minus_one: transcendental,
  log: transcendental,
  log_plus_one: transcendental,
  logistic: transcendental,
  sqrt: { accepts: FLOATING, flops: 4 },
  rsqrt: { accepts: FLOATING, flops: 4 },
  cbrt: transcendental,
  sine: transcendental,
  cosine: transcendental,
  tan: transcendental,
  tanh: transcendental,
  acos: transcendental,
  acosh: transcendental,
  asin: transcendental,
  asinh: transcendental,
  atan: transcendental,
  atanh: transcendental,
  sinh: transcendental,
  cosh: transcendental,
  erf: special,
  erfc: special,
  erf_inv: special,
  lgamma: special,
  digamma: special,
  ceil: rounding,
  floor: rounding,
  round_nearest_even: rounding,
  round_nearest_afz: rounding,
  is_finite: { accepts: FLOAT, result: () => 'bool' },
  not: bits,
  popcnt: integer,
  count_leading_zeros: integer,
  real: { accepts: FLOATING, result: realDType, linear: [[0]] },
  imag: { accepts: FLOATING, result: realDType, linear: [[0]] },
};

const binary: Readonly<Record<string, Elementwise>> = {
  add: { accepts: ANY, linear: [[0, 1]] },
  subtract: { accepts: NUMERIC, linear: [[0, 1]] },
  multiply: { accepts: ANY, linear: [[0], [1]] },
  divide: { accepts: NUMERIC, linear: [[0]] },
  remainder: { accepts: NUMERIC },
  power: { accepts: NUMERIC, flops: 2 * TRANSCENDENTAL },
  maximum: { accepts: ANY },
  minimum: { accepts: ANY },
  atan2: { accepts: FLOATING, flops: TRANSCENDENTAL },
  and: bits,
  or: bits,
  xor: bits,
  shift_left: integer,
  shift_right_arithmetic: integer,
  shift_right_logical: integer,
  complex: {
    accepts: FLOAT,
    linear: [[0, 1]],
    result: (dtype) => (dtype === 'float64' ? 'complex128' : 'complex64'),
  },
};

/** Every dimension is a factor of its own; scalars beside tensors (select's predicate, clamp's bounds) have none. */
function alignedSharding(node: Node, linear?: readonly (readonly number[])[]): ShardingRule {
  const factors = (value: Value) => range(specOf(value).sizes.length);
  return { operands: node.inputs.map(factors), results: node.outputs.map(factors), linear };
}

/** A sum of parts is kept only by arithmetic that does not round to integers, and + of bool is no sum. */
function linearFor(
  entry: Elementwise,
  operator: string,
  node: Node,
): readonly (readonly number[])[] | undefined {
  const { category } = dtypes[specOf(node.inputs[0]).dtype];
  if (category === 'bool' || (operator === 'divide' && category !== 'float' && category !== 'complex'))
    return undefined;
  return entry.linear;
}

function registerTable(table: Readonly<Record<string, Elementwise>>, arity: number): void {
  for (const [name, entry] of Object.entries(table)) {
    registerCoreOperator({
      name,
      attributes: {},
      isElementwise: true,
      infer(site) {
        expectOperands(site, arity);
        const { dtype, sizes } = expectCategory(site, 0, entry.accepts);
        for (let index = 1; index < arity; index++) expectSame(site, 0, index);
        if (name === 'complex' && dtype !== 'float32' && dtype !== 'float64') {
          site.fail(`the parts are ${dtype}; float32 or float64 is expected`);
        }
        return [tensorSpec(entry.result?.(dtype) ?? dtype, sizes)];
      },
      vjp: elementwiseVjps[name],
      cost: costPerElement(entry.flops ?? 1),
      sharding: (node) => alignedSharding(node, linearFor(entry, name, node)),
    });
  }
}

registerTable(unary, 1);
registerTable(binary, 2);

const others: readonly Omit<CoreOperator, 'vjp'>[] = [
  {
    name: 'compare',
    attributes: { comparison_direction: 's' },
    infer(site) {
      expectOperands(site, 2);
      expectSame(site, 0, 1);
      const direction = expectChoice(site, 'comparison_direction', ['EQ', 'NE', 'GE', 'GT', 'LE', 'LT']);
      const { dtype, sizes } = site.operands[0];
      if (isComplex(dtype) && direction !== 'EQ' && direction !== 'NE') {
        site.fail(`complex numbers have no order, so ${direction} is not defined; EQ and NE are`);
      }
      return [tensorSpec('bool', sizes)];
    },
    cost: costPerElement(1),
    sharding: alignedSharding,
  },
  {
    name: 'select',
    attributes: {},
    infer(site) {
      expectOperands(site, 3);
      expectCategory(site, 0, ['bool']);
      expectSame(site, 1, 2);
      expectScalarOrShape(site, 0, site.operands[1]);
      return [site.operands[1]];
    },
    cost: costPerElement(1),
    sharding: (node) => alignedSharding(node, [[1, 2]]),
  },
  {
    name: 'clamp',
    attributes: {},
    infer(site) {
      expectOperands(site, 3);
      expectSameDType(site, 0, 1);
      expectSameDType(site, 1, 2);
      expectScalarOrShape(site, 0, site.operands[1]);
      expectScalarOrShape(site, 2, site.operands[1]);
      return [site.operands[1]];
    },
    cost: costPerElement(2),
    sharding: alignedSharding,
  },
  {
    name: 'convert',
    attributes: { dtype: 's' },
    infer(site) {
      expectOperands(site, 1);
      return [tensorSpec(dtypeAttribute(site, 'dtype'), site.operands[0].sizes)];
    },
    cost: costPerElement(1),
    sharding(node) {
      const floating = [node.inputs[0], node.outputs[0]].every((value) =>
        FLOATING.includes(dtypes[specOf(value).dtype].category),
      );
      return alignedSharding(node, floating ? [[0]] : undefined);
    },
  },
  {
    name: 'bitcast_convert',
    attributes: { dtype: 's' },
    infer(site) {
      expectOperands(site, 1);
      const [{ dtype: from, sizes }] = site.operands;
      const dtype = dtypeAttribute(site, 'dtype');
      const [source, target] = [dtypes[from].bytes, dtypes[dtype].bytes];
      if (source === target) return [tensorSpec(dtype, sizes)];
      if (source > target) return [tensorSpec(dtype, [...sizes, source / target])];
      if (sizes.at(-1) !== target / source) {
        site.fail(
          `the last dimension must be ${target / source} to make ${dtype} of ${from}, not ${sizes.at(-1)}`,
        );
      }
      return [tensorSpec(dtype, sizes.slice(0, -1))];
    },
    cost: costPerElement(0),
    sharding(node) {
      const shared = Math.min(specOf(node.inputs[0]).sizes.length, specOf(node.outputs[0]).sizes.length);
      const factors = (value: Value) =>
        specOf(value).sizes.map((_, dimension) => (dimension < shared ? dimension : null));
      return { operands: node.inputs.map(factors), results: node.outputs.map(factors) };
    },
  },
  {
    name: 'reduce_precision',
    attributes: { exponent_bits: 'i', mantissa_bits: 'i' },
    infer(site) {
      expectOperands(site, 1);
      expectCategory(site, 0, FLOAT);
      expectAtLeast(site, 'exponent_bits', [site.node.int('exponent_bits')], 1);
      expectAtLeast(site, 'mantissa_bits', [site.node.int('mantissa_bits')], 0);
      return [site.operands[0]];
    },
    cost: costPerElement(1),
    sharding: (node) => alignedSharding(node),
  },
];
for (const operator of others) {
  registerCoreOperator({ ...operator, isElementwise: true, vjp: elementwiseVjps[operator.name] });
}

function expectScalarOrShape(site: InferenceSite, index: number, like: TensorSpec): void {
  const { sizes } = site.operands[index];
  if (sizes.length > 0 && String(sizes) !== String(like.sizes)) {
    site.fail(
      `operand ${index} has shape ${sizesText(sizes)}; a scalar or ${sizesText(like.sizes)} is expected`,
    );
  }
}
