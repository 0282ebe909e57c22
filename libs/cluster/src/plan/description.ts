// A model as data: what a job carries, so that the scheduler can plan it again for whatever devices are there. Graphs are in
// text form. Made from a lowered module (describe-module.ts).
import { asTensorSpec, parseGraph, verifyGraph } from '@weft/ir';
import { constantNumbers, hyperparameters, optimizerUpdate } from '@weft/ops';
import { planInference } from './inference.ts';
import type { MeshShape } from './mesh.ts';
import { Mesh, PlanError } from './mesh.ts';
import type { InferenceModel, TrainingModel, UpdateRule } from './model.ts';
import type { Plan } from './program.ts';
import { scheduleNamed } from './schedule.ts';
import { planTraining } from './training.ts';

export interface OptimizerDescription {
  /** `sgd`, `adam`, `adamw`, `rmsprop`, `adagrad`. */
  readonly name: string;
  /** By camelCase of PyTorch's names; the learning rate is the batch source's. */
  readonly hyperparameters?: Readonly<Record<string, unknown>>;
}

export interface TrainingDescription {
  readonly kind: 'train';
  readonly graph: string;
  readonly parameters: TrainingModel['parameters'];
  readonly buffers: TrainingModel['buffers'];
  readonly batch: TrainingModel['batch'];
  readonly random?: TrainingModel['random'];
  readonly loss: number;
  readonly optimizer: OptimizerDescription;
  readonly clipGradNorm?: number;
  readonly mesh: MeshShape;
  readonly microBatches: number;
  readonly schedule: string;
}

export interface ServingDescription {
  readonly kind: 'serve';
  readonly graph: string;
  readonly parameters: InferenceModel['parameters'];
  readonly buffers: InferenceModel['buffers'];
  readonly batch: InferenceModel['batch'];
  readonly random?: InferenceModel['random'];
  readonly results: InferenceModel['results'];
  readonly mesh: MeshShape;
}

export type ModelDescription = TrainingDescription | ServingDescription;

/** Plans a described model for at most `devices` logical devices. Throws PlanError. */
export function planDescription(description: ModelDescription, devices: number): Plan {
  const graph = parseGraph(description.graph);
  verifyGraph(graph);
  if (description.kind === 'serve') {
    return planInference(
      { ...description, graph },
      { mesh: fitMesh(description.mesh, devices, batchSize(description)) },
    );
  }
  const mesh = fitMesh(description.mesh, devices, batchSize(description));
  return planTraining(
    { ...description, graph },
    {
      mesh,
      microBatches: description.microBatches,
      schedule: scheduleNamed(description.schedule),
      update: updateRule(description.optimizer),
      clipGradNorm: description.clipGradNorm,
    },
  );
}

function batchSize(description: ModelDescription): number {
  const graph = parseGraph(description.graph);
  const sizes = description.batch.map(({ input }) => asTensorSpec(graph.inputs[input].type)?.sizes[0] ?? 1);
  return sizes.length === 0 ? 1 : Math.min(...sizes);
}

/**
 * The mesh wanted, or the largest that fits the devices that are there: fewer data shards first (their number must divide the
 * micro-batch), then fewer stages.
 */
export function fitMesh(wanted: MeshShape, devices: number, microBatch: number): MeshShape {
  const mesh = new Mesh(wanted);
  if (devices < 1) throw new PlanError('there is no device to plan for: start a worker');
  if (mesh.size <= devices) return wanted;
  for (let stages = Math.min(mesh.axisSize('pipeline'), devices); stages >= 1; stages--) {
    for (let data = Math.min(mesh.axisSize('data'), Math.floor(devices / stages)); data >= 1; data--) {
      if (microBatch % data !== 0) continue;
      const fitted: Record<string, number> = {};
      for (const axis of mesh.axes)
        fitted[axis] = axis === 'pipeline' ? stages : axis === 'data' ? data : mesh.shape[axis];
      return fitted;
    }
  }
  throw new PlanError(`the mesh ${mesh.toString()} does not fit ${devices} devices`);
}

/** The update of @weft/ops as the planner wants it. Throws OperatorError for unknown optimizers and hyperparameters. */
export function updateRule({ name, hyperparameters: given = {} }: OptimizerDescription): UpdateRule {
  const update = optimizerUpdate(name);
  const hyper = hyperparameters(update, given);
  const emit: UpdateRule['emit'] = (b, site) =>
    update.update(b, hyper, { ...site, number: constantNumbers(b, hyper) });
  return { name, slots: update.slots(hyper), emit };
}

/** Optimizer state that begins at zero, and what begins otherwise, for the trained parameters. */
export function initialState(description: TrainingDescription): {
  zeros: string[];
  filled: { name: string; parameter: string; value: number; isScalar: boolean }[];
} {
  const update = optimizerUpdate(description.optimizer.name);
  const hyper = hyperparameters(update, description.optimizer.hyperparameters ?? {});
  const zeros: string[] = [];
  const filled: { name: string; parameter: string; value: number; isScalar: boolean }[] = [];
  for (const { name, trained } of description.parameters) {
    if (!trained) continue;
    for (const { name: slot, initial: value = 0, isScalar = false } of update.slots(hyper)) {
      const state = `${update.name}.${slot}.${name}`;
      if (value === 0) zeros.push(state);
      else filled.push({ name: state, parameter: name, value, isScalar });
    }
  }
  return { zeros, filled };
}
