// Where a value is read from: a tensor in memory and how dimensions walk over it. Broadcasts, transposes, slices and reversals
// (and reshapes that keep a walk regular) only change the walk, so readers that take strides need no copy of them.
import type { Node, Value } from '@weft/ir';
import { numel, specOf } from '@weft/ir';
import { isAlias } from '../reference/schedule.ts';
import { stridesOf } from '../reference/typed-array.ts';

export interface Access {
  /** The value whose memory is read. */
  readonly source: Value;
  readonly sizes: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  readonly offset: number;
}

const views = new Set(['core::broadcast_in_dim', 'core::transpose', 'core::slice', 'core::reverse']);
/** Whether a node only says how its operand is read. */
export const isViewNode = (node: Node): boolean => views.has(node.kind);
export const isView = (value: Value): boolean => isViewNode(value.node);

/**
 * How `value` is read from the nearest value for which `inMemory` holds. A reshape of a walk that it breaks gives
 * undefined: then the view beneath it has to be written out.
 */
export function accessOf(value: Value, inMemory: (value: Value) => boolean): Access | undefined {
  const { node } = value;
  if (isAlias(node)) {
    const beneath = accessOf(node.inputs[value.index], inMemory);
    if (beneath === undefined) return undefined;
    const { sizes } = specOf(value);
    const strides = reshapedStrides(beneath, sizes);
    return strides === undefined ? undefined : { ...beneath, sizes, strides };
  }
  if (!isViewNode(node) || inMemory(value)) {
    const { sizes } = specOf(value);
    return { source: value, sizes, strides: stridesOf(sizes), offset: 0 };
  }
  const beneath = accessOf(node.inputs[0], inMemory);
  return beneath === undefined ? undefined : viewed(node, beneath);
}

/** The walk of a view node's result, given that of its operand. */
export function viewed(node: Node, operand: Access): Access {
  const { source, sizes, strides, offset } = operand;
  const result = specOf(node.output).sizes;
  switch (node.operator) {
    case 'broadcast_in_dim': {
      const spread = result.map(() => 0);
      node.ints('broadcast_dimensions').forEach((dimension, index) => {
        if (sizes[index] !== 1) spread[dimension] = strides[index];
      });
      return { source, sizes: result, strides: spread, offset };
    }
    case 'transpose': {
      const order = node.ints('permutation');
      return { source, sizes: result, strides: order.map((dimension) => strides[dimension]), offset };
    }
    case 'slice': {
      const steps = node.ints('strides');
      const shift = node
        .ints('start_indices')
        .reduce((sum, start, dimension) => sum + start * strides[dimension], 0);
      const stepped = strides.map((stride, dimension) => stride * steps[dimension]);
      return { source, sizes: result, strides: stepped, offset: offset + shift };
    }
    default: {
      const turned = [...strides];
      let shift = 0;
      for (const dimension of node.ints('dimensions')) {
        shift += (sizes[dimension] - 1) * strides[dimension];
        turned[dimension] = -strides[dimension];
      }
      return { source, sizes: result, strides: turned, offset: offset + shift };
    }
  }
}

/** Strides of the same elements under another shape; undefined when no strides give them. */
function reshapedStrides(
  { sizes, strides }: Pick<Access, 'sizes' | 'strides'>,
  shape: readonly number[],
): number[] | undefined {
  if (numel(sizes) === 0) return stridesOf(shape);
  // Runs of the old dimensions that one stride walks, innermost first.
  const runs: { size: number; stride: number }[] = [];
  for (let dimension = sizes.length - 1; dimension >= 0; dimension--) {
    if (sizes[dimension] === 1) continue;
    const run = runs.at(-1);
    if (run !== undefined && strides[dimension] === run.stride * run.size) run.size *= sizes[dimension];
    else runs.push({ size: sizes[dimension], stride: strides[dimension] });
  }
  const result = shape.map(() => 0);
  let at = 0;
  let left = runs[0]?.size ?? 1;
  let stride = runs[0]?.stride ?? 1;
  for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
    if (shape[dimension] === 1) continue;
    if (left === 1) {
      at++;
      left = runs[at].size;
      stride = runs[at].stride;
    }
    if (left % shape[dimension] !== 0) return undefined;
    result[dimension] = stride;
    stride *= shape[dimension];
    left /= shape[dimension];
  }
  return result;
}

/** Whether the walk is that of a dense row-major tensor (the offset aside). */
export function isDense({ sizes, strides }: Pick<Access, 'sizes' | 'strides'>): boolean {
  let dense = 1;
  for (let dimension = sizes.length - 1; dimension >= 0; dimension--) {
    if (sizes[dimension] !== 1 && strides[dimension] !== dense) return false;
    dense *= sizes[dimension];
  }
  return true;
}

/** Merges dimensions that all the walks take alike, and drops those of size 1. */
export function merged(
  sizes: readonly number[],
  walks: readonly (readonly number[])[],
): { sizes: number[]; walks: number[][] } {
  const kept: number[] = [];
  const out: number[][] = walks.map(() => []);
  sizes.forEach((size, dimension) => {
    if (size === 1) return;
    const last = kept.length - 1;
    if (last >= 0 && walks.every((walk, index) => out[index][last] === walk[dimension] * size)) {
      kept[last] *= size;
      walks.forEach((walk, index) => (out[index][last] = walk[dimension]));
    } else {
      kept.push(size);
      walks.forEach((walk, index) => out[index].push(walk[dimension]));
    }
  });
  return { sizes: kept, walks: out };
}
