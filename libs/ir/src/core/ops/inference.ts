// What the families of operators share: checks for type inference, whose errors name the operand and what was expected,
// costs, and small facts about regions and constants.
import type { Block, Node, Value } from '../../graph/graph.ts';
import type { DType, DTypeInfo } from '../../types/dtype.ts';
import { dtypeNames, dtypes } from '../../types/dtype.ts';
import type { TensorLiteral } from '../../types/ivalue.ts';
import type { TensorSpec } from '../../types/types.ts';
import { asTensorSpec, numel } from '../../types/types.ts';
import type { Cost, InferenceSite } from '../operator.ts';
import { splatLiteral } from '../../types/element-encoding.ts';
import { specOf } from '../infer-types.ts';

export type Category = DTypeInfo['category'];

/** `float32[2, 3]`, as error messages and the text form show a core type. */
export const specText = (spec: TensorSpec): string => `${spec.dtype}[${spec.sizes.join(', ')}]`;
export const sizesText = (sizes: readonly number[]): string => `[${sizes.join(', ')}]`;
export const equalSizes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, index) => size === b[index]);
export const equalSpecs = (a: TensorSpec, b: TensorSpec): boolean =>
  a.dtype === b.dtype && equalSizes(a.sizes, b.sizes);
export const range = (length: number): number[] => Array.from({ length }, (_, index) => index);

export function expectOperands(site: InferenceSite, count: number): void {
  if (site.operands.length !== count) {
    site.fail(`${count} operands are expected, ${site.operands.length} given`);
  }
}

/** Operand `index` has an element type of one of `categories`. */
export function expectCategory(
  site: InferenceSite,
  index: number,
  categories: readonly Category[],
): TensorSpec {
  const spec = site.operands[index];
  const { category } = dtypes[spec.dtype];
  if (!categories.includes(category)) {
    site.fail(
      `operand ${index} is ${spec.dtype}; ${categories.join(' or ')} elements are expected, so convert it first`,
    );
  }
  return spec;
}

/** Operands `first` and `second` have one dtype and shape. */
export function expectSame(site: InferenceSite, first: number, second: number): void {
  const [a, b] = [site.operands[first], site.operands[second]];
  if (a.dtype !== b.dtype) {
    site.fail(`operands ${first} and ${second} differ in dtype (${a.dtype}, ${b.dtype}); convert one first`);
  }
  if (!equalSizes(a.sizes, b.sizes)) {
    site.fail(
      `operands ${first} and ${second} differ in shape (${sizesText(a.sizes)}, ${sizesText(b.sizes)}); broadcast first`,
    );
  }
}

export function expectSameDType(site: InferenceSite, first: number, second: number): void {
  const [a, b] = [site.operands[first], site.operands[second]];
  if (a.dtype !== b.dtype) {
    site.fail(`operands ${first} and ${second} differ in dtype (${a.dtype}, ${b.dtype}); convert one first`);
  }
}

export function expectScalar(site: InferenceSite, index: number): void {
  const { sizes } = site.operands[index];
  if (sizes.length > 0) site.fail(`operand ${index} has shape ${sizesText(sizes)}; a scalar is expected`);
}

export function expectLength(
  site: InferenceSite,
  attribute: string,
  list: readonly unknown[],
  count: number,
): void {
  if (list.length !== count) {
    site.fail(`'${attribute}' has ${list.length} entries where ${count} are expected`);
  }
}

/** Each entry of a list of dimensions is in 0 … rank − 1 and none comes twice. */
export function expectDimensions(
  site: InferenceSite,
  attribute: string,
  dimensions: readonly number[],
  rank: number,
): void {
  dimensions.forEach((dimension, index) => {
    if (dimension < 0 || dimension >= rank) {
      site.fail(`'${attribute}' names dimension ${dimension} of a tensor of rank ${rank}`);
    }
    if (dimensions.indexOf(dimension) !== index) {
      site.fail(`'${attribute}' names dimension ${dimension} twice`);
    }
  });
}

export function expectSorted(site: InferenceSite, attribute: string, dimensions: readonly number[]): void {
  if (dimensions.some((dimension, index) => index > 0 && dimension < dimensions[index - 1])) {
    site.fail(`'${attribute}' is ${sizesText(dimensions)}; ascending order is expected`);
  }
}

/** Every entry is at least `least`. */
export function expectAtLeast(
  site: InferenceSite,
  attribute: string,
  values: readonly number[],
  least: number,
): void {
  const bad = values.find((value) => !(value >= least));
  if (bad !== undefined) site.fail(`'${attribute}' contains ${bad}; at least ${least} is expected`);
}

/** The attribute as an element type. */
export function dtypeAttribute(site: InferenceSite, name: string): DType {
  const text = site.node.get('s', name);
  if (!(dtypeNames as readonly string[]).includes(text)) {
    site.fail(`'${name}' is '${text}', which is no dtype; ${dtypeNames.join(', ')} are`);
  }
  return text as DType;
}

/** The attribute, which is one of `choices`. */
export function expectChoice<T extends string>(site: InferenceSite, name: string, choices: readonly T[]): T {
  const text = site.node.get('s', name);
  if (!(choices as readonly string[]).includes(text)) {
    site.fail(`'${name}' is '${text}'; one of ${choices.join(', ')} is expected`);
  }
  return text as T;
}

/** The region has these parameters and results. */
export function expectRegion(
  site: InferenceSite,
  index: number,
  parameters: readonly TensorSpec[],
  results: readonly TensorSpec[],
): void {
  const region = site.regions[index];
  const match = (what: string, given: readonly Value[], expected: readonly TensorSpec[]) => {
    const specs = given.map((value) => asTensorSpec(value.type));
    if (
      specs.length !== expected.length ||
      specs.some((spec, at) => spec === undefined || !equalSpecs(spec, expected[at]))
    ) {
      const text = (list: readonly (TensorSpec | undefined)[]) =>
        `(${list.map((spec) => (spec === undefined ? '?' : specText(spec))).join(', ')})`;
      site.fail(`region ${index} ${what} ${text(specs)} where ${text(expected)} is expected`);
    }
  };
  match('takes', region.inputs, parameters);
  match('returns', region.outputs, results);
}

// ---- costs --------------------------------------------------------------------------------------------------------

export const bytesOf = (spec: TensorSpec): number => numel(spec.sizes) * dtypes[spec.dtype].bytes;

/** Bytes of operands and results, each counted once. */
export function trafficOf(node: Node): number {
  let bytes = 0;
  for (const value of new Set([...node.inputs, ...node.outputs])) bytes += bytesOf(specOf(value));
  return bytes;
}

/** A cost of `flops` operations an element of the first result. */
export const costPerElement =
  (flops: number) =>
  (node: Node): Cost => ({
    flops: flops * numel(specOf(node.outputs[0]).sizes),
    bytes: trafficOf(node),
  });

/** A cost of moving data only. */
export const costOfMove = (node: Node): Cost => ({ flops: 0, bytes: trafficOf(node) });

/** Operations of one run of a region of scalars: one a node. */
export function regionFlops(region: Block): number {
  let flops = 0;
  for (const node of region.nodes()) {
    if (node.kind !== 'core::constant') flops++;
  }
  return flops;
}

// ---- facts about regions and constants ----------------------------------------------------------------------------

export type Combiner = 'add' | 'multiply' | 'maximum' | 'minimum' | 'and' | 'or';
const combiners: readonly string[] = ['add', 'multiply', 'maximum', 'minimum', 'and', 'or'];

/** The operator with which a region of two scalars combines them, if it does just that. */
export function combinerOf(region: Block): Combiner | undefined {
  const [first, second] = region.inputs;
  if (region.inputs.length !== 2 || region.outputs.length !== 1) return undefined;
  const { node } = region.outputs[0];
  if (!combiners.includes(node.operator) || node.block !== region) return undefined;
  const [a, b] = node.inputs;
  const both = (a === first && b === second) || (a === second && b === first);
  return both ? (node.operator as Combiner) : undefined;
}

/** The literal of a constant, also behind a broadcast or reshape of a splat; undefined for other values. */
export function constantOf(value: Value): TensorLiteral | undefined {
  const { node } = value;
  if (node.kind === 'core::constant') return node.get('t', 'value');
  if (node.kind === 'core::broadcast_in_dim' || node.kind === 'core::reshape') {
    const literal = constantOf(node.inputs[0]);
    return literal !== undefined && (literal.splat || numel(literal.shape) === 1) ? literal : undefined;
  }
  return undefined;
}

/** Whether `value` is a constant whose every element is `number`. */
export function isConstant(value: Value, number: number | bigint | boolean): boolean {
  const literal = constantOf(value);
  if (literal === undefined || (!literal.splat && numel(literal.shape) !== 1)) return false;
  const expected = splatLiteral(number, literal.dtype, []).bytes;
  return (
    literal.bytes.length >= expected.length && expected.every((byte, index) => literal.bytes[index] === byte)
  );
}
