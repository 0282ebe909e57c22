import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TensorLiteral } from '@weft/ir';
import { writeSafetensors } from '@weft/tensor';
import { f32 } from '../runner/example-plans.ts';
import { floatsOf } from '../runner/program-runner.ts';
import type { BatchSource, RowSource, WindowSource } from './source.ts';
import { BatchReader, learningRateAt, randomBelow, stepValues } from './source.ts';

let folder: string;
let tokens: string;
let rows: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
  tokens = join(folder, 'tokens');
  writeFileSync(
    tokens,
    Uint8Array.from({ length: 250 }, (_, i) => i),
  );
  rows = join(folder, 'rows');
  writeFileSync(
    rows,
    writeSafetensors(
      new Map([
        ['x', f32([10, 2], (i) => i)],
        ['short', f32([9], (i) => i)],
      ]),
    ),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const windows: WindowSource = {
  kind: 'windows',
  data: '',
  tokenType: 'uint8',
  batch: 4,
  length: 16,
  inputs: [
    { name: 'x', offset: 0, dtype: 'int64' },
    { name: 'y', offset: 1, dtype: 'int32' },
  ],
};
const fromRows: RowSource = {
  kind: 'rows',
  data: '',
  batch: 3,
  shuffle: true,
  inputs: [{ name: 'x', tensor: 'x' }],
};
const int64s = (value: TensorLiteral): number[] => Array.from(new BigInt64Array(value.bytes.buffer), Number);

function batches(source: BatchSource, path: string, steps: readonly number[]) {
  const reader = new BatchReader(source, path);
  try {
    return steps.map((step) => reader.batch(step));
  } finally {
    reader.close();
  }
}

describe('batch sources', () => {
  test('windows: targets follow inputs; the same step gives the same batch in any order', () => {
    const [first, second, again] = batches({ seed: 3, batches: windows }, tokens, [1, 2, 1]);
    const x = int64s(first.get('x')!);
    const y = [...new Int32Array(first.get('y')!.bytes.buffer)];
    expect(first.get('x')!.shape).toEqual([4, 16]);
    expect(y).toEqual(x.map((token) => token + 1));
    expect(x.slice(0, 16)).toEqual(Array.from({ length: 16 }, (_, i) => x[0] + i));
    expect(again).toEqual(first);
    expect(second).not.toEqual(first);
    expect(batches({ seed: 4, batches: windows }, tokens, [1])[0]).not.toEqual(first);
  });

  test('rows: every epoch is a permutation, another one each time', () => {
    const source: BatchSource = { seed: 1, batches: fromRows };
    const epochs = [0, 1].map((epoch) =>
      batches(
        source,
        rows,
        [1, 2, 3].map((step) => step + 3 * epoch),
      ).flatMap((batch) => floatsOf(batch.get('x')!).filter((_, i) => i % 2 === 0)),
    );
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(9);
    expect(epochs[0]).not.toEqual(epochs[1]);
    const [plain] = batches({ seed: 1, batches: { ...fromRows, shuffle: false } }, rows, [2]);
    expect(floatsOf(plain.get('x')!)).toEqual([6, 7, 8, 9, 10, 11]);
  });

  test('data that is too small, or rows that do not fit together, are refused', () => {
    const long = { seed: 0, batches: { ...windows, length: 250 } };
    expect(() => new BatchReader(long, tokens)).toThrow(
      /the data has 250 tokens; windows of 250 need at least 251/,
    );
    const uneven: RowSource = {
      ...fromRows,
      inputs: [...fromRows.inputs, { name: 'z', tensor: 'short' }],
    };
    expect(() => new BatchReader({ seed: 0, batches: uneven }, rows)).toThrow(
      /a batch of 3 rows cannot be made of 'x' \[10, 2\], 'z' \[9\]/,
    );
  });

  test('draws are even', () => {
    const counts = Array.from({ length: 10 }, () => 0);
    for (let step = 1; step <= 2000; step++)
      for (let index = 0; index < 5; index++) counts[randomBelow(10, 42, step, index)]++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });

  test('every step and micro-batch has its own random state', () => {
    const states = [1, 2, 3].flatMap((step) => {
      const { bytes } = stepValues({ seed: 5, microBatches: 2 }, step).get('rng')!;
      return [...new BigUint64Array(bytes.buffer)].filter((_, i) => i % 2 === 0);
    });
    expect(new Set(states).size).toBe(6);
  });
});

describe('learning rate', () => {
  test.each([
    [{ base: 1 }, 50, 1],
    [{ base: 1, warmup: 10 }, 5, 0.5],
    [{ base: 1, warmup: 10, decay: 'linear', total: 110 }, 60, 0.5],
    [{ base: 1, decay: 'cosine', total: 100 }, 50, 0.5],
    [{ base: 1, decay: 'cosine', total: 100, minimum: 0.1 }, 200, 0.1],
  ] as const)('%j at step %d', (schedule, step, expected) => {
    expect(learningRateAt(schedule, step)).toBeCloseTo(expected, 12);
  });
});
