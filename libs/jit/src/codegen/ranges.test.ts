// Intervals of integers hold for every run, and the arithmetic that they allow gives what the interpreter gives.
import { describe, expect, test } from '@jest/globals';
import type { IValue } from '@weft/ir';
import { parseGraph } from '@weft/ir';
import fc from 'fast-check';
import { contextOf } from '../runtime/frame.ts';
import { Frame, codeOf } from '../runtime/index.ts';
import { GeneratedFailure, generate, generateJavaScript } from './index.ts';
import { integerRanges } from './ranges.ts';

const context = () => contextOf({ print: () => undefined });

/** A loop of `n` turns over two carried integers; `body` computes %x and %y from %a, %b and the index %i. */
const loop = (body: readonly string[], [a, b]: readonly bigint[], constants: readonly bigint[]): string => `
graph(%n : int, %given : int):
  %true : bool = prim::Constant[value=1]()
  %a0 : int = prim::Constant[value=${a}]()
  %b0 : int = prim::Constant[value=${b}]()
${constants.map((value, at) => `  %k${at} : int = prim::Constant[value=${value}]()`).join('\n')}
  %p : int, %q : int = prim::Loop(%n, %true, %a0, %b0)
    block0(%i : int, %a : int, %b : int):
${body.map((line) => `      ${line}`).join('\n')}
      -> (%true, %x, %y)
  %r : (int, int) = prim::TupleConstruct(%p, %q)
  return (%r)`;

function outcomes(text: string, inputs: readonly IValue[]): [string, string] {
  const graph = parseGraph(text);
  const outcome = (run: () => IValue): string => {
    try {
      return String((run() as unknown as { items: IValue[] }).items);
    } catch (error) {
      const inner = (error instanceof GeneratedFailure ? error.error : error) as Error & { reason?: string };
      return `error: ${inner.reason ?? inner.message}`;
    }
  };
  return [
    outcome(() => generate(graph)(context(), ...inputs)),
    outcome(() => new Frame(codeOf(graph, 'f'), context()).run(inputs)[0]),
  ];
}

const edges = [0n, 1n, -1n, 2n, 7n, -3n, 1000007n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 32n, 2n ** 53n - 1n, -(2n ** 53n), 2n ** 62n]; // prettier-ignore
const operators = ['add', 'sub', 'mul', 'remainder', 'floordiv', '__and__', '__or__', '__xor__'];

test('random loops give what the interpreter gives', () => {
  const constant = fc.constantFrom(...edges);
  const names = ['%a', '%b', '%i', '%given', '%k0', '%k1', '%k2'];
  const line = fc.tuple(fc.constantFrom(...operators), fc.nat(), fc.nat());
  const program = fc.record({
    start: fc.tuple(constant, constant),
    constants: fc.tuple(constant, constant, constant),
    lines: fc.array(line, { minLength: 2, maxLength: 7 }),
    turns: fc.bigInt({ min: 0n, max: 40n }),
    given: fc.oneof(constant, fc.bigInt({ min: -50n, max: 50n })),
  });
  fc.assert(
    fc.property(program, ({ start, constants, lines, turns, given }) => {
      const known = [...names];
      const body = lines.map(([operator, left, right], at) => {
        const name = at === lines.length - 2 ? '%x' : at === lines.length - 1 ? '%y' : `%t${at}`;
        const text = `${name} : int = aten::${operator}(${known[left % known.length]}, ${known[right % known.length]})`;
        known.push(name);
        return text;
      });
      const [generated, interpreted] = outcomes(loop(body, start, constants), [turns, given]);
      expect(generated).toBe(interpreted);
    }),
    { numRuns: 600 },
  );
});

describe('intervals', () => {
  const fibonacci = loop(
    ['%s : int = aten::add(%a, %b)', '%y : int = aten::remainder(%s, %k0)', '%x : int = aten::add(%b, %k1)'],
    [0n, 1n],
    [1000007n, 0n],
  );
  const range = (text: string, name: string) => {
    const found = [...integerRanges(parseGraph(text))].find(([value]) => value.name === name);
    return found?.[1];
  };

  test('of a sum under a modulus end where they hold', () => {
    expect(range(fibonacci, 's')).toEqual({ low: 0, high: 2_000_012 });
    expect(range(fibonacci, 'y')).toEqual({ low: 0, high: 1_000_006 });
    expect(generateJavaScript(parseGraph(fibonacci)).text).not.toMatch(/R\.(add|modulo)|%/);
    const [generated, interpreted] = outcomes(fibonacci, [1000n, 0n]);
    expect(generated).toBe(interpreted);
  });

  test('of what grows without bound are not known', () => {
    const text = loop(['%x : int = aten::add(%a, %b)', '%y : int = aten::add(%b, %k0)'], [0n, 1n], [1n]);
    expect(range(text, 'x')).toBeUndefined();
    const [generated, interpreted] = outcomes(text, [100n, 0n]);
    expect(generated).toBe(interpreted);
  });

  test('of products that leave the exact range are not known', () => {
    const text = loop(
      [
        '%m : int = aten::remainder(%a, %k0)',
        '%x : int = aten::mul(%m, %k0)',
        '%y : int = aten::mul(%x, %m)',
      ],
      [7n, 1n],
      [2n ** 31n],
    );
    expect(range(text, 'm')).toEqual({ low: 0, high: 2 ** 31 - 1 });
    expect(range(text, 'y')).toBeUndefined();
  });
});
