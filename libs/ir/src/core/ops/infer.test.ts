// Type inference of core operators: what they accept and infer, what they reject and how they say it.
import { expect, test } from '@jest/globals';
import type { TensorSpec, Value } from '../../index.ts';
import { CoreBuilder, OperatorError, TensorLiteral, coreOperators, specOf, tensorSpec } from '../../index.ts';
import { specText } from './inference.ts';

/** `float32[2, 3]`. */
function parse(text: string): TensorSpec {
  const [, dtype, sizes] = /^(\w+)\[(.*)\]$/.exec(text)!;
  return tensorSpec(dtype as TensorSpec['dtype'], sizes === '' ? [] : sizes.split(',').map(Number));
}

type Build = (b: CoreBuilder, ...x: Value[]) => Value | readonly Value[];
const add = (b: CoreBuilder, p: Value, q: Value) => [b.add(p, q)];
const less = (b: CoreBuilder, p: Value, q: Value) => [b.compare(p, q, 'LT')];
const conv =
  (o: Partial<Parameters<CoreBuilder['convolution']>[2]>): Build =>
  (b, x, w) =>
    b.convolution(x, w, { windowStrides: [1], padding: [[0, 0]], ...o });
const rows = { offsetDims: [1], collapsedSliceDims: [0], startIndexMap: [0], indexVectorDim: 1 };
const updates = {
  updateWindowDims: [1],
  insertedWindowDims: [0],
  scatterDimsToOperandDims: [0],
  indexVectorDim: 1,
};

function outputs(operands: readonly string[], build: Build): string {
  const b = new CoreBuilder();
  const made = build(b, ...operands.map((text) => b.input(parse(text))));
  return [made]
    .flat()
    .map((value) => specText(specOf(value as Value)))
    .join(' ');
}

const accepted: readonly (readonly [string, readonly string[], Build, string])[] = [
  ['abs of complex', ['complex64[2]'], (b, x) => b.abs(x), 'float32[2]'],
  ['is_finite', ['float16[2]'], (b, x) => b.isFinite(x), 'bool[2]'],
  ['complex', ['float64[2]', 'float64[2]'], (b, x, y) => b.complex(x, y), 'complex128[2]'],
  ['compare', ['int8[2]', 'int8[2]'], (b, x, y) => b.compare(x, y, 'GE'), 'bool[2]'],
  ['select by a scalar', ['bool[]', 'int8[2]', 'int8[2]'], (b, p, x, y) => b.select(p, x, y), 'int8[2]'],
  ['clamp by scalars', ['int8[]', 'int8[2]', 'int8[]'], (b, p, x, y) => b.clamp(p, x, y), 'int8[2]'],
  ['bitcast to narrower', ['int32[3]'], (b, x) => b.bitcastConvert(x, 'uint8'), 'uint8[3, 4]'],
  ['bitcast to wider', ['uint8[3, 4]'], (b, x) => b.bitcastConvert(x, 'float32'), 'float32[3]'],
  ['iota', [], (b) => b.iota('int64', [2, 3], 1), 'int64[2, 3]'],
  ['reshape of nothing', ['int8[0, 3]'], (b, x) => b.reshape(x, [5, 0]), 'int8[5, 0]'],
  ['broadcast', ['int8[1, 3]'], (b, x) => b.broadcastInDim(x, [3, 2, 4], [2, 0]), 'int8[3, 2, 4]'],
  ['transpose', ['int8[2, 3, 4]'], (b, x) => b.transpose(x, [2, 0, 1]), 'int8[4, 2, 3]'],
  ['slice with steps', ['int8[10]'], (b, x) => b.slice(x, [1], [10], [4]), 'int8[3]'],
  ['pad', ['int8[3]', 'int8[]'], (b, x, v) => b.pad(x, v, [-1], [2], [2]), 'int8[8]'],
  ['pad of nothing', ['int8[0]', 'int8[]'], (b, x, v) => b.pad(x, v, [1], [2], [2]), 'int8[3]'],
  ['concatenate', ['int8[2, 3]', 'int8[2, 0]'], (b, x, y) => b.concatenate([x, y], 1), 'int8[2, 3]'],
  ['dynamic_slice', ['int8[4]', 'int32[]'], (b, x, i) => b.dynamicSlice(x, [i], [2]), 'int8[2]'],
  [
    'gather',
    ['int8[9, 4]', 'int64[5, 1]'],
    (b, x, i) => b.gather(x, i, { ...rows, sliceSizes: [1, 3] }),
    'int8[5, 3]',
  ],
  [
    'scatter',
    ['int8[9, 4]', 'int64[5, 1]', 'int8[5, 4]'],
    (b, x, i, u) => b.scatter(x, i, u, updates, add),
    'int8[9, 4]',
  ],
  [
    'dot_general',
    ['bfloat16[2, 3, 4]', 'bfloat16[4, 2, 5]'],
    (b, x, y) =>
      b.dotGeneral(
        x,
        y,
        { lhsBatching: [0], rhsBatching: [1], lhsContracting: [2], rhsContracting: [0] },
        'float32',
      ),
    'float32[2, 3, 5]',
  ],
  [
    'convolution',
    ['float32[2, 3, 8]', 'float32[6, 3, 3]'],
    conv({ windowStrides: [2], padding: [[1, 2]], lhsDilation: [2], rhsDilation: [3] }),
    'float32[2, 6, 6]',
  ],
  [
    'convolution in groups',
    ['float32[2, 4, 8]', 'float32[6, 2, 3]'],
    conv({ featureGroupCount: 2 }),
    'float32[2, 6, 6]',
  ],
  [
    'convolution in batch groups',
    ['float32[4, 3, 8]', 'float32[6, 3, 3]'],
    conv({ batchGroupCount: 2 }),
    'float32[2, 6, 6]',
  ],
  ['convolution, window too large', ['float32[2, 3, 2]', 'float32[6, 3, 3]'], conv({}), 'float32[2, 6, 0]'],
  ['reduce', ['int8[2, 3, 4]'], (b, x) => b.reduceSum(x, [2, 0]), 'int8[3]'],
  [
    'reduce_window',
    ['int8[7]', 'int8[]'],
    (b, x, i) =>
      b.reduceWindow(
        [x],
        [i],
        { windowDimensions: [2], windowStrides: [2], baseDilations: [2], windowDilations: [3] },
        add,
      ),
    'int8[5]',
  ],
  ['sort', ['int8[4]', 'float32[4]'], (b, x, y) => b.sort([x, y], 0, true, less), 'int8[4] float32[4]'],
  ['top_k', ['float32[2, 5]'], (b, x) => b.topK(x, 3), 'float32[2, 3] int32[2, 3]'],
  ['rfft', ['float32[2, 5]'], (b, x) => b.fft(x, 'RFFT', [5]), 'complex64[2, 3]'],
  ['irfft', ['complex128[2, 3]'], (b, x) => b.fft(x, 'IRFFT', [5]), 'float64[2, 5]'],
  ['rng_bit_generator', ['uint64[2]'], (b, s) => b.rngBitGenerator(s, 'uint32', [3]), 'uint64[2] uint32[3]'],
  [
    'if',
    ['bool[]', 'int8[2]'],
    (b, p, x) =>
      b.if(
        p,
        () => [x],
        (b) => [b.negate(x)],
      ),
    'int8[2]',
  ],
  ['case', ['int32[]', 'int8[2]'], (b, i, x) => b.case(i, [() => [x], (b) => [b.negate(x)]]), 'int8[2]'],
  [
    'all_gather',
    ['int8[2, 3]'],
    (b, x) =>
      b.allGather(x, 1, [
        [0, 1],
        [2, 3],
      ]),
    'int8[2, 6]',
  ],
  ['reduce_scatter', ['int8[2, 6]'], (b, x) => b.reduceScatter(x, 1, [[0, 1, 2]]), 'int8[2, 2]'],
  ['all_to_all', ['int8[2, 6]'], (b, x) => b.allToAll(x, 1, 0, [[0, 1]]), 'int8[4, 3]'],
  ['recv', [], (b) => b.recv(parse('int8[2]'), 1, 'x'), 'int8[2]'],
  ['composite', ['int8[2]'], (b, x) => b.composite('double', [x], {}, (b, x) => [b.add(x, x)]), 'int8[2]'],
];

test.each(accepted)('%s is inferred', (_name, operands, build, expected) => {
  expect(outputs(operands, build)).toBe(expected);
});

const rejected: readonly (readonly [string, readonly string[], Build, RegExp])[] = [
  [
    'shapes',
    ['int8[2]', 'int8[3]'],
    (b, x, y) => b.add(x, y),
    /core::add\(int8\[2\], int8\[3\]\): operands 0 and 1 differ in shape \(\[2\], \[3\]\); broadcast first/,
  ],
  [
    'dtypes',
    ['int8[2]', 'int64[2]'],
    (b, x, y) => b.add(x, y),
    /core::add.*differ in dtype \(int8, int64\); convert one first/,
  ],
  [
    'category',
    ['int8[2]'],
    (b, x) => b.tanh(x),
    /core::tanh\(int8\[2\]\): operand 0 is int8; float or complex elements are expected/,
  ],
  ['bool arithmetic', ['bool[2]', 'bool[2]'], (b, x, y) => b.subtract(x, y), /operand 0 is bool/],
  [
    'order of complex numbers',
    ['complex64[2]', 'complex64[2]'],
    (b, x, y) => b.compare(x, y, 'LT'),
    /complex numbers have no order/,
  ],
  [
    'predicate',
    ['int8[2]', 'int8[2]', 'int8[2]'],
    (b, p, x, y) => b.select(p, x, y),
    /core::select.*operand 0 is int8; bool/,
  ],
  [
    'literal',
    [],
    (b) => b.constant(new TensorLiteral('int8', [3], new Uint8Array(2))),
    /has 2 bytes where 3 are expected/,
  ],
  ['reshape', ['int8[2, 3]'], (b, x) => b.reshape(x, [4]), /shape \[4\] holds 4 elements, the operand 6/],
  [
    'broadcast',
    ['int8[2]'],
    (b, x) => b.broadcastInDim(x, [3], [0]),
    /dimension 0 of size 2 does not broadcast to dimension 0 of \[3\]/,
  ],
  ['permutation', ['int8[2, 3]'], (b, x) => b.transpose(x, [0, 0]), /'permutation' names dimension 0 twice/],
  ['slice', ['int8[4]'], (b, x) => b.slice(x, [1], [5]), /slice 1:5 does not lie in dimension 0 of size 4/],
  ['padding', ['int8[2]', 'int8[]'], (b, x, v) => b.pad(x, v, [-3], [0]), /leaves dimension 0 with size -1/],
  [
    'concatenate',
    ['int8[2, 3]', 'int8[3, 3]'],
    (b, x, y) => b.concatenate([x, y], 1),
    /operands 0 and 1 must agree in all dimensions but 1/,
  ],
  [
    'start index',
    ['int8[2]', 'float32[]'],
    (b, x, i) => b.dynamicSlice(x, [i], [1]),
    /operand 1 is float32; int or uint/,
  ],
  [
    'gather',
    ['int8[9, 4]', 'int64[5, 2]'],
    (b, x, i) => b.gather(x, i, { ...rows, sliceSizes: [1, 4] }),
    /'start_index_map' has 1 entries where 2 are expected/,
  ],
  [
    'slice size',
    ['int8[9, 4]', 'int64[5, 1]'],
    (b, x, i) => b.gather(x, i, { ...rows, sliceSizes: [1, 5] }),
    /slice size 5 of dimension 1 is not in 0 … 4/,
  ],
  [
    'updates',
    ['int8[9, 4]', 'int64[5, 1]', 'int8[6, 4]'],
    (b, x, i, u) => b.scatter(x, i, u, updates, add),
    /the updates go over \[6\] where the indices give \[5\]/,
  ],
  [
    'contracting',
    ['int8[2, 3]', 'int8[4, 2]'],
    (b, x, y) => b.dotGeneral(x, y, { lhsContracting: [1], rhsContracting: [0] }),
    /core::dot_general\(int8\[2, 3\], int8\[4, 2\]\): contracting dimensions 1 and 0 differ in size \(3, 4\)/,
  ],
  [
    'features',
    ['float32[2, 3, 8]', 'float32[6, 2, 3]'],
    conv({}),
    /the input has 3 features, the kernel takes 2 in 1 group/,
  ],
  [
    'groups',
    ['float32[2, 4, 8]', 'float32[5, 2, 3]'],
    conv({ featureGroupCount: 2 }),
    /5 output features do not divide into 2 groups/,
  ],
  [
    'both groups',
    ['float32[2, 4, 8]', 'float32[4, 2, 3]'],
    conv({ featureGroupCount: 2, batchGroupCount: 2 }),
    /only one of the two group counts/,
  ],
  [
    'region',
    ['int8[4]', 'int8[]'],
    (b, x, i) => b.reduce([x], [i], [0], (b, p) => [b.compare(p, p, 'EQ')]),
    /region 0 returns \(bool\[\]\) where \(int8\[\]\) is expected/,
  ],
  [
    'source',
    ['float32[4]', 'float32[3]', 'float32[]'],
    (b, x, s, i) => b.selectAndScatter(x, s, i, { windowDimensions: [2], windowStrides: [2] }, less, add),
    /the source has shape \[3\] where the windows give \[2\]/,
  ],
  ['k', ['float32[2]'], (b, x) => b.topK(x, 3), /k is 3; 0 to 2/],
  [
    'fft length',
    ['complex64[4]'],
    (b, x) => b.fft(x, 'FFT', [5]),
    /FFT of length \[5\] takes dimensions \[5\], the operand ends in \[4\]/,
  ],
  ['matrix', ['float32[2, 3]'], (b, x) => b.cholesky(x, true), /square matrices are expected/],
  [
    'state',
    ['uint32[2]'],
    (b, s) => b.rngBitGenerator(s, 'uint32', [3]),
    /the state is uint32\[2\]; uint64\[2\]/,
  ],
  [
    'branches',
    ['bool[]', 'int8[2]', 'int8[3]'],
    (b, p, x, y) =>
      b.if(
        p,
        () => [x],
        () => [y],
      ),
    /region 1 returns \(int8\[3\]\) where \(int8\[2\]\)/,
  ],
  [
    'loop',
    ['int8[2]'],
    (b, x) =>
      b.while(
        [x],
        (b, x) => [b.compare(x, x, 'EQ')],
        (_b, x) => [x],
      ),
    /region 0 returns \(bool\[2\]\) where \(bool\[\]\)/,
  ],
  [
    'groups of devices',
    ['int8[2]'],
    (b, x) =>
      b.allReduce(x, [
        [0, 1],
        [1, 2],
      ]),
    /names device 1 twice/,
  ],
  [
    'parts',
    ['int8[3]'],
    (b, x) => b.reduceScatter(x, 0, [[0, 1]]),
    /dimension 0 of size 3 does not divide into 2 parts/,
  ],
];

test.each(rejected)('%s: a mistake is named', (_name, operands, build, message) => {
  expect(() => outputs(operands, build)).toThrow(OperatorError);
  expect(() => outputs(operands, build)).toThrow(message);
});

test('a rejected operator leaves nothing behind', () => {
  const b = new CoreBuilder();
  const [x, y] = [b.input(parse('int8[2]')), b.input(parse('int8[3]'))];
  expect(() => b.add(x, y)).toThrow(OperatorError);
  expect([...b.graph.nodes()]).toEqual([]);
  expect(x.hasUses || y.hasUses).toBe(false);
});

test('every method of the builder has its operator', () => {
  const emitted = [...CoreBuilder.toString().matchAll(/this\.(?:one|emit)\(["']([a-z_0-9]+)["']/g)].map(
    ([, name]) => name,
  );
  const known = new Set(coreOperators().map(({ name }) => name));
  expect(emitted.length).toBeGreaterThan(80);
  expect(emitted.filter((name) => !known.has(name))).toEqual([]);
});
