// Operators that move elements: shapes, slices, padding, concatenation, gather and scatter, dynamic slices.
import type { DType } from '@weft/ir';
import type { ConformanceCase, Element } from './case.ts';
import {
  counting,
  everything,
  graphCase,
  integers,
  numbers,
  operatorCase,
  scalar,
  tensor,
  vector,
} from './case.ts';

/** Values 0, 1, 2, … that fit any dtype: counted modulo two for bool. */
const count = (dtype: DType, shape: readonly number[], start = 0) =>
  dtype === 'bool'
    ? tensor(dtype, shape, [...Array(shape.reduce((a, b) => a * b, 1)).keys()].map((i) => (i + start) % 2 === 1)) // prettier-ignore
    : counting(dtype, shape, start);
const pick = (dtype: DType, elements: readonly number[]): Element[] =>
  elements.map((element) => (dtype === 'bool' ? element % 2 === 1 : element));

function movingCases(dtype: DType): ConformanceCase[] {
  const x = count(dtype, [2, 3]);
  const of = (shape: readonly number[], elements: readonly number[]) =>
    tensor(dtype, shape, pick(dtype, elements));
  const cases = [
    operatorCase('reshape', dtype, [x], [of([3, 2], [0, 1, 2, 3, 4, 5])], { shape: [3, 2] }),
    operatorCase('transpose', dtype, [x], [of([3, 2], [0, 3, 1, 4, 2, 5])], { permutation: [1, 0] }),
    operatorCase('reverse', dtype, [x], [of([2, 3], [5, 4, 3, 2, 1, 0])], { dimensions: [0, 1] }),
    operatorCase('slice', dtype, [x], [of([1, 2], [3, 5])], { start_indices: [1, 0], limit_indices: [2, 3], strides: [1, 2] }), // prettier-ignore
    operatorCase('concatenate', dtype, [x, count(dtype, [2, 1])], [of([2, 4], [0, 1, 2, 0, 3, 4, 5, 1])], { dimension: 1 }), // prettier-ignore
    operatorCase('broadcast_in_dim', `${dtype} rows`, [count(dtype, [3])], [of([2, 3], [0, 1, 2, 0, 1, 2])], { shape: [2, 3], broadcast_dimensions: [1] }), // prettier-ignore
    operatorCase('broadcast_in_dim', `${dtype} size one`, [count(dtype, [2, 1])], [of([2, 3], [0, 0, 0, 1, 1, 1])], { shape: [2, 3], broadcast_dimensions: [0, 1] }), // prettier-ignore
    operatorCase('pad', dtype, [x, scalar(dtype, dtype === 'bool' ? true : 9)], [of([3, 5], [9, 9, 9, 9, 9, 0, 9, 1, 9, 2, 3, 9, 4, 9, 5])], { edge_padding_low: [1, 0], edge_padding_high: [0, 0], interior_padding: [0, 1] }), // prettier-ignore
    operatorCase('dynamic_slice', dtype, [x, scalar('int32', 1), scalar('int32', 1)], [of([1, 2], [4, 5])], { slice_sizes: [1, 2] }), // prettier-ignore
    operatorCase('dynamic_update_slice', dtype, [x, count(dtype, [1, 2], 6), scalar('int64', 0), scalar('int64', 1)], [of([2, 3], [0, 6, 7, 3, 4, 5])]), // prettier-ignore
    graphCase('constant', dtype, [], (b) => [b.constant(x)], [x]),
    graphCase('constant', `${dtype} splat`, [], (b) => [b.full(1, dtype, [2, 2])], [tensor(dtype, [2, 2], pick(dtype, [1]))]), // prettier-ignore
    operatorCase('optimization_barrier', dtype, [x, x], [x, x]),
    operatorCase('gather', `${dtype} rows`, [x, tensor('int64', [3, 1], [1, 0, 1])], [of([3, 3], [3, 4, 5, 0, 1, 2, 3, 4, 5])], rowGather(3)), // prettier-ignore
    graphCase('scatter', `${dtype} replaces rows`, [x, tensor('int32', [1, 1], [1]), count(dtype, [1, 3], 7)], (b, operand, indices, updates) => [b.scatter(operand, indices, updates, rowScatter, (_, __, update) => [update])], [of([2, 3], [0, 1, 2, 7, 8, 9])]), // prettier-ignore
  ];
  if (dtype !== 'bool') {
    cases.push(operatorCase('iota', dtype, [], [of([2, 3], [0, 1, 2, 0, 1, 2])], { dtype, shape: [2, 3], iota_dimension: 1 })); // prettier-ignore
  }
  return cases;
}

const rowGather = (width: number) => ({
  offset_dims: [1],
  collapsed_slice_dims: [0],
  operand_batching_dims: [],
  start_indices_batching_dims: [],
  start_index_map: [0],
  index_vector_dim: 1,
  slice_sizes: [1, width],
  indices_are_sorted: false,
});
const rowScatter = {
  updateWindowDims: [1],
  insertedWindowDims: [0],
  scatterDimsToOperandDims: [0],
  indexVectorDim: 1,
};

function edgeCases(): ConformanceCase[] {
  const x = counting('float32', [2, 3]);
  const line = vector('float32', [1, 2, 3, 4]);
  const zero = scalar('float32', 0);
  const pad = (what: string, low: number, high: number, interior: number, expected: number[]) =>
    operatorCase('pad', what, [line, zero], [vector('float32', expected)], { edge_padding_low: [low], edge_padding_high: [high], interior_padding: [interior] }); // prettier-ignore
  const slice = (what: string, start: number, size: number, expected: number[], dtype: DType = 'int64') =>
    operatorCase('dynamic_slice', what, [line, scalar(dtype, start)], [vector('float32', expected)], { slice_sizes: [size] }); // prettier-ignore
  return [
    pad('negative low', -1, 0, 0, [2, 3, 4]),
    pad('negative on both sides', -1, -2, 0, [2]),
    pad('interior', 0, 0, 2, [1, 0, 0, 2, 0, 0, 3, 0, 0, 4]),
    pad('interior and negative', -1, -2, 1, [0, 2, 0, 3]),
    pad('negative low and positive high', -2, 2, 0, [3, 4, 0, 0]),
    pad('all taken away', -3, -1, 0, []),
    operatorCase('pad', 'of nothing', [tensor('float32', [0], []), scalar('float32', 7)], [vector('float32', [7, 7])], { edge_padding_low: [1], edge_padding_high: [1], interior_padding: [0] }), // prettier-ignore
    slice('clamped at the start', -5, 2, [1, 2]),
    slice('clamped at the end', 3, 2, [3, 4]),
    slice('of unsigned index', 3, 2, [3, 4], 'uint8'),
    slice('of the whole', 1, 4, [1, 2, 3, 4], 'int32'),
    operatorCase('dynamic_slice', 'clamped from a huge unsigned index', [line, scalar('uint64', 2n ** 64n - 1n)], [vector('float32', [4])], { slice_sizes: [1] }), // prettier-ignore
    operatorCase('dynamic_update_slice', 'clamped', [line, vector('float32', [8, 9]), scalar('int32', 100)], [vector('float32', [1, 2, 8, 9])]), // prettier-ignore
    operatorCase('slice', 'of nothing', [x], [tensor('float32', [0, 3], [])], { start_indices: [1, 0], limit_indices: [1, 3], strides: [1, 1] }), // prettier-ignore
    operatorCase('concatenate', 'with an empty part', [line, tensor('float32', [0], []), line], [vector('float32', [1, 2, 3, 4, 1, 2, 3, 4])], { dimension: 0 }), // prettier-ignore
    operatorCase('concatenate', 'of dimension 0', [x, x], [tensor('float32', [4, 3], [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])], { dimension: 0 }), // prettier-ignore
    operatorCase('reverse', 'one dimension', [x], [tensor('float32', [2, 3], [2, 1, 0, 5, 4, 3])], { dimensions: [1] }), // prettier-ignore
    operatorCase('transpose', 'of three dimensions', [counting('int32', [2, 2, 3])], [tensor('int32', [3, 2, 2], [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])], { permutation: [2, 0, 1] }), // prettier-ignore
    operatorCase('transpose', 'large', [counting('float32', [100, 70])], [tensor('float32', [70, 100], Array.from({ length: 7000 }, (_, i) => (i % 100) * 70 + Math.floor(i / 100)))], { permutation: [1, 0] }), // prettier-ignore
    operatorCase('broadcast_in_dim', 'of a scalar', [scalar('float32', 3)], [tensor('float32', [2, 2], [3])], { shape: [2, 2], broadcast_dimensions: [] }), // prettier-ignore
    operatorCase('broadcast_in_dim', 'to swapped dimensions', [counting('int32', [2, 3])], [tensor('int32', [3, 2], [0, 3, 1, 4, 2, 5])], { shape: [3, 2], broadcast_dimensions: [1, 0] }), // prettier-ignore
    operatorCase('iota', 'down the rows', [], [tensor('int32', [2, 3], [0, 0, 0, 1, 1, 1])], { dtype: 'int32', shape: [2, 3], iota_dimension: 0 }), // prettier-ignore
    graphCase('reshape', 'an input that is an output', [x], (_, value) => [value, value], [x, x]),
  ];
}

function gatherCases(): ConformanceCase[] {
  const x = counting('float32', [3, 4]);
  const gather = (
    what: string,
    indices: ReturnType<typeof tensor>,
    attributes: object,
    shape: number[],
    expected: number[],
  ) =>
    // prettier-ignore
    operatorCase('gather', what, [x, indices], [tensor('float32', shape, expected)], {
      ...rowGather(4),
      ...attributes,
    });
  return [
    gather('clamps indices', tensor('int32', [2, 1], [-7, 9]), {}, [2, 4], [0, 1, 2, 3, 8, 9, 10, 11]),
    gather('of a narrow slice clamps so that it fits', tensor('int32', [1, 1], [3]), { offset_dims: [1, 2], collapsed_slice_dims: [], start_index_map: [1], slice_sizes: [2, 2] }, [1, 2, 2], [2, 3, 6, 7]), // prettier-ignore
    gather('of single elements', tensor('int64', [2, 2], [0, 1, 2, 3]), { offset_dims: [], collapsed_slice_dims: [0, 1], start_index_map: [0, 1], slice_sizes: [1, 1] }, [2], [1, 11]), // prettier-ignore
    gather('with swapped index components', tensor('int64', [2, 2], [1, 0, 3, 2]), { offset_dims: [], collapsed_slice_dims: [0, 1], start_index_map: [1, 0], slice_sizes: [1, 1] }, [2], [1, 11]), // prettier-ignore
    gather('with the index vector in front', tensor('int64', [2, 2], [0, 2, 1, 3]), { offset_dims: [], collapsed_slice_dims: [0, 1], start_index_map: [0, 1], index_vector_dim: 0, slice_sizes: [1, 1] }, [2], [1, 11]), // prettier-ignore
    gather('with implicit index vectors', vector('int32', [2, 0]), {}, [2, 4], [8, 9, 10, 11, 0, 1, 2, 3]),
    gather('of columns, the window in front', tensor('int32', [2, 1], [3, 0]), { offset_dims: [0], collapsed_slice_dims: [1], start_index_map: [1], slice_sizes: [3, 1] }, [3, 2], [3, 0, 7, 4, 11, 8]), // prettier-ignore
    gather('along a batch', tensor('int32', [3, 1], [1, 0, 3]), { offset_dims: [], collapsed_slice_dims: [1], operand_batching_dims: [0], start_indices_batching_dims: [0], start_index_map: [1], slice_sizes: [1, 1] }, [3], [1, 4, 11]), // prettier-ignore
    gather('of no indices', tensor('int32', [0, 1], []), {}, [0, 4], []),
  ];
}

function scatterCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const dtype of numbers) {
    cases.push(
      graphCase(
        'scatter',
        `${dtype} adds up repeated rows`,
        [
          tensor(dtype, [3, 2], [1]),
          tensor('int64', [3, 1], [2, 0, 2]),
          tensor(dtype, [3, 2], [1, 2, 3, 4, 5, 6]),
        ],
        (b, x, indices, updates) => [b.scatter(x, indices, updates, rowScatter, (r, p, q) => [r.add(p, q)])],
        [tensor(dtype, [3, 2], [4, 5, 1, 1, 7, 9])],
      ),
    );
  }
  const line = vector('float32', [0, 0, 0, 0]);
  const element = {
    updateWindowDims: [],
    insertedWindowDims: [0],
    scatterDimsToOperandDims: [0],
    indexVectorDim: 1,
  };
  cases.push(
    graphCase('scatter', 'skips what is out of bounds', [line, tensor('int32', [4, 1], [-1, 4, 3, 0]), vector('float32', [1, 2, 3, 4])], (b, x, i, u) => [b.scatter(x, i, u, element, (r, p, q) => [r.add(p, q)])], [vector('float32', [4, 0, 0, 3])]), // prettier-ignore
    graphCase('scatter', 'takes the larger', [vector('int32', [5, 5]), tensor('int32', [3, 1], [0, 1, 1]), vector('int32', [9, 1, 7])], (b, x, i, u) => [b.scatter(x, i, u, element, (r, p, q) => [r.maximum(p, q)])], [vector('int32', [9, 7])]), // prettier-ignore
    graphCase('scatter', 'with a body of several operators', [vector('float32', [1, 2]), tensor('int32', [1, 1], [1]), vector('float32', [3])], (b, x, i, u) => [b.scatter(x, i, u, element, (r, p, q) => [r.add(r.multiply(p, r.full(10, 'float32')), q)])], [vector('float32', [1, 23])]), // prettier-ignore
    graphCase('scatter', 'along a batch', [tensor('float32', [2, 3], [0]), tensor('int32', [2, 1], [2, 0]), vector('float32', [1, 2])], (b, x, i, u) => [b.scatter(x, i, u, { updateWindowDims: [], insertedWindowDims: [1], inputBatchingDims: [0], scatterIndicesBatchingDims: [0], scatterDimsToOperandDims: [1], indexVectorDim: 1 }, (r, p, q) => [r.add(p, q)])], [tensor('float32', [2, 3], [0, 0, 1, 2, 0, 0])]), // prettier-ignore
    graphCase('scatter', 'complex adds', [vector('complex64', [[1, 1]]), tensor('int32', [1, 1], [0]), vector('complex64', [[2, -3]])], (b, x, i, u) => [b.scatter(x, i, u, element, (r, p, q) => [r.add(p, q)])], [vector('complex64', [[3, -2]])]), // prettier-ignore
  );
  return cases;
}

function indexDTypeCases(): ConformanceCase[] {
  return integers.map(
    (dtype) =>
    operatorCase('gather', `by ${dtype} indices`, [vector('float32', [5, 6, 7]), tensor(dtype, [2, 1], [2, 0])], [vector('float32', [7, 5])], { ...rowGather(1), offset_dims: [], slice_sizes: [1] }), // prettier-ignore
  );
}

export function structureCases(): ConformanceCase[] {
  return [
    ...everything.flatMap(movingCases),
    ...edgeCases(),
    ...gatherCases(),
    ...scatterCases(),
    ...indexDTypeCases(),
  ];
}
