// Sharding rules of core operators: splitting any factor over devices and putting the results together gives the whole,
// and results are linear in the operands that the rule says.
import { expect, test } from '@jest/globals';
import type { DType, Node, ShardingRule, Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, cloneNode, inferTypes, numel, shardingOf, tensorSpec } from '@weft/ir';
import { executeOnHost } from '../host.ts';

type Build = (b: CoreBuilder, ...x: Value[]) => Value | readonly Value[];
/** Shapes of float64 operands, and a graph whose last node is under test. */
type Case = readonly [name: string, operands: readonly (readonly number[])[], build: Build];

const scalarAdd = (b: CoreBuilder, p: Value, q: Value) => [b.add(p, q)];
const indices = (b: CoreBuilder, sizes: number[], values: number[]) =>
  b.constant(new TensorLiteral('int64', sizes, new Uint8Array(BigInt64Array.from(values, BigInt).buffer)));
const zeros = (b: CoreBuilder, sizes: number[]) => b.full(0, 'float64', sizes);
const rows = {
  updateWindowDims: [1],
  insertedWindowDims: [0],
  scatterDimsToOperandDims: [0],
  indexVectorDim: 1,
};

const cases: readonly Case[] = [
  [
    'add',
    [
      [4, 2],
      [4, 2],
    ],
    (b, x, y) => b.add(x, y),
  ],
  [
    'subtract',
    [
      [4, 2],
      [4, 2],
    ],
    (b, x, y) => b.subtract(x, y),
  ],
  [
    'multiply',
    [
      [4, 2],
      [4, 2],
    ],
    (b, x, y) => b.multiply(x, y),
  ],
  [
    'divide',
    [
      [4, 2],
      [4, 2],
    ],
    (b, x, y) => b.divide(x, y),
  ],
  ['negate', [[4, 2]], (b, x) => b.negate(x)],
  ['tanh', [[4, 2]], (b, x) => b.tanh(x)],
  ['complex', [[4], [4]], (b, x, y) => b.complex(x, y)],
  ['convert', [[4]], (b, x) => b.convert(x, 'float32')],
  [
    'compare',
    [
      [4, 2],
      [4, 2],
    ],
    (b, x, y) => b.compare(x, y, 'LT'),
  ],
  [
    'select',
    [
      [4, 2],
      [4, 2],
    ],
    (b, x, y) => b.select(b.compare(zeros(b, []), zeros(b, []), 'EQ'), x, y),
  ],
  ['clamp', [[], [4, 2], [4, 2]], (b, low, x, high) => b.clamp(low, x, high)],
  ['reshape, merge', [[4, 3, 2]], (b, x) => b.reshape(x, [12, 2])],
  ['reshape, split', [[12, 2]], (b, x) => b.reshape(x, [4, 3, 2])],
  ['reshape, ones', [[1, 4, 1, 2]], (b, x) => b.reshape(x, [4, 2, 1])],
  ['reshape, regroup', [[4, 6, 2]], (b, x) => b.reshape(x, [2, 12, 1, 2])],
  ['broadcast_in_dim', [[1, 4]], (b, x) => b.broadcastInDim(x, [4, 2, 6], [2, 0])],
  ['transpose', [[2, 4, 6]], (b, x) => b.transpose(x, [2, 0, 1])],
  ['reverse', [[2, 4]], (b, x) => b.reverse(x, [1])],
  ['slice', [[4, 6]], (b, x) => b.slice(x, [0, 1], [4, 5], [1, 2])],
  ['pad', [[4, 2]], (b, x) => b.pad(x, zeros(b, []), [0, 1], [0, -1], [0, 2])],
  [
    'concatenate',
    [
      [4, 2],
      [4, 6],
    ],
    (b, x, y) => b.concatenate([x, y], 1),
  ],
  ['dynamic_slice', [[4, 6]], (b, x) => b.dynamicSlice(x, [b.full(0, 'int32'), b.full(2, 'int32')], [4, 2])],
  [
    'dynamic_update_slice',
    [
      [4, 6],
      [4, 2],
    ],
    (b, x, u) => b.dynamicUpdateSlice(x, u, [b.full(0, 'int32'), b.full(2, 'int32')]),
  ],
  [
    'gather',
    [[5, 4]],
    (b, x) =>
      b.gather(x, indices(b, [2, 4], [0, 4, 2, 2, 1, 9, 3, 0]), {
        offsetDims: [2],
        collapsedSliceDims: [0],
        startIndexMap: [0],
        indexVectorDim: 2,
        sliceSizes: [1, 4],
      }),
  ],
  [
    'gather, batched',
    [[4, 5, 2]],
    (b, x) =>
      b.gather(x, indices(b, [4, 2], [0, 4, 2, 2, 1, 3, 3, 0]), {
        offsetDims: [2],
        collapsedSliceDims: [1],
        operandBatchingDims: [0],
        startIndicesBatchingDims: [0],
        startIndexMap: [1],
        indexVectorDim: 2,
        sliceSizes: [1, 1, 2],
      }),
  ],
  [
    'scatter, add',
    [
      [5, 4],
      [6, 4],
    ],
    (b, x, u) => b.scatter(x, indices(b, [6], [0, 4, 2, 2, 1, 9]), u, rows, scalarAdd),
  ],
  [
    'scatter, add to zeros',
    [[6, 4]],
    (b, u) => b.scatter(zeros(b, [5, 4]), indices(b, [6], [0, 4, 2, 2, 1, 9]), u, rows, scalarAdd),
  ],
  [
    'scatter, maximum',
    [
      [5, 4],
      [6, 4],
    ],
    (b, x, u) => b.scatter(x, indices(b, [6], [0, 4, 2, 2, 1, 9]), u, rows, (b, p, q) => [b.maximum(p, q)]),
  ],
  [
    'dot_general',
    [
      [2, 4, 6],
      [6, 2, 8],
    ],
    (b, x, y) =>
      b.dotGeneral(x, y, { lhsBatching: [0], rhsBatching: [1], lhsContracting: [2], rhsContracting: [0] }),
  ],
  [
    'convolution',
    [
      [4, 2, 5],
      [6, 2, 3],
    ],
    (b, x, w) => b.convolution(x, w, { windowStrides: [2], padding: [[1, 1]] }),
  ],
  [
    'convolution, groups',
    [
      [4, 4, 5],
      [6, 2, 3],
    ],
    (b, x, w) => b.convolution(x, w, { windowStrides: [1], padding: [[1, 1]], featureGroupCount: 2 }),
  ],
  ['reduce, sum', [[4, 6, 2]], (b, x) => b.reduceSum(x, [1])],
  ['reduce, prod', [[4, 6, 2]], (b, x) => b.reduceProd(x, [0, 2])],
  ['reduce, max', [[4, 6, 2]], (b, x) => b.reduceMax(x, [1])],
  ['reduce, min', [[4, 6, 2]], (b, x) => b.reduceMin(x, [0])],
  ['reduce, sum from one', [[4, 6]], (b, x) => b.reduce([x], [b.full(1, 'float64')], [1], scalarAdd)],
  [
    'reduce_window',
    [[4, 6]],
    (b, x) =>
      b.reduceWindow(
        [x],
        [zeros(b, [])],
        {
          windowDimensions: [1, 3],
          padding: [
            [0, 0],
            [1, 1],
          ],
        },
        scalarAdd,
      ),
  ],
  [
    'select_and_scatter',
    [
      [4, 6],
      [4, 3],
    ],
    (b, x, s) =>
      b.selectAndScatter(
        x,
        s,
        zeros(b, []),
        { windowDimensions: [1, 2], windowStrides: [1, 2] },
        (b, p, q) => [b.compare(p, q, 'GE')],
        scalarAdd,
      ),
  ],
  [
    'sort',
    [
      [4, 6],
      [4, 6],
    ],
    (b, x, y) => b.sort([x, y], 1, true, (b, p, q) => [b.compare(p, q, 'LT')]),
  ],
  ['top_k', [[4, 6]], (b, x) => b.topK(x, 3)],
  ['fft', [[4, 6]], (b, x) => b.fft(x, 'RFFT', [6])],
  [
    'triangular_solve',
    [
      [2, 2, 2],
      [2, 2, 4],
    ],
    (b, a, y) =>
      b.triangularSolve(a, y, { leftSide: true, lower: true, unitDiagonal: true, transpose: 'NO_TRANSPOSE' }),
  ],
];

let seed = 3;
const draw = (sizes: readonly number[]): TensorLiteral => {
  const values = Float64Array.from({ length: numel(sizes) }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });
  return new TensorLiteral('float64', sizes, new Uint8Array(values.buffer));
};

/** Runs a few operators on whole tensors. */
function compute(values: readonly TensorLiteral[], build: Build): TensorLiteral[] {
  const b = new CoreBuilder();
  const made = build(b, ...values.map(({ dtype, shape }) => b.input(tensorSpec(dtype, shape))));
  for (const value of [made].flat()) b.graph.addOutput(value as Value);
  return executeOnHost(b.graph, values);
}

const part = (value: TensorLiteral, dimension: number, index: number, parts: number): TensorLiteral =>
  compute([value], (b, x) => {
    const size = value.shape[dimension] / parts;
    const start = value.shape.map((_, at) => (at === dimension ? index * size : 0));
    return b.slice(
      x,
      start,
      value.shape.map((whole, at) => (at === dimension ? start[at] + size : whole)),
    );
  })[0];

/** Attributes that hold sizes of the result or of the first operand, which a device gives for its part. */
const sized: Readonly<Record<string, readonly [attribute: string, of: 'result' | 'operand']>> = {
  reshape: ['shape', 'result'],
  broadcast_in_dim: ['shape', 'result'],
  slice: ['limit_indices', 'result'],
  dynamic_slice: ['slice_sizes', 'operand'],
  gather: ['slice_sizes', 'operand'],
};

/** Runs a copy of `node` on other operands. */
function runNode(
  node: Node,
  operands: readonly TensorLiteral[],
  rule?: ShardingRule,
  factor?: number,
  parts = 1,
) {
  return compute(operands, (b, ...values) => {
    const copy = cloneNode(b.graph, node, new Map(node.inputs.map((input, index) => [input, values[index]])));
    values.forEach((value, index) => copy.replaceInput(index, value));
    const [attribute, of] = sized[node.operator] ?? [];
    if (attribute !== undefined && rule !== undefined && factor !== undefined) {
      const dimension = (of === 'result' ? rule.results[0] : rule.operands[0]).indexOf(factor);
      const sizes = node
        .get('is', attribute)
        .map((size, at) => (at === dimension ? size / BigInt(parts) : size));
      copy.set(attribute, { kind: 'is', value: sizes });
    }
    inferTypes(copy).forEach((spec, index) => copy.outputs[index].setType(spec));
    b.graph.insertNode(copy);
    return copy.outputs;
  });
}

const decode = ({ dtype, bytes }: TensorLiteral): number[] => {
  const { buffer } = bytes.slice();
  const arrays: Partial<Record<DType, () => ArrayLike<number>>> = {
    float64: () => new Float64Array(buffer),
    float32: () => new Float32Array(buffer),
    complex128: () => new Float64Array(buffer),
    int32: () => new Int32Array(buffer),
    bool: () => new Uint8Array(buffer),
  };
  return Array.from(arrays[dtype]!());
};
function expectEqual(found: TensorLiteral, expected: TensorLiteral): void {
  expect(found.shape).toEqual(expected.shape);
  const values = decode(expected);
  decode(found).forEach((value, at) => expect(value).toBeCloseTo(values[at], 5));
}

const combine = { sum: 'add', prod: 'multiply', max: 'maximum', min: 'minimum' } as const;

test.each(cases)('%s: any factor may be split', (_name, shapes, build) => {
  const { node, operands } = evaluate(shapes, build);
  const whole = runNode(node, operands);
  const rule = shardingOf(node)!;
  const factors = new Set([...rule.operands, ...rule.results].flat().filter((label) => label !== null));
  expect(factors.size).toBeGreaterThan(0);
  for (const factor of factors) {
    const parts = 2;
    const locals = [0, 1].map((index) => {
      const local = operands.map((operand, at) => {
        const dimension = rule.operands[at].indexOf(factor);
        return dimension < 0 ? operand : part(operand, dimension, index, parts);
      });
      return runNode(node, local, rule, factor, parts);
    });
    whole.forEach((expected, at) => {
      const dimension = rule.results[at].indexOf(factor);
      const [found] = compute([locals[0][at], locals[1][at]], (b, x, y) =>
        dimension < 0 ? b.emit(combine[rule.reduction!], [x, y])[0] : b.concatenate([x, y], dimension),
      );
      expectEqual(found, expected);
    });
  }
});

test.each(cases)('%s: is linear in what the rule says', (_name, shapes, build) => {
  const { node, operands } = evaluate(shapes, build);
  for (const set of shardingOf(node)!.linear ?? []) {
    const [left, right] = [0, 1].map(() =>
      operands.map((operand, at) => (set.includes(at) ? draw(operand.shape) : operand)),
    );
    const sum = left.map((value, at) =>
      set.includes(at) ? compute([value, right[at]], (b, x, y) => b.add(x, y))[0] : value,
    );
    const [a, c] = [runNode(node, left)[0], runNode(node, right)[0]];
    expectEqual(compute([a, c], (b, x, y) => b.add(x, y))[0], runNode(node, sum)[0]);
  }
});

/** The node under test and the values of its operands. */
function evaluate(shapes: readonly (readonly number[])[], build: Build) {
  const b = new CoreBuilder();
  const made = build(b, ...shapes.map((sizes) => b.input(tensorSpec('float64', sizes))));
  const { node } = [made].flat()[0] as Value;
  for (const input of node.inputs) b.graph.addOutput(input);
  return { node, operands: executeOnHost(b.graph, shapes.map(draw)) };
}
