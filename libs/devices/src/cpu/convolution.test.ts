// Native convolutions against the reference device over strides, paddings, dilations, groups and layouts, at sizes that are not those of
// the product's tiles; with each, the convolutions that are its gradients.
import { describe, expect, test } from '@jest/globals';
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { coreOperator, specOf } from '@weft/ir';
import { Source, againstReference } from '../conformance/random-cases.ts';
import { graphOfCase, runCase } from '../conformance/run.ts';
import { CpuDevice, cpuDevice } from './device.ts';

const device = cpuDevice();

type Options = Parameters<CoreBuilder['convolution']>[2];
interface Shapes {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
}

/** The result and the gradients of both operands where a part of the result is the cotangent. */
const withGradients =
  (options: Options) =>
  (b: CoreBuilder, x: Value, w: Value): Value[] => {
    const y = b.convolution(x, w, options);
    const { dtype, sizes } = specOf(y);
    const cotangent = b.multiply(y, b.full(0.25, dtype, sizes));
    const gradients = coreOperator('convolution').vjp!(b, y.node, [cotangent], {
      wants: () => true,
      add: () => {},
    });
    return [y, ...gradients.map((gradient) => gradient!)];
  };

async function agrees(name: string, dtype: DType, shapes: Shapes, options: Options): Promise<void> {
  const source = new Source(shapes.input.length * 100 + shapes.kernel[0]);
  const inputs = [source.tensor(dtype, shapes.input), source.tensor(dtype, shapes.kernel)];
  const tolerance = { float32: 1e-3, float64: 1e-10, float16: 0.05, bfloat16: 0.3 }[dtype as 'float32'];
  const kernel = againstReference(
    `${name} ${dtype}`,
    'convolution',
    inputs,
    withGradients(options),
    tolerance,
  );
  expect(await runCase(device, kernel)).toBeUndefined();
  if (device instanceof CpuDevice) expect(device.explain(graphOfCase(kernel))).toEqual([]);
}

const plane = (padding: number, stride = 1): Options => ({
  windowStrides: [stride, stride],
  padding: [[padding, padding], [padding, padding]], // prettier-ignore
});

const cases: [string, Shapes, Options][] = [
  ['3 × 3', { input: [2, 5, 13, 11], kernel: [7, 5, 3, 3] }, plane(1)],
  ['3 × 3 of many features', { input: [1, 70, 9, 9], kernel: [29, 70, 3, 3] }, plane(1)],
  ['3 × 3 of many features and tiles', { input: [4, 18, 18, 23], kernel: [17, 18, 3, 3] }, plane(1)],
  ['3 × 3, narrow and high', { input: [3, 19, 70, 5], kernel: [17, 19, 3, 3] }, plane(1)],
  ['3 × 3, uneven padding', { input: [2, 16, 21, 30], kernel: [40, 16, 3, 3] }, { windowStrides: [1, 1], padding: [[4, -2], [-1, 3]] }], // prettier-ignore
  ['3 × 3, reversed', { input: [2, 16, 22, 26], kernel: [17, 16, 3, 3] }, { ...plane(1), windowReversal: [true, false] }], // prettier-ignore
  [
    '3 × 3 of many features, gradients of kernels in tiles',
    { input: [3, 37, 13, 18], kernel: [41, 37, 3, 3] },
    plane(1),
  ],
  [
    '3 × 3 of many features, wide padding',
    { input: [9, 24, 5, 6], kernel: [70, 24, 3, 3] },
    {
      windowStrides: [1, 1],
      padding: [
        [3, -1],
        [0, 4],
      ],
    },
  ],
  [
    '3 × 3 of groups of many features',
    { input: [2, 54, 20, 24], kernel: [50, 27, 3, 3] },
    { ...plane(1), featureGroupCount: 2 },
  ],
  ['3 × 3 of groups', { input: [2, 54, 20, 24], kernel: [48, 18, 3, 3] }, { ...plane(1), featureGroupCount: 3 }], // prettier-ignore
  [
    '3 × 3, rows of more tiles than a task has',
    { input: [1, 17, 2, 1061], kernel: [20, 17, 3, 3] },
    plane(1),
  ],
  ['3 × 3 of many features and few tiles', { input: [1, 80, 9, 7], kernel: [72, 80, 3, 3] }, plane(1)],
  ['3 × 3, stride 2, of groups', { input: [2, 40, 15, 23], kernel: [64, 20, 3, 3] }, { ...plane(1, 2), featureGroupCount: 2 }], // prettier-ignore
  ['3 × 3, stride 2, wide', { input: [1, 12, 7, 700], kernel: [12, 12, 3, 3] }, plane(1, 2)],
  ['a signal of many features', { input: [3, 20, 700], kernel: [30, 20, 5] }, { windowStrides: [1], padding: [[2, 2]] }], // prettier-ignore
  ['3 × 3, stride 2', { input: [2, 8, 15, 14], kernel: [13, 8, 3, 3] }, plane(1, 2)],
  ['7 × 7, stride 2', { input: [1, 3, 33, 37], kernel: [16, 3, 7, 7] }, plane(3, 2)],
  ['1 × 1', { input: [3, 40, 7, 7], kernel: [30, 40, 1, 1] }, plane(0)],
  ['1 × 1, stride 2', { input: [2, 16, 9, 8], kernel: [20, 16, 1, 1] }, plane(0, 2)],
  ['kernel of the whole input', { input: [4, 6, 5, 7], kernel: [9, 6, 5, 7] }, plane(0)],
  ['dilated kernel', { input: [1, 4, 17, 19], kernel: [6, 4, 3, 2] }, { ...plane(2), rhsDilation: [2, 3] }],
  ['dilated input', { input: [2, 4, 6, 5], kernel: [5, 4, 3, 3] }, { ...plane(1), lhsDilation: [2, 3] }],
  [
    'dilated input of many features',
    { input: [3, 20, 9, 17], kernel: [19, 20, 3, 3] },
    { ...plane(1), lhsDilation: [2, 2] },
  ],
  [
    'dilated input, five by five',
    { input: [2, 17, 14, 9], kernel: [18, 17, 5, 5] },
    { ...plane(2), lhsDilation: [2, 2] },
  ],
  ['dilated input and kernel', { input: [2, 3, 9, 8], kernel: [4, 3, 3, 4] }, { windowStrides: [1, 1], padding: [[-1, 5], [3, 2]], lhsDilation: [2, 4], rhsDilation: [3, 2] }], // prettier-ignore
  [
    'dilated input wider than the kernel',
    { input: [2, 3, 4, 5], kernel: [4, 3, 2, 1] },
    { ...plane(3), lhsDilation: [4, 3] },
  ],
  ['dilated input of planes', { input: [2, 5, 12, 40], kernel: [5, 1, 4, 4] }, { ...plane(2), lhsDilation: [2, 2], featureGroupCount: 5 }], // prettier-ignore
  ['dilated input, more phases than are computed apart', { input: [1, 3, 5, 40], kernel: [4, 3, 3, 3] }, { ...plane(1), lhsDilation: [9, 8] }], // prettier-ignore
  ['dilated input and stride', { input: [1, 3, 9, 8], kernel: [4, 3, 3, 3] }, { ...plane(2, 2), lhsDilation: [3, 2] }], // prettier-ignore
  ['reversed', { input: [1, 3, 8, 9], kernel: [5, 3, 3, 2] }, { ...plane(1), windowReversal: [true, false] }],
  ['uneven and negative padding', { input: [2, 3, 9, 12], kernel: [4, 3, 2, 5] }, { windowStrides: [1, 2], padding: [[3, -1], [-2, 4]] }], // prettier-ignore
  ['depthwise', { input: [2, 10, 13, 40], kernel: [10, 1, 3, 3] }, { ...plane(1), featureGroupCount: 10 }],
  ['depthwise, stride 2', { input: [2, 6, 12, 11], kernel: [12, 1, 5, 5] }, { ...plane(2, 2), featureGroupCount: 6 }], // prettier-ignore
  ['depthwise, stride 2 of many columns', { input: [2, 6, 21, 75], kernel: [6, 1, 3, 3] }, { ...plane(1, 2), featureGroupCount: 6 }], // prettier-ignore
  ['depthwise, stride 2 of few columns', { input: [3, 9, 14, 14], kernel: [18, 1, 5, 3] }, { windowStrides: [1, 2], padding: [[2, 2], [-1, 3]], featureGroupCount: 9 }], // prettier-ignore
  ['depthwise, stride 2, reversed', { input: [2, 4, 9, 33], kernel: [4, 1, 3, 3] }, { ...plane(1, 2), windowReversal: [true, true], featureGroupCount: 4 }], // prettier-ignore
  ['depthwise of few columns', { input: [3, 20, 7, 5], kernel: [20, 1, 3, 3] }, { ...plane(1), featureGroupCount: 20 }], // prettier-ignore
  ['depthwise of many rows', { input: [1, 3, 150, 61], kernel: [3, 1, 5, 3] }, { ...plane(2), featureGroupCount: 3 }], // prettier-ignore
  ['depthwise, dilated', { input: [2, 4, 21, 34], kernel: [8, 1, 3, 3] }, { ...plane(2, 2), rhsDilation: [2, 3], featureGroupCount: 4 }], // prettier-ignore
  ['depthwise, uneven strides and padding', { input: [1, 5, 17, 33], kernel: [5, 1, 4, 2] }, { windowStrides: [3, 1], padding: [[3, 0], [-1, 2]], featureGroupCount: 5 }], // prettier-ignore
  ['depthwise, reversed', { input: [1, 3, 9, 20], kernel: [3, 1, 3, 3] }, { ...plane(1), windowReversal: [true, true], featureGroupCount: 3 }], // prettier-ignore
  ['depthwise of many planes', { input: [3, 37, 19, 21], kernel: [37, 1, 3, 3] }, { ...plane(1), featureGroupCount: 37 }], // prettier-ignore
  ['depthwise of many planes, stride 2', { input: [2, 16, 70, 43], kernel: [16, 1, 3, 3] }, { ...plane(1, 2), featureGroupCount: 16 }], // prettier-ignore
  ['depthwise of many planes, dilated', { input: [2, 20, 17, 23], kernel: [20, 1, 5, 4] }, { ...plane(2), rhsDilation: [2, 1], featureGroupCount: 20 }], // prettier-ignore
  ['one feature of many', { input: [2, 9, 12, 18], kernel: [1, 9, 3, 3] }, plane(1)],
  ['depthwise of signals', { input: [2, 7, 60], kernel: [7, 1, 5] }, { windowStrides: [2], padding: [[2, 2]], featureGroupCount: 7 }], // prettier-ignore
  ['groups', { input: [2, 12, 8, 7], kernel: [15, 4, 3, 3] }, { ...plane(1), featureGroupCount: 3 }],
  ['batch groups', { input: [6, 4, 7, 8], kernel: [9, 4, 3, 3] }, { ...plane(1), batchGroupCount: 3 }],
  ['one dimension', { input: [3, 6, 50], kernel: [8, 6, 5] }, { windowStrides: [1], padding: [[2, 2]] }],
  ['one feature of a signal', { input: [2, 1, 100], kernel: [1, 1, 9] }, { windowStrides: [3], padding: [[4, 4]] }], // prettier-ignore
  ['three dimensions', { input: [1, 4, 6, 7, 5], kernel: [6, 4, 3, 2, 3] }, { windowStrides: [1, 2, 1], padding: [[1, 1], [0, 0], [1, 1]] }], // prettier-ignore
  ['channels last', { input: [2, 9, 10, 5], kernel: [3, 3, 5, 8] }, { ...plane(1), inputDimensions: [0, 3, 1, 2], kernelDimensions: [3, 2, 0, 1], outputDimensions: [0, 3, 1, 2] }], // prettier-ignore
];

describe('native convolutions and their gradients', () => {
  test.each(cases)('%s', async (name, shapes, options) => {
    await agrees(name, 'float32', shapes, options);
    await agrees(name, 'float64', shapes, options);
  });

  test('of halves', async () => {
    await agrees('3 × 3', 'bfloat16', cases[0][1], cases[0][2]);
    await agrees('3 × 3', 'float16', cases[0][1], cases[0][2]);
  });

  test('through a transpose and a slice', async () => {
    const source = new Source(4);
    const inputs = [source.tensor('float32', [6, 20, 2, 18]), source.tensor('float32', [7, 6, 3, 3])];
    const kernel = againstReference('views', 'convolution', inputs, (b, x, w) => {
      const image = b.slice(b.transpose(x, [2, 0, 1, 3]), [0, 0, 1, 0], [2, 6, 20, 18], [1, 1, 2, 1]);
      return [b.convolution(image, w, plane(1))];
    }, 1e-4); // prettier-ignore
    expect(await runCase(device, kernel)).toBeUndefined();
  });

  test.each([9, 24])('with a constant kernel of %d features, run with two inputs', (channels) => {
    const source = new Source(5);
    const weights = source.tensor('float32', [20, channels, 3, 3]);
    const build = (b: CoreBuilder, x: Value, w: Value) => [b.convolution(x, w, plane(1))];
    const first = againstReference(
      '',
      'convolution',
      [source.tensor('float32', [2, channels, 12, 12]), weights],
      build,
    );
    const graph = graphOfCase(first);
    const executable = device.compile(graph, { constantInputs: [1] });
    const views = [...graph.inputs, ...graph.outputs].map((value) => {
      const spec = specOf(value);
      const count = spec.sizes.reduce((product, size) => product * size, 1);
      return { buffer: device.allocate(count * 4), byteOffset: 0, spec };
    });
    device.write(views[1].buffer, 0, weights.bytes);
    for (let round = 0; round < 2; round++) {
      const input = source.tensor('float32', [2, channels, 12, 12]);
      const wanted = againstReference('', 'convolution', [input, weights], build).expected[0];
      device.write(views[0].buffer, 0, input.bytes);
      executable.run(views.slice(0, 2), views.slice(2));
      const got = new Float32Array(views[2].buffer.bytes!.slice().buffer);
      new Float32Array(wanted.bytes.slice().buffer).forEach((value, index) =>
        expect(Math.abs(value - got[index])).toBeLessThan(1e-3),
      );
    }
  });

  test.each([
    ['in tiles', [3, 20, 24, 24], [18, 20, 3, 3]],
    ['as a product', [2, 9, 12, 12], [20, 9, 3, 3]],
  ])('%s: what is kept of a kernel goes with its version', (_name, image, kernel) => {
    const source = new Source(6);
    const build = (b: CoreBuilder, x: Value, w: Value) => [b.convolution(x, w, plane(1))];
    const input = source.tensor('float32', image);
    const graph = graphOfCase(againstReference('', 'convolution', [input, source.tensor('float32', kernel)], build));
    const executable = device.compile(graph, {});
    const [x, w, y] = [...graph.inputs, ...graph.outputs].map((value) => {
      const spec = specOf(value);
      const count = spec.sizes.reduce((product, size) => product * size, 1);
      return { buffer: device.allocate(count * 4), byteOffset: 0, spec };
    });
    device.write(x.buffer, 0, input.bytes);
    const other = device.allocate(w.buffer.byteLength);
    // The same three times and more, changed with its version, in another buffer of that version, changed without a version.
    const runs: [typeof w.buffer, number | undefined, boolean][] = [
      [w.buffer, 1, true], [w.buffer, 1, false], [w.buffer, 1, false], [w.buffer, 2, true], [w.buffer, 2, false],
      [w.buffer, 2, false], [other, 2, true], [other, 2, false], [w.buffer, undefined, true], [w.buffer, undefined, true],
    ]; // prettier-ignore
    let wanted: Float32Array | undefined;
    for (const [buffer, version, changes] of runs) {
      if (changes) {
        const weights = source.tensor('float32', kernel);
        device.write(buffer, 0, weights.bytes);
        const [expected] = againstReference('', 'convolution', [input, weights], build).expected;
        wanted = new Float32Array(expected.bytes.slice().buffer);
      }
      executable.run([x, { ...w, buffer, version }], [y]);
      const got = new Float32Array(y.buffer.bytes!.slice().buffer);
      expect(Math.max(...wanted!.map((value, index) => Math.abs(value - got[index])))).toBeLessThan(1e-3);
    }
  }); // prettier-ignore
});
