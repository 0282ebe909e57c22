export { Code, codeOf } from './code.ts';
export { Frame } from './frame.ts';
export { methodOf } from './methods.ts';
export type { RunContext, RunOptions } from './frame.ts';
export { ScriptRuntimeError } from './errors.ts';
export type { TraceEntry } from './errors.ts';
export { isInstance } from './is-instance.ts';
export { isRunnable } from './operators.ts';
export { materialize } from './constants.ts';
