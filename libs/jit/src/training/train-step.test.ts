// Compiled training steps against the same steps made by their parts.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cpuDevice } from '@weft/devices';
import type { Tensor } from '@weft/tensor';
import { F, manualSeed, nn, optim, randint, randn, tensor, useHostDevice, zeros } from '@weft/tensor';
import { setExecutor } from '../executor/index.ts';
import { switchOffPasses } from '../passes/index.ts';
import { script } from '../script.ts';
import { trainStep } from './train-step.ts';

beforeAll(() => useHostDevice(cpuDevice()));

class Classifier extends nn.Module {
  first = new nn.Linear(6, 8);
  norm = new nn.BatchNorm1d(8);
  second = new nn.Linear(8, 3);
  forward(x: Tensor, y: Tensor): Tensor {
    return F.crossEntropy(this.second.forward(F.relu(this.norm.forward(this.first.forward(x)))), y);
  }
}

class Deep extends nn.Module {
  readonly layers: nn.ModuleList<nn.Linear>;
  constructor(depth: number, width: number) {
    super();
    this.layers = new nn.ModuleList(Array.from({ length: depth }, () => new nn.Linear(width, width)));
  }
  forward(x: Tensor): Tensor {
    let y = x;
    for (const layer of this.layers) y = F.tanh(layer.forward(y));
    return y.square().mean();
  }
}

const made = (): { module: Classifier; x: Tensor; y: Tensor } => {
  manualSeed(1);
  const module = new Classifier();
  return { module, x: randn([10, 6]), y: randint(0, 3, [10]) };
};
const contents = (module: nn.Module): number[] =>
  [...module.parameters(), ...module.buffers()].flatMap((each) => (each.ndim === 0 ? [each.item()] : [each.tolist()].flat(3) as number[])).map(Number); // prettier-ignore

function expectClose(found: readonly number[], wanted: readonly number[]): void {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, index) => expect(value).toBeCloseTo(wanted[index], 4));
}

type Make = (parameters: Iterable<Tensor>) => optim.Optimizer;
const optimizers: readonly (readonly [string, Make])[] = [
  ['SGD', (parameters) => new optim.SGD(parameters, { lr: 0.1 })],
  ['SGD with momentum', (parameters) => new optim.SGD(parameters, { lr: 0.05, momentum: 0.9, nesterov: true })],
  ['Adam', (parameters) => new optim.Adam(parameters, { lr: 0.01, amsgrad: true })],
  ['AdamW', (parameters) => new optim.AdamW(parameters, { lr: 0.01 })],
  ['RMSprop', (parameters) => new optim.RMSprop(parameters, { lr: 0.01, centered: true, momentum: 0.5 })],
  ['Adagrad', (parameters) => new optim.Adagrad(parameters, { lr: 0.05 })],
  ['groups', (parameters) => {
    const [first, ...others] = parameters;
    return new optim.Adam([{ parameters: [first], lr: 0.1 }, { parameters: others }], { lr: 0.01 });
  }],
]; // prettier-ignore

/** Losses and contents after some steps by the parts. */
function byParts(make: Make, steps: number, clip?: number): { losses: number[]; after: number[] } {
  const { module, x, y } = made();
  const optimizer = make(module.parameters());
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    optimizer.zeroGrad(true);
    const loss = module.forward(x, y);
    loss.backward();
    if (clip !== undefined) optim.clipGradNorm_(module.parameters(), clip);
    optimizer.step();
    losses.push(loss.item());
  }
  return { losses, after: contents(module) };
}

describe('a compiled training step', () => {
  test.each(optimizers)('with %s gives the losses, parameters and buffers of its parts', (_, make) => {
    const wanted = byParts(make, 4);
    const { module, x, y } = made();
    const optimizer = make(module.parameters());
    const scripted = script(module);
    const step = trainStep(scripted, optimizer);
    const places = [...module.parameters()].map(({ storage }) => storage);
    const losses = [1, 2, 3, 4].map(() => step(x, y).item());
    expect(step.state).toBe('compiled');
    expectClose(losses, wanted.losses);
    expectClose(contents(module), wanted.after);
    expect([...module.parameters()].map(({ storage }) => storage)).toEqual(places);
    expect([...module.parameters()].every(({ grad }) => grad === null)).toBe(true);
    expect(optimizer.stepCount).toBe(4);
  });
  test('clips the norm of the gradients', () => {
    const [, make] = optimizers[1];
    const wanted = byParts(make, 3, 0.05);
    const { module, x, y } = made();
    const step = trainStep(module, make(module.parameters()), { clipGradNorm: 0.05 });
    expectClose([step(x, y).item(), step(x, y).item(), step(x, y).item()], wanted.losses);
    expect(step.state).toBe('compiled');
    expectClose(contents(module), wanted.after);
  });
  test('follows the learning rate, and options that are replaced', () => {
    const { module, x, y } = made();
    const optimizer = new optim.SGD(module.parameters(), { lr: 0.1 });
    const step = trainStep(module, optimizer);
    step(x, y);
    const before = contents(module).slice(0, 20);
    optimizer.paramGroups[0].lr = 0;
    step(x, y);
    expect(contents(module).slice(0, 20)).toEqual(before);
    optimizer.paramGroups[0].lr = 0.1;
    optimizer.paramGroups[0].hyper = { ...optimizer.paramGroups[0].hyper, weightDecay: 1 };
    step(x, y);
    expect(step.state).toBe('compiled');
    expect(contents(module).slice(0, 20)).not.toEqual(before);
  });
  test('changes nothing where the program fails: the interpreter says what is wrong', () => {
    const { module, x, y } = made();
    const optimizer = new optim.Adam(module.parameters(), { lr: 0.1 });
    const step = trainStep(module, optimizer);
    step(x, y);
    const before = contents(module).slice(0, 48);
    const wrong = tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 7]);
    expect(() => step(x, wrong)).toThrow(/7 is out of bounds/);
    expect(contents(module).slice(0, 48)).toEqual(before);
    optimizer.zeroGrad(true);
    step(x, y);
    expect(step.state).toBe('compiled');
  });
  test('with accumulation updates once for several calls, by the mean of their gradients', () => {
    const { module, x, y } = made();
    module.eval();
    const make: Make = (parameters) => new optim.SGD(parameters, { lr: 0.1 });
    const step = trainStep(module, make(module.parameters()), { accumulate: 2 });
    const before = contents(module);
    step(x.narrow(0, 0, 5), y.narrow(0, 0, 5));
    expect(step.state).toBe('compiled');
    expect(contents(module)).toEqual(before);
    step(x.narrow(0, 5, 5), y.narrow(0, 5, 5));
    expect(step.state).toBe('compiled');
    const whole = made();
    whole.module.eval();
    trainStep(whole.module, make(whole.module.parameters()))(x, y);
    expectClose(contents(module), contents(whole.module));
  });
  test.each(optimizers)('with %s and accumulation gives what its parts give', (_, make) => {
    const run = (mode: 'auto' | 'interpret'): { losses: number[]; after: number[] } => {
      const before = setExecutor({ mode });
      const { module, x, y } = made();
      // Normalised over batches, a bias has a gradient of rounding errors alone, which such optimizers scale up.
      module.eval();
      const optimizer = make(module.parameters());
      const step = trainStep(module, optimizer, { accumulate: 3, clipGradNorm: 0.5 });
      const losses = Array.from({ length: 9 }, (__, call) => {
        const rows = 2 + (call % 4 === 3 ? 1 : 0);
        const loss = step(x.narrow(0, call, rows), y.narrow(0, call, rows)).item();
        const grads = [...module.parameters()].map(({ grad }) => grad !== null);
        expect(grads.every((has) => has === call % 3 < 2)).toBe(true);
        expect(step.state).toBe(mode === 'auto' ? 'compiled' : 'WEFT_EXECUTOR=interpret');
        return loss;
      });
      setExecutor(before);
      expect(optimizer.stepCount).toBe(3);
      return { losses, after: contents(module) };
    };
    const [compiled, parts] = [run('auto'), run('interpret')];
    expectClose(compiled.losses, parts.losses);
    expectClose(compiled.after, parts.after);
  });
  test('goes on by its parts, and from them, in the middle of an accumulation', () => {
    const { module, x, y } = made();
    const make: Make = (parameters) => new optim.SGD(parameters, { lr: 0.1 });
    const step = trainStep(module, make(module.parameters()), { accumulate: 3 });
    step(x, y);
    const before = setExecutor({ mode: 'interpret' });
    step(x, y);
    setExecutor(before);
    step(x, y);
    expect(step.state).toBe('compiled');
    const other = made();
    const whole = trainStep(other.module, make(other.module.parameters()), { accumulate: 3 });
    for (let call = 0; call < 3; call++) whole(other.x, other.y);
    expectClose(contents(module), contents(other.module));
  });
  test('adds to gradients that are there already; is made of its parts where there is no graph', () => {
    const { module, x, y } = made();
    const optimizer = new optim.SGD(module.parameters(), { lr: 0.1 });
    const step = trainStep(module, optimizer);
    module.forward(x, y).backward();
    step(x, y);
    expect(step.state).toBe('compiled');
    expect([...module.parameters()].every(({ grad }) => grad === null)).toBe(true);
    const parameter = module.first.weight;
    parameter.grad = zeros([6, 8]).t();
    step(x, y);
    expect(step.state).toBe('there is a gradient that is strided, elsewhere, or has a history');
    step(x.clone().requiresGrad_(), y);
    expect(step.state).toBe('an argument requires a gradient');
  });
  test('updates each parameter as soon as its gradient is there, so that gradients are not kept', () => {
    const memoryOf = (off: readonly string[]): number => {
      const before = switchOffPasses(off);
      manualSeed(1);
      const module = new Deep(8, 64);
      const step = trainStep(module, new optim.Adam(module.parameters(), { lr: 0.01 }));
      step(randn([256, 64]));
      switchOffPasses(before);
      expect(step.state).toBe('compiled');
      return step.memory;
    };
    const kept = 256 * 64 * 4;
    expect(memoryOf(['core-early-results'])).toBeGreaterThan(14 * kept);
    expect(memoryOf([])).toBeLessThan(11 * kept);
  });
  test('refuses what it cannot do', () => {
    const { module } = made();
    expect(() => trainStep(module, new optim.LBFGS(module.parameters(), {}))).toThrow(
      /optimizer.step\(closure\)/,
    );
    const optimizer = new optim.SGD(module.parameters(), { lr: 0.1 });
    expect(() => trainStep(module, optimizer, { accumulate: 0 })).toThrow(/accumulate is 0/);
  });
});
