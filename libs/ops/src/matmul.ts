// Products of matrices and vectors: mm, bmm, matmul, addmm and their kind, linear, dot, outer, einsum, tensordot, kron.
import type { CoreBuilder, Value } from '@weft/ir';
import { zeroGradient } from './gradient-flow.ts';
import { isComplex, numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { cppName, printName } from './promotion.ts';
import { broadcastShapes, check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, like, realOf } from './elementwise.ts';
import { insertDim } from './shapes.ts';
import { add } from './pointwise.ts';
import { gelu, relu } from './activations.ts';
import { iterator, layouts } from './result-layout.ts';
import { einsumLayout, parseEquation } from './einsum-equation.ts';

type Sizes = readonly number[];

function checkSameType(x: Value, y: Value): void {
  check(
    dtypeOf(x) === dtypeOf(y),
    () => `expected scalar type ${printName(dtypeOf(x))} but found ${printName(dtypeOf(y))}`,
  );
}

export function mm(b: CoreBuilder, self: Value, mat2: Value): Value {
  check(rankOf(self) === 2, () => 'self must be a matrix');
  check(rankOf(mat2) === 2, () => 'mat2 must be a matrix');
  checkSameType(self, mat2);
  const [n, k] = sizesOf(self);
  const [k2, m] = sizesOf(mat2);
  check(k === k2, () => `mat1 and mat2 shapes cannot be multiplied (${n}x${k} and ${k2}x${m})`);
  return b.dotGeneral(self, mat2, { lhsContracting: [1], rhsContracting: [0] });
}

/** int8 matrices of n × k and k × m: their product in int32, as hardware for quantized models computes it (PyTorch 2.1). */
function integerMm(b: CoreBuilder, self: Value, mat2: Value): Value {
  for (const [name, matrix] of [
    ['self', self],
    ['mat2', mat2],
  ] as const) {
    check(
      rankOf(matrix) === 2,
      () => `int_mm_out_cpu: Expected ${name} to be of dimension 2 but got ${rankOf(matrix)}`,
    );
    check(
      dtypeOf(matrix) === 'int8',
      () => `int_mm_out_cpu: Expected ${name} dtype to be of type int8 but got ${cppName(dtypeOf(matrix))}`,
    );
  }
  const [k, k2] = [sizesOf(self)[1], sizesOf(mat2)[0]];
  check(k === k2, () => `int_mm_out_cpu: self.size(1) needs to match mat2.size(0) but got ${k} and ${k2}`);
  return b.dotGeneral(self, mat2, { lhsContracting: [1], rhsContracting: [0] }, 'int32');
}

export function bmm(b: CoreBuilder, self: Value, mat2: Value): Value {
  check(rankOf(self) === 3, () => 'batch1 must be a 3D tensor');
  check(rankOf(mat2) === 3, () => 'batch2 must be a 3D tensor');
  checkSameType(self, mat2);
  const [batch, , k] = sizesOf(self);
  const [batch2, k2] = sizesOf(mat2);
  check(
    batch === batch2 && k === k2,
    () =>
      `Expected size for first two dimensions of batch2 tensor to be: [${batch}, ${k}] but got: [${batch2}, ${k2}].`,
  );
  return b.dotGeneral(self, mat2, {
    lhsBatching: [0],
    rhsBatching: [0],
    lhsContracting: [2],
    rhsContracting: [1],
  });
}

export function mv(b: CoreBuilder, self: Value, vec: Value): Value {
  check(
    rankOf(self) === 2 && rankOf(vec) === 1,
    () => `vector + matrix @ vector expected, got 1, ${rankOf(self)}, ${rankOf(vec)}`,
  );
  checkSameType(self, vec);
  const [n, k] = sizesOf(self);
  const [length] = sizesOf(vec);
  check(k === length, () => `size mismatch, got ${n}, ${n}x${k},${length}`);
  return b.dotGeneral(self, vec, { lhsContracting: [1], rhsContracting: [0] });
}

function vectorDot(b: CoreBuilder, self: Value, other: Value): Value {
  check(
    rankOf(self) === 1 && rankOf(other) === 1,
    () => `1D tensors expected, but got ${rankOf(self)}D and ${rankOf(other)}D tensors`,
  );
  check(
    dtypeOf(self) === dtypeOf(other),
    () =>
      `dot : expected both vectors to have same dtype, but found ${printName(dtypeOf(self))} and ${printName(dtypeOf(other))}`,
  );
  const [n, m] = [sizesOf(self)[0], sizesOf(other)[0]];
  check(
    n === m,
    () =>
      `inconsistent tensor size, expected tensor [${n}] and src [${m}] to have the same number of elements, but got ${n} and ${m} elements respectively`,
  );
  return b.dotGeneral(self, other, { lhsContracting: [0], rhsContracting: [0] });
}

const conjugate = (b: CoreBuilder, x: Value): Value =>
  isComplex(dtypeOf(x)) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;

/** torch.matmul: vectors, matrices, and batches that broadcast. */
export function matmul(b: CoreBuilder, self: Value, other: Value): Value {
  const [ra, rb] = [rankOf(self), rankOf(other)];
  check(
    ra > 0 && rb > 0,
    () => `both arguments to matmul need to be at least 1D, but they are ${ra}D and ${rb}D`,
  );
  if (ra === 1 && rb === 1) return vectorDot(b, self, other);
  if (ra === 2 && rb === 1) return mv(b, self, other);
  if (ra === 2 && rb === 2) return mm(b, self, other);
  checkSameType(self, other);
  if (ra === 1 && rb === 2) {
    const result = mm(b, insertDim(b, self, 0), other);
    return b.reshape(result, [sizesOf(result)[1]]);
  }
  const x = ra === 1 ? insertDim(b, self, 0) : self;
  const y = rb === 1 ? insertDim(b, other, 1) : other;
  const [xs, ys] = [sizesOf(x), sizesOf(y)];
  const [n, k] = xs.slice(-2);
  const [k2, m] = ys.slice(-2);
  const leadX = xs.slice(0, -2);
  const leadY = ys.slice(0, -2);
  const lead = broadcastShapes(leadX, leadY);
  if (k !== k2) {
    // PyTorch folds the batch into one side where it can, and says so in its message.
    if (ys.length === 2)
      fail(`mat1 and mat2 shapes cannot be multiplied (${numel(leadX) * n}x${k} and ${k2}x${m})`);
    fail(
      `Expected size for first two dimensions of batch2 tensor to be: [${numel(lead)}, ${k}] but got: [${numel(lead)}, ${k2}].`,
    );
  }
  const result = (): Value => {
    if (leadY.length === 0)
      return b.dotGeneral(x, y, { lhsContracting: [xs.length - 1], rhsContracting: [0] });
    const batch = range(lead.length);
    return b.dotGeneral(b.broadcastTo(x, [...lead, n, k]), b.broadcastTo(y, [...lead, k, m]), {
      lhsBatching: batch,
      rhsBatching: batch,
      lhsContracting: [lead.length + 1],
      rhsContracting: [lead.length],
    });
  };
  const shape = [...lead, ...(ra === 1 ? [] : [n]), ...(rb === 1 ? [] : [m])];
  return b.reshape(result(), shape);
}

/** beta * self + alpha * product, self broadcast to the product; beta of zero ignores self. */
function scaledSum(b: CoreBuilder, self: Value, product: Value, beta: Scalar, alpha: Scalar): Value {
  const [scaleSelf, scaleProduct] = [realOf(beta), realOf(alpha)];
  const right = scaleProduct === 1 ? product : b.multiply(product, like(b, product, alpha));
  if (scaleSelf === 0) return zeroGradient(b, right, self);
  check(
    dtypeOf(self) === dtypeOf(product),
    () => `expected scalar type ${printName(dtypeOf(product))} but found ${printName(dtypeOf(self))}`,
  );
  const left = expandTo(b, self, sizesOf(product));
  return b.add(scaleSelf === 1 ? left : b.multiply(left, like(b, left, beta)), right);
}

function expandTo(b: CoreBuilder, self: Value, target: Sizes): Value {
  const sizes = sizesOf(self);
  const lead = target.length - sizes.length;
  const bad = sizes.findIndex((size, dim) => size !== 1 && size !== target[dim + lead]);
  if (lead < 0) {
    fail(
      `expand(torch.FloatTensor{[${sizes.join(', ')}]}, size=[${target.join(', ')}]): the number of sizes provided (${target.length}) must be greater or equal to the number of dimensions in the tensor (${sizes.length})`,
    );
  }
  if (bad >= 0) {
    fail(
      `The expanded size of the tensor (${target[bad + lead]}) must match the existing size (${sizes[bad]}) at non-singleton dimension ${bad + lead}.  Target sizes: [${target.join(', ')}].  Tensor sizes: [${sizes.join(', ')}]`,
    );
  }
  return b.broadcastTo(self, target);
}

const addmm = (b: CoreBuilder, self: Value, mat1: Value, mat2: Value, beta: Scalar, alpha: Scalar): Value =>
  scaledSum(b, self, mm(b, mat1, mat2), beta, alpha);

export function outer(b: CoreBuilder, self: Value, vec2: Value): Value {
  check(rankOf(self) === 1, () => `outer: Expected 1-D argument self, but got ${rankOf(self)}-D`);
  check(rankOf(vec2) === 1, () => `outer: Expected 1-D argument vec2, but got ${rankOf(vec2)}-D`);
  const sizes = [sizesOf(self)[0], sizesOf(vec2)[0]];
  return multiplyPromoted(b, b.broadcastInDim(self, sizes, [0]), b.broadcastInDim(vec2, sizes, [1]));
}

function multiplyPromoted(b: CoreBuilder, x: Value, y: Value): Value {
  if (dtypeOf(x) === dtypeOf(y)) return b.multiply(x, y);
  // One of them decides by its category: add's promotion of (x, 0 * y) would be the same.
  const dtype = dtypeOf(add(b, x, b.multiply(y, like(b, y, 0))));
  return b.multiply(b.convert(x, dtype), b.convert(y, dtype));
}

/** x W^T + bias. */
export function linear(b: CoreBuilder, input: Value, weight: Value, bias: Value | null): Value {
  const [xs, ws] = [sizesOf(input), sizesOf(weight)];
  checkSameType(input, weight);
  const features = xs.at(-1);
  const inner = ws.at(-1);
  if (features !== inner) {
    const rows = numel(xs.slice(0, -1));
    fail(
      `mat1 and mat2 shapes cannot be multiplied (${rows}x${features} and ${inner}x${ws.length > 1 ? ws[0] : 1})`,
    );
  }
  const product = b.dotGeneral(input, weight, {
    lhsContracting: [xs.length - 1],
    rhsContracting: [ws.length - 1],
  });
  if (bias === null) return product;
  checkSameType(input, bias);
  return b.add(product, expandTo(b, bias, sizesOf(product)));
}

function tensordot(b: CoreBuilder, self: Value, other: Value, dimsSelf: Sizes, dimsOther: Sizes): Value {
  check(dimsSelf.length === dimsOther.length, () => 'both dimension lists should have same length');
  checkSameType(self, other);
  const left = dimsSelf.map((dim) => wrapDim(dim, rankOf(self)));
  const right = dimsOther.map((dim) => wrapDim(dim, rankOf(other)));
  let [x, y] = [self, other];
  for (const [index, dim] of left.entries()) {
    const [n, m] = [sizesOf(x)[dim], sizesOf(y)[right[index]]];
    if (n === m) continue;
    check(
      n === 1 || m === 1,
      () =>
        `contracted dimensions need to match, but first has size ${n} in dim ${dim} and second has size ${m} in dim ${right[index]}`,
    );
    // A size of 1 broadcasts: the other side may be summed first.
    if (n === 1) y = keepSum(b, y, right[index]);
    else x = keepSum(b, x, dim);
  }
  return b.dotGeneral(x, y, { lhsContracting: left, rhsContracting: right });
}

const keepSum = (b: CoreBuilder, x: Value, dim: number): Value =>
  b.reshape(
    b.reduceSum(x, [dim]),
    sizesOf(x).map((size, each) => (each === dim ? 1 : size)),
  );

export function einsum(b: CoreBuilder, equation: string, operands: readonly Value[]): Value {
  check(operands.length > 0, () => 'einsum(): must provide at least one operand');
  const { inputs, output } = parseEquation(equation, operands.map(rankOf));
  const extents = new Map<string, number>();
  for (const [at, labels] of inputs.entries()) {
    for (const [dim, label] of labels.entries()) {
      const size = sizesOf(operands[at])[dim];
      const known = extents.get(label) ?? 1;
      check(
        known === 1 || size === 1 || size === known,
        () =>
          `einsum(): subscript ${label} has size ${size} for operand ${at} which does not broadcast with previously seen size ${known}`,
      );
      extents.set(label, Math.max(known, size) === 1 ? size : known === 1 ? size : known);
    }
  }
  for (const label of output) {
    check(
      extents.has(label),
      () => `einsum(): output subscript ${label} does not appear in the equation for any input operand`,
    );
  }
  for (const operand of operands) checkSameType(operands[0], operand);
  const terms = inputs.map((labels, at) => diagonalise(b, operands[at], labels));
  let result = terms[0];
  for (const [at, term] of terms.entries()) {
    if (at === 0) continue;
    const later = new Set([...output, ...terms.slice(at + 1).flatMap((each) => each.labels)]);
    result = contract(b, result, term, later, extents);
  }
  const summed = result.labels.flatMap((label, dim) => (output.includes(label) ? [] : [dim]));
  const value = b.reduceSum(result.value, summed);
  const labels = result.labels.filter((label) => output.includes(label));
  const full = b.broadcastInDim(
    b.transpose(value, sortedBy(labels, output)),
    output.map((label) => extents.get(label)!),
    labels.map((_, index) => sortedBy(labels, output).map((dim) => output.indexOf(labels[dim]))[index]),
  );
  return full;
}

const sortedBy = (labels: readonly string[], order: readonly string[]): number[] =>
  range(labels.length).sort((p, q) => order.indexOf(labels[p]) - order.indexOf(labels[q]));

interface Term {
  readonly value: Value;
  readonly labels: readonly string[];
}

/** A label that one operand repeats means the diagonal. */
function diagonalise(b: CoreBuilder, value: Value, labels: readonly string[]): Term {
  let [x, names] = [value, [...labels]];
  for (let dim = 0; dim < names.length; dim++) {
    const again = names.indexOf(names[dim], dim + 1);
    if (again < 0) continue;
    const sizes = sizesOf(x);
    const mask = b.compare(b.iota('int64', sizes, dim), b.iota('int64', sizes, again), 'EQ');
    x = b.reduceSum(b.select(mask, x, like(b, x, 0)), [again]);
    names = names.filter((_, each) => each !== again);
    dim--;
  }
  return { value: x, labels: names };
}

/** Multiplies two terms and sums the labels that nobody needs afterwards. */
function contract(
  b: CoreBuilder,
  left: Term,
  right: Term,
  later: Set<string>,
  extents: Map<string, number>,
): Term {
  const reduce = (term: Term, other: Term): Term => {
    // A label of size 1 here is broadcast; a label that only this term has and nobody needs is summed now.
    const gone = term.labels.flatMap((label, dim) => {
      const alone = !other.labels.includes(label) && !later.has(label);
      const single = sizesOf(term.value)[dim] === 1 && extents.get(label) !== 1;
      return alone || single ? [dim] : [];
    });
    return {
      value: b.reduceSum(term.value, gone),
      labels: term.labels.filter((_, dim) => !gone.includes(dim)),
    };
  };
  const [x, y] = [reduce(left, right), reduce(right, left)];
  const shared = x.labels.filter((label) => y.labels.includes(label));
  const batch = shared.filter((label) => later.has(label));
  const summed = shared.filter((label) => !later.has(label));
  const product = b.dotGeneral(x.value, y.value, {
    lhsBatching: batch.map((label) => x.labels.indexOf(label)),
    rhsBatching: batch.map((label) => y.labels.indexOf(label)),
    lhsContracting: summed.map((label) => x.labels.indexOf(label)),
    rhsContracting: summed.map((label) => y.labels.indexOf(label)),
  });
  const free = (term: Term): string[] => term.labels.filter((label) => !shared.includes(label));
  return { value: product, labels: [...batch, ...free(x), ...free(y)] };
}

function bilinear(b: CoreBuilder, input1: Value, input2: Value, weight: Value, bias: Value | null): Value {
  const lead = sizesOf(input1).slice(0, -1);
  const x = b.reshape(input1, [numel(lead), sizesOf(input1).at(-1)!]);
  const y = b.reshape(input2, [numel(lead), sizesOf(input2).at(-1)!]);
  const product = einsum(b, 'bn,anm,bm->ba', [x, weight, y]);
  const result = b.reshape(product, [...lead, sizesOf(weight)[0]]);
  return bias === null ? result : b.add(result, b.broadcastTo(bias, sizesOf(result)));
}

function kron(b: CoreBuilder, self: Value, other: Value): Value {
  const rank = Math.max(rankOf(self), rankOf(other));
  const full = (x: Value): number[] => [...range(rank - rankOf(x)).map(() => 1), ...sizesOf(x)];
  const [xs, ys] = [full(self), full(other)];
  const grid = range(rank).flatMap((dim) => [xs[dim], ys[dim]]);
  const even = range(rank).map((dim) => 2 * dim);
  const x = b.broadcastInDim(b.reshape(self, xs), grid, even);
  const y = b.broadcastInDim(
    b.reshape(other, ys),
    grid,
    even.map((dim) => dim + 1),
  );
  return b.reshape(
    multiplyPromoted(b, x, y),
    xs.map((size, dim) => size * ys[dim]),
  );
}

function cross(b: CoreBuilder, self: Value, other: Value, dim: number | null): Value {
  const sizes = broadcastShapes(sizesOf(self), sizesOf(other));
  const axis = dim === null ? sizes.indexOf(3) : wrapDim(dim, sizes.length);
  check(axis >= 0, () => 'no dimension of size 3 in input');
  check(sizes[axis] === 3, () => `dimension ${dim} does not have size 3`);
  const [x, y] = [b.broadcastTo(self, sizes), b.broadcastTo(other, sizes)];
  const turned = (value: Value, by: number): Value => {
    const at = (start: number): Value =>
      b.slice(
        value,
        sizes.map((_, each) => (each === axis ? start : 0)),
        sizes.map((size, each) => (each === axis ? start + 1 : size)),
      );
    return b.concatenate(
      range(3).map((each) => at((each + by) % 3)),
      axis,
    );
  };
  return b.subtract(b.multiply(turned(x, 1), turned(y, 2)), b.multiply(turned(x, 2), turned(y, 1)));
}

lowerings({
  'aten::mm': mm,
  'aten::_int_mm': integerMm,
  'aten::bmm': bmm,
  'aten::mv': mv,
  'aten::matmul': matmul,
  'aten::linalg_matmul': matmul,
  'aten::dot': vectorDot,
  'aten::vdot': (b, self: Value, other: Value) => vectorDot(b, conjugate(b, self), other),
  'aten::inner': (b, self: Value, other: Value) =>
    rankOf(self) === 0 || rankOf(other) === 0
      ? multiplyPromoted(
          b,
          b.broadcastTo(self, broadcastShapes(sizesOf(self), sizesOf(other))),
          b.broadcastTo(other, broadcastShapes(sizesOf(self), sizesOf(other))),
        )
      : tensordot(b, self, other, [-1], [-1]),
  'aten::linalg_vecdot': (b, self: Value, other: Value, dim: number) => {
    const sizes = broadcastShapes(sizesOf(self), sizesOf(other));
    const product = b.multiply(b.broadcastTo(conjugate(b, self), sizes), b.broadcastTo(other, sizes));
    return b.reduceSum(product, [wrapDim(dim, sizes.length)]);
  },
  'aten::outer': outer,
  'aten::ger': outer,
  'aten::linear': linear,
  'aten::addmm': addmm,
  'aten::_addmm_activation': (
    b,
    self: Value,
    mat1: Value,
    mat2: Value,
    beta: Scalar,
    alpha: Scalar,
    useGelu: boolean,
  ) => {
    const product = addmm(b, self, mat1, mat2, beta, alpha);
    return useGelu ? gelu(b, product, 'none') : relu(b, product);
  },
  'aten::addmv': (b, self: Value, mat: Value, vec: Value, beta: Scalar, alpha: Scalar) =>
    scaledSum(b, self, mv(b, mat, vec), beta, alpha),
  'aten::addr': (b, self: Value, vec1: Value, vec2: Value, beta: Scalar, alpha: Scalar) =>
    scaledSum(b, self, outer(b, vec1, vec2), beta, alpha),
  'aten::baddbmm': (b, self: Value, batch1: Value, batch2: Value, beta: Scalar, alpha: Scalar) =>
    scaledSum(b, self, bmm(b, batch1, batch2), beta, alpha),
  'aten::addbmm': (b, self: Value, batch1: Value, batch2: Value, beta: Scalar, alpha: Scalar) =>
    scaledSum(b, self, b.reduceSum(bmm(b, batch1, batch2), [0]), beta, alpha),
  'aten::tensordot': tensordot,
  'aten::einsum': (b, equation: string, operands: readonly Value[]) => einsum(b, equation, operands),
  'aten::bilinear': bilinear,
  'aten::kron': kron,
  'aten::cross': cross,
  'aten::linalg_cross': cross,
  'aten::chain_matmul': (b, matrices: readonly Value[]) => matrices.reduce((x, y) => mm(b, x, y)),
  'aten::linalg_multi_dot': (b, tensors: readonly Value[]) => {
    check(tensors.length >= 2, () => 'multi_dot(): expected at least 2 tensors but got 1');
    return tensors.reduce((x, y) => matmul(b, x, y));
  },
  'aten::_trilinear': (
    b,
    i1: Value,
    i2: Value,
    i3: Value,
    expand1: Sizes,
    expand2: Sizes,
    expand3: Sizes,
    sumdim: Sizes,
  ) => {
    const expandedOf = (x: Value, dims: Sizes): Value =>
      [...dims].sort((p, q) => p - q).reduce((y, dim) => insertDim(b, y, dim), x);
    const factors = [expandedOf(i1, expand1), expandedOf(i2, expand2), expandedOf(i3, expand3)];
    const sizes = broadcastShapes(...factors.map(sizesOf));
    const product = factors.map((x) => b.broadcastTo(x, sizes)).reduce((x, y) => b.multiply(x, y));
    return b.reduceSum(product, sumdim);
  },
});

layouts({
  'aten::einsum': einsumLayout,
  'aten::addr': iterator,
  'aten::kron': iterator,
});
