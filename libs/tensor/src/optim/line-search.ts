// Line search for the strong Wolfe conditions: how far to go along a direction so that the loss falls enough and the slope
// flattens enough. First a bracket is found, then it is narrowed by cubic interpolation (Nocedal and Wright, algorithms 3.5, 3.6).
import type { Tensor } from '../tensor.ts';

/** The loss and the flat gradient at a distance along the direction, and the slope there. */
export interface LinePoint {
  readonly at: number;
  readonly loss: number;
  readonly gradient: Tensor;
  readonly slope: number;
}

export interface LineSearchResult {
  readonly point: LinePoint;
  readonly evaluations: number;
}

const sufficientDecrease = 1e-4;
const curvature = 0.9;
const mostEvaluations = 25;

/**
 * @param start the point at distance 0
 * @param first the distance to try first
 * @param length the largest magnitude in the direction
 * @param tolerance on the length of the bracket
 */
export function strongWolfe(
  evaluate: (at: number) => LinePoint,
  start: LinePoint,
  first: number,
  length: number,
  tolerance: number,
): LineSearchResult {
  const isTooHigh = ({ at, loss }: LinePoint): boolean =>
    loss > start.loss + sufficientDecrease * at * start.slope;
  const isFlat = ({ slope }: LinePoint): boolean => Math.abs(slope) <= -curvature * start.slope;
  let evaluations = 1;
  let count = 0;
  let before = start;
  let point = evaluate(first);
  let bracket: [LinePoint, LinePoint] | undefined;
  while (count < mostEvaluations) {
    if (isTooHigh(point) || (count > 1 && point.loss >= before.loss)) {
      bracket = [before, point];
      break;
    }
    if (isFlat(point)) return { point, evaluations };
    if (point.slope >= 0) {
      bracket = [before, point];
      break;
    }
    const bounds: [number, number] = [point.at + 0.01 * (point.at - before.at), point.at * 10];
    const next = cubicMinimum(before, point, bounds);
    before = point;
    point = evaluate(next);
    evaluations++;
    count++;
  }
  bracket ??= [start, point];
  return zoom(bracket, evaluations, count);

  function zoom(ends: [LinePoint, LinePoint], evaluated: number, done: number): LineSearchResult {
    let total = evaluated;
    let low = ends[0].loss <= ends[1].loss ? 0 : 1;
    let isSlow = false;
    for (let round = done; round < mostEvaluations; round++) {
      const [left, right] = [Math.min(ends[0].at, ends[1].at), Math.max(ends[0].at, ends[1].at)];
      if ((right - left) * length < tolerance) break;
      let at = cubicMinimum(ends[0], ends[1]);
      // Twice close to an end, or once at it, is no progress: then a tenth of the bracket away from it.
      const margin = 0.1 * (right - left);
      if (Math.min(right - at, at - left) < margin) {
        if (isSlow || at >= right || at <= left) {
          at = Math.abs(at - right) < Math.abs(at - left) ? right - margin : left + margin;
          isSlow = false;
        } else isSlow = true;
      } else isSlow = false;
      const tried = evaluate(at);
      total++;
      const high = 1 - low;
      if (isTooHigh(tried) || tried.loss >= ends[low].loss) {
        ends[high] = tried;
        low = ends[0].loss <= ends[1].loss ? 0 : 1;
        continue;
      }
      const flat = isFlat(tried);
      if (!flat && tried.slope * (ends[high].at - ends[low].at) >= 0) ends[high] = ends[low];
      ends[low] = tried;
      if (flat) break;
    }
    return { point: ends[low], evaluations: total };
  }
}

/** Where the cubic through two points with their slopes is least, within the bounds (default: between the points). */
function cubicMinimum(
  p: LinePoint,
  q: LinePoint,
  [low, high]: readonly [number, number] = [Math.min(p.at, q.at), Math.max(p.at, q.at)],
): number {
  const d = p.slope + q.slope - (3 * (p.loss - q.loss)) / (p.at - q.at);
  const square = d ** 2 - p.slope * q.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const root = Math.sqrt(square);
  const at =
    p.at <= q.at
      ? q.at - (q.at - p.at) * ((q.slope + root - d) / (q.slope - p.slope + 2 * root))
      : p.at - (p.at - q.at) * ((p.slope + root - d) / (p.slope - q.slope + 2 * root));
  return Math.min(Math.max(at, low), high);
}
