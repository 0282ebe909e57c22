// Generated JavaScript does what the interpreter does: integers to the last bit, control flow, containers, errors with their
// stack.
import { describe, expect, test } from '@jest/globals';
import type { IValue, ScriptFunction } from '@weft/ir';
import { parseGraph, printGraph } from '@weft/ir';
import { wrap } from '@weft/ops';
import fc from 'fast-check';
import { Frame, codeOf } from '../runtime/index.ts';
import { contextOf } from '../runtime/frame.ts';
import { script } from '../script.ts';
import { GeneratedFailure, generate, generateJavaScript } from './index.ts';
import * as integers from './integers.ts';

const context = () => contextOf({ print: () => undefined });
const both = (compiled: ScriptFunction, ...inputs: IValue[]): [unknown, unknown] => {
  const outcome = (run: () => IValue): unknown => {
    try {
      return run();
    } catch (error) {
      const inner = error instanceof GeneratedFailure ? error.error : error;
      return `error: ${(inner as Error & { reason?: string }).reason ?? (inner as Error).message}`;
    }
  };
  return [
    outcome(() => generate(compiled.graph)(context(), ...inputs)),
    outcome(() => new Frame(codeOf(compiled.graph, 'f'), context()).run(inputs)[0]),
  ];
};

describe('integers', () => {
  const integer = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -100n, max: 100n }),
    fc.constantFrom(2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), -(2n ** 63n), 2n ** 63n - 1n, 0n),
  );
  const exact = {
    addIntegers: (a: bigint, b: bigint) => a + b,
    subtractIntegers: (a: bigint, b: bigint) => a - b,
    multiplyIntegers: (a: bigint, b: bigint) => a * b,
  };
  test.each(Object.entries(exact))('%s wraps at 64 bits', (name, compute) => {
    const run = integers[name as keyof typeof exact];
    fc.assert(
      fc.property(integer, integer, (a, b) => {
        const result = run(integers.narrow(a), integers.narrow(b));
        expect(integers.widen(result)).toBe(wrap(compute(a, b)));
        expect(Object.is(result, -0)).toBe(false);
        expect(typeof result === 'bigint' && integers.narrow(result) !== result).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
  test('floor division and modulo have the sign of the divisor', () => {
    fc.assert(
      fc.property(integer, integer, (a, b) => {
        fc.pre(b !== 0n && !(b === -1n && a === -(2n ** 63n)));
        const floor = ((a % b) + b) % b;
        // PyTorch adds in 64 bits, so that its remainder is off where that sum wraps; the quotient never is.
        const rest = wrap((a % b) + b) % b;
        const [x, y] = [integers.narrow(a), integers.narrow(b)];
        expect(integers.widen(integers.moduloIntegers(x, y))).toBe(rest);
        expect(integers.widen(integers.divideIntegers(x, y))).toBe((a - floor) / b);
      }),
      { numRuns: 500 },
    );
  });
});

describe('generated functions', () => {
  const graph = (text: string): ScriptFunction => ({ graph: parseGraph(text) }) as unknown as ScriptFunction;
  const collatz = graph(`
graph(%n : int):
  %0 : int = prim::Constant[value=0]()
  %1 : int = prim::Constant[value=1]()
  %2 : int = prim::Constant[value=2]()
  %3 : int = prim::Constant[value=3]()
  %max : int = prim::Constant[value=9223372036854775807]()
  %go : bool = aten::ne(%n, %1)
  %count : int, %last : int = prim::Loop(%max, %go, %0, %n)
    block0(%i : int, %c : int, %m : int):
      %half : int = aten::remainder(%m, %2)
      %even : bool = aten::eq(%half, %0)
      %next : int = prim::If(%even)
        block0():
          %a : int = aten::floordiv(%m, %2)
          -> (%a)
        block1():
          %b : int = aten::mul(%m, %3)
          %d : int = aten::add(%b, %1)
          -> (%d)
      %c1 : int = aten::add(%c, %1)
      %more : bool = aten::ne(%next, %1)
      -> (%more, %c1, %next)
  return (%count)`);

  test.each([1n, 7n, 27n, 2n ** 53n + 1n])('loops and branches: %s', (n) => {
    const [generated, interpreted] = both(collatz, n);
    expect(generated).toBe(interpreted);
    expect(typeof generated).toBe('bigint');
  });

  test('loops carry values that change places', () => {
    function swap(n: number): number {
      let [a, b] = [0, 1];
      for (let i = 0; i < n; i++) [a, b] = [b, a + b];
      return a;
    }
    const [generated, interpreted] = both(script(swap).compiled, 30);
    expect(generated).toBe(interpreted);
    expect(generated).toBe(swap(30));
  });

  test.each([
    ['aten::__getitem__(%l, %n)', 'int', [[1n, 2n, 3n], -4n]],
    ['aten::__getitem__(%l, %n)', 'int', [[1n, 2n, 3n], -1n]],
    ['aten::__getitem__(%l, %n)', 'int', [[1n, 2n, 3n], 3n]],
    ['aten::remainder(%n, %n)', 'int', [[], 0n]],
    ['aten::floordiv(%n, %n)', 'int', [[], 0n]],
    ['aten::len(%l)', 'int', [[5n, 6n], 0n]],
  ] as const)('%s on %j', (call, type, [list, n]) => {
    const compiled = graph(`graph(%l : int[], %n : int):\n  %r : ${type} = ${call}\n  return (%r)`);
    const [generated, interpreted] = both(compiled, [...list], n);
    expect(generated).toEqual(interpreted);
  });

  test('errors carry the node that failed', () => {
    const compiled = graph(
      'graph(%l : int[], %n : int):\n  %r : int = aten::__getitem__(%l, %n)\n  return (%r)',
    );
    expect(() => generate(compiled.graph)(context(), [], 0n)).toThrow(
      expect.objectContaining({
        node: expect.objectContaining({ kind: 'aten::__getitem__' }) as unknown,
      }) as unknown as Error,
    );
  });

  test('only minted names and literals are in the text', () => {
    const text = '`"); process.exit(1); //\u2028';
    const compiled = graph(
      `graph():\n  %r : str = prim::Constant[value=${JSON.stringify(text)}]()\n  return (%r)`,
    );
    expect(generate(compiled.graph)(context())).toBe(text);
    expect(generateJavaScript(collatz.graph).text).toMatch(/^[\w\s"',;:.(){}[\]=<>!&|+*?-]*$/);
  });

  const wordCount = graph(`
graph(%text : str):
  %true : bool = prim::Constant[value=1]()
  %most : int = prim::Constant[value=-1]()
  %space : str = prim::Constant[value=" "]()
  %one : int = prim::Constant[value=1]()
  %counts : Dict(str, int) = prim::DictConstruct()
  %words : str[] = aten::split(%text, %space, %most)
  %n : int = aten::len(%words)
   = prim::Loop(%n, %true)
    block0(%i : int):
      %word : str = aten::__getitem__(%words, %i)
      %key : str = aten::lower(%word)
      %is : bool = aten::__contains__(%counts, %key)
       = prim::If(%is)
        block0():
          %c : int = aten::__getitem__(%counts, %key)
          %d : int = aten::add(%c, %one)
           = aten::_set_item(%counts, %key, %d)
          -> ()
        block1():
           = aten::_set_item(%counts, %key, %one)
          -> ()
      -> (%true)
  return (%counts)`);

  test.each(['a b A  a', '', ' ', 'Ärger ärger É', 'x\udcc3 \udca9y x\udcc3', 'é\udcc3 \udcc3\udca9'])(
    'words are counted: %j',
    (text) => {
      const [generated, interpreted] = both(wordCount, text);
      expect(generated).toEqual(interpreted);
      expect([...(generated as Map<string, bigint>).keys()]).toEqual([
        ...(interpreted as Map<string, bigint>).keys(),
      ]);
      // Neither a list of the words nor a second look-up.
      expect(generateJavaScript(wordCount.graph).text.match(/\.get\(|\.has\(/g)).toHaveLength(1);
    },
  );

  const words = (count: number, letters: string): string =>
    Array.from({ length: count }, (_, at) => letters + (at % 2 === 0 ? 'w' : 'W') + String(at % 300)).join(
      ' ',
    );
  /** The way of `wordCount` with keys in another case, or told apart further on. */
  const variants = {
    lower: wordCount,
    upper: graph(printGraph(wordCount.graph).replace('aten::lower', 'aten::upper')),
    'as they are': graph(printGraph(wordCount.graph).replace('%key : str = aten::lower(%word)', '%key : str = aten::add(%word, %none)').replace(/%key(?=[,)])/g, '%word').replace('%one : int', '%none : str = prim::Constant[value=""]()\n  %one : int')), // prettier-ignore
    'two ways': graph(printGraph(wordCount.graph).replace('-> (%true)', ' = aten::_set_item(%counts, %word, %one)\n      -> (%true)')), // prettier-ignore
  };
  test.each(
    Object.entries(variants).flatMap(([name, compiled]) =>
      [
        words(1000, 'a'),
        words(500, ''),
        words(400, 'É'),
        'ſ S s ß',
        `${words(3, 'x')}  ${words(3, 'x')} `,
      ].map((text) => [name, text.slice(0, 20), compiled, text] as const),
    ),
  )('keys %s of words %j', (_name, _start, compiled, text) => {
    const [generated, interpreted] = both(compiled, text) as Map<string, bigint>[];
    expect([...generated]).toEqual([...interpreted]);
    expect(generateJavaScript(compiled.graph).text).toContain('R.textKeys(');
  });

  test.each([0n, 1n, 5n, 2n ** 60n])('entries of a dict of integers, key %s', (key) => {
    const compiled = graph(`
graph(%key : int):
  %a : int = prim::Constant[value=1]()
  %big : int = prim::Constant[value=1152921504606846976]()
  %d : Dict(int, int) = prim::DictConstruct(%a, %big)
  %has : bool = aten::__contains__(%d, %key)
   = aten::_set_item(%d, %a, %key)
  %x : int = aten::__getitem__(%d, %a)
  %still : bool = aten::__contains__(%d, %key)
   = prim::If(%has)
    block0():
       = aten::_set_item(%d, %big, %x)
      -> ()
    block1():
       = aten::_set_item(%d, %key, %a)
      -> ()
  %y : int = aten::__getitem__(%d, %big)
   = aten::_set_item(%d, %y, %x)
  %n : int = aten::len(%d)
   = aten::_set_item(%d, %n, %n)
  return (%d)`);
    const [generated, interpreted] = both(compiled, key);
    expect(generated).toEqual(interpreted);
  });
});
