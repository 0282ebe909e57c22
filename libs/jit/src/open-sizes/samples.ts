// Sizes that a graph leaves open, and the points at which it is lowered to find out how everything in it depends on them: at the
// bounds, with one size after the other one less, and at the least sizes. What is linear there is taken to be linear between them.
import { InternalError } from '@weft/ir';

/** A size that is known when a graph runs. */
export interface OpenSize {
  /** At least 2: a size of 1 broadcasts. */
  readonly least: number;
  /** What memory is laid out for. */
  readonly bound: number;
}

/** The value of each open size. */
export type Point = readonly number[];

/** constant + Σ slopes[k] · size k. */
export interface LinearForm {
  readonly constant: number;
  readonly slopes: readonly number[];
}

export const valueAt = ({ constant, slopes }: LinearForm, point: Point): number =>
  slopes.reduce((sum, slope, index) => sum + slope * point[index], constant);

export const equalForms = (a: LinearForm, b: LinearForm): boolean =>
  a.constant === b.constant && a.slopes.every((slope, index) => slope === b.slopes[index]);

export const sumOf = (forms: readonly LinearForm[]): LinearForm => ({
  constant: forms.reduce((sum, { constant }) => sum + constant, 0),
  slopes: forms[0].slopes.map((_, index) => forms.reduce((sum, { slopes }) => sum + slopes[index], 0)),
});

export class Samples {
  /** The bounds first. */
  readonly points: readonly Point[];

  constructor(readonly sizes: readonly OpenSize[]) {
    for (const { least, bound } of sizes) {
      if (least < 2 || least >= bound)
        throw new InternalError(`a size between ${least} and ${bound} cannot be left open`);
    }
    const bounds = sizes.map(({ bound }) => bound);
    const least = sizes.map((size) => size.least);
    const oneLess = bounds.map((_, index) => bounds.map((bound, at) => (at === index ? bound - 1 : bound)));
    const isLeast = oneLess.length === 1 && oneLess[0][0] === least[0];
    this.points = [bounds, ...oneLess, ...(isLeast ? [] : [least])];
  }

  /** The form that has these values at the points; undefined where none has. */
  linear(values: readonly number[]): LinearForm | undefined {
    const [atBounds] = values;
    const slopes = this.sizes.map((_, index) => atBounds - values[index + 1]);
    const constant = atBounds - valueAt({ constant: 0, slopes }, this.points[0]);
    const form = { constant, slopes };
    return this.points.every((point, index) => valueAt(form, point) === values[index]) ? form : undefined;
  }

  constant(value: number): LinearForm {
    return { constant: value, slopes: this.sizes.map(() => 0) };
  }

  /** The least and the largest value of a form. */
  range({ constant, slopes }: LinearForm): readonly [number, number] {
    let [low, high] = [constant, constant];
    slopes.forEach((slope, index) => {
      const { least, bound } = this.sizes[index];
      low += slope * (slope > 0 ? least : bound);
      high += slope * (slope > 0 ? bound : least);
    });
    return [low, high];
  }
}
