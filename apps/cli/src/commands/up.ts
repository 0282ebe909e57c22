// weft up: a scheduler and workers on this machine until Ctrl-C. All of it ends with this process.
import type { Command } from 'commander';
import { defaultPort } from '@weft/scheduler';
import type { DeviceFlags } from '@weft/worker';
import { addDeviceOptions, deviceNamesOf, count, deviceOptionsOf, portNumber } from '@weft/worker';
import type { ClusterStatus, LocalCluster } from 'weft';
import { WeftError, startLocalCluster } from 'weft';
import { openDevices } from '../open-devices.ts';
import { Output } from '../output.ts';
import { onSignal } from '../signals.ts';

interface Flags extends DeviceFlags {
  readonly workers: number;
  readonly host: string;
  readonly port: number;
  readonly directory?: string;
  readonly json?: boolean;
}

export function upCommand(program: Command): void {
  const command = program
    .command('up')
    .description('run a scheduler and workers on this machine until Ctrl-C')
    .option('--workers <count>', 'worker processes', count, 2)
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port of the scheduler; 0 takes a free one', portNumber, defaultPort)
    .option(
      '--directory <folder>',
      'where jobs, data and checkpoints are kept (default: a temporary folder)',
    );
  addDeviceOptions(command, 'devices of every worker, in order of preference')
    .option('--json', 'one JSON object a line')
    .action(up);
}

const lookEveryMs = 250;

async function up(flags: Flags): Promise<void> {
  if (flags.workers < 1) throw new WeftError('--workers 0 leaves nobody to work; give 1 or more');
  const output = new Output(flags);
  // Here a wrong name is told once; in the workers it would be told by each, again and again.
  await openDevices(flags);
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const removeHandlers = onSignal(() => end());
  let cluster: LocalCluster | undefined;
  try {
    // A signal while it starts is obeyed once there is something to close.
    cluster = await startLocalCluster({
      workers: flags.workers,
      host: flags.host,
      port: flags.port,
      devices: deviceNamesOf(flags),
      deviceOptions: deviceOptionsOf(flags),
      ...(flags.directory === undefined ? {} : { directory: flags.directory }),
      // What workers say before all have joined is part of the error.
      onWorkerOutput: (worker, text) =>
        cluster === undefined || process.stderr.write(`${worker}: ${text.trimEnd()}\n`),
    });
    output.line(`scheduler listens at ${cluster.address}`);
    output.record('ready', { address: cluster.address, directory: cluster.directory });
    const members = new Membership(output);
    for (let isOver = false; !isOver;) {
      members.update((await cluster.client.status()).workers);
      isOver = await Promise.race([ended.then(() => true), pause(lookEveryMs), stopped(cluster)]);
    }
    output.line('stopping');
  } finally {
    await cluster?.close();
    removeHandlers();
  }
  output.record('stopped', {});
}

const pause = (ms: number): Promise<false> =>
  new Promise((resolve) => void setTimeout(() => resolve(false), ms));

/** A client may tell the scheduler to end. */
const stopped = (cluster: LocalCluster): Promise<true> => cluster.scheduler.ended.then(() => true as const);

/** Says who comes and who goes. */
class Membership {
  private known = new Map<string, number>();

  constructor(private readonly output: Output) {}

  update(workers: ClusterStatus['workers']): void {
    const now = new Map(workers.map(({ worker, pid }) => [worker, pid]));
    for (const [worker, pid] of this.known) {
      if (now.get(worker) === pid) continue;
      this.output.line(`${worker} left`);
      this.output.record('left', { worker, pid });
    }
    for (const { worker, pid, devices } of workers) {
      if (this.known.get(worker) === pid) continue;
      const names = devices.map(({ type, index }) => `${type}:${index}`);
      this.output.line(`${worker} joined: process ${pid}, ${names.join(', ')}`);
      this.output.record('joined', { worker, pid, devices: names });
    }
    this.known = now;
  }
}
