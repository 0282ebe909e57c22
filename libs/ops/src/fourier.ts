// Discrete Fourier transforms: fft_* in all their forms, stft and istft.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { isComplex } from '@weft/ir';
import { lowerings } from './operator.ts';
import { toFloat } from './promotion.ts';
import { check, fail, range, rankOf, sizesOf, wrapDim, wrapDims } from './broadcast.ts';
import { dtypeOf, times } from './elementwise.ts';
import { padDim, sliceDim, swapDims } from './shapes.ts';
import { putSlices, takeSlices } from './gathering.ts';
import { constantPad, padPositions, takePositions } from './padding.ts';
import type { Viewed } from './operator.ts';
import type { ResultLayout } from './result-layout.ts';
import { layouts } from './result-layout.ts';

type Sizes = readonly number[];
type Transform = 'FFT' | 'IFFT' | 'RFFT' | 'IRFFT';

const complexOf = (dtype: DType): DType =>
  dtype === 'float64' || dtype === 'complex128' ? 'complex128' : 'complex64';

const toReal = (b: CoreBuilder, x: Value): Value => {
  check(!isComplex(dtypeOf(x)), () => `rfft expects a real input tensor, but got ${dtypeOf(x)}`);
  return b.convert(
    x,
    dtypeOf(x) === 'float64' ? 'float64' : toFloat(dtypeOf(x)) === 'float64' ? 'float64' : 'float32',
  );
};
const toComplex = (b: CoreBuilder, x: Value): Value => b.convert(x, complexOf(dtypeOf(x)));
const conjugate = (b: CoreBuilder, x: Value): Value => b.complex(b.real(x), b.negate(b.imag(x)));
/** Scaling of complex numbers by a real number. */
const scaled = (b: CoreBuilder, x: Value, factor: number): Value => (factor === 1 ? x : times(b, x, factor));

/** Cuts or pads a dimension with zeros to `n`. */
function resized(b: CoreBuilder, x: Value, dim: number, n: number): Value {
  check(n >= 1, () => `Invalid number of data points (${n}) specified`);
  const size = sizesOf(x)[dim];
  if (n < size) return sliceDim(b, x, dim, 0, n);
  return padDim(b, x, b.full(0, dtypeOf(x)), dim, 0, n - size);
}

/** The factor that a norm asks for: `backward` scales inverses, `forward` the others, `ortho` both by the root. */
function normFactor(norm: string | null, n: number, isForward: boolean): number {
  switch (norm) {
    case null:
    case 'backward':
      return isForward ? 1 : 1 / n;
    case 'forward':
      return isForward ? 1 / n : 1;
    case 'ortho':
      return 1 / Math.sqrt(n);
    default:
      return fail(`Invalid normalization mode: "${norm}"`);
  }
}

/** One transform along a dimension. The core operator scales inverses by 1/n, which is undone here. */
function transform(b: CoreBuilder, x: Value, type: Transform, dim: number, n: number): Value {
  const last = rankOf(x) - 1;
  const moved = swapDims(b, x, dim, last);
  const result = b.fft(moved, type, [n]);
  const whole = type === 'IFFT' || type === 'IRFFT' ? times(b, result, n) : result;
  return swapDims(b, whole, dim, last);
}

/** Complex to complex along one dimension. */
function c2c(
  b: CoreBuilder,
  self: Value,
  n: number | null,
  dim: number,
  norm: string | null,
  isForward: boolean,
): Value {
  const axis = wrapDim(dim, rankOf(self));
  const length = n ?? sizesOf(self)[axis];
  const x = resized(b, toComplex(b, self), axis, length);
  return scaled(
    b,
    transform(b, x, isForward ? 'FFT' : 'IFFT', axis, length),
    normFactor(norm, length, isForward),
  );
}

function rfft(
  b: CoreBuilder,
  self: Value,
  n: number | null,
  dim: number,
  norm: string | null,
  isForward = true,
): Value {
  const axis = wrapDim(dim, rankOf(self));
  const length = n ?? sizesOf(self)[axis];
  const x = resized(b, toReal(b, self), axis, length);
  const half = transform(b, x, 'RFFT', axis, length);
  const result = scaled(b, half, normFactor(norm, length, isForward));
  return isForward ? result : conjugate(b, result);
}

function irfft(
  b: CoreBuilder,
  self: Value,
  n: number | null,
  dim: number,
  norm: string | null,
  isForward = false,
): Value {
  const axis = wrapDim(dim, rankOf(self));
  const length = n ?? 2 * (sizesOf(self)[axis] - 1);
  check(length >= 1, () => `Invalid number of data points (${length}) specified`);
  const x = resized(b, toComplex(b, self), axis, Math.floor(length / 2) + 1);
  const input = isForward ? conjugate(b, x) : x;
  return scaled(b, transform(b, input, 'IRFFT', axis, length), normFactor(norm, length, isForward));
}

/** Dimensions and lengths of a transform of several dimensions. */
function shapeOf(self: Value, s: Sizes | null, dim: Sizes | null): { dims: number[]; lengths: number[] } {
  const rank = rankOf(self);
  const dims =
    dim !== null ? wrapDims(dim, rank) : s !== null ? range(s.length, rank - s.length) : range(rank);
  check(
    s === null || s.length === dims.length,
    () => 'When given, dim and shape arguments must have the same length',
  );
  const lengths = dims.map((each, at) => (s === null || s[at] === -1 ? sizesOf(self)[each] : s[at]));
  return { dims, lengths };
}

function fftn(
  b: CoreBuilder,
  self: Value,
  s: Sizes | null,
  dim: Sizes | null,
  norm: string | null,
  isForward: boolean,
): Value {
  const { dims, lengths } = shapeOf(self, s, dim);
  return dims.reduce((x, each, at) => c2c(b, x, lengths[at], each, norm, isForward), toComplex(b, self));
}

function rfftn(b: CoreBuilder, self: Value, s: Sizes | null, dim: Sizes | null, norm: string | null): Value {
  const { dims, lengths } = shapeOf(self, s, dim);
  check(dims.length > 0, () => 'rfftn must transform at least one axis');
  const half = rfft(b, self, lengths.at(-1)!, dims.at(-1)!, norm);
  return dims.slice(0, -1).reduce((x, each, at) => c2c(b, x, lengths[at], each, norm, true), half);
}

function irfftn(b: CoreBuilder, self: Value, s: Sizes | null, dim: Sizes | null, norm: string | null): Value {
  const { dims, lengths } = shapeOf(self, s, dim);
  check(dims.length > 0, () => 'irfftn must transform at least one axis');
  const last = dims.at(-1)!;
  const length = s === null || s.at(-1) === -1 ? 2 * (sizesOf(self)[last] - 1) : lengths.at(-1)!;
  const whole = dims
    .slice(0, -1)
    .reduce((x, each, at) => c2c(b, x, lengths[at], each, norm, false), toComplex(b, self));
  return irfft(b, whole, length, last, norm);
}

/** Of Hermitian input: complex transforms of all dimensions but the last, whose result is real. */
function hfftn(b: CoreBuilder, self: Value, s: Sizes | null, dim: Sizes | null, norm: string | null): Value {
  const { dims, lengths } = shapeOf(self, s, dim);
  const last = dims.at(-1)!;
  const length = s === null || s.at(-1) === -1 ? 2 * (sizesOf(self)[last] - 1) : lengths.at(-1)!;
  const whole = dims
    .slice(0, -1)
    .reduce((x, each, at) => c2c(b, x, lengths[at], each, norm, true), toComplex(b, self));
  return irfft(b, whole, length, last, norm, true);
}

function ihfftn(b: CoreBuilder, self: Value, s: Sizes | null, dim: Sizes | null, norm: string | null): Value {
  const { dims, lengths } = shapeOf(self, s, dim);
  const half = rfft(b, self, lengths.at(-1)!, dims.at(-1)!, norm, false);
  return dims.slice(0, -1).reduce((x, each, at) => c2c(b, x, lengths[at], each, norm, false), half);
}

function shifted(b: CoreBuilder, self: Value, dim: Sizes | null, isInverse: boolean): Value {
  const dims = wrapDims(dim, rankOf(self));
  return dims.reduce((x, each) => {
    const size = sizesOf(x)[each];
    const by = isInverse ? Math.floor(size / 2) : size - Math.floor(size / 2);
    if (by === 0 || by === size) return x;
    return b.concatenate([sliceDim(b, x, each, by, size), sliceDim(b, x, each, 0, by)], each);
  }, self);
}

// ---- short time ---------------------------------------------------------------------------------------------------

/** The window centred in n_fft samples; ones without a window. */
function windowOf(b: CoreBuilder, window: Value | null, length: number, nFft: number, dtype: DType): Value {
  const given = window === null ? b.full(1, dtype, [length]) : window;
  check(
    rankOf(given) === 1 && sizesOf(given)[0] === length,
    () =>
      `expected a 1D window tensor of size equal to win_length=${length}, but got window with size [${sizesOf(given).join(', ')}]`,
  );
  const left = Math.floor((nFft - length) / 2);
  return padDim(b, given, b.full(0, dtypeOf(given)), 0, left, nFft - length - left);
}

function stft(
  b: CoreBuilder,
  self: Value,
  nFft: number,
  hopLength: number | null,
  winLength: number | null,
  window: Value | null,
  normalized: boolean,
  onesided: boolean | null,
  returnComplex: boolean | null,
): Value {
  const hop = hopLength ?? Math.floor(nFft / 4);
  const length = winLength ?? nFft;
  const complexInput = isComplex(dtypeOf(self)) || (window !== null && isComplex(dtypeOf(window)));
  const single = rankOf(self) === 1;
  const x = single ? b.reshape(self, [1, sizesOf(self)[0]]) : self;
  check(rankOf(x) === 2, () => `stft: expected a 1D or 2D tensor`);
  const samples = sizesOf(x)[1];
  check(
    nFft > 0 && nFft <= samples,
    () =>
      `stft(torch.FloatTensor[${sizesOf(self).join(', ')}], n_fft=${nFft}, ...): expected 0 < n_fft < ${samples}, but got n_fft=${nFft}`,
  );
  check(hop > 0, () => `stft: expected hop_length > 0, but got hop_length=${hop}`);
  const frames = Math.floor((samples - nFft) / hop) + 1;
  const grid = [frames, nFft];
  const index = b.add(times(b, b.iota('int64', grid, 0), hop), b.iota('int64', grid, 1));
  const cut = takeSlices(b, x, index, 1);
  const shape = sizesOf(cut);
  const w = b.broadcastInDim(windowOf(b, window, length, nFft, dtypeOf(self)), shape, [2]);
  const dtype = complexInput ? complexOf(dtypeOf(self)) : dtypeOf(self);
  const product = b.multiply(b.convert(cut, dtype), b.convert(w, dtype));
  const half = onesided ?? !complexInput;
  const norm = normalized ? 'ortho' : null;
  const spectrum = half ? rfft(b, product, nFft, 2, norm) : c2c(b, product, nFft, 2, norm, true);
  const turned = swapDims(b, spectrum, 1, 2);
  const result = single ? b.reshape(turned, sizesOf(turned).slice(1)) : turned;
  if (returnComplex ?? complexInput) return result;
  const column = (part: Value): Value => b.reshape(part, [...sizesOf(part), 1]);
  return b.concatenate([column(b.real(result)), column(b.imag(result))], rankOf(result));
}

function istft(
  b: CoreBuilder,
  self: Value,
  nFft: number,
  hopLength: number | null,
  winLength: number | null,
  window: Value | null,
  center: boolean,
  normalized: boolean,
  onesided: boolean | null,
  length: number | null,
  returnComplex: boolean,
): Value {
  const hop = hopLength ?? Math.floor(nFft / 4);
  const width = winLength ?? nFft;
  const input = isComplex(dtypeOf(self)) ? self : joinParts(b, self);
  const single = rankOf(input) === 2;
  const x = single ? b.reshape(input, [1, ...sizesOf(input)]) : input;
  const [batch, bins, frames] = sizesOf(x);
  const half = onesided ?? bins !== nFft;
  check(
    bins === (half ? Math.floor(nFft / 2) + 1 : nFft),
    () =>
      `istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when onesided=True, but got ${bins}`,
  );
  const norm = normalized ? 'ortho' : null;
  const spectra = swapDims(b, x, 1, 2);
  const whole = half ? irfft(b, spectra, nFft, 2, norm) : c2c(b, spectra, nFft, 2, norm, false);
  const signal = returnComplex || half ? whole : b.real(whole);
  const dtype = dtypeOf(signal);
  const w = b.convert(windowOf(b, window, width, nFft, window === null ? dtype : dtypeOf(window)), dtype);
  const weightedFrames = b.multiply(signal, b.broadcastInDim(w, [batch, frames, nFft], [2]));
  const samples = nFft + hop * (frames - 1);
  const grid = [frames, nFft];
  const index = b.add(times(b, b.iota('int64', grid, 0), hop), b.iota('int64', grid, 1));
  const overlapped = putSlices(b, b.full(0, dtype, [batch, samples]), index, weightedFrames, 1, 'add');
  const squares = b.broadcastInDim(b.multiply(w, w), grid, [1]);
  const envelope = putSlices(b, b.full(0, dtype, [samples]), index, squares, 0, 'add');
  const start = center ? Math.floor(nFft / 2) : 0;
  const end = length !== null ? start + length : center ? samples - Math.floor(nFft / 2) : samples;
  const cutAt = Math.min(end, samples);
  const top = sliceDim(b, overlapped, 1, start, cutAt);
  const bottom = b.broadcastInDim(sliceDim(b, envelope, 0, start, cutAt), sizesOf(top), [1]);
  const ratio = b.divide(top, bottom);
  const filled = padDim(b, ratio, b.full(0, dtype), 1, 0, end - cutAt);
  return single ? b.reshape(filled, [end - start]) : filled;
}

function joinParts(b: CoreBuilder, x: Value): Value {
  const lead = sizesOf(x).slice(0, -1);
  const part = (at: number): Value =>
    b.reshape(b.slice(x, [...lead.map(() => 0), at], [...lead, at + 1]), lead);
  return b.complex(part(0), part(1));
}

type StftArguments = [
  Value,
  number,
  number | null,
  number | null,
  Value | null,
  boolean,
  boolean | null,
  boolean | null,
];

lowerings({
  'aten::fft_fft': (b, self: Value, n: number | null, dim: number, norm: string | null) =>
    c2c(b, self, n, dim, norm, true),
  'aten::fft_ifft': (b, self: Value, n: number | null, dim: number, norm: string | null) =>
    c2c(b, self, n, dim, norm, false),
  'aten::fft_rfft': (b, self: Value, n: number | null, dim: number, norm: string | null) =>
    rfft(b, self, n, dim, norm),
  'aten::fft_irfft': (b, self: Value, n: number | null, dim: number, norm: string | null) =>
    irfft(b, self, n, dim, norm),
  'aten::fft_hfft': (b, self: Value, n: number | null, dim: number, norm: string | null) =>
    irfft(b, self, n, dim, norm, true),
  'aten::fft_ihfft': (b, self: Value, n: number | null, dim: number, norm: string | null) =>
    rfft(b, self, n, dim, norm, false),
  'aten::fft_fft2': (b, self: Value, s: Sizes | null, dim: Sizes, norm: string | null) =>
    fftn(b, self, s, dim, norm, true),
  'aten::fft_ifft2': (b, self: Value, s: Sizes | null, dim: Sizes, norm: string | null) =>
    fftn(b, self, s, dim, norm, false),
  'aten::fft_fftn': (b, self: Value, s: Sizes | null, dim: Sizes | null, norm: string | null) =>
    fftn(b, self, s, dim, norm, true),
  'aten::fft_ifftn': (b, self: Value, s: Sizes | null, dim: Sizes | null, norm: string | null) =>
    fftn(b, self, s, dim, norm, false),
  'aten::fft_rfft2': rfftn,
  'aten::fft_rfftn': rfftn,
  'aten::fft_irfft2': irfftn,
  'aten::fft_irfftn': irfftn,
  'aten::fft_hfft2': hfftn,
  'aten::fft_hfftn': hfftn,
  'aten::fft_ihfft2': ihfftn,
  'aten::fft_ihfftn': ihfftn,
  'aten::fft_fftshift': (b, self: Value, dim: Sizes | null) => shifted(b, self, dim, false),
  'aten::fft_ifftshift': (b, self: Value, dim: Sizes | null) => shifted(b, self, dim, true),
  'aten::stft': (b, ...args: StftArguments) => stft(b, ...args),
  'aten::stft.center': (
    b,
    self: Value,
    nFft: number,
    hop: number | null,
    width: number | null,
    window: Value | null,
    center: boolean,
    mode: string,
    normalized: boolean,
    onesided: boolean | null,
    returnComplex: boolean | null,
  ) =>
    stft(
      b,
      center ? centred(b, self, Math.floor(nFft / 2), mode) : self,
      nFft,
      hop,
      width,
      window,
      normalized,
      onesided,
      returnComplex,
    ),
  'aten::istft': istft,
});

function centred(b: CoreBuilder, self: Value, by: number, mode: string): Value {
  const dim = rankOf(self) - 1;
  if (mode === 'constant') return constantPad(b, self, [by, by], 0);
  return takePositions(
    b,
    self,
    dim,
    padPositions(sizesOf(self)[dim], by, by, mode === 'replicate' ? 'replicate' : mode),
  );
}

/** Frames are transformed one after the other and seen as the last dimension but the parts'. */
const framesFirst = (returnComplex: number): ResultLayout => ({
  kind: 'order',
  order: ({ args }, { length }) => {
    const isWhole = args[returnComplex] === true || isComplex((args[0] as unknown as Viewed).dtype);
    const frames = length - (isWhole ? 1 : 2);
    return [...range(frames - 1), frames, frames - 1, ...range(length - frames - 1, frames + 1)];
  },
});

layouts({ 'aten::stft': framesFirst(7), 'aten::stft.center': framesFirst(9) });
