// Archives: TorchScript's `.pt` files, read and written.
export { load } from './read.ts';
export type { LoadOptions } from './read.ts';
export { save, saveToBytes } from './write.ts';
export type { SaveOptions, Saveable } from './write.ts';
export { runCase } from './corpus.ts';
export type { CaseOptions, CaseResult } from './corpus.ts';
export { openWorkload, workOf, workloadOf } from './workload.ts';
export type { Work, Workload, WorkloadCall } from './workload.ts';
export { CallError, bindCall } from './call-arguments.ts';
export { placeOf } from './operator-places.ts';
export type { OperatorPlace } from './operator-places.ts';
export { operatorsUsed } from './unsupported.ts';
export type { UsedOperator } from './unsupported.ts';
