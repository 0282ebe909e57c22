// dot_general, convolution, reductions and windows.
import type { DType, Region } from '@weft/ir';
import { dtypes } from '@weft/ir';
import type { ConformanceCase, Element } from './case.ts';
import { complexes, counting, floats, graphCase, integers, numbers, scalar, tensor, vector } from './case.ts';

const dot = { lhsContracting: [1], rhsContracting: [0] };

function dotCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const dtype of [...numbers, ...complexes]) {
    const [a, b] = [counting(dtype, [2, 3]), counting(dtype, [3, 2])];
    cases.push(
      graphCase('dot_general', dtype, [a, b], (r, x, y) => [r.dotGeneral(x, y, dot)], [tensor(dtype, [2, 2], [10, 13, 28, 40])]), // prettier-ignore
      graphCase('dot_general', `${dtype} transposed`, [a, a], (r, x, y) => [r.dotGeneral(x, y, { lhsContracting: [1], rhsContracting: [1] })], [tensor(dtype, [2, 2], [5, 14, 14, 50])]), // prettier-ignore
      graphCase('dot_general', `${dtype} in batches`, [counting(dtype, [2, 1, 2]), counting(dtype, [2, 2, 1])], (r, x, y) => [r.dotGeneral(x, y, { lhsBatching: [0], rhsBatching: [0], lhsContracting: [2], rhsContracting: [1] })], [tensor(dtype, [2, 1, 1], [1, 13])]), // prettier-ignore
    );
  }
  // Sums of k = 0 … n-1 and their squares, at sizes where blocked kernels have edges.
  for (const [m, k, n] of [
    [1, 7, 1],
    [5, 300, 3],
    [17, 65, 130],
    [64, 64, 64],
    [2, 513, 70],
  ]) {
    // prettier-ignore
    const left = tensor('float32', [m, k], Array.from({ length: m * k }, (_, i) => (i % k) % 8));
    const right = tensor(
      'float32',
      [k, n],
      Array.from({ length: k * n }, (_, i) => (i % n) % 4),
    );
    const sum = Array.from({ length: k }, (_, i) => i % 8).reduce((p, q) => p + q, 0);
    const expected = Array.from({ length: m * n }, (_, i) => sum * ((i % n) % 4));
    cases.push(graphCase('dot_general', `${m} × ${k} × ${n}`, [left, right], (r, x, y) => [r.dotGeneral(x, y, dot)], [tensor('float32', [m, n], expected)])); // prettier-ignore
  }
  const x = counting('float32', [2, 3, 2]);
  cases.push(
    graphCase('dot_general', 'of vectors', [vector('float32', [1, 2, 3]), vector('float32', [4, 5, 6])], (r, p, q) => [r.dotGeneral(p, q, { lhsContracting: [0], rhsContracting: [0] })], [scalar('float32', 32)]), // prettier-ignore
    graphCase('dot_general', 'over several dimensions in another order', [x, counting('float32', [2, 2, 3])], (r, p, q) => [r.dotGeneral(p, q, { lhsContracting: [0, 1], rhsContracting: [0, 2] })], [tensor('float32', [2, 2], [182, 272, 206, 314])]), // prettier-ignore
    graphCase('dot_general', 'outer product', [vector('int32', [1, 2]), vector('int32', [3, 4, 5])], (r, p, q) => [r.dotGeneral(p, q, { lhsContracting: [], rhsContracting: [] })], [tensor('int32', [2, 3], [3, 4, 5, 6, 8, 10])]), // prettier-ignore
    graphCase('dot_general', 'over nothing', [tensor('float32', [2, 0], []), tensor('float32', [0, 3], [])], (r, p, q) => [r.dotGeneral(p, q, dot)], [tensor('float32', [2, 3], [0])]), // prettier-ignore
    graphCase('dot_general', 'a batch dimension in the middle', [counting('float32', [2, 2, 2]), counting('float32', [2, 2, 2])], (r, p, q) => [r.dotGeneral(p, q, { lhsBatching: [1], rhsBatching: [1], lhsContracting: [2], rhsContracting: [0] })], [tensor('float32', [2, 2, 2], [4, 5, 20, 29, 22, 27, 54, 67])]), // prettier-ignore
    graphCase('dot_general', 'wider result', [vector('bfloat16', [1, 2 ** -9]), vector('bfloat16', [1, 1])], (r, p, q) => [r.dotGeneral(p, q, { lhsContracting: [0], rhsContracting: [0] }, 'float32')], [scalar('float32', 1 + 2 ** -9)]), // prettier-ignore
    graphCase('dot_general', 'complex', [tensor('complex128', [1, 2], [[0, 1], [1, 1]]), tensor('complex128', [2, 1], [[0, 1], [1, -1]])], (r, p, q) => [r.dotGeneral(p, q, dot)], [tensor('complex128', [1, 1], [[1, 0]])]), // prettier-ignore
    graphCase('dot_general', 'int8 wraps', [vector('int8', [100, 100]), vector('int8', [2, 1])], (r, p, q) => [r.dotGeneral(p, q, { lhsContracting: [0], rhsContracting: [0] })], [scalar('int8', 44)]), // prettier-ignore
  );
  return cases;
}

function convolutionCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const line = (dtype: DType) => tensor(dtype, [1, 1, 4], [1, 2, 3, 4]);
  const taps = (dtype: DType) => tensor(dtype, [1, 1, 2], [1, 10]);
  const options = (o: object) => ({ windowStrides: [1], padding: [[0, 0]], ...o });
  for (const dtype of [...numbers, ...complexes]) {
    // 1 × 1 + 10 × 2 is 21, which int8 holds; so do all.
    cases.push(graphCase('convolution', dtype, [line(dtype), taps(dtype)], (b, x, w) => [b.convolution(x, w, options({}))], [tensor(dtype, [1, 1, 3], [21, 32, 43])])); // prettier-ignore
  }
  const one = (what: string, o: object, expected: number[]) =>
    graphCase('convolution', what, [line('float32'), taps('float32')], (b, x, w) => [b.convolution(x, w, options(o))], [tensor('float32', [1, 1, expected.length], expected)]); // prettier-ignore
  const image = counting('float32', [1, 1, 3, 3], 1);
  const square = tensor('float32', [1, 1, 2, 2], [1, 2, 3, 4]);
  const plane = { windowStrides: [1, 1], padding: [[0, 0], [0, 0]] }; // prettier-ignore
  cases.push(
    one('padded', { padding: [[1, 1]] }, [10, 21, 32, 43, 4]),
    one('strided', { windowStrides: [2] }, [21, 43]),
    one('negative padding', { padding: [[-1, 0]] }, [32, 43]),
    one('of a dilated kernel', { rhsDilation: [2] }, [31, 42]),
    one('of a dilated input', { lhsDilation: [2] }, [1, 20, 2, 30, 3, 40]),
    one('transposed, as its gradient is', { lhsDilation: [2], padding: [[1, 1]] }, [10, 1, 20, 2, 30, 3, 40, 4]), // prettier-ignore
    one('with a reversed window', { windowReversal: [true] }, [12, 23, 34]),
    graphCase('convolution', 'two dimensions', [image, square], (b, x, w) => [b.convolution(x, w, plane)], [tensor('float32', [1, 1, 2, 2], [37, 47, 67, 77])]), // prettier-ignore
    graphCase('convolution', 'channels and a batch', [counting('float32', [2, 2, 2]), tensor('float32', [1, 2, 1], [1, 10])], (b, x, w) => [b.convolution(x, w, options({}))], [tensor('float32', [2, 1, 2], [20, 31, 64, 75])]), // prettier-ignore
    graphCase('convolution', 'in feature groups', [counting('float32', [1, 2, 2]), tensor('float32', [2, 1, 1], [1, 10])], (b, x, w) => [b.convolution(x, w, options({ featureGroupCount: 2 }))], [tensor('float32', [1, 2, 2], [0, 1, 20, 30])]), // prettier-ignore
    graphCase('convolution', 'in batch groups', [counting('float32', [2, 1, 2]), tensor('float32', [2, 1, 1], [1, 10])], (b, x, w) => [b.convolution(x, w, options({ batchGroupCount: 2 }))], [tensor('float32', [1, 2, 2], [0, 1, 20, 30])]), // prettier-ignore
    graphCase(
      'convolution',
      'channels last',
      [counting('float32', [1, 2, 2]), tensor('float32', [1, 2, 1], [1, 10])],
      (b, x, w) => [
        b.convolution(x, w, options({ inputDimensions: [0, 2, 1], kernelDimensions: [2, 1, 0], outputDimensions: [0, 2, 1] })), // prettier-ignore
      ],
      [tensor('float32', [1, 2, 1], [10, 32])],
    ),
    graphCase('convolution', 'without spatial dimensions', [tensor('float32', [2, 2], [1, 2, 3, 4]), tensor('float32', [1, 2], [1, 10])], (b, x, w) => [b.convolution(x, w, { windowStrides: [], padding: [] })], [tensor('float32', [2, 1], [21, 43])]), // prettier-ignore
    graphCase('convolution', 'window larger than the input', [tensor('float32', [1, 1, 1], [1]), taps('float32')], (b, x, w) => [b.convolution(x, w, options({}))], [tensor('float32', [1, 1, 0], [])]), // prettier-ignore
  );
  return cases;
}

const bodies: Readonly<Record<string, Region>> = {
  add: (b, p, q) => [b.add(p, q)],
  multiply: (b, p, q) => [b.multiply(p, q)],
  maximum: (b, p, q) => [b.maximum(p, q)],
  minimum: (b, p, q) => [b.minimum(p, q)],
  and: (b, p, q) => [b.and(p, q)],
  or: (b, p, q) => [b.or(p, q)],
};

function reduceCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const reduce = (what: string, x: ReturnType<typeof tensor>, init: Element, dimensions: number[], body: Region, shape: number[], expected: readonly Element[]) => // prettier-ignore
    graphCase('reduce', what, [x, scalar(x.dtype, init)], (b, value, start) => b.reduce([value], [start], dimensions, body), [tensor(x.dtype, shape, expected)]); // prettier-ignore
  for (const dtype of numbers) {
    const x = counting(dtype, [2, 3], 1);
    cases.push(
      reduce(`add ${dtype} rows`, x, 0, [1], bodies.add, [2], [6, 15]),
      reduce(`add ${dtype} columns`, x, 0, [0], bodies.add, [3], [5, 7, 9]),
      reduce(`add ${dtype} all, from 5`, x, 5, [0, 1], bodies.add, [], [26]),
      reduce(`multiply ${dtype}`, x, 1, [1], bodies.multiply, [2], [6, 120]),
      reduce(`maximum ${dtype}`, x, 0, [0], bodies.maximum, [3], [4, 5, 6]),
      reduce(`minimum ${dtype}`, x, 2, [1], bodies.minimum, [2], [1, 2]),
    );
  }
  for (const dtype of integers) {
    const greatest = dtypes[dtype].category === 'uint' ? 255 : 127;
    if (dtypes[dtype].bytes === 1) cases.push(reduce(`add ${dtype} wraps`, vector(dtype, [greatest, 2]), 0, [0], bodies.add, [], [dtype === 'int8' ? -127 : 1])); // prettier-ignore
    cases.push(reduce(`and ${dtype}`, vector(dtype, [7, 13]), -1, [0], bodies.and, [], [5]));
  }
  for (const dtype of complexes) {
    cases.push(reduce(`add ${dtype}`, vector(dtype, [[1, 2], [3, -5]]), 0, [0], bodies.add, [], [[4, -3]])); // prettier-ignore
  }
  const flags = tensor('bool', [2, 2], [true, false, true, true]);
  for (const dtype of floats) {
    cases.push(
      reduce(`maximum ${dtype} NaN`, tensor(dtype, [2, 2], [1, NaN, 2, 3]), -Infinity, [1], bodies.maximum, [2], [NaN, 3]), // prettier-ignore
      reduce(`maximum ${dtype} of nothing`, tensor(dtype, [2, 0], []), -Infinity, [1], bodies.maximum, [2], [-Infinity]), // prettier-ignore
    );
  }
  const deep = counting('float32', [2, 3, 4]);
  cases.push(
    reduce('and bool', flags, true, [1], bodies.and, [2], [false, true]),
    reduce('or bool', flags, false, [0], bodies.or, [2], [true, true]),
    reduce('over the middle', deep, 0, [1], bodies.add, [2, 4], [12, 15, 18, 21, 48, 51, 54, 57]),
    reduce('over both ends', deep, 0, [0, 2], bodies.add, [3], [60, 92, 124]),
    reduce('over nothing', vector('float32', [1, 2]), 3, [], bodies.add, [2], [4, 5]),
    reduce('of a scalar', scalar('float32', 2), 3, [], bodies.add, [], [5]),
    reduce('by a body of several operators', vector('float32', [1, 2, 3]), 0, [0], (b, p, q) => [b.add(b.multiply(p, b.full(10, 'float32')), q)], [], [123]), // prettier-ignore
    reduce('long, in float32, keeps the small', vector('float32', [2 ** 20, ...Array<number>(1000).fill(0.125)]), 0, [0], bodies.add, [], [2 ** 20 + 125]), // prettier-ignore
    graphCase(
      'reduce',
      'of two operands: argmax',
      [tensor('float32', [2, 3], [1, 5, 5, 7, 2, 3]), tensor('int32', [2, 3], [0, 1, 2, 0, 1, 2])],
      (b, x, index) =>
        b.reduce([x, index], [b.full(-Infinity, 'float32'), b.full(-1, 'int32')], [1], (r, v, i, w, j) => {
          const keep = r.compare(v, w, 'GE');
          return [r.select(keep, v, w), r.select(keep, i, j)];
        }),
      [vector('float32', [5, 7]), vector('int32', [1, 0])],
    ),
  );
  return cases;
}

function windowCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const line = (dtype: DType) => vector(dtype, [1, 2, 3, 4]);
  for (const dtype of numbers) {
    cases.push(graphCase('reduce_window', dtype, [line(dtype), scalar(dtype, 0)], (b, x, init) => b.reduceWindow([x], [init], { windowDimensions: [2] }, bodies.add), [vector(dtype, [3, 5, 7])])); // prettier-ignore
  }
  const one = (what: string, o: object, expected: number[], init = 0, body = bodies.add) =>
    graphCase('reduce_window', what, [line('float32'), scalar('float32', init)], (b, x, start) => b.reduceWindow([x], [start], { windowDimensions: [2], ...o }, body), [vector('float32', expected)]); // prettier-ignore
  const picture = counting('float32', [1, 1, 4, 4]);
  const pool = { windowDimensions: [1, 1, 2, 2], windowStrides: [1, 1, 2, 2] };
  cases.push(
    one('padded', { padding: [[1, 1]] }, [1, 3, 5, 7, 4]),
    one('strided', { windowStrides: [2] }, [3, 7]),
    one('of a dilated window', { windowDilations: [2] }, [4, 6]),
    one('of a dilated base', { baseDilations: [2] }, [1, 2, 2, 3, 3, 4]),
    one('negative padding', { padding: [[-1, 0]] }, [5, 7]),
    // Padding holds the initial value, and the fold starts from it too.
    one('padding with an initial value that is not neutral', { padding: [[1, 0]] }, [21, 13, 15, 17], 10),
    one('maximum', {}, [2, 3, 4], -Infinity, bodies.maximum),
    one('as a running sum', { windowDimensions: [4], padding: [[3, 0]] }, [1, 3, 6, 10]),
    graphCase('reduce_window', 'max pooling', [picture, scalar('float32', -Infinity)], (b, x, init) => b.reduceWindow([x], [init], pool, bodies.maximum), [tensor('float32', [1, 1, 2, 2], [5, 7, 13, 15])]), // prettier-ignore
    graphCase('reduce_window', 'over channels last', [counting('float32', [1, 2, 2, 2]), scalar('float32', 0)], (b, x, init) => b.reduceWindow([x], [init], { windowDimensions: [1, 2, 2, 1] }, bodies.add), [tensor('float32', [1, 1, 1, 2], [12, 16])]), // prettier-ignore
    graphCase('reduce_window', 'of two operands', [line('float32'), line('int32'), scalar('float32', 0), scalar('int32', 0)], (b, x, y, s, t) => b.reduceWindow([x, y], [s, t], { windowDimensions: [2] }, (r, p, q, u, v) => [r.add(p, u), r.maximum(q, v)]), [vector('float32', [3, 5, 7]), vector('int32', [2, 3, 4])]), // prettier-ignore
    graphCase('select_and_scatter', 'gradient of max pooling', [tensor('float32', [4, 4], [1, 9, 2, 2, 3, 4, 2, 2, 0, 0, 8, 1, 7, 0, 0, 0]), tensor('float32', [2, 2], [1, 2, 3, 4]), scalar('float32', 0)], (b, x, source, init) => [b.selectAndScatter(x, source, init, { windowDimensions: [2, 2], windowStrides: [2, 2] }, (r, p, q) => [r.compare(p, q, 'GE')], bodies.add)], [tensor('float32', [4, 4], [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0, 0])]), // prettier-ignore
    graphCase('select_and_scatter', 'overlapping windows add up, padding is never chosen', [vector('float32', [-3, 5, -1]), vector('float32', [1, 2, 4]), scalar('float32', 10)], (b, x, source, init) => [b.selectAndScatter(x, source, init, { windowDimensions: [2], padding: [[1, 0]] }, (r, p, q) => [r.compare(p, q, 'GE')], bodies.add)], [vector('float32', [11, 16, 10])]), // prettier-ignore
  );
  return cases;
}

export function contractionCases(): ConformanceCase[] {
  return [...dotCases(), ...convolutionCases(), ...reduceCases(), ...windowCases()];
}
