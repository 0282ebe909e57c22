// A worker killed with SIGKILL at a random moment of a planned training: the job resumes from its last checkpoint on a restarted worker,
// and losses and parameters are those of an undisturbed run, bit for bit. The model draws random numbers, its optimizer has state.
// WEFT_KILL_RUNS=20 kills at as many random moments (of each mesh); WEFT_KILL_SEED repeats one choice of them.
import { afterEach, describe, expect, test } from '@jest/globals';
import { CoreBuilder, printGraph, tensorSpec } from '@weft/ir';
import type { TrainingDescription } from '../plan/description.ts';
import { initialState } from '../plan/description.ts';
import type { MeshShape } from '../plan/mesh.ts';
import { Mesh } from '../plan/mesh.ts';
import { f32 } from '../runner/example-plans.ts';
import { floatsOf } from '../runner/program-runner.ts';
import { randomFrom } from '../scheduler/simulation.ts';
import type { LocalCluster } from './local-cluster.ts';
import { startLocalCluster } from './local-cluster.ts';

const batch = 8;
const width = 6;
const steps = 40;

/** Two tanh layers with multiplicative noise between them. */
function noisyNetwork(mesh: MeshShape, microBatches: number): TrainingDescription {
  const rows = batch / microBatches;
  const b = new CoreBuilder();
  const matrix = tensorSpec('float32', [width, width]);
  const weights = [b.input(matrix), b.input(matrix)];
  const x = b.input(tensorSpec('float32', [rows, width]));
  const y = b.input(tensorSpec('float32', [rows, width]));
  const state = b.input(tensorSpec('uint64', [2]));
  const product = (a: typeof x, w: typeof x) =>
    b.dotGeneral(a, w, { lhsContracting: [1], rhsContracting: [0] });
  const [, bits] = b.rngBitGenerator(state, 'uint32', [rows, width]);
  const uniform = b.multiply(b.convert(bits, 'float32'), b.full(2 ** -32, 'float32', [rows, width]));
  const hidden = b.multiply(
    b.tanh(product(x, weights[0])),
    b.add(uniform, b.full(0.5, 'float32', [rows, width])),
  );
  const difference = b.subtract(b.tanh(product(hidden, weights[1])), y);
  const total = b.reduceSum(b.multiply(difference, difference), [0, 1]);
  b.graph.addOutput(b.multiply(total, b.full(1 / (rows * width), 'float32')));
  return {
    kind: 'train',
    graph: printGraph(b.graph),
    parameters: [0, 1].map((input) => ({ name: `weight.${input}`, input, trained: true })),
    buffers: [],
    batch: [
      { name: 'x', input: 2 },
      { name: 'y', input: 3 },
    ],
    random: { input: 4 },
    loss: 0,
    optimizer: { name: 'adamw' },
    mesh,
    microBatches,
    schedule: '1f1b',
  };
}

const clusters: LocalCluster[] = [];
afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.close()));
});

/** Trains on a cluster of its own; calls `each` after each step. */
async function train(
  model: TrainingDescription,
  each: (cluster: LocalCluster, step: number) => void = () => {},
) {
  const workers = new Mesh(model.mesh).size;
  const limits = { heartbeatMs: 100, deadMs: 3_000, rejoinMs: 20_000, settleMs: 100 };
  const cluster = await startLocalCluster({ workers, limits });
  clusters.push(cluster);
  const { client } = cluster;
  const data = await client.putTensors(
    new Map([
      ['x', f32([64, width], (i) => Math.sin(i * 1.3))],
      ['y', f32([64, width], (i) => Math.cos(i * 0.7) / 2)],
    ]),
  );
  const weight = (seed: number) => f32([width, width], (i) => Math.sin(seed + i * 2.1) / 2);
  const blob = await client.putTensors(
    new Map([
      ['weight.0', weight(1)],
      ['weight.1', weight(2)],
    ]),
  );
  const job = await client.submit({
    name: 'noisy',
    kind: 'train',
    model,
    state: { blob, zeros: initialState(model).zeros },
    devices: { minimum: workers },
    steps,
    checkpoint: { every: 7 },
    source: {
      seed: 11,
      microBatches: model.microBatches,
      learningRate: { base: 0.02, warmup: 5 },
      batches: {
        kind: 'rows',
        data,
        batch,
        shuffle: true,
        inputs: ['x', 'y'].map((name) => ({ name, tensor: name })),
      },
    },
  });
  const losses: number[] = [];
  let placements = 0;
  await client.finished(job, ({ report, results }) => {
    if (report.kind === 'placed') placements++;
    if (report.kind !== 'step') return;
    losses.push(floatsOf(results.get('loss')!)[0]);
    each(cluster, report.step);
  });
  const state = new Map([...(await client.state(job))].map(([name, value]) => [name, floatsOf(value)]));
  return { losses, state, placements };
}

describe.each<[string, MeshShape, number]>([
  ['data parallel', { data: 2 }, 1],
  ['pipeline', { pipeline: 2 }, 2],
])('SIGKILL in %s training', (_name, mesh, microBatches) => {
  const seed = Number(process.env.WEFT_KILL_SEED ?? Math.floor(Math.random() * 1e9));
  const runs = Number(process.env.WEFT_KILL_RUNS ?? 1);
  const model = noisyNetwork(mesh, microBatches);

  test(
    `${runs} times, seed ${seed}`,
    async () => {
      const calm = await train(model);
      expect(calm.losses).toHaveLength(steps);
      expect(calm.losses[steps - 1]).toBeLessThan(calm.losses[0]);
      await clusters.pop()!.close();
      const random = randomFrom(seed);
      for (let run = 0; run < runs; run++) {
        const moment = 1 + Math.floor(random() * (steps - 6));
        const delay = random() * 4;
        const victim = Math.floor(random() * 2);
        let killed = false;
        const disturbed = await train(model, (cluster, step) => {
          if (step < moment || killed) return;
          killed = true;
          setTimeout(() => cluster.killWorker(cluster.workers()[victim].name), delay);
        });
        expect(disturbed.placements).toBeGreaterThan(1);
        expect(disturbed.losses).toEqual(calm.losses);
        expect(disturbed.state).toEqual(calm.state);
        await clusters.pop()!.close();
      }
    },
    60_000 + runs * 30_000,
  );
});
