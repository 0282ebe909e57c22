// torch.optim and the gradient clipping of torch.nn.utils.
export * from './clip.ts';
export * from './compiled-optimizer.ts';
export * from './composed-schedulers.ts';
export * from './cyclic-schedulers.ts';
export * from './lbfgs.ts';
export { Optimizer, OptimizerStateError } from './optimizer.ts';
export type {
  GroupOptions,
  OptimizerStateDict,
  ParameterGroup,
  Parameters,
  StateValue,
} from './optimizer.ts';
export * from './optimizers.ts';
export * from './schedulers.ts';
export { LRScheduler } from './scheduler.ts';
export type { ScheduleOptions, SchedulerState } from './scheduler.ts';
