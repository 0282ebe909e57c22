import { expect, test } from '@jest/globals';
import { CoreBuilder, UnsupportedError, tensorSpec } from '@weft/ir';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Device, DevicePlugin } from './device.ts';
import { DeviceError } from './errors.ts';
import { referenceDevice, referencePlugin } from './reference/device.ts';
import { DeviceRegistry } from './registry.ts';

/** Jest has no dynamic import of plain modules; `require` loads the same files. */
const requireModule = createRequire(import.meta.url);
const load = (specifier: string): Promise<unknown> =>
  Promise.resolve().then(
    () => requireModule(specifier.startsWith('file:') ? fileURLToPath(specifier) : specifier) as unknown,
  );

const base = referenceDevice();
const device = (changes: Partial<Device>): Device => ({
  info: { ...base.info, type: 'odd' },
  allocate: (bytes) => base.allocate(bytes),
  write: (to, offset, from) => base.write(to, offset, from),
  read: (from, offset, to) => base.read(from, offset, to),
  supports: (node) => base.supports(node),
  compile: (graph, options) => base.compile(graph, options),
  synchronize: () => base.synchronize(),
  ...changes,
});
const plugin = (changes: Partial<DevicePlugin> = {}): DevicePlugin => ({
  type: 'odd',
  apiVersion: 1,
  open: () => Promise.resolve([device({})]),
  ...changes,
});

function graph() {
  const b = new CoreBuilder();
  const x = b.input(tensorSpec('float32', [2]));
  b.graph.addOutput(b.tanh(b.negate(x)));
  return b.graph;
}

test('a registered object is opened by its type and number', async () => {
  const registry = new DeviceRegistry(load);
  registry.register(plugin());
  expect(registry.types).toEqual(['reference', 'cpu', 'odd']);
  expect((await registry.open('odd'))[0].info.type).toBe('odd');
  expect((await registry.open('odd:0'))[0].info.type).toBe('odd');
  await expect(registry.open('odd:3')).rejects.toThrow("there is no device 'odd:3': 'odd' has 1");
});

test('an unknown device names the known ones and how to add one', async () => {
  const registry = new DeviceRegistry(load);
  for (const name of ['quantum', './no/such/folder', '/no/such/file.js', '@nobody/none']) {
    const opening = registry.open(name);
    await expect(opening).rejects.toThrow(DeviceError);
    await expect(opening).rejects.toThrow(
      /unknown device '.*'; known devices: reference, cpu\. To add one, install/,
    );
  }
});

test('what is no plugin is refused with what it lacks', () => {
  const registry = new DeviceRegistry(load);
  const refuse = (candidate: unknown, reason: string | RegExp) =>
    expect(() => registry.register(candidate)).toThrow(reason);
  refuse(null, 'the given object is not a device plugin: it is null');
  refuse({}, "'type' is undefined, a name of lower-case letters");
  refuse({ type: 'Odd Device', apiVersion: 1, open() {} }, '\'type\' is "Odd Device"');
  refuse({ type: 'odd', apiVersion: 1 }, "'open' is undefined, a function is expected");
  refuse(
    { type: 'odd', apiVersion: 2, open() {} },
    "device plugin 'odd' (the given object) is made for version 2 of the device interface, this is version 1",
  );
  registry.register(plugin());
  refuse(plugin(), "type 'odd', which is registered already");
  expect(registry.types).toEqual(['reference', 'cpu', 'odd']);
});

test('a plugin that throws in open is named', async () => {
  const registry = new DeviceRegistry(load);
  registry.register(plugin({ open: () => Promise.reject(new Error('no such hardware')) }));
  await expect(registry.open('odd')).rejects.toThrow("device 'odd' cannot be opened: no such hardware");
  const throwing = new DeviceRegistry(load);
  throwing.register(
    plugin({
      open: () => {
        throw new TypeError('oops');
      },
    }),
  );
  await expect(throwing.open('odd')).rejects.toThrow("device 'odd' cannot be opened: oops");
  const empty = new DeviceRegistry(load);
  empty.register(plugin({ open: () => Promise.resolve([]) }));
  await expect(empty.open('odd')).rejects.toThrow("device 'odd' opened no device");
  const half = new DeviceRegistry(load);
  half.register(plugin({ open: () => Promise.resolve([{ info: base.info } as Device]) }));
  await expect(half.open('odd')).rejects.toThrow(
    "plugin 'odd' lacks allocate, write, read, supports, compile",
  );
});

test('a plugin that throws in compile is named, and the node', async () => {
  const registry = new DeviceRegistry(load);
  const compile: Device['compile'] = (given, options) => {
    for (const node of given.nodes()) if (node.kind === 'core::tanh') throw new TypeError('x is undefined');
    return base.compile(given, options);
  };
  registry.register(plugin({ open: () => Promise.resolve([device({ compile })]) }));
  const [odd] = await registry.open('odd');
  expect(() => odd.compile(graph(), {})).toThrow(
    "device 'odd' failed to compile the graph at core::tanh(float32[2]): x is undefined",
  );
  expect(() => odd.compile(graph(), {})).toThrow(DeviceError);
});

test('an UnsupportedError of a plugin stays one', async () => {
  const registry = new DeviceRegistry(load);
  const compile: Device['compile'] = () => {
    throw new UnsupportedError('nothing is');
  };
  registry.register(plugin({ open: () => Promise.resolve([device({ compile })]) }));
  const [odd] = await registry.open('odd');
  expect(() => odd.compile(graph(), {})).toThrow(UnsupportedError);
  expect(() => odd.compile(graph(), {})).toThrow("device 'odd' failed to compile the graph at core::negate");
});

test('packages are found from where the user is, folders and files by path', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-registry-'));
  try {
    const source = (type: string) => `exports.default = { type: '${type}', apiVersion: 1, open() { throw new Error('found ${type}'); } };`; // prettier-ignore
    const place = (path: string, files: Record<string, string>) => {
      mkdirSync(join(folder, path), { recursive: true });
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, path, name), text);
    };
    place('node_modules/some-device', { 'package.json': '{"main":"main.js"}', 'main.js': source('package') });
    place('entry', { 'package.json': '{"exports":{".":{"import":"./a.js"}}}', 'a.js': source('folder') });
    place('plain', { 'index.js': source('bare'), 'other.js': source('file') });
    place('broken', { 'index.js': "require('a-missing-dependency')" });
    place('old', { 'index.js': "exports.plugin = { type: 'old', apiVersion: 0, open() {} };" });
    const registry = new DeviceRegistry(load, folder);
    await expect(registry.open('some-device')).rejects.toThrow('found package');
    await expect(registry.open('./entry')).rejects.toThrow('found folder');
    await expect(registry.open('./plain')).rejects.toThrow('found bare');
    await expect(registry.open('./plain/other.js')).rejects.toThrow('found file');
    await expect(registry.open('package')).rejects.toThrow('found package');
    await expect(registry.open('./broken')).rejects.toThrow(/'.\/broken' cannot be loaded: .*a-missing-dep/);
    await expect(registry.open('./old')).rejects.toThrow("'old' ('./old') is made for version 0");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the reference device counts its memory', async () => {
  const [small] = await referencePlugin.open({ settings: { memory: '1000' } });
  const buffer = small.allocate(600);
  expect(() => small.allocate(500)).toThrow(
    'the reference device is out of memory: 500 bytes were asked for, 400 of 1000 are left',
  );
  expect(() => small.allocate(-1)).toThrow(DeviceError);
  buffer.free();
  buffer.free();
  small.allocate(1000).free();
  expect(() => buffer.bytes).toThrow('used after it was freed');
  await expect(referencePlugin.open({ settings: { memory: 'x' } })).rejects.toThrow('device option memory=x');
});
