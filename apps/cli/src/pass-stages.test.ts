// What `weft explain --passes` lists: every step of the pipelines, with the graph where it changed.
import { expect, test } from '@jest/globals';
import { jit, nn, rand } from 'weft';
import type { Tensor } from 'weft';
import { executorStages, torchStages, trainingStages } from './pass-stages.ts';

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

class Deep extends nn.Module {
  readonly linear = new nn.Linear(16, 16);
  forward(x: Tensor): Tensor {
    let y = x;
    for (let layer = 0; layer < 6; layer++) y = this.linear.forward(y).sin().tanh();
    return y.sum();
  }
}

test('a loss with its gradients, and what is computed again within a memory limit', () => {
  const module = scripted(new Deep());
  const values = [rand([256, 16]) as never];
  const stages = [...trainingStages(module, 'forward', values, '150kB')];
  expect(stages.map(({ name }) => name).slice(0, 4)).toEqual(['written', 'lower', 'differentiate', 'core-simplify']); // prettier-ignore
  expect(stages.at(-1)).toMatchObject({
    name: 'recompute',
    outcome: expect.stringMatching(/^changed, from \d+ bytes to \d+$/),
  });
  expect([...trainingStages(module, 'forward', values)].at(-1)!.name).not.toBe('recompute');
  expect([...trainingStages(module, 'forward', values, '1GB')].at(-1)).toMatchObject({ name: 'recompute', outcome: 'unchanged' }); // prettier-ignore
  expect(() => [...trainingStages(module, 'forward', values, '1kB')]).toThrow(/memoryLimit is 1000 bytes/);
  expect(() => [...trainingStages(scripted(new Twice()), 'forward', [x as never])]).toThrow(
    /the loss, output 0, is float32\[2, 3\]; a floating-point scalar is expected/,
  );
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
