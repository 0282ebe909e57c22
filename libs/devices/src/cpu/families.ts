// The operators that have native kernels of their own, by name. Elementwise ones are pointwise.ts's.
import type { Node } from '@weft/ir';
import { blockedFamily } from './blocked/convolution.ts';
import { convolutionFamily } from './convolution.ts';
import { copyFamily } from './copy.ts';
import { dotFamily } from './dot.ts';
import { indexingFamily } from './indexing.ts';
import { reduceFamily } from './reduce.ts';
import type { NativeFamily } from './step.ts';
import { windowFamily } from './window.ts';

const families: readonly NativeFamily[] = [
  blockedFamily,
  convolutionFamily,
  copyFamily,
  dotFamily,
  indexingFamily,
  reduceFamily,
  windowFamily,
];

const byOperator = new Map(
  families.flatMap((family) => family.operators.map((operator) => [operator, family] as const)),
);

export const nativeFamilyOf = (node: Node): NativeFamily | undefined =>
  node.kind.startsWith('core::') ? byOperator.get(node.operator) : undefined;
