// The 32-bit Mersenne twister, as PyTorch steps it (ATen/core/MT19937RNGEngine.h), so that states can be exchanged.

const size = 624;
const shift = 397;

export class MersenneTwister {
  readonly state = new Uint32Array(size);
  /** Draws left before the state is stepped, and the position of the next. */
  left = 1;
  next = 0;

  constructor(seed: number) {
    this.seed(seed);
  }

  /** Starts over from the low 32 bits of `seed`. */
  seed(seed: number): void {
    const { state } = this;
    state[0] = seed >>> 0;
    for (let index = 1; index < size; index++) {
      const previous = state[index - 1] ^ (state[index - 1] >>> 30);
      state[index] = Math.imul(1812433253, previous) + index;
    }
    this.left = 1;
    this.next = 0;
  }

  /** The next 32 random bits. */
  draw(): number {
    if (--this.left === 0) this.step();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  private step(): void {
    const { state } = this;
    for (let index = 0; index < size; index++) {
      const mixed = (state[index] & 0x80000000) | (state[(index + 1) % size] & 0x7fffffff);
      state[index] = state[(index + shift) % size] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.left = size;
    this.next = 0;
  }
}
