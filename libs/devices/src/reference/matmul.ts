// Products of float matrices with any strides: out[m, n] = sum over k of a[m, k] b[k, n], accumulated in double precision.
// Large ones go through packed panels of doubles, so that the inner loop is 2×4 registers over contiguous memory; thin
// ones, where packing costs more than it saves, are plain dot products or row updates.

type Floats = Float32Array | Float64Array;

const rowsAtOnce = 2;
const columnsAtOnce = 4;
/** Depth and width of a packed block of b: 256 × 64 doubles are 128 KiB. */
const blockDepth = 256;
const blockColumns = 64;

const panelA = new Float64Array(rowsAtOnce * blockDepth);
const panelB = new Float64Array(blockDepth * blockColumns);
let accumulators = new Float64Array(1024);

/**
 * Multiplies one pair of matrices. `am`, `ak`, `bk`, `bn` are strides in elements; the result is row-major with `on`
 * elements a row.
 */
export function contract(
  a: Floats,
  a0: number,
  am: number,
  ak: number,
  b: Floats,
  b0: number,
  bk: number,
  bn: number,
  out: Floats,
  o0: number,
  rows: number,
  columns: number,
  depth: number = columns,
): void {
  if (rows === 0 || columns === 0) return;
  if (bk === 1 && (rows < 4 || columns < 4)) {
    dotProducts(a, a0, am, ak, b, b0, bn, out, o0, rows, columns, depth);
  } else if (rows < 4 || columns < 4 || rows * columns * depth < 512) {
    rowUpdates(a, a0, am, ak, b, b0, bk, bn, out, o0, rows, columns, depth);
  } else packed(a, a0, am, ak, b, b0, bk, bn, out, o0, rows, columns, depth);
}

/** b walks contiguously over k: one dot product an element. */
function dotProducts(
  a: Floats,
  a0: number,
  am: number,
  ak: number,
  b: Floats,
  b0: number,
  bn: number,
  out: Floats,
  o0: number,
  rows: number,
  columns: number,
  depth: number,
): void {
  const even = depth & ~3;
  for (let m = 0; m < rows; m++) {
    const arow = a0 + m * am;
    for (let n = 0; n < columns; n++) {
      const bcol = b0 + n * bn;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let k = 0;
      for (let p = arow; k < even; k += 4, p += 4 * ak) {
        s0 += a[p] * b[bcol + k];
        s1 += a[p + ak] * b[bcol + k + 1];
        s2 += a[p + 2 * ak] * b[bcol + k + 2];
        s3 += a[p + 3 * ak] * b[bcol + k + 3];
      }
      for (; k < depth; k++) s0 += a[arow + k * ak] * b[bcol + k];
      out[o0 + m * columns + n] = s0 + s1 + (s2 + s3);
    }
  }
}

/** Row m of the result is a sum of rows of b. */
function rowUpdates(
  a: Floats,
  a0: number,
  am: number,
  ak: number,
  b: Floats,
  b0: number,
  bk: number,
  bn: number,
  out: Floats,
  o0: number,
  rows: number,
  columns: number,
  depth: number,
): void {
  if (accumulators.length < columns) accumulators = new Float64Array(2 * columns);
  const sums = accumulators;
  for (let m = 0; m < rows; m++) {
    sums.fill(0, 0, columns);
    for (let k = 0; k < depth; k++) {
      const factor = a[a0 + m * am + k * ak];
      let p = b0 + k * bk;
      for (let n = 0; n < columns; n++, p += bn) sums[n] += factor * b[p];
    }
    const row = o0 + m * columns;
    for (let n = 0; n < columns; n++) out[row + n] = sums[n];
  }
}

/** Blocks of b and pairs of rows of a are packed; panels beyond the edge are padded with zeros and not stored. */
function packed(
  a: Floats,
  a0: number,
  am: number,
  ak: number,
  b: Floats,
  b0: number,
  bk: number,
  bn: number,
  out: Floats,
  o0: number,
  rows: number,
  columns: number,
  depth: number,
): void {
  // Sums of a depth beyond one block are kept in doubles until the last one.
  const sums = depth > blockDepth ? new Float64Array(rows * Math.min(columns, blockColumns)) : undefined;
  for (let n0 = 0; n0 < columns; n0 += blockColumns) {
    const width = Math.min(blockColumns, columns - n0);
    sums?.fill(0);
    for (let k0 = 0; k0 < depth || k0 === 0; k0 += blockDepth) {
      const deep = Math.min(blockDepth, depth - k0);
      const last = k0 + blockDepth >= depth;
      packB(b, b0 + k0 * bk + n0 * bn, bk, bn, deep, width);
      for (let m = 0; m < rows; m += rowsAtOnce) {
        const two = m + 1 < rows;
        packA(a, a0 + m * am + k0 * ak, am, ak, deep, two);
        multiplyPanels(deep, width, two, sums, m * width, width, last, out, o0 + m * columns + n0, columns);
      }
    }
  }
}

function packB(b: Floats, start: number, bk: number, bn: number, deep: number, width: number): void {
  for (let n = 0; n < width; n += columnsAtOnce) {
    let at = n * deep;
    const count = Math.min(columnsAtOnce, width - n);
    let p = start + n * bn;
    if (count === 4) {
      for (let k = 0; k < deep; k++, at += 4, p += bk) {
        panelB[at] = b[p];
        panelB[at + 1] = b[p + bn];
        panelB[at + 2] = b[p + 2 * bn];
        panelB[at + 3] = b[p + 3 * bn];
      }
    } else {
      for (let k = 0; k < deep; k++, at += 4, p += bk) {
        for (let j = 0; j < 4; j++) panelB[at + j] = j < count ? b[p + j * bn] : 0;
      }
    }
  }
}

function packA(a: Floats, start: number, am: number, ak: number, deep: number, two: boolean): void {
  let p = start;
  for (let k = 0, at = 0; k < deep; k++, at += 2, p += ak) {
    panelA[at] = a[p];
    panelA[at + 1] = two ? a[p + am] : 0;
  }
}

function multiplyPanels(
  deep: number,
  width: number,
  two: boolean,
  sums: Float64Array | undefined,
  sumStart: number,
  sumRow: number,
  last: boolean,
  out: Floats,
  outStart: number,
  outRow: number,
): void {
  const pa = panelA;
  const pb = panelB;
  const end = deep * 2;
  for (let n = 0; n < width; n += columnsAtOnce) {
    let s00 = 0;
    let s01 = 0;
    let s02 = 0;
    let s03 = 0;
    let s10 = 0;
    let s11 = 0;
    let s12 = 0;
    let s13 = 0;
    for (let i = 0, j = n * deep; i < end; i += 2, j += 4) {
      const x = pa[i];
      const y = pa[i + 1];
      const b0 = pb[j];
      const b1 = pb[j + 1];
      const b2 = pb[j + 2];
      const b3 = pb[j + 3];
      s00 += x * b0;
      s01 += x * b1;
      s02 += x * b2;
      s03 += x * b3;
      s10 += y * b0;
      s11 += y * b1;
      s12 += y * b2;
      s13 += y * b3;
    }
    const count = Math.min(4, width - n);
    for (let row = 0; row < (two ? 2 : 1); row++) {
      let r0 = row === 0 ? s00 : s10;
      let r1 = row === 0 ? s01 : s11;
      let r2 = row === 0 ? s02 : s12;
      let r3 = row === 0 ? s03 : s13;
      if (sums !== undefined) {
        const at = sumStart + row * sumRow + n;
        r0 = sums[at] += r0;
        if (count > 1) r1 = sums[at + 1] += r1;
        if (count > 2) r2 = sums[at + 2] += r2;
        if (count > 3) r3 = sums[at + 3] += r3;
      }
      if (!last) continue;
      const at = outStart + row * outRow + n;
      out[at] = r0;
      if (count > 1) out[at + 1] = r1;
      if (count > 2) out[at + 2] = r2;
      if (count > 3) out[at + 3] = r3;
    }
  }
}
