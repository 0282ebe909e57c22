// `weft bench` as a user runs it: figures that make sense, and errors that say what to do.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tensor } from 'weft';
import { jit, manualSeed, nn, rand } from 'weft';

const bin = join(resolve(dirname(fileURLToPath(import.meta.url)), '../../..'), 'apps/cli/bin/weft.mjs');
let folder = '';

function weft(...args: string[]): Promise<{ status: number; out: string; text: string }> {
  return new Promise((done) =>
    execFile(process.execPath, [bin, ...args], { cwd: folder }, (error, out, err) =>
      done({ status: error === null ? 0 : Number(error.code), out, text: out + err }),
    ),
  );
}

class Loss extends nn.Module {
  readonly linear = new nn.Linear(4, 8);
  forward(x: Tensor): Tensor {
    return this.linear.forward(x).tanh().mean();
  }
}

function record(name: string, module: nn.Module, x: Tensor, more: object): void {
  const path = join(folder, 'cases', name);
  mkdirSync(path, { recursive: true });
  jit.save(jit.trace(module, [x]), join(path, 'model.pt'));
  writeFileSync(join(path, 'tensors.bin'), x.toLiteral().bytes);
  const input = { tensor: { dtype: 'float32', shape: x.shape, offset: 0 } };
  const calls = [{ method: 'forward', inputs: [input], output: null }];
  writeFileSync(join(path, 'io.json'), JSON.stringify({ case: name, kind: 'trace', calls, ...more }));
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  manualSeed(0);
  const x = rand([2, 4]) as Tensor;
  record('small', new nn.Linear(4, 8), x, {});
  const training = { optimizer: { name: 'sgd', lr: 0.1 }, steps: 2, losses: [] };
  record('learning', new Loss(), x, { training });
  mkdirSync(join(folder, 'empty'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Figures {
  readonly machine: { readonly flops: number; readonly read: number; readonly triad: number } | null;
  readonly workloads: readonly (Record<string, unknown> & {
    readonly p10: number;
    readonly median: number;
    readonly p90: number;
    readonly compile: number;
    readonly peakMemory: number;
  })[];
}

describe('weft bench', () => {
  test('times inference and training', async () => {
    const { status, out } = await weft('bench', 'cases', '--runs', '5', '--threads', '1', '--json');
    const { machine, workloads } = JSON.parse(out) as Figures;
    expect(status).toBe(0);
    if (machine !== null)
      for (const rate of [machine.flops, machine.read, machine.triad]) expect(rate).toBeGreaterThan(1e8);
    expect(workloads.map(({ name, kind, state, runs }) => [name, kind, state, runs])).toEqual([
      ['learning', 'training', 'compiled', 5],
      ['small', 'inference', 'compiled', 5],
    ]);
    for (const { p10, median, p90, compile, peakMemory } of workloads) {
      expect(p10).toBeGreaterThan(0);
      expect(median).toBeGreaterThanOrEqual(p10);
      expect(p90).toBeGreaterThanOrEqual(median);
      expect(compile).toBeGreaterThan(0);
      expect(peakMemory).toBeGreaterThan(1e7);
    }
    // Forward 2·2·4·8; training adds the gradient of the weights. Bytes: x, weights, bias and result.
    expect(workloads.map(({ work }) => (work as jit.Work).flops)).toEqual([256, 128]);
    expect((workloads[1].work as jit.Work).bytes).toBe(4 * (8 + 32 + 8 + 16));
  });

  test('times an archive by specs on several devices, and writes a file', async () => {
    const args = ['--input-spec', 'float32[3,4]', '--device', 'cpu,reference', '--runs', '3'];
    const { status, text } = await weft('bench', 'cases/small/model.pt', ...args, '--json', 'figures.json');
    expect(status).toBe(0);
    expect(text).toMatch(/workload +device +how +median ms.*GB\/s/);
    expect(text).toMatch(/the machine/);
    const { workloads } = JSON.parse(readFileSync(join(folder, 'figures.json'), 'utf8')) as Figures;
    expect(workloads.map(({ device }) => device)).toEqual(['cpu', 'reference']);
  });

  test('times cases of several folders, told apart', async () => {
    record('../more/small', new nn.Linear(4, 8), rand([2, 4]) as Tensor, {});
    const { out } = await weft('bench', 'more', 'cases', 'cases/learning', '--runs', '3', '--json');
    const names = (JSON.parse(out) as Figures).workloads.map(({ name }) => name);
    expect(names).toEqual([join('more', 'small'), 'learning', join('cases', 'small')]);
  });

  test.each([
    [['nowhere'], /there is no folder or archive nowhere/],
    [['empty'], /holds no cases: folders with io.json and model.pt are expected/],
    [['cases', '--filter', 'large'], /holds no cases named like 'large'/],
    [['cases/small/io.json'], /give each with --input-spec/],
    [['cases', '--device', 'abacus'], /unknown device 'abacus'; known devices: /],
    [['cases', '--runs', '0'], /'--runs <count>'.*it must be 1 or more/],
    [['cases', '--threads', '0'], /a device needs 1 thread or more/],
    [
      ['cases/small/model.pt', '--input-spec', 'float32[3,5]', '--device', 'reference'],
      /FAILED model.pt: .*4/s,
    ],
  ])('%j is refused', async (args, message) => {
    const { status, text } = await weft('bench', ...args);
    expect([status, text]).toEqual([1, expect.stringMatching(message)]);
  });
});
