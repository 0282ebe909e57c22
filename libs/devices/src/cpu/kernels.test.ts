// Native kernels against the reference device at sizes where their blocking, tails and threads come into play, which the
// conformance kit's small tensors do not reach.
import { describe, expect, test } from '@jest/globals';
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { specOf } from '@weft/ir';
import type { ConformanceCase } from '../conformance/case.ts';
import { tensor } from '../conformance/case.ts';
import { Source, againstReference } from '../conformance/random-cases.ts';
import { graphOfCase, runCase } from '../conformance/run.ts';
import { CpuDevice, cpuDevice } from './device.ts';

const device = cpuDevice();
const isNative = device instanceof CpuDevice;

async function agrees(kernel: ConformanceCase): Promise<void> {
  expect(await runCase(device, kernel)).toBeUndefined();
  if (isNative) expect(device.explain(graphOfCase(kernel))).toEqual([]);
}

type Layout = 'ab' | 'aTb' | 'abT' | 'batched';
function product(
  dtype: DType,
  layout: Layout,
  m: number,
  n: number,
  k: number,
  result = dtype,
): ConformanceCase {
  const source = new Source(m * 31 + n * 7 + k);
  const batch = layout === 'batched' ? [3] : [];
  const lhs = source.tensor(dtype, layout === 'aTb' ? [k, m] : [...batch, m, k]);
  const rhs = source.tensor(dtype, layout === 'abT' ? [n, k] : [...batch, k, n]);
  const first = batch.length;
  const dimensions = {
    lhsBatching: batch.map(() => 0),
    rhsBatching: batch.map(() => 0),
    lhsContracting: [layout === 'aTb' ? 0 : first + 1],
    rhsContracting: [layout === 'abT' ? 1 : first],
  };
  const build = (b: CoreBuilder, x: Value, y: Value) => [b.dotGeneral(x, y, dimensions, result)];
  return againstReference(`${layout} ${m} ${n} ${k}`, 'dot_general', [lhs, rhs], build, tolerances[result]);
}
const tolerances: Readonly<Partial<Record<DType, number>>> = {
  float16: 0.02,
  bfloat16: 0.1,
  float32: 2e-4,
  float64: 1e-11,
};

describe('products', () => {
  const sizes = [
    [1, 1, 1],
    [1, 70, 300],
    [70, 1, 300],
    [3, 37, 65],
    [6, 130, 17],
    [12, 32, 9],
    [13, 33, 257],
    [40, 100, 300],
    [97, 65, 130],
    [60, 45, 520],
    // One block of rows with panels copied by the way, few rows in wide tiles, products turned, tiles of one vector, several blocks.
    [50, 97, 300],
    [4, 200, 40],
    [8, 50, 24],
    [40, 64, 600],
    [230, 35, 70],
    [193, 50, 1030],
    [300, 9, 8],
    [2, 33, 4],
    // A row by columns in four stretches and what is left of them; rows in lines with an end of the depth.
    [1, 203, 1100],
    [1, 6, 15],
    [36, 24, 41],
    [100, 90, 20],
    [150, 100, 530],
    // Few columns, by what is left of fours; rows of results in one set of the cache; the left operand packed in each thread.
    [29, 10, 33],
    [45, 7, 70],
    [40, 1024, 48],
    [64, 600, 128],
  ];
  // Vectors, tiles of each height, more rows than a block takes.
  const narrow = [
    [1, 1, 1],
    [1, 70, 130],
    [70, 1, 130],
    [3, 37, 65],
    [2, 33, 4],
    [21, 33, 67],
    [40, 40, 31],
  ];
  test.each(['bfloat16', 'int8'] as const)('of %s, in several blocks', async (dtype) => {
    await agrees(product(dtype, 'abT', 100, 5, 4001, dtype === 'int8' ? 'int32' : 'float32'));
  });
  for (const layout of ['ab', 'aTb', 'abT', 'batched'] as const) {
    test.each(sizes)(`${layout} of %d × %d × %d`, async (m, n, k) => {
      await agrees(product('float32', layout, m, n, k));
      await agrees(product('float64', layout, m, n, k));
    });
    test.each(narrow)(`${layout} of narrow numbers, %d × %d × %d`, async (m, n, k) => {
      await agrees(product('bfloat16', layout, m, n, k));
      await agrees(product('bfloat16', layout, m, n, k, 'float32'));
      await agrees(product('int8', layout, m, n, k));
      await agrees(product('int8', layout, m, n, k, 'int32'));
    });
  }
  test.each([
    [1, 40, 20],
    [5, 40, 20],
    [40, 60, 30],
    [200, 40, 600],
  ])('%d × %d × %d: what is not finite comes where it belongs, and nowhere else', async (m, n, k) => {
    for (const layout of ['ab', 'aTb', 'abT'] as const) {
      const kernel = product('float32', layout, m, n, k);
      const left = new Float32Array(kernel.inputs[0].bytes.slice().buffer);
      const right = new Float32Array(kernel.inputs[1].bytes.slice().buffer);
      left[left.length - 1] = NaN;
      right[right.length - 1] = Infinity;
      const inputs = [left, right].map((array, index) => ({ ...kernel.inputs[index], bytes: new Uint8Array(array.buffer) })); // prettier-ignore
      await agrees(againstReference('not finite', 'dot_general', inputs, (b, x, y) => kernel.build(b, x, y), 2e-4)); // prettier-ignore
    }
  });
  test('infinities and NaN of bfloat16, the ends of int8', async () => {
    for (const [m, n, k] of [
      [1, 9, 70],
      [3, 5, 33],
      [20, 40, 31],
    ]) {
      const left = tensor('bfloat16', [m, k], Array.from({ length: m * k }, (_, at) => (at === 5 ? Infinity : at === k * (m - 1) ? NaN : 1))); // prettier-ignore
      const right = tensor('bfloat16', [n, k], Array.from({ length: n * k }, (_, at) => (at === k * (n - 1) + 5 ? 0 : at % 3))); // prettier-ignore
      const dimensions = { lhsContracting: [1], rhsContracting: [1] };
      await agrees(againstReference('not finite', 'dot_general', [left, right], (b, x, y) => [b.dotGeneral(x, y, dimensions)], 0.1)); // prettier-ignore
      const ends = [m, n].map((lines, side) => tensor('int8', [lines, k], Array.from({ length: lines * k }, (_, at) => [-128n, 127n, -1n, 0n][(at * (side + 1)) % 4]))); // prettier-ignore
      await agrees(againstReference('ends', 'dot_general', ends, (b, x, y) => [b.dotGeneral(x, y, dimensions, 'int32')])); // prettier-ignore
    }
  });
  test.each([0, 1])('over a depth of %d', async (k) => {
    for (const [m, n] of [[1, 5], [5, 1], [20, 40], [90, 3]]) await agrees(product('float32', 'abT', m, n, k)); // prettier-ignore
    await agrees(product('bfloat16', 'abT', 20, 40, k));
    await agrees(product('int8', 'abT', 3, 40, k, 'int32'));
  });
  test('of halves, and through transposes and slices', async () => {
    await agrees(product('bfloat16', 'ab', 20, 40, 33));
    await agrees(product('float16', 'abT', 20, 40, 33));
    const source = new Source(5);
    const inputs = [source.tensor('float32', [2, 40, 3, 24]), source.tensor('float32', [2, 50, 3, 24])];
    await agrees(
      againstReference('heads', 'dot_general', inputs, (b, q, k) => [
        b.dotGeneral(
          b.slice(b.transpose(q, [0, 2, 1, 3]), [0, 0, 4, 0], [2, 3, 40, 24]),
          b.transpose(k, [0, 2, 1, 3]),
          { lhsBatching: [0, 1], rhsBatching: [0, 1], lhsContracting: [3], rhsContracting: [3] },
        ),
      ], 2e-4), // prettier-ignore
    );
  });
  test('with constant operands, run twice', () => {
    const source = new Source(9);
    const kernel = product('float32', 'abT', 30, 70, 90);
    const graph = graphOfCase(kernel);
    const executable = device.compile(graph, { constantInputs: [1] });
    const bytes = [30 * 90 * 4, 70 * 90 * 4, 30 * 70 * 4].map((size) => device.allocate(size));
    const specs = [...graph.inputs, ...graph.outputs].map((value) => value.type as never);
    const views = bytes.map((buffer, index) => ({ buffer, byteOffset: 0, spec: specs[index] }));
    device.write(bytes[1], 0, kernel.inputs[1].bytes);
    for (let round = 0; round < 2; round++) {
      const left = source.tensor('float32', [30, 90]);
      device.write(bytes[0], 0, left.bytes);
      executable.run(views.slice(0, 2), views.slice(2));
      const again = againstReference('', 'dot_general', [left, kernel.inputs[1]], (b, x, y) =>
        kernel.build(b, x, y),
      );
      const got = new Float32Array(bytes[2].bytes!.slice().buffer);
      const wanted = new Float32Array(again.expected[0].bytes.slice().buffer);
      got.forEach((value, index) => expect(Math.abs(value - wanted[index])).toBeLessThan(1e-3));
    }
  });
});

describe('reductions', () => {
  const cases: [number[], number[]][] = [
    [[70000], [0]],
    [[3, 5000], [1]],
    [[5000, 3], [0]],
    [[130, 300], [0]],
    [[130, 300], [1]],
    [
      [4, 8, 33, 35],
      [0, 2, 3],
    ],
    [
      [4, 33, 9, 17],
      [1, 3],
    ],
    [[7, 1, 65], [1]],
  ];
  test.each(cases)('of %j over %j', async (shape, dimensions) => {
    for (const dtype of ['float32', 'float64', 'int32', 'uint8', 'bfloat16'] as const) {
      const inputs = [new Source(shape[0]).tensor(dtype, shape)];
      const build = (b: CoreBuilder, x: Value) =>
        dtype === 'bfloat16'
          ? [b.reduceMax(x, dimensions)]
          : [b.reduceSum(x, dimensions), b.reduceMax(x, dimensions)];
      await agrees(againstReference(`${shape.join()} ${dtype}`, 'reduce', inputs, build, dtype === 'float32' ? 1e-5 : undefined)); // prettier-ignore
    }
  });
});

describe('elementwise groups', () => {
  const build = (b: CoreBuilder, x: Value, row: Value, column: Value): Value[] => {
    const { sizes } = specOf(x);
    const spread = b.broadcastInDim(row, sizes, [1]);
    const down = b.broadcastInDim(column, sizes, [0]);
    const y = b.add(b.multiply(x, spread), down);
    const chosen = b.select(b.compare(y, spread, 'GT'), y, b.negate(down));
    return [b.maximum(chosen, b.subtract(x, spread)), b.multiply(chosen, chosen)];
  };
  test.each([
    [3000, 7],
    [90, 130],
    [5, 9001],
    [1, 3],
    [257, 64],
  ])('of %d × %d with broadcasts', async (rows, columns) => {
    for (const dtype of ['float32', 'float64', 'float16', 'int64', 'int8'] as const) {
      const source = new Source(rows);
      const inputs = [[rows, columns], [columns], [rows]].map((shape) => source.tensor(dtype, shape));
      await agrees(againstReference(`${rows} ${columns} ${dtype}`, 'add', inputs, build));
    }
  });

  test('of several rows at once, whose operands lie in each of the ways that rows can', async () => {
    const source = new Source(21);
    const sizes = [3, 11, 5, 133];
    const inputs = [sizes, [3, 11, 133, 5], [3, 11, 10, 140], [11, 5], [133], [5, 133], [3]].map((shape) => source.tensor('float32', shape)); // prettier-ignore
    const rows = (b: CoreBuilder, ...[x, turned, wide, heads, row, plane, image]: Value[]): Value[] => {
      const cut = b.slice(wide, [0, 0, 0, 3], [3, 11, 10, 136], [1, 1, 2, 1]);
      const like = (value: Value, places: number[]): Value => b.broadcastInDim(value, sizes, places);
      const y = b.multiply(b.add(x, b.transpose(turned, [0, 1, 3, 2])), like(heads, [1, 2]));
      const z = b.subtract(b.maximum(y, cut), like(row, [3]));
      const chosen = b.select(b.compare(z, like(image, [0]), 'GT'), like(plane, [2, 3]), y);
      return [chosen, b.transpose(b.add(chosen, z), [0, 2, 1, 3])];
    };
    await agrees(againstReference('rows', 'add', inputs, rows, 1e-6));
  });
  test('of a transpose, a slice and a reversal', async () => {
    const source = new Source(3);
    const inputs = [source.tensor('float32', [170, 150]), source.tensor('float32', [150, 400])];
    await agrees(
      againstReference('views', 'add', inputs, (b, x, y) => {
        const sliced = b.slice(y, [0, 1], [150, 340], [1, 2]);
        const [turned] = b.emit('reverse', [sliced], { dimensions: [1] });
        return [b.add(b.transpose(x, [1, 0]), turned)];
      }),
    );
  });

  test('of operands that leave the cache of a core, to the last element', async () => {
    const source = new Source(11);
    const inputs = [0, 1].map(() => source.tensor('float32', [3, 100_003]));
    await agrees(
      againstReference('long', 'add', inputs, (b, x, y) => {
        const scaled = b.multiply(x, b.fullLike(x, 3));
        return [b.add(scaled, y), b.maximum(scaled, y)];
      }),
    );
  });

  test('of every half, and of float32 between two of them', async () => {
    const halves = tensor('float16', [65536], [0]);
    new Uint16Array(halves.bytes.buffer).forEach((_, bits, all) => (all[bits] = bits));
    await agrees(againstReference('decoded', 'convert', [halves], (b, x) => [b.convert(x, 'float32')]));
    // Of the thirteen bits that a half lacks: none, the least, half a step and its neighbours, all; of the others every 31st.
    const lower = [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff];
    const upper = Array.from({ length: Math.ceil(2 ** 19 / 31) }, (_, at) => 31 * at);
    const floats = tensor('float32', [upper.length, lower.length], [0]);
    const bits = upper.flatMap((high) => lower.map((low) => high * 2 ** 13 + low));
    new Uint32Array(floats.bytes.buffer).set(bits);
    await agrees(againstReference('encoded', 'convert', [floats], (b, x) => [b.convert(x, 'float16')]));
  });

  const functions = ['exponential', 'exponential_minus_one', 'log', 'log_plus_one', 'logistic', 'tanh', 'erf', 'sine', 'cosine', 'sqrt', 'rsqrt']; // prettier-ignore
  test.each(functions)('%s of float32 to three units in the last place', async (name) => {
    const edges = [0, -0, 1, -1, Infinity, -Infinity, NaN, 1e-40, -1e-40, 88.7, 89, -87.5, -103, -105, 3e38, 1e6, 16777216, -0.5]; // prettier-ignore
    const spread = Array.from({ length: 4096 }, (_, index) => {
      const magnitude = 10 ** ((index % 1024) / 128 - 5);
      return index < 2048 ? magnitude : -magnitude;
    });
    const values = new Float32Array([...edges, ...spread]);
    const source = new Source(1).tensor('float32', [values.length]);
    source.bytes.set(new Uint8Array(values.buffer));
    const kernel = againstReference(name, name, [source], (b, x) => b.emit(name, [x]));
    const graph = graphOfCase(kernel);
    const views = [0, 1].map((index) => ({
      buffer: device.allocate(values.byteLength),
      byteOffset: 0,
      spec: (index === 0 ? graph.inputs[0] : graph.outputs[0]).type as never,
    }));
    device.write(views[0].buffer, 0, source.bytes);
    device.compile(graph, {}).run([views[0]], [views[1]]);
    const got = new Float32Array(views[1].buffer.bytes!.slice().buffer);
    const wanted = new Float32Array(kernel.expected[0].bytes.slice().buffer);
    const wrong: string[] = [];
    values.forEach((x, index) => {
      const [a, e] = [got[index], wanted[index]];
      if (Object.is(a, e) || (Number.isNaN(a) && Number.isNaN(e))) return;
      const unit = Math.max(2 ** (Math.floor(Math.log2(Math.abs(e))) - 23), 2 ** -149);
      if (!(Math.abs(a - e) <= 3 * unit)) wrong.push(`${name}(${x}) is ${a}, not ${e}`);
    });
    expect(wrong.slice(0, 8)).toEqual([]);
  });
});
