// The `weft` command as a user runs it: help, results, errors, and that nothing is left when it ends.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Tensor } from 'weft';
import { jit, manualSeed, nn, rand, tensor } from 'weft';
import { readNpy, writeNpy } from './npy.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const bin = join(root, 'apps/cli/bin/weft.mjs');
const plugin = join(root, 'examples/device-plugin');
let folder = '';
let model = '';
let expected: unknown;
const running = new Set<ChildProcess>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-cli-'));
  manualSeed(0);
  const layers = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Linear(8, 3));
  const x = rand([2, 4]) as Tensor;
  model = join(folder, 'model.pt');
  jit.save(jit.trace(layers, [x]), model);
  expected = layers.forward(x).tolist();
  writeFileSync(join(folder, 'x.npy'), writeNpy(x.toLiteral()));
  writeFileSync(join(folder, 'x.json'), JSON.stringify(x.tolist()));
  writeFileSync(join(folder, 'wide.json'), '[[1.5, 2, 3]]');
  writeFileSync(join(folder, 'broken.json'), '[1, 2');
  writeFileSync(join(folder, 'broken.npy'), 'not an array');
  writeFileSync(join(folder, 'text.pt'), 'hello, I am no archive');
});

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly status: Promise<number | null>;
}

const start = (...args: string[]): Started => startNode(bin, ...args);

function startNode(...args: string[]): Started {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const status = new Promise<number | null>((done) =>
    child.once('close', (code) => {
      running.delete(child);
      done(code);
    }),
  );
  return { child, text: () => text, status };
}

async function weft(...args: string[]): Promise<{ status: number | null; text: string }> {
  const { status, text } = start(...args);
  return { status: await status, text: text() };
}

/** Runs command lines one after the other in one process, whose start is what most of them take their time for. */
async function weftInTurn(lines: readonly string[][]): Promise<{ status: number | null; text: string }[]> {
  const program = `
const { main } = await import(${JSON.stringify(pathToFileURL(join(root, 'apps/cli/dist/main.js')).href)});
const { exit, stdout, stderr } = process;
const write = stdout.write.bind(stdout);
stdout.setMaxListeners(0);
const results = [];
for (const line of ${JSON.stringify(lines)}) {
  let [text, status] = ['', undefined];
  stdout.write = stderr.write = (piece) => ((text += status === undefined ? piece : ''), true);
  process.exit = (code) => {
    status ??= code ?? process.exitCode ?? 0;
    throw new Error('the command has ended');
  };
  process.exitCode = undefined;
  await main([process.execPath, 'weft', ...line]);
  results.push({ status: status ?? process.exitCode ?? 0, text });
}
write(JSON.stringify(results), () => exit.call(process, 0));`;
  const { status, text } = startNode('--input-type=module', '--eval', program);
  expect([await status, text()]).toEqual([0, expect.stringMatching(/^\[/)]);
  return JSON.parse(text()) as { status: number | null; text: string }[];
}

async function until<T>(what: () => T | undefined | null | false): Promise<T> {
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    const value = what();
    if (value !== undefined && value !== null && value !== false) return value;
    await new Promise((done) => setTimeout(done, 30));
  }
  throw new Error('it did not happen in time');
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Runs checks two at a time: each is mostly the start of a process. */
async function each<T>(items: readonly T[], check: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const line = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await check(next);
  };
  await Promise.all([line(), line()]);
}

const recordsOf = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('every command has help', async () => {
  const cases: [string, RegExp][] = [
    ['', /train.*run.*explain.*inspect.*up.*scheduler.*worker.*status.*device.*verify.*bench.*profile/s],
    ['train', /--mesh.*--checkpoints.*--json/s],
    ['run', /--input.*--method.*--output.*--mesh.*--device.*Examples/s],
    ['explain', /--mesh.*--input-spec.*--passes.*--device/s],
    ['inspect', /--code.*--graph.*--json/s],
    ['up', /--workers.*--port.*--directory.*--device/s],
    ['scheduler', /--host.*--port.*--directory/s],
    ['worker', /--scheduler.*--name.*--device.*--device-option/s],
    ['status', /--scheduler.*--json/s],
    ['device test', /--filter.*--json.*exit status/s],
    ['bench', /--runs.*--device.*--json.*Examples/s],
    ['profile', /--input.*--trace.*--top.*--json/s],
    ['verify', /--jobs.*--timeout.*--json/s],
  ];
  const lines = cases.map(([name]) => [...name.split(' ').filter(Boolean), '--help']);
  const results = await weftInTurn(lines);
  for (const [index, [name, options]] of cases.entries()) {
    const { status, text } = results[index];
    expect([name, status]).toEqual([name, 0]);
    expect(text).toMatch(new RegExp(`Usage: weft ${name}`.trim()));
    expect(text).toMatch(options);
  }
  // A process of its own says the same.
  expect(await weft(...lines[0])).toEqual(results[0]);
}, 60_000);

test('mistakes get one clear message and status 1', async () => {
  const cases: [string[], RegExp][] = [
    [['run', 'nothing.pt'], /nothing\.pt: there is no such file/],
    [['run', 'text.pt', '--input', 'x.npy'], /text\.pt: this is no zip file/],
    [['inspect', 'text.pt'], /text\.pt: this is no zip file/],
    [['run', model], /argument '\w+' of 'forward' is missing; it takes \w+: Tensor/],
    [['run', model, '--input', 'x.npy', '--method', 'go'], /has no method 'go'; it has: forward/],
    [['run', model, '--input', 'y.npy'], /there is no file y\.npy/],
    [['run', model, '--input', 'broken.json'], /broken\.json is no JSON/],
    [['run', model, '--input', 'broken.npy'], /broken\.npy is no \.npy file/],
    [['run', model, '--input', 'wide.json'], /mat1 and mat2 shapes cannot be multiplied/],
    [
      ['run', model, '--input', 'x.npy', '--device', 'warp'],
      /unknown device 'warp'; known devices: reference/,
    ],
    [['run', model, '--input', 'x.npy', '--mesh', 'pipeline'], /'pipeline' is no mesh axis/],
    [['explain', model, '--input-spec', 'float32[2,4', '--json'], /float32\[1,3,224,224\]/],
    [['up', '--workers', 'two'], /a whole number is expected/],
    [['device', 'test', './nothing'], /unknown device '\.\/nothing'/],
    [['verify', 'nothing'], /there is no folder nothing/],
    [['status', '--scheduler', '127.0.0.1:1'], /cannot reach the scheduler at 127\.0\.0\.1:1.*weft up/],
    [['explain', 'nothing.ts'], /there is no file nothing\.ts/],
  ];
  const results = await weftInTurn(cases.map(([args]) => args));
  // A process of its own ends in the same way, also where it has started others.
  const apart: [string[], RegExp][] = [cases[0], [['up', '--device', 'warp', '--port', '0'], /unknown device 'warp'/]]; // prettier-ignore
  for (const [args] of apart) results.push(await weft(...args));
  for (const [index, [args, message]] of [...cases, ...apart].entries()) {
    const { status, text } = results[index];
    expect([args, status, text]).toEqual([args, 1, expect.stringMatching(message)]);
    expect(text).not.toMatch(/^\s+at .*\.js:\d+/m);
  }
}, 60_000);

describe('weft run', () => {
  test('interprets, compiles for devices in order, and writes what it is asked to', async () => {
    const cases: string[][] = [
      ['--input', 'x.npy'],
      ['--input', 'x.json', '--device', 'reference'],
      ['--input', 'x.npy', '--device', plugin, '--device', 'reference'],
    ];
    await each(cases, async (args) => {
      const { text } = await weft('run', model, ...args, '--json');
      const [{ result }] = recordsOf(text) as { result: { dtype: string; data: unknown } }[];
      expect(result.dtype).toBe('float32');
      near(result.data, expected);
    });
    const { text } = await weft('run', model, '--input', 'x.npy', '--output', 'y.npy');
    expect(text).toBe('wrote y.npy\n');
    const { shape } = readNpy(readFileSync(join(folder, 'y.npy')), 'y.npy');
    expect(shape).toEqual([2, 3]);
  }, 60_000);

  test('splits a model over workers and ends them', async () => {
    const { text, status } = await weft('run', model, '--input', 'x.npy', '--mesh', 'pipeline=2', '--json');
    expect([status, text]).toEqual([0, expect.stringContaining('result')]);
    near((recordsOf(text) as { result: { data: unknown } }[])[0].result.data, expected);
  }, 60_000);
});

function near(given: unknown, wanted: unknown): void {
  const difference = tensor(given as number[][])
    .sub(tensor(wanted as number[][]))
    .abs() as Tensor;
  expect((difference.max() as Tensor).item()).toBeLessThan(1e-5);
}

test('weft inspect and explain say what is in an archive and where it runs', async () => {
  const [archive, placement, plan] = await Promise.all([
    weft('inspect', model, '--json'),
    weft('explain', model, '--input-spec', 'float32[2,4]', '--device', `${plugin},reference`, '--json'),
    weft('explain', model, '--input-spec', 'float32[2,4]', '--mesh', 'pipeline=2', '--json'),
  ]);
  expect(recordsOf(archive.text)[0]).toMatchObject({
    methods: [{ name: 'forward', schema: expect.stringMatching(/^forward\(Tensor \w+\) -> Tensor$/) }],
    tensors: [
      { kind: 'parameter', dtype: 'float32', shape: [8, 4], bytes: 128 },
      { shape: [8] },
      { shape: [3, 8] },
      { shape: [3] },
    ],
    operators: expect.arrayContaining([
      {
        name: 'aten::linear',
        count: 2,
        isSupported: true,
        runsOn: expect.stringMatching(/^(cpu|reference)$/),
      },
    ]),
  });
  const { devices, placements } = recordsOf(placement.text)[0] as {
    devices: string[];
    placements: { device: string }[];
  };
  expect(devices).toEqual(['example:0', 'reference:0']);
  expect(new Set(placements.map(({ device }) => device))).toEqual(new Set(devices));
  expect(recordsOf(plan.text)[0]).toMatchObject({ mesh: { pipeline: 2 }, devices: [{}, {}] });
}, 60_000);

test('weft device test passes a plugin over what it claims', async () => {
  const { status, text } = await weft('device', 'test', plugin, '--filter', 'add');
  expect([status, text]).toEqual([0, expect.stringMatching(/example:0 +[1-9]\d* +0 /)]);
}, 60_000);

test('weft verify tells passing, failing and stuck cases apart', async () => {
  const values = { x: [1, -2], right: [2, -4], wrong: [2, -3] };
  const program = { forward: (x: Tensor): Tensor => x.mul(2) as Tensor };
  const traced = jit.trace(program.forward, [tensor([1, 2], { dtype: 'float32' })]);
  for (const name of ['right', 'wrong'] as const) {
    const path = join(folder, 'cases', 'group', name);
    mkdirSync(path, { recursive: true });
    jit.save(traced as never, join(path, 'model.pt'));
    writeFileSync(join(path, 'tensors.bin'), new Float32Array([...values.x, ...values[name]]));
    const recorded = (offset: number) => ({ tensor: { dtype: 'float32', shape: [2], offset } });
    const calls = [{ method: 'forward', inputs: [recorded(0)], output: recorded(8) }];
    const record = {
      case: name,
      group: 'group',
      kind: 'script',
      tolerance: { rtol: 1e-5, atol: 1e-6 },
      calls,
    };
    writeFileSync(join(path, 'io.json'), JSON.stringify(record));
  }
  const { status, text } = await weft('verify', 'cases', '--jobs', '1', '--json', 'verified.json');
  expect(text).toMatch(/^FAILED group\/wrong: .*\n1 passed, 1 failed, 0 skipped\n$/);
  expect(status).toBe(1);
  const { cases } = JSON.parse(readFileSync(join(folder, 'verified.json'), 'utf8')) as { cases: unknown[] };
  expect(cases).toMatchObject([
    { name: 'group/right', status: 'passed' },
    { name: 'group/wrong', status: 'failed' },
  ]);
}, 60_000);

test('weft up: workers come, go and come back; a port in use is said; Ctrl-C leaves nothing', async () => {
  const { child, text, status } = start('up', '--workers', '2', '--port', '0', '--json');
  const records = () => recordsOf(`${text().slice(0, text().lastIndexOf('\n') + 1)}{}`);
  const joined = () => records().filter(({ kind }) => kind === 'joined') as { worker: string; pid: number }[];
  await until(() => joined().length === 2);
  const { address, directory } = records()[0] as { address: string; directory: string };
  const [inUse, cluster] = await Promise.all([
    weft('up', '--port', address.split(':')[1]),
    weft('status', '--scheduler', address, '--json'),
  ]);
  expect(inUse).toMatchObject({ status: 1, text: expect.stringMatching(/the port is in use/) });
  expect((recordsOf(cluster.text)[0].workers as unknown[]).length).toBe(2);
  process.kill(joined()[0].pid, 'SIGKILL');
  await until(() => records().some(({ kind, worker }) => kind === 'left' && worker === joined()[0].worker));
  await until(() => joined().length === 3);
  child.kill('SIGINT');
  expect(await status).toBe(0);
  expect(joined().filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(existsSync(directory)).toBe(false);
}, 60_000);
