// How fast the cpu device is on this machine: measured once, when first asked for, through the device itself.
import type { TensorSpec } from '@weft/ir';
import { CoreBuilder, Graph, tensorSpec } from '@weft/ir';
import { byteLengthOf } from '../host.ts';
import { cpuDevice } from './device.ts';

let flops: number | undefined;
let bandwidth: number | undefined;

/** Floating-point operations a second of a large float32 product. */
export function measureFlops(): number {
  const size = 512;
  return (flops ??=
    (2 * size ** 3) /
    bestSeconds([tensorSpec('float32', [size, size])], (b, x) =>
      b.dotGeneral(x, x, { lhsContracting: [1], rhsContracting: [0] }),
    ));
}

/** Bytes a second of a large elementwise operator, read and written. */
export function measureBandwidth(): number {
  const count = 1 << 23;
  return (bandwidth ??= (8 * count) / bestSeconds([tensorSpec('float32', [count])], (b, x) => b.negate(x)));
}

function bestSeconds(
  specs: readonly TensorSpec[],
  build: (b: CoreBuilder, x: ReturnType<CoreBuilder['input']>) => ReturnType<CoreBuilder['input']>,
): number {
  const device = cpuDevice();
  const graph = new Graph();
  const b = new CoreBuilder(graph);
  const [x] = specs.map((spec) => b.input(spec));
  graph.addOutput(build(b, x));
  const executable = device.compile(graph, {});
  const view = (spec: TensorSpec) => ({ buffer: device.allocate(byteLengthOf(spec)), byteOffset: 0, spec });
  const inputs = specs.map(view);
  const outputs = graph.outputs.map((output) => view(output.type as TensorSpec));
  let best = Infinity;
  for (let trial = 0; trial < 5; trial++) {
    const start = performance.now();
    executable.run(inputs, outputs);
    best = Math.min(best, performance.now() - start);
  }
  for (const { buffer } of [...inputs, ...outputs]) buffer.free();
  return Math.max(best, 1e-4) / 1000;
}
