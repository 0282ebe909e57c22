// A training run in this process, on its own device: the whole step one compiled graph over the live module's parameters. With the
// batches, learning rates and losses of the same run over workers.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorLiteral } from '@weft/ir';
import type { TrainStep } from '@weft/jit';
import { script, trainStep } from '@weft/jit';
import { Tensor, hostDevice, optim } from '@weft/tensor';
import { BatchReader, learningRateAt } from '../batch/source.ts';
import { Mesh, PlanError } from '../plan/mesh.ts';
import { temporaryFolder } from '../store/temporary-folder.ts';
import type { PreparedTraining, TrainingDefinition } from './definition.ts';

export interface LocalStep {
  /** Counted from 1. */
  readonly step: number;
  /** Mean over the micro-batches, before the step. */
  readonly loss: number;
  readonly milliseconds: number;
}

/** Why a run cannot be made in one process with the results it has over workers; undefined when it can. */
export function localRefusal({ description }: PreparedTraining): string | undefined {
  if (new Mesh(description.mesh).size > 1) return 'its mesh has several devices';
  if (description.random !== undefined)
    return 'the module draws random numbers, in a stream that workers have for each part of a batch';
  return undefined;
}

/** Trains the definition's module in place. Throws PlanError where `localRefusal` has a reason. */
export class LocalTraining {
  /** How the last step ran: `compiled`, or why it was made of its parts. */
  get state(): string {
    return this.step.state;
  }
  private readonly optimizer: optim.CompiledOptimizer;
  private readonly step: TrainStep;
  private readonly reader: BatchReader;
  private readonly folder = temporaryFolder('train');
  private readonly names: readonly string[];
  private done = 0;

  constructor(
    private readonly definition: TrainingDefinition,
    prepared: PreparedTraining,
  ) {
    const refusal = localRefusal(prepared);
    if (refusal !== undefined) throw new PlanError(`the run cannot be made in this process: ${refusal}`);
    const { module, method = 'loss', optimizer, clipGradNorm, microBatches = 1 } = definition;
    const scripted = script(module);
    const trained = [...module.parameters()].filter(({ requiresGrad }) => requiresGrad);
    this.optimizer = new optim.CompiledOptimizer(optimizer.name, trained, {
      ...optimizer.hyperparameters,
      lr: definition.learningRate.base,
    });
    const clip = clipGradNorm === undefined ? {} : { clipGradNorm };
    this.step = trainStep(scripted, this.optimizer, { method, accumulate: microBatches, ...clip });
    this.names = scripted
      .method(method)
      .schema.arguments.slice(1)
      .map(({ name }) => name);
    const file = join(this.folder, 'data');
    writeFileSync(file, prepared.data);
    this.reader = new BatchReader(prepared.source(''), file);
  }

  /** Makes the next step. */
  next(): LocalStep {
    const began = performance.now();
    const { definition, optimizer, names } = this;
    const { microBatches = 1, data } = definition;
    const step = ++this.done;
    const batch = this.reader.batch(step);
    for (const group of optimizer.paramGroups) group.lr = learningRateAt(definition.learningRate, step);
    const inputs = names.map((name) => tensorOf(batch.get(name)!));
    const rows = data.batch / microBatches;
    let loss = 0;
    for (let part = 0; part < microBatches; part++) {
      const own = microBatches === 1 ? inputs : inputs.map((input) => input.narrow(0, part * rows, rows).clone()); // prettier-ignore
      loss += this.step(...own).item() / microBatches;
    }
    return { step, loss, milliseconds: performance.now() - began };
  }

  close(): void {
    this.reader.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const tensorOf = (literal: TensorLiteral): Tensor => Tensor.fromLiteral(literal, hostDevice());
