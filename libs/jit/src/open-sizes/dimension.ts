// A dimension of which a part may be open. Memory is laid out for the bounds: of an open part only the first elements, as many as the size at
// run time says, mean something.
import { InternalError, UnsupportedError } from '@weft/ir';
import type { LinearForm, Point, Samples } from './samples.ts';
import { equalForms, valueAt } from './samples.ts';

/** A factor of a dimension. */
export interface Part {
  /** At the bounds. */
  readonly length: number;
  /** How many of them mean something; absent: all. */
  readonly form?: LinearForm;
  /** Whether all elements along it are alike, those beyond the size too: they are in any order that one likes. */
  readonly isUniform?: boolean;
}

/** The outermost part first. Parts of length 1 are left out. */
export type Dimension = readonly Part[];

export const staticDimension = (length: number): Dimension => (length === 1 ? [] : [{ length }]);

export const isOpen = (dimension: Dimension): boolean => dimension.some(({ form }) => form !== undefined);

/** At the bounds. */
export const lengthOf = (dimension: Dimension): number =>
  dimension.reduce((product, { length }) => product * length, 1);

export const lengthAt = (dimension: Dimension, point: Point): number =>
  dimension.reduce(
    (product, { length, form }) => product * (form === undefined ? length : valueAt(form, point)),
    1,
  );

/** The only part, where the whole dimension is one open part. */
export const onlyPart = (dimension: Dimension): (Part & { form: LinearForm }) | undefined =>
  dimension.length === 1 && dimension[0].form !== undefined
    ? (dimension[0] as Part & { form: LinearForm })
    : undefined;

export const equalDimensions = (a: Dimension, b: Dimension): boolean =>
  a.length === b.length &&
  a.every(({ length, form }, index) => {
    const other = b[index];
    if (length !== other.length || (form === undefined) !== (other.form === undefined)) return false;
    return form === undefined || equalForms(form, other.form!);
  });

/** What two values have in common that are computed with element by element; undefined where they lie in different ways. */
export function agreed(a: Dimension, b: Dimension, samples: Samples): Dimension | undefined {
  if (equalDimensions(a, b)) return isUniform(a) ? b : a;
  if (!samples.points.every((point) => lengthAt(a, point) === lengthAt(b, point))) return undefined;
  return isUniform(a) ? b : isUniform(b) ? a : undefined;
}

/** The dimension where elements beyond a size are others. */
export const varied = (dimension: Dimension): Dimension =>
  dimension.map(({ length, form }) => (form === undefined ? { length } : { length, form }));

const isUniform = (dimension: Dimension): boolean => dimension.every((part) => part.isUniform === true);

/**
 * A dimension made anew with these lengths at the points.
 * @throws UnsupportedError where they follow no line
 */
export function dimensionOf(samples: Samples, lengths: readonly number[], isUniform = false): Dimension {
  const [length] = lengths;
  if (lengths.every((each) => each === length)) return staticDimension(length);
  const form = samples.linear(lengths);
  const product = form === undefined && isUniform ? productOf(samples, lengths) : undefined;
  if (product !== undefined) return product;
  if (form === undefined)
    throw new UnsupportedError(`a dimension is of ${lengths.join(', ')} elements, which follow no line`);
  // Memory is for the bounds.
  if (form.slopes.some((slope) => slope < 0))
    throw new UnsupportedError(`a dimension is of ${lengths.join(', ')} elements, more where a size is less`);
  return [isUniform ? { length, form, isUniform } : { length, form }];
}

/** Some of the sizes, and a number, whose product the lengths are. */
function productOf(samples: Samples, lengths: readonly number[]): Dimension | undefined {
  const all = samples.sizes.map((_, index) => index);
  const subsets = all.reduce<number[][]>(
    (found, index) => [...found, ...found.map((each) => [...each, index])],
    [[]],
  );
  for (const subset of [...subsets, ...all.map((index) => [index, index])]) {
    if (subset.length < 2) continue;
    const [times, ...more] = lengths.map(
      (length, at) => length / subset.reduce((product, index) => product * samples.points[at][index], 1),
    );
    if (!Number.isInteger(times) || more.some((each) => each !== times)) continue;
    const open = subset.map((index): Part => {
      const form = { constant: 0, slopes: all.map((at) => (at === index ? 1 : 0)) };
      return { length: samples.points[0][index], form, isUniform: true };
    });
    return times === 1 ? open : [{ length: times, isUniform: true }, ...open];
  }
  return undefined;
}

/** The parts of the dimensions one after the other; neighbours of fixed length are one. */
function partsOf(dimensions: readonly Dimension[]): Part[] {
  const parts: Part[] = [];
  for (const part of dimensions.flat()) {
    const last = parts.at(-1);
    if (part.form === undefined && last !== undefined && last.form === undefined)
      parts[parts.length - 1] = { length: last.length * part.length };
    else parts.push(part);
  }
  return parts;
}

/**
 * The dimensions of a reshaped value.
 * @param lengths of the result at the bounds
 * @throws UnsupportedError where an open part would be cut
 */
export function regroup(dimensions: readonly Dimension[], lengths: readonly number[]): Dimension[] {
  if (!dimensions.some(isOpen)) return lengths.map(staticDimension);
  if (lengths.includes(0))
    throw new UnsupportedError('a tensor with an open size and without elements is reshaped');
  const parts = partsOf(dimensions);
  let rest = parts.shift();
  const result = lengths.map((length) => {
    const taken: Part[] = [];
    let missing = length;
    while (missing > 1) {
      if (rest === undefined) throw new InternalError('a reshape has more elements than its operand');
      if (missing % rest.length === 0) {
        taken.push(rest);
        missing /= rest.length;
        rest = parts.shift();
      } else if (rest.form === undefined && rest.length % missing === 0) {
        taken.push({ length: missing });
        rest = { length: rest.length / missing };
        missing = 1;
      } else throw new UnsupportedError('a reshape cuts a dimension of an open size');
    }
    return taken;
  });
  if (rest !== undefined) throw new InternalError('a reshape has fewer elements than its operand');
  return result;
}
