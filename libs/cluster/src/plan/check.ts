// Proves that a plan runs to its end: walks all programs together as the workers will, with sends that never wait, receives
// that wait for their key, and collectives that wait for the whole group. Also finds slots that are read before they are written.
import { PlanError } from './mesh.ts';
import type { Action, Plan, Program } from './program.ts';

/** Throws PlanError naming the devices that wait for each other and for what. */
export function checkPlan(plan: Pick<Plan, 'programs'>): void {
  plan.programs.forEach(checkSlots);
  const position = plan.programs.map(() => 0);
  const offered = new Set<string>();
  const waiting = new Map<string, Set<number>>();
  for (let moved = true; moved;) {
    moved = false;
    plan.programs.forEach((program, index) => {
      while (position[index] < program.actions.length) {
        const action = program.actions[position[index]];
        if (!ready(action, program.device, offered, waiting)) return;
        position[index]++;
        moved = true;
      }
    });
  }
  const stuck = plan.programs.filter((program, index) => position[index] < program.actions.length);
  if (stuck.length === 0) return;
  const lines = stuck.map((program) => {
    const action = program.actions[position[plan.programs.indexOf(program)]];
    return `device ${program.device} waits at action ${position[plan.programs.indexOf(program)]}: ${describeAction(action)}`;
  });
  throw new PlanError(`the plan deadlocks:\n  ${lines.join('\n  ')}`);
}

function ready(
  action: Action,
  device: number,
  offered: Set<string>,
  waiting: Map<string, Set<number>>,
): boolean {
  switch (action.kind) {
    case 'run':
      return true;
    case 'send':
      offered.add(`${device}→${action.peer} ${action.key}`);
      return true;
    case 'recv':
      return offered.has(`${action.peer}→${device} ${action.key}`);
    case 'all_reduce':
    case 'all_gather':
    case 'reduce_scatter': {
      const key = `${action.group.join(',')} ${action.key}`;
      const arrived = waiting.get(key) ?? new Set();
      waiting.set(key, arrived.add(device));
      return action.group.every((member) => arrived.has(member));
    }
    default:
      return action satisfies never;
  }
}

function checkSlots(program: Program): void {
  const known = new Set([
    ...program.persistent.map(({ slot }) => slot),
    ...program.batchInputs.map(({ slot }) => slot),
  ]);
  program.actions.forEach((action, index) => {
    for (const slot of slotsRead(action)) {
      if (!known.has(slot)) {
        throw new PlanError(
          `device ${program.device} reads '${slot}' at action ${index} before it is there: ${describeAction(action)}`,
        );
      }
    }
    for (const slot of slotsWritten(action)) known.add(slot);
  });
  for (const { slot, name } of program.results) {
    if (!known.has(slot))
      throw new PlanError(`device ${program.device} reports '${name}' from '${slot}', which is never made`);
  }
}

export function slotsRead(action: Action): readonly string[] {
  switch (action.kind) {
    case 'run':
      return action.inputs;
    case 'recv':
      return [];
    case 'all_reduce':
      return action.slots;
    case 'send':
    case 'all_gather':
    case 'reduce_scatter':
      return [action.slot];
    default:
      return action satisfies never;
  }
}

export function slotsWritten(action: Action): readonly string[] {
  switch (action.kind) {
    case 'run':
      return action.outputs;
    case 'recv':
      return [action.slot];
    case 'send':
      return [];
    case 'all_reduce':
      return action.outputs ?? action.slots;
    case 'all_gather':
    case 'reduce_scatter':
      return [action.output];
    default:
      return action satisfies never;
  }
}

/** One line: `recv v12@0 from 1`. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'run':
      return `run ${action.graph}(${action.inputs.join(', ')}) → ${action.outputs.join(', ')}`;
    case 'send':
      return `send ${action.slot} to ${action.peer}`;
    case 'recv':
      return `recv ${action.slot} from ${action.peer}`;
    case 'all_reduce':
      return `all_reduce ${action.reduction} of ${action.slots.join(', ')} over ${action.group.join(', ')}`;
    case 'all_gather':
      return `all_gather ${action.slot} over ${action.group.join(', ')}`;
    case 'reduce_scatter':
      return `reduce_scatter ${action.slot} over ${action.group.join(', ')}`;
    default:
      return action satisfies never;
  }
}
