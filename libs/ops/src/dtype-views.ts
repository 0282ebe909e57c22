// Views of the same memory as another dtype: the parts of complex numbers, pairs as complex numbers, reinterpreted bytes.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { dtypes, isComplex, realDType } from '@weft/ir';
import type { View, Viewed } from './operator.ts';
import { lowerings, views } from './operator.ts';
import { check, sizesOf } from './broadcast.ts';
import { dtypeOf } from './elementwise.ts';
import { stopGradient } from './gradient-flow.ts';

const complexOf = (dtype: DType): DType => (dtype === 'float64' ? 'complex128' : 'complex64');
const shown = (dtype: DType): string => dtypes[dtype].printName;
const doubled = (values: readonly number[]): number[] => values.map((value) => 2 * value);

/** The real parts, or the imaginary ones a place further. */
const part =
  (at: 0 | 1) =>
  (self: Viewed): View => ({
    sizes: self.sizes,
    strides: doubled(self.strides),
    offset: 2 * self.offset + at,
    dtype: realDType(self.dtype),
  });

const checkComplex = (dtype: DType): void =>
  check(isComplex(dtype), () => 'imag is not implemented for tensors with non-complex dtypes.');

/** Real and imaginary parts as a new last dimension. */
function asReal(b: CoreBuilder, self: Value): Value {
  checkPairs(dtypeOf(self));
  const sizes = sizesOf(self);
  const column = (x: Value): Value => b.reshape(x, [...sizes, 1]);
  return b.concatenate([column(b.real(self)), column(b.imag(self))], sizes.length);
}
const checkPairs = (dtype: DType): void =>
  check(isComplex(dtype), () => 'view_as_real is only supported for complex tensors');

function asComplex(b: CoreBuilder, self: Value): Value {
  const lead = checkParts(sizesOf(self), dtypeOf(self));
  const one = (at: number): Value =>
    b.reshape(b.slice(self, [...lead.map(() => 0), at], [...lead, at + 1]), lead);
  return b.complex(one(0), one(1));
}
function checkParts(sizes: readonly number[], dtype: DType): readonly number[] {
  check(
    dtype === 'float32' || dtype === 'float64',
    () =>
      `view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: ${dtypes[dtype].printName}`,
  );
  check(sizes.length > 0, () => 'Input tensor must have one or more dimensions');
  check(sizes.at(-1) === 2, () => 'Tensor must have a last dimension of size 2');
  return sizes.slice(0, -1);
}

/** The same bytes read as another dtype; the last dimension makes up for another element size. */
function reinterpret(b: CoreBuilder, self: Value, dtype: DType): Value {
  const sizes = sizesOf(self);
  const [from, to] = [dtypes[dtypeOf(self)].bytes, dtypes[dtype].bytes];
  const reshaped = reinterpretedSizes(sizes, dtypeOf(self), dtype);
  if (from === to) return b.bitcastConvert(self, dtype);
  if (from > to) return b.reshape(b.bitcastConvert(self, dtype), reshaped);
  return b.bitcastConvert(b.reshape(self, [...reshaped, to / from]), dtype);
}

function reinterpretedSizes(sizes: readonly number[], from: DType, to: DType): number[] {
  const [width, wanted] = [dtypes[from].bytes, dtypes[to].bytes];
  const last = sizes.at(-1);
  if (width === wanted) return [...sizes];
  check(
    last !== undefined,
    () => `self.dim() cannot be 0 to view ${shown(from)} as ${shown(to)} (different element sizes)`,
  );
  if (width > wanted) return [...sizes.slice(0, -1), (last! * width) / wanted];
  const ratio = wanted / width;
  check(
    last! % ratio === 0,
    () =>
      `self.size(-1) must be divisible by ${ratio} to view ${shown(from)} as ${shown(to)} (different element sizes), but got ${last}`,
  );
  return [...sizes.slice(0, -1), last! / ratio];
}

function viewAs(self: Viewed, dtype: DType): View {
  const { sizes, strides, offset, dtype: own } = self;
  const [from, to] = [dtypes[own].bytes, dtypes[dtype].bytes];
  const made = reinterpretedSizes(sizes, own, dtype);
  if (from === to) return { sizes, strides, offset, dtype };
  check(
    strides.at(-1) === 1,
    () =>
      `self.stride(-1) must be 1 to view ${shown(own)} as ${shown(dtype)} (different element sizes), but got ${strides.at(-1)}`,
  );
  if (from > to) {
    const ratio = from / to;
    return {
      sizes: made,
      strides: [...strides.slice(0, -1).map((stride) => stride * ratio), 1],
      offset: offset * ratio,
      dtype,
    };
  }
  const ratio = to / from;
  check(
    offset % ratio === 0,
    () =>
      `self.storage_offset() must be divisible by ${ratio} to view ${shown(own)} as ${shown(dtype)} (different element sizes), but got ${offset}`,
  );
  strides
    .slice(0, -1)
    .forEach((stride, dim) =>
      check(
        stride % ratio === 0,
        () =>
          `self.stride(${dim}) must be divisible by ${ratio} to view ${shown(own)} as ${shown(dtype)} (different element sizes), but got ${stride}`,
      ),
    );
  return {
    sizes: made,
    strides: [...strides.slice(0, -1).map((stride) => stride / ratio), 1],
    offset: offset / ratio,
    dtype,
  };
}

views({
  'aten::real': {
    view: (self) => (isComplex(self.dtype) ? part(0)(self) : self),
    lower: (b, self: Value) => (isComplex(dtypeOf(self)) ? b.real(self) : self),
    write: (b, self, value) => (isComplex(dtypeOf(self)) ? b.complex(value, b.imag(self)) : value),
  },
  'aten::imag': {
    view: (self) => {
      checkComplex(self.dtype);
      return part(1)(self);
    },
    lower: (b, self: Value) => {
      checkComplex(dtypeOf(self));
      return b.imag(self);
    },
    write: (b, self, value) => b.complex(b.real(self), value),
  },
  'aten::view_as_real': {
    view: (self) => {
      checkPairs(self.dtype);
      return {
        sizes: [...self.sizes, 2],
        strides: [...doubled(self.strides), 1],
        offset: 2 * self.offset,
        dtype: realDType(self.dtype),
      };
    },
    lower: asReal,
    write: (b, _self, value) => asComplex(b, value),
  },
  'aten::view_as_complex': {
    view: (self) => {
      const { sizes, strides, offset, dtype } = self;
      const lead = checkParts(sizes, dtype);
      check(strides.at(-1) === 1, () => 'Tensor must have a last dimension with stride 1');
      check(
        strides.slice(0, -1).every((stride) => stride % 2 === 0),
        () => 'Tensor must have a stride divisible by 2 for all but last dimension',
      );
      check(offset % 2 === 0, () => 'Tensor must have a storage_offset divisible by 2');
      return {
        sizes: lead,
        strides: strides.slice(0, -1).map((stride) => stride / 2),
        offset: offset / 2,
        dtype: complexOf(dtype),
      };
    },
    lower: asComplex,
    write: (b, _self, value) => asReal(b, value),
  },
  'aten::view.dtype': {
    view: viewAs,
    lower: (b, self: Value, dtype: DType) => stopGradient(b, reinterpret(b, self, dtype)),
    write: (b, self, value) => reinterpret(b, value, dtypeOf(self)),
    constant: true,
  },
});

lowerings({
  'aten::view_as_real_copy': asReal,
  'aten::view_as_complex_copy': asComplex,
  'aten::view_copy.dtype': (b, self: Value, dtype: DType) => stopGradient(b, reinterpret(b, self, dtype)),
});
