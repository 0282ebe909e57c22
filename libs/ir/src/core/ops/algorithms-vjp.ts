// Derivatives of sorting, Fourier transforms and factorisations.
import type { Value } from '../../graph/graph.ts';
import { isComplex, realDType } from '../../types/dtype.ts';
import { numel } from '../../types/types.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator } from '../operator.ts';
import { conj, isDifferentiable, keepWhere, scale } from '../cotangent.ts';
import { inlineRegion } from '../region.ts';
import { placeAlong } from './indexing-vjp.ts';
import { range } from './inference.ts';

/** Each cotangent goes back to where its element came from: sorting counts along with the operands tells. */
export const sortVjp: CoreOperator['vjp'] = (b, node, cotangents) => {
  const dimension = node.int('dimension');
  const { sizes } = specOf(node.inputs[0]);
  let origins: Value | undefined;
  const originOf = (): Value => {
    const counted = node.inputs.findIndex(
      ({ node: maker }) => maker.kind === 'core::iota' && maker.int('iota_dimension') === dimension,
    );
    if (counted >= 0) return node.outputs[counted];
    const places = b.iota('int64', sizes, dimension);
    const parameters = 2 * node.inputs.length;
    return b
      .sort(
        [...node.inputs, places],
        dimension,
        node.get('b', 'is_stable'),
        (b, ...scalars) => inlineRegion(b, node.blocks[0], scalars.slice(0, parameters)).outputs,
      )
      .at(-1)!;
  };
  return cotangents.map((g, index) => {
    if (g === null || !isDifferentiable(node.inputs[index])) return null;
    origins ??= originOf();
    return placeAlong(b, g, origins, dimension, sizes[dimension]);
  });
};

export const topKVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null];
  const { sizes } = specOf(node.inputs[0]);
  return [placeAlong(b, g, node.outputs[1], sizes.length - 1, sizes.at(-1)!)];
};

// ---- Fourier transforms -------------------------------------------------------------------------------------------

/** Transforms are linear; the cotangent goes through the conjugate transpose, which is the inverse without its factor. */
export const fftVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null];
  const length = node.ints('fft_length');
  const elements = numel(length);
  const type = node.get('s', 'fft_type');
  switch (type) {
    case 'FFT':
      return [scale(b, b.fft(g, 'IFFT', length), elements)];
    case 'IFFT':
      return [scale(b, b.fft(g, 'FFT', length), 1 / elements)];
    case 'RFFT': {
      const missing = length.at(-1)! - specOf(g).sizes.at(-1)!;
      const zeros = specOf(g).sizes.map(() => 0);
      const high = zeros.map((_, at) => (at === zeros.length - 1 ? missing : 0));
      const whole = b.pad(g, b.full(0, specOf(g).dtype), zeros, high);
      return [b.real(scale(b, b.fft(whole, 'IFFT', length), elements))];
    }
    default:
      return [
        scale(
          b,
          b.multiply(b.fft(g, 'RFFT', length), halfWeights(b, node.inputs[0], length.at(-1)!)),
          1 / elements,
        ),
      ];
  }
};

/** In a half spectrum all but the first and, for even lengths, the last coefficient stand for two of the whole one. */
function halfWeights(b: CoreBuilder, spectrum: Value, length: number): Value {
  const { dtype, sizes } = specOf(spectrum);
  const real = realDType(dtype);
  const last = sizes.length - 1;
  const index = b.iota(real, sizes, last);
  const isFirst = b.compare(index, b.fullLike(index, 0), 'EQ');
  const isMiddle = b.compare(index, b.fullLike(index, length / 2), 'EQ');
  return b.convert(b.select(b.or(isFirst, isMiddle), b.fullLike(index, 1), b.fullLike(index, 2)), dtype);
}

// ---- factorisations -----------------------------------------------------------------------------------------------

function adjoint(b: CoreBuilder, x: Value): Value {
  return conj(b, transposed(b, x));
}

function transposed(b: CoreBuilder, x: Value): Value {
  const rank = specOf(x).sizes.length;
  return b.transpose(x, [...range(rank - 2), rank - 1, rank - 2]);
}

function matmul(b: CoreBuilder, x: Value, y: Value): Value {
  const rank = specOf(x).sizes.length;
  const batch = range(rank - 2);
  return b.dotGeneral(x, y, {
    lhsBatching: batch,
    rhsBatching: batch,
    lhsContracting: [rank - 1],
    rhsContracting: [rank - 2],
  });
}

/** Keeps the lower or upper triangle, with or without the diagonal. */
function triangle(b: CoreBuilder, x: Value, lower: boolean, withDiagonal: boolean): Value {
  const { sizes } = specOf(x);
  const [rows, columns] = [
    b.iota('int64', sizes, sizes.length - 2),
    b.iota('int64', sizes, sizes.length - 1),
  ];
  const direction = lower ? (withDiagonal ? 'GE' : 'GT') : withDiagonal ? 'LE' : 'LT';
  return keepWhere(b, b.compare(rows, columns, direction), x);
}

/** For A = L·Lᴴ (Murray, 2016): L⁻ᴴ · ½(P + Pᴴ) · L⁻¹ with P the lower triangle of Lᴴ·g, its diagonal counted once. */
export const choleskyVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null];
  const isLower = node.get('b', 'lower');
  const factor = isLower ? node.outputs[0] : adjoint(b, node.outputs[0]);
  const product = matmul(b, adjoint(b, factor), isLower ? g : adjoint(b, g));
  const middle = scale(
    b,
    b.add(triangle(b, product, true, true), adjoint(b, triangle(b, product, true, false))),
    0.5,
  );
  const options = { lower: true, unitDiagonal: false } as const;
  const left = b.triangularSolve(factor, middle, { ...options, leftSide: true, transpose: 'ADJOINT' });
  return [b.triangularSolve(factor, left, { ...options, leftSide: false, transpose: 'NO_TRANSPOSE' })];
};

/** For op(A)·X = B: gB = op(A)⁻ᴴ·g and g of op(A) = −gB·Xᴴ; from the right the factors change places. */
export const triangularSolveVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null, null];
  const [a] = node.inputs;
  const x = node.outputs[0];
  const leftSide = node.get('b', 'left_side');
  const lower = node.get('b', 'lower');
  const unitDiagonal = node.get('b', 'unit_diagonal');
  const transpose = node.get('s', 'transpose_a');
  // op(A)ᴴ is Aᴴ, conj(A), or A.
  const factor = transpose === 'TRANSPOSE' ? conj(b, a) : a;
  const gb = b.triangularSolve(factor, g, {
    leftSide,
    lower,
    unitDiagonal,
    transpose:
      transpose === 'NO_TRANSPOSE' ? (isComplex(specOf(a).dtype) ? 'ADJOINT' : 'TRANSPOSE') : 'NO_TRANSPOSE',
  });
  const applied = b.negate(leftSide ? matmul(b, gb, adjoint(b, x)) : matmul(b, adjoint(b, x), gb));
  const ga =
    transpose === 'NO_TRANSPOSE'
      ? applied
      : transpose === 'TRANSPOSE'
        ? transposed(b, applied)
        : adjoint(b, applied);
  return [triangle(b, ga, lower, !unitDiagonal), gb];
};
