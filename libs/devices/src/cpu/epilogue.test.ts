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

/** Checks the results, and how many native steps there are where nothing is in blocked channels. */
async function agrees(inputs: readonly TensorLiteral[], build: Build, steps: number): Promise<void> {
  const kernel = againstReference('with an epilogue', 'add', inputs, build, 1e-3);
  expect(await runCase(device, kernel)).toBeUndefined();
  const found = nativeLibrary();
  if (!(device instanceof CpuDevice) || !('library' in found)) return;
  expect(compileForCpu(graphOfCase(kernel), found.library, {}, 'off').steps).toHaveLength(steps);
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
    [310, 900, 5],
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
  test.each([
    [40, 500, 300, 1],
    [40, 500, 300, 0],
    [230, 300, 20, 0],
    [190, 20, 2000, 0],
    [60, 260, 4500, 0],
    [620, 77, 530, 0],
    [620, 77, 530, 1],
    [13, 2000, 40, 1],
    [130, 200, 40, 1],
  ])('%d × %d over %d in pieces of rows on several threads', async (rows, columns, depth, contracted) => {
    const source = new Source(columns);
    const right = contracted === 1 ? [columns, depth] : [depth, columns];
    const inputs = [[rows, depth], right, [columns], [rows]].map((shape) => source.tensor('float32', shape)); // prettier-ignore
    const found = nativeLibrary();
    const before = 'library' in found ? found.library.threads(0) : 1;
    try {
      for (const threads of [1, 2, 3]) {
        if ('library' in found) found.library.threads(threads);
        await agrees(inputs, (b, x, w, bias, scale) => {
          const y = b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [contracted] });
          const scaled = b.multiply(y, b.broadcastInDim(scale, [rows, columns], [0]));
          const biased = b.add(scaled, b.broadcastInDim(bias, [rows, columns], [1]));
          return [b.select(b.compare(biased, b.fullLike(biased, 0), 'LE'), b.fullLike(biased, 0), biased)];
        }, 1); // prettier-ignore
      }
    } finally {
      if ('library' in found) found.library.threads(before);
    }
  });
  test.each([
    [1, 70, 33, 1],
    [1, 70, 33, 0],
    [4, 37, 600, 1],
    [70, 10, 300, 1],
    [100, 70, 300, 1],
    [33, 600, 20, 0],
    [150, 37, 40, 1],
    [230, 300, 20, 0],
  ])('%d × %d over %d as one formula in registers', async (rows, columns, depth, contracted) => {
    const full = (b: CoreBuilder, x: Value, value: number) => b.full(value, specOf(x).dtype, specOf(x).sizes);
    for (const dtype of dtypes) {
      const source = new Source(columns);
      const right = contracted === 1 ? [columns, depth] : [depth, columns];
      const inputs = [[rows, depth], right, [columns], [columns], [rows, columns]].map((shape) => source.tensor(dtype, shape)); // prettier-ignore
      const spread = (b: CoreBuilder, row: Value) => b.broadcastInDim(row, [rows, columns], [1]);
      const builds: Build[] = [
        (b, x, w, bias, scale) => {
          const y = b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [contracted] });
          const biased = b.add(b.multiply(y, spread(b, scale)), spread(b, bias));
          return [b.select(b.compare(biased, full(b, y, 0), 'LE'), full(b, y, 0), biased)];
        },
        (b, x, w, bias, _scale, through) => {
          const y = b.add(b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [contracted] }), spread(b, bias)); // prettier-ignore
          return [b.select(b.compare(through, full(b, y, 0.1), 'LE'), full(b, y, 0), y)];
        },
        (b, x, w, bias, scale) => {
          const [residual, y] = [x, b.negate(x)].map((each) => b.dotGeneral(each, w, { lhsContracting: [1], rhsContracting: [contracted] })); // prettier-ignore
          return [relu(b, b.add(b.add(y, spread(b, bias)), b.multiply(residual, spread(b, scale))))];
        },
      ];
      for (const [index, build] of builds.entries()) await agrees(inputs, build, index === 2 ? 3 : 1);
    }
  });
  test('with features in several dimensions', async () => {
    const source = new Source(5);
    const inputs = [
      [30, 20],
      [20, 4, 9],
      [4, 9],
    ].map((shape) => source.tensor('float32', shape));
    await agrees(inputs, (b, x, w, bias) => {
      const y = b.dotGeneral(x, w, product);
      return [relu(b, b.add(y, b.broadcastInDim(bias, [30, 4, 9], [1, 2])))];
    }, 1); // prettier-ignore
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
  test.each([
    [3, 40, 20],
    [50, 70, 30],
    [40, 60, 300],
    [230, 40, 20],
  ])('in the place of %d × %d sums over %d, which are stored nowhere else', async (rows, columns, depth) => {
    const source = new Source(rows);
    const inputs = [[rows, depth], [columns, depth], [columns, columns]].map((shape) => source.tensor('float32', shape)); // prettier-ignore
    const build: Build = (b, x, w, v) => {
      const y = b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [1] });
      // Read again after the first of what is stored.
      const once = b.tanh(y);
      const twice = b.multiply(once, b.subtract(y, relu(b, y)));
      return [b.dotGeneral(b.add(once, twice), v, product), twice];
    };
    await agrees(inputs, build, 2);
    const found = nativeLibrary();
    if (!(device instanceof CpuDevice) || !('library' in found)) return;
    const graph = graphOfCase(againstReference('', 'add', inputs, build, 1e-3));
    // One place for the sum that the second product reads; `twice` goes to its output.
    expect(compileForCpu(graph, found.library).scratch).toBe(Math.ceil((rows * columns * 4) / 64) * 64);
  });
  test('not where elements need others: a transpose', async () => {
    const source = new Source(3);
    const inputs = [source.tensor('float32', [30, 30]), source.tensor('float32', [30, 30])];
    await agrees(inputs, (b, x, w) => {
      const y = b.dotGeneral(x, w, product);
      return [b.add(y, b.transpose(y, [1, 0]))];
    }, 2); // prettier-ignore
  });
  test('of each product its own, whatever runs in between', async () => {
    const source = new Source(4);
    const inputs = [source.tensor('float32', [30, 30]), source.tensor('float32', [30, 30])];
    await agrees(inputs, (b, x, w) => {
      const y = b.dotGeneral(x, w, product);
      const z = b.dotGeneral(y, w, product);
      return [b.add(z, y), b.negate(y)];
    }, 2); // prettier-ignore
  });
});

describe('epilogues of convolutions', () => {
  test.each([
    ['product', [2, 6, 19, 17], [13, 6, 3, 3], 1],
    ['depthwise', [2, 6, 11, 70], [6, 1, 3, 3], 6],
    ['tiles', [3, 16, 19, 17], [18, 16, 3, 3], 1],
    ['1 × 1', [3, 20, 9, 9], [40, 20, 1, 1], 1],
    ['window larger than the result', [2, 6, 5, 5], [7, 6, 9, 9], 1],
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

  test('planes that move by two: scale, shift, activation', async () => {
    for (const dtype of dtypes) {
      const source = new Source(7);
      const result = [2, 6, 16, 35];
      const inputs = [[2, 6, 31, 70], [6, 1, 3, 3], [6], [6]].map((shape) => source.tensor(dtype, shape));
      await agrees(inputs, (b, x, w, scale, shift) => {
        const y = b.convolution(x, w, { windowStrides: [2, 2], padding: [[1, 1], [1, 1]], featureGroupCount: 6 }); // prettier-ignore
        const spread = (each: Value) => b.broadcastInDim(each, result, [1]);
        return [relu(b, b.add(b.multiply(y, spread(scale)), spread(shift)))];
      }, 1);
    }
  }); // prettier-ignore

  test('tiles and phases: the gradient of relu after a strided convolution', async () => {
    const source = new Source(11);
    const inputs = [[2, 17, 9, 8], [18, 17, 3, 3], [2, 18, 18, 16]].map((shape) => source.tensor('float32', shape)); // prettier-ignore
    await agrees(inputs, (b, x, w, through) => {
      const y = b.convolution(x, w, { windowStrides: [1, 1], padding: [[1, 2], [1, 2]], lhsDilation: [2, 2] }); // prettier-ignore
      const zero = b.full(0, 'float32', [2, 18, 18, 16]);
      return [b.select(b.compare(through, zero, 'LE'), zero, y)];
    }, 1);
  }); // prettier-ignore

  const image = [2, 6, 9, 7];
  const spread = (b: CoreBuilder, row: Value) => b.broadcastInDim(row, image, [1]);
  const padded = { windowStrides: [1, 1], padding: [[1, 1], [1, 1]] }; // prettier-ignore
  const same = (b: CoreBuilder, x: Value, w: Value) =>
    b.convolution(x, w, { ...padded, featureGroupCount: 6 / specOf(w).sizes[1] });
  const full = (b: CoreBuilder, x: Value, value: number) => b.full(value, specOf(x).dtype, specOf(x).sizes);
  /** As hardtanh is differentiated. */
  const between = (b: CoreBuilder, x: Value, low: number, high: number) => {
    const top = b.select(b.compare(x, full(b, x, high), 'GE'), full(b, x, high), x);
    return b.select(b.compare(x, full(b, x, low), 'LE'), full(b, x, low), top);
  };
  const formulas: [string, number, Build][] = [
    ['statistics that are computed between', 2, (b, x, w, row, other) => {
      const y = same(b, x, w);
      const inverse = b.rsqrt(b.add(b.multiply(other, other), b.full(1e-3, specOf(other).dtype, [6])));
      const centred = b.subtract(y, spread(b, row));
      return [b.add(b.multiply(b.multiply(centred, spread(b, inverse)), spread(b, other)), spread(b, row))];
    }],
    ['selects that clamp', 1, (b, x, w, row) => [between(b, b.add(same(b, x, w), spread(b, row)), -0.5, 1.25)]],
    ['a clamp', 1, (b, x, w, row) => {
      const y = b.multiply(spread(b, row), same(b, x, w));
      return [b.clamp(b.full(-1, specOf(y).dtype, []), y, b.full(1, specOf(y).dtype, []))];
    }],
    ['another tensor under a formula of its own', 1, (b, x, w, row, other) => {
      const residual = b.multiply(b.subtract(x, spread(b, row)), spread(b, other));
      return [relu(b, b.subtract(residual, b.multiply(same(b, x, w), spread(b, other))))];
    }],
    ['the sum with its own input and a constant', 1, (b, x, w) => {
      const y = same(b, x, w);
      return [b.add(b.add(b.add(y, x), y), full(b, x, 0.25))];
    }],
    ['the gradient of relu', 1, (b, x, w, row) => {
      const y = b.add(b.add(same(b, x, w), x), spread(b, row));
      return [b.select(b.compare(x, full(b, x, 0.1), 'LE'), full(b, x, 0), y)];
    }],
    ['gates of every comparison', 4, (b, x, w, row) => (['LE', 'GE', 'LT', 'GT'] as const).map((direction) => {
      const y = b.multiply(same(b, x, w), spread(b, row));
      const test = b.compare(x, full(b, x, -0.25), direction);
      return direction.endsWith('E') ? b.select(test, full(b, x, 3), y) : b.select(test, y, full(b, x, 3));
    })],
    ['a gate, and a step for what follows', 2, (b, x, w, row) => {
      const y = b.select(b.compare(x, full(b, x, 0), 'LE'), full(b, x, 0), same(b, x, w));
      return [b.multiply(y, spread(b, row)), y];
    }],
    ['no gate: by the other comparison', 2, (b, x, w) => [b.select(b.compare(x, full(b, x, 0), 'LT'), full(b, x, 0), same(b, x, w))]],
    ['no gate: by the result itself', 2, (b, x, w) => {
      const y = same(b, x, w);
      return [b.select(b.compare(y, full(b, x, 0.5), 'LE'), full(b, x, 0), y)];
    }],
    ['two convolutions', 3, (b, x, w, row, other) => {
      const left = b.multiply(same(b, x, w), spread(b, row));
      const right = b.add(same(b, x, b.negate(w)), spread(b, other));
      return [relu(b, b.add(left, right))];
    }],
    ['no formula: after a clamp', 2, (b, x, w, row) => [b.multiply(relu(b, same(b, x, w)), spread(b, row))]],
    ['no formula: a result that is needed twice', 2, (b, x, w, row) => {
      const y = same(b, x, w);
      return [b.add(y, spread(b, row)), y];
    }],
  ]; // prettier-ignore
  test.each(formulas)('%s', async (_name, steps, build) => {
    for (const dtype of dtypes) {
      for (const kernel of [[6, 6, 3, 3], [6, 1, 3, 3]]) {
        const source = new Source(kernel[1]);
        const inputs = [image, kernel, [6], [6]].map((shape) => source.tensor(dtype, shape));
        await agrees(inputs, build, steps);
      }
    }
  }); // prettier-ignore

  test('NaN opens and closes gates as comparisons with it say', async () => {
    const source = new Source(9);
    const inputs = [image, [6, 6, 3, 3]].map((shape) => source.tensor('float32', shape));
    const gate = source.tensor('float32', image);
    for (const at of [0, 40, 4 * 700])
      new DataView(gate.bytes.buffer, gate.bytes.byteOffset).setFloat32(at, NaN, true);
    await agrees([...inputs, gate], (b, x, w, through) => [
      b.select(b.compare(through, full(b, x, 0), 'LE'), full(b, x, 0), same(b, x, w)),
      b.select(b.compare(through, full(b, x, 0), 'GT'), same(b, x, w), full(b, x, 0)),
    ], 2); // prettier-ignore
  });

  test('NaN goes through clamps', async () => {
    const source = new Source(8);
    const inputs = [image, [6, 1, 3, 3], [6]].map((shape) => source.tensor('float32', shape));
    new DataView(inputs[0].bytes.buffer, inputs[0].bytes.byteOffset).setFloat32(40, NaN, true);
    await agrees(inputs, (b, x, w, row) => [between(b, b.add(same(b, x, w), spread(b, row)), 0, 6)], 1);
  });
});
