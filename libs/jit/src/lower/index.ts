export { lowerFunction, lowerGraph, lowerModule } from './module.ts';
export type { LowerOptions, LoweredInput, LoweredModule, LoweredTensor, OutputStructure } from './module.ts';
export type { LoweringInput } from './arguments.ts';
export { fixedInputs, lowerExactly } from './exact.ts';
export type { ViewCall } from './symbolic.ts';
export type { ExactLowering, ExactOptions, OperandSource, ResultStructure } from './exact.ts';
export type { HostStep, HostValue } from './host-steps.ts';
