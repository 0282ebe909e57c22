import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobStore, FileStore } from './file-store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens the store, lets `use` do something, closes it. */
async function withStore<T>(use: (store: FileStore) => T | Promise<T>): Promise<T> {
  const store = await FileStore.open(folder);
  try {
    return await use(store);
  } finally {
    store.close();
  }
}

describe('FileStore', () => {
  test('keeps records in order; the leader number grows with every opening', async () => {
    await withStore((store) => {
      expect(store.leader).toBe(1);
      store.append({ a: 1 }, true);
      store.append({ b: 'ü\n' }, false);
    });
    await withStore(async (store) => {
      expect(store.leader).toBe(2);
      expect(store.records).toEqual([{ a: 1 }, { b: 'ü\n' }]);
      await store.compact([{ c: 1 }]);
      store.append({ d: 1 }, false);
    });
    await withStore((store) => expect(store.records).toEqual([{ c: 1 }, { d: 1 }]));
  });

  test('a torn last record is cut off; what was acknowledged stays', async () => {
    await withStore((store) => [1, 2, 3].forEach((n) => store.append({ n }, true)));
    const path = join(folder, 'log');
    const whole = readFileSync(path);
    const start = whole.lastIndexOf(10, whole.length - 2) + 1;
    for (let length = start + 1; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      await withStore((store) => {
        expect(store.records).toEqual([{ n: 1 }, { n: 2 }]);
        store.append({ n: 4 }, true);
      });
      await withStore((store) => expect(store.records).toEqual([{ n: 1 }, { n: 2 }, { n: 4 }]));
    }
  });

  test('damage in the middle is an error that names the record', async () => {
    await withStore((store) => [1, 2, 3].forEach((n) => store.append({ n }, true)));
    const path = join(folder, 'log');
    writeFileSync(path, readFileSync(path, 'utf8').replace('{"n":2}', '{"n":7}'));
    await expect(FileStore.open(folder)).rejects.toThrow(/record 2 of .*log \(byte \d+\) is damaged/);
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  test('one process at a time; a lock that a killed process left is taken over', async () => {
    await withStore(async () => {
      await expect(FileStore.open(folder)).rejects.toThrow(/is open in this process already/);
    });
    writeFileSync(join(folder, 'lock'), String(process.ppid));
    await expect(FileStore.open(folder)).rejects.toThrow(
      new RegExp(`in use by process ${process.ppid}: stop that scheduler or give another folder`),
    );
    const gone = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }));
    writeFileSync(join(folder, 'lock'), String(gone));
    await withStore((store) => expect(store.leader).toBeGreaterThan(0));
  });
});

describe('BlobStore', () => {
  test('names content by its hash and gives it back in pieces', async () => {
    const blobs = new BlobStore(folder);
    const content = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
    const hash = await blobs.put([content.subarray(0, 300), content.subarray(300)]);
    expect(await blobs.put([content])).toBe(hash);
    expect(Buffer.concat([...blobs.read(hash, 64)])).toEqual(content);
    expect(readdirSync(folder)).toEqual([hash]);
    expect(blobs.find('../lock')).toBeUndefined();
    expect(() => [...blobs.read('0'.repeat(64), 1)]).toThrow(/there is no blob/);
  });

  test('refuses other content than was asked for, and leaves nothing of a stream that breaks', async () => {
    const blobs = new BlobStore(folder);
    await expect(blobs.put([Buffer.from('x')], '0'.repeat(64))).rejects.toThrow(/a blob arrived as/);
    async function* broken(): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from('x');
      throw new Error('the connection broke');
    }
    await expect(blobs.put(broken())).rejects.toThrow(/a blob cannot be kept: the connection broke/);
    expect(readdirSync(folder)).toEqual([]);
    appendFileSync(join(folder, 'left.tmp'), 'x');
    new BlobStore(folder);
    expect(readdirSync(folder)).toEqual([]);
  });
});
