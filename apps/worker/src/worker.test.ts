// The processes as a user starts them: a scheduler and workers from their command lines, and what becomes of them.
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClusterClient, examplePlans } from '@weft/cluster';

const { dataParallelPlan, f32 } = examplePlans;

const apps = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const bin = (name: 'worker' | 'scheduler') => join(apps, name, 'bin', `weft-${name}.mjs`);
const processes: ChildProcess[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(
    processes.splice(0).map(async (child) => {
      child.kill('SIGKILL');
      await exitOf(child);
    }),
  );
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
}

function start(name: 'worker' | 'scheduler', ...args: string[]): Started {
  const child = spawn(process.execPath, [bin(name), ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  processes.push(child);
  exits.set(child, new Promise((resolve) => child.once('close', resolve)));
  let text = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  return { child, output: () => text };
}

/** The exit status, once all output is there too: a process may have ended before its pipes are read. */
const exits = new WeakMap<ChildProcess, Promise<number | null>>();
const exitOf = (child: ChildProcess): Promise<number | null> => exits.get(child)!;

async function until<T>(what: () => T | undefined | false, seconds = 20): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    const value = what();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error('it did not happen in time');
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-test-'));
  folders.push(path);
  return path;
}

async function scheduler(store = folder(), port = '0') {
  const started = start('scheduler', '--port', port, '--directory', store);
  const address = await until(() => /listens at (\S+)/.exec(started.output())?.[1]);
  return { ...started, address, store };
}

describe('the processes', () => {
  test('a scheduler that is killed and started again finds its workers and ends the job', async () => {
    const port = String(await freePort());
    const first = await scheduler(undefined, port);
    const workers = ['a', 'b'].map((name) =>
      start('worker', '--scheduler', first.address, '--name', name, '--parent-pipe'),
    );
    const client = await ClusterClient.connect(first.address);
    await client.devicesReady(2);
    const data = await client.putTensors(
      new Map([
        ['x', f32([64, 3], (i) => Math.cos(i))],
        ['y', f32([64, 2], (i) => Math.sin(i))],
      ]),
    );
    const blob = await client.putTensors(new Map([['w', f32([3, 2], () => 0.1)]]));
    // A job may bring a ready plan for each number of devices.
    const job = await client.submit({
      name: 'test',
      kind: 'train',
      model: { kind: 'plans', plans: [dataParallelPlan(1), dataParallelPlan(2)] },
      state: { blob },
      devices: { wanted: 2 },
      steps: 200,
      checkpoint: { every: 10 },
      source: {
        seed: 1,
        batches: {
          kind: 'rows',
          data,
          batch: 8,
          shuffle: false,
          inputs: [
            { name: 'x', tensor: 'x' },
            { name: 'y', tensor: 'y' },
          ],
        },
      },
    });
    const steps: number[] = [];
    let second: Promise<unknown> | undefined;
    const last = await client.finished(job, ({ report }) => {
      if (report.kind !== 'step') return;
      steps.push(report.step);
      if (report.step === 25) {
        first.child.kill('SIGKILL');
        second = exitOf(first.child).then(() => scheduler(first.store, port));
      }
    });
    await second;
    expect(last).toMatchObject({ kind: 'done', step: 200 });
    expect(new Set(steps).size).toBe(steps.length);
    expect((await client.status()).leader).toBe(2);
    await client.shutdown();
    client.close();
    for (const { child } of workers) expect(await exitOf(child)).toBe(0);
  });

  test('a worker without a scheduler says whom it could not reach, for how long, and ends', async () => {
    const worker = start('worker', '--scheduler', '127.0.0.1:1', '--patience', '1');
    expect(await exitOf(worker.child)).toBe(1);
    expect(worker.output()).toMatch(
      /cannot reach the scheduler at 127\.0\.0\.1:1: tried for \d+ s; check the address/,
    );
  });

  test('a worker ends when its parent does, and when its scheduler does', async () => {
    const { address, child } = await scheduler();
    const held = start('worker', '--scheduler', address, '--parent-pipe');
    const free = start('worker', '--scheduler', address, '--patience', '1');
    for (const { output } of [held, free]) await until(() => output().includes('serves other workers'));
    held.child.stdin!.end();
    expect(await exitOf(held.child)).toBe(0);
    child.kill('SIGKILL');
    expect(await exitOf(free.child)).toBe(1);
    expect(free.output()).toMatch(/cannot reach the scheduler/);
  });

  test('a port in use, a store in use, an unknown device, a bad option: each ends with a line that says so', async () => {
    const { address, store } = await scheduler();
    const port = address.split(':')[1];
    const cases: [Started, RegExp][] = [
      [
        start('scheduler', '--port', port, '--directory', folder()),
        /cannot listen on 127\.0\.0\.1:\d+: the port is in use/,
      ],
      [start('scheduler', '--port', '0', '--directory', store), /the store in .* is in use by process \d+/],
      [start('worker', '--scheduler', address, '--device', 'warp'), /unknown device 'warp'/],
      [start('worker', '--scheduler', address, '--port', port), /cannot listen on .* the port is in use/],
      [start('worker'), /required option '--scheduler <host:port>'/],
    ];
    for (const [{ child, output }, expected] of cases) {
      expect(await exitOf(child)).toBe(1);
      expect(output()).toMatch(expected);
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
