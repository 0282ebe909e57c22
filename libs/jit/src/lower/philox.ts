// Random numbers of lowered graphs: a counter-based generator whose state is a value of the graph, so that the stream can
// be split, replayed and shipped. Distributions are made from its bits as PyTorch makes them from uniform numbers.
import type { CoreBuilder, DType, RandomRequest, RandomSource, Value } from '@weft/ir';
import { dtypes, numel, tensorSpec } from '@weft/ir';
import type { Journal } from './journal.ts';
import type { SymbolicStorage } from './symbolic.ts';

/** uint64[2]: key and counter. */
export const randomStateSpec = tensorSpec('uint64', [2]);

/** Draws from a storage that holds the state, so that branches and loops carry it as they carry any mutated tensor. */
export class PhiloxSource implements RandomSource {
  isUsed = false;

  constructor(
    private readonly state: SymbolicStorage,
    private readonly journal: Journal,
  ) {}

  draw(b: CoreBuilder, request: RandomRequest): Value {
    this.isUsed = true;
    const { dtype, sizes, parameters } = request;
    const work: DType = dtype === 'float64' ? 'float64' : 'float32';
    switch (request.distribution) {
      case 'uniform': {
        const [from = 0, to = 1] = parameters;
        return b.convert(affine(b, this.uniform(b, work, sizes), to - from, from), dtype);
      }
      case 'normal': {
        const [mean = 0, deviation = 1] = parameters;
        return b.convert(affine(b, this.normal(b, work, sizes), deviation, mean), dtype);
      }
      case 'log_normal': {
        const [mean = 0, deviation = 1] = parameters;
        return b.convert(b.exponential(affine(b, this.normal(b, work, sizes), deviation, mean)), dtype);
      }
      case 'bernoulli': {
        const uniform = this.uniform(b, work, sizes);
        return b.convert(b.compare(uniform, b.fullLike(uniform, parameters[0] ?? 0.5), 'LT'), dtype);
      }
      case 'exponential': {
        const uniform = this.uniform(b, work, sizes);
        return b.convert(affine(b, b.logPlusOne(b.negate(uniform)), -1 / (parameters[0] ?? 1), 0), dtype);
      }
      case 'randint': {
        const [from = 0, to = 2 ** 31] = parameters;
        const bits = b.convert(
          b.shiftRightLogical(this.bits(b, 'uint64', sizes), b.full(1, 'uint64', sizes)),
          'int64',
        );
        const range = b.full(BigInt(to) - BigInt(from), 'int64', sizes);
        return b.convert(b.add(b.remainder(bits, range), b.full(BigInt(from), 'int64', sizes)), dtype);
      }
      case 'randperm': {
        const keys = this.bits(b, 'uint32', sizes);
        const [, order] = b.sort([keys, b.iota('int64', sizes, 0)], 0, true, (c, p, q) => [
          c.compare(p, q, 'LT'),
        ]);
        return b.convert(order, dtype);
      }
      default:
        return request.distribution satisfies never;
    }
  }

  private bits(b: CoreBuilder, dtype: DType, sizes: readonly number[]): Value {
    const [next, bits] = b.rngBitGenerator(this.state.value, dtype, sizes);
    this.journal.touch(this.state);
    this.state.replace(next);
    return bits;
  }

  /** In [0, 1): 24 or 53 random bits. */
  private uniform(b: CoreBuilder, dtype: DType, sizes: readonly number[]): Value {
    const isDouble = dtype === 'float64';
    const word: DType = isDouble ? 'uint64' : 'uint32';
    const kept = isDouble ? 53 : 24;
    const shift = dtypes[word].bytes * 8 - kept;
    const top = b.shiftRightLogical(this.bits(b, word, sizes), b.full(shift, word, sizes));
    return b.multiply(b.convert(top, dtype), b.full(2 ** -kept, dtype, sizes));
  }

  /** Box–Muller: two normals from two uniforms. */
  private normal(b: CoreBuilder, dtype: DType, sizes: readonly number[]): Value {
    const count = numel(sizes);
    const half = [Math.ceil(count / 2)];
    const radius = b.sqrt(affine(b, b.logPlusOne(b.negate(this.uniform(b, dtype, half))), -2, 0));
    const angle = affine(b, this.uniform(b, dtype, half), 2 * Math.PI, 0);
    const both = b.concatenate([b.multiply(radius, b.cosine(angle)), b.multiply(radius, b.sine(angle))], 0);
    return b.reshape(count % 2 === 0 ? both : b.slice(both, [0], [count]), sizes);
  }
}

function affine(b: CoreBuilder, x: Value, scale: number, shift: number): Value {
  const scaled = scale === 1 ? x : b.multiply(x, b.fullLike(x, scale));
  return shift === 0 ? scaled : b.add(scaled, b.fullLike(scaled, shift));
}
