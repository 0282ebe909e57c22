// Orthogonal factorisations as loops of core operators: QR by Householder reflections (LAPACK's signs), singular values and
// symmetric eigenvalues by one-sided Jacobi rotations in rounds of disjoint pairs (Brent and Luk, 1985). Computed in
// double precision; their derivatives are those of PyTorch.
import type { CoreBuilder, Node, Value } from '@weft/ir';
import { compositeAttributes, isComplex, numel, realDType, registerComposite } from '@weft/ir';
import { fail, range, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, times as scale } from './elementwise.ts';
import { sliceDim } from './shapes.ts';
import { takeAlong, takeSlices } from './gathering.ts';
import { literalOf } from './literal.ts';
import {
  adjoint,
  alongColumns,
  alongRows,
  conjugate,
  diagonalMatrix,
  diagonalOf,
  flattened,
  fromReal,
  identityLike,
  leadOf,
  lowerPart,
  precise,
  product,
  realPart,
  times,
  unflattened,
  upperPart,
  whereIndex,
} from './matrices.ts';

type Cotangents = readonly (Value | null)[];
const vjp =
  (body: (b: CoreBuilder, node: Node, cotangents: Cotangents) => Value | null) =>
  (b: CoreBuilder, node: Node, cotangents: Cotangents): (Value | null)[] => [
    cotangents.every((g) => g === null) ? null : body(b, node, cotangents),
  ];

// ---- QR -----------------------------------------------------------------------------------------------------------

/** Q [batch, m, m] and R [batch, m, n] of [batch, m, n]. */
function householder(b: CoreBuilder, a: Value): [q: Value, r: Value] {
  const [batch, m, n] = sizesOf(a);
  const dtype = dtypeOf(a);
  const row = [batch, m];
  const [, r, q] = b.while(
    [b.full(0n, 'int64'), a, identityLike(b, a, m)],
    (b, k) => [is(b, k, 'LT', Math.min(m, n))],
    (b, k, r, q) => {
      const sizes = [batch, m, n];
      const numbers = b.iota('int64', row, 1);
      const at = b.broadcastTo(k, row);
      const atColumn = b.compare(b.iota('int64', sizes, 2), b.broadcastTo(k, sizes), 'EQ');
      const x = b.reduceSum(b.select(atColumn, r, like(b, r, 0)), [2]);
      const zero = like(b, x, 0);
      const here = b.compare(numbers, at, 'EQ');
      const below = b.select(b.compare(numbers, at, 'GT'), x, zero);
      const alpha = b.reduceSum(b.select(here, x, zero), [1]);
      const absBelow = b.abs(below);
      const rest = b.sqrt(b.reduceSum(b.multiply(absBelow, absBelow), [1]));
      const size = b.abs(alpha);
      const norm = b.sqrt(b.add(b.multiply(size, size), b.multiply(rest, rest)));
      const real = realPart(b, alpha);
      const beta = b.select(is(b, real, 'LT', 0), norm, b.negate(norm));
      const flatImaginary = isComplex(dtype) ? is(b, b.imag(alpha), 'EQ', 0) : is(b, size, 'GE', 0);
      const none = b.and(is(b, rest, 'EQ', 0), flatImaginary);
      const safeBeta = b.select(none, like(b, beta, 1), beta);
      const wide = fromReal(b, safeBeta, dtype);
      const tau = b.select(none, like(b, alpha, 0), b.divide(b.subtract(wide, alpha), wide));
      const divisor = b.select(none, like(b, alpha, 1), b.subtract(alpha, wide));
      const scaled = b.divide(below, b.broadcastInDim(divisor, row, [0]));
      const v = b.select(here, like(b, scaled, 1), scaled);
      const column = b.reshape(v, [batch, m, 1]);
      const conjColumn = b.reshape(conjugate(b, v), [batch, 1, m]);
      const by = (t: Value, x: Value): Value => b.multiply(b.broadcastInDim(t, sizesOf(x), [0]), x);
      const nextR = b.subtract(r, by(conjugate(b, tau), product(b, column, times(b, conjColumn, r))));
      const nextQ = b.subtract(q, by(tau, product(b, times(b, q, column), conjColumn)));
      return [plus(b, k, 1), nextR, nextQ];
    },
  );
  return [q, upperPart(b, r)];
}

/** Reduced (k columns) or complete factors of matrices with any leading dimensions. */
export function qr(b: CoreBuilder, a: Value, complete: boolean): [q: Value, r: Value] {
  const [m, n] = sizesOf(a).slice(-2);
  const k = complete ? m : Math.min(m, n);
  const lead = leadOf(a);
  const [q, r] = b.composite('linalg_qr', [a], { complete }, (b, x) => {
    const [qFull, rFull] = householder(b, b.convert(flattened(b, x), precise(dtypeOf(x))));
    const parts = [sliceDim(b, qFull, 2, 0, k), sliceDim(b, rFull, 1, 0, k)];
    return parts.map((part) => b.convert(unflattened(b, part, lead), dtypeOf(x)));
  });
  return [q, r];
}

/** X + X^H with the diagonal halved: the adjoint of taking the inverse of a symmetrisation. */
function symmetrised(b: CoreBuilder, x: Value): Value {
  const sum = b.add(x, adjoint(b, x));
  return b.select(whereIndex(b, sum, 'EQ'), scale(b, sum, 0.5), sum);
}

function qrCotangent(b: CoreBuilder, q: Value, r: Value, gq: Value | null, gr: Value | null): Value {
  const left = gr === null ? null : product(b, gr, adjoint(b, r));
  const right = gq === null ? null : product(b, adjoint(b, q), gq);
  const inner = left === null ? b.negate(right!) : right === null ? left : b.subtract(left, right);
  const spread = product(b, q, symmetrised(b, upperPart(b, inner)));
  const total = gq === null ? spread : b.add(gq, spread);
  return b.triangularSolve(r, total, {
    leftSide: false,
    lower: false,
    unitDiagonal: false,
    transpose: 'ADJOINT',
  });
}

registerComposite('linalg_qr', {
  vjp: vjp((b, node, [gq, gr]) => {
    const [q, r] = node.outputs;
    const rank = sizesOf(r).length;
    const [m, n] = sizesOf(node.inputs[0]).slice(-2);
    if (m > n && compositeAttributes(node).complete === true) {
      fail("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.");
    }
    if (m >= n) return qrCotangent(b, q, r, gq, gr);
    // A = [X | Y], R = [U | V]: X = Q U as above, Y = Q V.
    const [u, v] = [sliceDim(b, r, rank - 1, 0, m), sliceDim(b, r, rank - 1, m, n)];
    if (gr === null) {
      const gx = qrCotangent(b, q, u, gq, null);
      return b.concatenate([gx, like(b, v, 0)], rank - 1);
    }
    const [gu, gv] = [sliceDim(b, gr, rank - 1, 0, m), sliceDim(b, gr, rank - 1, m, n)];
    const fromY = product(b, product(b, q, v), adjoint(b, gv));
    const gx = qrCotangent(b, q, u, gq === null ? fromY : b.add(gq, fromY), gu);
    return b.concatenate([gx, product(b, q, gv)], rank - 1);
  }),
});

// ---- Jacobi rotations ---------------------------------------------------------------------------------------------

const SWEEPS = 12;

/**
 * Rotates the columns of [batch, m, n] until they are orthogonal: X V = result. In each round column i of the first half
 * meets column i of the second half; then all but the first move on by one place, as in a tournament.
 */
function rotateColumns(b: CoreBuilder, a: Value): { columns: Value; v: Value } {
  const n = sizesOf(a)[2];
  if (n === 1) return { columns: a, v: identityLike(b, a, 1) };
  const width = n + (n % 2);
  const half = width / 2;
  const padded = b.pad(a, b.full(0, dtypeOf(a)), [0, 0, 0], [0, 0, width - n]);
  const top = range(half);
  const bottom = range(half, half);
  const nextTop = [top[0], bottom[0], ...top.slice(1, -1)].slice(0, half);
  const nextBottom = [...bottom.slice(1), half > 1 ? top[half - 1] : bottom[0]];
  const order = half === 1 ? [0, 1] : [...nextTop, ...nextBottom];
  const turn = b.constant(literalOf('int64', [width], order));
  const rounds = SWEEPS * (width - 1);
  const [, columns, v] = b.while(
    [b.full(0n, 'int64'), padded, identityLike(b, padded, width)],
    (b, k) => [is(b, k, 'LT', rounds)],
    (b, k, x, v) => {
      const [p, q] = [sliceDim(b, x, 2, 0, half), sliceDim(b, x, 2, half, width)];
      const squared = (y: Value): Value => {
        const size = b.abs(y);
        return b.reduceSum(b.multiply(size, size), [1]);
      };
      const [alpha, beta] = [squared(p), squared(q)];
      const c = b.reduceSum(b.multiply(conjugate(b, p), q), [1]);
      const size = b.abs(c);
      const done = is(b, size, 'EQ', 0);
      const safe = b.select(done, like(b, size, 1), size);
      const phase = b.select(done, like(b, c, 1), b.divide(c, fromReal(b, safe, dtypeOf(c))));
      const zeta = b.divide(b.subtract(beta, alpha), scale(b, safe, 2));
      const root = b.sqrt(plus(b, b.multiply(zeta, zeta), 1));
      const sign = b.select(is(b, zeta, 'LT', 0), like(b, zeta, -1), like(b, zeta, 1));
      const tangent = b.select(done, like(b, zeta, 0), b.divide(sign, b.add(b.abs(zeta), root)));
      const cosine = b.rsqrt(plus(b, b.multiply(tangent, tangent), 1));
      const sine = b.multiply(cosine, tangent);
      const rotate = (y: Value): Value => {
        const [first, second] = [sliceDim(b, y, 2, 0, half), sliceDim(b, y, 2, half, width)];
        const along = (value: Value): Value => alongColumns(b, fromReal(b, value, dtypeOf(y)), first);
        // Near the identity where the columns are orthogonal already: no vector's sign hangs on rounding.
        const toFirst = b.multiply(second, alongColumns(b, conjugate(b, phase), first));
        const toSecond = b.multiply(first, alongColumns(b, phase, first));
        const newFirst = b.subtract(b.multiply(along(cosine), first), b.multiply(along(sine), toFirst));
        const newSecond = b.add(b.multiply(along(cosine), second), b.multiply(along(sine), toSecond));
        return takeSlices(b, b.concatenate([newFirst, newSecond], 2), turn, 2);
      };
      return [plus(b, k, 1), rotate(x), rotate(v)];
    },
  );
  return { columns, v };
}

/** Singular values in descending order, with U [batch, m, n] (zero columns where they vanish) and V [batch, n, n]. */
function jacobi(b: CoreBuilder, a: Value): { u: Value; s: Value; v: Value } {
  const [batch, m, n] = sizesOf(a);
  const { columns, v } = rotateColumns(b, a);
  const width = sizesOf(columns)[2];
  const size = b.abs(columns);
  const norms = b.sqrt(b.reduceSum(b.multiply(size, size), [1]));
  // The column that made the number even goes last: it is the one whose V has the extra row.
  const key =
    width === n
      ? norms
      : b.select(
          is(b, b.abs(b.reshape(sliceDim(b, v, 1, n, width), [batch, width])), 'GT', 0.5),
          like(b, norms, -1),
          norms,
        );
  const [, places] = b.sort([key, b.iota('int64', [batch, width], 1)], 1, true, (b, p, q) => [
    b.compare(p, q, 'GT'),
  ]);
  const chosen = sliceDim(b, places, 1, 0, n);
  const s = takeAlong(b, norms, chosen, 1);
  const pick = (x: Value, rows: number): Value =>
    takeAlong(b, x, b.broadcastInDim(chosen, [batch, rows, n], [0, 2]), 2);
  const sorted = pick(columns, m);
  const limit = b.broadcastInDim(scale(b, b.reduceMax(s, [1]), 2 ** -52 * Math.max(m, n)), [batch, n], [0]);
  const vanishes = b.compare(s, limit, 'LE');
  const divisor = fromReal(b, b.select(vanishes, like(b, s, Infinity), s), dtypeOf(a));
  const unit = b.divide(sorted, alongColumns(b, divisor, sorted));
  const u = b.select(alongColumns(b, vanishes, sorted), like(b, unit, 0), unit);
  return { u, s, v: pick(sliceDim(b, v, 1, 0, n), n) };
}

/** Fills zero columns and adds columns up to `count`, all orthonormal. */
function completed(b: CoreBuilder, u: Value, count: number): Value {
  const [q, r] = householder(b, u);
  const diagonal = diagonalOf(b, r);
  const signs = b.select(is(b, b.abs(diagonal), 'LT', 0.5), like(b, diagonal, 1), diagonal);
  const n = sizesOf(signs)[1];
  const first = sliceDim(b, q, 2, 0, n);
  const fixed = b.multiply(first, alongColumns(b, signs, first));
  return b.concatenate([fixed, sliceDim(b, q, 2, n, count)], 2);
}

/** U, S, V^H; U and V square when `full`. */
export function svd(b: CoreBuilder, a: Value, full: boolean): [u: Value, s: Value, vh: Value] {
  const [m, n] = sizesOf(a).slice(-2);
  const lead = leadOf(a);
  const dtype = dtypeOf(a);
  const [u, s, vh] = b.composite('linalg_svd', [a], { full }, (b, x) => {
    const flat = b.convert(flattened(b, x), precise(dtype));
    const tall = m >= n;
    const found = jacobi(b, tall ? flat : adjoint(b, flat));
    const long = completed(b, found.u, full ? Math.max(m, n) : Math.min(m, n));
    const [left, right] = tall ? [long, found.v] : [found.v, long];
    return [
      b.convert(unflattened(b, left, lead), dtype),
      b.convert(b.reshape(found.s, [...lead, Math.min(m, n)]), realDType(dtype)),
      b.convert(unflattened(b, adjoint(b, right), lead), dtype),
    ];
  });
  return [u, s, vh];
}

registerComposite('linalg_svd', {
  vjp: vjp((b, node, [gu, gs, gvh]) => {
    const [m, n] = sizesOf(node.inputs[0]).slice(-2);
    const k = Math.min(m, n);
    const rank = sizesOf(node.inputs[0]).length;
    const dtype = dtypeOf(node.inputs[0]);
    // Columns beyond the k-th are arbitrary: nothing depends on them.
    const u = sliceDim(b, node.outputs[0], rank - 1, 0, k);
    const s = node.outputs[1];
    const vh = sliceDim(b, node.outputs[2], rank - 2, 0, k);
    const wide = fromReal(b, s, dtype);
    let middle: Value | null = gs === null ? null : diagonalMatrix(b, fromReal(b, gs, dtype));
    const add = (x: Value): void => {
      middle = middle === null ? x : b.add(middle, x);
    };
    const skew = (x: Value): Value => b.subtract(x, adjoint(b, x));
    const squares = b.multiply(wide, wide);
    const over = (x: Value): Value => {
      const difference = b.subtract(alongColumns(b, squares, x), alongRows(b, squares, x));
      const diagonal = whereIndex(b, x, 'EQ');
      return b.divide(x, b.select(diagonal, like(b, x, 1), difference));
    };
    let result: Value | null = null;
    const collect = (x: Value): void => {
      result = result === null ? x : b.add(result, x);
    };
    const inverse = b.divide(like(b, wide, 1), wide);
    if (gu !== null) {
      const g = sliceDim(b, gu, rank - 1, 0, k);
      const inner = product(b, adjoint(b, u), g);
      const turned = skew(inner);
      add(b.multiply(over(turned), alongColumns(b, wide, turned)));
      if (isComplex(dtype)) add(diagonalMatrix(b, b.multiply(diagonalOf(b, turned), scale(b, inverse, 0.5))));
      if (m > k) {
        const outside = b.subtract(g, product(b, u, inner));
        collect(product(b, b.multiply(outside, alongColumns(b, inverse, outside)), vh));
      }
    }
    if (gvh !== null) {
      const g = sliceDim(b, gvh, rank - 2, 0, k);
      const inner = product(b, vh, adjoint(b, g));
      const turned = skew(inner);
      add(b.multiply(alongRows(b, wide, turned), over(turned)));
      if (n > k) {
        const outside = b.subtract(g, product(b, product(b, g, adjoint(b, vh)), vh));
        collect(product(b, u, b.multiply(alongRows(b, inverse, outside), outside)));
      }
    }
    collect(product(b, u, middle!, vh));
    return result;
  }),
});

/** Eigenvalues in ascending order and eigenvectors of Hermitian matrices, of which one triangle is read. */
export function eigh(b: CoreBuilder, a: Value, lower: boolean): [values: Value, vectors: Value] {
  const n = sizesOf(a).at(-1)!;
  const lead = leadOf(a);
  const dtype = dtypeOf(a);
  const [values, vectors] = b.composite('linalg_eigh', [a], { lower }, (b, x) => {
    const flat = b.convert(flattened(b, x), precise(dtype));
    const strict = lower ? lowerPart(b, flat, true) : upperPart(b, flat, true);
    const diagonal = fromReal(b, realPart(b, diagonalOf(b, flat)), dtypeOf(flat));
    const hermitian = b.add(b.add(strict, adjoint(b, strict)), diagonalMatrix(b, diagonal));
    // Shifted by a bound of its norm the matrix is positive: its singular vectors are its eigenvectors.
    const bound = b.reduceMax(b.reduceSum(b.abs(hermitian), [2]), [1]);
    const shift = fromReal(b, plus(b, bound, Number.MIN_VALUE * 2 ** 60), dtypeOf(flat));
    const shifted = b.add(
      hermitian,
      b.multiply(b.broadcastInDim(shift, sizesOf(flat), [0]), identityLike(b, flat, n)),
    );
    const v = b.reverse(jacobi(b, shifted).v, [2]);
    const quotient = realPart(b, b.reduceSum(b.multiply(conjugate(b, v), times(b, hermitian, v)), [1]));
    return [
      b.convert(b.reshape(quotient, [...lead, n]), realDType(dtype)),
      b.convert(unflattened(b, v, lead), dtype),
    ];
  });
  return [values, vectors];
}

registerComposite('linalg_eigh', {
  vjp: vjp((b, node, [gl, gv]) => {
    const [values, v] = node.outputs;
    const dtype = dtypeOf(v);
    const vh = adjoint(b, v);
    let middle = gl === null ? null : diagonalMatrix(b, fromReal(b, gl, dtype));
    if (gv !== null) {
      const inner = product(b, vh, gv);
      const wide = fromReal(b, values, dtype);
      const difference = b.subtract(alongColumns(b, wide, inner), alongRows(b, wide, inner));
      const diagonal = whereIndex(b, inner, 'EQ');
      const ratio = b.divide(inner, b.select(diagonal, like(b, inner, 1), difference));
      const outside = b.select(diagonal, like(b, inner, 0), ratio);
      middle = middle === null ? outside : b.add(middle, outside);
    }
    return product(b, v, middle!, vh);
  }),
});

/** The Moore–Penrose inverse; singular values up to the tolerance count as zero. */
export function pseudoInverse(b: CoreBuilder, a: Value, atol: number | null, rtol: number | null): Value {
  const [m, n] = sizesOf(a).slice(-2);
  const dtype = dtypeOf(a);
  const relative = rtol ?? (atol === null || atol === 0 ? epsilonOf(dtype) * Math.max(m, n) : 0);
  if (numel(sizesOf(a)) === 0) return b.full(0, dtype, [...leadOf(a), n, m]);
  return b.composite('linalg_pinv', [a], { atol: atol ?? 0, rtol: relative }, (b, x) => {
    const [u, s, vh] = svd(b, x, false);
    const most = b.broadcastInDim(
      b.reduceMax(s, [sizesOf(s).length - 1]),
      sizesOf(s),
      range(sizesOf(s).length - 1),
    );
    const limit = b.maximum(like(b, s, atol ?? 0), scale(b, most, relative));
    const kept = b.compare(s, limit, 'GT');
    const inverse = b.select(kept, b.divide(like(b, s, 1), b.select(kept, s, like(b, s, 1))), like(b, s, 0));
    const v = adjoint(b, vh);
    return [product(b, b.multiply(v, alongColumns(b, fromReal(b, inverse, dtype), v)), adjoint(b, u))];
  })[0];
}

export const epsilonOf = (dtype: string): number =>
  dtype === 'float64' || dtype === 'complex128' ? 2 ** -52 : 2 ** -23;

registerComposite('linalg_pinv', {
  vjp: vjp((b, node, [g]) => {
    const [a] = node.inputs;
    const [p] = node.outputs;
    const [m, n] = sizesOf(a).slice(-2);
    const gh = adjoint(b, g!);
    const ph = adjoint(b, p);
    if (m <= n) {
      const k = product(b, gh, p);
      const kph = product(b, k, ph);
      const first = b.negate(adjoint(b, product(b, p, k)));
      const second = b.subtract(kph, product(b, a, p, kph));
      return b.add(b.add(first, second), product(b, ph, p, b.subtract(gh, product(b, k, a))));
    }
    const k = product(b, p, gh);
    const phk = product(b, ph, k);
    const first = b.negate(adjoint(b, product(b, k, p)));
    const second = product(b, b.subtract(gh, product(b, a, k)), p, ph);
    return b.add(b.add(first, second), b.subtract(phk, product(b, phk, p, a)));
  }),
});
