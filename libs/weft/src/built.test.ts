// The packages as they are installed, bundled: what scripting reads back from a bundle, and that nothing is there twice.
import { expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const libs = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const url = (path: string): string => JSON.stringify(pathToFileURL(join(libs, path)).href);

/** What a program prints that runs with the built packages, in a process of its own. */
function output(program: string): unknown {
  const text = execFileSync(process.execPath, ['--input-type=module', '-'], {
    cwd: join(libs, 'jit'),
    input: program,
    encoding: 'utf8',
  });
  return JSON.parse(text);
}

test('every class of modules is scripted from its source in the bundle', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `
import { moduleCases, plainResult } from './nn-module-cases.ts';
import { jit, manualSeed } from 'weft';
const failed = [];
for (const [name, { make, inputs }] of moduleCases) {
  manualSeed(0);
  const module = make().eval();
  const given = inputs();
  try {
    const scripted = JSON.stringify(plainResult(jit.script(module).forward(...given)));
    if (scripted !== JSON.stringify(plainResult(module.forward(...given)))) failed.push(name);
  } catch (error) {
    failed.push(name + ': ' + error.message);
  }
}
console.log(JSON.stringify({ count: moduleCases.size ?? moduleCases.length, failed }));`,
      resolveDir: join(libs, 'jit/src'),
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  });
  const { count, failed } = output(outputFiles[0].text) as { count: number; failed: string[] };
  expect(failed).toEqual([]);
  expect(count).toBeGreaterThan(50);
});

test('classes and registries of a package are those that the public package gives', () => {
  expect(
    output(`
const [weft, tensor, jit, ir, devices, cluster] = await Promise.all(
  [${['weft', 'tensor', 'jit', 'ir', 'devices', 'cluster'].map((name) => url(`${name}/dist/index.js`)).join(', ')}]
    .map((path) => import(path)));
console.log(JSON.stringify([
  weft.Tensor === tensor.Tensor,
  weft.nn.Module === tensor.nn.Module,
  weft.jit.script === jit.script,
  weft.WeftError === ir.WeftError,
  new cluster.ClusterError('') instanceof ir.WeftError,
  weft.devices.deviceRegistry === devices.deviceRegistry,
  new weft.nn.Linear(1, 1).constructor.name,
]));`),
  ).toEqual([true, true, true, true, true, true, 'Linear']);
});

test('classes have the names that they are exported by', () => {
  expect(
    output(`
const weft = await import(${url('weft/dist/index.js')});
const isClass = (value) => typeof value === 'function' && /^class/.test(Function.prototype.toString.call(value));
console.log(JSON.stringify([weft, weft.nn, weft.optim, weft.jit, weft.ir, weft.devices].flatMap((from) =>
  Object.entries(from ?? {}).filter(([name, value]) => isClass(value) && value.name !== name).map(([name, value]) => [name, value.name]))));`),
  ).toEqual([]);
});

test('an error of the user has its class and names the line of the user', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-built-'));
  try {
    const path = join(folder, 'user.mjs');
    const lines = [
      `import { OperatorError, ones } from ${url('weft/dist/index.js')};`,
      'try {',
      '  ones([2, 3]).matmul(ones([2, 3]));',
      '} catch (error) {',
      '  console.log(JSON.stringify([error instanceof OperatorError, error.constructor.name, error.name, error.message]));',
      '}',
    ];
    writeFileSync(path, lines.join('\n'));
    const text = execFileSync(process.execPath, [path], { encoding: 'utf8' });
    const message = expect.stringMatching(/user\.mjs:3:3/);
    expect(JSON.parse(text)).toEqual([true, 'OperatorError', 'OperatorError', message]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
