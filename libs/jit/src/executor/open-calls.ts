// Calls of a function that differ in the sizes of their tensors alone: where the same function is called with one size after the
// other, none of which comes often enough to be compiled for itself, a graph is made that leaves these sizes open
// (open-variant.ts). Its memory is laid out for bounds, so that what it computes beyond a size is wasted: bounds are four, six, eight, twelve,
// sixteen, …, and each graph is for the sizes between one and the next.
import type { DType, IValue, ScriptFunction } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import type { OpenSize, Point } from '../open-sizes/index.ts';
import type { ExecutorState } from './executor.ts';
import type { OpenPlace } from './open-variant.ts';
import { OpenVariant, isSizeItself } from './open-variant.ts';
import { familyOf } from './pattern.ts';
import { executorSettings } from './settings.ts';

/** Sizes of calls that are remembered, to see which of them vary. */
const remembered = 64;
/** Ranges in which no graph could be made, after which none is tried any more. */
const fewRefusals = 2;
/** Sizes that vary independently. */
const mostSizes = 3;

/** Calls that are alike but for sizes. */
class Family {
  /** The sizes of the tensors of different calls. */
  private readonly seen = new Map<string, readonly (readonly number[])[]>();
  /** The last one that fitted comes first. */
  readonly variants: OpenVariant[] = [];
  private readonly refused = new Set<string>();
  /** Variants whose module changed, and runs that were thrown away. */
  private misses = 0;
  reason: string | undefined;

  note(tensors: readonly Tensor[]): void {
    const sizes = tensors.map((tensor) => tensor.sizes);
    remember(this.seen, sizes.join('|'), sizes);
  }

  find(tensors: readonly Tensor[]): { readonly variant: OpenVariant; readonly point: Point } | undefined {
    const { variants } = this;
    for (let index = 0; index < variants.length; index++) {
      const variant = variants[index];
      const point = variant.pointOf(tensors);
      if (point === undefined) continue;
      if (index > 0) {
        variants.splice(index, 1);
        variants.unshift(variant);
      }
      return { variant, point };
    }
    return undefined;
  }

  /** Gives a variant up that did not stand for a call; after a few such, nothing more is made. */
  drop(variant: OpenVariant): void {
    this.variants.splice(this.variants.indexOf(variant), 1);
    if (++this.misses > executorSettings.maxMisses) this.reason = 'its guard keeps failing';
  }

  /** Makes a variant for calls like this one, once enough came that are alike. @returns whether it did */
  extend(
    callee: ScriptFunction,
    args: readonly IValue[],
    tensors: readonly Tensor[],
    openAfter: number,
  ): boolean {
    const isGivenUp = this.refused.size >= fewRefusals || this.misses > executorSettings.maxMisses;
    if (isGivenUp || this.seen.size < openAfter) return false;
    const { places, values } = this.openPlaces(tensors);
    if (values.length === 0 || values.length > mostSizes || values.includes(1)) return false;
    const ranges = values.map(rangeAround);
    const key = JSON.stringify([places, ranges]);
    if (this.refused.has(key)) return false;
    const within = [...this.seen.values()].filter((sizes) => isWithin(sizes, places, ranges));
    const most = ranges.reduce((product, { least, bound }) => product * (bound - least + 1), 1);
    if (within.length < Math.min(openAfter, most)) return false;
    const { unrollLimit, memoryLimit } = executorSettings;
    const options = { unrollLimit, memoryLimit };
    const made =
      this.attempt(() => new OpenVariant(callee, args, tensors, ranges, places, options)) ??
      // What cannot be as large as the bounds (a table of positions ends before) may be as large as what came.
      this.attempt(() => new OpenVariant(callee, args, tensors, largestOf(within, places, ranges), places, options)); // prettier-ignore
    if (made === undefined) {
      this.refused.add(key);
      return false;
    }
    this.variants.unshift(made);
    return true;
  }

  private attempt(make: () => OpenVariant): OpenVariant | undefined {
    try {
      return make();
    } catch (error) {
      // Whatever it is, the interpreter can run the calls.
      if (!(error instanceof Error)) throw error;
      this.reason = error.message;
      return undefined;
    }
  }

  /**
   * Dimensions that were not always as they are now. Those that were always alike are one size, and those that were always the sum of two
   * others, or a number more, are no sizes of their own (a mask over what came before and what comes now).
   */
  private openPlaces(tensors: readonly Tensor[]): {
    readonly places: readonly OpenPlace[];
    readonly values: readonly number[];
  } {
    const places: OpenPlace[] = [];
    const values: number[] = [];
    const histories: number[][] = [];
    const calls = [...this.seen.values()];
    tensors.forEach((given, tensor) =>
      given.sizes.forEach((size, dim) => {
        const history = calls.map((call) => call[tensor][dim]);
        if (history.every((each) => each === size)) return;
        let sum = sumOfSome(history, histories);
        if (sum === undefined) {
          sum = { sizes: [values.push(size) - 1], plus: 0 };
          histories.push(history);
        }
        places.push({ tensor, dim, ...sum });
      }),
    );
    return { places, values };
  }
}

/** Which one or two of the histories, and which number, one is the sum of; undefined where there are none. */
function sumOfSome(
  history: readonly number[],
  others: readonly (readonly number[])[],
): { readonly sizes: readonly number[]; readonly plus: number } | undefined {
  const rest = (...sizes: number[]): number | undefined => {
    const [first, ...more] = history.map((each, call) => sizes.reduce((left, size) => left - others[size][call], each)); // prettier-ignore
    return more.every((each) => each === first) ? first : undefined;
  };
  for (let one = 0; one < others.length; one++) {
    const plus = rest(one);
    if (plus !== undefined) return { sizes: [one], plus };
  }
  for (let one = 0; one < others.length; one++) {
    for (let other = one; other < others.length; other++) {
      const plus = rest(one, other);
      if (plus !== undefined) return { sizes: [one, other], plus };
    }
  }
  return undefined;
}

/** Puts an entry last, and forgets the first one where there are many. */
function remember<T>(entries: Map<string, T>, key: string, value: T): void {
  entries.delete(key);
  entries.set(key, value);
  if (entries.size <= remembered) return;
  const { value: first } = entries.keys().next();
  entries.delete(first!);
}

/** The next bound, and the least size above the one before. */
export function rangeAround(size: number): OpenSize {
  if (size <= 4) return { least: 2, bound: 4 };
  const power = 2 ** Math.ceil(Math.log2(size));
  const between = (power / 4) * 3;
  return size <= between ? { least: power / 2 + 1, bound: between } : { least: between + 1, bound: power };
}

const isWithin = (
  sizes: readonly (readonly number[])[],
  places: readonly OpenPlace[],
  ranges: readonly OpenSize[],
): boolean =>
  places.filter(isSizeItself).every((place) => {
    const given = sizes[place.tensor][place.dim];
    const { least, bound } = ranges[place.sizes[0]];
    return given >= least && given <= bound;
  });

/** The ranges up to what came, at least two sizes each. */
const largestOf = (
  calls: readonly (readonly (readonly number[])[])[],
  places: readonly OpenPlace[],
  ranges: readonly OpenSize[],
): OpenSize[] =>
  ranges.map(({ least }, index) => {
    const given = calls.flatMap((sizes) =>
      places
        .filter((place) => isSizeItself(place) && place.sizes[0] === index)
        .map(({ tensor, dim }) => sizes[tensor][dim]),
    );
    return { least, bound: Math.max(least + 1, ...given) };
  });

export class OpenCalls {
  private readonly families = new Map<string, Family>();

  /**
   * The result of a call that no variant of its own is for; undefined when the interpreter has to run it.
   * @param openAfter calls that are alike before a graph is made
   */
  attempt(
    callee: ScriptFunction,
    args: readonly IValue[],
    autocast: DType | null,
    openAfter: number,
  ): IValue | undefined {
    if (openAfter === Infinity) return undefined;
    const alike = familyOf(args);
    if (alike === undefined) return undefined;
    const { tensors } = alike;
    const key = `${autocast} ${alike.key}`;
    let family = this.families.get(key);
    remember(this.families, key, (family ??= new Family()));
    family.note(tensors);
    let found = family.find(tensors);
    if (found !== undefined && !found.variant.holds) {
      family.drop(found.variant);
      found = undefined;
    }
    if (found === undefined && family.extend(callee, args, tensors, openAfter)) {
      this.keepFew();
      found = family.find(tensors);
    }
    if (found === undefined) return undefined;
    const result = found.variant.run(args, tensors, found.point);
    if (result === undefined) family.drop(found.variant);
    return result;
  }

  /** Forgets variants of families that no call was of lately, where there are many. */
  private keepFew(): void {
    const { maxVariants } = executorSettings;
    let count = 0;
    for (const { variants } of [...this.families.values()].reverse()) {
      variants.splice(Math.max(0, maxVariants - count));
      count += variants.length;
    }
  }

  states(): ExecutorState[] {
    return [...this.families.values()].flatMap(({ variants, reason }) => {
      const compiled = variants.map(({ patterns, sizes }): ExecutorState => ({
        patterns,
        gradEnabled: false,
        state: 'compiled',
        openSizes: sizes,
      }));
      const refused: ExecutorState[] =
        reason === undefined || compiled.length > 0
          ? []
          : [{ patterns: [], gradEnabled: false, state: 'refused', reason, openSizes: [] }];
      return [...compiled, ...refused];
    });
  }
}
