// Runs of arithmetic in the instructions of an elementwise group: what only the next operation reads stays in a register
// (native/instructions-runs.cc), so that it is neither stored nor loaded.
import type { NativeLibrary } from './library.ts';

/** An instruction of a group: what it writes, and what it reads in the order of its operands. */
export interface Instruction<Place> {
  readonly name: string;
  d: Place;
  from: readonly Place[];
}

/** The operators of runs. */
const arithmetic = new Set(['add', 'subtract', 'multiply']);

/**
 * Instructions with runs of operations as one, each where its last operation was.
 * @param isTemporary whether a place holds a value of the group that is not stored
 */
export function withRuns<Place>(
  lines: readonly Instruction<Place>[],
  library: NativeLibrary,
  isTemporary: (place: Place) => boolean,
): Instruction<Place>[] {
  const readings = new Map<Place, number>();
  for (const { from } of lines) for (const place of from) readings.set(place, (readings.get(place) ?? 0) + 1);
  /** Instructions whose result one other reads, by it. */
  const open = new Map<Place, Instruction<Place>>();
  const result: (Instruction<Place> | undefined)[] = [];
  const at = new Map<Instruction<Place>, number>();
  for (const line of lines) {
    const made = joined(line, open, library);
    for (const run of made?.of ?? []) {
      result[at.get(run)!] = undefined;
      open.delete(run.d);
    }
    const kept = made?.line ?? line;
    at.set(kept, result.push(kept) - 1);
    if (isTemporary(kept.d) && readings.get(kept.d) === 1) open.set(kept.d, kept);
  }
  return result.filter((line) => line !== undefined);
}

/** An operation and the run that one of its operands is; of two the longer. */
function joined<Place>(
  line: Instruction<Place>,
  open: ReadonlyMap<Place, Instruction<Place>>,
  library: NativeLibrary,
): { line: Instruction<Place>; of: Instruction<Place>[] } | undefined {
  const [operator, dtype] = line.name.split('.');
  if (!arithmetic.has(operator)) return undefined;
  const runs = line.from
    .map((place, index) => ({ run: open.get(place), index }))
    .sort((a, b) => (b.run?.from.length ?? 0) - (a.run?.from.length ?? 0));
  for (const { run, index } of runs) {
    if (run === undefined) continue;
    const operation = operator === 'subtract' && index === 1 ? 'subtract_from' : operator;
    const name = `${run.name.slice(0, run.name.lastIndexOf('.'))}-${operation}.${dtype}`;
    if (!run.name.endsWith(`.${dtype}`) || !library.instructions.has(name)) continue;
    return { line: { name, d: line.d, from: [...run.from, line.from[1 - index]] }, of: [run] };
  }
  return undefined;
}
