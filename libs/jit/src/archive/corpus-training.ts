// Optimizers and schedules of recorded training runs, by PyTorch's names and options.
import type { Parameter } from '@weft/tensor';
import { UnsupportedError } from '@weft/ir';
import { optim } from '@weft/tensor';

export type RecordedOptions = Readonly<Record<string, unknown>> & { readonly name: string };

const optimizers: Readonly<Record<string, string>> = {
  sgd: 'SGD',
  adam: 'Adam',
  adamw: 'AdamW',
  rmsprop: 'RMSprop',
  adagrad: 'Adagrad',
  adadelta: 'Adadelta',
  adamax: 'Adamax',
  nadam: 'NAdam',
  radam: 'RAdam',
  asgd: 'ASGD',
  rprop: 'Rprop',
};

const camel = (name: string): string => name.replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());

function optionsOf({ name: _, ...options }: RecordedOptions): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
}

type OptimizerClass = new (parameters: Iterable<Parameter>, options: unknown) => optim.Optimizer;

export function makeOptimizer(recorded: RecordedOptions, parameters: Iterable<Parameter>): optim.Optimizer {
  const name = optimizers[recorded.name];
  const Class = (optim as unknown as Record<string, OptimizerClass | undefined>)[name];
  if (Class === undefined) throw new UnsupportedError(`optimizer '${recorded.name}' is not there`);
  return new Class(parameters, optionsOf(recorded));
}

export function makeScheduler(recorded: RecordedOptions, optimizer: optim.Optimizer): optim.LRScheduler {
  const options = optionsOf(recorded) as Record<string, number> & { milestones: number[] };
  switch (recorded.name) {
    case 'step':
      return new optim.StepLR(optimizer, options.stepSize, options.gamma);
    case 'multistep':
      return new optim.MultiStepLR(optimizer, options.milestones, options.gamma);
    case 'exponential':
      return new optim.ExponentialLR(optimizer, options.gamma);
    case 'cosine':
      return new optim.CosineAnnealingLR(optimizer, options.TMax, options.etaMin);
    case 'linear':
      return new optim.LinearLR(optimizer, options.startFactor, options.endFactor, options.totalIters);
    case 'constant':
      return new optim.ConstantLR(optimizer, options.factor, options.totalIters);
    case 'onecycle':
      return new optim.OneCycleLR(optimizer, options as unknown as optim.OneCycleOptions);
    case 'cyclic':
      return new optim.CyclicLR(optimizer, options as unknown as optim.CyclicOptions);
    default:
      throw new UnsupportedError(`schedule '${recorded.name}' is not there`);
  }
}
