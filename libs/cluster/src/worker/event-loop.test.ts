// A worker's main thread moves messages only: while a model runs, its event loop is never held up for long.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TensorLiteral } from '@weft/ir';
import { lowerModule, trace } from '@weft/jit';
import type { Tensor } from '@weft/tensor';
import { F, manualSeed, nn, randn } from '@weft/tensor';
import type { LocalCluster } from '../client/local-cluster.ts';
import { startLocalCluster } from '../client/local-cluster.ts';
import { describeServing } from '../plan/describe-module.ts';
import { submitServing } from '../training/submit.ts';

class Block extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly skip: nn.Module & { forward(x: Tensor): Tensor };

  constructor(before: number, after: number, stride: number) {
    super();
    this.conv1 = new nn.Conv2d(before, after, 3, { stride, padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(after);
    this.conv2 = new nn.Conv2d(after, after, 3, { padding: 1, bias: false });
    this.bn2 = new nn.BatchNorm2d(after);
    this.skip =
      before === after
        ? new nn.Identity()
        : new nn.Sequential(
            new nn.Conv2d(before, after, 1, { stride, bias: false }),
            new nn.BatchNorm2d(after),
          );
  }
  forward(x: Tensor): Tensor {
    const y = this.bn2.forward(this.conv2.forward(F.relu(this.bn1.forward(this.conv1.forward(x)))));
    return F.relu(y.add(this.skip.forward(x)));
  }
}

/** ResNet-18. */
class Network extends nn.Module {
  readonly stem = new nn.Sequential(
    new nn.Conv2d(3, 64, 7, { stride: 2, padding: 3, bias: false }),
    new nn.BatchNorm2d(64),
    new nn.ReLU(),
    new nn.MaxPool2d(3, { stride: 2, padding: 1 }),
  );
  readonly stages = new nn.Sequential(
    ...[64, 128, 256, 512].flatMap((width, stage) => [
      new Block(stage === 0 ? 64 : width / 2, width, stage === 0 ? 1 : 2),
      new Block(width, width, 1),
    ]),
  );
  readonly head = new nn.Linear(512, 1000);

  forward(x: Tensor): Tensor {
    return this.head.forward(this.stages.forward(this.stem.forward(x)).mean([2, 3]));
  }
}

/** Loaded into a process: tells the delays of its main thread's loop since it was last asked, in a file named by the process. */
const monitor = `
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { renameSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
if (isMainThread) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  process.on('SIGUSR2', () => {
    const path = process.env.DELAYS_FOLDER + '/' + process.pid;
    writeFileSync(path + '.new', JSON.stringify({ p99: delays.percentile(99) / 1e6, count: delays.count }));
    renameSync(path + '.new', path);
    delays.reset();
  });
}`;

let folder: string;
let cluster: LocalCluster | undefined;
let idle: ChildProcess | undefined;
const environment = { ...process.env };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-delays-'));
  writeFileSync(join(folder, 'monitor.mjs'), monitor);
  process.env.DELAYS_FOLDER = folder;
  process.env.NODE_OPTIONS = `--import ${pathToFileURL(join(folder, 'monitor.mjs')).href}`;
});
afterEach(async () => {
  process.env = environment;
  idle?.kill('SIGKILL');
  await cluster?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function delaysOf(pid: number): Promise<{ p99: number; count: number }> {
  const path = join(folder, String(pid));
  rmSync(path, { force: true });
  process.kill(pid, 'SIGUSR2');
  const end = Date.now() + 10_000;
  while (!existsSync(path)) {
    if (Date.now() > end) throw new Error(`process ${pid} does not tell its delays`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return JSON.parse(readFileSync(path, 'utf8')) as { p99: number; count: number };
}

test('the main thread waits less than 5 ms in 99 of 100 cases while ResNet-18 runs', async () => {
  // A process that does nothing tells what delays are the machine's own.
  idle = spawn(process.execPath, ['--eval', "process.stdout.write('.'); setInterval(() => {}, 1e6)"], {
    env: process.env,
  });
  await new Promise((resolve) => idle!.stdout!.once('data', resolve));

  manualSeed(0);
  const input = randn(8, 3, 224, 224);
  const lowered = lowerModule(trace(new Network().eval(), [input]).object, 'forward', [input]);
  cluster = await startLocalCluster({ workers: 1 });
  const [{ pid }] = cluster.workers();
  const job = await submitServing(cluster.client, 'network', describeServing(lowered, { pipeline: 1 }));
  const sizes = [8, 3, 224, 224];
  const bytes = new Uint8Array(4 * sizes.reduce((product, size) => product * size, 1));
  const inputs = new Map([[lowered.inputs[0].path, new TensorLiteral('float32', sizes, bytes)]]);
  for (let run = 0; run < 3; run++) await cluster.client.run(job, inputs);

  // Other work on the machine comes and goes: the best of three rounds counts.
  const excess: number[] = [];
  for (let round = 0; round < 3 && !excess.some((beyond) => beyond < 0); round++) {
    await Promise.all([delaysOf(pid), delaysOf(idle.pid!)]);
    for (let run = 0; run < 10; run++) {
      const [scores] = (await cluster.client.run(job, inputs)).values();
      expect(scores.shape).toEqual([8, 1000]);
    }
    const [worker, machine] = await Promise.all([delaysOf(pid), delaysOf(idle.pid!)]);
    expect(worker.count).toBeGreaterThan(100);
    // Delays include the millisecond between two looks.
    excess.push(worker.p99 - Math.max(5, machine.p99 + 4));
  }
  expect(Math.min(...excess)).toBeLessThan(0);
}, 180_000);
