// The passes that every compiled function goes through, as in PyTorch: they give graphs their usual shape.
import type { Graph } from '@weft/ir';
import { canonicalizeOutputs } from '../passes/canonicalize-outputs.ts';
import { poolConstants } from '../passes/constant-pooling.ts';
import { propagateConstants } from '../passes/constant-propagation.ts';
import { lowerSimpleTuples } from '../passes/lower-simple-tuples.ts';
import { normalizeOps } from '../passes/normalize-ops.ts';
import { liftClosures } from './lift-closures.ts';

export function cleanUp(graph: Graph): void {
  liftClosures(graph, cleanUp);
  normalizeOps(graph);
  lowerSimpleTuples(graph);
  propagateConstants(graph);
  poolConstants(graph);
  canonicalizeOutputs(graph);
}
