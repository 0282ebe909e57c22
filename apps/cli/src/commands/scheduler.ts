// weft scheduler: the scheduler of a cluster on several machines, in the foreground.
import type { Command } from 'commander';
import { schedulerCommand as addOptions, schedulerMain } from '@weft/scheduler';
import { Output } from '../output.ts';

export function schedulerCommand(program: Command): void {
  const command = program.command('scheduler');
  addOptions(command, async (options) => {
    const output = new Output(command.opts());
    const status = await schedulerMain(options, (address) => {
      output.line(`scheduler listens at ${address}`);
      output.record('ready', { address });
    });
    process.exit(status);
  }).option('--json', 'one JSON object a line');
}
