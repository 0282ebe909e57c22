import { describe, expect, test } from '@jest/globals';
import { VerifyError } from '../errors.ts';
import '../core/ops/index.ts';
import { parseGraph } from '../text/parser.ts';
import { AnyTensorType, IntType, tensorSpec } from '../types/types.ts';
import type { Use } from './graph.ts';
import { Graph } from './graph.ts';
import { SourceRange } from './source-range.ts';
import { verifyGraph } from './verifier.ts';

/** A graph with one If, one Loop, and operators of both kinds. */
const sound = `graph(%x : Tensor, %n : int, %c : bool):
  %true : bool = prim::Constant[value=1]()
  %r : Tensor = prim::If(%c)
    block0():
      %a : Tensor = aten::relu(%x)
      -> (%a)
    block1():
      -> (%x)
  %s : Tensor = prim::Loop(%n, %true, %r)
    block0(%i : int, %p : Tensor):
      %q : Tensor = aten::neg(%p)
      -> (%true, %q)
  return (%s)
`;

test('a sound graph passes', () => verifyGraph(parseGraph(sound)));

describe('texts that break an invariant', () => {
  test.each([
    ['arity', 'block1():\n      -> (%x)', 'block1():\n      -> ()', /block1 returns 0 values for 1 outputs/],
    ['types', 'prim::If(%c)', 'prim::If(%n)', /condition: %n is int, expected bool/],
    ['arity', '-> (%true, %q)', '-> (%true)', /takes \(trip, 1 carried\)/],
    [
      'types',
      '%r : Tensor = prim::If',
      '%r : int = prim::If',
      /result 0 of block0: %a is Tensor, expected int/,
    ],
    ['types', 'block0(%i : int, %p : Tensor)', 'block0(%i : int, %p : int)', /carried value 0 at the start/],
    ['schema', 'aten::relu(%x)', 'aten::relu(%n)', /no overload takes \(int\).*aten::relu\(Tensor self\)/s],
    ['schema', 'aten::relu(%x)', 'aten::no_such(%x)', /there is no operator aten::no_such/],
    [
      'schema',
      '%a : Tensor = aten::relu(%x)',
      '%a : Tensor, %b : Tensor = aten::relu(%x)',
      /2 outputs for aten::relu/,
    ],
    ['types', 'aten::relu(%x)', 'prim::TupleConstruct(%x)', /no tuple of as many elements/],
  ])('%s: %s → %s', (invariant, from, to, reason) => {
    const graph = parseGraph(sound.replace(from, to));
    expect(() => verifyGraph(graph)).toThrow(VerifyError);
    expect(() => verifyGraph(graph)).toThrow(reason);
    expect(() => verifyGraph(graph)).toThrow(`invariant '${invariant}'`);
  });
});

describe('graphs that text cannot say', () => {
  test('scope: a use before the definition, or from outside its block', () => {
    const graph = new Graph();
    const x = graph.addInput(AnyTensorType, 'x');
    const late = graph.insert('aten::relu', [x]);
    graph.insert('aten::neg', [late.output]).moveBefore(late);
    expect(() => verifyGraph(graph)).toThrow(
      /aten::neg\(%0\)|aten::neg.*\n.*not defined where it is used \(invariant 'scope'\)/,
    );

    const nested = parseGraph(sound);
    const inner = [...[...nested.nodes()][1].blocks[0].nodes()][0];
    nested.returnNode.replaceInput(0, inner.output);
    expect(() => verifyGraph(nested)).toThrow(/results of the graph\n {2}%a is not defined where it is used/);
  });
  test('uses: a reader that is not recorded', () => {
    const graph = parseGraph(sound);
    (graph.inputs[0].uses as Use[]).pop();
    expect(() => verifyGraph(graph)).toThrow(/invariant 'uses'/);
    const other = parseGraph(sound);
    (other.inputs[0].uses as Use[]).push({ user: other.returnNode, index: 7 });
    expect(() => verifyGraph(other)).toThrow(/lists 3 uses but is read 2 times/);
  });
  test('list: a node of another graph', () => {
    const graph = parseGraph(sound);
    const stranger = new Graph().create('aten::relu', [graph.inputs[0]]);
    stranger.insertBefore(graph.returnNode);
    expect(() => verifyGraph(graph)).toThrow(/invariant 'list'/);
  });
  test('names: two values of one name', () => {
    const graph = parseGraph(sound);
    const value = graph.insert('aten::relu', [graph.inputs[0]]).output;
    value.id = 99;
    graph.insert('aten::relu', [graph.inputs[0]]).output.id = 99;
    expect(() => verifyGraph(graph)).toThrow(/%99 is the name of two values/);
  });
  test('the source line of the node is shown', () => {
    const graph = new Graph();
    const node = graph.insert('aten::relu', [graph.addInput(IntType, 'n')]);
    node.source = new SourceRange('model.ts', 'let y = relu(n);', 8, 15, 12);
    expect(() => verifyGraph(graph)).toThrow(/model\.ts:12:9\n {4}let y = relu\(n\);\n {12}~+ <--- HERE/);
  });
});

describe('core graphs', () => {
  const core = 'graph(%x : Float(2, 3)):\n  %y : Float(2, 3) = core::add(%x, %x)\n  return (%y)';
  test('agree with inference', () => {
    verifyGraph(parseGraph(core));
    expect(() => verifyGraph(parseGraph(core.replace('%y : Float(2, 3)', '%y : Float(3, 2)')))).toThrow(
      /the operator gives \(Float\(2, 3\)\) \(invariant 'inference'\)/,
    );
    expect(() => verifyGraph(parseGraph(core.replace('(%x, %x)', '(%x)')))).toThrow(/invariant 'inference'/);
    expect(() => verifyGraph(parseGraph(core.replace('%x : Float(2, 3)', '%x : Tensor')))).toThrow(
      /%x : Tensor is not a type with dtype and sizes only/,
    );
  });
  test('have the attributes of their operators, each of its kind', () => {
    const turned =
      'graph(%x : Float(2, 3)):\n  %y : Float(3, 2) = core::transpose[permutation=[1, 0]](%x)\n  return (%y)';
    verifyGraph(parseGraph(turned));
    expect(() => verifyGraph(parseGraph(turned.replace('[1, 0]', '"10"')))).toThrow(
      /attribute 'permutation' is of kind s, is is expected/,
    );
    expect(() => verifyGraph(parseGraph(turned.replace('[permutation=[1, 0]]', '')))).toThrow(
      /attribute 'permutation' is missing/,
    );
  });
  test('hold operators only that there are', () => {
    const graph = new Graph();
    graph.insert('core::no_such', [graph.addInput(tensorSpec('float32', [2]))], [tensorSpec('float32', [2])]);
    expect(() => verifyGraph(graph)).toThrow(/no core operator 'no_such'/);
  });
});
