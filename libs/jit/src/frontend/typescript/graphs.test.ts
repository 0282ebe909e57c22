// Graphs of scripted and traced TypeScript have the structure that PyTorch gives the same programs written in Python. Python's
// graphs are read from the reference corpus.
import { describe, expect, test } from '@jest/globals';
import { parseGraph, printGraph } from '@weft/ir';
import type { int, Tensor } from '@weft/tensor';
import { manualSeed, nn, rand, relu, zeros } from '@weft/tensor';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { StructureOptions } from '../../structure.ts';
import { structureOf } from '../../structure.ts';
import { script } from '../../script.ts';
import { trace } from '../trace/trace.ts';

const corpus = resolve(__dirname, '../../../../../../shared/torchscript/cases');
declare const __dirname: string;

const reference = (name: string, file = 'graph.txt'): ReturnType<typeof parseGraph> =>
  parseGraph(readFileSync(resolve(corpus, name, file), 'utf8'));

type AnyFunction = (...given: never[]) => unknown;
const structureOfReference = (name: string, file?: string, options?: StructureOptions): string =>
  structureOf(reference(name, file), options);

// ---- Functions of the group `control`, as one writes them in TypeScript ---------------------------------------------

function early_return_in_loops(grid: int[][], target: int): [int, int] {
  for (let i = 0; i < grid.length; i++) {
    const row = grid[i];
    for (let j = 0; j < row.length; j++) {
      if (row[j] === target) return [i, j];
      else if (row[j] < 0) return [-1, j];
    }
  }
  return [-1, -1];
}
function for_list(xs: number[], names: string[]): [number, string] {
  let total = 0.0;
  for (const x of xs) total += x;
  let joined = '';
  for (const name of names) joined = joined + name + ';';
  return [total, joined];
}
function while_compound_condition(xs: int[], target: int): int {
  let i = 0;
  while (i < xs.length && xs[i] !== target) i += 1;
  return i < xs.length ? i : -1;
}
function ternary_chain(x: number): string {
  return x < 0.0 ? 'neg' : x === 0.0 ? 'zero' : 'pos';
}
function if_elif_else(x: int): string {
  if (x < 0) return 'negative';
  else if (x === 0) return 'zero';
  else if (x < 10) return 'small';
  else return 'large';
}
function while_true_break(limit: int): int {
  let total = 0;
  let i = 0;
  while (true) {
    i += 1;
    total += i;
    if (total > limit) break;
  }
  return i;
}
function loop_carried_types(n: int): [int[], number | null] {
  let a = 0;
  let b = 1;
  const history: int[] = [];
  let ratio: number | null = null;
  for (let i = 0; i < n; i++) {
    [a, b] = [b, a + b];
    history.push(a);
    if (i > 0) ratio = b / a;
  }
  return [history, ratio];
}
const square = (x: Tensor): Tensor => x.mul(x);
const add_squares = (x: Tensor, y: Tensor): Tensor => square(x).add(square(y));
function function_calls(x: Tensor, y: Tensor): Tensor {
  return add_squares(x, y).sub(square(x.sub(y)));
}

describe('control flow', () => {
  test.each([
    early_return_in_loops,
    for_list,
    while_compound_condition,
    ternary_chain,
    if_elif_else,
    while_true_break,
    function_calls,
  ] as AnyFunction[])('%p', (fn) => {
    const graph = structureOf(script(fn).graph);
    expect(graph).toBe(structureOfReference(`control/${fn.name}`));
  });

  test('names of values are those of the variables, numbered as PyTorch numbers them', () => {
    const text = printGraph(script(loop_carried_types).graph);
    expect(text).toMatch(/^graph\(%n\.1 : int\):/);
    expect(text).toMatch(/%history\.1 : int\[\] = prim::ListConstruct\(\)/);
    expect(text).toMatch(/block0\(%i\.1 : int/);
  });
});

// ---- The demonstration: a gate in a cell in a loop -------------------------------------------------------------------

class Gate extends nn.Module {
  forward(x: Tensor): Tensor {
    if (x.sum().item() > 0) return x;
    else return x.neg();
  }
}
class Cell extends nn.Module {
  readonly dg: Gate;
  readonly linear: nn.Linear;
  constructor(dg: Gate = new Gate()) {
    super();
    this.dg = dg;
    this.linear = new nn.Linear(4, 4);
  }
  forward(x: Tensor, h: Tensor): [Tensor, Tensor] {
    const new_h = this.dg.forward(this.linear.forward(x)).add(h).tanh();
    return [new_h, new_h];
  }
}
class Loop extends nn.Module {
  readonly cell: Cell;
  constructor(cell: Cell) {
    super();
    this.cell = cell;
  }
  forward(xs: Tensor): [Tensor, Tensor] {
    let h = zeros([3, 4]);
    let y = zeros([3, 4]);
    for (let i = 0; i < xs.size(0); i++) [y, h] = this.cell.forward(xs.select(0, i), h);
    return [y, h];
  }
}
class Wrapper extends nn.Module {
  readonly loop: Loop;
  constructor(loop: Loop) {
    super();
    this.loop = loop;
  }
  forward(xs: Tensor): Tensor {
    const [y] = this.loop.forward(xs);
    return relu(y);
  }
}
class PlainCell extends nn.Module {
  readonly linear = new nn.Linear(4, 4);
  forward(x: Tensor, h: Tensor): [Tensor, Tensor] {
    const new_h = this.linear.forward(x).add(h).tanh();
    return [new_h, new_h];
  }
}
const silent = { onWarning: () => {} };
const sameClasses = (text: string): string => text.replace(/\b(?:Main|Cell|PlainCell)\b/g, 'Main');

describe('the demonstration', () => {
  const x = (): Tensor => rand([3, 4]);

  test('the scripted gate keeps its branch', () => {
    const { graph, code } = script(new Gate());
    expect([...graph.nodes()].map((node) => node.kind)).toContain('prim::If');
    expect(code).toMatch(/if .*:\n\s+_\d = x\n\s+else:\n\s+_\d = torch\.neg\(x\)/);
  });

  test('the scripted cell', () => {
    const { graph, code } = script(new Cell());
    expect(sameClasses(structureOf(graph))).toBe(sameClasses(structureOfReference('demo/cell_scripted')));
    expect(code).toBe(
      [
        'def forward(self: __torch__.Cell,',
        '    x: Tensor,',
        '    h: Tensor) -> Tuple[Tensor, Tensor]:',
        '  dg = self.dg',
        '  linear = self.linear',
        '  _0 = torch.add((dg).forward((linear).forward(x, ), ), h)',
        '  new_h = torch.tanh(_0)',
        '  return (new_h, new_h)',
        '',
      ].join('\n'),
    );
  });

  test('a scripted loop over a cell', () => {
    const { graph } = script(new Loop(new Cell()));
    expect(sameClasses(structureOf(graph))).toBe(
      sameClasses(structureOfReference('demo/scripted_loop_over_traced_cell')),
    );
  });

  test('a scripted loop over a traced cell calls it', () => {
    manualSeed(0);
    const cell = trace(new Cell(script(new Gate())), [x(), x()]) as unknown as Cell;
    const loop = script(new Loop(cell));
    expect(sameClasses(structureOf(loop.graph))).toBe(
      sameClasses(structureOfReference('demo/scripted_loop_over_traced_cell')),
    );
    const xs = rand([10, 3, 4]);
    const [eager] = new Loop(cell).forward(xs);
    expect((loop.forward(xs) as Tensor[])[0].tolist()).toEqual(eager.tolist());
  });

  test('a traced cell without a gate', () => {
    const { graph } = trace(new PlainCell(), [x(), x()]);
    expect(sameClasses(structureOf(graph))).toBe(
      sameClasses(structureOfReference('demo/cell_without_gate_traced')),
    );
  });

  test('a traced cell freezes its gate, and says so with the line', () => {
    const gate = new Gate();
    const positive = trace(gate, rand([2]), silent);
    expect(structureOf(positive.graph).split('\n')).toHaveLength(2);
    const negative = trace(gate, rand([2]).neg(), silent);
    expect([...negative.graph.nodes()].map((node) => node.kind)).toEqual(['aten::neg']);
    const { warnings } = trace(new Cell(), [x(), x()], silent);
    expect(warnings[0].reason).toMatch(/a number was read from a tensor \(item\)/);
    expect(warnings[0].source?.file).toMatch(/graphs\.test\.ts$/);
    expect(warnings[0].message).toContain('if (x.sum().item() > 0) return x;');
  });

  test('a scripted gate in a traced cell keeps its branch', () => {
    const { graph, inlinedGraph, warnings } = trace(new Cell(script(new Gate())), [x(), x()], silent);
    expect(warnings).toEqual([]);
    expect(sameClasses(structureOf(graph))).toBe(
      sameClasses(structureOfReference('demo/cell_traced_with_scripted_gate')),
    );
    expect([...inlinedGraph.nodes()].map((node) => node.kind)).toContain('prim::If');
  });

  test('a traced wrapper around a scripted loop', () => {
    const { graph } = trace(new Wrapper(script(new Loop(new Cell()))), rand([10, 3, 4]), silent);
    expect(sameClasses(structureOf(graph))).toBe(
      sameClasses(structureOfReference('demo/traced_wrapper_around_scripted_loop')),
    );
  });
});
