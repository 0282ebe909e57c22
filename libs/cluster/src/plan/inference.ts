// Plans an inference run: the forward graph over data shards and pipeline stages, one micro-batch after the other.
import { specOf, tensorSpec } from '@weft/ir';
import { assemble, resultSlot } from './assemble.ts';
import type { OutputTarget } from './assemble.ts';
import { checkPlan } from './check.ts';
import { programMemory } from './memory.ts';
import type { MeshShape } from './mesh.ts';
import { Mesh } from './mesh.ts';
import type { InferenceModel } from './model.ts';
import type { Plan, Program } from './program.ts';
import { stepInputs } from './program.ts';
import { inputRoles, requireAxes, requireDivisibleBatch, shardForDevice } from './training.ts';
import type { DeviceSpeed } from './stages.ts';
import { assignStages } from './stages.ts';

export interface InferencePlanOptions {
  readonly mesh: MeshShape;
  readonly microBatches?: number;
  readonly speed?: DeviceSpeed;
}

/** Results are reported whole, by data shard 0 of the stage that makes them; of micro-batch m > 0 as `name@m`. */
export function planInference(model: InferenceModel, options: InferencePlanOptions): Plan {
  const mesh = new Mesh(options.mesh);
  requireAxes(mesh);
  requireDivisibleBatch(model, mesh);
  const microBatches = options.microBatches ?? 1;
  const stages = mesh.axisSize('pipeline');
  const assignment = assignStages(model.graph, stages, new Set(), new Map(), options.speed);
  const order = Array.from({ length: microBatches }, (_, microBatch) => ({
    phase: 'forward' as const,
    microBatch,
  }));
  const schedule = Array.from({ length: stages }, () => order);
  const inputs = inputRoles(model);
  const targets: OutputTarget[] = [
    ...model.results.map(({ name, output }): OutputTarget => ({ output, kind: 'result', slot: name })),
    ...model.buffers.flatMap(({ name, output }): OutputTarget[] =>
      output === undefined ? [] : [{ output, kind: 'buffer', slot: name }],
    ),
  ];
  const programs = Array.from({ length: mesh.size }, (_, device): Program => {
    const local = shardForDevice(model.graph, device, mesh, model, targets, assignment);
    const assembled = assemble({ device, mesh, ...local, inputs, targets, schedule, microBatches });
    const isReporter = (mesh.coordinate(device).data ?? 0) === 0;
    const results = assembled.made.filter(({ kind }) => kind === 'result' && isReporter);
    const program = {
      device,
      coordinate: mesh.coordinate(device),
      graphs: assembled.graphs,
      persistent: assembled.persistent,
      batchInputs: assembled.batchInputs,
      actions: assembled.actions,
      results: order.flatMap(({ microBatch }) =>
        results.map(({ slot, output }) => ({
          slot: resultSlot(slot, microBatch),
          name: microBatch === 0 ? slot : resultSlot(slot, microBatch),
          spec: specOf(model.graph.outputs[output]),
        })),
      ),
    };
    return { ...program, memory: programMemory(program) };
  });
  const plan: Plan = {
    mesh: mesh.shape,
    microBatches,
    schedule: 'gpipe',
    programs,
    inputs: [
      ...model.batch.map(({ name, input }) => {
        const spec = specOf(model.graph.inputs[input]);
        return { name, spec: tensorSpec(spec.dtype, [spec.sizes[0] * microBatches, ...spec.sizes.slice(1)]) };
      }),
      ...(model.random === undefined
        ? []
        : [{ name: stepInputs.random, spec: tensorSpec('uint64', [2 * microBatches]) }]),
    ],
  };
  checkPlan(plan);
  return plan;
}
