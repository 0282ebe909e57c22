// After which action each step value is dead, which is what the runner frees by; and actions in a few words, for reports.
import { slotsRead, slotsWritten } from '../plan/check.ts';
import type { Action, Program, Slot } from '../plan/program.ts';

/** For each action, the step values that nothing reads after it. Persistent slots and results are never among them. */
export function deadAfter(program: Program): readonly (readonly Slot[])[] {
  const kept = new Set<Slot>([
    ...program.persistent.map(({ slot }) => slot),
    ...program.results.map(({ slot }) => slot),
  ]);
  const live = new Set<Slot>();
  const dead: Slot[][] = program.actions.map(() => []);
  for (let index = program.actions.length - 1; index >= 0; index--) {
    const action = program.actions[index];
    const written = slotsWritten(action);
    const read = slotsRead(action);
    for (const slot of new Set([...written, ...read])) {
      if (!live.has(slot) && !kept.has(slot)) dead[index].push(slot);
    }
    for (const slot of written) live.delete(slot);
    for (const slot of read) live.add(slot);
  }
  return dead;
}

/** One line that names an action in reports: its kind, label or key, and the peers it needs. */
export function summarizeAction(action: Action): string {
  switch (action.kind) {
    case 'run':
      return `run ${action.label ?? action.graph}`;
    case 'send':
      return `send '${action.key}' to device ${action.peer}`;
    case 'recv':
      return `recv '${action.key}' from device ${action.peer}`;
    case 'all_reduce':
    case 'all_gather':
    case 'reduce_scatter':
      return `${action.kind} '${action.key}' with devices [${action.group.join(', ')}]`;
    default:
      return action satisfies never;
  }
}
