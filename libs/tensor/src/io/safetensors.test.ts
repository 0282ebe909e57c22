// safetensors: what is written reads back, the bytes are the format's, and broken files are refused with the reason.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TensorLiteral, dtypeNames, dtypes } from '@weft/ir';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  loadSafetensors,
  readSafetensors,
  saveSafetensors,
  tensor,
  toTensor,
  writeSafetensors,
} from '../index.ts';
import { SafetensorsError, SafetensorsFile, layoutSafetensors, streamSafetensors } from './safetensors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-safetensors-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const literals = new Map([
  ['b', tensor([1, 2, 3], { dtype: 'int8' }).toLiteral()],
  ['a', tensor([[1.5, -2]]).toLiteral()],
  ['c', tensor(7n).toLiteral()],
  ['2', tensor([4], { dtype: 'int8' }).toLiteral()],
  ['__proto__', tensor([5]).toLiteral()],
  ['empty', new TensorLiteral('float32', [0, 2], new Uint8Array())],
  ['same', new TensorLiteral('float32', [3], tensor(2.5).toLiteral().bytes, true)],
]);

describe('what is written', () => {
  test('reads back, with its metadata', () => {
    const { tensors, metadata } = readSafetensors(writeSafetensors(literals, { step: '3' }));
    expect(metadata).toEqual({ format: 'pt', step: '3' });
    const values = [...literals.keys()].map((name) => toTensor(tensors.get(name)!).tolist());
    expect(values).toEqual([[1, 2, 3], [[1.5, -2]], 7, [4], [5], [], [2.5, 2.5, 2.5]]);
  });

  test('has the bytes of the format', () => {
    const bytes = writeSafetensors(new Map([['x', tensor([1, 2], { dtype: 'uint8' }).toLiteral()]]));
    const header = '{"__metadata__":{"format":"pt"},"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}';
    expect(new TextDecoder().decode(bytes.subarray(8, 96))).toBe(header.padEnd(88));
    expect([...bytes.subarray(0, 8), ...bytes.subarray(96)]).toEqual([88, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
  });

  test('is the same in memory, streamed and saved, for every dtype', async () => {
    const tensors = new Map(
      dtypeNames.map((dtype, i) => {
        const bytes = Uint8Array.from({ length: 6 * dtypes[dtype].bytes }, (_, at) => (at * 7 + i) & 1);
        return [`t.${dtype}`, new TensorLiteral(dtype, [2, 3], bytes)];
      }),
    );
    const list = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const [streamed, saved] = [join(folder, 'streamed'), join(folder, 'saved')];
    const asked: number[] = [];
    const size = await streamSafetensors(streamed, list, (index) => {
      asked.push(index);
      return tensors.get(list[index].name)!.bytes;
    });
    expect(asked).toEqual(layoutSafetensors(list).order);
    saveSafetensors(new Map([...tensors].map(([name, literal]) => [name, toTensor(literal)])), saved);
    const inMemory = Buffer.from(writeSafetensors(tensors));
    expect(readFileSync(streamed)).toEqual(inMemory);
    expect(readFileSync(saved)).toEqual(inMemory);
    expect(size).toBe(inMemory.length);
    const file = SafetensorsFile.open(streamed);
    for (const [name, value] of tensors) expect(file.read(name)).toEqual(value);
    expect(() => file.read('other')).toThrow(/streamed has no tensor 'other' \(it has 15: /);
    file.close();
  });

  test('strided tensors are row-major in the file', () => {
    const path = join(folder, 'strided');
    saveSafetensors(
      new Map([
        [
          't',
          tensor([
            [1, 2, 3],
            [4, 5, 6],
          ]).t(),
        ],
      ]),
      path,
    );
    expect(loadSafetensors(path).get('t')!.tolist()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  });

  test('leaves nothing when it fails', async () => {
    const before = readdirSync(folder);
    const one = [{ name: 'x', dtype: 'int8', shape: [1] }] as const;
    const failing = streamSafetensors(join(folder, 'x'), one, () =>
      Promise.reject(new Error('the disk is full')),
    );
    await expect(failing).rejects.toThrow('the disk is full');
    expect(() => saveSafetensors(new Map(), join(folder, 'missing', 'x'))).toThrow(
      new RegExp(`missing.x cannot be written \\(ENOENT\\)`),
    );
    expect(readdirSync(folder)).toEqual(before);
  });

  test('names are taken once', () => {
    const one = { dtype: 'int8', shape: [] } as const;
    expect(() =>
      layoutSafetensors([
        { name: 'x', ...one },
        { name: 'x', ...one },
      ]),
    ).toThrow("two tensors are named 'x'");
    expect(() => layoutSafetensors([{ name: '__metadata__', ...one }])).toThrow(
      "cannot be named '__metadata__'",
    );
  });
});

test.each([true, false])('loaded tensors can be changed, the file stays (map: %s)', (map) => {
  const path = join(folder, `loaded-${map}`);
  saveSafetensors(
    new Map([
      ['w', tensor([1, 2, 3])],
      ['n', tensor([1, 2], { dtype: 'int8' })],
    ]),
    path,
  );
  const loaded = loadSafetensors(path, { map });
  loaded.get('w')!.add_(1);
  expect(loaded.get('w')!.tolist()).toEqual([2, 3, 4]);
  expect(loaded.get('n')!.tolist()).toEqual([1, 2]);
  expect(loadSafetensors(path).get('w')!.tolist()).toEqual([1, 2, 3]);
});

test('tensors that are not aligned in the file load all the same', () => {
  const header =
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}';
  const path = join(folder, 'unaligned');
  const bytes = Buffer.alloc(8 + header.length + 5);
  bytes.writeBigUInt64LE(BigInt(header.length));
  bytes.write(header, 8);
  bytes.writeFloatLE(2.5, bytes.length - 4);
  writeFileSync(path, bytes);
  expect(loadSafetensors(path, { map: true }).get('b')!.tolist()).toEqual([2.5]);
});

function file(header: unknown, data: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}
const entry = (from: number, to: number, shape: unknown = [to - from], dtype = 'U8'): object => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

test.each([
  ['an empty file', new Uint8Array(0), 'it has 0 bytes'],
  ['too short', new Uint8Array(3), 'it has 3 bytes'],
  ['a huge header', new Uint8Array(8).fill(255), 'is over the limit'],
  [
    'a header beyond the end',
    new Uint8Array([99, 0, 0, 0, 0, 0, 0, 0]),
    'said to have 99 bytes, the file has 8',
  ],
  ['no JSON', file('{', 0), 'its header is no JSON'],
  ['no UTF-8', file('{"\u00e9', 0).fill(255, 10, 11), 'its header is no JSON'],
  ['a list', file([], 0), 'its header is no object'],
  ['an entry that is no object', file({ x: 1 }, 0), "the entry of 'x' is no object"],
  ['an unknown dtype', file({ x: entry(0, 1, [1], 'F7') }, 1), "unknown dtype 'F7'"],
  ['a negative size', file({ x: entry(0, 1, [-1]) }, 1), "'x' has no valid shape"],
  ['a shape that is no shape', file({ x: entry(0, 1, 7) }, 1), "'x' has no valid shape"],
  [
    'offsets that are none',
    file({ x: { dtype: 'U8', shape: [], data_offsets: [0] } }, 1),
    'no valid data_offsets',
  ],
  ['a size that is too large', file({ x: entry(0, 1, [2 ** 40, 2 ** 40]) }, 1), 'its data_offsets give 1'],
  ['a cut-off file', file({ x: entry(0, 9) }, 1), /'x' ends at byte \d+ of \d+: the file is cut off/],
  [
    'overlapping tensors',
    file({ x: entry(0, 2), y: entry(1, 3) }, 3),
    /'y' starts at byte \d+ where \d+ is expected/,
  ],
  ['a gap', file({ x: entry(1, 2) }, 2), /'x' starts at byte \d+ where \d+ is expected/],
  ['bytes left over', file({ x: entry(0, 1) }, 3), '2 bytes after the last tensor'],
  ['metadata that is no text', file({ __metadata__: { a: 1 } }, 0), 'no object of texts'],
])('%s is refused, naming the file', (_, bytes, reason) => {
  const path = join(folder, 'broken');
  writeFileSync(path, bytes);
  for (const open of [() => readSafetensors(bytes), () => SafetensorsFile.open(path)]) {
    expect(open).toThrow(SafetensorsError);
    expect(open).toThrow(reason);
  }
  expect(() => SafetensorsFile.open(path)).toThrow(path);
});
test('a file that is not there is named', () => {
  expect(() => SafetensorsFile.open(join(folder, 'nothing'))).toThrow(/cannot open .*nothing: ENOENT/);
});
