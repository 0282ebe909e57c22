// Equations of einsum, and how its results lie: PyTorch computes them by batched products of pairs, whose results are seen
// in the order of the output's labels.
import { check, range } from './broadcast.ts';
import type { ResultLayout } from './result-layout.ts';
import type { Geometry } from './strides.ts';
import { contiguousStrides, iteratorStrides } from './strides.ts';

/** Labels of each operand and of the result; the ellipsis becomes labels of its own, aligned at the end. */
export function parseEquation(
  equation: string,
  ranks: readonly number[],
): { inputs: string[][]; output: string[] } {
  const text = equation.replaceAll(' ', '');
  const [left, right] = text.split('->') as [string, string | undefined];
  const terms = left.split(',');
  check(terms.length === ranks.length, () =>
    terms.length > ranks.length
      ? 'einsum(): more subscripts in equation than operands were provided'
      : 'einsum(): more operands were provided than specified in the equation',
  );
  let widest = 0;
  const inputs = terms.map((term, at) => {
    const [head, tail] = term.includes('...') ? term.split('...') : [term, null];
    const named = head.length + (tail?.length ?? 0);
    const rank = ranks[at];
    const hidden = rank - named;
    check(
      tail === null ? hidden === 0 : hidden >= 0,
      () =>
        `einsum(): the number of subscripts in the equation (${named}) ${named > rank ? 'is more than' : 'does not match'} the number of dimensions (${rank}) for operand ${at}${tail === null ? ' and no ellipsis was given' : ''}`,
    );
    widest = Math.max(widest, hidden);
    const ellipsis = tail === null ? [] : range(hidden).map((each) => `.${hidden - each}`);
    return [...head, ...ellipsis, ...(tail ?? '')];
  });
  const ellipsis = range(widest).map((each) => `.${widest - each}`);
  if (right === undefined) {
    const counts = new Map<string, number>();
    for (const label of inputs.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
    const once = [...counts]
      .filter(([label, count]) => count === 1 && !label.startsWith('.'))
      .map(([label]) => label);
    // PyTorch orders A-Z before a-z, as characters do.
    return { inputs, output: [...ellipsis, ...once.sort()] };
  }
  const [head, tail] = right.includes('...') ? right.split('...') : [right, null];
  return { inputs, output: [...head, ...(tail === null ? [] : ellipsis), ...(tail ?? '')] };
}

/** A tensor with a dimension for each label of the equation, of size 1 where it has none. */
type Aligned = Geometry;

/** The diagonal of repeated labels, its dimensions in the order of `labels`. */
function align({ sizes, strides }: Geometry, own: readonly string[], labels: readonly string[]): Aligned {
  const at = labels.map((label) => own.flatMap((each, dim) => (each === label ? [dim] : [])));
  return {
    sizes: at.map((dims) => (dims.length === 0 ? 1 : sizes[dims[0]])),
    strides: at.map((dims) => dims.reduce((sum, dim) => sum + strides[dim], 0)),
  };
}

/** How the product of two lies, `summed` dimensions summed to size 1 (sumproduct_pair). */
function pairOf(left: Aligned, right: Aligned, summed: readonly boolean[]): Aligned {
  const sizes = left.sizes.map((size, dim) => (summed[dim] ? 1 : size === 1 ? right.sizes[dim] : size));
  const contracts = summed.some((is, dim) => is && left.sizes[dim] !== 1 && right.sizes[dim] !== 1);
  if (!contracts) return { sizes, strides: iteratorStrides(sizes, [left, right]) };
  const isBatch = (dim: number): boolean => left.sizes[dim] > 1 && right.sizes[dim] > 1;
  const dims = range(sizes.length);
  const kept = dims.filter((dim) => !summed[dim]);
  const order = [
    ...kept.filter(isBatch),
    ...kept.filter((dim) => !isBatch(dim) && left.sizes[dim] > 1),
    ...dims.filter((dim) => summed[dim]),
    ...kept.filter((dim) => !isBatch(dim) && left.sizes[dim] <= 1),
  ];
  const dense = contiguousStrides(order.map((dim) => sizes[dim]));
  return { sizes, strides: dims.map((dim) => dense[order.indexOf(dim)]) };
}

/** A sum that keeps its dimensions is row-major. */
function sumOf(x: Aligned, dims: readonly boolean[]): Aligned {
  if (!dims.some((is, dim) => is && x.sizes[dim] !== 1)) return x;
  const sizes = x.sizes.map((size, dim) => (dims[dim] ? 1 : size));
  return { sizes, strides: contiguousStrides(sizes) };
}

export const einsumLayout: ResultLayout = {
  kind: 'strides',
  strides: ({ args: [equation, tensors] }, sizes) => {
    const operands = tensors as readonly Geometry[];
    const { inputs, output } = parseEquation(
      equation as string,
      operands.map((each) => each.sizes.length),
    );
    const labels = [...new Set([...output, ...inputs.flat()])];
    const isKept = labels.map((_, dim) => dim < output.length);
    const terms = operands.map((operand, at) => align(operand, inputs[at], labels));
    if (terms.length === 1)
      return sumOf(
        terms[0],
        isKept.map((kept) => !kept),
      ).strides.slice(0, sizes.length);
    const wide = (term: Aligned, dim: number): boolean => term.sizes[dim] !== 1;
    const result = terms.slice(1).reduce((left, right, at) => {
      // What no later operand has is summed now, of one side alone before the product.
      const ends = labels.map(
        (_, dim) => !isKept[dim] && !terms.slice(at + 2).some((later) => wide(later, dim)),
      );
      const [x, y] = [left, right].map((side, which) =>
        sumOf(
          side,
          ends.map((is, dim) => is && !wide(which === 0 ? right : left, dim)),
        ),
      );
      return pairOf(x, y, ends);
    }, terms[0]);
    return result.strides.slice(0, sizes.length);
  },
};
