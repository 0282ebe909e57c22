// The `_foreach_…` operators: one pointwise operator over lists of tensors, as optimizers call them. Each is its single
// operator's lowering, tensor by tensor, so it has that operator's dtypes and derivative.
import type { CoreBuilder, Value } from '@weft/ir';
import { InternalError } from '@weft/ir';
import type { LoweringArgument, Scalar } from './operator.ts';
import { laidOutLowerings, lowerings, operatorMeaning } from './operator.ts';
import { iteratorOfEach } from './result-layout.ts';
import { check } from './broadcast.ts';
import { realOf } from './elementwise.ts';
import { vectorNorm } from './reductions.ts';

type List = readonly Value[];

/** The lowering of a single operator. */
function single(name: string): (b: CoreBuilder, ...args: LoweringArgument[]) => Value {
  const meaning = operatorMeaning(`aten::${name}`);
  if (meaning?.kind !== 'lowering') throw new InternalError(`aten::${name} has no lowering`);
  return (b, ...args) => meaning.lower(b, ...args) as Value;
}

function checkNotEmpty(list: List): void {
  check(list.length > 0, () => 'Tensor list must have at least one tensor.');
}

/** All lists are as long as the first. */
function checkLists(first: List, ...others: readonly List[]): void {
  checkNotEmpty(first);
  for (const { length } of others) {
    check(
      first.length === length,
      () => `Tensor lists must have the same number of tensors, got ${first.length} and ${length}`,
    );
  }
}

for (const name of [
  'abs',
  'acos',
  'asin',
  'atan',
  'ceil',
  'cos',
  'cosh',
  'erf',
  'erfc',
  'exp',
  'expm1',
  'floor',
  'frac',
  'lgamma',
  'log',
  'log10',
  'log1p',
  'log2',
  'neg',
  'reciprocal',
  'round',
  'sigmoid',
  'sin',
  'sinh',
  'sqrt',
  'tan',
  'tanh',
  'trunc',
  'zero',
]) {
  const each = single(name);
  laidOutLowerings(iteratorOfEach, {
    [`aten::_foreach_${name}`]: (b: CoreBuilder, self: List) => {
      checkNotEmpty(self);
      return self.map((x) => each(b, x));
    },
  });
}

for (const name of ['add', 'sub', 'mul', 'div']) {
  const [withTensor, withScalar] = [single(`${name}.Tensor`), single(`${name}.Scalar`)];
  laidOutLowerings(iteratorOfEach, {
    [`aten::_foreach_${name}.Scalar`]: (b: CoreBuilder, self: List, scalar: Scalar) => {
      checkNotEmpty(self);
      return self.map((x) => withScalar(b, x, scalar, 1n));
    },
    [`aten::_foreach_${name}.ScalarList`]: (b: CoreBuilder, self: List, scalars: readonly Scalar[]) => {
      checkNotEmpty(self);
      check(
        self.length === scalars.length,
        () => 'Tensor list must have same number of elements as scalar list.',
      );
      return self.map((x, index) => withScalar(b, x, scalars[index], 1n));
    },
    [`aten::_foreach_${name}.List`]: (b: CoreBuilder, self: List, other: List, alpha: Scalar = 1n) => {
      checkLists(self, other);
      return self.map((x, index) => withTensor(b, x, other[index], alpha));
    },
  });
}

for (const name of ['maximum', 'minimum']) {
  const each = single(name);
  laidOutLowerings(iteratorOfEach, {
    [`aten::_foreach_${name}.List`]: (b: CoreBuilder, self: List, other: List) => {
      checkLists(self, other);
      return self.map((x, index) => each(b, x, other[index]));
    },
  });
}

for (const name of ['addcdiv', 'addcmul']) {
  const each = single(name);
  laidOutLowerings(iteratorOfEach, {
    [`aten::_foreach_${name}.Scalar`]: (b: CoreBuilder, self: List, x: List, y: List, value: Scalar) => {
      checkLists(self, x, y);
      return self.map((base, index) => each(b, base, x[index], y[index], value));
    },
    [`aten::_foreach_${name}.ScalarList`]: (
      b: CoreBuilder,
      self: List,
      x: List,
      y: List,
      scalars: readonly Scalar[],
    ) => {
      checkLists(self, x, y);
      check(
        self.length === scalars.length,
        () =>
          `Tensor list must have same number of elements as scalar list, got ${self.length} and ${scalars.length}`,
      );
      return self.map((base, index) => each(b, base, x[index], y[index], scalars[index]));
    },
  });
}

lowerings({
  'aten::_foreach_norm.Scalar': (b, self: List, order: Scalar) => {
    checkNotEmpty(self);
    return self.map((x) => vectorNorm(b, x, realOf(order), null, false, null));
  },
});
