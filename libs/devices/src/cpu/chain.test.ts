// Chains of elementwise groups and reductions, which run part by part, against the reference device: rows, channels, gathered sums.
import { describe, expect, test } from '@jest/globals';
import type { CoreBuilder, DType, TensorLiteral, Value } from '@weft/ir';
import { specOf } from '@weft/ir';
import { tensor } from '../conformance/case.ts';
import { Source, againstReference } from '../conformance/random-cases.ts';
import { graphOfCase, runCase } from '../conformance/run.ts';
import { compileForCpu } from './compile.ts';
import { CpuDevice, cpuDevice } from './device.ts';
import { nativeLibrary } from './library.ts';

const device = cpuDevice();
type Build = (b: CoreBuilder, ...values: Value[]) => Value[];

/** Checks the results, how many native steps there are, and the bytes of temporaries. */
async function agrees(
  inputs: readonly TensorLiteral[],
  build: Build,
  { steps = 1, scratch }: { steps?: number; scratch?: number } = {},
): Promise<void> {
  const kernel = againstReference('as a chain', 'reduce', inputs, build, 1e-3);
  expect(await runCase(device, kernel)).toBeUndefined();
  const found = nativeLibrary();
  if (!(device instanceof CpuDevice) || !('library' in found)) return;
  // Chains have no fewer parts than there are threads.
  const threads = found.library.threads(0);
  found.library.threads(1);
  const program = compileForCpu(graphOfCase(kernel), found.library);
  found.library.threads(threads);
  expect(program.steps).toHaveLength(steps);
  expect(program.onHost).toEqual([]);
  if (scratch !== undefined) expect(program.scratch).toBe(scratch);
}

const sizesOf = (value: Value): readonly number[] => specOf(value).sizes;
const keptOf = (sizes: readonly number[], dims: readonly number[]): number[] =>
  sizes.map((_, dim) => dim).filter((dim) => !dims.includes(dim));
const spread = (b: CoreBuilder, x: Value, like: Value, dims: readonly number[]): Value =>
  b.broadcastInDim(x, sizesOf(like), keptOf(sizesOf(like), dims));

function softmax(b: CoreBuilder, x: Value, dims: readonly number[]): Value {
  const exp = b.exponential(b.subtract(x, spread(b, b.reduceMax(x, dims), x, dims)));
  return b.divide(exp, spread(b, b.reduceSum(exp, dims), x, dims));
}

/** (x - mean) / √(variance + 1e-5), and both figures. */
function norm(b: CoreBuilder, x: Value, dims: readonly number[]): Value[] {
  const count = dims.reduce((product, dim) => product * sizesOf(x)[dim], 1);
  const mean = (of: Value): Value => {
    const sum = b.reduceSum(of, dims);
    return b.divide(sum, b.fullLike(sum, count));
  };
  const middle = mean(x);
  const centred = b.subtract(x, spread(b, middle, x, dims));
  const variance = mean(b.multiply(centred, centred));
  const inverse = b.rsqrt(b.add(variance, b.fullLike(variance, 1e-5)));
  return [b.multiply(centred, spread(b, inverse, x, dims)), middle, variance];
}

describe('rows', () => {
  test.each([[[1536, 1]], [[300, 7]], [[33, 1000]], [[5, 3, 130]], [[3, 4, 5, 64]], [[2, 70000]]])(
    'softmax of %j',
    async (sizes) => {
      for (const dtype of ['float32', 'float64'] as const) {
        const source = new Source(sizes[0]);
        await agrees([source.tensor(dtype, sizes)], (b, x) => [softmax(b, x, [sizes.length - 1])], {
          scratch: 0,
        });
      }
    },
  );
  test('of more than one dimension, of halves', async () => {
    const source = new Source(4);
    await agrees([source.tensor('float32', [6, 5, 4, 3])], (b, x) => [softmax(b, x, [2, 3])], { scratch: 0 });
    await agrees([source.tensor('bfloat16', [9, 40])], (b, x) => [b.convert(softmax(b, b.convert(x, 'float32'), [1]), 'bfloat16')], { scratch: 0 }); // prettier-ignore
  });
  test('with NaN, infinities, and rows that are masked throughout', async () => {
    const values = Array.from({ length: 8 * 37 }, (_, index) => Math.sin(index));
    values[3] = NaN;
    values[37 + 5] = Infinity;
    values[2 * 37 + 1] = -Infinity;
    values.fill(-Infinity, 3 * 37, 4 * 37);
    values.fill(1e30, 4 * 37, 5 * 37);
    await agrees([tensor('float32', [8, 37], values)], (b, x) => [softmax(b, x, [1]), b.reduceMax(x, [1])]);
  });
  test.each([[[64, 768]], [[3, 5, 33]], [[2000, 8]], [[7, 1]]])('layer norm of %j', async (sizes) => {
    const source = new Source(sizes[0]);
    const last = sizes.length - 1;
    const inputs = [sizes, [sizes[last]], [sizes[last]]].map((shape) => source.tensor('float32', shape));
    await agrees(inputs, (b, x, weight, bias) => {
      const [normal, mean, variance] = norm(b, x, [last]);
      const along = (each: Value): Value => b.broadcastInDim(each, sizes, [last]);
      return [b.add(b.multiply(normal, along(weight)), along(bias)), mean, variance];
    }); // prettier-ignore
  });
  test('whose figures keep their dimensions, and are used under other shapes', async () => {
    const source = new Source(5);
    await agrees([source.tensor('float32', [4, 6, 50])], (b, x) => {
      const sum = b.reshape(b.reduceSum(b.multiply(x, x), [2]), [4, 6, 1]);
      const root = b.sqrt(sum);
      const along = b.broadcastInDim(b.reshape(root, [24]), [24, 50], [0]);
      return [b.divide(x, b.reshape(along, [4, 6, 50])), root];
    });
  });
  test('with masks that rows share, and a scalar that chooses', async () => {
    const source = new Source(6);
    const inputs = [source.tensor('float32', [6, 20, 20]), source.tensor('bool', [20, 20]), source.tensor('bool', [])]; // prettier-ignore
    await agrees(inputs, (b, x, mask, choice) => {
      const low = b.full(-Infinity, 'float32', [6, 20, 20]);
      const masked = b.select(b.broadcastInDim(mask, [6, 20, 20], [1, 2]), x, low);
      return [b.select(choice, softmax(b, masked, [2]), x)];
    }, { scratch: 0 }); // prettier-ignore
  });
});

test('causal masks are read from numbers that nobody computes', async () => {
  const source = new Source(12);
  await agrees([source.tensor('float32', [6, 20, 20])], (b, x) => {
    const allowed = b.compare(b.iota('int64', [20, 20], 1), b.iota('int64', [20, 20], 0), 'LE');
    const masked = b.select(b.broadcastInDim(allowed, [6, 20, 20], [1, 2]), x, b.fullLike(x, -Infinity));
    return [softmax(b, masked, [2])];
  }, { steps: 2, scratch: 448 }); // prettier-ignore
});

test('of operands and results that leave the cache of a core', async () => {
  const source = new Source(6);
  const [x, y, weight] = [[700, 411], [700, 411], [411]].map((sizes) => source.tensor('float32', sizes)); // prettier-ignore
  await agrees([x, y, weight], (b, x, y, weight) => {
    const [centred] = norm(b, b.add(x, y), [1]);
    return [b.add(b.multiply(centred, spread(b, weight, x, [0])), y)];
  });
});

describe('other dimensions', () => {
  test.each([[[32, 8, 6, 6]], [[3, 5, 20, 20]], [[4, 16, 130]], [[2, 3, 1, 17]]])(
    'batch norm of %j',
    async (sizes) => {
      const source = new Source(sizes[1]);
      const dims = keptOf(sizes, [1]);
      const channels = [sizes[1]];
      const inputs = [sizes, channels, channels].map((shape) => source.tensor('float32', shape));
      await agrees(inputs, (b, x, weight, bias) => {
      const [normal, mean, variance] = norm(b, x, dims);
      const along = (each: Value): Value => b.broadcastInDim(each, sizes, [1]);
      return [b.add(b.multiply(normal, along(weight)), along(bias)), mean, variance];
    }); // prettier-ignore
    },
  );
  test('softmax along one in the middle', async () => {
    const source = new Source(7);
    await agrees([source.tensor('float32', [40, 5, 33])], (b, x) => [softmax(b, x, [1])], { scratch: 0 });
  });
  test('statistics of few elements in a row are right, if apart', async () => {
    const source = new Source(8);
    const kernel = againstReference('columns', 'reduce', [source.tensor('float32', [50, 12])], (b, x) => norm(b, x, [0]), 1e-3); // prettier-ignore
    expect(await runCase(device, kernel)).toBeUndefined();
  });
});

describe('products of batches', () => {
  const scores = { lhsBatching: [0, 1], rhsBatching: [0, 1], lhsContracting: [3], rhsContracting: [3] };
  const mixed = { lhsBatching: [0, 1], rhsBatching: [0, 1], lhsContracting: [3], rhsContracting: [2] };
  test.each([
    [2, 3, 17, 8],
    [1, 4, 64, 16],
    [3, 2, 1, 5],
    // Scores of one head leave the cache: blocks of its rows.
    [2, 2, 288, 4],
    [1, 3, 520, 8],
  ])('attention of %d × %d heads, length %d, width %d', async (batch, heads, length, width) => {
    const source = new Source(length);
    // As projections leave them: heads lie within rows.
    const shape = [batch, length, heads, width];
    const square = [batch, heads, length, length];
    const inputs = [source.tensor('float32', shape), source.tensor('float32', shape), source.tensor('float32', shape), source.tensor('float32', [length, length])]; // prettier-ignore
    const headsFirst = (b: CoreBuilder, x: Value) => b.transpose(x, [0, 2, 1, 3]);
    const attention = (b: CoreBuilder, q: Value, k: Value, v: Value, mask: Value): Value[] => {
      const [query, key, value] = [q, k, v].map((each) => headsFirst(b, each));
      const product = b.dotGeneral(b.multiply(query, b.fullLike(query, 0.3)), key, scores);
      const masked = b.add(product, b.broadcastInDim(mask, square, [2, 3]));
      const shares = softmax(b, masked, [3]);
      return [b.dotGeneral(shares, value, mixed), shares];
    };
    await agrees(inputs, (b, ...given) => attention(b, given[0], given[1], given[2], given[3]).slice(0, 1), { scratch: 0 }); // prettier-ignore
    await agrees(inputs, (b, ...given) => attention(b, given[0], given[1], given[2], given[3]), { scratch: 0 }); // prettier-ignore
  });
  test('read across batches are no chain', async () => {
    const source = new Source(13);
    const square = [4, 6, 6];
    const inputs = [source.tensor('float32', square), source.tensor('float32', square)];
    await agrees(inputs, (b, x, y) => {
      const product = b.dotGeneral(x, y, { lhsBatching: [0], rhsBatching: [0], lhsContracting: [2], rhsContracting: [1] }); // prettier-ignore
      const turned = b.reverse(b.subtract(product, spread(b, b.reduceMax(product, [2]), product, [2])), [0]);
      return [b.dotGeneral(turned, y, { lhsBatching: [0], rhsBatching: [0], lhsContracting: [2], rhsContracting: [1] })]; // prettier-ignore
    }, { steps: 2 }); // prettier-ignore
  });
});

describe('sums over all parts', () => {
  // The last one is shared between threads, whose sums are added up.
  test.each([[[64, 24]], [[3, 21, 130]], [[5000, 3]], [[900, 130]]])(
    'gradients of layer norm of %j',
    async (sizes) => {
      for (const dtype of ['float32', 'float64'] satisfies DType[]) {
        const source = new Source(sizes[0]);
        const last = sizes.length - 1;
        const lead = keptOf(sizes, [last]);
        const rows = sizes.slice(0, last);
        const inputs = [sizes, sizes, [sizes[last]], rows, rows].map((shape) => source.tensor(dtype, shape));
        await agrees(inputs, (b, dy, x, weight, mean, inverse) => {
        const normal = b.multiply(b.subtract(x, spread(b, mean, x, [last])), spread(b, inverse, x, [last]));
        const scaled = b.multiply(dy, b.broadcastInDim(weight, sizes, [last]));
        const average = (of: Value): Value => {
          const sum = b.reduceSum(of, [last]);
          return spread(b, b.divide(sum, b.fullLike(sum, sizes[last])), x, [last]);
        };
        const rest = b.subtract(b.subtract(scaled, average(scaled)), b.multiply(normal, average(b.multiply(scaled, normal)))); // prettier-ignore
        return [b.multiply(rest, spread(b, inverse, x, [last])), b.reduceSum(b.multiply(dy, normal), lead), b.reduceSum(dy, lead)]; // prettier-ignore
      }, { scratch: 0 }); // prettier-ignore
      }
    },
  );
  test('of what is computed: bias gradients, the largest of all, sums of images', async () => {
    const source = new Source(9);
    await agrees([source.tensor('float32', [70, 33])], (b, x) => [b.multiply(x, x), b.reduceSum(b.multiply(x, x), [0])]); // prettier-ignore
    await agrees([source.tensor('float32', [9, 11, 5])], (b, x) => [b.reduceMax(b.negate(x), [0, 1, 2])]);
    await agrees([source.tensor('float32', [9, 4, 50])], (b, x) => [b.exponential(x), b.reduceSum(b.exponential(x), [0, 2])]); // prettier-ignore
  });
});

test('what nothing waits for stands behind a chain that goes on', async () => {
  const source = new Source(16);
  const sizes = [40, 24];
  const inputs = [sizes, sizes, [24]].map((shape) => source.tensor('float32', shape));
  const built =
    (isCopied: boolean): Build =>
    (b, x, y, weight) => {
      const product = b.multiply(x, y);
      const gradient = b.reduceSum(product, [0]);
      const updated = b.subtract(weight, b.multiply(gradient, b.fullLike(gradient, 0.1)));
      const result = isCopied ? b.broadcastInDim(updated, [3, 24], [1]) : updated;
      return [result, b.subtract(product, spread(b, b.reduceSum(product, [1]), product, [1]))];
    };
  // The sums of columns alone are in memory.
  await agrees(inputs, built(false), { steps: 2, scratch: 128 });
  // A copy of what stood later waits for it.
  await agrees(inputs, built(true), { steps: 4 });
});

test('what follows a product that others read too is a link where only links read it', async () => {
  const source = new Source(17);
  const inputs = [[40, 9], [9, 24], [24]].map((shape) => source.tensor('float32', shape));
  await agrees(inputs, (b, x, y, weight) => {
    const product = b.dotGeneral(x, y, { lhsContracting: [1], rhsContracting: [0] });
    const scaled = b.multiply(product, b.broadcastInDim(weight, [40, 24], [1]));
    return [product, b.subtract(scaled, spread(b, b.reduceSum(scaled, [1]), scaled, [1]))];
  }, { steps: 2, scratch: 0 }); // prettier-ignore
});

test('sums over parts that a view walks unevenly', async () => {
  const source = new Source(14);
  const inputs = [source.tensor('float32', [5, 4, 6]), source.tensor('float32', [4, 5, 6])];
  const kernel = againstReference('beside', 'reduce', inputs, (b, x, y) => {
    const turned = b.transpose(x, [1, 0, 2]);
    const product = b.multiply(turned, y);
    return [b.subtract(product, spread(b, b.reduceSum(product, [2]), product, [2])), b.reduceSum(turned, [0, 1])];
  }, 1e-3); // prettier-ignore
  expect(await runCase(device, kernel)).toBeUndefined();
});

describe('what is no chain', () => {
  test('rows that need others', async () => {
    const source = new Source(10);
    await agrees([source.tensor('float32', [20, 20])], (b, x) => {
      const sum = b.reduceSum(x, [1]);
      // Row i is divided by the sum of row j.
      return [b.divide(x, b.broadcastInDim(sum, [20, 20], [1]))];
    }, { steps: 2 }); // prettier-ignore
    await agrees([source.tensor('float32', [20, 20])], (b, x) => {
      const shifted = b.subtract(x, spread(b, b.reduceMax(x, [1]), x, [1]));
      return [b.add(shifted, b.transpose(shifted, [1, 0]))];
    }, { steps: 2 }); // prettier-ignore
  });
  test('a sum over all parts that a part needs', async () => {
    const source = new Source(11);
    await agrees([source.tensor('float32', [12, 30])], (b, x) => {
      const squares = b.multiply(x, x);
      return [b.divide(squares, spread(b, b.reduceSum(squares, [0]), x, [0]))];
    }, { steps: 2 }); // prettier-ignore
  });
});
