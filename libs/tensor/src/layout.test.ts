// Operands that leave gaps in memory are read where they lie, with the results of operands that do not.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { contiguousStrides } from '@weft/ops';
import * as w from './index.ts';
import type { Tensor } from './index.ts';
import { lieOf } from './layout.ts';

const ramp = (sizes: readonly number[]): Tensor =>
  w
    .tensor(Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, (_, at) => Math.sin(at)))
    .view([...sizes]);

/** Cuts and turns a tensor. */
const cuts = fc.array(
  fc.record({ dim: fc.nat(), from: fc.nat(), size: fc.nat(), by: fc.nat(), turn: fc.boolean() }),
  { minLength: 1, maxLength: 4 },
);
type Cuts = readonly { dim: number; from: number; size: number; by: number; turn: boolean }[];

function cut(tensor: Tensor, steps: Cuts): Tensor {
  return steps.reduce((seen, { dim, from, size, by, turn }) => {
    if (seen.ndim === 0) return seen;
    const at = dim % seen.ndim;
    if (turn) return seen.transpose(at, from % seen.ndim);
    const start = from % seen.sizes[at];
    if (by % 5 === 0) return seen.select(at, start);
    const end = start + 1 + (size % (seen.sizes[at] - start));
    return seen.slice(at, start, end, 1 + (by % 2));
  }, tensor);
}

test('whatever is cut out of a tensor', () => {
  fc.assert(
    fc.property(fc.constantFrom([5, 6], [3, 4, 5], [2, 3, 4, 6]), cuts, (sizes, steps) => {
      const seen = cut(ramp(sizes), steps);
      const copy = w.fromTypedArray((seen.data as Float32Array).slice(), seen.sizes);
      const compute = (x: Tensor): unknown[] => [
        x.add(x).tolist(),
        x.exp().sum().item(),
        x.ndim === 2 ? x.matmul(x.t()).tolist() : null,
        x.ndim > 0 ? w.softmax(x, 0).tolist() : null,
        x.ndim > 1 ? x.sum([1]).tolist() : null,
        x.clone().add_(x).tolist(),
      ];
      const [got, expected] = [compute(seen), compute(copy)].map((each) => each.flat(9) as number[]);
      got.forEach((value, at) =>
        value === null ? expect(expected[at]).toBeNull() : expect(value).toBeCloseTo(expected[at], 4),
      );
    }),
    { numRuns: 150 },
  );
});

test('parts of rows, single columns and every second one are read where they are', () => {
  const whole = ramp([4, 6, 10]);
  for (const seen of [
    whole.slice(2, 0, 3),
    whole.slice(2, 7, 10),
    whole.select(2, 9),
    whole.select(1, 5),
    whole.slice(2, 1, 10, 2),
    whole.slice(1, 2, 5).transpose(0, 2),
  ]) {
    const lie = lieOf(seen, seen.elements)!;
    const { memory, start } = lie.layout.part!;
    const begin = seen.offset - lie.before;
    expect(begin).toBeGreaterThanOrEqual(0);
    expect(begin + memory[0] * contiguousStrides(memory)[0]).toBeLessThanOrEqual(seen.elements);
    expect(contiguousStrides(memory).reduce((sum, stride, at) => sum + stride * start[at], 0)).toBe(
      lie.before,
    );
  }
  // Rows that overlap, and what is no part of a rectangle, are copied.
  const flat = ramp([60]);
  for (const [sizes, strides] of [
    [
      [5, 4],
      [3, 1],
    ],
    [
      [3, 2],
      [7, 2],
    ],
  ]) {
    // prettier-ignore
    const seen = flat.asStrided(sizes, strides);
    expect(lieOf(seen, seen.elements)).toBeNull();
    expect(seen.add(0).tolist()).toEqual(seen.tolist());
  }
});

test('the same strides at another place of the memory', () => {
  const whole = ramp([3, 8]);
  const sums = [0, 1, 5].map((from) =>
    whole
      .slice(1, from, from + 3)
      .mul(2)
      .tolist(),
  );
  const expected = [0, 1, 5].map((from) =>
    (whole.tolist() as number[][]).map((row) =>
      row.slice(from, from + 3).map((each) => Math.fround(2 * each)),
    ),
  );
  expect(sums).toEqual(expected);
});

test('large copies are made by the device', () => {
  const whole = w.fromTypedArray(
    Float32Array.from({ length: 40 * 50 * 60 }, (_, at) => at),
    [40, 50, 60],
  );
  const elements = whole.tolist() as number[][][];
  const turned = whole.transpose(0, 2).contiguous();
  expect(turned.sizes).toEqual([60, 50, 40]);
  expect((turned.tolist() as number[][][])[7][5]).toEqual(elements.map((plane) => plane[5][7]));
  const column = whole.slice(2, 10, 31).permute(1, 0, 2).contiguous();
  expect(column.isContiguous()).toBe(true);
  expect((column.tolist() as number[][][])[3][39]).toEqual(elements[39][3].slice(10, 31));
  const spread = whole.select(0, 1).unsqueeze(0).expand([30, 50, 60]).contiguous();
  expect((spread.tolist() as number[][][])[29]).toEqual(elements[1]);
  // Rows that overlap are the host's.
  const windows = whole.asStrided([1000, 60], [7, 1]).contiguous();
  expect((windows.tolist() as number[][])[999]).toEqual(Array.from({ length: 60 }, (_, at) => 6993 + at));
});
