// Native gathers, scatters and pooling windows against the reference device, with indices out of bounds and ties.
import { describe, expect, test } from '@jest/globals';
import type { CoreBuilder, DType, TensorLiteral, Value } from '@weft/ir';
import { specOf } from '@weft/ir';
import { Source, againstReference } from '../conformance/random-cases.ts';
import { graphOfCase, runCase } from '../conformance/run.ts';
import { CpuDevice, cpuDevice } from './device.ts';
import { nativeLibrary } from './library.ts';

const device = cpuDevice();
type Build = (b: CoreBuilder, ...values: Value[]) => Value[];

async function agrees(name: string, inputs: readonly TensorLiteral[], build: Build): Promise<void> {
  const kernel = againstReference(name, 'gather', inputs, build, 1e-5);
  expect(await runCase(device, kernel)).toBeUndefined();
  if (device instanceof CpuDevice) expect(device.explain(graphOfCase(kernel))).toEqual([]);
}

const rows = { collapsedSliceDims: [0], startIndexMap: [0], indexVectorDim: 1 };
const dtypes: readonly DType[] = ['float32', 'float64', 'float16', 'int64', 'uint8'];

describe('gather', () => {
  test.each(dtypes)('rows of %s by indices of all widths', async (dtype) => {
    const source = new Source(1);
    for (const index of ['int64', 'int32', 'uint8', 'int8'] as const) {
      const inputs = [source.tensor(dtype, [8, 70]), source.tensor(index, [33])];
      await agrees(`rows by ${index}`, inputs, (b, x, at) => [
        b.gather(x, at, { offsetDims: [1], ...rows, sliceSizes: [1, 70] }),
      ]);
    }
  });
  test('single elements of a transpose, and boxes', async () => {
    const source = new Source(2);
    const inputs = [source.tensor('float32', [6, 9, 4]), source.tensor('int64', [5, 7, 2])];
    await agrees('boxes', inputs, (b, x, at) => {
      const turned = b.transpose(x, [2, 0, 1]);
      const one = {
        offsetDims: [],
        collapsedSliceDims: [0, 1, 2],
        startIndexMap: [2, 1, 0],
        indexVectorDim: 2,
      };
      const three = b.pad(at, b.full(2, 'int64'), [0, 0, 0], [0, 0, 1]);
      const box = { offsetDims: [0, 2, 4], collapsedSliceDims: [], startIndexMap: [0, 2], indexVectorDim: 2 };
      return [
        b.gather(turned, three, { ...one, sliceSizes: [1, 1, 1] }),
        b.gather(x, at, { ...box, sliceSizes: [3, 9, 2] }),
      ];
    });
  });
  test('along a dimension, in batches', async () => {
    const source = new Source(3);
    const inputs = [source.tensor('float32', [3, 5, 40]), source.tensor('int64', [3, 5, 9])];
    await agrees('along', inputs, (b, x, at) => [
      b.gather(x, at, {
        offsetDims: [],
        collapsedSliceDims: [2],
        operandBatchingDims: [0, 1],
        startIndicesBatchingDims: [0, 1],
        startIndexMap: [2],
        indexVectorDim: 3,
        sliceSizes: [1, 1, 1],
      }),
    ]);
  });
});

describe('scatter', () => {
  const combine = {
    replace: (_b: CoreBuilder, _old: Value, update: Value) => [update],
    add: (b: CoreBuilder, old: Value, update: Value) => [b.add(old, update)],
    maximum: (b: CoreBuilder, old: Value, update: Value) => [b.maximum(old, update)],
    multiply: (b: CoreBuilder, old: Value, update: Value) => [b.multiply(old, update)],
  };
  test.each(Object.entries(combine))('%s', async (name, region) => {
    const source = new Source(4);
    for (const dtype of ['float32', 'float64', 'int64'] as const) {
      for (const width of [3, 130]) {
        const inputs = [source.tensor(dtype, [8, width]), source.tensor('int64', [40]), source.tensor(dtype, [40, width])]; // prettier-ignore
        await agrees(`${name} rows`, inputs, (b, x, at, updates) => [
          b.scatter(x, at, updates, { updateWindowDims: [1], insertedWindowDims: [0], scatterDimsToOperandDims: [0], indexVectorDim: 1 }, region), // prettier-ignore
        ]);
      }
      const boxes = [source.tensor(dtype, [9, 12]), source.tensor('int64', [30, 2]), source.tensor(dtype, [30, 3, 4])]; // prettier-ignore
      await agrees(`${name} boxes half outside`, boxes, (b, x, at, updates) => [
        b.scatter(x, at, updates, { updateWindowDims: [1, 2], insertedWindowDims: [], scatterDimsToOperandDims: [1, 0], indexVectorDim: 1 }, region), // prettier-ignore
      ]);
      const along = [source.tensor(dtype, [6, 4, 11]), source.tensor('int64', [6, 4, 20]), source.tensor(dtype, [6, 4, 20])]; // prettier-ignore
      await agrees(`${name} along a dimension`, along, (b, x, at, updates) => [
        b.scatter(x, at, updates, { updateWindowDims: [], insertedWindowDims: [2], inputBatchingDims: [0, 1], scatterIndicesBatchingDims: [0, 1], scatterDimsToOperandDims: [2], indexVectorDim: 3 }, region), // prettier-ignore
      ]);
    }
  });
  test('of many rows, whose columns threads share', async () => {
    const source = new Source(5);
    const found = nativeLibrary();
    const before = 'library' in found ? found.library.threads(0) : 1;
    try {
      for (const [threads, width] of [
        [2, 250],
        [3, 65],
      ]) {
        if ('library' in found) found.library.threads(threads);
        const count = Math.ceil(700000 / width);
        const inputs = [source.tensor('float32', [8, width]), source.tensor('int64', [count]), source.tensor('float32', [count, width])]; // prettier-ignore
        await agrees('rows', inputs, (b, x, at, updates) => [
          b.scatter(x, at, updates, { updateWindowDims: [1], insertedWindowDims: [0], scatterDimsToOperandDims: [0], indexVectorDim: 1 }, combine.add), // prettier-ignore
        ]);
      }
    } finally {
      if ('library' in found) found.library.threads(before);
    }
  });
});

describe('windows', () => {
  const pool = (window: number, stride: number, padding: number) => ({
    windowDimensions: [1, 1, window, window],
    windowStrides: [1, 1, stride, stride],
    padding: [[0, 0], [0, 0], [padding, padding], [padding, padding]], // prettier-ignore
  });
  const cases = [pool(1, 1, 0), pool(2, 2, 0), pool(3, 2, 1), pool(3, 1, 1), pool(7, 1, 0)];
  test.each(cases)('of $windowDimensions by $windowStrides', async (options) => {
    const source = new Source(6);
    for (const dtype of ['float32', 'float64', 'int64', 'bfloat16'] as const) {
      await agrees('sums and maxima', [source.tensor(dtype, [2, 3, 11, 37])], (b, x) => {
        const fold = (init: number, body: (b: CoreBuilder, p: Value, q: Value) => Value[]) =>
          b.reduceWindow([x], [b.full(init, dtype)], options, body);
        const sums = dtype === 'bfloat16' ? [] : [...fold(0, (b, p, q) => [b.add(p, q)]), ...fold(3, (b, p, q) => [b.add(p, q)])]; // prettier-ignore
        return [...sums, ...fold(-100, (b, p, q) => [b.maximum(p, q)])];
      });
    }
  });
  test('extremes of rows of every length, and of channels beside each other', async () => {
    const source = new Source(10);
    for (const [window, stride, low, high, dilation] of [
      [3, 2, 0, 0, 1],
      [3, 2, 1, 1, 1],
      [2, 2, 0, 1, 1],
      [3, 1, 1, 1, 2],
      [5, 1, 4, 4, 1],
      [2, 1, -1, 0, 3],
    ]) {
      // prettier-ignore
      const along = (rank: number, dims: readonly number[], number: number, rest: number): number[] =>
        Array.from({ length: rank }, (_, dim) => (dims.includes(dim) ? number : rest));
      const pooled = (b: CoreBuilder, x: Value, dims: readonly number[]): Value[] => {
        const { dtype, sizes } = specOf(x);
        const options = {
          windowDimensions: along(sizes.length, dims, window, 1),
          windowStrides: along(sizes.length, dims, stride, 1),
          windowDilations: along(sizes.length, dims, dilation, 1),
          padding: sizes.map((_, dim) => (dims.includes(dim) ? [low, high] : [0, 0]) as [number, number]),
        };
        return (['maximum', 'minimum'] as const).flatMap((kind) =>
          b.reduceWindow([x], [b.full(kind === 'maximum' ? -3 : 3, dtype)], options, (r, p, q) => [
            r[kind](p, q),
          ]),
        );
      };
      for (const width of [17, 18, 31, 33, 34, 35, 36, 37, 53, 66, 67, 80])
        await agrees(`rows of ${width}`, [source.tensor('float32', [2, 9, width])], (b, x) => pooled(b, x, [1, 2])); // prettier-ignore
      for (const channels of [16, 21, 40])
        await agrees(`${channels} channels`, [source.tensor('float32', [1, 9, 11, channels])], (b, x) => pooled(b, x, [1, 2])); // prettier-ignore
      await agrees('integers', [source.tensor('int64', [3, 40])], (b, x) => pooled(b, x, [1]));
    }
  });
  test('dilated, over other dimensions', async () => {
    const source = new Source(7);
    await agrees('dilated', [source.tensor('float32', [9, 20, 33])], (b, x) =>
      b.reduceWindow(
        [x],
        [b.full(1, 'float32')],
        { windowDimensions: [3, 1, 2], windowStrides: [1, 2, 1], padding: [[2, -1], [0, 0], [1, 3]], baseDilations: [1, 1, 2], windowDilations: [2, 1, 3] }, // prettier-ignore
        (b, p, q) => [b.add(p, q)],
      ),
    );
  });
  test.each(cases)('the last NaN of $windowDimensions by $windowStrides, before all', async (options) => {
    const source = new Source(9);
    const x = source.tensor('float32', [1, 2, 9, 90]);
    const view = new DataView(x.bytes.buffer, x.bytes.byteOffset);
    for (let at = 3; at < 1620; at += 7 + (at % 5)) view.setFloat32(4 * at, NaN, true);
    await agrees('NaN', [x], (b, x) => {
      const [y] = b.reduceWindow([x], [b.full(-9, 'float32')], options, (b, p, q) => [b.maximum(p, q)]);
      const ones = b.full(1, 'float32', specOf(y).sizes);
      const body = (b: CoreBuilder, old: Value, next: Value) => [b.and(b.not(b.compare(next, old, 'GT')), b.compare(next, next, 'EQ'))];
      return [y, b.selectAndScatter(x, ones, b.full(0, 'float32'), options, body, (b, p, q) => [b.add(p, q)])];
    });
  }); // prettier-ignore
  test.each(cases)('the greatest of $windowDimensions by $windowStrides, and the least', async (options) => {
    const source = new Source(8);
    for (const dtype of ['float32', 'float64', 'int64'] as const) {
      const whole = source.tensor('int64', [2, 3, 11, 83]);
      await agrees('ties', [whole], (b, integers) => {
        const x = b.convert(integers, dtype);
        return (['GT', 'LT'] as const).map((beats) => {
          const [y] = b.reduceWindow([x], [b.full(0, dtype)], options, (b, p, q) => [b.maximum(p, q)]);
          return b.selectAndScatter(
            x,
            b.add(y, b.full(1, dtype, specOf(y).sizes)),
            b.full(2, dtype),
            options,
            (b, old, next) => [b.and(b.not(b.compare(next, old, beats)), b.compare(next, next, 'EQ'))],
            (b, p, q) => [b.add(p, q)],
          );
        });
      });
    }
  });
});
