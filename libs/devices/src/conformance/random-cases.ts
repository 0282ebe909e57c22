// Random programs, the same in every run, compared with the reference device: operators over random shapes, dtypes and
// attributes, and chains of them, where the tables of the other files have no entry.
import type { DType, TensorLiteral, Value } from '@weft/ir';
import { CoreBuilder, Graph, dtypes, numel } from '@weft/ir';
import { executeOnHost } from '../host.ts';
import { referenceDevice } from '../reference/device.ts';
import type { ConformanceCase } from './case.ts';
import { specOfLiteral, tensor } from './case.ts';

/** A small generator (mulberry32) of its own, so that cases never change. */
export class Source {
  constructor(private state: number) {}
  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
  /** An integer in [low, high]. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  pick<T>(from: readonly T[]): T {
    return from[this.integer(0, from.length - 1)];
  }
  shape(rank: number, most = 6): number[] {
    return Array.from({ length: rank }, () => this.integer(1, most));
  }
  /** Numbers that no dtype overflows in a few operations. */
  tensor(dtype: DType, shape: readonly number[]): TensorLiteral {
    const { category } = dtypes[dtype];
    const element = () => {
      if (category === 'bool') return this.next() < 0.5;
      if (category === 'float') return this.next() * 4 - 2;
      if (category === 'complex') return [this.next() * 4 - 2, this.next() * 4 - 2] as const;
      return this.integer(category === 'uint' ? 0 : -9, 9);
    };
    return tensor(dtype, shape, Array.from({ length: numel(shape) }, element));
  }
}

/** A case whose expected outputs the reference device gives. */
export function againstReference(
  name: string,
  operator: string,
  inputs: readonly TensorLiteral[],
  build: ConformanceCase['build'],
  tolerance?: number,
): ConformanceCase {
  let expected: readonly TensorLiteral[] | undefined;
  return {
    name: `${operator} ${name}`,
    operator,
    inputs,
    build,
    tolerance,
    get expected() {
      if (expected === undefined) {
        const graph = new Graph();
        const b = new CoreBuilder(graph);
        const values = inputs.map((literal) => b.input(specOfLiteral(literal)));
        for (const output of build(b, ...values)) graph.addOutput(output);
        expected = executeOnHost(graph, inputs, referenceDevice());
      }
      return expected;
    },
  };
}

const dtypesTried: readonly DType[] = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int32',
  'int64',
  'uint8',
];
/** Sums in another order differ by more than one rounding. */
const looser: Readonly<Partial<Record<DType, number>>> = {
  float16: 0.02,
  bfloat16: 0.1,
  float32: 2e-5,
  float64: 1e-12,
};

type Maker = (source: Source, dtype: DType) => readonly [TensorLiteral[], ConformanceCase['build']];

const makers: Readonly<Record<string, Maker>> = {
  dot_general: (source, dtype) => {
    const [batch, m, k, n] = source.shape(4, 9);
    const turned = source.next() < 0.5;
    const lhs = source.tensor(dtype, turned ? [batch, k, m] : [batch, m, k]);
    return [
      [lhs, source.tensor(dtype, [n, batch, k])],
      (b, x, y) => [
        b.dotGeneral(x, y, {
          lhsBatching: [0],
          rhsBatching: [1],
          lhsContracting: [turned ? 1 : 2],
          rhsContracting: [2],
        }),
      ],
    ];
  },
  reduce: (source, dtype) => {
    const shape = source.shape(source.integer(1, 4));
    const dimensions = shape.map((_, axis) => axis).filter(() => source.next() < 0.5);
    return [
      [source.tensor(dtype, shape)],
      (b, x) => [b.reduceSum(x, dimensions), b.reduceMax(x, dimensions)],
    ];
  },
  transpose: (source, dtype) => {
    const shape = source.shape(source.integer(2, 5));
    const order = shape.map((_, axis) => axis).sort(() => source.next() - 0.5);
    return [[source.tensor(dtype, shape)], (b, x) => [b.emit('transpose', [x], { permutation: order })[0]]];
  },
  pad: (source, dtype) => {
    const shape = source.shape(2, 5);
    const low = shape.map(() => source.integer(-1, 2));
    const high = shape.map(() => source.integer(0, 2));
    const interior = shape.map(() => source.integer(0, 2));
    return [
      [source.tensor(dtype, shape), source.tensor(dtype, [])],
      (b, x, value) => [b.pad(x, value, low, high, interior)],
    ];
  },
  gather: (source, dtype) => {
    const [rows, columns] = source.shape(2, 8);
    const count = source.integer(1, 9);
    return [
      [source.tensor(dtype, [rows, columns]), source.tensor('int64', [count, 1])],
      (b, x, indices) => [
        b.gather(x, indices, {
          offsetDims: [1],
          collapsedSliceDims: [0],
          startIndexMap: [0],
          indexVectorDim: 1,
          sliceSizes: [1, columns],
        }),
      ],
    ];
  },
  scatter: (source, dtype) => {
    const [rows, columns, count] = source.shape(3, 8);
    return [
      [
        source.tensor(dtype, [rows, columns]),
        source.tensor('int32', [count, 1]),
        source.tensor(dtype, [count, columns]),
      ],
      (b, x, indices, updates) => [
        b.scatter(
          x,
          indices,
          updates,
          {
            updateWindowDims: [1],
            insertedWindowDims: [0],
            scatterDimsToOperandDims: [0],
            indexVectorDim: 1,
          },
          (r, p, q) => [r.add(p, q)],
        ),
      ],
    ];
  },
  convolution: (source, dtype) => {
    const [batch, groups, perGroup, outputs] = source.shape(4, 3);
    const size = source.integer(4, 8);
    const window = source.integer(1, 3);
    const options = {
      windowStrides: [source.integer(1, 2), source.integer(1, 2)],
      padding: [[source.integer(0, 2), 1], [1, source.integer(0, 2)]], // prettier-ignore
      lhsDilation: [1, source.integer(1, 2)],
      rhsDilation: [source.integer(1, 2), 1],
      featureGroupCount: groups,
    };
    return [
      [
        source.tensor(dtype, [batch, groups * perGroup, size, size]),
        source.tensor(dtype, [groups * outputs, perGroup, window, window]),
      ],
      (b, x, w) => [b.convolution(x, w, options)],
    ];
  },
  reduce_window: (source, dtype) => {
    const shape = source.shape(3, 7);
    const options = {
      windowDimensions: shape.map((size) => source.integer(1, Math.min(size, 3))),
      windowStrides: shape.map(() => source.integer(1, 2)),
      padding: shape.map(() => [source.integer(0, 1), source.integer(0, 1)]),
    };
    return [
      [source.tensor(dtype, shape)],
      (b, x) => b.reduceWindow([x], [b.full(0, dtype)], options, (r, p, q) => [r.add(p, q)]),
    ];
  },
  /** A chain of elementwise operators with broadcasts, as fusing compilers see them. */
  add: (source, dtype) => {
    const shape = source.shape(3, 5);
    const row = shape.map((size, axis) => (axis === 1 ? 1 : size));
    const steps = Array.from({ length: 12 }, () => source.integer(0, 5));
    return [
      [source.tensor(dtype, shape), source.tensor(dtype, row), source.tensor(dtype, [])],
      (b, x, y, z) => {
        let [p, q]: Value[] = [x, b.broadcastInDim(y, shape, [0, 1, 2])];
        for (const step of steps) [p, q] = [q, chainStep(b, step, p, q, b.broadcastTo(z, shape))];
        return [p, q];
      },
    ];
  },
};

/** Operations that keep small numbers small. */
function chainStep(b: CoreBuilder, step: number, p: Value, q: Value, z: Value): Value {
  switch (step) {
    case 0:
      return b.maximum(p, q);
    case 1:
      return b.select(b.compare(p, q, 'LT'), z, p);
    case 2:
      return b.minimum(b.add(p, z), b.add(q, z));
    case 3:
      return b.clamp(z, p, b.maximum(z, q));
    case 4:
      return b.subtract(p, b.minimum(p, q));
    default:
      return b.maximum(b.subtract(p, q), z);
  }
}

export function randomCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const [operator, maker] of Object.entries(makers)) {
    for (const dtype of dtypesTried) {
      for (let seed = 1; seed <= 4; seed++) {
        const source = new Source(seed * 7919 + dtypes[dtype].scalarType * 104729 + operator.length);
        const [inputs, build] = maker(source, dtype);
        cases.push(againstReference(`random ${dtype} #${seed}`, operator, inputs, build, looser[dtype]));
      }
    }
  }
  return cases;
}
