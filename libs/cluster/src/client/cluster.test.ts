// The whole cluster in real processes: scheduler here, workers beside it, plans written by hand or by any plan factory.
import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TensorLiteral } from '@weft/ir';
import type { Plan } from '../plan/program.ts';
import { dataParallelPlan, f32, pipelinePlan } from '../runner/example-plans.ts';
import { floatsOf } from '../runner/program-runner.ts';
import type { JobReport } from '../scheduler/job.ts';
import type { NewJob } from './client.ts';
import { ClusterClient } from './client.ts';
import type { LocalCluster, LocalClusterOptions } from './local-cluster.ts';
import { startLocalCluster } from './local-cluster.ts';

const clusters: LocalCluster[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const limits = { heartbeatMs: 100, deadMs: 2_000, rejoinMs: 3_000, settleMs: 100 };

async function start(
  planOf: (devices: number) => Plan,
  options: Partial<LocalClusterOptions> = {},
): Promise<LocalCluster> {
  const cluster = await startLocalCluster({
    workers: 2,
    planner: (_job, devices) => planOf(devices.length),
    limits,
    ...options,
  });
  clusters.push(cluster);
  return cluster;
}

/** Submits a training of the example plans' model on 64 rows. */
async function leastSquares(cluster: LocalCluster, part: Partial<NewJob> = {}): Promise<string> {
  const rows = new Map([
    ['x', f32([64, 3], (i) => Math.cos(i * 1.7))],
    ['y', f32([64, 2], (i) => Math.sin(i * 0.9))],
  ]);
  const data = await cluster.client.putTensors(rows);
  const blob = await cluster.client.putTensors(new Map([['w', f32([3, 2], (i) => Math.sin(i + 1))]]));
  return cluster.client.submit({
    name: 'least squares',
    kind: 'train',
    model: {},
    state: { blob },
    devices: { minimum: 1, wanted: 2 },
    steps: 30,
    source: {
      seed: 7,
      batches: {
        kind: 'rows',
        data,
        batch: 8,
        shuffle: true,
        inputs: [
          { name: 'x', tensor: 'x' },
          { name: 'y', tensor: 'y' },
        ],
      },
    },
    checkpoint: { every: 5 },
    ...part,
  });
}

async function follow(cluster: LocalCluster, job: string, each: (report: JobReport) => void = () => {}) {
  const reports: JobReport[] = [];
  const losses: number[] = [];
  await cluster.client.finished(job, ({ report, results }) => {
    reports.push(report);
    each(report);
    if (report.kind === 'step') losses.push(floatsOf(results.get('loss')!)[0]);
  });
  return { reports, losses, state: valuesOf(await cluster.client.state(job)) };
}

/** Trainings by two workers that nothing disturbs, by their steps: all of them come to the same numbers. */
const undisturbed = new Map<number, ReturnType<typeof follow>>();

function undisturbedRun(steps: number): ReturnType<typeof follow> {
  let run = undisturbed.get(steps);
  if (run === undefined) {
    run = start((devices) => dataParallelPlan(devices)).then(async (cluster) =>
      // Always two devices: on a busy machine a restart outlasts the time after which the job would go on with one, whose sums
      // round differently.
      follow(cluster, await leastSquares(cluster, { steps, devices: { minimum: 2 } })),
    );
    undisturbed.set(steps, run);
  }
  return run;
}

const valuesOf = (state: ReadonlyMap<string, TensorLiteral>) =>
  new Map([...state].map(([name, value]) => [name, floatsOf(value)]));

describe('a local cluster', () => {
  test('trains data-parallel and pipelined plans to the same parameters as one device', async () => {
    const one = await start(() => dataParallelPlan(1), { workers: 1 });
    const whole = await follow(one, await leastSquares(one));
    expect(whole.losses).toHaveLength(30);
    expect(whole.losses[29]).toBeLessThan(whole.losses[0]);
    const data = await undisturbedRun(30);
    const piped = await start(() => pipelinePlan(4));
    const pipeline = await follow(piped, await leastSquares(piped));
    for (const { losses, state } of [data, pipeline]) {
      losses.forEach((loss, step) => expect(loss).toBeCloseTo(whole.losses[step], 5));
      state.get('w')!.forEach((value, i) => expect(value).toBeCloseTo(whole.state.get('w')![i], 5));
    }
  });

  test('serves: whole inputs in, results out, also after a worker was killed', async () => {
    const cluster = await start(() => pipelinePlan(2));
    const blob = await cluster.client.putTensors(new Map([['w', f32([3, 2], () => 0)]]));
    const job = await cluster.client.submit({
      name: 'serve',
      kind: 'serve',
      model: {},
      state: { blob },
      devices: { minimum: 2 },
    });
    const inputs = new Map([
      ['x', f32([8, 3], () => 1)],
      ['y', f32([8, 2], () => 2)],
    ]);
    const loss = async () => floatsOf((await cluster.client.run(job, inputs)).get('loss')!)[0];
    const first = await loss();
    expect(first).toBe(4);
    cluster.killWorker('worker-2');
    expect(await loss()).toBeLessThanOrEqual(first);
    await cluster.client.cancel(job);
    await expect(loss()).rejects.toThrow(/is cancelled/);
    await expect(cluster.client.run('none', inputs)).rejects.toThrow("there is no job 'none'");
  });
});

describe('SIGKILL in mid-training', () => {
  // WEFT_KILL_RUNS=20 repeats it at as many random moments.
  const runs = Number(process.env.WEFT_KILL_RUNS ?? 2);
  test.each(Array.from({ length: runs }, (_, run) => run))(
    'a killed worker is restarted; losses and parameters are those of an undisturbed run (%d)',
    async () => {
      const part = { steps: 60, devices: { minimum: 2 } };
      const expected = await undisturbedRun(60);
      const cluster = await start((devices) => dataParallelPlan(devices));
      const at = 1 + Math.floor(Math.random() * 55);
      const delay = Math.random() * 20;
      let killed = false;
      const disturbed = await follow(cluster, await leastSquares(cluster, part), (report) => {
        if (report.kind !== 'step' || report.step !== at || killed) return;
        killed = true;
        setTimeout(() => cluster.killWorker(Math.random() < 0.5 ? 'worker-1' : 'worker-2'), delay);
      });
      expect(disturbed.losses).toEqual(expected.losses);
      expect(disturbed.state).toEqual(expected.state);
    },
  );

  test('without a restart the job goes on with the worker that remains', async () => {
    const cluster = await start((devices) => dataParallelPlan(devices), { restart: false });
    const job = await leastSquares(cluster);
    const { reports, losses, state } = await follow(cluster, job, (report) => {
      if (report.kind === 'step' && report.step === 12) cluster.killWorker('worker-1');
    });
    const placements = reports.flatMap((report) => (report.kind === 'placed' ? [report.devices.length] : []));
    expect(placements).toEqual([2, 1]);
    const expected = await undisturbedRun(30);
    losses.forEach((loss, step) => expect(loss).toBeCloseTo(expected.losses[step], 5));
    state.get('w')!.forEach((value, i) => expect(value).toBeCloseTo(expected.state.get('w')![i], 5));
  });
});

describe('errors', () => {
  test('no scheduler: the address, how long was tried, the remedy', async () => {
    await expect(ClusterClient.connect('127.0.0.1:1', { timeoutMs: 300 })).rejects.toThrow(
      /cannot reach the scheduler at 127\.0\.0\.1:1: no connection within 0\.3 s; check the address/,
    );
  });

  test('a loss that is not finite fails the job and keeps the last checkpoint', async () => {
    const cluster = await start((devices) => dataParallelPlan(devices));
    const blob = await cluster.client.putTensors(new Map([['w', f32([3, 2], () => 3e38)]]));
    const job = await leastSquares(cluster, { state: { blob } });
    await expect(cluster.client.finished(job)).rejects.toThrow(
      /job '.*' failed: worker-\d: 'loss' is (Infinity|NaN) in step 1 on device 0 \(worker-\d\)/,
    );
    expect((await cluster.client.status()).jobs[0]).toMatchObject({ state: 'failed' });
  });

  test('a damaged checkpoint is named', async () => {
    const cluster = await start((devices) => dataParallelPlan(devices), { restart: true });
    const directory = mkdtempSync(join(tmpdir(), 'weft-test-'));
    folders.push(directory);
    const job = await leastSquares(cluster, {
      steps: 100_000,
      checkpoint: { every: 20, directory, keep: 1 },
    });
    const failed = cluster.client.finished(job, ({ report }) => {
      if (report.kind !== 'checkpoint') return;
      for (const name of readdirSync(report.folder).filter((file) => file.endsWith('.safetensors'))) {
        const path = join(report.folder, name);
        const bytes = readFileSync(path);
        bytes[bytes.byteLength - 1] ^= 1;
        writeFileSync(path, bytes);
      }
      if (report.step === 20) cluster.killWorker('worker-1');
    });
    await expect(failed).rejects.toThrow(/'w' in .*step-\d+.*safetensors is not what was written/);
  });

  test('an unknown device: workers do not come up, and say why', async () => {
    await expect(
      start(() => dataParallelPlan(1), { workers: 1, devices: ['no-such-device'] }),
    ).rejects.toThrow(/0 of 1 workers have joined .*unknown device 'no-such-device'/s);
  });

  test('a job that names what is not there is refused', async () => {
    const cluster = await start(() => dataParallelPlan(1), { workers: 1 });
    const job = { name: 'x', kind: 'train', model: {}, state: { blob: '00' }, steps: 1 } as const;
    await expect(cluster.client.submit(job)).rejects.toThrow(/the scheduler has no blob 00/);
    const blob = await cluster.client.putTensors(new Map());
    await expect(cluster.client.submit({ ...job, state: { blob }, steps: 0 })).rejects.toThrow(
      /trains 0 steps/,
    );
    await expect(cluster.client.submit({ ...job, state: { blob }, id: '../x' })).rejects.toThrow(
      /is no job id/,
    );
  });

  test('closing leaves no process', async () => {
    const cluster = await start(() => dataParallelPlan(1));
    const pids = cluster.workers().map(({ pid }) => pid);
    await cluster.close();
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  });
});
