// Fills what lowerings ask for with PyTorch's numbers: the same draws from the same generator in the same order.
import type { DType, RandomRequest } from '@weft/ir';
import { OperatorError, TensorLiteral, dtypes, float16Bits, bfloat16Bits, numel } from '@weft/ir';
import type { Geometry } from '@weft/ops';
import { contiguousStrides, memoryOrder } from '@weft/ops';
import { bfloat16Value, float16Value, typedArrayOf } from '../elements.ts';
import { fma } from './fma.ts';
import type { Generator } from './generator.ts';
import { logarithm, sineAndCosine } from './vector-math.ts';

type Write = (index: number, value: number | bigint) => void;

/** Elements of a half dtype are stored as bits. */
const encoders: Partial<Record<DType, (value: number) => number>> = {
  float16: float16Bits,
  bfloat16: bfloat16Bits,
};
/** PyTorch computes half dtypes step by step in themselves. */
const roundings: Partial<Record<DType, (value: number) => number>> = {
  float16: (value) => float16Value(float16Bits(value)),
  bfloat16: (value) => bfloat16Value(bfloat16Bits(value)),
};
/** Bits of a draw that a uniform of the dtype keeps. */
const uniformBits: Partial<Record<DType, number>> = { float32: 24, float16: 11, bfloat16: 8 };

/**
 * Values for a request, row-major.
 * @param target how the tensor that is filled lies, when it is not row-major: elements are drawn in the order of its memory
 */
export function fillRequest(
  generator: Generator,
  request: RandomRequest,
  target: Geometry | null,
): TensorLiteral {
  const { dtype, sizes, distribution } = request;
  const bytes = new Uint8Array(numel(sizes) * dtypes[dtype].bytes);
  const array = typedArrayOf(dtype, bytes);
  const encode = encoders[dtype];
  const big = dtype === 'int64' || dtype === 'uint64';
  const put: Write = (index, value) => {
    if (big) array[index] = BigInt(value);
    else array[index] = encode === undefined ? Number(value) : encode(Number(value));
  };
  const order = target === null ? null : drawOrder(sizes, target.strides);
  const write: Write = order === null ? put : (index, value) => put(order[index], value);
  fills[distribution](generator, request, array.length, write, order === null);
  return new TensorLiteral(dtype, sizes, bytes);
}

/** Row-major position of each element in the order in which the elements lie in memory. */
function drawOrder(sizes: readonly number[], strides: readonly number[]): number[] {
  const dims = memoryOrder(sizes, strides);
  const steps = contiguousStrides(sizes);
  let positions = [0];
  for (const dim of dims) {
    positions = positions.flatMap((at) =>
      Array.from({ length: sizes[dim] }, (_, index) => at + index * steps[dim]),
    );
  }
  return positions;
}

type Fill = (g: Generator, request: RandomRequest, count: number, write: Write, rowMajor: boolean) => void;

const fills: Readonly<Record<RandomRequest['distribution'], Fill>> = {
  uniform(g, { dtype, parameters: [from, to] }, count, write) {
    const next = uniform(g, dtype, from, to);
    for (let index = 0; index < count; index++) write(index, next());
  },
  normal(g, request, count, write, rowMajor) {
    const [mean, std] = request.parameters;
    const { category } = dtypes[request.dtype];
    const scale = category === 'complex' ? std / Math.SQRT2 : std;
    if (count >= 16 && rowMajor) return normalBlocks(g, request.dtype, count, write, mean, scale);
    for (let index = 0; index < count; index++) write(index, g.normal64() * scale + mean);
  },
  log_normal(g, { parameters: [mean, std] }, count, write) {
    for (let index = 0; index < count; index++) write(index, Math.exp(g.normal64() * std + mean));
  },
  bernoulli(g, { parameters: [p] }, count, write) {
    for (let index = 0; index < count; index++) write(index, g.uniform64() < p ? 1 : 0);
  },
  exponential(g, { parameters: [lambda] }, count, write) {
    for (let index = 0; index < count; index++) write(index, (-1 / lambda) * Math.log1p(-g.uniform64()));
  },
  randint(g, { parameters: [from, to] }, count, write) {
    const range = to - from;
    if (range >= 2 ** 32) {
      const [low, wide] = [BigInt(from), BigInt(to) - BigInt(from)];
      for (let index = 0; index < count; index++) write(index, (g.random64() % wide) + low);
    } else for (let index = 0; index < count; index++) write(index, (g.random() % range) + from);
  },
  randperm(g, _request, count, write) {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let index = 0; index < count - 1; index++) {
      const other = index + (g.random() % (count - index));
      [order[index], order[other]] = [order[other], order[index]];
    }
    order.forEach((value, index) => write(index, value));
  },
};

/** Draws uniforms of a dtype in [from, to): one fused multiply-add of a fraction. */
function uniform(g: Generator, dtype: DType, from: number, to: number): () => number {
  if (dtype === 'float64' || dtype === 'complex128') return () => fma(g.uniform64(), to - from, from);
  const bits = uniformBits[dtype === 'complex64' ? 'float32' : dtype];
  if (bits === undefined) throw new OperatorError(`uniform numbers are not implemented for ${dtype}`);
  const [mask, step] = [2 ** bits - 1, 2 ** -bits];
  const low = Math.fround(from);
  const width = Math.fround(Math.fround(to) - low);
  return () => (g.random() & mask) * step * width + low;
}

/** Sixteen or more normals, contiguous: uniforms in blocks of 16, of which j and j + 8 make two normals. */
function normalBlocks(
  g: Generator,
  dtype: DType,
  count: number,
  write: Write,
  mean: number,
  std: number,
): void {
  const real: DType = dtype === 'complex64' ? 'float32' : dtype === 'complex128' ? 'float64' : dtype;
  const next = uniform(g, real, 0, 1);
  const round = roundings[real] ?? ((value: number): number => value);
  const uniforms = Array.from({ length: count }, () => round(next()));
  const pair = real === 'float32' ? normalPair : roundedPair(round);
  const block = (at: number): void => {
    for (let j = at; j < at + 8; j++) {
      const [first, second] = pair(uniforms[j], uniforms[j + 8], mean, std);
      write(j, first);
      write(j + 8, second);
    }
  };
  for (let at = 0; at + 16 <= count; at += 16) block(at);
  if (count % 16 === 0) return;
  for (let j = count - 16; j < count; j++) uniforms[j] = round(next());
  block(count - 16);
}

type Pair = (u: number, v: number, mean: number, std: number) => [number, number];

const twoPi = Math.fround(2 * Math.PI);

/** Two normals of two float32 uniforms, as the vectorised fill makes them. */
const normalPair: Pair = (u, v, mean, std) => {
  const radius = Math.fround(Math.sqrt(Math.fround(-2 * logarithm(Math.fround(1 - u)))));
  const [sine, cosine] = sineAndCosine(Math.fround(twoPi * v));
  const [scale, shift] = [Math.fround(std), Math.fround(mean)];
  return [Math.fround(radius * cosine) * scale + shift, Math.fround(radius * sine) * scale + shift];
};

/** Two normals, every step rounded to the dtype. */
const roundedPair =
  (round: (value: number) => number): Pair =>
  (u, v, mean, std) => {
    const radius = round(Math.sqrt(round(-2 * round(Math.log(round(1 - u))))));
    const angle = round(2 * Math.PI * v);
    return [
      round(round(radius * round(Math.cos(angle))) * std) + mean,
      round(round(radius * round(Math.sin(angle))) * std) + mean,
    ];
  };
