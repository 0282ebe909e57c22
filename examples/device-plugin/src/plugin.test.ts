import { expect, test } from '@jest/globals';
import {
  allocateTensor,
  compileForDevices,
  explainPlacement,
  openPlugin,
  readLiteral,
  referenceDevice,
  runConformance,
  uploadLiteral,
} from '@weft/devices';
import { CoreBuilder, TensorLiteral, tensorSpec } from '@weft/ir';
import type { TensorSpec } from '@weft/ir';
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import plugin from './index.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');

test('the conformance kit passes, and skips what is not claimed', async () => {
  const [device] = await openPlugin(plugin, {});
  const report = await runConformance(device);
  expect(report.failed).toEqual([]);
  expect(report.passed).toBeGreaterThan(10);
  expect(report.operators).toEqual(expect.arrayContaining(['add', 'dot_general', 'multiply']));
});

/** tanh(x w + x w) and its softmax: the device claims all but tanh. */
function graph() {
  const b = new CoreBuilder();
  const x = b.input(tensorSpec('float32', [2, 2]));
  const w = b.input(tensorSpec('float32', [2, 2]));
  const y = b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [0] });
  const bent = b.tanh(b.add(y, y));
  const [odds] = b.composite('softmax', [bent], { dim: 1 }, (r, z) => {
    const e = r.exponential(z);
    return [r.divide(e, r.broadcastInDim(r.reduceSum(e, [1]), [2, 2], [0]))];
  });
  b.graph.addOutput(odds);
  return b.graph;
}

test('the rest runs on the next device, and the placement says why', async () => {
  const [device] = await openPlugin(plugin, {});
  const devices = [device, referenceDevice()];
  expect(explainPlacement(graph(), devices).map(({ node, device: on }) => `${node} → ${on}`)).toEqual([
    'core::dot_general(float32[2, 2], float32[2, 2]) → example:0',
    'core::add(float32[2, 2], float32[2, 2]) → example:0',
    'core::tanh(float32[2, 2]) → reference:0',
    "composite 'softmax'(float32[2, 2]) → example:0",
  ]);
  const literal = (values: number[]) =>
    new TensorLiteral('float32', [2, 2], new Uint8Array(new Float32Array(values).buffer));
  const inputs = [literal([1, 2, 3, 4]), literal([0.1, 0.2, -0.1, 0.3])];
  const run = (on: typeof devices) => {
    const g = graph();
    const output = allocateTensor(on[0], g.outputs[0].type as TensorSpec);
    compileForDevices(g, on).run(
      inputs.map((input) => uploadLiteral(on[0], input)),
      [output],
    );
    return new Float32Array(readLiteral(output).bytes.buffer);
  };
  const [mixed, alone] = [run(devices), run([referenceDevice()])];
  mixed.forEach((value, index) => expect(value).toBeCloseTo(alone[index], 6));
});

test('an option that makes no sense is refused by name', async () => {
  await expect(openPlugin(plugin, { settings: { memory: 'lots' } })).rejects.toThrow(
    "device 'example' cannot be opened: memory=lots",
  );
});

/** In a process of its own, as an installed package and as a folder, as a user would have them. */
test('it is found by package name and by path', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-plugin-'));
  try {
    const installed = join(folder, 'node_modules', 'weft-device-example');
    mkdirSync(installed, { recursive: true });
    cpSync(resolve(here, '../package.json'), join(installed, 'package.json'));
    const options = { bundle: true, platform: 'node', format: 'esm', logLevel: 'silent' } as const;
    await build({ ...options, entryPoints: [join(here, 'index.ts')], outfile: join(installed, 'dist/index.js') }); // prettier-ignore
    symlinkSync(installed, join(folder, 'copy'));
    await build({
      ...options,
      stdin: {
        contents: `import { openDevice } from '@weft/devices';
          for (const name of process.argv.slice(2)) {
            const found = await openDevice(name).catch((error) => error);
            console.log(found.info?.name ?? found.message);
          }`,
        resolveDir: root,
      },
      alias: {
        '@weft/devices': join(root, 'libs/devices/src/index.ts'),
        '@weft/ir': join(root, 'libs/ir/src/index.ts'),
      },
      outfile: join(folder, 'open.mjs'),
    });
    const run = (name: string) =>
      execFileSync(process.execPath, ['open.mjs', name], { cwd: folder, encoding: 'utf8' }).trim();
    expect(run('weft-device-example')).toBe('example plugin');
    expect(run('./copy')).toBe('example plugin');
    expect(run('no-such-device')).toMatch(
      /^unknown device 'no-such-device'; known devices: reference, cpu\./,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the device of docs/add-a-device.md does what the page says', async () => {
  const page = readFileSync(join(root, 'docs/add-a-device.md'), 'utf8');
  const [, source] = /`index\.js`[^]*?```js\n([^]*?)```/.exec(page)!;
  const [, promised] = /For the device above: `(\d+ passed, 0 failed)/.exec(page)!;
  const made = new Function(source.replace('export default', 'return'))() as typeof plugin;
  const [device] = await openPlugin(made, {});
  const report = await runConformance(device);
  expect(`${report.passed} passed, ${report.failed.length} failed`).toBe(promised);
});
