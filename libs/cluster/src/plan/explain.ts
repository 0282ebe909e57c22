// Says what a plan does, as data: for each device its stage, what it holds, runs, sends and needs; for the whole, the
// schedule and the bytes that move. The command line prints it.
import { parseGraph } from '@weft/ir';
import { describeAction } from './check.ts';
import { bytesOfSpec } from './memory.ts';
import type { Action, Plan, Program } from './program.ts';
import { makeSchedule, printSchedule } from './schedule.ts';

export interface PlanExplanation {
  readonly mesh: Readonly<Record<string, number>>;
  readonly microBatches: number;
  readonly schedule: string;
  readonly devices: readonly DeviceExplanation[];
  /** Bytes moved between devices in one step, by kind. */
  readonly traffic: { readonly send: number; readonly allReduce: number; readonly gather: number };
}

export interface DeviceExplanation {
  readonly device: number;
  readonly coordinate: Readonly<Record<string, number>>;
  /** Names of the parameters kept here (optimizer state left out). */
  readonly parameters: readonly string[];
  readonly persistentBytes: number;
  readonly peakBytes: number;
  /** Operators of the compute graphs, with how many of each. */
  readonly operators: Readonly<Record<string, number>>;
  readonly sentBytes: number;
  readonly reducedBytes: number;
  readonly actions: readonly string[];
}

export function explainPlan(plan: Plan): PlanExplanation {
  const devices = plan.programs.map(explainProgram);
  const sum = (pick: (device: DeviceExplanation) => number) =>
    devices.reduce((total, device) => total + pick(device), 0);
  return {
    mesh: plan.mesh,
    microBatches: plan.microBatches,
    schedule: printSchedule(makeSchedule(plan.schedule, plan.mesh.pipeline ?? 1, plan.microBatches)),
    devices,
    traffic: {
      send: sum(({ sentBytes }) => sentBytes),
      allReduce: sum(({ reducedBytes }) => reducedBytes),
      gather: plan.programs.reduce((total, program) => total + gatheredBytes(program), 0),
    },
  };
}

function explainProgram(program: Program): DeviceExplanation {
  const sizes = slotSizes(program);
  const operators: Record<string, number> = {};
  for (const text of Object.values(program.graphs)) {
    for (const node of parseGraph(text).nodes())
      operators[node.operator] = (operators[node.operator] ?? 0) + 1;
  }
  const bytesIn = (actions: readonly Action[]) =>
    actions.reduce((total, action) => {
      if (action.kind === 'send') return total + (sizes.get(action.slot) ?? 0);
      // A ring moves each element 2 (n - 1) / n times out of every member.
      if (action.kind === 'all_reduce') {
        const members = action.group.length;
        return (
          total +
          action.slots.reduce((bytes, slot) => bytes + (sizes.get(slot) ?? 0), 0) *
            ((2 * (members - 1)) / members)
        );
      }
      return total;
    }, 0);
  return {
    device: program.device,
    coordinate: program.coordinate,
    parameters: program.persistent
      .filter(({ name }) => !isOptimizerState(name, program))
      .map(({ name }) => name),
    persistentBytes: program.memory.persistent,
    peakBytes: program.memory.peak,
    operators,
    sentBytes: bytesIn(program.actions.filter(({ kind }) => kind === 'send')),
    reducedBytes: Math.round(bytesIn(program.actions.filter(({ kind }) => kind === 'all_reduce'))),
    actions: program.actions.map(describeAction),
  };
}

/** Optimizer state is named after the parameter it belongs to: `adamw.exp_avg.head.weight`. */
const isOptimizerState = (name: string, program: Program): boolean =>
  program.persistent.some((other) => other.name !== name && name.endsWith(`.${other.name}`));

function slotSizes(program: Program): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { slot, spec } of [...program.persistent, ...program.batchInputs])
    sizes.set(slot, bytesOfSpec(spec));
  const outputs = new Map(
    Object.entries(program.graphs).map(([name, text]) => [
      name,
      parseGraph(text).outputs.map(({ type }) => bytesOfSpec(type as never)),
    ]),
  );
  for (const action of program.actions) {
    if (action.kind === 'run')
      action.outputs.forEach((slot, index) => sizes.set(slot, outputs.get(action.graph)![index]));
    else if (action.kind === 'recv') sizes.set(action.slot, bytesOfSpec(action.spec));
    else if (action.kind === 'all_reduce')
      action.outputs?.forEach((slot, index) => sizes.set(slot, sizes.get(action.slots[index]) ?? 0));
  }
  return sizes;
}

function gatheredBytes(program: Program): number {
  const sizes = slotSizes(program);
  return program.actions.reduce((total, action) => {
    if (action.kind !== 'all_gather' && action.kind !== 'reduce_scatter') return total;
    return total + (sizes.get(action.slot) ?? 0) * (action.group.length - 1);
  }, 0);
}
