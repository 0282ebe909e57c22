// weft train: trains what a training file defines, on a local cluster or on one that runs already.
import type { Command } from 'commander';
import type { JobProgress, LocalCluster, TrainingDefinition, ir } from 'weft';
import {
  ClusterClient,
  Tensor,
  WeftError,
  hostDevice,
  jit,
  parseMesh,
  prepareTraining,
  startLocalCluster,
  submitTraining,
} from 'weft';
import { collectSetting, loadDefinition } from '../load-definition.ts';
import { Output } from '../output.ts';

interface TrainOptions {
  readonly mesh?: string;
  readonly microBatches?: number;
  readonly schedule?: 'gpipe' | '1f1b';
  readonly steps?: number;
  readonly workers?: number;
  readonly scheduler?: string;
  readonly device?: string[];
  readonly checkpoints?: string;
  readonly output?: string;
  readonly set: Record<string, string>;
  readonly json?: boolean;
}

export function trainCommand(program: Command): void {
  program
    .command('train')
    .description('train what a training file defines, over worker processes')
    .argument('<file>', 'a .ts or .js file that exports a training definition')
    .option('--mesh <axes>', 'logical devices by axis, such as data=2 or pipeline=2,data=2')
    .option('--micro-batches <count>', 'micro-batches a step', Number)
    .option('--schedule <name>', 'gpipe or 1f1b')
    .option('--steps <count>', 'number of the last step', Number)
    .option(
      '--workers <count>',
      'worker processes to start here (default: as many as the mesh has devices)',
      Number,
    )
    .option('--scheduler <address>', 'use the cluster of this scheduler instead of starting one')
    .option('--device <name...>', 'devices of the workers that are started here')
    .option('--checkpoints <folder>', 'keep checkpoints here (a folder that all workers share)')
    .option('--output <file>', 'save the trained module as a TorchScript archive')
    .option('--set <name=value>', 'a setting for the training file (repeatable)', collectSetting, {})
    .option('--json', 'one JSON object a line')
    .action(train);
}

async function train(file: string, options: TrainOptions): Promise<void> {
  const output = new Output(options);
  const settings =
    options.steps === undefined ? options.set : { steps: String(options.steps), ...options.set };
  const definition = await loadDefinition(file, settings);
  const merged: TrainingDefinition = {
    ...definition,
    mesh: options.mesh === undefined ? (definition.mesh ?? {}) : parseMesh(options.mesh).shape,
    microBatches: options.microBatches ?? definition.microBatches,
    schedule: options.schedule ?? definition.schedule,
    steps: options.steps ?? definition.steps,
  };
  const prepared = prepareTraining(merged);
  const size = Object.values(merged.mesh ?? {}).reduce((product, axis) => product * axis, 1);
  let cluster: LocalCluster | undefined;
  const stop = (): void => {
    void (cluster?.close() ?? Promise.resolve()).then(() => process.exit(130));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    let client: ClusterClient;
    if (options.scheduler === undefined) {
      cluster = await startLocalCluster({
        workers: options.workers ?? size,
        ...(options.device === undefined ? {} : { devices: options.device }),
      });
      client = cluster.client;
    } else client = await ClusterClient.connect(options.scheduler);
    const job = await submitTraining(
      client,
      prepared,
      options.checkpoints === undefined ? {} : { checkpointDirectory: options.checkpoints },
    );
    output.line(`job ${job}: ${prepared.name}, ${prepared.steps} steps`);
    await followTraining(client, job, prepared.steps, output);
    if (options.output !== undefined) {
      loadState(merged, await client.state(job));
      jit.save(jit.script(merged.module), options.output);
      output.line(`saved ${options.output}`);
      output.record('saved', { file: options.output });
    }
    if (cluster === undefined) client.close();
  } finally {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
    await cluster?.close();
  }
}

/** Shows a training job until it ends; returns its losses by step. Throws when the job fails. */
export async function followTraining(
  client: ClusterClient,
  job: string,
  steps: number,
  output: Output,
): Promise<number[]> {
  const losses: number[] = [];
  const progress = output.isJson ? undefined : output.progress(steps, 'step');
  let average: number | undefined;
  const each = ({ report, results }: JobProgress): void => {
    output.record(report.kind, {
      ...report,
      ...(results.has('loss') ? { loss: scalar(results.get('loss')!) } : {}),
    });
    switch (report.kind) {
      case 'step': {
        const loss = scalar(results.get('loss')!);
        losses[report.step - 1] = loss;
        average = average === undefined ? loss : 0.9 * average + 0.1 * loss;
        progress?.update(report.step, `loss ${average.toFixed(3)}  ${report.milliseconds.toFixed(0)} ms`);
        break;
      }
      case 'worker-lost':
        progress?.note(
          `worker ${report.worker} is lost (${report.reason}); going on from the last checkpoint`,
        );
        break;
      case 'stuck':
        progress?.note(
          `worker ${report.worker} makes no progress for ${report.seconds.toFixed(0)} s: ${report.doing}`,
        );
        break;
      default:
    }
  };
  try {
    await client.finished(job, each);
  } finally {
    progress?.stop();
  }
  return losses;
}

/** Copies trained values into the live module. */
export function loadState(
  definition: TrainingDefinition,
  state: ReadonlyMap<string, ir.TensorLiteral>,
): void {
  const own = definition.module.stateDict();
  for (const [name, tensor] of own) {
    const value = state.get(name);
    if (value === undefined) throw new WeftError(`the trained state has no '${name}'`);
    tensor.detach().copy_(tensorOf(value));
  }
}

const tensorOf = (literal: ir.TensorLiteral): Tensor => Tensor.fromLiteral(literal, hostDevice());

function scalar(literal: ir.TensorLiteral): number {
  return Tensor.fromLiteral(literal, hostDevice()).item();
}
