// Elementwise work after products and convolutions, which their kernels do as they go, against the reference device.
import { describe, expect, test } from '@jest/globals';
import type { CoreBuilder, DType, TensorLiteral, Value } from '@weft/ir';
import { specOf } from '@weft/ir';
import { Source, againstReference } from '../conformance/random-cases.ts';
import { graphOfCase, runCase } from '../conformance/run.ts';
import { compileForCpu } from './compile.ts';
import { CpuDevice, cpuDevice } from './device.ts';
import { nativeLibrary } from './library.ts';

const device = cpuDevice();
type Build = (b: CoreBuilder, ...values: Value[]) => Value[];

/** Checks the results, and how many native steps there are. */
async function agrees(inputs: readonly TensorLiteral[], build: Build, steps: number): Promise<void> {
  const kernel = againstReference('with an epilogue', 'add', inputs, build, 1e-3);
  expect(await runCase(device, kernel)).toBeUndefined();
  const found = nativeLibrary();
  if (!(device instanceof CpuDevice) || !('library' in found)) return;
  expect(compileForCpu(graphOfCase(kernel), found.library).steps).toHaveLength(steps);
}

const relu = (b: CoreBuilder, x: Value) => b.maximum(x, b.full(0, specOf(x).dtype, specOf(x).sizes));
const product = { lhsContracting: [1], rhsContracting: [0] };
const dtypes: readonly DType[] = ['float32', 'float64'];

describe('epilogues of products', () => {
  test.each([
    [1, 70, 33],
    [5, 40, 17],
    [70, 130, 300],
    [200, 35, 40],
    [33, 600, 20],
  ])('%d × %d over %d: bias, activation, residual', async (rows, columns, depth) => {
    for (const dtype of dtypes) {
      const source = new Source(rows);
      const inputs = [[rows, depth], [depth, columns], [columns], [rows, columns]].map((shape) => source.tensor(dtype, shape)); // prettier-ignore
      await agrees(inputs, (b, x, w, bias, residual) => {
        const y = b.dotGeneral(x, w, product);
        const biased = b.add(y, b.broadcastInDim(bias, [rows, columns], [1]));
        return [b.add(relu(b, biased), residual), biased];
      }, 1); // prettier-ignore
    }
  });
  test('in batches, and under another shape', async () => {
    const source = new Source(2);
    const inputs = [source.tensor('float32', [3, 20, 9]), source.tensor('float32', [3, 9, 14]), source.tensor('float32', [14])]; // prettier-ignore
    await agrees(inputs, (b, x, w, bias) => {
      const y = b.dotGeneral(x, w, { lhsBatching: [0], rhsBatching: [0], lhsContracting: [2], rhsContracting: [1] }); // prettier-ignore
      const shaped = b.reshape(y, [60, 14]);
      return [b.add(shaped, b.broadcastInDim(bias, [60, 14], [1]))];
    }, 1); // prettier-ignore
  });
  test('not where elements need others: a transpose, a product of two results', async () => {
    const source = new Source(3);
    const inputs = [source.tensor('float32', [30, 30]), source.tensor('float32', [30, 30])];
    await agrees(inputs, (b, x, w) => {
      const y = b.dotGeneral(x, w, product);
      return [b.add(y, b.transpose(y, [1, 0]))];
    }, 2); // prettier-ignore
    await agrees(inputs, (b, x, w) => {
      const y = b.dotGeneral(x, w, product);
      const z = b.dotGeneral(y, w, product);
      return [b.add(z, y), b.negate(y)];
    }, 3); // prettier-ignore
  });
});

describe('epilogues of convolutions', () => {
  test.each([
    ['product', [2, 6, 19, 17], [13, 6, 3, 3], 1],
    ['depthwise', [2, 6, 11, 70], [6, 1, 3, 3], 6],
    ['1 × 1', [3, 20, 9, 9], [40, 20, 1, 1], 1],
  ])('%s: scale, shift, activation, residual', async (_name, image, kernel, featureGroupCount) => {
    for (const dtype of dtypes) {
      const source = new Source(image[1]);
      const padding = kernel[2] >> 1;
      const result = [image[0], kernel[0], image[2], image[3]];
      const inputs = [image, kernel, [kernel[0]], [kernel[0]], result].map((shape) => source.tensor(dtype, shape)); // prettier-ignore
      await agrees(inputs, (b, x, w, scale, shift, residual) => {
        const y = b.convolution(x, w, { windowStrides: [1, 1], padding: [[padding, padding], [padding, padding]], featureGroupCount }); // prettier-ignore
        const spread = (each: Value) => b.broadcastInDim(each, result, [1]);
        return [relu(b, b.add(b.add(b.multiply(y, spread(scale)), spread(shift)), residual))];
      }, 1); // prettier-ignore
    }
  });
});
