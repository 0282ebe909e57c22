// A function that is compiled once: it keeps no graph, runs on operands however they lie, and refuses what would need another executable.
import { describe, expect, test } from '@jest/globals';
import { parseGraph } from '@weft/ir';
import { CoreFunction } from './core-function.ts';
import { hostDevice, tensor } from './index.ts';

const text = `graph(%x : Float(2, 3), %y : Float(2, 3)):
  %a : Float(2, 3) = core::add(%x, %y)
  %b : Float(2, 3) = core::multiply(%a, %y)
  return (%a, %b, %a)
`;
const once = () => new CoreFunction(parseGraph(text), { once: true });
const x = () => tensor([[1.5, 2, 3], [4, 5, 6]]); // prettier-ignore
const turned = () => tensor([[1.5, 4], [2, 5], [3, 6]]).t(); // prettier-ignore

describe('a function that is compiled once', () => {
  test('runs on operands that lie otherwise than those of its first run', () => {
    const sums = x().add(x()).tolist();
    for (const [first, second] of [
      [x(), turned()],
      [turned(), x()],
    ]) {
      // prettier-ignore
      const fn = once();
      for (const operand of [first, second, first]) {
        const [sum, product] = fn.run([operand, x()], hostDevice());
        expect(sum.tolist()).toEqual(sums);
        expect(product.tolist()).toEqual(x().add(x()).mul(x()).tolist());
      }
    }
  });

  test('has no graph for a derivative, and no other executable', () => {
    const fn = once();
    expect(() => fn.graph).toThrow(/compiled once is asked for/);
    fn.run([x(), x()], hostDevice());
    expect(() => fn.graph).toThrow(/compiled once is asked for/);
    expect(() => fn.run([x(), x()], hostDevice(), [[1, 2], null, null])).toThrow(/with other strides/);
  });
});
