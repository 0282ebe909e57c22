// How the results of operators lie in memory, declared for each operator beside its meaning. PyTorch's kernels choose the
// strides of what they return: TensorIterator keeps the memory order of its operands, linear algebra is column-major, images
// stay channels last. An operator without a declaration gives row-major results.
import { InternalError } from '@weft/ir';
import { range } from './broadcast.ts';
import type { LoweringArgument } from './operator.ts';
import type { Geometry } from './strides.ts';
import {
  channelsLastStrides,
  columnMajorStrides,
  contiguousStrides,
  formatStrides,
  iteratorStrides,
  memoryFormats,
  orderedStrides,
  preservedStrides,
  suggestsChannelsLast,
} from './strides.ts';

/** An argument as layouts see it: tensors have a geometry, the rest is as a lowering receives it. */
export type LayoutArgument = Geometry | readonly (Geometry | null)[] | LoweringArgument;
/** Of a call: its arguments, and the value of `memory_format` where the schema has it. */
export interface LayoutSite {
  readonly args: readonly LayoutArgument[];
  readonly format: number | null;
}

export type ResultLayout =
  | { readonly kind: 'row-major' }
  /** Row-major numbers in a row: `out=` tensors of as many elements take them in their own shape. */
  | { readonly kind: 'sequence' }
  /**
   * As TensorIterator: the memory order of the operands, of which the first decides. `operands` lists the arguments that
   * it sees, in its order (default: every tensor); a Scalar that becomes an operand is one of no dimensions.
   */
  | {
      readonly kind: 'iterator';
      readonly operands?: readonly number[];
      readonly scalar?: boolean;
      /** Operands that are computed, or converted, by themselves before: dense by then. */
      readonly settled?: 'first' | 'all';
    }
  /** Of lists: result i as TensorIterator makes it of the i-th tensors of the lists. */
  | { readonly kind: 'each' }
  /** As `empty_like(argument)`: in the `memory_format` asked for, else in the memory order of the argument. */
  | { readonly kind: 'like'; readonly argument: number }
  /** In the `memory_format` asked for, else row-major. */
  | { readonly kind: 'format' }
  /** Channels last when one of the arguments (or `every` one), of as many dimensions, looks so; else row-major. */
  | { readonly kind: 'suggested'; readonly arguments: readonly number[]; readonly every?: boolean }
  /** Matrices of the last two dimensions are column-major. */
  | { readonly kind: 'column-major' }
  /** Dense, with the dimensions from the outermost to the innermost in an order that the call says. */
  | {
      readonly kind: 'order';
      readonly order: (site: LayoutSite, sizes: readonly number[]) => readonly number[];
    }
  /** What no other kind says. */
  | {
      readonly kind: 'strides';
      readonly strides: (site: LayoutSite, sizes: readonly number[]) => readonly number[];
      /** Whether row-major operands have row-major results. */
      readonly follows?: boolean;
      /** How gradients lie (see gradientLayout). */
      readonly gradients?: ResultLayout;
    };

/** One layout for all results, or one for each. */
export type ResultLayouts = ResultLayout | readonly ResultLayout[];

export const rowMajor: ResultLayout = { kind: 'row-major' };
export const sequence: ResultLayout = { kind: 'sequence' };
export const iterator: ResultLayout = { kind: 'iterator' };
export const iteratorOfEach: ResultLayout = { kind: 'each' };
/** With a Scalar that TensorIterator sees as an operand. */
export const iteratorWithScalar: ResultLayout = { kind: 'iterator', scalar: true };
/** Of operators on elements: overloads with a Scalar make it an operand. */
export const pointwiseResults = (name: string): ResultLayout =>
  /scalar/i.test(name.slice(name.indexOf('.') + 1)) && name.includes('.') ? iteratorWithScalar : iterator;
export const iteratorOf = (...operands: readonly number[]): ResultLayout => ({ kind: 'iterator', operands });
/** Of several steps, the first on the first of these operands alone. */
export const stepsFrom = (...operands: readonly number[]): ResultLayout => ({
  kind: 'iterator',
  operands,
  settled: 'first',
});
export const likeArgument = (argument: number): ResultLayout => ({ kind: 'like', argument });
export const inFormat: ResultLayout = { kind: 'format' };
/** In the strides that an argument lists. */
export const stridesOf = (argument: number): ResultLayout => ({
  kind: 'strides',
  strides: ({ args }) => args[argument] as readonly number[],
});
/** In the strides of an argument, gaps included: what is a view elsewhere. */
export const stridesLike = (argument: number): ResultLayout => ({
  kind: 'strides',
  follows: true,
  strides: (site) => geometryOf(site, argument).strides,
});
export const suggestedBy = (...args: readonly number[]): ResultLayout => ({
  kind: 'suggested',
  arguments: args,
});
export const suggestedByEvery = (argument: number): ResultLayout => ({
  kind: 'suggested',
  arguments: [argument],
  every: true,
});
export const columnMajor: ResultLayout = { kind: 'column-major' };

const registered = new Map<string, ResultLayouts>();

/** Declares how results lie. Throws InternalError when an operator has a layout already. */
export function layouts(table: LayoutTable): void {
  for (const [name, layout] of Object.entries(table)) {
    if (registered.has(name)) throw new InternalError(`the layout of ${name} is declared twice`);
    registered.set(name, layout);
  }
}

/** A layout for several operators: the same for all, or chosen by the name. */
export type LayoutChoice = ResultLayouts | ((name: string) => ResultLayouts);
export type LayoutTable = Readonly<Record<string, ResultLayouts>>;

/** The same layout for all operators but some. */
export const allBut =
  (choice: LayoutChoice, exceptions: LayoutTable): LayoutChoice =>
  (name) =>
    exceptions[name] ?? (typeof choice === 'function' ? choice(name) : choice);

/** Declares the layouts of operators that are registered together. */
export function declareLayouts(choice: LayoutChoice, names: readonly string[]): void {
  const made = names.map((name): [string, ResultLayouts] => [
    name,
    typeof choice === 'function' ? choice(name) : choice,
  ]);
  layouts(Object.fromEntries(made.filter(([, layout]) => layout !== rowMajor)));
}

/** How the results of an operator lie; undefined for row-major ones. */
export const resultLayouts = (name: string): ResultLayouts | undefined => registered.get(name);

/**
 * Whether row-major operands have row-major results, whatever the other arguments say, so that strides need no look at
 * the call. (Not of tensors without elements: TensorIterator gives them strides of 0.)
 */
export function followsOperands(layouts: ResultLayouts): boolean {
  return [layouts]
    .flat()
    .every(({ kind }) => ['row-major', 'sequence', 'iterator', 'each', 'suggested'].includes(kind));
}

/**
 * How gradients of an operator lie whose results lie so, given the cotangents and then what was saved as arguments:
 * PyTorch computes those of pointwise operators by pointwise ones, those of images by operators on images.
 */
export function gradientLayout(layouts: ResultLayouts): ResultLayout | undefined {
  const [first] = [layouts].flat();
  if (first.kind === 'iterator' || first.kind === 'like') return iterator;
  if (first.kind === 'strides') return first.gradients;
  return first.kind === 'suggested' ? suggestedBy(0, 1) : undefined;
}

const isGeometry = (value: LayoutArgument): value is Geometry =>
  typeof value === 'object' && value !== null && 'sizes' in value && 'strides' in value;

/** The geometry of an argument that has to be a tensor. */
export function geometryOf({ args }: LayoutSite, index: number): Geometry {
  const value = args[index];
  if (!isGeometry(value)) throw new InternalError(`a layout refers to argument ${index}, which is no tensor`);
  return value;
}

function operandsOf({ args }: LayoutSite, indices: readonly number[] | undefined): Geometry[] {
  return (indices ?? range(args.length)).flatMap((index) => {
    const value = args[index];
    if (Array.isArray(value)) return (value as LayoutArgument[]).filter(isGeometry);
    return isGeometry(value) ? [value] : [];
  });
}

/**
 * Strides of a result of `sizes`.
 * @param index which of the results it is
 */
export function resultStrides(
  layout: ResultLayout,
  site: LayoutSite,
  sizes: readonly number[],
  index = 0,
): readonly number[] {
  switch (layout.kind) {
    case 'row-major':
    case 'sequence':
      return contiguousStrides(sizes);
    case 'iterator': {
      const { settled } = layout;
      const operands = operandsOf(site, layout.operands).map((each, at) =>
        settled === 'all' || (settled === 'first' && at === 0)
          ? { sizes: each.sizes, strides: preservedStrides(each) }
          : each,
      );
      return iteratorStrides(sizes, layout.scalar === true ? [...operands, scalar] : operands);
    }
    case 'each': {
      const operands = site.args.map((value) =>
        Array.isArray(value) ? (value as LayoutArgument[])[index] : null,
      );
      return iteratorStrides(sizes, operands.filter(isGeometry));
    }
    case 'like': {
      const { format } = site;
      if (format !== null && format !== memoryFormats.preserve) return formatStrides(sizes, format);
      return preservedStrides(geometryOf(site, layout.argument));
    }
    case 'format':
      return formatStrides(sizes, site.format);
    case 'suggested': {
      const operands = operandsOf(site, layout.arguments);
      const isLast = ({ sizes: own, strides }: Geometry): boolean =>
        own.length === sizes.length && suggestsChannelsLast(own, strides);
      const found = layout.every ? operands.every(isLast) : operands.some(isLast);
      return found ? channelsLastStrides(sizes) : contiguousStrides(sizes);
    }
    case 'column-major':
      return columnMajorStrides(sizes);
    case 'order':
      return orderedStrides(sizes, layout.order(site, sizes));
    case 'strides':
      return layout.strides(site, sizes);
    default:
      return layout satisfies never;
  }
}

/** What a Scalar is to TensorIterator. */
const scalar: Geometry = { sizes: [], strides: [] };

/**
 * Strides of a result of `sizes` with `spatial` (1 or 2) dimensions that is computed as a batch of images: signals as images
 * of one row. Channels last when an operand, seen so, looks like it.
 */
export function imageStrides(
  sizes: readonly number[],
  spatial: number,
  operands: readonly (Geometry & { readonly isBatched: boolean })[],
): readonly number[] {
  const asRows = ({ sizes: own, strides }: Geometry, batched: boolean): Geometry => {
    const lead = batched ? [] : [own[0] * strides[0]];
    const row = spatial === 1 ? [own[own.length - 1] * strides[own.length - 1]] : [];
    const channels = batched ? 2 : 1;
    return {
      sizes: [...lead.map(() => 1), ...own.slice(0, channels), ...row.map(() => 1), ...own.slice(channels)],
      strides: [...lead, ...strides.slice(0, channels), ...row, ...strides.slice(channels)],
    };
  };
  const isBatched = sizes.length === spatial + 2;
  const image = asRows({ sizes, strides: contiguousStrides(sizes) }, isBatched);
  const images = operands.map((each) => asRows(each, each.isBatched));
  const strides = images.some((each) => suggestsChannelsLast(each.sizes, each.strides))
    ? channelsLastStrides(image.sizes)
    : contiguousStrides(image.sizes);
  return strides.filter((_, dim) => !(dim === 0 && !isBatched) && !(dim === 2 && spatial === 1));
}
