// Moves elements between row-major bytes and strided memory on the host, a whole element at a time.
import type { Strided } from '@weft/ops';
import { isRowMajor } from '@weft/ops';

type Words = Uint8Array | Uint16Array | Uint32Array;

/** A view on the bytes in words of at most four bytes: 8 and 16-byte elements are 2 and 4 words, so no bit changes. */
function words({ buffer, byteOffset, byteLength }: Uint8Array, width: number): Words {
  if (width === 1) return new Uint8Array(buffer, byteOffset, byteLength);
  return width === 2
    ? new Uint16Array(buffer, byteOffset, byteLength >> 1)
    : new Uint32Array(buffer, byteOffset, byteLength >> 2);
}

/** Copies the elements at `layout` of `from` to `to`, row-major. */
export function gatherStrided(from: Uint8Array, layout: Strided, width: number, to: Uint8Array): void {
  if (isRowMajor(layout.sizes, layout.strides)) {
    to.set(from.subarray(layout.offset * width, layout.offset * width + to.byteLength));
    return;
  }
  const lanes = Math.max(1, width >> 2);
  const source = words(from, width);
  const target = words(to, width);
  let at = 0;
  eachRow(layout, (start, count, step) => {
    if (width <= 4) for (let i = 0, p = start; i < count; i++, p += step) target[at++] = source[p];
    else {
      for (let i = 0, p = start * lanes; i < count; i++, p += step * lanes) {
        for (let lane = 0; lane < lanes; lane++) target[at++] = source[p + lane];
      }
    }
  });
}

/** Copies row-major `from` to the places at `layout` of `to`. */
export function scatterStrided(from: Uint8Array, to: Uint8Array, layout: Strided, width: number): void {
  if (isRowMajor(layout.sizes, layout.strides)) {
    to.set(from, layout.offset * width);
    return;
  }
  const lanes = Math.max(1, width >> 2);
  const source = words(from, width);
  const target = words(to, width);
  let at = 0;
  eachRow(layout, (start, count, step) => {
    if (width <= 4) for (let i = 0, p = start; i < count; i++, p += step) target[p] = source[at++];
    else {
      for (let i = 0, p = start * lanes; i < count; i++, p += step * lanes) {
        for (let lane = 0; lane < lanes; lane++) target[p + lane] = source[at++];
      }
    }
  });
}

/** Visits the innermost rows in row-major order: first element, number of elements, stride. */
function eachRow(
  { sizes, strides, offset }: Strided,
  visit: (start: number, count: number, step: number) => void,
): void {
  const rank = sizes.length;
  if (rank === 0) return visit(offset, 1, 1);
  if (sizes.includes(0)) return;
  const index = new Array<number>(rank).fill(0);
  let start = offset;
  for (;;) {
    visit(start, sizes[rank - 1], strides[rank - 1]);
    let dim = rank - 2;
    for (; dim >= 0; dim--) {
      start += strides[dim];
      if (++index[dim] < sizes[dim]) break;
      start -= strides[dim] * sizes[dim];
      index[dim] = 0;
    }
    if (dim < 0) return;
  }
}
