// How fast this machine runs the reference device: measured once, when first asked for.
import { contract } from './matmul.ts';

let flops: number | undefined;
let bandwidth: number | undefined;

/** Floating-point operations a second of a large float32 product. */
export function measureFlops(): number {
  if (flops === undefined) {
    const size = 160;
    const a = new Float32Array(size * size).fill(0.5);
    const out = new Float32Array(size * size);
    const once = () => contract(a, 0, size, 1, a, 0, size, 1, out, 0, size, size, size);
    for (let warm = 0; warm < 3; warm++) once();
    flops = (2 * size ** 3) / bestSeconds(once);
  }
  return flops;
}

/** Bytes a second of a large copy, read and written. */
export function measureBandwidth(): number {
  if (bandwidth === undefined) {
    const from = new Float64Array(1 << 20).fill(1);
    const to = new Float64Array(from.length);
    bandwidth = (2 * from.byteLength) / bestSeconds(() => to.set(from));
  }
  return bandwidth;
}

function bestSeconds(run: () => void): number {
  let best = Infinity;
  for (let trial = 0; trial < 5; trial++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return Math.max(best, 1e-4) / 1000;
}
