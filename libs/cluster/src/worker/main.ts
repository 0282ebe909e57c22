// A worker as a process of its own. `workerMain` is what every way of starting one ends in: it ties the process to the signals, and
// to its parent when the parent holds its standard input, so that no worker outlives who started it.
import { messageOf } from '../errors.ts';
import type { WorkerOptions } from './shell.ts';
import { runWorker } from './shell.ts';

export interface WorkerMainOptions extends WorkerOptions {
  /** End when standard input closes: the parent holds its other end. */
  readonly parentPipe?: boolean;
  /** Called when the worker is ready to be given work. */
  readonly onReady?: (name: string, bulkAddress: string) => void;
}

/** Runs a worker until it ends; resolves with the exit status. */
export async function workerMain(options: WorkerMainOptions): Promise<number> {
  const leave: { stop?: (reason: string) => void } = {};
  const stop = (reason: string) => {
    // Whatever happens then, the process is gone after this.
    setTimeout(() => process.exit(1), 5_000).unref();
    if (leave.stop === undefined) process.exit(1);
    leave.stop(reason);
  };
  if (options.parentPipe === true) {
    process.stdin.on('end', () => stop('its parent is gone'));
    process.stdin.on('error', () => stop('its parent is gone'));
    process.stdin.resume();
    // Ctrl-C reaches the whole foreground group; the parent decides what becomes of it.
    process.on('SIGINT', () => {});
  } else {
    process.once('SIGINT', () => stop('interrupted'));
  }
  process.once('SIGTERM', () => stop('terminated'));
  try {
    const worker = await runWorker(options);
    leave.stop = (reason) => worker.stop(reason);
    options.onReady?.(worker.name, worker.bulkAddress);
    const { reason, failed } = await worker.ended;
    if (failed) process.stderr.write(`weft worker: ${reason}\n`);
    return failed ? 1 : 0;
  } catch (error) {
    process.stderr.write(`weft worker: ${messageOf(error)}\n`);
    return 1;
  }
}
