// Operators that only move elements, as strided copies: views that someone needs in memory, pads, concatenations, dynamic slices.
import type { DType, TensorSpec } from '@weft/ir';
import { dtypes, numel } from '@weft/ir';
import type { Access } from './access.ts';
import { merged, viewed } from './access.ts';
import type { NativeFamily, NativeSite, Word } from './step.ts';
import { stridesOf } from '../reference/typed-array.ts';

/** Walks as the copy step takes them; axes in an order in which the last walks the target densest, then the source. */
export function copyWords(
  from: number,
  to: number,
  dtype: DType,
  sizes: readonly number[],
  source: Pick<Access, 'strides' | 'offset'>,
  target: Pick<Access, 'strides' | 'offset'>,
  shifts: { readonly from?: readonly Word[]; readonly to?: readonly Word[] } = {},
): Word[] {
  const { sizes: kept, walks } = merged(sizes, [source.strides, target.strides]);
  const axes = kept.map((size, axis) => ({ size, from: walks[0][axis], to: walks[1][axis] }));
  const last = indexOfLeast(axes.map((axis) => Math.abs(axis.to)));
  const column = last >= 0 ? axes.splice(last, 1) : [];
  const before = indexOfLeast(axes.map((axis) => Math.abs(axis.from) || Infinity));
  const row = before >= 0 ? axes.splice(before, 1) : [];
  const ordered = [...axes, ...row, ...column];
  return [
    from,
    to,
    dtypes[dtype].bytes,
    source.offset,
    target.offset,
    ordered.length,
    ...ordered.flatMap((axis) => [axis.size, axis.from, axis.to]),
    ...(shifts.from ?? [0]),
    ...(shifts.to ?? [0]),
  ];
}

function indexOfLeast(values: readonly number[]): number {
  let best = values.length - 1;
  for (let index = values.length - 2; index >= 0; index--) if (values[index] < values[best]) best = index;
  return best;
}

/** A whole dense tensor to another slot. */
export const moveWords = (from: number, to: number, { dtype, sizes }: TensorSpec): Word[] => {
  const dense = { strides: stridesOf(sizes), offset: 0 };
  return copyWords(from, to, dtype, sizes, dense, dense);
};

function emitView(site: NativeSite): void {
  const operand = site.operand(0);
  const access = viewed(site.node, operand);
  const { dtype, sizes } = site.outSpecs[0];
  const target = { strides: stridesOf(sizes), offset: 0 };
  site.push('copy', ...copyWords(operand.slot, site.results[0], dtype, sizes, access, target));
}

function emitConcatenate(site: NativeSite): void {
  const dimension = site.node.int('dimension');
  const { dtype, sizes } = site.outSpecs[0];
  const strides = stridesOf(sizes);
  let start = 0;
  site.inSpecs.forEach((spec, index) => {
    const operand = site.operand(index);
    const target = { strides, offset: start * strides[dimension] };
    if (numel(spec.sizes) > 0) {
      site.push('copy', ...copyWords(operand.slot, site.results[0], dtype, spec.sizes, operand, target));
    }
    start += spec.sizes[dimension];
  });
}

function emitPad(site: NativeSite): void {
  const { dtype, sizes } = site.outSpecs[0];
  const operand = site.operand(0);
  const low = site.node.ints('edge_padding_low');
  const interior = site.node.ints('interior_padding');
  const strides = stridesOf(sizes);
  let fromOffset = operand.offset;
  let toOffset = 0;
  // The part of the operand that stays, since edges may be negative: first index, and how many.
  const kept = operand.sizes.map((size, dimension) => {
    const step = interior[dimension] + 1;
    const first = low[dimension] < 0 ? Math.ceil(-low[dimension] / step) : 0;
    const end = Math.min(size, Math.floor((sizes[dimension] - 1 - low[dimension]) / step) + 1);
    fromOffset += first * operand.strides[dimension];
    toOffset += (low[dimension] + first * step) * strides[dimension];
    return Math.max(0, end - first);
  });
  const [to] = site.results;
  site.push('fill', site.dense(1), to, dtypes[dtype].bytes, numel(sizes));
  if (numel(kept) === 0) return;
  const target = {
    strides: strides.map((stride, dimension) => stride * (interior[dimension] + 1)),
    offset: toOffset,
  };
  const source = { strides: operand.strides, offset: fromOffset };
  site.push('copy', ...copyWords(operand.slot, to, dtype, kept, source, target));
}

/** Start indices as the copy step reads them: clamped so that a box of `sizes` fits into `bounds`. */
function startWords(
  site: NativeSite,
  first: number,
  bounds: readonly number[],
  sizes: readonly number[],
  strides: readonly number[],
): Word[] {
  const words: Word[] = [bounds.length];
  bounds.forEach((bound, dimension) => {
    const { dtype } = site.inSpecs[first + dimension];
    const { bytes, category } = dtypes[dtype];
    const isSigned = category === 'int' ? 1 : 0;
    words.push(site.dense(first + dimension), bytes, isSigned, bound - sizes[dimension], strides[dimension]);
  });
  return words;
}

function emitDynamicSlice(site: NativeSite): void {
  const { dtype, sizes } = site.outSpecs[0];
  const operand = site.operand(0);
  const from = startWords(site, 1, operand.sizes, sizes, operand.strides);
  const target = { strides: stridesOf(sizes), offset: 0 };
  if (numel(sizes) === 0) return;
  site.push('copy', ...copyWords(operand.slot, site.results[0], dtype, sizes, operand, target, { from }));
}

function emitDynamicUpdateSlice(site: NativeSite): void {
  const { dtype, sizes: bounds } = site.outSpecs[0];
  const operand = site.operand(0);
  const update = site.operand(1);
  const strides = stridesOf(bounds);
  const whole = { strides, offset: 0 };
  const to = startWords(site, 2, bounds, update.sizes, strides);
  const [result] = site.results;
  if (numel(bounds) > 0) site.push('copy', ...copyWords(operand.slot, result, dtype, bounds, operand, whole));
  if (numel(update.sizes) === 0) return;
  site.push('copy', ...copyWords(update.slot, result, dtype, update.sizes, update, whole, { to }));
}

const emitters: Readonly<Record<string, (site: NativeSite) => void>> = {
  broadcast_in_dim: emitView,
  transpose: emitView,
  slice: emitView,
  reverse: emitView,
  concatenate: emitConcatenate,
  pad: emitPad,
  dynamic_slice: emitDynamicSlice,
  dynamic_update_slice: emitDynamicUpdateSlice,
};

export const copyFamily: NativeFamily = {
  operators: Object.keys(emitters),
  accepts: (_node, library) => library.operations.has('copy') && library.operations.has('fill'),
  emit: (site) => {
    if (numel(site.outSpecs[0].sizes) > 0) emitters[site.node.operator](site);
  },
};
