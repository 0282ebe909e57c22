// What `weft explain --passes` lists: every step of the pipelines, with the graph where it changed.
import { expect, test } from '@jest/globals';
import { jit, nn, rand } from 'weft';
import type { Tensor } from 'weft';
import { executorStages, torchStages } from './pass-stages.ts';

class Twice extends nn.Module {
  readonly linear = new nn.Linear(3, 3);
  forward(x: Tensor): Tensor {
    return this.linear.forward(x).add(this.linear.forward(x));
  }
}

class Shown extends nn.Module {
  forward(x: Tensor): Tensor {
    console.log(x.sum().item());
    return x;
  }
}

const x = rand([2, 3]) as Tensor;
const scripted = (module: nn.Module): jit.ScriptModule => {
  const bytes = jit.saveToBytes(jit.script(module));
  return jit.load(bytes);
};

test('the executor: written, prepared, lowered, and each core pass', () => {
  const stages = [...executorStages(scripted(new Twice()), 'forward', [x as never])];
  const core = jit.passesOf('core').map(({ name }) => name);
  expect(stages.slice(0, 3 + core.length).map(({ name }) => name)).toEqual([
    'written',
    'prepare',
    'lower',
    ...core,
  ]);
  const products = (name: string): number =>
    stages.find((stage) => stage.name === name)!.graph!.match(/core::dot_general/g)!.length;
  expect(products('lower')).toBe(2);
  expect(products('core-common-subexpressions')).toBe(1);
  for (const { outcome, graph } of stages) expect(graph === undefined).toBe(outcome === 'unchanged');
});

test('a method that is not lowered: the reason ends the list', () => {
  const stages = [...executorStages(scripted(new Shown()), 'forward', [x as never])];
  expect(stages.at(-1)).toMatchObject({
    name: 'lower',
    outcome: expect.stringMatching(/^refused, it is interpreted: ./),
  });
});

test('the torch level leaves the module as it is', () => {
  const module = scripted(new Twice());
  const before = String(module.method('forward').graph);
  const stages = [...torchStages(module, 'forward')];
  expect(stages.find(({ name }) => name === 'inline')?.graph).toContain('aten::linear');
  expect(String(module.method('forward').graph)).toBe(before);
});
