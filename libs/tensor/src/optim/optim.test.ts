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
  ['Adamax', (p: Iterable<Tensor>) => new optim.Adamax(p)],
  ['NAdam', (p: Iterable<Tensor>) => new optim.NAdam(p)],
  ['RAdam', (p: Iterable<Tensor>) => new optim.RAdam(p)],
  ['Adadelta', (p: Iterable<Tensor>) => new optim.Adadelta(p)],
  ['Rprop', (p: Iterable<Tensor>) => new optim.Rprop(p)],
  ['ASGD', (p: Iterable<Tensor>) => new optim.ASGD(p, { t0: 1 })],
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
  const { state, param_groups: groups } = optimizer.stateDict();
  expect(Object.keys(state)).toEqual(['0', '1', '2', '3']);
  expect(Object.keys(state[0])).toEqual(['step', 'exp_avg', 'exp_avg_sq']);
  expect((state[0].step as Tensor).item()).toBe(2);
  expect(groups).toEqual([
    {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weight_decay: 0.1,
      amsgrad: false,
      maximize: false,
      params: [0, 1, 2, 3],
    },
  ]);
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
  expect(() => new optim.SGD([x], { lr: 1, momentum: true } as never)).toThrow(
    "hyperparameter 'momentum' of sgd is a boolean; it takes a number",
  );
  expect(() => new optim.SGD([x], {})).toThrow(
    "parameter group didn't specify a value of required optimization parameter lr",
  );
  expect(() => new optim.SGD([x], { lr: 1, nesterov: true })).toThrow(
    'Nesterov momentum requires a momentum and zero dampening',
  );
  expect(() => new optim.RMSprop([x], { alpha: -1 })).toThrow('Invalid alpha value: -1');
  expect(() => new optim.Rprop([x], { etas: [1, 2] })).toThrow('Invalid eta values: 1, 2');
  expect(() => new optim.Adadelta([x], { rho: 2 })).toThrow('Invalid rho value: 2');
  expect(() => new optim.LBFGS([x], { lineSearchFn: 'armijo' as never })).toThrow(
    "only 'strong_wolfe' is supported",
  );
  expect(() => new optim.LBFGS([x], { steps: 2 } as never)).toThrow("lbfgs has no option 'steps'");
  expect(() => new optim.LBFGS([x]).step()).toThrow('LBFGS needs a closure that computes the loss');
  expect(() => new optim.LBFGS([x]).addParamGroup({ parameters: [w.ones(1)] })).toThrow(
    "LBFGS doesn't support per-parameter options (parameter groups)",
  );
  const other = new optim.SGD([w.ones(3).requiresGrad_()], { lr: 1, momentum: 0.9 });
  const state = { 0: { momentum_buffer: w.ones(2) } };
  const { param_groups: groups } = other.stateDict();
  expect(() => other.loadStateDict({ state, param_groups: groups })).toThrow(
    "state 'momentum_buffer' of parameter 0 is of shape [2]; the parameter has shape [3]",
  );
  expect(() => other.loadStateDict({ state: {}, param_groups: [] })).toThrow(
    'loaded state dict has a different number of parameter groups',
  );
  expect(() => other.loadStateDict({ state: {}, param_groups: [{ lr: 1, params: [0, 1] }] })).toThrow(
    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
  );
});

test('mistakes in schedules are named', () => {
  const o = new optim.SGD([w.ones(1).requiresGrad_()], { lr: 1 });
  const errors: [() => unknown, string][] = [
    [() => new optim.LambdaLR(o, [() => 1, () => 1]), 'Expected 1 lr_lambdas, but got 2'],
    [() => new optim.ConstantLR(o, 2), 'Constant multiplicative factor expected to be between 0 and 1.'],
    [() => new optim.LinearLR(o, 2), 'Starting multiplicative factor expected to be between 0 and 1.'],
    [() => new optim.LinearLR(o, 1, 2), 'Ending multiplicative factor expected to be between 0 and 1.'],
    [() => new optim.CosineAnnealingWarmRestarts(o, 0), 'Expected positive integer T_0, but got 0'],
    [() => new optim.CosineAnnealingWarmRestarts(o, 1, 0), 'Expected integer T_mult >= 1, but got 0'],
    [() => new optim.CosineAnnealingWarmRestarts(o, 1).step(-1), 'Expected non-negative epoch, but got -1'],
    [() => new optim.CyclicLR(o, { baseLr: [1, 2], maxLr: 1 }), 'expected 1 values for base_lr, got 2'],
    [
      () => new optim.CyclicLR(o, { baseLr: 1, maxLr: 2, mode: 'square' as never }),
      'mode is invalid and scale_fn is None',
    ],
    [
      () => new optim.CyclicLR(new optim.Adam([w.ones(1)]), { baseLr: 1, maxLr: 2 }),
      'optimizer must support momentum with `cycle_momentum` option enabled',
    ],
    [() => new optim.OneCycleLR(o, { maxLr: 1 }), 'You must define either total_steps OR (epochs'],
    [
      () => new optim.OneCycleLR(o, { maxLr: 1, totalSteps: 0 }),
      'Expected positive integer total_steps, but got 0',
    ],
    [
      () => new optim.OneCycleLR(o, { maxLr: 1, totalSteps: 5, pctStart: 2 }),
      'Expected float between 0 and 1 pct_start, but got 2',
    ],
    [
      () => new optim.OneCycleLR(o, { maxLr: 1, totalSteps: 5, annealStrategy: 'sine' as never }),
      "anneal_strategy must by one of 'cos' or 'linear', instead got sine",
    ],
    [() => new optim.ReduceLROnPlateau(o, { factor: 1 }), 'Factor should be < 1.0.'],
    [() => new optim.ReduceLROnPlateau(o, { mode: 'least' as never }), 'mode least is unknown!'],
    [
      () => new optim.ReduceLROnPlateau(o, { thresholdMode: 'part' as never }),
      'threshold mode part is unknown!',
    ],
    [() => new optim.ReduceLROnPlateau(o, { minLr: [0, 0] }), 'expected 1 min_lrs, got 2'],
    [
      () => new optim.SequentialLR(o, [new optim.ConstantLR(o)], [3]),
      'Sequential Schedulers expects number of schedulers provided to be one more',
    ],
    [
      () => new optim.StepLR(new optim.Adam([w.ones(1)]), 1, 1, { lastEpoch: 3 }),
      "param 'initial_lr' is not specified in param_groups[0] when resuming an optimizer",
    ],
  ];
  for (const [body, message] of errors) expect(body).toThrow(message);
  const cycle = new optim.OneCycleLR(o, { maxLr: 2, totalSteps: 2 });
  for (let step = 0; step < 2; step++) cycle.step();
  expect(() => cycle.step()).toThrow('Tried to step 4 times. The specified number of total steps is 2');
});

test('schedules go on from a step', () => {
  const o = new optim.SGD([w.ones(1).requiresGrad_()], { lr: 1 });
  const first = new optim.CosineAnnealingLR(o, 10);
  for (let step = 0; step < 3; step++) first.step();
  const rates = first.getLastLr();
  const second = new optim.CosineAnnealingLR(o, 10, 0, { lastEpoch: 2 });
  expect(second.getLastLr()[0]).toBeCloseTo(rates[0], 14);
});

test('gradients become zeros, or null when that is asked for', () => {
  const x = w.ones(2).requiresGrad_();
  const optimizer = new optim.SGD([x], { lr: 1 });
  x.mul(3).sum().backward();
  const { grad } = x;
  optimizer.zeroGrad();
  expect([x.grad === grad, x.grad!.tolist()]).toEqual([true, [0, 0]]);
  optimizer.zeroGrad(true);
  expect(x.grad).toBe(null);
});

test('options that change from step to step need no new graph', () => {
  const x = w.ones(2).requiresGrad_();
  const optimizer = new optim.SGD([x], { lr: 0.1, momentum: 0.5 });
  for (const momentum of [0.5, 0.25, 0.75]) {
    optimizer.setMomentum(optimizer.paramGroups[0], momentum);
    x.grad = w.ones(2);
    optimizer.step();
  }
  // Buffers 1, 1.25, 1.9375.
  expect(x.tolist()).toEqual([expect.closeTo(1 - 0.41875, 6), expect.closeTo(1 - 0.41875, 6)]);
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
