// Memory limits kept: the search for how much has to be computed again, in one graph or in a derivative of two.
import type { Device } from '@weft/devices';
import type { DifferentiateOptions, Differentiated, Graph } from '@weft/ir';
import { differentiate, dtypes, numel, specOf } from '@weft/ir';
import type { Pass } from '../passes/index.ts';
import { optimize, runPass } from '../passes/index.ts';
import { MemoryLimitError, bytesText } from './bytes.ts';
import { recompute } from './recompute.ts';
import { memorySpans } from './spans.ts';

/** The pass that has a graph take at most `target` bytes by its own estimate, or as little as can be had. */
export const recomputePass = (target: number): Pass => ({
  name: 'recompute',
  level: 'core',
  summary:
    'Computes values again where keeping them until they are read would take more memory than there may be.',
  run: (graph) => recompute(graph, target).nodes > 0,
});

/** What is tried: the bytes that it takes, and the estimate of them that it was planned by. */
export interface Attempt<T> {
  readonly made: T;
  readonly measured: number;
  readonly estimated: number;
}

const mostAttempts = 6;

/**
 * Finds what takes at most `limit` bytes when it runs: estimates are held against what is measured, and the plan made anew.
 * @param attempt makes it by a plan for so many estimated bytes
 * @param what is made, for the error
 * @throws MemoryLimitError with the least that could be reached
 */
export function withinLimit<T>(limit: number, what: string, attempt: (target: number) => Attempt<T>): T {
  const plain = attempt(Infinity);
  let best = plain;
  let last = plain;
  let target = Infinity;
  for (let tried = 1; best.measured > limit && target > 0; tried++) {
    // By what the last attempt took, and lower each time; at the end all that can be had.
    const isLeast = tried > 1 && last.estimated > target;
    const next = Math.min((limit / last.measured) * last.estimated, 0.85 * target);
    target = isLeast || tried >= mostAttempts ? 0 : next;
    last = attempt(target);
    if (last.measured < best.measured) best = last;
  }
  if (best.measured <= limit) return best.made;
  throw new MemoryLimitError(
    `${what} needs ${bytesText(plain.measured)} of memory for what it computes; by computing activations again it gets down to ${bytesText(best.measured)}, and memoryLimit is ${bytesText(limit)}: raise it, or give smaller batches (in trainStep, 'accumulate' sums their gradients)`,
  );
}

/** Has a graph take at most `limit` bytes, in place. `measure` says what one takes. Returns whether it was changed. Throws MemoryLimitError. */
export function fitMemory(graph: Graph, limit: number, measure: (graph: Graph) => number): boolean {
  const target = withinLimit(limit, 'the step', (bytes) => {
    const copy = graph.clone();
    if (bytes < Infinity) runPass(recomputePass(bytes), copy);
    return { made: bytes, measured: measure(copy), estimated: memorySpans(copy).peak.bytes };
  });
  return target < Infinity && runPass(recomputePass(target), graph);
}

/**
 * The derivative of a graph whose forward and backward graphs, with what is saved between them, take at most `limit` bytes on a
 * device. Throws MemoryLimitError.
 */
export function differentiateWithin(
  limit: number,
  graph: Graph,
  options: DifferentiateOptions,
  device: Device,
): Differentiated {
  return withinLimit(limit, 'the call', (bytes) => {
    let estimated = 0;
    const made = differentiate(graph, {
      ...options,
      rewrite: (joint) => {
        if (bytes < Infinity) runPass(recomputePass(bytes), joint);
        estimated = memorySpans(joint).peak.bytes;
      },
    });
    const own = made.forward.outputs.slice(graph.outputs.length).map(specOf);
    const saved = own.reduce((sum, { dtype, sizes }) => sum + numel(sizes) * dtypes[dtype].bytes, 0);
    const [forward, backward] = [made.forward, made.backward].map((part) => {
      const copy = part.clone();
      optimize(copy, 'core');
      return device.compile(copy, {}).memory;
    });
    return { made, measured: saved + Math.max(forward, backward), estimated };
  });
}
