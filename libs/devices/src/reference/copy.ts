// Copies between strided boxes, under transposes, slices, broadcasts, pads, concatenations and the host's views. A
// copy is planned once: dimensions that both sides walk alike are merged, the two best become the inner loops, and the
// start of each inner box is tabulated.
import type { DType } from '@weft/ir';
import { numel } from '@weft/ir';
import type { Kernel } from './program.ts';
import { specialize } from './specialize.ts';
import type { NumberArray, TypedArray } from './typed-array.ts';
import { lanes, offsetsOf } from './typed-array.ts';

/** One side of a copy: strides and offset in elements. */
export interface Placement {
  readonly strides: readonly number[];
  readonly offset: number;
}
export type Copy = (from: TypedArray, to: TypedArray) => void;

/** The elements of one register go to another of the same dtype and count. */
export function copyKernel(from: number, to: number): Kernel {
  return (registers) => (registers[to] as NumberArray).set(registers[from] as NumberArray);
}

function copyBoxes(
  from: TypedArray,
  to: TypedArray,
  fromStarts: Int32Array,
  toStarts: Int32Array,
  rows: number,
  columns: number,
  fromRow: number,
  fromColumn: number,
  toRow: number,
  toColumn: number,
): void {
  const source = from as Float64Array;
  const target = to as Float64Array;
  const boxes = fromStarts.length;
  for (let box = 0; box < boxes; box++) {
    const fromStart = fromStarts[box];
    const toStart = toStarts[box];
    if (fromColumn === 1 && toColumn === 1 && columns >= 64) {
      for (let row = 0; row < rows; row++) {
        const start = fromStart + row * fromRow;
        target.set(source.subarray(start, start + columns), toStart + row * toRow);
      }
    } else if (fromColumn === 0 && toColumn === 1 && columns >= 64) {
      for (let row = 0; row < rows; row++) {
        const start = toStart + row * toRow;
        target.fill(source[fromStart + row * fromRow], start, start + columns);
      }
    } else if (rows >= 16 && columns >= 16 && fromColumn !== 1) {
      // Transposing: square tiles, so that both sides stay in the cache.
      for (let row0 = 0; row0 < rows; row0 += 16) {
        const rowEnd = Math.min(row0 + 16, rows);
        for (let column0 = 0; column0 < columns; column0 += 16) {
          const count = Math.min(16, columns - column0);
          for (let row = row0; row < rowEnd; row++) {
            let read = fromStart + row * fromRow + column0 * fromColumn;
            let write = toStart + row * toRow + column0 * toColumn;
            for (let column = 0; column < count; column++) {
              target[write] = source[read];
              read += fromColumn;
              write += toColumn;
            }
          }
        }
      }
    } else {
      for (let row = 0; row < rows; row++) {
        let read = fromStart + row * fromRow;
        let write = toStart + row * toRow;
        for (let column = 0; column < columns; column++) {
          target[write] = source[read];
          read += fromColumn;
          write += toColumn;
        }
      }
    }
  }
}

interface Axis {
  size: number;
  from: number;
  to: number;
}

/** Plans the copy of a box of `sizes`. Strides may be zero or negative; the boxes must not overlap. */
export function planCopy(dtype: DType, sizes: readonly number[], from: Placement, to: Placement): Copy {
  if (numel(sizes) === 0) return () => {};
  const width = lanes(dtype);
  const axes: Axis[] = [];
  const push = (size: number, fromStride: number, toStride: number) => {
    if (size === 1) return;
    const last = axes.at(-1);
    if (last !== undefined && last.from === fromStride * size && last.to === toStride * size) {
      last.size *= size;
      last.from = fromStride;
      last.to = toStride;
    } else axes.push({ size, from: fromStride, to: toStride });
  };
  sizes.forEach((size, axis) => push(size, from.strides[axis] * width, to.strides[axis] * width));
  if (width === 2) push(2, 1, 1);

  // Innermost: the densest walk over the target. Then the densest walk over the source of those that remain.
  const column = takeAxis(axes, (axis) => Math.abs(axis.to));
  const row = takeAxis(axes, (axis) => Math.abs(axis.from) || Infinity);
  const outer = axes.map((axis) => axis.size);
  const fromStarts = offsetsOf(outer, axes.map((axis) => axis.from), from.offset * width); // prettier-ignore
  const toStarts = offsetsOf(outer, axes.map((axis) => axis.to), to.offset * width); // prettier-ignore
  const loop = specialize(copyBoxes, dtype);
  return (source, target) =>
    loop(
      source,
      target,
      fromStarts,
      toStarts,
      row.size,
      column.size,
      row.from,
      column.from,
      row.to,
      column.to,
    );
}

function takeAxis(axes: Axis[], weight: (axis: Axis) => number): Axis {
  let best = -1;
  for (let index = axes.length - 1; index >= 0; index--) {
    if (best < 0 || weight(axes[index]) < weight(axes[best])) best = index;
  }
  return best < 0 ? { size: 1, from: 0, to: 0 } : axes.splice(best, 1)[0];
}
