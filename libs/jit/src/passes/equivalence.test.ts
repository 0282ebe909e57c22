// Optimised graphs give what the graphs gave: random programs with views, writes in place, lists, branches and loops are run
// before and after the pipeline, and after any part of it. Results and inputs (which programs write to) must be equal, also when the caller writes to one
// result and looks at the others.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Graph, IValue } from '@weft/ir';
import { parseGraph, printGraph, verifyGraph } from '@weft/ir';
import { tensor } from '@weft/tensor';
import type { Tensor } from '@weft/tensor';
import { Code, Frame } from '../runtime/index.ts';
import { optimize, passesOf } from './index.ts';

/** A step of a program; numbers choose among what is defined so far. */
interface Step {
  readonly what:
    | 'unary'
    | 'binary'
    | 'view'
    | 'inPlace'
    | 'addInPlace'
    | 'constant'
    | 'list'
    | 'append'
    | 'item'
    | 'if'
    | 'loop'
    | 'number'
    | 'dead';
  readonly picks: readonly number[];
  readonly body: readonly Step[];
}

const step = fc.letrec<{ step: Step }>((tie) => ({
  step: fc.record({
    what: fc.constantFrom<Step['what']>(
      'unary',
      'unary',
      'binary',
      'view',
      'view',
      'inPlace',
      'addInPlace',
      'constant',
      'list',
      'append',
      'item',
      'if',
      'loop',
      'number',
      'dead',
    ),
    picks: fc.array(fc.nat(97), { minLength: 3, maxLength: 3 }),
    body: fc.oneof({ maxDepth: 1 }, fc.constant<Step[]>([]), fc.array(tie('step'), { maxLength: 4 })),
  }),
})).step;

const unary = ['relu', 'neg', 'abs', 'square'];
const views = ['t', 'detach', 'alias'];
const writes = ['neg_', 'abs_', 'zero_'];

class Writer {
  readonly lines: string[] = [];
  private count = 0;
  tensors = ['x', 'y'];
  lists: string[] = [];
  numbers = ['n', 'zero', 'one', 'two'];

  name(): string {
    return `v${this.count++}`;
  }

  write(steps: readonly Step[], indent: string, depth: number): void {
    for (const { what, picks, body } of steps) {
      const [a, b, c] = picks;
      const pick = (from: readonly string[], index: number): string => from[index % from.length];
      const emit = (text: string): void => void this.lines.push(indent + text);
      const fresh = this.name();
      switch (what) {
        case 'unary':
        case 'dead':
          emit(`%${fresh} : Tensor = aten::${pick(unary, b)}(%${pick(this.tensors, a)})`);
          if (what === 'unary') this.tensors.push(fresh);
          break;
        case 'binary':
          emit(`%${fresh} : Tensor = aten::mul(%${pick(this.tensors, a)}, %${pick(this.tensors, b)})`);
          this.tensors.push(fresh);
          break;
        case 'view':
          emit(`%${fresh} : Tensor = aten::${pick(views, b)}(%${pick(this.tensors, a)})`);
          this.tensors.push(fresh);
          break;
        case 'inPlace':
          emit(`%${fresh} : Tensor = aten::${pick(writes, b)}(%${pick(this.tensors, a)})`);
          this.tensors.push(fresh);
          break;
        case 'addInPlace':
          emit(`%${fresh} : Tensor = aten::add_(%${pick(this.tensors, a)}, %${pick(this.tensors, b)}, %one)`);
          this.tensors.push(fresh);
          break;
        case 'constant':
          emit(
            `%${fresh} : Tensor = prim::Constant[value=tensor<float32, [2, 2], 0x${'0000803f'.repeat(4)}>]()`,
          );
          // A constant is shared by all runs, so programs do not write to it: what is computed from it they may.
          emit(`%${fresh}c : Tensor = aten::${pick(unary, b)}(%${fresh})`);
          this.tensors.push(`${fresh}c`);
          break;
        case 'list':
          emit(
            `%${fresh} : Tensor[] = prim::ListConstruct(%${pick(this.tensors, a)}, %${pick(this.tensors, b)})`,
          );
          this.lists.push(fresh);
          break;
        case 'append':
          if (this.lists.length === 0) break;
          emit(`%${fresh} : Tensor[] = aten::append(%${pick(this.lists, a)}, %${pick(this.tensors, b)})`);
          break;
        case 'item':
          if (this.lists.length === 0) break;
          emit(
            `%${fresh} : Tensor = aten::__getitem__(%${pick(this.lists, a)}, %${pick(['zero', 'one'], b)})`,
          );
          this.tensors.push(fresh);
          break;
        case 'number':
          emit(
            `%${fresh} : int = aten::${pick(['add', 'mul', 'sub'], c)}(%${pick(this.numbers, a)}, %${pick(this.numbers, b)})`,
          );
          this.numbers.push(fresh);
          break;
        case 'if':
          if (depth > 1) break;
          emit(`%${fresh}c : bool = aten::gt(%${pick(this.numbers, a)}, %${pick(this.numbers, b)})`);
          emit(`%${fresh} : Tensor = prim::If(%${fresh}c)`);
          this.block(body, `${indent}  `, depth, 'block0()', c, '');
          this.block([...body].reverse(), `${indent}  `, depth, 'block1()', c + 1, '');
          this.tensors.push(fresh);
          break;
        case 'loop':
          if (depth > 1) break;
          emit(
            `%${fresh} : Tensor = prim::Loop(%${pick(['two', 'n'], b)}, %true, %${pick(this.tensors, a)})`,
          );
          this.tensors.push(`${fresh}p`);
          this.block(
            body,
            `${indent}  `,
            depth,
            `block0(%${fresh}i : int, %${fresh}p : Tensor)`,
            c,
            '%true, ',
          );
          this.tensors.splice(this.tensors.indexOf(`${fresh}p`), 1);
          this.tensors.push(fresh);
          break;
        default:
          what satisfies never;
      }
    }
  }

  private block(
    body: readonly Step[],
    indent: string,
    depth: number,
    head: string,
    result: number,
    before: string,
  ): void {
    const saved = [this.tensors, this.lists, this.numbers] as const;
    [this.tensors, this.lists, this.numbers] = [[...saved[0]], [...saved[1]], [...saved[2]]];
    this.lines.push(`${indent}${head}:`);
    this.write(body, `${indent}  `, depth + 1);
    this.lines.push(`${indent}  -> (${before}%${this.tensors[result % this.tensors.length]})`);
    [this.tensors, this.lists, this.numbers] = saved;
  }
}

function program(steps: readonly Step[], results: readonly number[]): Graph {
  const writer = new Writer();
  writer.write(steps, '  ', 0);
  const { tensors, numbers } = writer;
  const outputs = results.map((index) =>
    index % 5 === 0 ? numbers[index % numbers.length] : tensors[index % tensors.length],
  );
  return parseGraph(`graph(%x : Tensor, %y : Tensor, %n : int):
  %true : bool = prim::Constant[value=1]()
  %zero : int = prim::Constant[value=0]()
  %one : int = prim::Constant[value=1]()
  %two : int = prim::Constant[value=2]()
${writer.lines.join('\n')}
  return (${outputs.map((name) => `%${name}`).join(', ')})
`);
}

/** Results and inputs after a run, and what they are after the caller has negated the first result in place. */
function observe(graph: Graph): unknown[] {
  const code = Code.compile(graph);
  const seen: unknown[] = [];
  // The second run shows whether the first left a trace.
  for (let run = 0; run < 2; run++) {
    const x = tensor([
      [1.5, -2],
      [3, -4],
    ]);
    const y = tensor([
      [0.5, 1],
      [-1, 2],
    ]);
    const results = new Frame(code).run([x, y, 3n]);
    const show = (): unknown[] =>
      [x, y, ...results].map((value: IValue) => (isTensor(value) ? value.tolist() : String(value)));
    seen.push(show());
    results.find(isTensor)?.neg_();
    seen.push(show());
  }
  return seen;
}

const isTensor = (value: IValue): value is Tensor & IValue =>
  typeof value === 'object' && value !== null && 'isTensor' in value;

const names = passesOf('torch').map(({ name }) => name);
test.each([
  ['optimised programs do what they did', 300, fc.constant<string[]>([])],
  ['whatever passes are left out', 200, fc.subarray(names)],
])('%s', (_, numRuns, left) => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 12 }),
      fc.array(fc.nat(97), { minLength: 1, maxLength: 4 }),
      left,
      (steps, results, disable) => {
        const graph = program(steps, results);
        verifyGraph(graph);
        const expected = observe(graph);
        const optimised = graph.clone();
        optimize(optimised, 'torch', { verify: true, disable });
        expect({ text: printGraph(graph), seen: observe(optimised) }).toEqual({
          text: printGraph(graph),
          seen: expected,
        });
      },
    ),
    { numRuns },
  );
});
