// Every optimizer with every option, and every schedule, against what PyTorch recorded (tools/make-optimizer-cases.py).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { DType } from '@weft/ir';
import { isComplex, realDType } from '@weft/ir';
import * as w from '../index.ts';
import type { Tensor } from '../index.ts';
import { optim } from '../index.ts';
import { camelCase } from './optimizer.ts';

interface TensorData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}
type Options = Readonly<Record<string, unknown>>;
interface Recorded {
  readonly updates: readonly {
    readonly name: string;
    readonly dtype: DType;
    readonly options: Options;
    readonly groups: readonly (Options & { params: number[] })[] | null;
    readonly parameters: readonly TensorData[];
    readonly stateDict: { state: Record<number, Options>; param_groups: readonly Options[] };
  }[];
  readonly schedules: readonly {
    readonly name: string;
    readonly options: Options;
    readonly optimizer: string;
    readonly steps: number;
    readonly jump: number | null;
    readonly measure: readonly (number | string)[] | null;
    readonly rates: readonly (readonly [number, number])[][];
    readonly state: Options;
  }[];
  readonly searches: readonly {
    readonly dtype: DType;
    readonly options: Options;
    readonly losses: readonly number[];
    readonly evaluations: number;
    readonly iterations: number;
    readonly x: TensorData;
    readonly y: TensorData;
  }[];
}
const recorded = JSON.parse(readFileSync(join(__dirname, 'pytorch.fixture.json'), 'utf8')) as Recorded;

const inCamelCase = (options: Options): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [camelCase(name), value]));

// ---- updates --------------------------------------------------------------------------------------------------------

const shapes = [[3], [2, 2], []];
const steps = 7;

function filled(shape: readonly number[], seed: number, scale: number, dtype: DType): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = (from: number): number[] =>
    Array.from({ length: count }, (_, index) => scale * Math.sin(1.3 * from + 0.7 * index));
  const real = w.tensor(values(seed), { dtype: 'float64' });
  const whole = isComplex(dtype) ? w.complex(real, w.tensor(values(seed + 0.5), { dtype: 'float64' })) : real;
  return whole.to(dtype).reshape(shape);
}

function gradient(step: number, number: number, dtype: DType): Tensor | null {
  if (number === 1 && (step === 2 || step === 3)) return null;
  const grad = filled(shapes[number], step + 10 * number, 0.5, dtype);
  if (step % 3 === 0 && number === 0) grad.select(0, 1).zero_();
  return grad;
}

const tolerances: Partial<Record<DType, number>> = {
  float64: 1e-13,
  complex128: 1e-13,
  // PyTorch rounds the last elements of a vector differently from the others.
  bfloat16: 1e-2,
  int64: 0,
};

function numbersIn(value: Tensor): number[] {
  const parts = isComplex(value.dtype) ? w.viewAsReal(value) : value;
  return parts.to('float64').reshape(-1).tolist() as number[];
}

/** What differs from the recorded value; null when it agrees. */
function difference(where: string, actual: unknown, expected: unknown, like?: DType): string | null {
  const isData = typeof expected === 'object' && expected !== null && 'data' in expected;
  if (actual instanceof w.Tensor && isData) {
    const { dtype, shape, data } = expected as TensorData;
    if (actual.dtype !== dtype || actual.sizes.join() !== shape.join()) {
      return `${where}: ${actual.dtype}[${actual.sizes.join()}], PyTorch ${dtype}[${shape.join()}]`;
    }
    const tolerance = tolerances[like ?? dtype] ?? 2e-6;
    const found = numbersIn(actual);
    const wrong = found.findIndex(
      (each, index) => !(Math.abs(each - Number(data[index])) <= tolerance * (1 + Math.abs(each))),
    );
    return wrong < 0 ? null : `${where}[${wrong}]: ${found[wrong]}, PyTorch ${data[wrong]}`;
  }
  return JSON.stringify(actual) === JSON.stringify(expected)
    ? null
    : `${where}: ${JSON.stringify(actual)}, PyTorch ${JSON.stringify(expected)}`;
}

/** @param loadedLike the parameters' dtype when the state was taken on from a dict: PyTorch converts all of it, numbers too */
function stateDifferences(
  actual: optim.OptimizerStateDict,
  expected: Recorded['updates'][number]['stateDict'],
  loadedLike?: DType,
): (string | null)[] {
  const differences: (string | null)[] = [];
  for (const [number, entries] of Object.entries(expected.state)) {
    const own = actual.state[Number(number)] as Options | undefined;
    // PyTorch's SGD notes None where there is no momentum.
    const there = Object.entries(entries).filter(([, value]) => value !== null);
    differences.push(
      difference(`names of ${number}`, Object.keys(own ?? {}).sort(), there.map(([name]) => name).sort()),
    );
    for (const [name, value] of there) {
      const found = own?.[name];
      const isCast = loadedLike !== undefined && found instanceof w.Tensor;
      const compared = isCast ? found.to((value as TensorData).dtype) : found;
      differences.push(difference(`${name} of ${number}`, compared, value, loadedLike));
    }
  }
  const sorted = (group: Options): unknown => Object.entries(group).sort(([a], [b]) => (a < b ? -1 : 1));
  differences.push(difference('groups', actual.param_groups.map(sorted), expected.param_groups.map(sorted)));
  return differences;
}

type OptimizerClass = new (parameters: optim.Parameters, options?: unknown) => optim.Optimizer;
const optimizerClass = (name: string): OptimizerClass =>
  (optim as unknown as Record<string, OptimizerClass>)[name];

function makeOptimizer(
  { name, options, groups }: Recorded['updates'][number],
  parameters: readonly Tensor[],
): optim.Optimizer {
  const given =
    groups === null
      ? parameters
      : groups.map(({ params, ...own }) => ({
          parameters: params.map((index) => parameters[index]),
          ...inCamelCase(own),
        }));
  return new (optimizerClass(name))(given as optim.Parameters, inCamelCase(options));
}

const decoded = ({ dtype, shape, data }: TensorData): Tensor => {
  const numbers = w.tensor(data.map(Number), { dtype: 'float64' });
  if (!isComplex(dtype)) return numbers.to(dtype).reshape(shape);
  return w.viewAsComplex(numbers.to(realDType(dtype)).reshape([...shape, 2]));
};

describe.each([...new Set(recorded.updates.map(({ name }) => name))])('%s', (name) => {
  const own = recorded.updates.filter((each) => each.name === name);
  test.each(own.map((each) => [`${JSON.stringify(each.options)} in ${each.dtype}`, each] as const))(
    '%s',
    (_, entry) => {
      const { dtype, parameters: expected, stateDict } = entry;
      const parameters = shapes.map((shape, number) => filled(shape, number, 1, dtype).requiresGrad_());
      const optimizer = makeOptimizer(entry, parameters);
      for (let step = 0; step < steps; step++) {
        parameters.forEach((parameter, number) => (parameter.grad = gradient(step, number, dtype)));
        optimizer.step();
      }
      const differences = expected.map((each, number) =>
        difference(`parameter ${number}`, parameters[number].detach(), each),
      );
      expect(
        [...differences, ...stateDifferences(optimizer.stateDict(), stateDict)].filter(
          (each) => each !== null,
        ),
      ).toEqual([]);
      // PyTorch's own state is taken on as it is.
      const other = makeOptimizer(entry, parameters);
      const state = Object.fromEntries(
        Object.entries(stateDict.state).map(([number, entries]) => [
          number,
          Object.fromEntries(
            Object.entries(entries).map(([key, value]) => [
              key,
              typeof value === 'object' && value !== null ? decoded(value as TensorData) : value,
            ]),
          ),
        ]),
      ) as optim.OptimizerStateDict['state'];
      other.loadStateDict({ state, param_groups: stateDict.param_groups as never });
      expect(stateDifferences(other.stateDict(), stateDict, dtype).filter((each) => each !== null)).toEqual(
        [],
      );
    },
  );
});

// ---- schedules ------------------------------------------------------------------------------------------------------

type Schedule = optim.LRScheduler | optim.ReduceLROnPlateau;

function makeSchedule(name: string, options: Options, o: optim.Optimizer): Schedule {
  const given = inCamelCase(options);
  const at = <T>(key: string): T => given[key] as T;
  switch (name) {
    case 'StepLR':
      return new optim.StepLR(o, at('stepSize'), at('gamma'));
    case 'MultiStepLR':
      return new optim.MultiStepLR(o, at('milestones'), at('gamma'));
    case 'ConstantLR':
      return new optim.ConstantLR(o, at('factor'), at('totalIters'));
    case 'LinearLR':
      return new optim.LinearLR(o, at('startFactor'), at('endFactor'), at('totalIters'));
    case 'ExponentialLR':
      return new optim.ExponentialLR(o, at('gamma'));
    case 'PolynomialLR':
      return new optim.PolynomialLR(o, at('totalIters'), at('power'));
    case 'CosineAnnealingLR':
      return new optim.CosineAnnealingLR(o, at('TMax'), at('etaMin'));
    case 'CosineAnnealingWarmRestarts':
      return new optim.CosineAnnealingWarmRestarts(o, at('T0'), at('TMult'), at('etaMin'));
    case 'CyclicLR':
      return new optim.CyclicLR(o, given as never);
    case 'OneCycleLR':
      return new optim.OneCycleLR(o, given as never);
    case 'ReduceLROnPlateau':
      return new optim.ReduceLROnPlateau(o, given);
    case 'LambdaLR': {
      const decay = (epoch: number): number => 0.9 ** epoch;
      return new optim.LambdaLR(o, at('several') ? [decay, (epoch) => 1 / (1 + epoch)] : decay);
    }
    case 'MultiplicativeLR':
      return new optim.MultiplicativeLR(o, (epoch) => (epoch % 2 === 1 ? 0.9 : 1.05));
    case 'SequentialLR': {
      const parts = [
        new optim.ConstantLR(o, 0.1, 2),
        new optim.ExponentialLR(o, 0.9),
        new optim.StepLR(o, 2, 0.5),
      ];
      return new optim.SequentialLR(o, parts, [3, 8]);
    }
    case 'ChainedScheduler':
      return new optim.ChainedScheduler([new optim.ConstantLR(o, 0.1, 4), new optim.ExponentialLR(o, 0.9)]);
    default:
      throw new Error(`no schedule ${name}`);
  }
}

function makeScheduled(optimizer: string): optim.Optimizer {
  const [a, b] = [w.ones(1).requiresGrad_(), w.ones(1).requiresGrad_()];
  const groups = [{ parameters: [a] }, { parameters: [b], lr: 2 }];
  return optimizer === 'SGD'
    ? new optim.SGD(groups, { lr: 0.5, momentum: 0.9 })
    : new optim.Adam(groups, { lr: 0.5 });
}

test.each(recorded.schedules.map((each) => [`${each.name} ${JSON.stringify(each.options)}`, each] as const))(
  '%s',
  (_, { name, options, optimizer, steps: count, jump, measure, rates, state }) => {
    const o = makeScheduled(optimizer);
    const schedule = makeSchedule(name, options, o);
    const now = (): number[][] => o.paramGroups.map((group) => [group.lr, o.momentumOf(group)]);
    const advance = (each: Schedule, step: number): void => {
      o.step();
      if (each instanceof optim.ReduceLROnPlateau) each.step(Number(measure![step]));
      else if (jump !== null && step === count >> 1) each.step(jump);
      else each.step();
    };
    const found = [now()];
    for (let step = 0; step < count; step++) {
      advance(schedule, step);
      found.push(now());
    }
    rates.flat(2).forEach((expected, index) => {
      const actual = found.flat(2)[index];
      expect({
        index,
        ok: Math.abs(actual - expected) <= 1e-14 * Math.abs(expected),
        actual,
        expected,
      }).toMatchObject({
        ok: true,
      });
    });
    const saved = schedule.stateDict();
    for (const [key, value] of Object.entries(state)) {
      if (!(key in saved)) continue;
      const plain = (each: unknown): unknown =>
        typeof each === 'number'
          ? Number.isFinite(each)
            ? Number(each.toPrecision(14))
            : String(each).replace('Infinity', 'inf')
          : Array.isArray(each)
            ? each.map(plain)
            : each;
      expect([key, plain(saved[key])]).toEqual([key, plain(value)]);
    }
  },
);

test.each(
  recorded.schedules
    .filter(({ jump, name }) => jump === null && name !== 'MultiplicativeLR')
    .map((each) => [`${each.name} ${JSON.stringify(each.options)}`, each] as const),
)('%s goes on from its saved state', (_, { name, options, optimizer, steps: count, measure, rates }) => {
  const step = (each: Schedule, index: number): void => {
    if (each instanceof optim.ReduceLROnPlateau) each.step(Number(measure![index]));
    else each.step();
  };
  const first = makeScheduled(optimizer);
  const before = makeSchedule(name, options, first);
  for (let index = 0; index < 5; index++) step(before, index);
  const second = makeScheduled(optimizer);
  const after = makeSchedule(name, options, second);
  second.loadStateDict(first.stateDict());
  after.loadStateDict(JSON.parse(JSON.stringify(before.stateDict())) as optim.SchedulerState);
  for (let index = 5; index < count; index++) step(after, index);
  const last = second.paramGroups.map((group) => [group.lr, second.momentumOf(group)]);
  last.flat().forEach((each, index) => expect(each).toBeCloseTo(rates[count].flat()[index], 12));
});

// ---- L-BFGS ---------------------------------------------------------------------------------------------------------

test.each(
  recorded.searches.map((each) => [`${JSON.stringify(each.options)} in ${each.dtype}`, each] as const),
)('L-BFGS %s', (_, { dtype, options, losses, evaluations, iterations, x: endX, y: endY }) => {
  const x = w.tensor([-1.2, 1], { dtype }).requiresGrad_();
  const y = w.tensor([[0.5]], { dtype }).requiresGrad_();
  const optimizer = new optim.LBFGS([x, y], inCamelCase(options));
  const closure = (): Tensor => {
    optimizer.zeroGrad();
    const [p, q] = [x.select(0, 0), x.select(0, 1)];
    const loss = q.sub(p.pow(2)).pow(2).mul(100).add(p.neg().add(1).pow(2)).add(y.sub(p).pow(2).sum());
    loss.backward();
    return loss;
  };
  const tolerance = dtype === 'float64' ? 1e-7 : 1e-2;
  const found = losses.map(() => optimizer.step(closure).item());
  found.forEach((each, index) =>
    expect(Math.abs(each - losses[index]) / (Math.abs(losses[index]) + 1e-6)).toBeLessThan(tolerance),
  );
  const end = [...numbersIn(x.detach()), ...numbersIn(y.detach())];
  [...endX.data, ...endY.data].forEach((each, index) =>
    expect(Math.abs(end[index] - Number(each))).toBeLessThan(tolerance),
  );
  if (dtype !== 'float64') return;
  const state = optimizer.stateDict().state[0];
  expect([state.func_evals, state.n_iter]).toEqual([evaluations, iterations]);
});

test('L-BFGS goes on from its saved state', () => {
  const make = (): { x: Tensor; optimizer: optim.LBFGS; closure: () => Tensor } => {
    const x = w.tensor([3, -2, 1], { dtype: 'float64' }).requiresGrad_();
    const optimizer = new optim.LBFGS([x], { maxIter: 3, lineSearchFn: 'strong_wolfe' });
    const closure = (): Tensor => {
      optimizer.zeroGrad();
      const loss = x.pow(4).sum().add(x.sum().pow(2));
      loss.backward();
      return loss;
    };
    return { x, optimizer, closure };
  };
  const whole = make();
  for (let step = 0; step < 4; step++) whole.optimizer.step(whole.closure);
  const [before, after] = [make(), make()];
  for (let step = 0; step < 2; step++) before.optimizer.step(before.closure);
  w.noGrad(() => after.x.copy_(before.x));
  after.optimizer.loadStateDict(before.optimizer.stateDict());
  for (let step = 0; step < 2; step++) after.optimizer.step(after.closure);
  expect(after.x.tolist()).toEqual(whole.x.tolist());
});
