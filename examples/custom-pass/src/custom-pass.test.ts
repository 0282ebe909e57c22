import { expect, test } from '@jest/globals';
import { parseGraph, printGraph } from '@weft/ir';
import { jit, manualSeed, randn } from 'weft';
import type { Tensor } from 'weft';
import { doubleNegation } from './index.ts';

function layer(x: Tensor, w: Tensor, b: Tensor): Tensor {
  const twice = x.relu().neg().neg();
  return twice.mm(w.t()).add(b).tanh();
}

test('the passes run in the pipeline and keep the result', () => {
  const scripted = jit.script(layer);
  const graph = scripted.graph.clone();
  jit.optimize(graph, 'torch', { verify: true });
  expect([...graph.nodes()].map((node) => node.kind)).toEqual(['aten::relu', 'aten::linear', 'aten::tanh']);

  manualSeed(0);
  const inputs = [randn(2, 3), randn(4, 3), randn(4)] as const;
  const [optimised] = new jit.Frame(jit.Code.compile(graph)).run(inputs) as [Tensor];
  expect(optimised.allclose(layer(...inputs))).toBe(true);
});

test('each can be left out', () => {
  const graph = jit.script(layer).graph.clone();
  jit.optimize(graph, 'torch', { disable: ['fuse-linear'] });
  expect(printGraph(graph)).not.toContain('aten::linear');
  expect(printGraph(graph)).not.toContain('aten::neg');
});

test('a negation whose result is written to stays', () => {
  const graph = parseGraph(`graph(%x : Tensor):
    %a : Tensor = aten::relu(%x)
    %b : Tensor = aten::neg(%a)
    %c : Tensor = aten::neg(%b)
    %d : Tensor = aten::relu_(%c)
    return (%a, %d)`);
  expect(jit.runPass(doubleNegation, graph)).toBe(false);
  expect(
    jit.runPass(doubleNegation, parseGraph(printGraph(graph).replace('aten::relu_', 'aten::relu'))),
  ).toBe(true);
});
