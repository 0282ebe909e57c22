export { checkDecisions } from './decisions.ts';
export { isOpen, lengthAt } from './dimension.ts';
export type { Dimension } from './dimension.ts';
export { openGraph } from './open-graph.ts';
export type { OpenedGraph } from './open-graph.ts';
export { Samples } from './samples.ts';
export type { OpenSize, Point } from './samples.ts';
