// Derivatives of the elementwise operators.
import type { CoreOperator } from '../operator.ts';

export const elementwiseVjps: Readonly<Record<string, CoreOperator['vjp']>> = {};
