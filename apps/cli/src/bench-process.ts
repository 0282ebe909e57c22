// A process that `weft bench` times one workload in, so that none warms caches or takes memory for another: a request comes
// in, figures go out.
import { WeftError, devices, jit, useHostDevice } from 'weft';
import { argumentsFromSpecs, calleeOf } from './arguments.ts';
import { quantile, timed } from './timing.ts';
import { stateOf } from './workload-state.ts';

export interface BenchRequest {
  /** A folder of a recorded case, or an archive with specs of its arguments. */
  readonly path: string;
  readonly name: string;
  readonly specs?: readonly string[];
  readonly method: string;
  readonly device: string;
  readonly options: devices.DeviceOptions;
  readonly runs: number;
  /** Seconds that the runs may take in all; three are made in any case. */
  readonly limit: number;
}

export interface BenchResult {
  readonly kind: 'inference' | 'training';
  /** How the first method runs after warm-up: `compiled` to a graph, or `not compiled: reason`. */
  readonly state: string;
  readonly runs: number;
  /** Milliseconds. */
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  /** Milliseconds of the first run beyond the median. */
  readonly compile: number;
  /** Bytes: the most the process held. */
  readonly peakMemory: number;
  /** Of one run; absent where the program has no graph to count in. */
  readonly work?: jit.Work;
}

/** Runs and milliseconds after which V8 has optimised even the smallest programs. */
const settled = 10_000;
const settledAfter = 500;

export type BenchAnswer = { readonly result: BenchResult } | { readonly error: string };

process.on('message', (request: BenchRequest) => {
  void answer(request).then((reply) => process.send!(reply, () => process.exit(0)));
});
// Ctrl-C reaches the whole foreground group; the parent decides.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));

async function answer(request: BenchRequest): Promise<BenchAnswer> {
  try {
    return { result: await measure(request) };
  } catch (error) {
    if (error instanceof WeftError) return { error: error.message };
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function measure({ path, name, specs, method, device, options, runs, limit }: BenchRequest) {
  const [opened] = await devices.deviceRegistry.open(device, options);
  useHostDevice(opened);
  // Compiled at once: the interpreter's runs before that are no part of what is asked.
  jit.setExecutor({ profileRuns: 0 });
  const workload = specs === undefined ? jit.openWorkload(path, name) : fromSpecs(path, name, method, specs);
  const first = timed(workload.run);
  // Three runs, then as many as the host's own compiler may need to settle, and half a second since it compiles beside them, within a
  // fourth of the time.
  for (
    let run = 1, spent = first;
    run < 3 || ((run < settled || spent < settledAfter) && spent < limit * 250);
    run++
  ) {
    spent += timed(workload.run);
  }
  const times: number[] = [];
  for (let spent = 0; times.length < runs && (times.length < 3 || spent < limit * 1000);) {
    const each = timed(workload.run);
    times.push(each);
    spent += each;
  }
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  const median = quantile(times, 0.5);
  const result: BenchResult = {
    kind: workload.kind,
    state: stateOf(workload),
    runs: times.length,
    median,
    p10: quantile(times, 0.1),
    p90: quantile(times, 0.9),
    compile: Math.max(0, first - median),
    peakMemory,
    work: jit.workOf(workload),
  };
  return result;
}

function fromSpecs(path: string, name: string, method: string, specs: readonly string[]): jit.Workload {
  const module = jit.load(path);
  const inputs = argumentsFromSpecs(calleeOf(module, method), specs);
  return jit.workloadOf(name, module, [{ method, inputs }]);
}
