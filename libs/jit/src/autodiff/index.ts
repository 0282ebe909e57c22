export { differentiateTorchGraph } from './differentiate.ts';
export type { TorchDerivative, TorchDerivativeOptions } from './differentiate.ts';
