// A profile of compiled runs: kernel by kernel, as the device runs them.
import type { ir } from 'weft';
import { devices } from 'weft';
import { median, timed } from '../timing.ts';
import type { TraceSpan } from './trace.ts';
import { placeOf } from './trace.ts';

/** What one kernel of the compiled graph took; kernels at other places of the graph are others. */
export interface KernelLine {
  readonly kernel: string;
  /** Core operators that it computes. */
  readonly operators: string;
  /** Dtype and shape of what it gives, `float32[1, 64]`. */
  readonly result: string;
  readonly source: string;
  /** The call that led there, where it is known, else the code at `source`. */
  readonly code: string;
  /** Milliseconds of a run, the median of all. */
  readonly median: number;
  /** Times in a run. */
  readonly calls: number;
  /** Operations a second in the median time; absent where it does none. */
  readonly flops?: number;
}

export interface KernelProfile {
  readonly spans: readonly TraceSpan[];
  /** The slowest first. */
  readonly lines: readonly KernelLine[];
  /** Milliseconds of a run as a whole, recorded and not: medians. */
  readonly recorded: number;
  readonly unrecorded: number;
  readonly dropped: number;
}

/** Runs three times for warming up, `runs` times as it is, and as often with its kernels recorded one by one. */
export function kernelProfile(run: () => void, runs: number): KernelProfile {
  for (let warm = 0; warm < 3; warm++) run();
  const unrecorded = Array.from({ length: runs }, () => timed(run));
  const recorder = new devices.KernelRecorder();
  const spans: TraceSpan[] = [];
  const recorded: number[] = [];
  const perKernel = new Map<devices.KernelInfo, number[][]>();
  for (let each = 0; each < runs; each++) {
    const first = recorder.spans.length;
    const start = performance.now();
    devices.recordKernels(recorder, run);
    const duration = performance.now() - start;
    recorded.push(duration);
    spans.push({ name: `run ${each + 1}`, category: 'run', start, duration });
    for (const { kernel, device, start, duration } of recorder.spans.slice(first)) {
      const times = perKernel.get(kernel) ?? Array.from({ length: runs }, () => []);
      times[each].push(duration);
      perKernel.set(kernel, times);
      const { operators, sources, flops } = kernel;
      const args = {
        ...{ device, operators, flops, result: resultOf(kernel) },
        ...{
          source: sources.map(String),
          calls: callersOf(sources[0]).map(String),
          code: placeOf(sources[0]).code,
        },
      };
      spans.push({ name: kernel.name, category: 'kernel', start, duration, args });
    }
  }
  const lines = [...perKernel].map(([info, times]): KernelLine => {
    const took = median(times.map((each) => each.reduce((sum, time) => sum + time, 0)));
    const calls = Math.max(...times.map(({ length }) => length));
    return {
      ...{ kernel: info.name, operators: operatorsOf(info), result: resultOf(info), ...callOf(info) },
      ...{ median: took, calls, flops: info.flops === 0 ? undefined : (info.flops * calls * 1000) / took },
    };
  });
  lines.sort((a, b) => b.median - a.median);
  const { dropped } = recorder;
  return { spans, lines, recorded: median(recorded), unrecorded: median(unrecorded), dropped };
}

/** `dot_general, add, maximum`; what comes again is left out. */
function operatorsOf({ operators }: devices.KernelInfo): string {
  const [most, text] = [32, [...new Set(operators)].join(', ')];
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

const resultOf = ({ result }: devices.KernelInfo): string =>
  result === undefined ? '' : `${result.dtype}[${result.sizes.join(', ')}]`;

/** The calls that led to a place, innermost first. */
const callersOf = (source: ir.SourceRange | undefined): ir.SourceRange[] =>
  source?.caller === undefined ? [] : [source.caller, ...callersOf(source.caller)];

/** Modules of the library are called from code that tells more: `linear.py:114` from `self.query(x)`. */
function callOf({ sources: [source] }: devices.KernelInfo): { source: string; code: string } {
  const place = placeOf(source);
  const caller = source?.caller === undefined ? undefined : placeOf(source.caller);
  return caller === undefined ? place : { source: place.source, code: `${caller.source} ${caller.code}` };
}
