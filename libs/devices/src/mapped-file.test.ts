// Files as memory: what is mapped is private to this process and goes when nobody uses it; what cannot be mapped is read.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseGraph, tensorSpec } from '@weft/ir';
import { cpuDevice } from './cpu/device.ts';
import { DeviceError } from './errors.ts';
import type { FilePart } from './mapped-file.ts';
import { MappedFile } from './mapped-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-mapped-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'data');
const contents = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) & 255);
beforeAll(() => writeFileSync(path, contents));

/** As toEqual, which is slow on many bytes. */
const same = (found: Uint8Array, expected: Uint8Array): void =>
  expect(Buffer.compare(found, expected)).toBe(0);
const bytesOf = ({ buffer, byteOffset, byteLength }: FilePart): Uint8Array =>
  buffer.bytes!.subarray(byteOffset, byteOffset + byteLength);

describe.each([true, false])('with map: %s', (map) => {
  test('parts are the bytes of the file', () => {
    const file = MappedFile.open(path, { map });
    expect(file.size).toBe(300_000);
    for (const [offset, length] of [
      [0, 10],
      [65_530, 12],
      [200_000, 100_000],
      [299_999, 1],
      [17, 0],
      [300_000, 0],
    ]) {
      same(bytesOf(file.part(offset, length)), contents.subarray(offset, offset + length));
      same(file.read(offset, length), contents.subarray(offset, offset + length));
    }
    file.close();
  });

  test('changes reach neither the file nor others who opened it', () => {
    const [mine, other] = [MappedFile.open(path, { map }), MappedFile.open(path, { map })];
    const bytes = bytesOf(mine.part(1000, 4));
    bytes.fill(255);
    same(bytesOf(other.part(1000, 4)), contents.subarray(1000, 1004));
    same(readFileSync(path).subarray(1000, 1004), contents.subarray(1000, 1004));
    mine.close();
    other.close();
    expect(bytes).toEqual(new Uint8Array(4).fill(255));
  });

  test('parts stay when the file is closed or removed, and cannot be asked for any more', () => {
    const gone = join(folder, 'gone');
    writeFileSync(gone, contents);
    const file = MappedFile.open(gone, { map });
    const part = file.part(5, 100_000);
    file.close();
    rmSync(gone);
    same(bytesOf(part), contents.subarray(5, 100_005));
    expect(() => file.part(0, 1)).toThrow('was closed');
    part.buffer.free();
    expect(() => part.buffer.bytes).toThrow('used after it was freed');
    expect(part.buffer.hostAddress).toBeUndefined();
  });

  test('what the file does not have is refused', () => {
    const file = MappedFile.open(path, { map });
    expect(() => file.part(300_000, 1)).toThrow('has 300000 bytes; bytes 300000 to 300001 are asked for');
    expect(() => file.part(-1, 1)).toThrow(DeviceError);
    expect(() => file.read(0, 2 ** 53)).toThrow(DeviceError);
    file.close();
    expect(() => MappedFile.open(folder, { map })).toThrow('is no file');
    expect(() => MappedFile.open(join(folder, 'missing'), { map })).toThrow('ENOENT');
  });

  test('a file that becomes shorter is noticed when it is read', () => {
    const short = join(folder, 'short');
    writeFileSync(short, contents);
    const file = MappedFile.open(short, { map });
    truncateSync(short, 1000);
    expect(() => file.read(0, 2000)).toThrow(`${short} became shorter while it was read`);
    file.close();
  });

  test('an empty file has one part', () => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, '');
    const file = MappedFile.open(empty, { map });
    expect(file.part(0, 0).byteLength).toBe(0);
    file.close();
  });
});

test('parts of one file share a mapping, aligned as in the file', () => {
  const file = MappedFile.open(path, { map: true });
  const [a, b] = [file.part(64, 64), file.part(131_072 + 16, 1000)];
  expect(a.buffer).toBe(b.buffer);
  expect(b.byteOffset).toBe(131_072 + 16);
  // A part that begins before the window gets another one.
  const fresh = MappedFile.open(path, { map: true });
  const [late, early] = [fresh.part(200_000, 10), fresh.part(10, 10)];
  expect(late.buffer).not.toBe(early.buffer);
  expect(late.byteOffset % 16).toBe(200_000 % 16);
});

test('a small file is read', () => {
  const file = MappedFile.open(path);
  expect(file.part(0, 10).buffer).not.toBe(file.part(0, 10).buffer);
});

test('memory of a file is copied, not moved, to another thread', () => {
  const { bytes } = MappedFile.open(path, { map: true }).part(0, 300_000).buffer;
  const sent = (transfer: ArrayBuffer[]): Uint8Array =>
    structuredClone(bytes!, { transfer }).subarray(0, 300_000);
  same(sent([]), contents);
  // Asked to move it, Node 20 copies and newer ones refuse; neither takes it away from here.
  try {
    same(sent([bytes!.buffer as ArrayBuffer]), contents);
  } catch (error) {
    expect((error as Error).name).toBe('DataCloneError');
  }
  expect(bytes!.byteLength).toBe(300_000);
  same(bytes!.subarray(0, 300_000), contents);
});

test('a process and a thread that have a mapping end well', () => {
  const library = resolve(dirname(fileURLToPath(import.meta.url)), '../dist/index.js');
  const body = `import(${JSON.stringify(pathToFileURL(library).href)}).then(({ MappedFile }) => {
  globalThis.part = MappedFile.open(${JSON.stringify(path)}, { map: true }).part(0, 1000);
  console.log(globalThis.part.byteLength);
})`;
  const program = `new (require('node:worker_threads').Worker)(${JSON.stringify(body)}, { eval: true }); ${body}`;
  // Throws unless the process ends by itself with status 0.
  expect(execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8' })).toBe('1000\n1000\n');
});

(process.platform === 'linux' ? test : test.skip)('a mapping goes when nobody uses it', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const mapped = join(folder, 'mapped');
  writeFileSync(mapped, contents);
  const isMapped = (): boolean => readFileSync('/proc/self/maps', 'utf8').includes(mapped);
  const use = (): Uint8Array => {
    const file = MappedFile.open(mapped, { map: true });
    const view = bytesOf(file.part(100, 8));
    file.close();
    return view;
  };
  const held: { view?: Uint8Array } = { view: use() };
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(isMapped()).toBe(true);
  expect(held.view).toEqual(contents.subarray(100, 108));
  held.view = undefined;
  const end = Date.now() + 30_000;
  for (let wait = 1; isMapped() && Date.now() < end; wait = Math.min(2 * wait, 500)) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  expect(isMapped()).toBe(false);
});

test('the cpu device keeps the address of a part with it, until it is freed', () => {
  const part = MappedFile.open(path).part(64, 16);
  const device = cpuDevice();
  const graph = parseGraph('graph(%x : Byte(16)):\n  %y : Byte(16) = core::add(%x, %x)\n  return (%y)');
  const spec = tensorSpec('uint8', [16]);
  const result = device.allocate(16);
  const run = () => executable.run([{ ...part, spec }], [{ buffer: result, byteOffset: 0, spec }]);
  const executable = device.compile(graph, {});
  const expected = contents.subarray(64, 80).map((byte) => 2 * byte);
  for (let times = 0; times < 2; times++) {
    run();
    same(result.bytes!, expected);
  }
  part.buffer.free();
  expect(run).toThrow('used after it was freed');
});
