// Runs script functions: the first calls are interpreted and their patterns noted; a pattern that comes often enough (policy.ts)
// is compiled into one graph behind a guard (variant.ts). A call that no variant fits is interpreted, or, when the function is hot, runs as
// generated JavaScript (../codegen). (TorchScript's profiling executor
// is the model; a guard that fails falls back, and nothing is ever computed twice with effect.)
import type { DType, Graph, IValue, ScriptFunction } from '@weft/ir';
import { InternalError, ObjectValue, TupleValue } from '@weft/ir';
import { autocastDType } from '@weft/ops';
import { Tensor, isGradEnabled } from '@weft/tensor';
import { MemoryLimitError } from '../memory/bytes.ts';
import { codeOf } from '../runtime/code.ts';
import type { GeneratedFunction } from '../codegen/index.ts';
import { GeneratedFailure, generate } from '../codegen/index.ts';
import { withStack } from '../runtime/errors.ts';
import type { RunContext, RunOptions } from '../runtime/frame.ts';
import { Frame, contextOf } from '../runtime/frame.ts';
import { methodOf } from '../runtime/methods.ts';
import type { OpenSize } from '../open-sizes/index.ts';
import { OpenCalls } from './open-calls.ts';
import type { Pattern } from './pattern.ts';
import { CallPattern } from './pattern.ts';
import type { Tally } from './policy.ts';
import { CompilePolicy, patternKey, replaces } from './policy.ts';
import { executorSettings } from './settings.ts';
import { Variant, shortName } from './variant.ts';

/** A pattern that was seen. */
interface Seen {
  readonly pattern: CallPattern;
  readonly gradEnabled: boolean;
  /** What operands of products are cast to; null where they stay. */
  readonly autocast: DType | null;
  readonly tally: Tally;
  /** Interpreted calls since the variant's guard failed. */
  calls: number;
  variant: Variant | undefined;
  /** Guards that failed since the variant was made. */
  misses: number;
}

/** What is known of a function, called as a method of one object (which is part of what it is compiled for). */
class Profile {
  /** The last one that fitted comes first. */
  readonly seen: Seen[] = [];
  readonly policy = new CompilePolicy();
  readonly open = new OpenCalls();
  /** Of the patterns that are compiled. */
  readonly talliesOfVariants = (): Tally[] =>
    this.seen.flatMap(({ variant, tally }) => (variant === undefined ? [] : [tally]));
}

/** By the object whose methods they are, or the function itself. */
const profiles = new WeakMap<object, Map<ScriptFunction, Profile>>();

function profileOf(callee: ScriptFunction, self: ObjectValue | undefined): Profile {
  const owner = self ?? callee;
  let byFunction = profiles.get(owner);
  if (byFunction === undefined) profiles.set(owner, (byFunction = new Map()));
  let profile = byFunction.get(callee);
  if (profile === undefined) byFunction.set(callee, (profile = new Profile()));
  return profile;
}

/**
 * The result of the call by a compiled variant; undefined when it has to be interpreted.
 * @param openAfter calls that differ in sizes alone before sizes are left open
 */
function attempt(
  callee: ScriptFunction,
  args: readonly IValue[],
  profileRuns: number,
  openAfter: number,
): IValue | undefined {
  const profile = profileOf(callee, args[0] instanceof ObjectValue ? args[0] : undefined);
  const result = attemptPattern(profile, callee, args, profileRuns);
  if (result !== undefined || executorSettings.mode !== 'auto' || isGradEnabled()) return result;
  return profile.open.attempt(callee, args, autocastDType(), openAfter);
}

/** The result of the call by a variant for its very pattern. */
function attemptPattern(
  profile: Profile,
  callee: ScriptFunction,
  args: readonly IValue[],
  profileRuns: number,
): IValue | undefined {
  const { maxVariants } = executorSettings;
  const { seen } = profile;
  const gradEnabled = isGradEnabled();
  const autocast = autocastDType();
  for (let index = 0; index < seen.length; index++) {
    const entry = seen[index];
    if (entry.gradEnabled !== gradEnabled || entry.autocast !== autocast) continue;
    const tensors = entry.pattern.tensorsOf(args);
    if (tensors === undefined) continue;
    if (index > 0) {
      seen.splice(index, 1);
      seen.unshift(entry);
    }
    return callEntry(profile, entry, callee, args, tensors, profileRuns);
  }
  // Functions of numbers alone are not looked at for ever.
  if (seen.length >= maxVariants && !args.some(mayHoldTensors)) return (missed = undefined);
  const tally = profile.policy.tallyOf(patternKey(args, gradEnabled, autocast));
  if (!makeRoom(profile, tally, maxVariants, profileRuns)) {
    profile.policy.count(tally, profile.talliesOfVariants);
    missed = tally;
    return undefined;
  }
  const pattern = new CallPattern(args);
  const entry: Seen = { pattern, gradEnabled, autocast, tally, variant: undefined, calls: 0, misses: 0 };
  seen.unshift(entry);
  const tensors = pattern.tensorsOf(args);
  if (tensors === undefined) throw new InternalError('a call does not match its own pattern');
  return callEntry(profile, entry, callee, args, tensors, profileRuns);
}

/** Makes room for one more pattern; false where what is compiled is worth more. */
function makeRoom(
  { seen, policy }: Profile,
  tally: Tally,
  maxVariants: number,
  profileRuns: number,
): boolean {
  if (seen.length < maxVariants) return true;
  let out = seen.findLastIndex(({ variant }) => variant === undefined);
  if (out < 0 && executorSettings.mode === 'compile') out = seen.length - 1;
  if (out < 0) {
    if (!policy.isWorth(tally, profileRuns)) return false;
    out = seen.reduce((least, entry, at) => (entry.tally.uses < seen[least].tally.uses ? at : least), 0);
    if (!replaces(tally, seen[out].tally)) return false;
  }
  seen.splice(out, 1);
  return true;
}

/** The pattern of the call that was last left to the interpreter. */
let missed: Tally | undefined;

function callEntry(
  profile: Profile,
  entry: Seen,
  callee: ScriptFunction,
  args: readonly IValue[],
  tensors: readonly Tensor[],
  profileRuns: number,
): IValue | undefined {
  const { tally } = entry;
  if (entry.variant !== undefined) {
    tally.uses++;
    const result =
      tally.untimed === 0
        ? entry.variant.run(args, tensors)
        : runTimed(profile, tally, entry.variant, args, tensors);
    if (result !== undefined) return result;
    if (++entry.misses > executorSettings.maxMisses) tally.refusal = 'its guard keeps failing';
    entry.variant = undefined;
    entry.calls = 0;
    missed = tally;
    return undefined;
  }
  missed = tally;
  if (!isToBeCompiled(profile.policy, entry, profileRuns)) {
    profile.policy.count(tally, profile.talliesOfVariants);
    entry.calls++;
    return undefined;
  }
  if (tensors.length === 0 && !holdsTensors(args[0])) {
    tally.refusal = 'no tensors';
    return undefined;
  }
  const start = performance.now();
  try {
    const { unrollLimit, memoryLimit } = executorSettings;
    const { gradEnabled } = entry;
    entry.variant = Variant.compile(callee, args, tensors, { unrollLimit, gradEnabled, memoryLimit });
  } catch (error) {
    if (error instanceof MemoryLimitError) throw error;
    // Whatever it is, the interpreter can run the call; tests want to know of defects.
    const isDefect = error instanceof InternalError || error instanceof TypeError;
    if (!(error instanceof Error) || (isDefect && executorSettings.mode === 'compile')) throw error;
    profile.policy.attempted(tally, performance.now() - start, error.message);
    return undefined;
  }
  const result = entry.variant.run(args, tensors);
  profile.policy.attempted(tally, performance.now() - start);
  return result;
}

/** A pattern whose guard failed was worth compiling before. */
function isToBeCompiled(policy: CompilePolicy, { tally, calls, misses }: Seen, profileRuns: number): boolean {
  if (executorSettings.mode === 'compile' || misses > 0)
    return tally.refusal === undefined && calls >= profileRuns;
  return policy.isWorth(tally, profileRuns);
}

function runTimed(
  { policy }: Profile,
  tally: Tally,
  variant: Variant,
  args: readonly IValue[],
  tensors: readonly Tensor[],
): IValue | undefined {
  const start = performance.now();
  const result = variant.run(args, tensors);
  if (result !== undefined) policy.ran(tally, performance.now() - start);
  return result;
}

const mayHoldTensors = (value: IValue): boolean =>
  Array.isArray(value) || value instanceof TupleValue || value instanceof Map || holdsTensors(value);

function holdsTensors(value: IValue): boolean {
  if (value instanceof Tensor) return true;
  return value instanceof ObjectValue && value.slots.some(holdsTensors);
}

/** Callees are compiled later than callers, which take them along. */
const innerProfileRuns = (): number =>
  executorSettings.mode === 'compile' ? 0 : 4 * (1 + executorSettings.profileRuns);
const innerOpenAfter = (): number => 4 * executorSettings.openAfter;

// ---- host code ----------------------------------------------------------------------------------------------------

/** Graphs by how often they were interpreted; those that became JavaScript, and those that cannot (null). */
const heat = new WeakMap<Graph, number>();
const generated = new WeakMap<Graph, GeneratedFunction | null>();

/** The JavaScript of a function that was interpreted often enough. */
function generatedFor({ graph }: ScriptFunction): GeneratedFunction | undefined {
  let known = generated.get(graph);
  if (known === undefined) {
    const runs = heat.get(graph) ?? 0;
    heat.set(graph, runs + 1);
    if (executorSettings.mode === 'auto' && runs < executorSettings.profileRuns) return undefined;
    try {
      known = generate(graph);
    } catch (error) {
      if (error instanceof InternalError && executorSettings.mode === 'compile') throw error;
      known = null;
    }
    generated.set(graph, known);
  }
  return known ?? undefined;
}

/** The context of a run whose calls go through the executor too. */
function executorContext(options: RunOptions = {}): RunContext {
  const context: RunContext = contextOf({
    ...options,
    attempt: (callee, args) => {
      const result = attempt(callee, args, innerProfileRuns(), innerOpenAfter());
      return result === undefined ? runGenerated(callee, args, context) : result;
    },
  });
  context.call = (callee, args) => {
    const result = attempt(callee, args, innerProfileRuns(), innerOpenAfter());
    return result === undefined ? runUncompiled(callee, args, context) : result;
  };
  return context;
}

const interpret = (
  callee: ScriptFunction,
  args: readonly IValue[],
  context?: RunOptions | RunContext,
): IValue => new Frame(codeOf(callee.graph, shortName(callee)), context).run(args)[0] ?? null;

/** Runs generated JavaScript; undefined when there is none. */
function runGenerated(
  callee: ScriptFunction,
  args: readonly IValue[],
  context: RunContext,
): IValue | undefined {
  const run = generatedFor(callee);
  if (run === undefined) return undefined;
  try {
    return run(context, ...args);
  } catch (error) {
    if (!(error instanceof GeneratedFailure)) throw error;
    throw withStack(error.error, [{ functionName: shortName(callee), source: error.node?.source }]);
  }
}

/** Runs a function on values, one for each input of its graph, and returns its result. */
export function runFunction(callee: ScriptFunction, inputs: readonly IValue[], options?: RunOptions): IValue {
  const { mode, profileRuns, openAfter } = executorSettings;
  // A limit on steps is the interpreter's to keep, and its steps are what a tracer is told of.
  if (mode === 'interpret' || options?.maxSteps !== undefined || options?.tracer !== undefined)
    return interpret(callee, inputs, options);
  const result = attempt(callee, inputs, mode === 'compile' ? 0 : profileRuns, openAfter);
  if (result !== undefined) return result;
  return runUncompiled(callee, inputs, executorContext(options));
}

/** Runs a call that was left to the interpreter just now, in JavaScript where there is some, and notes the time. */
function runUncompiled(callee: ScriptFunction, args: readonly IValue[], context: RunContext): IValue {
  const tally = missed;
  const start = performance.now();
  const generatedResult = runGenerated(callee, args, context);
  const result = generatedResult === undefined ? interpret(callee, args, context) : generatedResult;
  if (tally !== undefined) tally.interpreted = performance.now() - start;
  return result;
}

/** Runs a method of an object, which becomes the first input. */
export function runMethod(
  object: ObjectValue,
  method: string,
  inputs: readonly IValue[],
  options?: RunOptions,
): IValue {
  return runFunction(methodOf(object, method), [object, ...inputs], options);
}

/** One pattern of a function's calls, and what was made of it. */
export interface ExecutorState {
  readonly patterns: readonly Pattern[];
  readonly gradEnabled: boolean;
  readonly state: 'profiled' | 'compiled' | 'refused';
  /** Sizes that a compiled pattern leaves open, which shows them at the bounds. */
  readonly openSizes?: readonly OpenSize[];
  /** Why calls of this pattern are interpreted. */
  readonly reason?: string;
}

/** What the executor knows of a function (called on `object`, when it is a method). */
export function executorState(callee: ScriptFunction, object?: ObjectValue): ExecutorState[] {
  const { seen, open } = profileOf(callee, object);
  const closed = seen.map(({ pattern, gradEnabled, variant, tally: { refusal } }): ExecutorState => ({
    patterns: pattern.patterns,
    gradEnabled,
    state: variant !== undefined ? 'compiled' : refusal !== undefined ? 'refused' : 'profiled',
    reason: refusal,
  }));
  return [...closed, ...open.states()];
}
