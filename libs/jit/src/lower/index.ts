export { lowerFunction, lowerGraph, lowerModule } from './module.ts';
export type {
  LowerOptions,
  LoweredInput,
  LoweredModule,
  LoweredTensor,
  LoweringInput,
  OutputStructure,
} from './module.ts';
