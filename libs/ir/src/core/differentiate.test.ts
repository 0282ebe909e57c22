// Derivatives of graphs, seen from the graph: what is saved, what is removed, where nodes come from, what is refused.
import { expect, test } from '@jest/globals';
import type { Graph } from '../index.ts';
import {
  CoreBuilder,
  OperatorError,
  UnsupportedError,
  compositeAttributes,
  differentiate,
  jointGraph,
  registerComposite,
  removeDeadCode,
  tensorSpec,
} from '../index.ts';

const kinds = (graph: Graph): string[] => [...graph.nodes()].map(({ operator }) => operator);
const f = (...sizes: number[]) => tensorSpec('float32', sizes);

test('what backward needs is saved once, inputs and outputs first, broadcasts made again', () => {
  const b = new CoreBuilder();
  const [x, w] = [b.input(f(4, 3)), b.input(f(3))];
  const y = b.tanh(b.multiply(x, b.broadcastTo(w, [4, 3])));
  b.graph.addOutput(y);
  const { forward, backward, saved } = differentiate(b.graph, { wrt: [0, 1] });
  expect(saved).toEqual([
    { kind: 'output', index: 0 },
    { kind: 'input', index: 1 },
    { kind: 'input', index: 0 },
  ]);
  expect(forward.outputs).toHaveLength(1);
  expect(kinds(forward)).toEqual(['broadcast_in_dim', 'multiply', 'tanh']);
  expect(kinds(backward)).toContain('broadcast_in_dim');
  expect(backward.inputs).toHaveLength(4);
  expect(backward.outputs).toHaveLength(2);
});

test('what nobody asks for is not computed', () => {
  const b = new CoreBuilder();
  const [x, w] = [b.input(f(4, 3)), b.input(f(3, 2))];
  b.graph.addOutput(b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [0] }));
  const { backward, saved } = differentiate(b.graph, { wrt: [1] });
  expect(saved).toEqual([{ kind: 'input', index: 0 }]);
  expect(kinds(backward)).toEqual(['dot_general', 'transpose']);
});

test('a gradient that depends on nothing is zeros', () => {
  const b = new CoreBuilder();
  const x = b.input(f(2));
  b.graph.addOutput(b.floor(x));
  const { backward, saved } = differentiate(b.graph, { wrt: [0] });
  expect(saved).toEqual([]);
  expect(kinds(backward)).toEqual(['constant']);
});

test('backward nodes of a joint graph know their forward node', () => {
  const b = new CoreBuilder();
  const [x, w] = [b.input(f(4, 3)), b.input(f(3, 2))];
  const y = b.tanh(b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [0] }));
  b.graph.addOutput(b.reduceSum(y, [0, 1]));
  const { graph, gradients, backward, origin } = jointGraph(b.graph, { wrt: [0, 1], loss: 0 });
  expect(gradients).toEqual([1, 2]);
  expect(kinds(graph).slice(0, 4)).toEqual(kinds(b.graph));
  expect(backward.size).toBe(kinds(graph).length - 4);
  const products = [...backward].filter(({ operator }) => operator === 'dot_general');
  expect(products).toHaveLength(2);
  for (const product of products) {
    expect(origin.get(product)!.operator).toBe('dot_general');
    expect(backward.has(origin.get(product)!)).toBe(false);
  }
});

test('a loop differentiates to a loop that keeps its states and one that reads them', () => {
  const b = new CoreBuilder();
  const x = b.input(f(2));
  const [, y] = b.while(
    [b.full(0, 'int32'), x],
    (b, i) => [b.compare(i, b.full(5, 'int32'), 'LT')],
    (b, i, x) => [b.add(i, b.full(1, 'int32')), b.multiply(x, x)],
  );
  b.graph.addOutput(b.reduceSum(y, [0]));
  const { graph, origin, backward } = jointGraph(b.graph, { wrt: [0], loss: 0 });
  const [forward, reverse] = [...graph.nodes()].filter(({ operator }) => operator === 'while');
  expect(forward.outputs.map(({ type }) => type)).toContainEqual(f(5, 2));
  expect(backward.has(forward)).toBe(false);
  expect(origin.get(reverse)).toBe(forward);
});

test('a loop without a known count is refused with the reason', () => {
  const b = new CoreBuilder();
  const x = b.input(f());
  const [y] = b.while(
    [x],
    (b, x) => [b.compare(x, b.full(9, 'float32'), 'LT')],
    (b, x) => [b.add(x, x)],
  );
  b.graph.addOutput(y);
  const refused = () => jointGraph(b.graph, { wrt: [0], loss: 0 });
  expect(refused).toThrow(UnsupportedError);
  expect(refused).toThrow(
    /this loop has no derivative: its counter starts at a value that is no integer constant/,
  );
});

test('only floating-point inputs and scalar losses are differentiated', () => {
  const b = new CoreBuilder();
  b.input(tensorSpec('int64', [2]), 'ids');
  b.graph.addOutput(b.input(f(2)));
  expect(() => differentiate(b.graph, { wrt: [0] })).toThrow(OperatorError);
  expect(() => differentiate(b.graph, { wrt: [0] })).toThrow(/input 0 \(%ids\) is int64\[2\]/);
  expect(() => jointGraph(b.graph, { wrt: [1], loss: 0 })).toThrow(/the loss, output 0, is float32\[2\]/);
});

test('a composite may have a derivative of its own', () => {
  registerComposite('test_clip', {
    vjp: (b, node, [g]) => [b.multiply(g!, b.fullLike(g!, Number(compositeAttributes(node).slope)))],
  });
  const b = new CoreBuilder();
  const x = b.input(f(2));
  b.graph.addOutput(b.composite('test_clip', [x], { slope: 3 }, (b, x) => [b.floor(x)])[0]);
  const { backward } = differentiate(b.graph, { wrt: [0] });
  expect(kinds(backward)).toEqual(['constant', 'multiply']);
});

test('dead code goes from regions, branches and loops; effects stay', () => {
  const b = new CoreBuilder();
  const [x, p] = [b.input(f(2)), b.input(tensorSpec('bool', []))];
  b.send(b.negate(x), 1, 'x');
  const [kept] = b.if(
    p,
    (b) => [b.sine(x), b.cosine(x)],
    (b) => [x, b.tan(x)],
  );
  const results = b.while(
    [b.full(0, 'int32'), kept, x],
    (b, i) => [b.compare(i, b.full(5, 'int32'), 'LT')],
    (b, i, y, z) => [b.add(i, b.full(1, 'int32')), b.multiply(y, y), b.add(y, z)],
  );
  b.graph.addOutput(results[1]);
  removeDeadCode(b.graph);
  expect(kinds(b.graph)).toEqual(['negate', 'send', 'if', 'constant', 'while']);
  const [branch, loop] = [...b.graph.nodes()].filter(({ blocks }) => blocks.length > 0);
  expect(branch.outputs).toHaveLength(1);
  expect([...branch.blocks[0].nodes()].map(({ operator }) => operator)).toEqual(['sine']);
  expect(loop.outputs).toHaveLength(2);
  expect(loop.blocks[1].inputs).toHaveLength(2);
});
