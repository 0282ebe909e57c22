// Views share memory with their base: random programs of views and in-place writes against a model that keeps, for every
// tensor, the list of places in one array that its elements are.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as w from './index.ts';
import type { Tensor } from './index.ts';
import { tensor } from './index.ts';

/** A tensor and the places of its elements, row-major. */
interface Modelled {
  readonly tensor: Tensor;
  readonly sizes: readonly number[];
  readonly places: readonly number[];
}

interface Step {
  readonly kind: number;
  readonly on: number;
  readonly a: number;
  readonly b: number;
}

const product = (sizes: readonly number[]): number => sizes.reduce((total, size) => total * size, 1);

function indicesOf(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (all, size) => all.flatMap((index) => Array.from({ length: size }, (_, at) => [...index, at])),
    [[]],
  );
}
const at = (sizes: readonly number[], index: readonly number[]): number =>
  index.reduce((flat, position, dim) => flat * sizes[dim] + position, 0);

/** The view whose element `index` is element `source(index)` of `of`. */
function view(
  of: Modelled,
  made: Tensor,
  sizes: readonly number[],
  source: (index: readonly number[]) => number[],
): Modelled {
  return {
    tensor: made,
    sizes,
    places: indicesOf(sizes).map((index) => of.places[at(of.sizes, source(index))]),
  };
}

function applyView(of: Modelled, { kind, a, b }: Step): Modelled | null {
  const { tensor: x, sizes } = of;
  const rank = sizes.length;
  if (rank === 0) return null;
  const dim = a % rank;
  switch (kind % 6) {
    case 0: {
      if (sizes[dim] === 0) return null;
      const position = b % sizes[dim];
      const rest = sizes.filter((_, each) => each !== dim);
      return view(of, x.select(dim, position), rest, (index) => index.toSpliced(dim, 0, position));
    }
    case 1: {
      const other = b % rank;
      const swap = <T>(list: readonly T[]): T[] =>
        list.map((_, each) => list[each === dim ? other : each === other ? dim : each]);
      return view(of, x.transpose(dim, other), swap(sizes), (index) => swap(index));
    }
    case 2: {
      const start = b % (sizes[dim] + 1);
      const step = 1 + (b % 2);
      const kept = sizes.with(dim, Math.ceil((sizes[dim] - start) / step));
      return view(of, x.slice(dim, start, null, step), kept, (index) =>
        index.with(dim, start + index[dim] * step),
      );
    }
    case 3:
      return view(of, x.unsqueeze(dim), sizes.toSpliced(dim, 0, 1), (index) => index.toSpliced(dim, 1));
    case 4: {
      const size = Math.min(sizes[0], sizes[rank - 1]);
      if (rank !== 2) return null;
      return view(of, x.diagonal(), [size], ([index]) => [index, index]);
    }
    default: {
      if (!x.isContiguous()) return null;
      return view(of, x.view(-1 * Math.sign(product(sizes)) || 0), [product(sizes)], ([index]) => {
        const result: number[] = [];
        for (let each = rank - 1, rest = index; each >= 0; each--) {
          result.unshift(rest % sizes[each]);
          rest = Math.floor(rest / sizes[each]);
        }
        return result;
      });
    }
  }
}

function applyWrite({ tensor: x, places }: Modelled, { kind, a }: Step, memory: number[]): void {
  switch (kind % 3) {
    case 0:
      x.fill_(a);
      places.forEach((place) => (memory[place] = a));
      return;
    case 1:
      x.add_(a);
      places.forEach((place) => (memory[place] += a));
      return;
    default: {
      const values = places.map((_, index) => index * a);
      x.copy_(tensor(values.length === 0 ? [] : values, { dtype: 'float32' }).reshape(x.shape as number[]));
      places.forEach((place, index) => (memory[place] = values[index]));
    }
  }
}

const step = fc.record({ kind: fc.nat(11), on: fc.nat(20), a: fc.nat(5), b: fc.nat(7) });

test('writes through any chain of views land where the model says', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }),
      fc.array(step, { maxLength: 14 }),
      (shape, steps) => {
        const sizes = shape.map((size) => size + 1);
        const memory = Array.from({ length: product(sizes) }, (_, index) => index);
        const base = w.arange(memory.length, { dtype: 'float32' }).reshape(sizes);
        const known: Modelled[] = [{ tensor: base, sizes, places: memory.map((_, index) => index) }];
        for (const each of steps) {
          const on = known[each.on % known.length];
          if (each.kind < 8) {
            const made = applyView(on, each);
            if (made !== null) known.push(made);
          } else applyWrite(on, each, memory);
        }
        for (const { tensor: x, sizes: expected, places } of known) {
          expect(x.sizes).toEqual(expected);
          expect(Array.from(x.flatten().tolist() as number[])).toEqual(places.map((place) => memory[place]));
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('tensors on one storage share its version, copies have their own', () => {
  const x = w.zeros(4);
  const v = x.slice(0, 1);
  v.add_(1);
  x.fill_(2);
  expect([x.version, v.version, x.detach().version, x.clone().version]).toEqual([2, 2, 2, 0]);
});

test('operators read expanded, transposed and strided operands', () => {
  const x = w.arange(12, { dtype: 'float32' }).view(3, 4);
  const operands = [
    x.t(),
    x.slice(1, null, null, 2),
    x.select(1, 1).unsqueeze(0).expand(2, 3),
    x.slice(0, 1).t().slice(0, 1),
  ];
  for (const operand of operands) {
    expect(operand.add(1).tolist()).toEqual(operand.contiguous().add(1).tolist());
    expect(operand.sum(0).tolist()).toEqual(operand.clone().sum(0).tolist());
  }
});
