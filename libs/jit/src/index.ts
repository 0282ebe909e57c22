// @weft/jit: script, trace, passes, derivatives, the interpreter, archives.
export { script } from './script.ts';
export { trace, TraceError } from './frontend/trace/trace.ts';
export type { TraceOptions, Traced } from './frontend/trace/trace.ts';
export { TracerWarning } from './frontend/trace/tracer-warning.ts';
export { ScriptModule, scriptModuleOf } from './script-module.ts';
export type { Scripted } from './script-module.ts';
export { freeze } from './freeze/freeze.ts';
export type { FreezeOptions } from './freeze/freeze.ts';
export { trainStep } from './training/train-step.ts';
export type { TrainStep, TrainStepOptions } from './training/train-step.ts';
export { MemoryLimitError, limitInBytes } from './memory/bytes.ts';
export { fitMemory, recomputePass } from './memory/limit.ts';
export { wrapFunction } from './script-function.ts';
export type { ScriptedFunction } from './script-function.ts';
export { ArgumentError, Conversion } from './values.ts';
export { ScriptError } from './emit/script-error.ts';
export { inlined } from './inlined.ts';
export { CodePrinter, printClassCode, printFunctionCode } from './print-code.ts';
export type { CodeOptions, Dependency } from './print-code.ts';
export * from './executor/index.ts';
export * from './runtime/index.ts';
export * from './lower/index.ts';
export * from './passes/index.ts';
export { ArchiveError } from '@weft/tensor';
export {
  CallError,
  bindCall,
  load,
  openWorkload,
  operatorsUsed,
  placeOf,
  runCase,
  save,
  saveToBytes,
  workOf,
  workloadOf,
} from './archive/index.ts';
export type {
  CaseOptions,
  CaseResult,
  LoadOptions,
  OperatorPlace,
  SaveOptions,
  Saveable,
  UsedOperator,
  Work,
  Workload,
  WorkloadCall,
} from './archive/index.ts';
export * from './autodiff/index.ts';
