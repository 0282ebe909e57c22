// Random number generators: PyTorch's CPU generator with its kept second normal, and the exchange of states with it.
import type { GeneratorLike } from '@weft/ir';
import { OperatorError } from '@weft/ir';
import { MersenneTwister } from './mt19937.ts';

/** PyTorch's seed of generators that nobody seeded. */
const defaultSeed = 67280421310721n;
/** Bytes of PyTorch's state of a CPU generator. */
const stateBytes = 5056;

export class Generator implements GeneratorLike {
  readonly isGenerator = true;
  private seeded: bigint;
  private readonly engine: MersenneTwister;
  /** The second normal of a pair, kept for the next call. */
  nextNormal: number | null = null;
  private nextFloatNormal: number | null = null;

  constructor(seed: number | bigint = defaultSeed) {
    this.seeded = BigInt.asUintN(64, BigInt(seed));
    this.engine = new MersenneTwister(Number(this.seeded & 0xffffffffn));
  }

  /** Starts over; equal seeds give equal numbers, those of PyTorch. */
  manualSeed(seed: number | bigint): this {
    this.seeded = BigInt.asUintN(64, BigInt(seed));
    this.engine.seed(Number(this.seeded & 0xffffffffn));
    this.nextNormal = this.nextFloatNormal = null;
    return this;
  }

  /** The seed that the generator started from. */
  initialSeed(): bigint {
    return this.seeded;
  }

  /** Seeds from the clock and the process; returns the seed. */
  seed(): bigint {
    const seed = process.hrtime.bigint() ^ (BigInt(process.pid) << 32n);
    this.manualSeed(seed);
    return this.seeded;
  }

  /** 32 random bits. */
  random(): number {
    return this.engine.draw();
  }

  /** 64 random bits, the first draw high. */
  random64(): bigint {
    const high = this.engine.draw();
    return (BigInt(high) << 32n) | BigInt(this.engine.draw());
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform64(): number {
    const high = this.engine.draw();
    const low = this.engine.draw();
    return ((high & 0x1fffff) * 2 ** 32 + low) * 2 ** -53;
  }

  /** Standard normal, in double precision, in pairs. */
  normal64(): number {
    if (this.nextNormal !== null) {
      const kept = this.nextNormal;
      this.nextNormal = null;
      return kept;
    }
    const u = this.uniform64();
    const v = this.uniform64();
    const radius = Math.sqrt(-2 * Math.log1p(-v));
    const angle = 2 * Math.PI * u;
    this.nextNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** The state in PyTorch's layout (CPUGeneratorImplState). */
  getState(): Uint8Array {
    const view = new DataView(new ArrayBuffer(stateBytes));
    view.setBigUint64(0, this.seeded, true);
    view.setInt32(8, this.engine.left, true);
    view.setInt32(12, 1, true);
    view.setBigUint64(16, BigInt(this.engine.next), true);
    this.engine.state.forEach((word, index) => view.setBigUint64(24 + 8 * index, BigInt(word), true));
    if (this.nextNormal !== null) {
      view.setFloat64(5024, this.nextNormal, true);
      view.setInt32(5040, 1, true);
    }
    if (this.nextFloatNormal !== null) {
      view.setFloat32(5048, this.nextFloatNormal, true);
      view.setUint8(5052, 1);
    }
    return new Uint8Array(view.buffer);
  }

  /** Takes on a state in PyTorch's layout. */
  setState(state: Uint8Array): this {
    if (state.byteLength !== stateBytes) {
      throw new OperatorError(
        `Expected a CPUGeneratorImplState of size ${stateBytes} but found the input RNG state size to be ${state.byteLength}`,
      );
    }
    const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
    this.seeded = view.getBigUint64(0, true);
    this.engine.left = view.getInt32(8, true);
    this.engine.next = Number(view.getBigUint64(16, true));
    for (let index = 0; index < 624; index++) {
      this.engine.state[index] = Number(view.getBigUint64(24 + 8 * index, true));
    }
    this.nextNormal = view.getInt32(5040, true) === 0 ? null : view.getFloat64(5024, true);
    this.nextFloatNormal = view.getUint8(5052) === 0 ? null : view.getFloat32(5048, true);
    return this;
  }
}

/** The generator that operators use when none is given. */
export const defaultGenerator = new Generator();

/** Seeds the default generator: equal seeds give equal programs equal numbers, those of PyTorch. */
export const manualSeed = (seed: number | bigint): Generator => defaultGenerator.manualSeed(seed);
