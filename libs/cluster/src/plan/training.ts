// Plans a training step: forward, backward and update of a model over a mesh of data shards and pipeline stages.
//   joint graph (autodiff) → shard over the data axis → cut into stages → schedule → programs with their communication.
import type { Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, jointGraph, printGraph, specOf, tensorSpec } from '@weft/ir';
import { assemble, gradientSlot } from './assemble.ts';
import type { OutputTarget } from './assemble.ts';
import { checkPlan } from './check.ts';
import { programMemory } from './memory.ts';
import type { MeshShape } from './mesh.ts';
import { Mesh, PlanError } from './mesh.ts';
import type { InputRole, TrainingModel, UpdateRule } from './model.ts';
import type { Action, PersistentSlot, Plan, Program } from './program.ts';
import { stepInputs } from './program.ts';
import type { ScheduleName } from './schedule.ts';
import { makeSchedule } from './schedule.ts';
import type { Placement } from './shard.ts';
import { replicate, shard, shardGraph } from './shard.ts';
import type { DeviceSpeed, StageAssignment } from './stages.ts';
import { assignStages, freeNodes } from './stages.ts';

export interface TrainingPlanOptions {
  readonly mesh: MeshShape;
  /** Micro-batches a step; the model's graph is over one of them. Default 1. */
  readonly microBatches?: number;
  readonly schedule?: ScheduleName;
  readonly update: UpdateRule;
  /** Scale gradients so that their norm over all parameters is at most this. */
  readonly clipGradNorm?: number;
  readonly speed?: DeviceSpeed;
}

/** Name under which the loss of a step is reported: the mean over the whole batch. */
export const lossResult = 'loss';

export function planTraining(model: TrainingModel, options: TrainingPlanOptions): Plan {
  const mesh = new Mesh(options.mesh);
  requireAxes(mesh);
  const microBatches = options.microBatches ?? 1;
  const stages = mesh.axisSize('pipeline');
  const trained = model.parameters.filter(({ trained }) => trained);
  requireDivisibleBatch(model, mesh);

  const joint = jointGraph(model.graph, { wrt: trained.map(({ input }) => input), loss: model.loss });
  const assignment = assignStages(joint.graph, stages, joint.backward, joint.origin, options.speed);
  const schedule = makeSchedule(options.schedule ?? '1f1b', stages, microBatches);
  const inputs = inputRoles(model);
  const targets: OutputTarget[] = [
    { output: model.loss, kind: 'loss', slot: lossResult },
    ...model.buffers.flatMap(({ name, output }): OutputTarget[] =>
      output === undefined ? [] : [{ output, kind: 'buffer', slot: name }],
    ),
    ...trained.map(({ name }, index): OutputTarget => ({
      output: joint.gradients[index],
      kind: 'gradient',
      slot: gradientSlot(name),
    })),
  ];

  const programs = Array.from({ length: mesh.size }, (_, device): Program => {
    const local = shardForDevice(joint.graph, device, mesh, model, targets, assignment);
    const assembled = assemble({ device, mesh, ...local, inputs, targets, schedule, microBatches });
    const finish = new StepEnd(device, mesh, options, microBatches, assembled.graphs, assembled.actions);
    const owned = trained.filter(({ name }) => assembled.homes.get(name) === assembled.stage);
    const hasLoss = assembled.made.some(({ kind }) => kind === 'loss');
    finish.reduceOverData(
      assembled.made
        .filter(({ kind, output }) => kind !== 'buffer' && local.outputPlacements[output].kind === 'partial')
        .map(({ slot }) => slot),
    );
    const state = finish.update(
      owned.map(({ name }) => ({
        name,
        spec: specOf(model.graph.inputs[model.parameters.find((p) => p.name === name)!.input]),
      })),
      assembled.persistent,
    );
    if (hasLoss) finish.scaleLoss();
    const isReporter = hasLoss && (mesh.coordinate(device).data ?? 0) === 0;
    const program = {
      device,
      coordinate: mesh.coordinate(device),
      graphs: assembled.graphs,
      persistent: [...assembled.persistent, ...state],
      batchInputs: [...assembled.batchInputs, ...finish.batchInputs],
      actions: assembled.actions,
      results: isReporter ? [{ slot: lossResult, name: lossResult, spec: tensorSpec('float32', []) }] : [],
    };
    return { ...program, memory: programMemory(program) };
  });

  const plan: Plan = {
    mesh: mesh.shape,
    microBatches,
    schedule: options.schedule ?? '1f1b',
    programs,
    inputs: stepInputSpecs(model, microBatches),
  };
  checkPlan(plan);
  return plan;
}

/** The graph on one device's shapes, with stages carried over to its nodes. */
export function shardForDevice(
  graph: Graph,
  device: number,
  mesh: Mesh,
  model: Pick<TrainingModel, 'batch'>,
  targets: readonly OutputTarget[],
  assignment: StageAssignment,
) {
  const placements = graph.inputs.map((_, index): Placement =>
    model.batch.some(({ input }) => input === index) && mesh.axisSize('data') > 1 ? shard(0) : replicate,
  );
  const mayBePartial = (output: number) =>
    targets.some(
      (target) => target.output === output && (target.kind === 'loss' || target.kind === 'gradient'),
    );
  const sharded = shardGraph(graph, {
    group: mesh.axes.includes('data') ? mesh.group(device, 'data') : [device],
    index: mesh.coordinate(device).data ?? 0,
    inputs: placements,
    outputs: graph.outputs.map((_, output) => (mayBePartial(output) ? 'any' : 'replicate')),
  });
  const local = sharded.builder.graph;
  const stageOf = new Map<Node, number>();
  const phaseOf = new Map<Node, 'forward' | 'backward'>();
  const free = freeNodes(local);
  for (const node of local.nodes()) {
    const from = sharded.origin.get(node)!;
    const stage = assignment.stageOf.get(from);
    if (free.has(node)) continue;
    // A collective or slice of a free value is made for its reader, which stands in the stage of what it was made for.
    stageOf.set(node, stage ?? 0);
    phaseOf.set(node, assignment.phaseOf.get(from) ?? 'forward');
  }
  return {
    graph: local,
    placements,
    outputPlacements: sharded.outputs,
    free,
    assignment: { ...assignment, stageOf, phaseOf },
  };
}

/** What a device does once a step, after its schedule: reduce gradients, clip, update, scale the loss. */
class StepEnd {
  readonly batchInputs: {
    slot: string;
    input: string;
    microBatch: number;
    spec: ReturnType<typeof tensorSpec>;
    start: number;
  }[] = [];

  constructor(
    private readonly device: number,
    private readonly mesh: Mesh,
    private readonly options: TrainingPlanOptions,
    private readonly microBatches: number,
    private readonly graphs: Record<string, string>,
    private readonly actions: Action[],
  ) {}

  reduceOverData(slots: readonly string[]): void {
    if (slots.length === 0 || this.mesh.axisSize('data') === 1) return;
    this.actions.push({
      kind: 'all_reduce',
      slots,
      group: this.mesh.group(this.device, 'data'),
      reduction: 'sum',
      key: 'gradients',
    });
  }

  /** Updates the parameters of this device; returns the optimizer's state. */
  update(
    parameters: readonly { name: string; spec: ReturnType<typeof tensorSpec> }[],
    persistent: readonly PersistentSlot[],
  ): PersistentSlot[] {
    const squares = this.options.clipGradNorm === undefined ? undefined : this.squaredNorm(parameters);
    if (parameters.length === 0) return [];
    const rule = this.options.update;
    const b = new CoreBuilder();
    const inputs: string[] = [];
    const outputs: string[] = [];
    const state: PersistentSlot[] = [];
    const input = (slot: string, spec: ReturnType<typeof tensorSpec>): Value => {
      inputs.push(slot);
      return b.input(spec);
    };
    const scalar = tensorSpec('float64', []);
    const learningRate = input(stepInputs.learningRate, scalar);
    const step = input(stepInputs.step, scalar);
    for (const name of [stepInputs.learningRate, stepInputs.step]) {
      this.batchInputs.push({ slot: name, input: name, microBatch: 0, spec: scalar, start: 0 });
    }
    const norm = squares === undefined ? undefined : b.sqrt(input(squares, tensorSpec('float32', [])));
    for (const { name, spec } of parameters) {
      const parameter = input(name, spec);
      const gradient = this.scaled(b, input(gradientSlot(name), spec), norm);
      const slots = rule.slots.map(({ name: slot, isScalar = false }) => ({
        slot: `${rule.name}.${slot}.${name}`,
        spec: isScalar ? tensorSpec('float32', []) : spec,
        isScalar,
      }));
      const next = rule.emit(b, {
        parameter,
        gradient,
        state: slots.map(({ slot, spec: own }) => input(slot, own)),
        learningRate,
        step,
      });
      const place = persistent.find(({ slot }) => slot === name)!;
      outputs.push(name, ...slots.map(({ slot }) => slot));
      b.graph.addOutput(next.parameter);
      next.state.forEach((value) => b.graph.addOutput(value));
      for (const { slot, spec: own, isScalar } of slots) {
        const part = isScalar ? { spec: own, whole: own, start: [] } : {};
        state.push({ ...place, ...part, slot, name: slot });
      }
    }
    this.graphs.update = printGraph(b.graph);
    this.actions.push({ kind: 'run', graph: 'update', inputs, outputs, label: 'update' });
    return state;
  }

  /** The mean over micro-batches, clipped by the norm if there is one (PyTorch's clip_grad_norm_). */
  private scaled(b: CoreBuilder, gradient: Value, norm: Value | undefined): Value {
    const { dtype, sizes } = specOf(gradient);
    let result = gradient;
    if (this.microBatches > 1) result = b.multiply(result, b.full(1 / this.microBatches, dtype, sizes));
    if (norm === undefined) return result;
    const limit = b.divide(
      b.full(this.options.clipGradNorm!, 'float32'),
      b.add(norm, b.full(1e-6, 'float32')),
    );
    const factor = b.convert(b.minimum(limit, b.full(1, 'float32')), dtype);
    return b.multiply(result, b.broadcastTo(factor, sizes));
  }

  /** The squared norm of all gradients (means over micro-batches) of all stages, in a slot. */
  private squaredNorm(parameters: readonly { name: string; spec: ReturnType<typeof tensorSpec> }[]): string {
    const slot = 'gradient norm squared';
    const b = new CoreBuilder();
    let total = b.full(0, 'float32');
    for (const { spec } of parameters) {
      const gradient = b.convert(this.scaled(b, b.input(spec), undefined), 'float32');
      total = b.add(
        total,
        b.reduceSum(
          b.multiply(gradient, gradient),
          spec.sizes.map((_, index) => index),
        ),
      );
    }
    b.graph.addOutput(total);
    this.graphs.norm = printGraph(b.graph);
    this.actions.push({
      kind: 'run',
      graph: 'norm',
      inputs: parameters.map(({ name }) => gradientSlot(name)),
      outputs: [slot],
      label: 'norm',
    });
    if (this.mesh.axisSize('pipeline') > 1) {
      this.actions.push({
        kind: 'all_reduce',
        slots: [slot],
        group: this.mesh.group(this.device, 'pipeline'),
        reduction: 'sum',
        key: 'norm',
      });
    }
    return slot;
  }

  /** The sum over micro-batches becomes their mean. */
  scaleLoss(): void {
    if (this.microBatches === 1) return;
    const b = new CoreBuilder();
    const loss = b.input(tensorSpec('float32', []));
    b.graph.addOutput(b.multiply(loss, b.full(1 / this.microBatches, 'float32')));
    this.graphs.loss = printGraph(b.graph);
    this.actions.push({
      kind: 'run',
      graph: 'loss',
      inputs: [lossResult],
      outputs: [lossResult],
      label: 'loss',
    });
  }
}

export function inputRoles(
  model: Pick<TrainingModel, 'graph' | 'batch' | 'buffers' | 'random'> & {
    readonly parameters: readonly { name: string; input: number }[];
  },
): InputRole[] {
  return model.graph.inputs.map((value, index): InputRole => {
    const parameter = model.parameters.find(({ input }) => input === index);
    if (parameter !== undefined) return { kind: 'persistent', name: parameter.name };
    const buffer = model.buffers.find(({ input }) => input === index);
    if (buffer !== undefined) return { kind: 'persistent', name: buffer.name, output: buffer.output };
    const batch = model.batch.find(({ input }) => input === index);
    if (batch !== undefined) return { kind: 'batch', name: batch.name };
    if (model.random?.input === index) return { kind: 'random' };
    throw new PlanError(
      `input ${index} (%${value.name}) of the model's graph is neither a parameter, a buffer, a batch input nor the random state`,
    );
  });
}

function stepInputSpecs(model: TrainingModel, microBatches: number): Plan['inputs'] {
  const scalar = tensorSpec('float64', []);
  return [
    ...model.batch.map(({ name, input }) => {
      const spec = specOf(model.graph.inputs[input]);
      return { name, spec: tensorSpec(spec.dtype, [spec.sizes[0] * microBatches, ...spec.sizes.slice(1)]) };
    }),
    { name: stepInputs.learningRate, spec: scalar },
    { name: stepInputs.step, spec: scalar },
    ...(model.random === undefined
      ? []
      : [{ name: stepInputs.random, spec: tensorSpec('uint64', [2 * microBatches]) }]),
  ];
}

export function requireAxes(mesh: Mesh): void {
  const unknown = mesh.axes.filter((axis) => axis !== 'pipeline' && axis !== 'data');
  if (unknown.length > 0)
    throw new PlanError(`mesh axis '${unknown[0]}' is not one that can be planned; use pipeline and data`);
}

export function requireDivisibleBatch(model: Pick<TrainingModel, 'graph' | 'batch'>, mesh: Mesh): void {
  const parts = mesh.axisSize('data');
  for (const { name, input } of model.batch) {
    const { sizes } = specOf(model.graph.inputs[input]);
    if (sizes.length === 0 || sizes[0] % parts !== 0) {
      throw new PlanError(
        `batch input '${name}' has shape [${sizes.join(', ')}]; its first dimension (a micro-batch) must be a multiple of data=${parts}`,
      );
    }
  }
}
