import { describe, expect, test } from '@jest/globals';
import { parseGraph } from '../text/parser.ts';
import { AliasAnalysis } from './alias.ts';
import type { Block, Node, Value } from './graph.ts';

/** The analysis of a graph, its values by name, and its nodes by the name of their first output or by kind. */
function analyse(text: string): {
  alias: AliasAnalysis;
  value: (name: string) => Value;
  node: (name: string) => Node;
} {
  const graph = parseGraph(text);
  const values = new Map<string, Value>();
  const nodes = new Map<string, Node>();
  const walk = (block: Block): void => {
    for (const input of block.inputs) values.set(input.name, input);
    for (const node of block.nodes()) {
      nodes.set(node.outputs[0]?.name ?? node.kind, node);
      for (const output of node.outputs) values.set(output.name, output);
      node.blocks.forEach(walk);
    }
  };
  walk(graph.block);
  return {
    alias: new AliasAnalysis(graph),
    value: (name) => values.get(name)!,
    node: (name) => nodes.get(name)!,
  };
}

describe('points-to sets', () => {
  const { alias, value } = analyse(`graph(%x : Tensor, %y : Tensor, %n : int):
    %one : int = prim::Constant[value=1]()
    %a : Tensor = aten::add(%x, %y, %one)
    %b : Tensor = aten::mul(%x, %y)
    %v : Tensor = aten::t(%a)
    %w : Tensor = aten::relu_(%v)
    return (%w)`);
  test.each([
    ['x', 'y', true],
    ['x', 'a', false],
    ['a', 'b', false],
    ['a', 'v', true],
    ['a', 'w', true],
    ['b', 'w', false],
    ['n', 'one', false],
  ])('%s and %s may alias: %s', (a, b, expected) => {
    expect(alias.mayAlias(value(a), value(b))).toBe(expected);
    expect(alias.mayAlias(value(b), value(a))).toBe(expected);
  });
  test('writes reach every alias and nothing else', () => {
    expect(['x', 'y', 'a', 'b', 'v', 'w'].filter((name) => alias.hasWriters(value(name)))).toEqual([
      'a',
      'v',
      'w',
    ]);
  });
});

test('a write to an input may be a write to every input', () => {
  const { alias, value, node } = analyse(`graph(%x : Tensor, %y : Tensor, %l : int[]):
    %w : Tensor = aten::relu_(%x)
    return (%y)`);
  expect(alias.hasWriters(value('y'))).toBe(true);
  expect(alias.hasWriters(value('l'))).toBe(false);
  expect(alias.mayWriteTo(node('w'), [value('y')])).toBe(true);
});

test('items of a list escape unless the list is only read', () => {
  const { alias, value } = analyse(`graph(%x : Tensor, %i : int):
    %a : Tensor = aten::relu(%x)
    %b : Tensor = aten::relu(%x)
    %c : Tensor = aten::relu(%x)
    %l : Tensor[] = prim::ListConstruct(%a)
    %s : Tensor = aten::stack(%l, %i)
    %m : Tensor[] = prim::ListConstruct(%b)
    %e : Tensor = aten::__getitem__(%m, %i)
    return (%e, %s, %m)`);
  expect(alias.mayAlias(value('a'), value('x'))).toBe(false);
  expect(alias.mayContainAlias(value('l'), value('a'))).toBe(true);
  expect(alias.mayContainAlias(value('l'), value('c'))).toBe(false);
  expect(alias.mayAlias(value('b'), value('e'))).toBe(true);
  expect(alias.mayAlias(value('b'), value('x'))).toBe(true);
  expect(alias.mayAlias(value('c'), value('e'))).toBe(false);
});

test('tuples keep their elements apart', () => {
  const { alias, value } = analyse(`graph(%x : Tensor):
    %a : Tensor = aten::relu(%x)
    %b : Tensor = aten::relu(%x)
    %t : (Tensor, Tensor) = prim::TupleConstruct(%a, %b)
    %c : Tensor, %d : Tensor = prim::TupleUnpack(%t)
    %w : Tensor = aten::relu_(%c)
    return (%w)`);
  expect(alias.mayAlias(value('a'), value('c'))).toBe(true);
  expect(alias.mayAlias(value('a'), value('d'))).toBe(false);
  expect(alias.hasWriters(value('b'))).toBe(false);
  expect(alias.hasDeepWriters(value('t'))).toBe(true);
});

describe('control flow', () => {
  const { alias, value, node } = analyse(`graph(%x : Tensor, %c : bool, %n : int):
    %true : bool = prim::Constant[value=1]()
    %a : Tensor = aten::relu(%x)
    %b : Tensor = aten::relu(%x)
    %r : Tensor = prim::If(%c)
      block0():
        %w : Tensor = aten::relu_(%a)
        -> (%a)
      block1():
        -> (%b)
    %o : Tensor = prim::Loop(%n, %true, %b)
      block0(%i : int, %p : Tensor):
        %q : Tensor = aten::t(%p)
        -> (%true, %q)
    return (%r, %o)`);
  test('outputs alias the results of both branches', () => {
    expect(alias.mayAlias(value('r'), value('a'))).toBe(true);
    expect(alias.mayAlias(value('r'), value('b'))).toBe(true);
    expect(alias.mayAlias(value('o'), value('b'))).toBe(true);
    expect(alias.mayAlias(value('p'), value('q'))).toBe(true);
    expect(alias.mayAlias(value('o'), value('a'))).toBe(false);
  });
  test('writes in blocks are writes of their owner', () => {
    expect(alias.mayWriteTo(node('r'), [value('a')])).toBe(true);
    expect(alias.mayWriteTo(node('r'), [value('b')])).toBe(false);
    expect(alias.isMutating(node('o'))).toBe(false);
  });
});

describe('moving nodes', () => {
  const { alias, node } = analyse(`graph(%x : Tensor, %y : Tensor):
    %a : Tensor = aten::relu(%x)
    %b : Tensor = aten::relu(%y)
    %w : Tensor = aten::sigmoid_(%a)
    %c : Tensor = aten::neg(%a)
    %d : Tensor = aten::neg(%b)
    = prim::Print(%d)
    = prim::Print(%c)
    return (%c, %d)`);
  test.each([
    ['d', 'w', true],
    ['d', 'a', false],
    ['c', 'w', false],
    ['d', 'c', true],
    ['b', 'd', true],
    ['a', 'd', false],
  ])('%s may move before %s: %s', (name, point, expected) => {
    expect(alias.canMoveBefore(node(name), node(point))).toBe(expected);
  });
});

test('an operator without schema may do anything', () => {
  const { alias, value } = analyse(`graph(%x : Tensor):
    %a : Tensor = aten::relu(%x)
    %b : Tensor = aten::relu(%x)
    %r : Tensor = custom::mystery(%a)
    return (%r, %b)`);
  expect(alias.hasWriters(value('a'))).toBe(true);
  expect(alias.hasWriters(value('x'))).toBe(true);
  expect(alias.hasWriters(value('b'))).toBe(false);
  expect(alias.mayAlias(value('r'), value('x'))).toBe(true);
});

test('foreach operators write what their list holds', () => {
  const { alias, value } = analyse(`graph(%x : Tensor):
    %a : Tensor = aten::relu(%x)
    %l : Tensor[] = prim::ListConstruct(%a)
    = aten::_foreach_abs_(%l)
    return (%a)`);
  expect(alias.hasWriters(value('a'))).toBe(true);
});

test('a context that holds numbers writes to itself only', () => {
  const { alias, value } = analyse(`graph(%self : __torch__.M, %x : Tensor):
    %mode : __torch__.Mode = prim::CreateObject()
    %none : NoneType = prim::Enter(%mode)
    %a : Tensor = prim::GetAttr[name="a"](%self)
    %end : NoneType = prim::Exit(%mode)
    return (%a)`);
  expect(alias.hasWriters(value('self'))).toBe(false);
  expect(alias.hasWriters(value('mode'))).toBe(true);
});
