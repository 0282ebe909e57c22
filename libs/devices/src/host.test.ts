import { expect, test } from '@jest/globals';
import { CoreBuilder, tensorSpec } from '@weft/ir';
import { counting, vector } from './conformance/case.ts';
import { entriesOf } from './conformance/compare.ts';
import { DeviceError } from './errors.ts';
import { allocateTensor, copyStrided, executeOnHost, readLiteral, uploadLiteral } from './host.ts';
import { referenceDevice } from './reference/device.ts';

const device = referenceDevice();

test('a strided copy makes contiguous, and writes into a view', () => {
  const from = uploadLiteral(device, counting('int64', [2, 3]));
  const to = allocateTensor(device, tensorSpec('int64', [3, 2]));
  const place = (view: typeof from, strides: number[], offset = 0) => ({
    buffer: view.buffer,
    strides,
    offset,
  });
  copyStrided('int64', [3, 2], place(from, [1, 3]), place(to, [2, 1]));
  expect(entriesOf(readLiteral(to))).toEqual([0n, 3n, 1n, 4n, 2n, 5n]);
  // The last column of `from`, backwards, into the first row of `to`.
  copyStrided('int64', [2], place(from, [-3], 5), place(to, [1]));
  expect(entriesOf(readLiteral(to))).toEqual([5n, 2n, 1n, 4n, 2n, 5n]);
  // One element, repeated.
  copyStrided('int64', [3], place(from, [0], 4), place(to, [2], 1));
  expect(entriesOf(readLiteral(to))).toEqual([5n, 4n, 1n, 4n, 2n, 4n]);
});

test('overlapping places of one buffer are read before they are written', () => {
  const { buffer } = uploadLiteral(device, counting('float32', [6]));
  copyStrided('float32', [5], { buffer, strides: [1], offset: 0 }, { buffer, strides: [1], offset: 1 });
  expect(entriesOf(readLiteral({ buffer, byteOffset: 0, spec: tensorSpec('float32', [6]) }))).toEqual([0, 0, 1, 2, 3, 4]); // prettier-ignore
});

test('complex and half elements are copied whole', () => {
  for (const dtype of ['complex64', 'complex128', 'bfloat16', 'bool'] as const) {
    const literal = vector(dtype, dtype.startsWith('complex') ? [[1, 2], [3, 4]] : [1, 0]); // prettier-ignore
    const from = uploadLiteral(device, literal);
    const to = allocateTensor(device, from.spec);
    copyStrided(dtype, [2], { ...from, strides: [1], offset: 0 }, { ...to, strides: [-1], offset: 1 });
    copyStrided(dtype, [2], { ...to, strides: [-1], offset: 1 }, { ...from, strides: [1], offset: 0 });
    expect(readLiteral(from).bytes).toEqual(literal.bytes);
  }
});

test('inputs that do not fit the graph are named', () => {
  const b = new CoreBuilder();
  const x = b.input(tensorSpec('float32', [2]), 'x');
  b.graph.addOutput(b.negate(x));
  expect(() => executeOnHost(b.graph, [])).toThrow('the graph has 1 inputs, 0 tensors are given');
  const wrong = () => executeOnHost(b.graph, [vector('float32', [1])]);
  expect(wrong).toThrow('input 0 (%x) is float32[2], float32[1] is given');
  expect(wrong).toThrow(DeviceError);
  const executable = device.compile(b.graph, {});
  const short = allocateTensor(device, tensorSpec('float32', [1]));
  const right = allocateTensor(device, tensorSpec('float32', [2]));
  expect(() => executable.run([short], [right])).toThrow('input 0 of the program is float32[2], float32[1] is given'); // prettier-ignore
  expect(() => executable.run([{ ...right, byteOffset: 4 }], [right])).toThrow('reach beyond a buffer of 8 bytes'); // prettier-ignore
  expect(() => device.read(right.buffer, 4, new Uint8Array(8))).toThrow('bytes 4 to 12 reach beyond');
});

test('temporaries reuse memory: a long chain needs a few buffers, not one a step', () => {
  const b = new CoreBuilder();
  let x = b.input(tensorSpec('float32', [64, 64]));
  for (let step = 0; step < 50; step++) {
    x = b.dotGeneral(x, x, { lhsContracting: [1], rhsContracting: [0] });
  }
  b.graph.addOutput(x);
  expect(device.compile(b.graph, {}).memory).toBeLessThanOrEqual(2 * 64 * 64 * 4);
});

test('graphs run after larger ones have grown the shared scratch memory', () => {
  const make = (size: number) => {
    const b = new CoreBuilder();
    const x = b.input(tensorSpec('float32', [size]));
    const y = b.reverse(b.reverse(b.negate(x), [0]), [0]);
    b.graph.addOutput(y);
    return b.graph;
  };
  const small = device.compile(make(3), {});
  const run = () => {
    const input = uploadLiteral(device, vector('float32', [1, 2, 3]));
    const output = allocateTensor(device, input.spec);
    small.run([input], [output]);
    return entriesOf(readLiteral(output));
  };
  expect(run()).toEqual([-1, -2, -3]);
  executeOnHost(make(1 << 20), [counting('float32', [1 << 20])]);
  expect(run()).toEqual([-1, -2, -3]);
});
