// safetensors: what is written reads back, the bytes are the format's, and broken files are refused with the reason.
import { expect, test } from '@jest/globals';
import { TensorLiteral } from '@weft/ir';
import { tensor, toTensor } from '../index.ts';
import { readSafetensors, writeSafetensors } from './safetensors.ts';

const literals = new Map([
  ['b', tensor([1, 2, 3], { dtype: 'int8' }).toLiteral()],
  ['a', tensor([[1.5, -2]]).toLiteral()],
  ['c', tensor(7n).toLiteral()],
  ['empty', new TensorLiteral('float32', [0, 2], new Uint8Array())],
  ['same', new TensorLiteral('float32', [3], tensor(2.5).toLiteral().bytes, true)],
]);

test('tensors and metadata read back', () => {
  const { tensors, metadata } = readSafetensors(writeSafetensors(literals, { step: '3' }));
  expect(metadata).toEqual({ step: '3' });
  const values = [...literals.keys()].map((name) => toTensor(tensors.get(name)!).tolist());
  expect(values).toEqual([[1, 2, 3], [[1.5, -2]], 7, [], [2.5, 2.5, 2.5]]);
});

test('the bytes are those of the format', () => {
  const bytes = writeSafetensors(new Map([['x', tensor([1, 2], { dtype: 'uint8' }).toLiteral()]]));
  const header = '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}';
  const padded = header.padEnd(56);
  expect(new TextDecoder().decode(bytes.subarray(8, 64))).toBe(padded);
  expect([...bytes.subarray(0, 8), ...bytes.subarray(64)]).toEqual([56, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
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
  ['too short', new Uint8Array(3), '3 bytes are too few'],
  ['a huge header', new Uint8Array(8).fill(255), 'is over the limit'],
  ['a header beyond the end', new Uint8Array([99, 0, 0, 0, 0, 0, 0, 0]), 'the header takes 99 bytes'],
  ['no JSON', file('{', 0), 'the header is no JSON'],
  ['a list', file([], 0), 'the header is no object'],
  ['an unknown dtype', file({ x: entry(0, 1, [1], 'F7') }, 1), "unknown dtype 'F7'"],
  ['a negative size', file({ x: entry(0, 1, [-1]) }, 1), 'has no valid shape'],
  ['a size that is too large', file({ x: entry(0, 1, [2 ** 40, 2 ** 40]) }, 1), 'its offsets give 1'],
  ['offsets beyond the end', file({ x: entry(0, 9) }, 1), 'ends at byte 9 of 1'],
  [
    'overlapping tensors',
    file({ x: entry(0, 2), y: entry(1, 3) }, 3),
    "'y' starts at byte 1 where 2 is expected",
  ],
  ['a gap', file({ x: entry(1, 2) }, 2), "'x' starts at byte 1 where 0 is expected"],
  ['bytes left over', file({ x: entry(0, 1) }, 3), '2 bytes after the last tensor'],
  ['metadata that is no text', file({ __metadata__: { a: 1 } }, 0), 'no object of strings'],
])('%s is refused', (_, bytes, reason) => expect(() => readSafetensors(bytes)).toThrow(reason));
