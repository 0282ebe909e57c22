// Whether a program takes the same way for all sizes between the least and the bounds, judged by what it computed with numbers when it was
// lowered at the points of the samples: comparisons of what is linear in the sizes are decided by their ranges; what hides a size
// otherwise (a remainder that is the same at every point, an item of a list chosen by a size) is refused.
import { UnsupportedError } from '@weft/ir';
import type { HostStep, HostValue } from '../lower/index.ts';
import type { LinearForm, Samples } from './samples.ts';

/**
 * @param lowerings the steps of the program at each point
 * @throws UnsupportedError naming the operator that may decide otherwise for other sizes
 */
export function checkDecisions(lowerings: readonly (readonly HostStep[])[], samples: Samples): void {
  const [first] = lowerings;
  if (lowerings.some((steps) => steps.length !== first.length)) throw undecided('the program');
  first.forEach((_, at) => checkStep(lowerings.map((steps) => steps[at]), samples)); // prettier-ignore
}

const undecided = (what: string): UnsupportedError =>
  new UnsupportedError(`${what} may decide otherwise for other sizes`);

const areSame = (values: readonly HostValue[]): boolean =>
  values.every(
    ({ form, numbers }) => form === values[0].form && String(numbers) === String(values[0].numbers),
  );

function checkStep(steps: readonly HostStep[], samples: Samples): void {
  const [{ operator, args }] = steps;
  if (steps.some((step) => step.operator !== operator || step.args.length !== args.length))
    throw undecided('the program');
  const given = args.map((_, index) => steps.map((step) => step.args[index]));
  if (given.every(areSame)) return;
  const name = operator.replace(/^\w+::/, '').replace(/\..*$/, '');
  const makesText = steps.every(({ result: { form } }) => form.startsWith('"'));
  if (makesText) return;
  // Text that tells a size is for messages.
  if (given.some((values) => values.some(({ form }) => form !== values[0].form))) throw undecided(operator);
  const results = steps.map(({ result }) => result);
  if (!(kinds[name] ?? isSeen)(given, results, samples)) throw undecided(operator);
}

/** Values of each argument at the points. */
type Check = (
  given: readonly (readonly HostValue[])[],
  results: readonly HostValue[],
  samples: Samples,
) => boolean;

/** What shows in the result shows in the graph, or where that is compared. */
const isSeen: Check = (_, results) => !areSame(results);

const always: Check = () => true;

/** The first argument may differ. */
const restIsSame: Check = (given) => given.slice(1).every(areSame);

/** A quotient by the same number rises or falls with what is divided: between equal ends it is the same. */
const floorDivision: Check = (given, results) => areSame(given[1]) || !areSame(results);

function formsOf(values: readonly HostValue[], samples: Samples): (LinearForm | undefined)[] {
  return values[0].numbers.map((_, at) => samples.linear(values.map(({ numbers }) => numbers[at])));
}

const difference = (a: LinearForm, b: LinearForm): LinearForm => ({
  constant: a.constant - b.constant,
  slopes: a.slopes.map((slope, index) => slope - b.slopes[index]),
});

/** @param isDecided by the least and the largest of the first less the second */
const comparison =
  (isDecided: (low: number, high: number) => boolean): Check =>
  (given, _, samples) => {
    const [left, right] = given.map((values) => formsOf(values, samples));
    if (left.length !== 1 || right?.length !== 1) return false;
    const [[a], [b]] = [left, right];
    return a !== undefined && b !== undefined && isDecided(...samples.range(difference(a, b)));
  };

/** Of numbers, or of lists of them: equal everywhere, or somewhere never. */
const equality: Check = (given, _, samples) => {
  const [left, right] = given.map((values) => formsOf(values, samples));
  if (right === undefined || left.length !== right.length) return false;
  const ranges = left.map((a, at) => {
    const b = right[at];
    return a === undefined || b === undefined ? undefined : samples.range(difference(a, b));
  });
  return (
    ranges.some((range) => range !== undefined && (range[0] > 0 || range[1] < 0)) ||
    ranges.every((range) => range !== undefined && range[0] === 0 && range[1] === 0)
  );
};

/** One of the numbers is the least (the largest) everywhere. */
const extreme =
  (sign: 1 | -1): Check =>
  (given, _, samples) => {
    const forms = given.flatMap((values) => formsOf(values, samples));
    return forms.some((winner) =>
      forms.every((other) => {
        if (winner === undefined || other === undefined) return false;
        const [low, high] = samples.range(difference(other, winner));
        return sign === 1 ? low >= 0 : high <= 0;
      }),
    );
  };

const isNonZero: Check = ([values], _, samples) => {
  const forms = formsOf(values, samples);
  const [low, high] = forms[0] === undefined ? [0, 0] : samples.range(forms[0]);
  return forms.length === 1 && (low > 0 || high < 0);
};

const kinds: Readonly<Record<string, Check>> = {
  lt: comparison((low, high) => high < 0 || low >= 0),
  le: comparison((low, high) => high <= 0 || low > 0),
  gt: comparison((low, high) => low > 0 || high <= 0),
  ge: comparison((low, high) => low >= 0 || high < 0),
  eq: equality,
  ne: equality,
  min: extreme(1),
  max: extreme(-1),
  Bool: isNonZero,
  add: always,
  add_: always,
  sub: always,
  mul: always,
  neg: always,
  NumToTensor: always,
  append: always,
  extend: always,
  len: always,
  Size: always,
  Int: always,
  Float: always,
  __getitem__: restIsSame,
  select: restIsSame,
  slice: restIsSame,
  floordiv: floorDivision,
};
