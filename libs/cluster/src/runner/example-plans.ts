// Two plans written by hand, for tests of what runs plans: least squares, y = x·w by gradient descent, in data-parallel form
// and as a pipeline of two stages (x·w in the first, the loss in the second). All compute the same parameters.
import type { Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, printGraph, tensorSpec } from '@weft/ir';
import { bytesOfSpec } from '../plan/memory.ts';
import type { Action, Plan, Program } from '../plan/program.ts';

const rows = 8;
const features = 3;
const outputs = 2;
const rate = 0.1;
const spec = (...sizes: number[]) => tensorSpec('float32', sizes);
const weight = spec(features, outputs);

/** A float32 literal whose element i is `value(i)`. */
export function f32(sizes: readonly number[], value: (index: number) => number): TensorLiteral {
  const length = sizes.reduce((product, size) => product * size, 1);
  const values = Float32Array.from({ length }, (_, index) => value(index));
  return new TensorLiteral('float32', sizes, new Uint8Array(values.buffer));
}

function graph(
  inputs: readonly (readonly number[])[],
  body: (b: CoreBuilder, ...inputs: Value[]) => Value[],
): string {
  const b = new CoreBuilder();
  const values = body(b, ...inputs.map((sizes) => b.input(spec(...sizes))));
  for (const value of values) b.graph.addOutput(value);
  return printGraph(b.graph);
}

const matmul = (b: CoreBuilder, x: Value, y: Value, lhs = 1, rhs = 0) =>
  b.dotGeneral(x, y, { lhsContracting: [lhs], rhsContracting: [rhs] });

/** Half the squared error over `rows` whole rows, and its derivative by the prediction. */
function lossOf(b: CoreBuilder, prediction: Value, y: Value, n: number): { loss: Value; gradient: Value } {
  const difference = b.subtract(prediction, y);
  const squares = b.multiply(difference, difference);
  const loss = b.multiply(b.reduceSum(squares, [0, 1]), b.full(0.5 / rows, 'float32'));
  return { loss, gradient: b.multiply(difference, b.full(1 / rows, 'float32', [n, outputs])) };
}

const update = graph([weight.sizes.slice(), weight.sizes.slice()], (b, w, g) => [
  b.subtract(w, b.multiply(g, b.full(rate, 'float32', weight.sizes))),
]);

function finish(program: Omit<Program, 'memory'>): Program {
  const persistent = program.persistent.reduce((sum, slot) => sum + bytesOfSpec(slot.spec), 0);
  return { ...program, memory: { persistent, peak: 4 * persistent + 4096 } };
}

const weights = [{ slot: 'w', name: 'w', spec: weight, whole: weight, start: [0, 0] }];
const inputs = [
  { name: 'x', spec: spec(rows, features) },
  { name: 'y', spec: spec(rows, outputs) },
];

/** Each of `devices` takes its rows of the batch; gradients and losses are summed. */
export function dataParallelPlan(devices: number): Plan {
  const n = rows / devices;
  const group = Array.from({ length: devices }, (_, device) => device);
  const gradient = graph(
    [
      [features, outputs],
      [n, features],
      [n, outputs],
    ],
    (b, w, x, y) => {
      const { loss, gradient } = lossOf(b, matmul(b, x, w), y, n);
      return [loss, matmul(b, x, gradient, 0, 0)];
    },
  );
  const actions: Action[] = [
    { kind: 'run', graph: 'gradient', inputs: ['w', 'x', 'y'], outputs: ['loss', 'g'] },
    ...(devices === 1
      ? []
      : [{ kind: 'all_reduce', slots: ['loss', 'g'], group, reduction: 'sum', key: 'gradients' } as const]),
    { kind: 'run', graph: 'update', inputs: ['w', 'g'], outputs: ['w'] },
  ];
  return {
    mesh: { data: devices },
    microBatches: 1,
    schedule: 'gpipe',
    inputs,
    programs: group.map((device) =>
      finish({
        device,
        coordinate: { data: device },
        graphs: { gradient, update },
        persistent: weights,
        batchInputs: [
          { slot: 'x', input: 'x', microBatch: 0, spec: spec(n, features), start: device * n },
          { slot: 'y', input: 'y', microBatch: 0, spec: spec(n, outputs), start: device * n },
        ],
        actions,
        results: device === 0 ? [{ slot: 'loss', name: 'loss', spec: spec() }] : [],
      }),
    ),
  };
}

/** Stage 0 predicts and updates, stage 1 holds the targets; GPipe over the micro-batches. */
export function pipelinePlan(microBatches: number): Plan {
  const n = rows / microBatches;
  const micro = Array.from({ length: microBatches }, (_, index) => index);
  const predict = graph(
    [
      [features, outputs],
      [n, features],
    ],
    (b, w, x) => [matmul(b, x, w)],
  );
  const backward = graph(
    [
      [n, features],
      [n, outputs],
      [features, outputs],
    ],
    (b, x, g, total) => [b.add(total, matmul(b, x, g, 0, 0))],
  );
  const error = graph([[n, outputs], [n, outputs], []], (b, p, y, total) => {
    const { loss, gradient } = lossOf(b, p, y, n);
    return [b.add(total, loss), gradient];
  });
  const zeros = (...sizes: number[]) => graph([], (b) => [b.full(0, 'float32', sizes)]);
  const first: Action[] = [
    { kind: 'run', graph: 'zeros', inputs: [], outputs: ['g'] },
    ...micro.flatMap((m): Action[] => [
      { kind: 'run', graph: 'predict', inputs: ['w', `x@${m}`], outputs: [`p@${m}`], label: `forward ${m}` },
      { kind: 'send', slot: `p@${m}`, peer: 1, key: `p@${m}` },
    ]),
    ...micro.flatMap((m): Action[] => [
      { kind: 'recv', slot: `d@${m}`, peer: 1, key: `d@${m}`, spec: spec(n, outputs) },
      {
        kind: 'run',
        graph: 'backward',
        inputs: [`x@${m}`, `d@${m}`, 'g'],
        outputs: ['g'],
        label: `backward ${m}`,
      },
    ]),
    { kind: 'run', graph: 'update', inputs: ['w', 'g'], outputs: ['w'] },
  ];
  const second: Action[] = [
    { kind: 'run', graph: 'zero', inputs: [], outputs: ['loss'] },
    ...micro.flatMap((m): Action[] => [
      { kind: 'recv', slot: `p@${m}`, peer: 0, key: `p@${m}`, spec: spec(n, outputs) },
      { kind: 'run', graph: 'error', inputs: [`p@${m}`, `y@${m}`, 'loss'], outputs: ['loss', `d@${m}`] },
      { kind: 'send', slot: `d@${m}`, peer: 0, key: `d@${m}` },
    ]),
  ];
  const batch = (input: string, size: number) =>
    micro.map((m) => ({ slot: `${input}@${m}`, input, microBatch: m, spec: spec(n, size), start: m * n }));
  return {
    mesh: { pipeline: 2 },
    microBatches,
    schedule: 'gpipe',
    inputs,
    programs: [
      finish({
        device: 0,
        coordinate: { pipeline: 0 },
        graphs: { zeros: zeros(features, outputs), predict, backward, update },
        persistent: weights,
        batchInputs: batch('x', features),
        actions: first,
        results: [],
      }),
      finish({
        device: 1,
        coordinate: { pipeline: 1 },
        graphs: { zero: zeros(), error },
        persistent: [],
        batchInputs: batch('y', outputs),
        actions: second,
        results: [{ slot: 'loss', name: 'loss', spec: spec() }],
      }),
    ],
  };
}
