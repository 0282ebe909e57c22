// weft train: trains what a training file defines, on a local cluster or on one that runs already.
import type { Command } from 'commander';
import type { JobProgress, LocalCluster, PreparedTraining, TrainingDefinition, ir } from 'weft';
import {
  ClusterClient,
  LocalTraining,
  Tensor,
  WeftError,
  hostDevice,
  jit,
  localRefusal,
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
    .description(
      'train what a training file defines: over worker processes, or in this one where a single device is enough',
    )
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
  if (await trainedHere(merged, prepared, options, output)) return;
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
      saved(merged, options.output, output);
    }
    if (cluster === undefined) client.close();
  } finally {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
    await cluster?.close();
  }
}

/**
 * Trains in this process, by whole compiled steps, where the run needs neither several devices nor what only a cluster has. Returns
 * whether it did; if not, it says why on a run that one device could make.
 */
async function trainedHere(
  definition: TrainingDefinition,
  prepared: PreparedTraining,
  options: TrainOptions,
  output: Output,
): Promise<boolean> {
  const wanted = (['scheduler', 'workers', 'device', 'checkpoints'] as const).find(
    (name) => options[name] !== undefined,
  );
  const refusal = wanted === undefined ? localRefusal(prepared) : `--${wanted} is given`;
  if (refusal !== undefined) {
    output.line(`over workers: ${refusal}`);
    return false;
  }
  output.line(`${prepared.name}, ${prepared.steps} steps in this process`);
  const training = new LocalTraining(definition, prepared);
  const progress = output.isJson ? undefined : output.progress(prepared.steps, 'step');
  try {
    let average: number | undefined;
    for (let count = 0; count < prepared.steps; count++) {
      const made = training.next();
      if (count === 0 && training.state !== 'compiled')
        progress?.note(`steps are not compiled as a whole: ${training.state}`);
      output.record('step', made);
      average = average === undefined ? made.loss : 0.9 * average + 0.1 * made.loss;
      progress?.update(made.step, `loss ${average.toFixed(3)}  ${made.milliseconds.toFixed(0)} ms`);
      // Signals are heard, and the line is drawn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    progress?.stop();
    training.close();
  }
  if (options.output !== undefined) saved(definition, options.output, output);
  return true;
}

function saved(definition: TrainingDefinition, file: string, output: Output): void {
  jit.save(jit.script(definition.module), file);
  output.line(`saved ${file}`);
  output.record('saved', { file });
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
