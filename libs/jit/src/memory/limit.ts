// Memory limits: how they are written, what is said when they cannot be kept, and the search for how much has to be computed again.
import type { Graph } from '@weft/ir';
import { WeftError } from '@weft/ir';
import type { Pass } from '../passes/index.ts';
import { runPass } from '../passes/index.ts';
import { recompute } from './recompute.ts';
import { memorySpans } from './spans.ts';

/** A limit that cannot be kept. */
export class MemoryLimitError extends WeftError {}

const units: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** Bytes of a limit: a number of them, or text such as `512MB`, `1.5 GiB`. Throws WeftError for anything else. */
export function limitInBytes(limit: number | string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMG]i?B|B)\s*$/i.exec(String(limit));
  const bytes =
    typeof limit === 'number'
      ? limit
      : match === null
        ? NaN
        : Number(match[1]) * units[match[2].toUpperCase()];
  if (Number.isFinite(bytes) && bytes > 0) return bytes;
  throw new WeftError(
    `memoryLimit is ${typeof limit === 'string' ? `'${limit}'` : limit}; it is a number of bytes, or text such as '512MB' or '1.5GiB'`,
  );
}

export const bytesText = (bytes: number): string =>
  bytes < 1e4 ? `${Math.ceil(bytes)} bytes` : bytes < 1e7 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`; // prettier-ignore

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
  let target = Infinity;
  for (let tried = 0; best.measured > limit && tried < mostAttempts; tried++) {
    const scale = (limit / best.measured) * best.estimated;
    // The last is for all that can be had.
    target = tried === mostAttempts - 1 ? 0 : Math.min(scale, 0.95 * target);
    const next = attempt(target);
    const isLeast = next.estimated > target;
    if (next.measured < best.measured || next.measured <= limit) best = next;
    if (isLeast) break;
  }
  if (best.measured <= limit) return best.made;
  throw new MemoryLimitError(
    `${what} needs ${bytesText(plain.measured)} of memory for what it computes; by computing activations again it gets down to ${bytesText(best.measured)}, and memoryLimit is ${bytesText(limit)}: raise it, or give smaller batches (in trainStep, 'accumulate' sums their gradients)`,
  );
}

/** Has a graph take at most `limit` bytes, in place. `measure` says what one takes. Throws MemoryLimitError. */
export function fitMemory(graph: Graph, limit: number, measure: (graph: Graph) => number): void {
  const target = withinLimit(limit, 'the step', (bytes) => {
    const copy = graph.clone();
    if (bytes < Infinity) runPass(recomputePass(bytes), copy);
    return { made: bytes, measured: measure(copy), estimated: memorySpans(copy).peak.bytes };
  });
  if (target < Infinity) runPass(recomputePass(target), graph);
}
