// What kernels a piece of the program ran and how long each took: devices that run kernels one by one tell it while someone records.
import type { SourceRange, TensorSpec } from '@weft/ir';

/** A kernel of a compiled graph. */
export interface KernelInfo {
  /** As the device names it, such as `dot.float32`. */
  readonly name: string;
  /** Core operators that it computes, in order. */
  readonly operators: readonly string[];
  /** What the last of them gives: a dtype and shape. */
  readonly result?: TensorSpec;
  /** Where in the source they come from; the place of the first operator first. */
  readonly sources: readonly SourceRange[];
  /** Operations of one run. */
  readonly flops: number;
  /** Bytes that its operators read and write, what is kept in registers included. */
  readonly bytes: number;
}

export interface KernelSpan {
  /** The device's type. */
  readonly device: string;
  readonly kernel: KernelInfo;
  /** Milliseconds of `performance.now()`. */
  readonly start: number;
  readonly duration: number;
}

export class KernelRecorder {
  readonly spans: KernelSpan[] = [];
  /** Spans beyond the limit. */
  dropped = 0;

  /** @param limit spans that are kept at most */
  constructor(readonly limit = 1_000_000) {}

  add(span: KernelSpan): void {
    if (this.spans.length < this.limit) this.spans.push(span);
    else this.dropped++;
  }
}

let active: KernelRecorder | undefined;

/** Who records now, for devices. */
export const activeRecorder = (): KernelRecorder | undefined => active;

/**
 * Calls `run` and records the kernels that devices of this thread run meanwhile. Kernels run one by one while they are recorded, each
 * between two readings of the clock. Only what happens before `run` returns is recorded.
 */
export function recordKernels<T>(recorder: KernelRecorder, run: () => T): T {
  const outer = active;
  active = recorder;
  try {
    return run();
  } finally {
    active = outer;
  }
}
