// When a pattern of calls is worth compiling. The first few patterns of a function are compiled once they were interpreted some
// times. From then on a pattern has to come so often that what compiled calls would have saved pays for compiling it, by the
// times that were measured (so that never more than twice the best is spent); and where as many are compiled as are kept, twice as often
// as the one that it replaces. Counts fade, so that what comes often now wins over what came often once.
import type { DType, IValue } from '@weft/ir';
import { ObjectValue, TupleValue } from '@weft/ir';
import { Tensor } from '@weft/tensor';

/** Patterns of a function that are compiled without asking what it costs. */
const freeAttempts = 4;
/** Patterns of a function that are counted. */
const capacity = 1024;
/** Interpreted calls of a function after which counts are halved. */
const fading = 4096;
/** Calls that are taken to pay for compiling where times are not known. */
const usualCalls = 32;
/** Calls of a variant that are timed, behind the first. */
const timedCalls = 3;

/** What is known of the calls of one pattern. */
export class Tally {
  /** Calls lately, interpreted and compiled. */
  uses = 0;
  /** Milliseconds of an interpreted call, the last one; undefined where none was timed. */
  interpreted: number | undefined;
  /** Why the pattern cannot be compiled. */
  refusal: string | undefined;
  /** Compiled calls that are still to be timed. */
  untimed = 0;
  /** Milliseconds of the fastest that was. */
  compiled = Infinity;
}

export class CompilePolicy {
  private readonly tallies = new Map<number, Tally>();
  private misses = 0;
  /** Patterns that were compiled, those that could not be, and the milliseconds of all that. */
  private made = 0;
  private refused = 0;
  private spent = 0;
  /** The part of an interpreted call's time that a compiled one saves; undefined before any was timed. */
  private gain: number | undefined;

  /** The tally of a pattern by its key; those that came least recently are forgotten. */
  tallyOf(key: number): Tally {
    const { tallies } = this;
    let tally = tallies.get(key);
    if (tally !== undefined) tallies.delete(key);
    else tally = new Tally();
    tallies.set(key, tally);
    if (tallies.size > capacity) {
      const { value } = tallies.keys().next();
      tallies.delete(value!);
    }
    return tally;
  }

  /**
   * Counts a call that is interpreted.
   * @param variants tallies of what is compiled, which fade too
   */
  count(tally: Tally, variants: () => Iterable<Tally>): void {
    tally.uses++;
    if (++this.misses < fading) return;
    this.misses = 0;
    for (const each of new Set([...this.tallies.values(), ...variants()])) {
      each.uses = Math.min(each.uses, 2 * fading) / 2;
    }
  }

  /** Whether to compile a pattern. @param profileRuns interpreted calls that come before in any case */
  isWorth(tally: Tally, profileRuns: number): boolean {
    const { made, refused, spent, gain = 0.5 } = this;
    if (tally.uses < profileRuns || tally.refusal !== undefined) return false;
    const attempts = made + refused;
    if (attempts < freeAttempts) return true;
    const cost = spent / attempts;
    const saved = tally.interpreted === undefined ? cost / usualCalls : tally.interpreted * gain;
    // What could not be compiled before is not likely to be now.
    const chance = (made + 1) / (attempts + 1);
    return tally.uses * saved * chance >= cost;
  }

  /** Tells what compiling a pattern, its first run included, took. */
  attempted(tally: Tally, milliseconds: number, refusal?: string): void {
    this.spent += milliseconds;
    tally.refusal = refusal;
    if (refusal !== undefined) this.refused++;
    else {
      this.made++;
      tally.untimed = timedCalls;
      tally.compiled = Infinity;
    }
  }

  /** Tells what a compiled call took. */
  ran(tally: Tally, milliseconds: number): void {
    tally.untimed--;
    tally.compiled = Math.min(tally.compiled, milliseconds);
    if (tally.untimed > 0 || tally.interpreted === undefined) return;
    const gain = Math.max(0, 1 - tally.compiled / tally.interpreted);
    this.gain = this.gain === undefined ? gain : (this.gain + gain) / 2;
  }
}

/** Whether a pattern comes so often that it replaces a compiled one. */
export const replaces = (tally: Tally, victim: Tally): boolean => tally.uses >= 2 * victim.uses;

// ---- keys ---------------------------------------------------------------------------------------------------------

const longestText = 256;
const numbers = new WeakMap<object, number>();
let numbered = 0;

/** A number for the pattern of a call. Several may have the same one: then they are counted together. */
export function patternKey(args: readonly IValue[], gradEnabled: boolean, autocast: DType | null): number {
  let key = mix(gradEnabled ? 17 : 23, autocast ?? '');
  for (const value of args) key = mixValue(key, value);
  return key;
}

function mixValue(key: number, value: IValue): number {
  if (value instanceof Tensor) {
    let mixed = mix(key, value.specKey);
    if (!value.hasRowMajorStrides) mixed = mix(mixed, value.strides.join());
    const { type, index } = value.storage.device.info;
    return mix(mixed, `${value.requiresGrad ? '+' : '-'}${type === 'cpu' ? '' : `${type}${index}`}`);
  }
  if (Array.isArray(value)) return mixAll(mix(key, '['), value);
  if (value instanceof TupleValue) return mixAll(mix(key, '('), value.items);
  if (value instanceof Map) {
    let mixed = mix(key, '{');
    for (const [name, item] of value) mixed = mixValue(mixValue(mixed, name), item);
    return mixed;
  }
  if (value instanceof ObjectValue) return mix(key, `#${numberOf(value)}`);
  return mix(key, `${typeof value}${String(value)}`);
}

function mixAll(key: number, values: readonly IValue[]): number {
  let mixed = key;
  for (const value of values) mixed = mixValue(mixed, value);
  return mix(mixed, ']');
}

/** A number for an object that is compared by identity. */
export function numberOf(object: object): number {
  let number = numbers.get(object);
  if (number === undefined) numbers.set(object, (number = ++numbered));
  return number;
}

/** FNV-1a, the text's length included. */
function mix(key: number, text: string): number {
  let mixed = Math.imul(key ^ text.length, 16777619);
  const end = Math.min(text.length, longestText);
  for (let at = 0; at < end; at++) mixed = Math.imul(mixed ^ text.charCodeAt(at), 16777619);
  return mixed;
}
