// Partitioned training equals whole training: the same losses and parameters, step by step, for every mesh.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { referenceDevice } from '@weft/devices';
import type { TensorSpec, Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, numel, tensorSpec } from '@weft/ir';
import { ProgramRunner } from '../runner/program-runner.ts';
import { InMemoryNetwork } from '../transport/in-memory.ts';
import type { TrainingModel, UpdateRule } from './model.ts';
import type { Plan } from './program.ts';
import { updateRule } from './description.ts';
import { planTraining } from './training.ts';

const rows = 8;
const width = 6;
const layers = 4;

/** A deep tanh network with a tied first and last weight, a mask made of constants, and a mean squared loss. */
function deepNetwork(microBatches: number): TrainingModel {
  const b = new CoreBuilder();
  const batch = rows / microBatches;
  const spec = tensorSpec('float32', [width, width]);
  const weights = Array.from({ length: layers }, () => b.input(spec));
  const bias = b.input(tensorSpec('float32', [width]));
  const x = b.input(tensorSpec('float32', [batch, width]));
  const y = b.input(tensorSpec('float32', [batch, width]));
  const product = (a: Value, w: Value) => b.dotGeneral(a, w, { lhsContracting: [1], rhsContracting: [0] });
  let h = x;
  for (const weight of weights) h = b.tanh(b.add(product(h, weight), b.broadcastTo(bias, [batch, width])));
  h = product(h, weights[0]);
  const mask = b.convert(
    b.compare(b.iota('int32', [batch, width], 1), b.full(width - 1, 'int32', [batch, width]), 'LT'),
    'float32',
  );
  const difference = b.multiply(b.subtract(h, y), mask);
  const total = b.reduceSum(b.multiply(difference, difference), [0, 1]);
  b.graph.addOutput(b.multiply(total, b.full(1 / (batch * width), 'float32')));
  return {
    graph: b.graph,
    parameters: [
      ...weights.map((_, input) => ({ name: `weight.${input}`, input, trained: true })),
      { name: 'bias', input: layers, trained: true },
    ],
    buffers: [],
    batch: [
      { name: 'x', input: layers + 1 },
      { name: 'y', input: layers + 2 },
    ],
    loss: 0,
  };
}

const momentum: UpdateRule = {
  name: 'sgd',
  slots: [{ name: 'momentum_buffer' }],
  emit(b, { parameter, gradient, state, learningRate }) {
    const { sizes } = parameter.type as TensorSpec;
    const next = b.add(b.multiply(state[0], b.full(0.9, 'float32', sizes)), gradient);
    const rate = b.broadcastTo(b.convert(learningRate, 'float32'), sizes);
    return {
      parameter: b.subtract(parameter, b.multiply(next, rate)),
      state: [next],
    };
  },
};

const wave = (spec: TensorSpec, seed: number): TensorLiteral => {
  const data = Float32Array.from(
    { length: numel(spec.sizes) },
    (_, index) => Math.sin(seed + 1.7 * index) * 0.6,
  );
  return new TensorLiteral(spec.dtype, spec.sizes, new Uint8Array(data.buffer));
};

/** Runs a plan in one process; returns the loss of each step and the final parameters by name. */
async function train(plan: Plan, steps: number, rule = momentum) {
  const network = new InMemoryNetwork();
  const runners = plan.programs.map(
    (program) => new ProgramRunner(program, referenceDevice(), network.transport(program.device)),
  );
  await Promise.all(
    runners.map((runner) =>
      runner.load(({ name, spec }) => {
        const state = rule.slots.find((slot) => name.startsWith(`${rule.name}.${slot.name}.`));
        if (state !== undefined) {
          const data = new Float32Array(numel(spec.sizes)).fill(state.initial ?? 0);
          return new Uint8Array(data.buffer);
        }
        return wave(
          spec,
          [...name].reduce((sum, character) => sum + character.charCodeAt(0), 0),
        ).bytes;
      }),
    ),
  );
  const losses: number[] = [];
  const scalar = (value: number) =>
    new TensorLiteral('float64', [], new Uint8Array(Float64Array.of(value).buffer));
  for (let step = 1; step <= steps; step++) {
    const inputs = new Map(
      plan.inputs.map(({ name, spec }) => [
        name,
        name === 'lr'
          ? scalar(0.05)
          : name === 'step'
            ? scalar(step)
            : wave(spec, step * (name === 'x' ? 1 : 3)),
      ]),
    );
    const results = await Promise.all(runners.map((runner) => runner.run(step, inputs)));
    const loss = results.flatMap((result) => [...result.entries()]).find(([name]) => name === 'loss')![1];
    losses.push(new DataView(loss.bytes.buffer, loss.bytes.byteOffset).getFloat32(0, true));
  }
  const parameters = new Map<string, Float32Array>();
  for (const runner of runners) {
    for (const { slot, name } of runner.program.persistent) {
      parameters.set(name, new Float32Array((await runner.read(slot)).slice().buffer));
    }
  }
  return { losses, parameters };
}

describe('a partitioned training run', () => {
  const steps = 50;
  let whole: Awaited<ReturnType<typeof train>>;
  let clipped: Awaited<ReturnType<typeof train>>;
  beforeAll(async () => {
    whole = await train(planTraining(deepNetwork(1), { mesh: {}, update: momentum }), steps);
    clipped = await train(
      planTraining(deepNetwork(1), { mesh: {}, update: momentum, clipGradNorm: 0.05 }),
      steps,
    );
  });

  test('the whole run learns', () => {
    expect(whole.losses[steps - 1]).toBeLessThan(whole.losses[0] / 2);
    expect(clipped.losses[steps - 1]).not.toBeCloseTo(whole.losses[steps - 1], 4);
  });

  test.each([
    [{ data: 2 }, 1, 'gpipe' as const],
    [{ data: 4 }, 1, 'gpipe' as const],
    [{ pipeline: 2 }, 1, 'gpipe' as const],
    [{ pipeline: 2 }, 4, 'gpipe' as const],
    [{ pipeline: 2 }, 4, '1f1b' as const],
    [{ pipeline: 4 }, 8, '1f1b' as const],
    [{ pipeline: 2, data: 2 }, 2, '1f1b' as const],
    [{ data: 2, pipeline: 3 }, 4, 'gpipe' as const],
  ])(
    'over %j with %i micro-batches (%s) gives the same losses and parameters',
    async (mesh, microBatches, schedule) => {
      const parts = await train(
        planTraining(deepNetwork(microBatches), { mesh, microBatches, schedule, update: momentum }),
        steps,
      );
      parts.losses.forEach((loss, step) =>
        expect(Math.abs(loss / whole.losses[step] - 1)).toBeLessThan(1e-5),
      );
      expect([...parts.parameters.keys()].sort()).toEqual([...whole.parameters.keys()].sort());
      for (const [name, expected] of whole.parameters) {
        parts.parameters
          .get(name)!
          .forEach((value, index) => expect(Math.abs(value - expected[index])).toBeLessThan(2e-5));
      }
    },
  );

  test.each([
    'sgd',
    'adam',
    'adamw',
    'adamax',
    'nadam',
    'radam',
    'adadelta',
    'adagrad',
    'rmsprop',
    'rprop',
    'asgd',
  ])('%s is the same over stages and shards', async (name) => {
    const update = updateRule({ name });
    const alone = await train(planTraining(deepNetwork(1), { mesh: {}, update }), 7, update);
    const mesh = { pipeline: 2, data: 2 };
    const parts = await train(planTraining(deepNetwork(2), { mesh, microBatches: 2, update }), 7, update);
    expect([...parts.parameters.keys()].sort()).toEqual([...alone.parameters.keys()].sort());
    parts.losses.forEach((loss, step) => expect(Math.abs(loss / alone.losses[step] - 1)).toBeLessThan(1e-4));
    expect(alone.losses[6]).not.toBe(alone.losses[0]);
  });

  test('clipping takes the norm over all stages', async () => {
    const options = { mesh: { pipeline: 2, data: 2 }, microBatches: 2, update: momentum, clipGradNorm: 0.05 };
    const parts = await train(planTraining(deepNetwork(2), options), steps);
    parts.losses.forEach((loss, step) =>
      expect(Math.abs(loss / clipped.losses[step] - 1)).toBeLessThan(1e-5),
    );
  });
});

test('a batch that does not divide is refused with its name and shape', () => {
  expect(() => planTraining(deepNetwork(1), { mesh: { data: 3 }, update: momentum })).toThrow(
    "batch input 'x' has shape [8, 6]; its first dimension (a micro-batch) must be a multiple of data=3",
  );
});

test('more stages than operations are refused', () => {
  expect(() => planTraining(deepNetwork(1), { mesh: { pipeline: 500 }, update: momentum })).toThrow(
    /500 pipeline stages are asked for/,
  );
});

test('an unknown mesh axis is refused by name', () => {
  expect(() => planTraining(deepNetwork(1), { mesh: { tensor: 2 }, update: momentum })).toThrow(
    "mesh axis 'tensor'",
  );
});
