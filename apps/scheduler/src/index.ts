// The scheduler process: its command line. What a scheduler is stands in @weft/cluster.
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { SchedulerOptions } from '@weft/cluster';
import { runScheduler } from '@weft/cluster';

export { runScheduler } from '@weft/cluster';
export type { SchedulerHandle, SchedulerOptions } from '@weft/cluster';

interface Flags {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
}

const portNumber = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65535)
    throw new InvalidArgumentError('a port number is expected');
  return value;
};

export const defaultPort = 7461;

/** Adds the scheduler's options to a command. The `weft scheduler` command and the process share them. */
export function schedulerCommand(
  command: Command,
  run: (options: SchedulerOptions) => Promise<void>,
): Command {
  return command
    .description('run a scheduler: places jobs on the workers that connect to it')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 takes a free one', portNumber, defaultPort)
    .option('--directory <folder>', 'where jobs, data and checkpoints are kept', join('.weft', 'scheduler'))
    .action((flags: Flags) => run({ host: flags.host, port: flags.port, directory: flags.directory }));
}

/** Runs a scheduler until it is told to end or a signal comes; resolves with the exit status. */
export async function schedulerMain(
  options: SchedulerOptions,
  onReady: (address: string) => void = () => {},
): Promise<number> {
  try {
    const scheduler = await runScheduler(options);
    // Workers stay: a scheduler that comes back finds them.
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => void scheduler.stop(`${signal} came`, false));
    onReady(scheduler.address);
    await scheduler.ended;
    return 0;
  } catch (error) {
    process.stderr.write(`weft scheduler: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

/** The process: parses its arguments, runs a scheduler, exits with its status. */
export async function main(argv: readonly string[]): Promise<void> {
  const command = schedulerCommand(new Command('weft-scheduler'), async (options) => {
    const status = await schedulerMain(options, (address) =>
      process.stdout.write(`scheduler listens at ${address}\n`),
    );
    process.exit(status);
  });
  await command.parseAsync([...argv]);
}
