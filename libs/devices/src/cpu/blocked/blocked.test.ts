// Blocked channels against the reference device, wherever there are kernels for them: convolutions of every kind that they take, at
// channels that do not fill blocks, and what stands around them; which values are chosen; the cuts that the choice is made by.
import { describe, expect, test } from '@jest/globals';
import type { CoreBuilder, TensorLiteral, Value } from '@weft/ir';
import { CoreBuilder as Builder, Graph, coreOperator, specOf, tensorSpec } from '@weft/ir';
import { Source, againstReference } from '../../conformance/random-cases.ts';
import { graphOfCase, runCase } from '../../conformance/run.ts';
import { compileForCpu } from '../compile.ts';
import { CpuDevice, cpuPlugin } from '../device.ts';
import type { NativeLibrary } from '../library.ts';
import { nativeLibrary } from '../library.ts';
import { Network } from './minimum-cut.ts';
import type { BlockPolicy } from './rewrite.ts';

type Options = Parameters<CoreBuilder['convolution']>[2];
type Build = (b: CoreBuilder, ...values: Value[]) => Value[];

const found = nativeLibrary();
const library: NativeLibrary | undefined = 'library' in found ? found.library : undefined;

/** The kinds of native steps that a graph becomes. */
function kindsOf(graph: Graph, policy: BlockPolicy): string[] {
  const names = new Map([...library!.operations].map(([name, number]) => [number, name]));
  return compileForCpu(graph, library!, {}, policy).steps.map(([kind]) => names.get(Number(kind))!);
}
const isBlocked = (kind: string): boolean => kind.startsWith('blocked_convolution.');

/** Checks the results with all in blocks, and how many convolutions are computed so. */
async function agrees(inputs: readonly TensorLiteral[], build: Build, convolutions: number): Promise<void> {
  const kernel = againstReference('in blocks', 'convolution', inputs, build, 1e-3);
  const [device] = await cpuPlugin.open({ settings: { blocks: 'all' } });
  expect(await runCase(device, kernel)).toBeUndefined();
  if (!(device instanceof CpuDevice) || library === undefined) return;
  expect(kindsOf(graphOfCase(kernel), 'all').filter(isBlocked)).toHaveLength(convolutions);
  expect(kindsOf(graphOfCase(kernel), 'off').filter(isBlocked)).toHaveLength(0);
}

const plane = (padding: number, stride = 1, groups = 1): Options => ({
  windowStrides: [stride, stride],
  padding: [[padding, padding], [padding, padding]], // prettier-ignore
  featureGroupCount: groups,
});
const perChannel = (b: CoreBuilder, numbers: Value, like: Value): Value =>
  b.broadcastInDim(numbers, specOf(like).sizes, [1]);
const relu = (b: CoreBuilder, x: Value): Value => b.maximum(x, b.fullLike(x, 0));

describe('convolutions', () => {
  test.each<[string, readonly number[], readonly number[], Options]>([
    ['1 × 1', [2, 40, 7, 7], [24, 40, 1, 1], plane(0)],
    ['1 × 1 of many features', [1, 150, 9, 11], [210, 150, 1, 1], plane(0)],
    ['1 × 1 of one position', [3, 33, 1, 1], [70, 33, 1, 1], plane(0)],
    ['1 × 1 of deep products', [1, 700, 5, 5], [17, 700, 1, 1], plane(0)],
    ['1 × 1, stride 2', [2, 32, 9, 8], [20, 32, 1, 1], plane(0, 2)],
    ['1 × 1, padded', [1, 20, 6, 5], [35, 20, 1, 1], plane(1)],
    ['3 × 3', [2, 19, 13, 11], [37, 19, 3, 3], plane(1)],
    ['3 × 3, stride 2', [1, 35, 14, 15], [64, 35, 3, 3], plane(1, 2)],
    ['3 × 3 of few positions', [2, 48, 3, 2], [80, 48, 3, 3], plane(1)],
    ['7 × 7, stride 2, of few channels', [2, 3, 33, 37], [24, 3, 7, 7], plane(3, 2)],
    ['many rows', [1, 48, 150, 61], [16, 48, 3, 3], plane(1)],
    ['uneven and negative padding', [2, 18, 9, 12], [33, 18, 2, 5], { windowStrides: [1, 2], padding: [[3, -1], [-2, 4]] }], // prettier-ignore
    ['dilated kernel', [1, 20, 17, 19], [18, 20, 3, 2], { ...plane(2), rhsDilation: [2, 3] }],
    ['kernel of the whole input', [2, 20, 5, 7], [9, 20, 5, 7], plane(0)],
    ['groups', [2, 64, 9, 10], [96, 32, 3, 3], plane(1, 1, 2)],
    ['groups, stride 2', [1, 48, 12, 9], [96, 16, 3, 3], plane(1, 2, 3)],
    ['groups of four', [2, 64, 9, 10], [64, 4, 3, 3], plane(1, 1, 16)],
    ['groups of four, the last block in part', [2, 40, 9, 10], [40, 4, 3, 3], plane(1, 2, 10)],
    ['groups of eight', [1, 104, 7, 7], [104, 8, 3, 3], plane(1, 1, 13)],
    ['groups of 24', [2, 96, 6, 9], [96, 24, 3, 3], plane(1, 1, 4)],
    ['groups of more results than inputs', [2, 64, 6, 9], [128, 8, 1, 3], plane(1, 1, 8)],
    ['depthwise', [2, 40, 13, 21], [40, 1, 3, 3], plane(1, 1, 40)],
    ['depthwise, stride 2', [2, 24, 15, 14], [24, 1, 3, 3], plane(1, 2, 24)],
    ['depthwise 5 × 5', [1, 17, 9, 40], [17, 1, 5, 5], plane(2, 1, 17)],
    ['depthwise 5 × 5, stride 2', [1, 33, 14, 14], [33, 1, 5, 5], plane(2, 2, 33)],
    ['depthwise 7 × 7', [1, 20, 7, 9], [20, 1, 7, 7], plane(3, 1, 20)],
    ['depthwise 7 × 7 of fewer positions', [1, 20, 3, 4], [20, 1, 7, 7], plane(3, 2, 20)],
    ['depthwise, dilated', [1, 20, 15, 16], [20, 1, 3, 3], { ...plane(2, 1, 20), rhsDilation: [2, 2] }],
    ['depthwise, uneven', [1, 21, 12, 17], [21, 1, 4, 2], { windowStrides: [3, 1], padding: [[3, 0], [-1, 2]], featureGroupCount: 21 }], // prettier-ignore
  ])('%s', async (_, input, kernel, options) => {
    const source = new Source(kernel[0] + input[2]);
    const inputs = [input, kernel, [kernel[0]], [kernel[0]]].map((shape) => source.tensor('float32', shape));
    const before = library?.threads(0) ?? 1;
    try {
      for (const threads of [1, 2, 3]) {
        library?.threads(threads);
        await agrees(inputs, (b, x, w) => [b.convolution(x, w, options)], 1);
        await agrees(inputs, (b, x, w, scale, shift) => {
          const y = b.convolution(x, w, options);
          const z = b.add(b.multiply(y, perChannel(b, scale, y)), perChannel(b, shift, y));
          return [b.multiply(z, b.logistic(z)), relu(b, z)];
        }, 1); // prettier-ignore
      }
    } finally {
      library?.threads(before);
    }
  });
  test('what is before them is put in blocks once', async () => {
    const source = new Source(5);
    const inputs = [
      [1, 40, 9, 9],
      [40, 1, 3, 3],
      [40, 1, 5, 5],
    ].map((shape) => source.tensor('float32', shape));
    await agrees(inputs, (b, x, v, w) => {
      const y = b.exponential(x);
      return [b.convolution(y, v, plane(1, 1, 40)), b.convolution(y, w, plane(2, 1, 40)), y];
    }, 2); // prettier-ignore
  });
});

describe('what stands around them', () => {
  const source = new Source(11);
  const tensor = (...shape: number[]): TensorLiteral => source.tensor('float32', shape);
  /** A layer with normalisation and relu. */
  const layer = (b: CoreBuilder, x: Value, w: Value, scale: Value, options: Options): Value => {
    const y = b.convolution(x, w, options);
    return relu(b, b.multiply(y, perChannel(b, scale, y)));
  };
  test.each([24, 32])('a residual and a squeeze of %d channels', async (channels) => {
    const inputs = [tensor(2, 3, 16, 18), tensor(channels, 3, 3, 3), tensor(channels), tensor(channels, 1, 3, 3), tensor(channels), tensor(8, channels, 1, 1), tensor(channels, 8, 1, 1)]; // prettier-ignore
    await agrees(inputs, (b, x, stem, scale, depthwise, other, down, up) => {
      const first = layer(b, x, stem, scale, plane(1, 2));
      const second = b.add(layer(b, first, depthwise, other, plane(1, 1, channels)), first);
      const means = b.reshape(b.reduceSum(second, [2, 3]), [2, channels, 1, 1]);
      const gate = b.logistic(b.convolution(relu(b, b.convolution(means, down, plane(0))), up, plane(0)));
      const { sizes } = specOf(second);
      return [b.multiply(second, b.broadcastInDim(gate, sizes, [0, 1, 2, 3])), means];
    }, 4); // prettier-ignore
  });
  test('windows', async () => {
    for (const channels of [20, 32]) {
      const inputs = [tensor(2, 5, 13, 14), tensor(channels, 5, 3, 3), tensor(channels)];
      await agrees(inputs, (b, x, w, scale) => {
        const y = layer(b, x, w, scale, plane(1));
        const pooled = (stride: number, init: number, kind: 'maximum' | 'add') =>
          b.reduceWindow([y], [b.full(init, 'float32')], { windowDimensions: [1, 1, 3, 2], windowStrides: [1, 1, stride, stride], padding: [[0, 0], [0, 0], [1, 1], [0, 1]] }, (r, a, c) => [r[kind](a, c)])[0]; // prettier-ignore
        return [pooled(2, -Infinity, 'maximum'), pooled(1, 0, 'add'), pooled(2, 1, 'add')];
      }, 1); // prettier-ignore
    }
  });
  test('concatenations', async () => {
    const inputs = [tensor(2, 5, 9, 8), tensor(32, 5, 3, 3), tensor(48, 32, 1, 1), tensor(17, 80, 1, 1), tensor(20, 17, 1, 1)]; // prettier-ignore
    await agrees(inputs, (b, x, first, second, third, fourth) => {
      const y = b.convolution(x, first, plane(1));
      const both = relu(b, b.concatenate([y, b.convolution(y, second, plane(0))], 1));
      const odd = b.convolution(both, third, plane(0));
      return [both, b.concatenate([odd, b.convolution(odd, fourth, plane(0))], 1)];
    }, 4); // prettier-ignore
  });
  test('numbers, tensors of one image and gradients of relu', async () => {
    const inputs = [tensor(2, 5, 9, 8), tensor(20, 5, 3, 3), tensor(2, 20), tensor(2, 20, 9, 8), tensor()];
    await agrees(inputs, (b, x, w, perImage, other, number) => {
      const y = b.convolution(x, w, plane(1));
      const { sizes } = specOf(y);
      const z = b.subtract(b.multiply(y, b.broadcastInDim(perImage, sizes, [0, 1])), other);
      const gated = b.select(b.compare(other, b.fullLike(other, 0), 'LE'), b.fullLike(y, 0), y);
      return [b.add(z, b.broadcastInDim(number, sizes, [])), b.divide(z, b.fullLike(z, 3)), gated];
    }, 1); // prettier-ignore
  });
});

describe('the choice', () => {
  const chain = (channels: number, size: number, isTraining = false): Graph => {
    const graph = new Graph();
    const b = new Builder(graph);
    let x = b.input(tensorSpec('float32', [1, channels, size, size]));
    for (let index = 0; index < 4; index++) {
      x = relu(b, b.convolution(x, b.input(tensorSpec('float32', [channels, channels, 1, 1])), plane(0)));
      x = relu(
        b,
        b.convolution(x, b.input(tensorSpec('float32', [channels, 1, 3, 3])), plane(1, 1, channels)),
      );
    }
    graph.addOutput(x);
    if (!isTraining) return graph;
    const { node } = b.convolution(x, b.input(tensorSpec('float32', [channels, channels, 3, 3])), plane(1));
    const all = { wants: () => true, add: () => {} };
    for (const gradient of coreOperator('convolution').vjp!(b, node, [node.output], all))
      graph.addOutput(gradient!);
    return graph;
  };
  test('is for blocks where layers are many and large', () => {
    if (library === undefined) return;
    expect(kindsOf(chain(96, 14), 'auto').filter(isBlocked)).toHaveLength(8);
  });
  test('is against them where kernels are trained', () => {
    if (library === undefined) return;
    expect(kindsOf(chain(96, 14, true), 'auto').filter(isBlocked)).toHaveLength(0);
    expect(kindsOf(chain(96, 14, true), 'all').filter(isBlocked).length).toBeGreaterThan(8);
  });
  test('is against them where reordering costs more', () => {
    if (library === undefined) return;
    expect(kindsOf(chain(3, 3), 'auto').filter(isBlocked)).toHaveLength(0);
  });
  test('a policy that is none is refused', async () => {
    await expect(cpuPlugin.open({ settings: { blocks: 'some' } })).rejects.toThrow(
      'blocks=some: one of auto, off, all',
    );
  });
});

describe('a minimum cut', () => {
  /** The least cost of all divisions, one by one. */
  function leastOf(points: number, edges: readonly (readonly [number, number, number])[]): number {
    let least = Infinity;
    for (let sides = 0; sides < 1 << (points - 2); sides++) {
      const isSource = (point: number): boolean =>
        point === 0 || (point > 1 && ((sides >> (point - 2)) & 1) === 1);
      least = Math.min(least, costOf(edges, isSource));
    }
    return least;
  }
  const costOf = (
    edges: readonly (readonly [number, number, number])[],
    isSource: (point: number) => boolean,
  ): number =>
    edges.reduce((sum, [from, to, cost]) => (isSource(from) && !isSource(to) ? sum + cost : sum), 0);

  test('costs no more than any other', () => {
    let state = 7;
    const random = (below: number): number => (state = (state * 48271) % 2147483647) % below;
    for (let round = 0; round < 200; round++) {
      const points = 3 + random(7);
      const edges = Array.from(
        { length: random(30) },
        () => [random(points), random(points), random(20)] as const,
      );
      const network = new Network();
      for (let point = 2; point < points; point++) network.add();
      for (const [from, to, cost] of edges) network.connect(from, to, cost);
      const sides = network.divide();
      expect(sides[network.source]).toBe(true);
      expect(sides[network.sink]).toBe(false);
      expect(costOf(edges.filter(([from, to]) => from !== to), (point) => sides[point])).toBe(leastOf(points, edges)); // prettier-ignore
    }
  });
});
