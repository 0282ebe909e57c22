import { afterEach, describe, expect, test } from '@jest/globals';
import {
  InternalError,
  OperatorError,
  ScriptFunction,
  createClassType,
  parseGraph,
  parseSchema,
  printGraph,
  verifyGraph,
} from '@weft/ir';
import { SourceRange } from '@weft/ir';
import {
  inlineCalls,
  optimize,
  passesOf,
  registerPass,
  registerRewrite,
  runPass,
  switchOffPasses,
  unregisterPass,
} from './index.ts';
import type { PassEvent } from './index.ts';

const text = `graph(%x : int):
  %0 : int = prim::Constant[value=0]()
  %a : int = aten::add(%x, %0)
  return (%a)
`;

describe('the pipeline', () => {
  test('runs until nothing changes, and says what ran', () => {
    const graph = parseGraph(text);
    const events: PassEvent[] = [];
    expect(optimize(graph, 'torch', { verify: true, observe: (event) => events.push(event) })).toBe(true);
    expect(printGraph(graph)).toBe('graph(%x : int):\n  return (%x)\n');
    expect(events.filter((event) => event.round === 1).every((event) => !event.changed)).toBe(true);
    expect(optimize(graph, 'torch')).toBe(false);
  });
  test('leaves out what is switched off', () => {
    const graph = parseGraph(text);
    optimize(graph, 'torch', { disable: ['peephole'] });
    expect(printGraph(graph)).toBe(text);
    expect(() => optimize(graph, 'torch', { disable: ['no-such'] })).toThrow(
      /no pass 'no-such'; the torch passes are inline,.*the core passes core-simplify/,
    );
  });
  test('leaves out what is switched off for the process', () => {
    const graph = parseGraph(text);
    expect(switchOffPasses(['peephole', 'core-sums'])).toEqual([]);
    try {
      optimize(graph, 'torch');
      expect(printGraph(graph)).toBe(text);
      expect(() => switchOffPasses(['no-such'])).toThrow(OperatorError);
    } finally {
      expect(switchOffPasses([])).toEqual(['peephole', 'core-sums']);
    }
    optimize(graph, 'torch');
    expect(printGraph(graph)).not.toBe(text);
  });
});

describe('passes of users', () => {
  afterEach(() => {
    unregisterPass('mine');
  });
  test('stand where they ask to, once', () => {
    registerPass({ name: 'mine', level: 'torch', summary: '', run: () => false }, { before: 'dead-code' });
    const names = passesOf('torch').map((pass) => pass.name);
    expect(names[names.indexOf('mine') + 1]).toBe('dead-code');
    expect(() => registerPass({ name: 'mine', level: 'core', summary: '', run: () => false })).toThrow(
      OperatorError,
    );
    expect(unregisterPass('mine')).toBe(true);
    expect(() =>
      registerPass({ name: 'mine', level: 'core', summary: '', run: () => false }, { after: 'dead-code' }),
    ).toThrow(/beside 'dead-code', but the core passes are core-simplify/);
  });
  test('that break the graph are named', () => {
    const broken = {
      name: 'breaking',
      level: 'torch' as const,
      summary: '',
      run: (graph: ReturnType<typeof parseGraph>) => {
        graph.insert('aten::relu', [graph.inputs[0]]);
        return true;
      },
    };
    const graph = parseGraph('graph(%x : int):\n  return (%x)');
    expect(() => runPass(broken, graph, { verify: true })).toThrow(InternalError);
    expect(() => runPass(broken, graph, { verify: true })).toThrow(
      /not valid after pass 'breaking'.*no overload takes \(int\)/s,
    );
    const throwing = {
      ...broken,
      name: 'throwing',
      run: () => Object.keys(null as unknown as object).length > 0,
    };
    expect(() => runPass(throwing, graph)).toThrow(/pass 'throwing' failed/);
  });
  test('rewrite rules refuse texts that cannot work', () => {
    const rule = (pattern: string, replacement: string) => () =>
      registerRewrite({ name: 'mine', level: 'torch', summary: '', pattern, replacement });
    expect(rule('graph(%x):\n return (%x)', 'graph(%x):\n return (%x)')).toThrow(/has no nodes/);
    const pattern = 'graph(%x):\n %y = aten::relu(%x)\n return (%y)';
    expect(rule(pattern, 'graph(%z):\n return (%z)')).toThrow(/%z is none of the pattern/);
    expect(rule(pattern, 'graph(%x):\n return (%x, %x)')).toThrow(/1 outputs, the replacement 2/);
    expect(rule(pattern, 'graph(%x):\n return (%y)')).toThrow(/%y is not defined/);
  });
});

describe('inlining', () => {
  const source = (line: number) => new SourceRange('model.ts', 'x'.repeat(9), 0, 1, line);
  const define = (name: string, schema: string, body: string, types = {}) =>
    new ScriptFunction(name, parseSchema(schema), () => {
      const graph = parseGraph(body, types);
      for (const node of graph.nodes()) node.source = source(10);
      return graph;
    });

  test('expands calls of calls, in blocks too, with the chain of callers', () => {
    const Cell = createClassType('__torch__.Cell', true);
    const named = { named: (name: string) => (name === Cell.name ? Cell : undefined) };
    Cell.methods.set(
      'inner',
      define(
        'inner',
        'inner(Any self, Tensor x) -> Tensor',
        `graph(%self : __torch__.Cell, %x : Tensor):
        %y : Tensor = aten::relu(%x)
        return (%y)`,
        named,
      ),
    );
    Cell.methods.set(
      'forward',
      define(
        'forward',
        'forward(Any self, Tensor x) -> Tensor',
        `graph(%self : __torch__.Cell, %x : Tensor):
        %y : Tensor = prim::CallMethod[name="inner"](%self, %x)
        %z : Tensor = prim::CallMethod[name="inner"](%self, %y)
        return (%z)`,
        named,
      ),
    );
    const graph = parseGraph(
      `graph(%m : __torch__.Cell, %x : Tensor, %c : bool):
      %r : Tensor = prim::If(%c)
        block0():
          %a : Tensor = prim::CallMethod[name="forward"](%m, %x)
          -> (%a)
        block1():
          -> (%x)
      return (%r)`,
      named,
    );
    const call = [...[...graph.nodes()][0].blocks[0].nodes()][0];
    call.source = source(20);
    expect(inlineCalls(graph)).toBe(true);
    verifyGraph(graph);
    const kinds = [...[...graph.nodes()][0].blocks[0].nodes()];
    expect(kinds.map((node) => node.kind)).toEqual(['aten::relu', 'aten::relu']);
    expect(kinds[1].source?.highlight().match(/model.ts:\d+/g)).toEqual([
      'model.ts:10',
      'model.ts:10',
      'model.ts:20',
    ]);
    expect(kinds[1].inputs[0]).toBe(kinds[0].output);
    expect(inlineCalls(graph)).toBe(false);
  });

  test('leaves a recursive call', () => {
    const Cell = createClassType('__torch__.Cell', true);
    const named = { named: () => Cell };
    Cell.methods.set(
      'forward',
      define(
        'forward',
        'forward(Any self, int n) -> int',
        `graph(%self : __torch__.Cell, %n : int):
        %r : int = prim::CallMethod[name="forward"](%self, %n)
        return (%r)`,
        named,
      ),
    );
    const graph = parseGraph(
      `graph(%m : __torch__.Cell, %n : int):
      %r : int = prim::CallMethod[name="forward"](%m, %n)
      return (%r)`,
      named,
    );
    inlineCalls(graph);
    verifyGraph(graph);
    expect([...graph.nodes()].map((node) => node.kind)).toEqual(['prim::CallMethod']);
  });
});
