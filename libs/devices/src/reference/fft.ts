// fft: the discrete Fourier transform over one to three last dimensions, in double precision. Lengths that are powers of two
// by the iterative radix-2 algorithm, others by Bluestein's (a convolution of a power-of-two length).
import { isComplex, numel } from '@weft/ir';
import type { Emitter } from './program.ts';
import type { TypedArray } from './typed-array.ts';

/** Transforms `n` (re, im) pairs in place, unscaled; `sign` -1 forward, +1 inverse. */
export function transform(data: Float64Array, n: number, sign: number): void {
  if (n <= 1) return;
  if ((n & (n - 1)) === 0) radixTwo(data, n, sign);
  else bluestein(data, n, sign);
}

function radixTwo(data: Float64Array, n: number, sign: number): void {
  for (let index = 1, reversed = 0; index < n; index++) {
    let bit = n >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index < reversed) {
      for (let lane = 0; lane < 2; lane++) {
        const [p, q] = [2 * index + lane, 2 * reversed + lane];
        [data[p], data[q]] = [data[q], data[p]];
      }
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const angle = (sign * 2 * Math.PI * k) / size;
      const [wr, wi] = [Math.cos(angle), Math.sin(angle)];
      for (let start = k; start < n; start += size) {
        const [p, q] = [2 * start, 2 * (start + half)];
        const re = data[q] * wr - data[q + 1] * wi;
        const im = data[q] * wi + data[q + 1] * wr;
        data[q] = data[p] - re;
        data[q + 1] = data[p + 1] - im;
        data[p] += re;
        data[p + 1] += im;
      }
    }
  }
}

function bluestein(data: Float64Array, n: number, sign: number): void {
  let size = 1;
  while (size < 2 * n - 1) size *= 2;
  const chirp = new Float64Array(2 * n);
  for (let k = 0; k < n; k++) {
    // k² mod 2n keeps the angle small and exact.
    const angle = (sign * Math.PI * ((k * k) % (2 * n))) / n;
    chirp[2 * k] = Math.cos(angle);
    chirp[2 * k + 1] = Math.sin(angle);
  }
  const a = new Float64Array(2 * size);
  const b = new Float64Array(2 * size);
  for (let k = 0; k < n; k++) {
    const [cr, ci] = [chirp[2 * k], chirp[2 * k + 1]];
    a[2 * k] = data[2 * k] * cr - data[2 * k + 1] * ci;
    a[2 * k + 1] = data[2 * k] * ci + data[2 * k + 1] * cr;
    b[2 * k] = cr;
    b[2 * k + 1] = -ci;
    if (k > 0) {
      b[2 * (size - k)] = cr;
      b[2 * (size - k) + 1] = -ci;
    }
  }
  radixTwo(a, size, -1);
  radixTwo(b, size, -1);
  for (let k = 0; k < 2 * size; k += 2) {
    const re = a[k] * b[k] - a[k + 1] * b[k + 1];
    a[k + 1] = a[k] * b[k + 1] + a[k + 1] * b[k];
    a[k] = re;
  }
  radixTwo(a, size, 1);
  for (let k = 0; k < n; k++) {
    const [re, im] = [a[2 * k] / size, a[2 * k + 1] / size];
    data[2 * k] = re * chirp[2 * k] - im * chirp[2 * k + 1];
    data[2 * k + 1] = re * chirp[2 * k + 1] + im * chirp[2 * k];
  }
}

/** Transforms along one dimension of a row-major complex box, in place. */
function transformAxis(data: Float64Array, sizes: readonly number[], axis: number, sign: number): void {
  const n = sizes[axis];
  const stride = numel(sizes.slice(axis + 1));
  const lines = numel(sizes) / Math.max(n, 1);
  const line = new Float64Array(2 * n);
  for (let index = 0; index < lines; index++) {
    const start = Math.floor(index / stride) * stride * n + (index % stride);
    for (let k = 0; k < n; k++) {
      line[2 * k] = data[2 * (start + k * stride)];
      line[2 * k + 1] = data[2 * (start + k * stride) + 1];
    }
    transform(line, n, sign);
    for (let k = 0; k < n; k++) {
      data[2 * (start + k * stride)] = line[2 * k];
      data[2 * (start + k * stride) + 1] = line[2 * k + 1];
    }
  }
}

const fft: Emitter = (site) => {
  const type = site.node.get('s', 'fft_type');
  const length = site.node.ints('fft_length');
  const input = site.inSpecs[0];
  const output = site.outSpecs[0];
  const rank = length.length;
  const batches = numel(input.sizes.slice(0, -rank));
  const inputSizes = input.sizes.slice(-rank);
  const outputSizes = output.sizes.slice(-rank);
  const points = numel(length);
  const sign = type === 'FFT' || type === 'RFFT' ? -1 : 1;
  const scale = sign < 0 ? 1 : 1 / points;
  const last = length[rank - 1];
  const [from] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const source = registers[from] as Float64Array;
    const target = registers[to] as Float64Array;
    for (let batch = 0; batch < batches; batch++) {
      const data = new Float64Array(2 * points);
      readBox(source, batch * numel(inputSizes), inputSizes, length, isComplex(input.dtype), data);
      for (let axis = 0; axis < rank; axis++) {
        if (type === 'IRFFT' && axis === rank - 1) completeSpectrum(data, length);
        transformAxis(data, length, axis, sign);
      }
      const width = outputSizes[rank - 1];
      const rows = points / last;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < width; column++) {
          const at = 2 * (row * last + column);
          const result = batch * rows * width + row * width + column;
          if (isComplex(output.dtype)) {
            target[2 * result] = data[at] * scale;
            target[2 * result + 1] = data[at + 1] * scale;
          } else target[result] = data[at] * scale;
        }
      }
    }
  };
};

/** Reads a box into one of `length`, the rest of each row zero. */
function readBox(
  source: TypedArray,
  start: number,
  sizes: readonly number[],
  length: readonly number[],
  complex: boolean,
  data: Float64Array,
): void {
  const width = sizes[sizes.length - 1];
  const full = length[length.length - 1];
  const rows = numel(length) / Math.max(full, 1);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) {
      const from = start + row * width + column;
      const at = 2 * (row * full + column);
      data[at] = source[complex ? 2 * from : from] as number;
      if (complex) data[at + 1] = source[2 * from + 1] as number;
    }
  }
}

/** The other half of each row from its conjugate symmetry; the ends, which are their own mirror, are real. */
function completeSpectrum(data: Float64Array, length: readonly number[]): void {
  const n = length[length.length - 1];
  for (let start = 0; start < data.length; start += 2 * n) {
    data[start + 1] = 0;
    if (n % 2 === 0) data[start + n + 1] = 0;
    for (let k = Math.floor(n / 2) + 1; k < n; k++) {
      data[start + 2 * k] = data[start + 2 * (n - k)];
      data[start + 2 * k + 1] = -data[start + 2 * (n - k) + 1];
    }
  }
}

export const fftEmitters: Readonly<Record<string, Emitter>> = { fft };
