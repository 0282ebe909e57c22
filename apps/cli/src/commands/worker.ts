// weft worker: one worker of a cluster on several machines, in the foreground.
import type { Command } from 'commander';
import { workerCommand as addOptions, workerMain } from '@weft/worker';
import { Output } from '../output.ts';

export function workerCommand(program: Command): void {
  const command = program.command('worker');
  addOptions(command, async (options) => {
    const output = new Output(command.opts());
    const onReady = (worker: string, address: string): void => {
      output.line(`worker ${worker} serves other workers at ${address}`);
      output.record('ready', { worker, address });
    };
    process.exit(await workerMain({ ...options, onReady }));
  }).option('--json', 'one JSON object a line');
}
