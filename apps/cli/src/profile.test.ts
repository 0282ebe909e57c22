// `weft profile` as a user runs it: a trace that viewers read, a table of the slowest, errors that say what to do.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tensor } from 'weft';
import { jit, manualSeed, nn, rand } from 'weft';
import { casesIn } from './recorded-cases.ts';

const bin = join(resolve(dirname(fileURLToPath(import.meta.url)), '../../..'), 'apps/cli/bin/weft.mjs');
let folder = '';

function weft(...args: string[]): Promise<{ status: number; text: string }> {
  return new Promise((done) =>
    execFile(process.execPath, [bin, ...args], { cwd: folder }, (error, out, err) =>
      done({ status: error === null ? 0 : Number(error.code), text: out + err }),
    ),
  );
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-profile-'));
  manualSeed(0);
  const layers = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh());
  jit.save(jit.trace(layers, [rand([2, 4]) as Tensor]), join(folder, 'model.pt'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly cat?: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly source: string | readonly string[]; readonly operators?: readonly string[] };
}

const traced = (): Event[] =>
  (JSON.parse(readFileSync(join(folder, 'trace.json'), 'utf8')) as { traceEvents: Event[] }).traceEvents;

test('a trace and a table of the kernels of a compiled method', async () => {
  const { status, text } = await weft('profile', 'model.pt', '--input-spec', 'float32[2,4]', '--runs', '4');
  expect([status, text]).toEqual([
    0,
    expect.stringMatching(/kernel +operators +result.*float32\[2, 8\].*trace\.json/s),
  ]);
  const events = traced();
  const runs = events.filter(({ cat }) => cat === 'run');
  const kernels = events.filter(({ cat }) => cat === 'kernel');
  expect([runs.length, kernels.length % 4]).toEqual([4, 0]);
  const operators = new Set(kernels.flatMap(({ args }) => args!.operators!));
  for (const name of ['dot_general', 'tanh']) expect(operators).toContain(name);
  for (const { ts, dur, args } of kernels) {
    expect([dur >= 0, runs.some((run) => run.ts <= ts && ts + dur <= run.ts + run.dur)]).toEqual([true, true]); // prettier-ignore
    expect(args!.source).toContainEqual(expect.stringMatching(/:\d+:\d+$/));
  }
});

test('a method that is not compiled is profiled by operators, with the reason', async () => {
  class Length extends nn.Module {
    forward(text: string): number {
      return text.length;
    }
  }
  jit.save(jit.script(new Length()), join(folder, 'length.pt'));
  writeFileSync(join(folder, 'text.json'), '"four"');
  const { status, text } = await weft('profile', 'length.pt', '--input', 'text.json');
  expect([status, text]).toEqual([0, expect.stringMatching(/forward: not compiled.*aten::len/s)]);
});

test('a recorded training case is profiled with its backward pass and its update', async () => {
  const recorded = resolve(dirname(fileURLToPath(import.meta.url)), '../../../../shared/torchscript/cases');
  const found = casesIn(recorded).find((path) => 'training' in JSON.parse(readFileSync(join(path, 'io.json'), 'utf8')))!; // prettier-ignore
  const { status, text } = await weft('profile', found, '--runs', '2');
  expect([status, text]).toEqual([0, expect.stringMatching(/kernel +operators.*dot_general.*ms a run/s)]);
  const refused = await weft('profile', found, '--input-spec', 'float32[1]');
  expect([refused.status, refused.text]).toEqual([1, expect.stringMatching(/is a recorded case.*leave out/)]);
});

test('a trace and a table of operators', async () => {
  const { status, text } = await weft('profile', 'model.pt', '--input-spec', 'float32[2,4]', '--interpreted', '--top', '3'); // prettier-ignore
  expect([status, text]).toEqual([
    0,
    expect.stringMatching(/operator +calls +self ms.*source.*trace\.json/s),
  ]);
  const operators = traced().filter(({ cat }) => cat === 'operator');
  expect(operators.map(({ name }) => name)).toEqual(expect.arrayContaining(['aten::linear', 'aten::tanh']));
  for (const { name, ph, ts, dur, args } of operators) {
    expect([ph, ts >= 0, dur >= 0]).toEqual(['X', true, true]);
    if (name.startsWith('aten::'))
      expect([name, args!.source]).toEqual([name, expect.stringMatching(/:\d+:\d+$/)]);
  }
});

test.each([
  [['model.pt'], /argument '\w+' of 'forward' is missing/],
  [['model.pt', '--input', 'x.npy', '--input-spec', '1'], /by --input or by --input-spec, not by both/],
  [
    ['model.pt', '--input-spec', 'float32[2,4]', '--trace', 'no/where.json'],
    /name another file with --trace/,
  ],
  [['absent.pt', '--input-spec', 'float32[2,4]'], /absent\.pt/],
])('%j is refused', async (args, message) => {
  const { status, text } = await weft('profile', ...args);
  expect([status, text]).toEqual([1, expect.stringMatching(message)]);
});
