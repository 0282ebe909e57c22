// Optimised core graphs give the same bits: random programs over special values (both zeros, infinities, NaN) are run on the
// reference device before and after the pipeline, and after any part of it.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Graph, Value } from '@weft/ir';
import {
  CoreBuilder,
  literalElements,
  literalOf,
  printGraph,
  specOf,
  tensorSpec,
  verifyGraph,
} from '@weft/ir';
import { executeOnHost } from '@weft/devices';
import { optimize, passesOf } from './index.ts';

type Emit = (b: CoreBuilder, x: Value, y: Value, pick: number) => Value;
const sameShape = (b: CoreBuilder, x: Value, y: Value): Value => {
  const { sizes, dtype } = specOf(x);
  return b.convert(b.reshape(y, sizes), dtype);
};
const emits: readonly Emit[] = [
  (b, x, y) => b.add(x, sameShape(b, x, y)),
  (b, x, y) => b.subtract(x, sameShape(b, x, y)),
  (b, x, y) => b.multiply(x, sameShape(b, x, y)),
  (b, x, y) => b.maximum(x, sameShape(b, x, y)),
  (b, x) => b.negate(x),
  (b, x, _, pick) => b.add(x, b.fullLike(x, [0, -0, 1][pick % 3])),
  (b, x, _, pick) => b.subtract(b.fullLike(x, 0), b.fullLike(x, [0, -0][pick % 2])),
  (b, x, _, pick) => b.multiply(x, b.fullLike(x, [1, 0][pick % 2])),
  (b, x) => b.divide(x, b.fullLike(x, 1)),
  (b, x) => b.power(b.convert(x, 'float32'), b.fullLike(b.convert(x, 'float32'), 1)),
  (b, x, _, pick) => b.reshape(x, [[6], [2, 3], [3, 2], [1, 6]][pick % 4]),
  (b, x) =>
    b.transpose(
      x,
      specOf(x).sizes.map((_, index) => specOf(x).sizes.length - 1 - index),
    ),
  (b, x) =>
    b.slice(
      b.broadcastInDim(
        x,
        [2, ...specOf(x).sizes],
        specOf(x).sizes.map((_, index) => index + 1),
      ),
      [0, ...specOf(x).sizes.map(() => 0)],
      [1, ...specOf(x).sizes],
    ),
  (b, x, _, pick) =>
    b.convert(x, (['float16', 'float64', 'int32', 'bfloat16', 'float32'] as const)[pick % 5]),
  (b, x, y, pick) => {
    const [first, second] = [x, pick % 2 === 0 ? x : y].map((value) =>
      b.reshape(sameShape(b, x, value), [6]),
    );
    const cut = pick % 7;
    const joined = b.concatenate([b.slice(first, [0], [cut]), b.slice(second, [cut], [6])], 0);
    const twice = b.concatenate([joined, b.reverse(joined, [0])], 0);
    const taken = b.slice(twice, [pick % 4], [12], [pick % 3 === 0 ? 1 : 2]);
    const rest = b.slice(b.concatenate([taken, joined], 0), [pick % 3], [6 + (pick % 3)]);
    return b.reshape(rest, specOf(x).sizes);
  },
  (b, x, y) => {
    const fixed = sameShape(b, x, y);
    const [, result] = b.while(
      [b.full(0, 'int64'), x],
      (inner, at) => [inner.compare(at, inner.full(2, 'int64'), 'LT')],
      (inner, at, value) => [
        inner.add(at, inner.full(1, 'int64')),
        inner.add(value, inner.multiply(fixed, inner.negate(fixed))),
      ],
    );
    return result;
  },
  (b, x, y, pick) => {
    const { sizes, dtype } = specOf(x);
    const line = b.convert(b.reshape(x, [1, 1, 6]), 'float32');
    const zero = b.full(0, 'float32');
    const before = pick % 3;
    const value = pick % 4 === 0 ? b.full(1, 'float32') : zero;
    const padded = b.pad(b.pad(line, value, [0, 0, before], [0, 0, 1]), zero, [0, 0, 0], [0, 0, pick % 2]);
    const kernel = b.constant(literalOf('float32', [1, 1, 3], [1, pick, -2]));
    const ones = { windowStrides: [1], padding: [[1, 1]] };
    const made = [b.convolution(padded, kernel, ones), b.slice(padded, [0, 0, pick % 5], [1, 1, 7])];
    const joined = b.concatenate([...made, line], 2);
    return b.convert(b.reshape(b.slice(joined, [0, 0, pick % 7], [1, 1, 6 + (pick % 7)]), sizes), dtype);
  },
  (b, x, _, pick) => {
    const matrix = b.convert(b.reshape(x, [2, 3]), 'float32');
    const row = b.constant(literalOf('float32', [1, 3], [pick, -1, 0.5]));
    const weights = pick % 2 === 0 ? [b.graph.inputs[1], row] : [row, row, row];
    const products = weights.map((weight) => {
      const contracting = { lhsBatching: [], rhsBatching: [], lhsContracting: [1], rhsContracting: [1] };
      return b.dotGeneral(matrix, weight, contracting);
    });
    return b.convert(b.reshape(b.concatenate(products, 1), specOf(x).sizes), specOf(x).dtype);
  },
  (b, x, y, pick) => b.select(b.full(pick % 2 === 0, 'bool', specOf(x).sizes), x, sameShape(b, x, y)),
  (b, x, y) => {
    const region = (value: Value) => () => [value];
    return b.if(b.full(true, 'bool'), region(x), region(sameShape(b, x, y)))[0];
  },
];

const step = fc.record({ emit: fc.nat(emits.length - 1), x: fc.nat(50), y: fc.nat(50), pick: fc.nat(50) });
const special = fc.constantFrom(0, -0, 1, -1, 0.5, 3, 1e30, -1e30, Infinity, -Infinity, NaN);

const names = passesOf('core').map(({ name }) => name);
test.each([
  ['optimised core programs give the same bits', 200, fc.constant<string[]>([])],
  ['whatever passes are left out', 100, fc.subarray(names)],
])('%s', (_, numRuns, left) => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 15 }),
      fc.array(special, { minLength: 12, maxLength: 12 }),
      left,
      (steps, numbers, disable) => {
        const b = new CoreBuilder();
        const values = [
          b.input(tensorSpec('float32', [2, 3]), 'x'),
          b.input(tensorSpec('float32', [2, 3]), 'y'),
        ];
        for (const { emit, x, y, pick } of steps) {
          values.push(emits[emit](b, values[x % values.length], values[y % values.length], pick));
        }
        const { graph } = b;
        for (const value of values.slice(-2)) graph.addOutput(value);
        verifyGraph(graph);
        const inputs = [
          literalOf('float32', [2, 3], numbers.slice(0, 6)),
          literalOf('float32', [2, 3], numbers.slice(6)),
        ];
        const run = (which: Graph) => executeOnHost(which, inputs).map(literalElements);
        const optimised = graph.clone();
        optimize(optimised, 'core', { verify: true, disable, fixed: [1] });
        expect({ text: printGraph(graph), results: run(optimised) }).toEqual({
          text: printGraph(graph),
          results: run(graph),
        });
      },
    ),
    { numRuns },
  );
});
