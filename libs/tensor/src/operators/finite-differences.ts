// The gradient of one recorded operator call against finite differences, in float64 and complex128: the scalar is the product of the
// results with a fixed cotangent, and it is moved along one random direction through all the operands at once.
//
// Five points of a line tell whether the call is smooth there: second differences grow with the square of the step where it is, and
// with the step itself across a kink. At a kink (a tie, the border of a clamp, a zero) there is nothing to compare with, so
// the operands are moved a little and it is tried again.
import type { DType, IValue, Schema } from '@weft/ir';
import { findSchema, isComplex, isFloatingPoint } from '@weft/ir';
import { literalOf, numbersOf } from '@weft/ops';
import { Tensor, callOperator, grad, hostDevice, manualSeed, noGrad } from '../index.ts';
import type { OperatorCase, Recorded, TensorData } from './run-case.ts';
import { isData, isWrittenTo, numberOf, valueOf } from './run-case.ts';

/** What is special in how an operator's operands may be moved. */
export interface Movement {
  /** Leaves that move along Hermitian directions: only one triangle of them is read, or the result is one of many else. */
  readonly hermitian?: readonly number[];
  /** Computes arguments from others before the call, where they have to fit each other (what a forward call saved). */
  readonly follow?: (args: IValue[]) => void;
}

export type Outcome =
  /** The numbers agree at a point where the call is smooth, for the results that require gradients. */
  | { readonly kind: 'agrees'; readonly constant: readonly number[] }
  /** Nothing to compare: no floating operands, or no result that is a function of them. */
  | { readonly kind: 'nothing'; readonly reason: string }
  | { readonly kind: 'differs'; readonly reason: string };

const wider = (dtype: DType): DType =>
  isComplex(dtype) ? 'complex128' : isFloatingPoint(dtype) ? 'float64' : dtype;
const isDifferentiable = (dtype: DType): boolean => isFloatingPoint(dtype) || isComplex(dtype);

/** The arguments in wide dtypes; the tensors that are moved are collected. */
function widen(value: Recorded, leaves: TensorData[]): Recorded {
  if (Array.isArray(value)) return value.map((each) => widen(each, leaves));
  if (typeof value !== 'object' || value === null) return value;
  if ('dtype' in value) return { dtype: wider(value.dtype) };
  if (!isData(value) || !isDifferentiable(value.t)) return value;
  const leaf = { ...value, t: wider(value.t), d: value.d.map(numberOf) };
  leaves.push(leaf);
  return leaf;
}

const hashed = (seed: number): number => {
  const x = Math.sin(seed * 12.9898 + 78.233) * 43758.5453;
  return x - Math.floor(x);
};
/** A number between 1/4 and 1, or its negative. */
const moving = (seed: number): number => (0.25 + 0.75 * hashed(seed)) * (hashed(seed + 0.5) < 0.5 ? -1 : 1);

/** Makes each matrix of `numbers` equal to its conjugate transpose. */
function hermitian({ t, s }: TensorData, numbers: number[]): void {
  const [n, parts] = [s[s.length - 1], isComplex(t) ? 2 : 1];
  for (let matrix = 0; matrix < numbers.length; matrix += n * n * parts) {
    for (let row = 0; row < n; row++) {
      for (let column = 0; column <= row; column++) {
        const [a, b] = [row * n + column, column * n + row].map((at) => matrix + at * parts);
        numbers[b] = numbers[a];
        if (parts === 2) numbers[b + 1] = row === column ? (numbers[a + 1] = 0) : -numbers[a + 1];
      }
    }
  }
}

class Differentiated {
  private readonly leaves: TensorData[] = [];
  private readonly args: Recorded[];
  private readonly writes: boolean;

  constructor(
    private readonly recorded: OperatorCase,
    private readonly schema: Schema,
    private readonly movement: Movement,
  ) {
    this.args = recorded.args.map((each) => widen(each, this.leaves));
    this.writes = schema.arguments.some(isWrittenTo);
  }

  check(): Outcome {
    if (this.leaves.length === 0) return { kind: 'nothing', reason: 'no floating operands' };
    let outcome: Outcome = { kind: 'nothing', reason: 'not tried' };
    for (let attempt = 0; attempt < 5; attempt++) {
      outcome = this.checkAt(this.point(attempt));
      if (outcome.kind !== 'nothing' || outcome.reason !== unsmooth) return outcome;
    }
    return outcome;
  }

  /** The recorded operands, moved by a little more at each attempt (what is not finite becomes finite); at last, numbers in (0, 1). */
  private point(attempt: number): number[][] {
    const by = [0, 0.01, 0.04, 0.1, 0.4][attempt];
    return this.leaves.map((leaf, index) => {
      const numbers = (leaf.d as readonly number[]).map((each, at) => {
        const moved = by * moving(101 * attempt + 17 * index + at);
        return attempt === 4 || (attempt > 0 && !Number.isFinite(each)) ? 0.5 + moved : each + moved;
      });
      if (by !== 0 && this.isHermitian(index)) hermitian(leaf, numbers);
      return numbers;
    });
  }

  private checkAt(point: readonly number[][]): Outcome {
    const found = this.gradients(point);
    if (typeof found === 'string') return { kind: 'nothing', reason: found };
    const { exact, constant } = found;
    const direction = this.leaves.map((leaf, index) => {
      const isConstant = exact[index] === null && this.recorded.grads?.[index] === null;
      if (isConstant) return leaf.d.map(() => 0);
      const numbers = leaf.d.map((_, at) => moving(7919 * (index + 1) + at));
      if (this.isHermitian(index)) hermitian(leaf, numbers);
      return numbers;
    });
    const step = 1e-4;
    const at = (steps: number): number =>
      this.scalar(
        point.map((numbers, leaf) =>
          numbers.map((each, index) => each + steps * step * direction[leaf][index]),
        ),
        constant,
      );
    const [far, near, here, next, beyond] = [-2, -1, 0, 1, 2].map(at);
    const [slope, wideSlope] = [(next - near) / (2 * step), (beyond - far) / (4 * step)];
    const difference = (4 * slope - wideSlope) / 3;
    const bend = (next - 2 * here + near) / step;
    const wideBend = (beyond - 2 * here + far) / (2 * step);
    const predicted = exact.reduce(
      (sum, numbers, leaf) => sum + (numbers === null ? 0 : dot(numbers, direction[leaf])),
      0,
    );
    const scale = Math.max(1, Math.abs(difference));
    const rounding = (Math.abs(here) * 1e-14) / step;
    const kinks = Math.max(Math.abs(wideBend - 2 * bend), Math.abs(wideSlope - slope));
    if (!(kinks <= 1e-5 * scale + rounding)) return { kind: 'nothing', reason: unsmooth };
    if (Math.abs(difference - predicted) <= 1e-6 * scale + rounding) return { kind: 'agrees', constant };
    const none = exact.flatMap((each, index) => (each === null ? [index] : []));
    const without = none.length > 0 ? `, none by ${none.join(', ')}` : '';
    return { kind: 'differs', reason: `gradient ${predicted}, differences ${difference}${without}` };
  }

  private isHermitian(leaf: number): boolean {
    return this.movement.hermitian?.includes(leaf) === true;
  }

  /** Makes the call with the leaves at `point`. */
  private call(point: readonly number[][], requiresGrad: boolean): { leaves: Tensor[]; results: Tensor[] } {
    let next = 0;
    const at = (value: Recorded): Recorded => {
      if (Array.isArray(value)) return value.map(at);
      if (!isData(value) || !isDifferentiable(value.t)) return value;
      return { ...value, d: point[next++] };
    };
    const tensors: Tensor[] = [];
    const { arguments: formals } = this.schema;
    const args = formals.map(({ type }, index) => valueOf(at(this.args[index]), type, tensors));
    const leaves = tensors.filter(({ dtype }) => isDifferentiable(dtype));
    if (requiresGrad) for (const leaf of leaves) leaf.requiresGrad = true;
    if (this.writes)
      formals.forEach((formal, index) => isWrittenTo(formal) && (args[index] = copied(args[index])));
    this.movement.follow?.(args);
    manualSeed(this.recorded.seed ?? 0);
    const results = tensorsIn(callOperator(this.recorded.op, args)).filter(({ dtype }) =>
      isDifferentiable(dtype),
    );
    return { leaves, results };
  }

  /** Cotangents of the leaves, and which floating results are no function of them. */
  private gradients(
    point: readonly number[][],
  ): { exact: (Float64Array | null)[]; constant: number[] } | string {
    const { leaves, results } = this.call(point, true);
    if (results.length === 0) return 'no floating results';
    const constant = results.flatMap((each, index) => (each.requiresGrad ? [] : [index]));
    if (constant.length === results.length) return 'no gradient';
    const roots = results.filter((each) => each.requiresGrad);
    const seeds = roots.map((root) =>
      Tensor.fromLiteral(
        literalOf(root.dtype, root.sizes, cotangent(root, results.indexOf(root))),
        hostDevice(),
      ),
    );
    const found = grad(roots, leaves, seeds, { allowUnused: true });
    return { exact: found.map((each) => (each === null ? null : numbersOf(each.toLiteral()))), constant };
  }

  private scalar(point: readonly number[][], constant: readonly number[]): number {
    const { results } = noGrad(() => this.call(point, false));
    return results.reduce((sum, result, index) => {
      if (constant.includes(index)) return sum;
      return sum + dot(numbersOf(result.toLiteral()), cotangent(result, index));
    }, 0);
  }
}

const unsmooth = 'no point near it is smooth';

/** For the result at an index; real and imaginary parts in turn, none of them zero. */
function cotangent({ dtype, sizes }: Tensor, result: number): number[] {
  const count = sizes.reduce((product, size) => product * size, isComplex(dtype) ? 2 : 1);
  return Array.from({ length: count }, (_, at) => moving(31 * result + at + 0.25));
}

const dot = (x: Float64Array, y: readonly number[]): number =>
  x.reduce((sum, each, at) => sum + each * y[at], 0);

const copied = (value: IValue): IValue =>
  Array.isArray(value)
    ? value.map(copied)
    : value instanceof Tensor
      ? (value.clone() as unknown as IValue)
      : value;

const tensorsIn = (value: IValue | readonly IValue[]): Tensor[] =>
  value instanceof Tensor ? [value] : Array.isArray(value) ? value.flatMap(tensorsIn) : [];

/** Compares the gradient of a recorded call with finite differences. */
export function checkGradient(recorded: OperatorCase, movement: Movement = {}): Outcome {
  return new Differentiated(recorded, findSchema(recorded.op)!, movement).check();
}
