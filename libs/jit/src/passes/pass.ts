// Passes over graphs: what a pass is, the passes there are, and running them in order. A pass is one file here and one call
// of `registerPass`; a user's own pass registers itself with the same call (docs/add-a-pass.md).
import type { Graph, Value } from '@weft/ir';
import { InternalError, OperatorError, WeftError, verifyGraph } from '@weft/ir';

/** `torch` graphs hold aten:: and prim:: nodes, `core` graphs only core:: nodes. */
export type Level = 'torch' | 'core';

export interface Pass {
  /** Lower case with hyphens; what options name it by. */
  readonly name: string;
  readonly level: Level;
  /** What it does, in a sentence. */
  readonly summary: string;
  /** Changes the graph in place; returns whether it did. The graph verifies before and must afterwards. */
  run(graph: Graph, facts: PassFacts): boolean;
}

/** What is known of a graph besides the graph. */
export interface PassFacts {
  /** Inputs that seldom change from run to run, as weights: whoever runs the graph computes once what follows from them alone. */
  readonly fixed: ReadonlySet<Value>;
}

export interface PassPosition {
  /** The name of the pass to stand before or after; default: after all. */
  readonly before?: string;
  readonly after?: string;
}

export interface OptimizeOptions {
  /** Names of passes to leave out, besides those that are switched off. */
  readonly disable?: readonly string[];
  /** Verifies the graph after every pass that changed it. On in tests (`WEFT_VERIFY=1`), off by default. */
  readonly verify?: boolean;
  /** The pipeline runs again while passes change something, at most this often; default 4. */
  readonly rounds?: number;
  /** Inputs of the graph (by index) that seldom change from run to run; default none. */
  readonly fixed?: readonly number[];
  /** Told of every run of a pass. */
  readonly observe?: (event: PassEvent) => void;
}

export interface PassEvent {
  readonly pass: string;
  readonly round: number;
  readonly changed: boolean;
  readonly milliseconds: number;
}

const pipelines: Record<Level, Pass[]> = { torch: [], core: [] };

/** Adds a pass to the pipeline of its level. Throws OperatorError when the name is taken or the position is unknown. */
export function registerPass(pass: Pass, position: PassPosition = {}): void {
  const pipeline = pipelines[pass.level];
  if (findPass(pass.name) !== undefined) throw new OperatorError(`there is a pass '${pass.name}' already`);
  const neighbour = position.before ?? position.after;
  if (neighbour === undefined) {
    pipeline.push(pass);
    return;
  }
  const index = pipeline.findIndex((other) => other.name === neighbour);
  if (index < 0) {
    throw new OperatorError(
      `pass '${pass.name}' is to stand beside '${neighbour}', but the ${pass.level} passes are ${namesOf(pass.level)}`,
    );
  }
  pipeline.splice(position.before === undefined ? index + 1 : index, 0, pass);
}

/** Takes a registered pass out again. Returns whether it was there. */
export function unregisterPass(name: string): boolean {
  for (const pipeline of Object.values(pipelines)) {
    const index = pipeline.findIndex((pass) => pass.name === name);
    if (index >= 0) return pipeline.splice(index, 1).length === 1;
  }
  return false;
}

export const passesOf = (level: Level): readonly Pass[] => [...pipelines[level]];

export const findPass = (name: string): Pass | undefined =>
  [...pipelines.torch, ...pipelines.core].find((pass) => pass.name === name);

/** Off for the whole process: those that WEFT_PASSES_OFF names, separated by commas, until others are given. */
let off: readonly string[] = (process.env.WEFT_PASSES_OFF ?? '').split(',').filter((name) => name !== '');

/**
 * Switches passes off for the whole process, and all others on: for graphs that are optimised from now on. Returns those that
 * were off. Throws OperatorError when a name is no pass.
 */
export function switchOffPasses(names: readonly string[]): readonly string[] {
  names.forEach(checkName);
  const before = off;
  off = [...names];
  return before;
}

function checkName(name: string): void {
  if (findPass(name) !== undefined) return;
  throw new OperatorError(
    `there is no pass '${name}'; the torch passes are ${namesOf('torch')}, the core passes ${namesOf('core')}`,
  );
}

const namesOf = (level: Level): string => pipelines[level].map((pass) => pass.name).join(', ');

/**
 * Runs all passes of the graph's level, in place, until none changes it. Returns whether any did.
 * @throws OperatorError when an option names no pass; VerifyError when a pass broke the graph (with `verify`)
 */
export function optimize(graph: Graph, level: Level, options: OptimizeOptions = {}): boolean {
  const disabled = new Set([...off, ...(options.disable ?? [])]);
  disabled.forEach(checkName);
  const passes = pipelines[level].filter((pass) => !disabled.has(pass.name));
  let changedAny = false;
  /** The pass that was the last to change something: after it, each that has run finds what it left. */
  let last: Pass | undefined;
  for (let round = 0; round < (options.rounds ?? 4); round++) {
    let changed = false;
    let isDone = false;
    for (const pass of passes) {
      if (isDone) {
        options.observe?.({ pass: pass.name, round, changed: false, milliseconds: 0 });
        continue;
      }
      if (runPass(pass, graph, options, round)) {
        changed = true;
        last = pass;
      } else isDone = !changed && pass === last;
    }
    changedAny ||= changed;
    if (!changed) break;
  }
  return changedAny;
}

/** Runs one pass, given or named. Returns whether it changed the graph. */
export function runPass(
  pass: Pass | string,
  graph: Graph,
  options: OptimizeOptions = {},
  round = 0,
): boolean {
  const found = typeof pass === 'string' ? findPass(pass) : pass;
  if (found === undefined) throw new OperatorError(`there is no pass '${String(pass)}'`);
  const start = performance.now();
  let changed: boolean;
  try {
    changed = found.run(graph, { fixed: new Set(options.fixed?.map((index) => graph.inputs[index])) });
  } catch (error) {
    if (error instanceof WeftError || error instanceof InternalError) throw error;
    throw new InternalError(`pass '${found.name}' failed: ${String(error)}`, { cause: error });
  }
  options.observe?.({ pass: found.name, round, changed, milliseconds: performance.now() - start });
  if (changed && (options.verify ?? process.env.WEFT_VERIFY === '1')) {
    try {
      verifyGraph(graph);
    } catch (error) {
      throw new InternalError(
        `the graph is not valid after pass '${found.name}': ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  }
  return changed;
}
