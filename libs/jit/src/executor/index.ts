export { executorState, runFunction, runMethod } from './executor.ts';
export type { ExecutorState } from './executor.ts';
export type { Pattern } from './pattern.ts';
export { setExecutor } from './settings.ts';
export type { ExecutorSettings } from './settings.ts';
export { splitGraph } from './fixed-part.ts';
export type { SplitGraph } from './fixed-part.ts';
