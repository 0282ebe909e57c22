// Derivative rules of all differentiable core operators against central differences.
import { describe } from '@jest/globals';
import type { ComparisonDirection, CoreBuilder, DType, Value } from '@weft/ir';
import { TensorLiteral, isComplex, specOf } from '@weft/ir';
import type { Case, Operand } from './gradient-check.ts';
import { check } from './gradient-check.ts';

const one = (name: string, low = -1, high = 1, dtype: DType = 'float64'): Case => ({
  operands: [{ sizes: [2, 3], low, high, dtype }],
  build: (b, x) => b.emit(name, [x])[0],
});

describe('elementwise, real', () => {
  const intervals: Readonly<Record<string, readonly [number, number]>> = {
    abs: [-1, 1],
    negate: [-1, 1],
    exponential: [-1, 1],
    exponential_minus_one: [-1, 1],
    log: [0.3, 2],
    log_plus_one: [-0.5, 2],
    logistic: [-3, 3],
    sqrt: [0.3, 2],
    rsqrt: [0.3, 2],
    cbrt: [0.3, 2],
    sine: [-3, 3],
    cosine: [-3, 3],
    tan: [-1, 1],
    tanh: [-2, 2],
    acos: [-0.8, 0.8],
    acosh: [1.2, 3],
    asin: [-0.8, 0.8],
    asinh: [-2, 2],
    atan: [-2, 2],
    atanh: [-0.8, 0.8],
    sinh: [-1, 1],
    cosh: [-1, 1],
    erf: [-1.5, 1.5],
    erfc: [-1.5, 1.5],
    erf_inv: [-0.8, 0.8],
    lgamma: [0.4, 4],
    digamma: [0.4, 4],
    sign: [-1, 1],
    real: [-1, 1],
    imag: [-1, 1],
  };
  for (const [name, [low, high]] of Object.entries(intervals)) check(name, one(name, low, high));
  check('lgamma of negative numbers', { ...one('lgamma', -1.9, -1.1), tolerance: 1e-5 });
  check('digamma of negative numbers', { ...one('digamma', -1.8, -1.2), tolerance: 1e-4 });
});

describe('elementwise, complex', () => {
  for (const name of [
    'abs',
    'negate',
    'exponential',
    'exponential_minus_one',
    'log',
    'log_plus_one',
    'logistic',
    'sqrt',
    'rsqrt',
    'sine',
    'cosine',
    'tan',
    'tanh',
    'acos',
    'acosh',
    'asin',
    'asinh',
    'atan',
    'atanh',
    'sinh',
    'cosh',
    'sign',
    'real',
    'imag',
  ]) {
    check(name, one(name, 0.2, 0.9, 'complex128'));
  }
  const pair: readonly Operand[] = [
    { sizes: [3], dtype: 'complex128', low: 0.4 },
    { sizes: [3], dtype: 'complex128', low: 0.4 },
  ];
  for (const name of ['add', 'subtract', 'multiply', 'divide', 'power']) {
    check(name, { operands: pair, build: (b, x, y) => b.emit(name, [x, y])[0] });
  }
  check('complex', { operands: [{ sizes: [3] }, { sizes: [3] }], build: (b, x, y) => b.complex(x, y) });
  check('convert', {
    operands: [{ sizes: [3] }],
    build: (b, x) => b.multiply(b.convert(x, 'complex128'), b.convert(b.sine(x), 'complex128')),
  });
});

describe('elementwise, two operands', () => {
  const pair: readonly Operand[] = [
    { sizes: [2, 3], low: 0.5, high: 2 },
    { sizes: [2, 3], low: 0.5, high: 2 },
  ];
  for (const name of [
    'add',
    'subtract',
    'multiply',
    'divide',
    'remainder',
    'power',
    'maximum',
    'minimum',
    'atan2',
    'complex',
  ]) {
    check(name, { operands: pair, build: (b, x, y) => b.emit(name, [x, y])[0] });
  }
  check('power of a negative base', {
    operands: [{ sizes: [3], low: -2, high: -0.5 }],
    build: (b, x) => b.power(x, b.fullLike(x, 3)),
  });
  check('select and clamp', {
    operands: [
      { sizes: [4] },
      { sizes: [4] },
      { sizes: [], low: -0.4, high: -0.3 },
      { sizes: [], low: 0.3, high: 0.4 },
    ],
    build: (b, x, y, low, high) => b.clamp(low, b.select(b.compare(x, y, 'LT'), x, b.multiply(x, y)), high),
  });
  check('bounds of the shape', {
    operands: [{ sizes: [6] }, { sizes: [6], low: -0.6, high: -0.2 }, { sizes: [6], low: 0.2, high: 0.6 }],
    build: (b, x, low, high) => b.clamp(low, x, high),
  });
});

describe('shapes', () => {
  const x: readonly Operand[] = [{ sizes: [2, 3, 4] }];
  const cubed = (b: CoreBuilder, y: Value) => b.multiply(y, b.multiply(y, y));
  const moves: Readonly<Record<string, (b: CoreBuilder, x: Value) => Value>> = {
    reshape: (b, x) => b.reshape(x, [4, 6]),
    transpose: (b, x) => b.transpose(x, [2, 0, 1]),
    reverse: (b, x) => b.reverse(x, [0, 2]),
    slice: (b, x) => b.slice(x, [0, 1, 0], [2, 3, 4], [1, 1, 3]),
    empty_slice: (b, x) => b.concatenate([b.slice(x, [0, 1, 0], [2, 1, 4]), x], 1),
    broadcast_in_dim: (b, x) => b.broadcastInDim(b.reshape(x, [2, 1, 3, 4]), [3, 2, 5, 3, 4], [1, 2, 3, 4]),
    broadcast_turned: (b, x) => b.broadcastInDim(x, [4, 2, 5, 3], [1, 3, 0]),
    optimization_barrier: (b, x) => b.optimizationBarrier([x, b.sine(x)])[0],
  };
  for (const [name, move] of Object.entries(moves)) {
    check(name, { operands: x, build: (b, x) => cubed(b, move(b, x)) });
  }
  check('pad', {
    operands: [{ sizes: [3, 4] }, { sizes: [] }],
    build: (b, x, v) => cubed(b, b.pad(x, v, [1, -1], [2, 3], [2, 0])),
  });
  check('pad with negative edges and holes', {
    operands: [{ sizes: [3, 4] }, { sizes: [] }],
    build: (b, x, v) => cubed(b, b.pad(x, v, [-2, -1], [-1, 0], [1, 2])),
  });
  check('concatenate', {
    operands: [{ sizes: [2, 3] }, { sizes: [2, 1] }],
    build: (b, x, y) => cubed(b, b.concatenate([x, y, x], 1)),
  });
});

describe('contractions', () => {
  for (const dtype of ['float64', 'complex128'] as const) {
    check(`dot_general ${dtype}`, {
      operands: [
        { sizes: [2, 3, 4, 5], dtype },
        { sizes: [5, 3, 6, 4], dtype },
      ],
      build: (b, x, y) =>
        b.dotGeneral(x, y, {
          lhsBatching: [1],
          rhsBatching: [1],
          lhsContracting: [3, 2],
          rhsContracting: [0, 3],
        }),
      second: dtype === 'float64',
      tolerance: 1e-5,
    });
  }
  const convolutions: Readonly<
    Record<string, { x: number[]; w: number[]; o: Parameters<CoreBuilder['convolution']>[2] }>
  > = {
    plain: { x: [2, 3, 5], w: [4, 3, 3], o: { windowStrides: [1], padding: [[0, 0]] } },
    'strides and padding': {
      x: [2, 2, 6, 5],
      w: [3, 2, 3, 2],
      o: {
        windowStrides: [2, 3],
        padding: [
          [1, 2],
          [0, 1],
        ],
      },
    },
    dilations: {
      x: [1, 2, 5],
      w: [2, 2, 3],
      o: { windowStrides: [2], padding: [[2, 3]], lhsDilation: [3], rhsDilation: [2] },
    },
    'negative padding': { x: [1, 2, 8], w: [2, 2, 2], o: { windowStrides: [1], padding: [[-1, -2]] } },
    'feature groups': {
      x: [2, 6, 5],
      w: [4, 3, 2],
      o: { windowStrides: [2], padding: [[1, 0]], featureGroupCount: 2 },
    },
    depthwise: {
      x: [1, 3, 4, 4],
      w: [6, 1, 2, 2],
      o: {
        windowStrides: [1, 1],
        padding: [
          [0, 0],
          [1, 1],
        ],
        featureGroupCount: 3,
      },
    },
    'batch groups': {
      x: [4, 3, 5],
      w: [6, 3, 2],
      o: { windowStrides: [1], padding: [[0, 1]], batchGroupCount: 2 },
    },
    reversal: {
      x: [1, 2, 4, 5],
      w: [2, 2, 2, 3],
      o: {
        windowStrides: [1, 2],
        padding: [
          [0, 1],
          [1, 0],
        ],
        windowReversal: [true, false],
      },
    },
    'other layouts': {
      x: [5, 2, 4, 3],
      w: [2, 3, 4, 2],
      o: {
        windowStrides: [1, 1],
        padding: [
          [0, 0],
          [0, 0],
        ],
        inputDimensions: [1, 3, 0, 2],
        kernelDimensions: [2, 1, 0, 3],
        outputDimensions: [3, 0, 2, 1],
      },
    },
  };
  for (const [name, { x, w, o }] of Object.entries(convolutions)) {
    check(`convolution, ${name}`, {
      operands: [{ sizes: x }, { sizes: w }],
      build: (b, x, w) => b.convolution(x, w, o),
      tolerance: 1e-5,
    });
  }
});

describe('reductions', () => {
  const x: readonly Operand[] = [{ sizes: [3, 4, 2] }];
  const reduces: Readonly<Record<string, (b: CoreBuilder, x: Value) => Value>> = {
    sum: (b, x) => b.reduceSum(b.multiply(x, x), [0, 2]),
    prod: (b, x) => b.reduceProd(x, [0, 2]),
    max: (b, x) => b.reduceMax(x, [1]),
    min: (b, x) => b.reduceMin(x, [0, 1]),
    'a region of its own': (b, x) =>
      b.reduce([x], [b.full(0, 'float64')], [1], (b, p, q) => [b.add(b.add(p, q), b.multiply(p, q))])[0],
    'two results': (b, x) =>
      b.reduce([x, b.sine(x)], [b.full(-9, 'float64'), b.full(0, 'float64')], [1], (b, p, u, q, v) => [
        b.select(b.compare(p, q, 'GE'), p, q),
        b.select(b.compare(p, q, 'GE'), u, v),
      ])[1],
  };
  for (const [name, reduce] of Object.entries(reduces)) check(name, { operands: x, build: reduce });
  check('prod with a zero', {
    operands: [{ sizes: [2, 3], values: [0, 2, 3, 0, 0.5, 0] }],
    build: (b, x) => b.reduceProd(x, [1]),
  });
  check('initial values', {
    operands: [{ sizes: [2, 3] }, { sizes: [] }],
    build: (b, x, init) =>
      b.add(
        b.reduce([x], [init], [1], (b, p, q) => [b.add(p, q)])[0],
        b.reduce([x], [init], [1], (b, p, q) => [b.multiply(p, q)])[0],
      ),
  });
  const o = {
    windowDimensions: [2, 3],
    windowStrides: [1, 2],
    padding: [
      [1, 0],
      [1, 2],
    ],
  };
  const dilatedWindow = { ...o, baseDilations: [2, 1], windowDilations: [1, 2] };
  const infinite = (b: CoreBuilder, sign: number) => b.full(sign * Infinity, 'float64');
  const windows: Readonly<Record<string, (b: CoreBuilder, x: Value) => Value>> = {
    sum: (b, x) => b.reduceWindow([x], [b.full(0, 'float64')], o, (b, p, q) => [b.add(p, q)])[0],
    'sum, dilated': (b, x) =>
      b.reduceWindow([x], [b.full(0, 'float64')], dilatedWindow, (b, p, q) => [b.add(p, q)])[0],
    max: (b, x) => b.reduceWindow([x], [infinite(b, -1)], o, (b, p, q) => [b.maximum(p, q)])[0],
    min: (b, x) => b.reduceWindow([x], [infinite(b, 1)], o, (b, p, q) => [b.minimum(p, q)])[0],
    'max, dilated': (b, x) =>
      b.reduceWindow([x], [b.full(-3, 'float64')], dilatedWindow, (b, p, q) => [b.maximum(p, q)])[0],
    product: (b, x) => b.reduceWindow([x], [b.full(1, 'float64')], o, (b, p, q) => [b.multiply(p, q)])[0],
  };
  for (const [name, window] of Object.entries(windows)) {
    check(`reduce_window, ${name}`, {
      operands: [{ sizes: [4, 5] }],
      build: (b, x) => window(b, b.multiply(x, b.exponential(x))),
    });
  }
  check('select_and_scatter', {
    operands: [{ sizes: [4, 6] }, { sizes: [2, 3] }, { sizes: [] }],
    build: (b, x, s, init) =>
      b.selectAndScatter(
        x,
        b.multiply(s, s),
        init,
        {
          windowDimensions: [3, 2],
          windowStrides: [2, 2],
          padding: [
            [1, 0],
            [0, 0],
          ],
        },
        (b, p, q) => [b.compare(p, q, 'GE')],
        (b, p, q) => [b.add(p, q)],
      ),
  });
});

const integers = (b: CoreBuilder, sizes: number[], values: number[]) =>
  b.constant(new TensorLiteral('int64', sizes, new Uint8Array(BigInt64Array.from(values, BigInt).buffer)));

describe('indexing', () => {
  const rows = {
    offsetDims: [2],
    collapsedSliceDims: [0],
    startIndexMap: [0],
    indexVectorDim: 2,
    sliceSizes: [1, 3],
  };
  check('gather of rows, one twice, one out of bounds', {
    operands: [{ sizes: [4, 3] }],
    build: (b, x) => b.sine(b.gather(x, integers(b, [2, 2], [1, 1, 3, 9]), rows)),
  });
  check('gather of windows in a batch', {
    operands: [{ sizes: [2, 5, 4] }],
    build: (b, x) =>
      b.sine(
        b.gather(x, integers(b, [2, 3, 2], [0, 1, 3, 2, 9, 0, 1, 1, 2, 0, -4, 3]), {
          offsetDims: [2, 3],
          collapsedSliceDims: [],
          operandBatchingDims: [0],
          startIndicesBatchingDims: [0],
          startIndexMap: [1, 2],
          indexVectorDim: 2,
          sliceSizes: [1, 2, 3],
        }),
      ),
  });
  const numbers = {
    updateWindowDims: [1],
    insertedWindowDims: [0],
    scatterDimsToOperandDims: [0],
    indexVectorDim: 1,
  };
  const combine: Readonly<
    Record<string, { values: number[]; region: Parameters<CoreBuilder['scatter']>[4]; second?: boolean }>
  > = {
    add: { values: [1, 1, 7, 0], region: (b, p, q) => [b.add(p, q)] },
    replace: { values: [1, 3, 7, 0], region: (_b, _p, q) => [q] },
    multiply: { values: [1, 1, 7, 0], region: (b, p, q) => [b.multiply(p, q)] },
    maximum: { values: [1, 1, 7, 0], region: (b, p, q) => [b.maximum(p, q)] },
    minimum: { values: [1, 1, 7, 0], region: (b, p, q) => [b.minimum(p, q)] },
  };
  for (const [name, { values, region }] of Object.entries(combine)) {
    check(`scatter, ${name}`, {
      operands: [{ sizes: [4, 3] }, { sizes: [4, 3] }],
      build: (b, x, u) => b.sine(b.scatter(x, integers(b, [4], values), u, numbers, region)),
    });
  }
  check('scatter, multiply with zeros', {
    operands: [{ sizes: [3] }, { sizes: [4], values: [0, 2, 0, 0] }],
    second: false,
    build: (b, x, u) =>
      b.scatter(
        x,
        integers(b, [4], [0, 0, 1, 1]),
        u,
        { updateWindowDims: [], insertedWindowDims: [0], scatterDimsToOperandDims: [0], indexVectorDim: 1 },
        (b, p, q) => [b.multiply(p, q)],
      ),
  });
  check('dynamic slices', {
    operands: [{ sizes: [4, 5] }, { sizes: [2, 3] }],
    build: (b, x, u) => {
      const start = [b.full(1, 'int32'), b.full(9, 'int32')];
      const y = b.sine(b.dynamicUpdateSlice(x, u, start));
      return b.multiply(b.dynamicSlice(y, [b.full(2, 'int32'), b.full(1, 'int32')], [2, 3]), u);
    },
  });
});

describe('algorithms', () => {
  const ascending = (b: CoreBuilder, p: Value, q: Value) => [b.compare(p, q, 'LT' as ComparisonDirection)];
  check('sort', {
    operands: [{ sizes: [3, 4] }],
    build: (b, x) => b.sine(b.sort([x], 0, true, ascending)[0]),
  });
  check('sort of pairs', {
    operands: [{ sizes: [3, 4] }, { sizes: [3, 4] }],
    build: (b, x, y) => {
      const [p, q] = b.sort([x, y, b.iota('int64', [3, 4], 1)], 1, true, (b, p, q) => ascending(b, p, q));
      return b.multiply(p, b.sine(q));
    },
  });
  check('top_k', { operands: [{ sizes: [2, 5] }], build: (b, x) => b.sine(b.topK(x, 2)[0]) });
  const dtype = 'complex128';
  for (const length of [[4], [5], [3, 4], [2, 5]]) {
    const half = [...length.slice(0, -1), Math.floor(length.at(-1)! / 2) + 1];
    check(`fft ${length.join('×')}`, {
      operands: [{ sizes: [2, ...length], dtype }],
      build: (b, x) => b.fft(x, 'FFT', length),
      second: false,
    });
    check(`ifft ${length.join('×')}`, {
      operands: [{ sizes: [2, ...length], dtype }],
      build: (b, x) => b.fft(x, 'IFFT', length),
      second: false,
    });
    check(`rfft ${length.join('×')}`, {
      operands: [{ sizes: [2, ...length] }],
      build: (b, x) => b.fft(b.sine(x), 'RFFT', length),
    });
    check(`irfft ${length.join('×')}`, {
      operands: [{ sizes: [2, ...half], dtype }],
      build: (b, x) => b.fft(b.multiply(x, x), 'IRFFT', length),
    });
  }
  for (const dtype of ['float64', 'complex128'] as const) {
    // x·xᴴ + 2 is Hermitian and positive definite.
    const definite = (b: CoreBuilder, x: Value) => {
      const { sizes } = specOf(x);
      const conjugate = isComplex(dtype) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;
      const square = b.dotGeneral(x, conjugate, {
        lhsBatching: [0],
        rhsBatching: [0],
        lhsContracting: [2],
        rhsContracting: [2],
      });
      const eye = b.convert(b.compare(b.iota('int64', sizes, 1), b.iota('int64', sizes, 2), 'EQ'), dtype);
      return b.add(square, b.add(eye, eye));
    };
    for (const lower of [true, false]) {
      check(`cholesky ${dtype}${lower ? '' : ', upper'}`, {
        operands: [{ sizes: [2, 3, 3], dtype }],
        build: (b, x) => b.cholesky(definite(b, x), lower),
        tolerance: 1e-5,
      });
    }
    for (const leftSide of [true, false]) {
      for (const transpose of ['NO_TRANSPOSE', 'TRANSPOSE', 'ADJOINT'] as const) {
        for (const [lower, unitDiagonal] of [
          [true, false],
          [false, true],
        ]) {
          check(
            `triangular_solve ${dtype} ${leftSide ? 'left' : 'right'} ${transpose} ${lower ? 'lower' : 'upper, unit'}`,
            {
              operands: [
                { sizes: [1, 3, 3], dtype },
                { sizes: leftSide ? [1, 3, 2] : [1, 2, 3], dtype },
              ],
              build: (b, a, y) =>
                b.triangularSolve(definite(b, a), y, { leftSide, lower, unitDiagonal, transpose }),
              second: dtype === 'float64' && leftSide,
              tolerance: 1e-4,
            },
          );
        }
      }
    }
  }
});

describe('control flow', () => {
  const total = (b: CoreBuilder, x: Value) => b.reduceSum(x, [0]);
  check('if', {
    operands: [{ sizes: [3] }, { sizes: [3] }],
    build: (b, x, y) => {
      const isLarge = b.compare(total(b, x), b.full(0, 'float64'), 'GT');
      return b.if(
        isLarge,
        (b) => [b.multiply(x, y)],
        (b) => [b.sine(b.multiply(x, x))],
      )[0];
    },
  });
  check('case', {
    operands: [{ sizes: [3] }],
    build: (b, x) =>
      b.case(b.full(1, 'int32'), [
        () => [x],
        (b) => [b.multiply(x, b.multiply(x, x))],
        (b) => [b.negate(x)],
      ])[0],
  });
  const counted = (start: number, direction: ComparisonDirection, limit: number, step: number): Case => ({
    operands: [{ sizes: [3] }, { sizes: [3] }],
    tolerance: 1e-5,
    build: (b, x, w) =>
      b.while(
        [b.full(start, 'int64'), x],
        (b, i) => [b.compare(i, b.full(limit, 'int64'), direction)],
        (b, i, x) => [
          b.add(i, b.full(step, 'int64')),
          b.add(b.sine(b.multiply(x, w)), b.convert(b.broadcastTo(i, [3]), 'float64')),
        ],
      )[1],
  });
  check('while, up', counted(0, 'LT', 3, 1));
  check('while, down by two', counted(5, 'GE', 0, -2));
  check('while, never', counted(5, 'LT', 0, 1));
  check('while in a branch, in a loop', {
    operands: [{ sizes: [2] }],
    tolerance: 1e-5,
    build: (b, x) =>
      b.while(
        [b.full(0, 'int32'), x],
        (b, i) => [b.compare(i, b.full(2, 'int32'), 'LT')],
        (b, i, x) => {
          const next = b.if(
            b.compare(i, b.full(1, 'int32'), 'LT'),
            (b) => [
              b.while(
                [b.full(0, 'int32'), x],
                (b, k) => [b.compare(k, b.full(2, 'int32'), 'LT')],
                (b, k, y) => [b.add(k, b.full(1, 'int32')), b.multiply(y, b.cosine(x))],
              )[1],
            ],
            (b) => [b.exponential(x)],
          )[0];
          return [b.add(i, b.full(1, 'int32')), next];
        },
      )[1],
  });
  check('composite', {
    operands: [{ sizes: [3] }],
    build: (b, x) => b.composite('cube', [x, x], {}, (b, x, y) => [b.multiply(x, b.multiply(y, y))])[0],
  });
});
