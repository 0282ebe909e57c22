// The worker process: its command line. What a worker is stands in @weft/cluster.
import { InvalidArgumentError, Command } from 'commander';
import type { WorkerMainOptions } from '@weft/cluster';
import { workerMain } from '@weft/cluster';
import type { DeviceFlags } from './options.ts';
import { addDeviceOptions, deviceNamesOf, deviceOptionsOf, portNumber } from './options.ts';

export { runWorker, workerMain } from '@weft/cluster';
export type { WorkerHandle, WorkerMainOptions, WorkerOptions } from '@weft/cluster';
export * from './options.ts';

interface Flags extends DeviceFlags {
  readonly scheduler: string;
  readonly name?: string;
  readonly host: string;
  readonly port: number;
  readonly cache?: string;
  readonly patience: number;
  readonly parentPipe?: boolean;
}

const seconds = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('a number is expected');
  return value;
};

/** Adds the worker's options to a command; `run` gets what they mean. The `weft worker` command and the process share them. */
export function workerCommand(command: Command, run: (options: WorkerMainOptions) => Promise<void>): Command {
  command
    .description('run a worker: takes programs from a scheduler and runs them on the devices of this machine')
    .requiredOption('--scheduler <host:port>', 'address of the scheduler')
    .option('--name <name>', 'unique name in the cluster (default: host and process number)');
  return addDeviceOptions(command)
    .option('--host <host>', 'address at which other workers reach this one', '127.0.0.1')
    .option('--port <port>', 'port for other workers; 0 takes a free one', portNumber, 0)
    .option('--cache <folder>', 'where data from the scheduler is kept (default: a temporary folder)')
    .option('--patience <seconds>', 'how long to try for a scheduler that is away', seconds, 30)
    .option('--parent-pipe', 'end when standard input closes')
    .action((flags: Flags) => run(optionsOf(flags)));
}

function optionsOf(flags: Flags): WorkerMainOptions {
  return {
    scheduler: flags.scheduler,
    devices: deviceNamesOf(flags),
    deviceOptions: deviceOptionsOf(flags),
    host: flags.host,
    port: flags.port,
    limits: { orphanMs: flags.patience * 1000 },
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.cache === undefined ? {} : { cache: flags.cache }),
    ...(flags.parentPipe === undefined ? {} : { parentPipe: true }),
  };
}

/** The process: parses its arguments, runs a worker, exits with its status. */
export async function main(argv: readonly string[]): Promise<void> {
  const command = workerCommand(new Command('weft-worker'), async (options) => {
    const status = await workerMain({
      ...options,
      onReady: (name, address) => process.stdout.write(`worker ${name} serves other workers at ${address}\n`),
    });
    process.exit(status);
  });
  await command.parseAsync([...argv]);
}
