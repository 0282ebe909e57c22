// Optimizers: state that can be saved and continued, groups, schedules against their formulas, clipping, errors. The
// numbers of whole trainings are compared with PyTorch's in pytorch.test.ts.
import { expect, test } from '@jest/globals';
import * as w from '../index.ts';
import type { Tensor } from '../index.ts';
import { manualSeed, nn, optim } from '../index.ts';

const model = (): nn.Sequential => new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 1));

function steps(m: nn.Sequential, optimizer: optim.Optimizer, count: number): void {
  for (let step = 0; step < count; step++) {
    optimizer.zeroGrad();
    m.forward(w.rand(5, 3)).pow(2).mean().backward();
    optimizer.step();
  }
}
const values = (m: nn.Module): unknown[] => [...m.parameters()].map((parameter) => parameter.tolist());

test.each([
  ['SGD', (p: Iterable<Tensor>) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 })],
  ['Adam', (p: Iterable<Tensor>) => new optim.Adam(p, { amsgrad: true })],
  ['AdamW', (p: Iterable<Tensor>) => new optim.AdamW(p)],
  ['RMSprop', (p: Iterable<Tensor>) => new optim.RMSprop(p, { centered: true, momentum: 0.5 })],
  ['Adagrad', (p: Iterable<Tensor>) => new optim.Adagrad(p)],
])('%s goes on from its saved state as if it had not stopped', (_, make) => {
  manualSeed(0);
  const whole = model();
  const part = model();
  part.loadStateDict(whole.stateDict());
  const first = make(whole.parameters());
  const before = make(part.parameters());
  manualSeed(1);
  steps(whole, first, 6);
  manualSeed(1);
  steps(part, before, 3);
  const after = make(part.parameters());
  after.loadStateDict(before.stateDict());
  steps(part, after, 3);
  expect(values(part)).toEqual(values(whole));
});

test('the state has PyTorch’s names', () => {
  const m = model();
  const optimizer = new optim.AdamW(m.parameters(), { weightDecay: 0.1 });
  steps(m, optimizer, 2);
  const { state, paramGroups } = optimizer.stateDict();
  expect([...state.keys()]).toEqual([0, 1, 2, 3]);
  expect([...state.get(0)!.keys()]).toEqual(['step', 'exp_avg', 'exp_avg_sq']);
  expect(state.get(0)!.get('step')!.item()).toBe(2);
  expect(paramGroups[0]).toMatchObject({ parameters: [0, 1, 2, 3], lr: 1e-3, hyper: { weightDecay: 0.1 } });
});

test('groups have options of their own; parameters without gradient are left alone', () => {
  const [a, b, c] = [w.ones(2), w.ones(2), w.ones(2)].map((x) => x.requiresGrad_());
  const optimizer = new optim.SGD([{ parameters: [a], lr: 1 }, { parameters: [b, c] }], { lr: 0.5 });
  a.sum().add(b.sum()).backward();
  optimizer.step();
  expect([a, b, c].map((x) => x.tolist())).toEqual([
    [0, 0],
    [0.5, 0.5],
    [1, 1],
  ]);
});

test('a closure computes the loss', () => {
  const x = w.ones(1).requiresGrad_();
  const optimizer = new optim.SGD([x], { lr: 0.1 });
  const loss = optimizer.step(() => {
    optimizer.zeroGrad();
    const value = x.mul(3).sum();
    value.backward();
    return value;
  });
  expect([loss!.item(), x.item()]).toEqual([3, expect.closeTo(0.7, 6)]);
});

test('mistakes are named', () => {
  const x = w.ones(1).requiresGrad_();
  expect(() => new optim.SGD([], { lr: 1 })).toThrow('optimizer got an empty parameter list');
  expect(() => new optim.SGD([x, x], { lr: 1 })).toThrow(
    'some parameters appear in more than one parameter group',
  );
  expect(() => new optim.SGD([x.mul(2)], { lr: 1 })).toThrow("can't optimize a non-leaf Tensor");
  expect(() => new optim.Adam([x], { lr: -1 })).toThrow('Invalid learning rate: -1');
  expect(() => new optim.Adam([x], { betas: [1, 0.9] })).toThrow('Invalid beta parameter at index 0: 1');
  expect(() => new optim.SGD([x], { lr: 1, beta: 2 } as never)).toThrow("sgd has no hyperparameter 'beta'");
  const other = new optim.SGD([w.ones(3).requiresGrad_()], { lr: 1, momentum: 0.9 });
  const state = new Map([[0, new Map([['momentum_buffer', w.ones(2)]])]]);
  const { paramGroups } = other.stateDict();
  expect(() => other.loadStateDict({ state, paramGroups })).toThrow(
    "state 'momentum_buffer' of parameter 0 is of shape [2]; the parameter has shape [3]",
  );
});

test('schedules follow their formulas and continue from a step count', () => {
  const make = (): optim.Optimizer => new optim.SGD([w.ones(1).requiresGrad_()], { lr: 1 });
  const rates = (scheduler: optim.LRScheduler, count: number): number[] =>
    Array.from({ length: count }, () => {
      scheduler.step();
      return scheduler.getLastLr()[0];
    });
  expect(rates(new optim.StepLR(make(), 2, 0.5), 5)).toEqual([1, 0.5, 0.5, 0.25, 0.25]);
  expect(rates(new optim.MultiStepLR(make(), [1, 3], 0.5), 4)).toEqual([0.5, 0.5, 0.25, 0.25]);
  expect(rates(new optim.ExponentialLR(make(), 0.5), 3)).toEqual([0.5, 0.25, 0.125]);
  expect(rates(new optim.LinearLR(make(), 0.5, 1, 2), 3)).toEqual([0.75, 1, 1]);
  expect(rates(new optim.CosineAnnealingLR(make(), 2), 2)[1]).toBeCloseTo(0, 12);
  const cycle = new optim.OneCycleLR(make(), { maxLr: 2, totalSteps: 10 });
  expect(Math.max(...rates(cycle, 9))).toBe(2);
  expect(() => cycle.step()).toThrow('The specified number of total steps is 10');
  const fresh = new optim.StepLR(make(), 2, 0.5);
  fresh.loadStateDict({ lastEpoch: 4 });
  expect(fresh.getLastLr()).toEqual([0.25]);
});

test('clipping bounds the norm of all gradients together', () => {
  const [a, b] = [w.ones(2).requiresGrad_(), w.ones(2).requiresGrad_()];
  a.mul(3).sum().add(b.mul(4).sum()).backward();
  expect(optim.clipGradNorm_([a, b], 1).item()).toBeCloseTo(Math.sqrt(50), 5);
  const norm = Math.hypot(...(a.grad!.tolist() as number[]), ...(b.grad!.tolist() as number[]));
  expect(norm).toBeCloseTo(1, 5);
  optim.clipGradValue_([a, b], 0.5);
  expect(b.grad!.max().item()).toBe(0.5);
});
