// Arithmetic as torch.optim does it: tensors of one parameter's dtype and shape, mixed with Python numbers. Numbers are computed
// in float64 and converted where they meet a tensor; half-precision tensors are computed in float32 and rounded after each of
// PyTorch's operators, most of which round their numbers too.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { OperatorError, isComplex, specOf } from '@weft/ir';
import { scalarOf } from './elementwise.ts';
import type { Hyperparameters, UpdateSite } from './optimizers.ts';
import { computeType } from './promotion.ts';

/** Operators on the tensors of one parameter. Values are in the compute dtype from `in` on, until `out`. */
export class Steps {
  private readonly dtype: DType;
  private readonly compute: DType;
  private readonly sizes: readonly number[];

  constructor(
    readonly b: CoreBuilder,
    parameter: Value,
  ) {
    ({ dtype: this.dtype, sizes: this.sizes } = specOf(parameter));
    this.compute = isComplex(this.dtype) ? this.dtype : computeType(this.dtype);
  }

  in(tensor: Value): Value {
    return this.b.convert(tensor, this.compute);
  }
  out(tensor: Value): Value {
    return this.b.convert(tensor, this.dtype);
  }
  /** To the parameter's precision. */
  round(tensor: Value): Value {
    return this.b.convert(this.b.convert(tensor, this.dtype), this.compute);
  }

  /** A float64 scalar as a tensor, in the parameter's precision. */
  spread(scalar: Value): Value {
    return this.wide(this.b.convert(scalar, this.dtype));
  }
  private wide(scalar: Value): Value {
    return this.b.broadcastTo(this.b.convert(scalar, this.compute), this.sizes);
  }
  constant(value: number): Value {
    return scalarOf(this.b, value, this.compute, this.sizes);
  }

  /** `x + alpha * y` */
  add(x: Value, y: Value, alpha?: Value): Value {
    const term = alpha === undefined ? y : this.b.multiply(this.spread(alpha), y);
    return this.round(this.b.add(x, term));
  }
  addScalar(x: Value, scalar: Value): Value {
    return this.round(this.b.add(x, this.spread(scalar)));
  }
  subtract(x: Value, y: Value): Value {
    return this.round(this.b.subtract(x, y));
  }
  multiply(x: Value, y: Value): Value {
    return this.round(this.b.multiply(x, y));
  }
  scale(x: Value, scalar: Value): Value {
    return this.multiply(x, this.spread(scalar));
  }
  divide(x: Value, y: Value): Value {
    return this.round(this.b.divide(x, y));
  }
  sqrt(x: Value): Value {
    return this.round(this.b.sqrt(x));
  }
  /** `x + value * y * z` */
  addcmul(x: Value, y: Value, z: Value, value: Value): Value {
    const product = this.b.multiply(this.b.multiply(this.wide(value), y), z);
    return this.round(this.b.add(x, product));
  }
  /** `x + value * y / z` */
  addcdiv(x: Value, y: Value, z: Value, value: Value): Value {
    const quotient = this.b.divide(this.b.multiply(this.wide(value), y), z);
    return this.round(this.b.add(x, quotient));
  }
}

/** Arithmetic of Python floats: float64 scalars of the graph. */
export class Numbers {
  constructor(private readonly b: CoreBuilder) {}

  of(value: number): Value {
    return this.b.full(value, 'float64');
  }
  private value(x: Value | number): Value {
    return typeof x === 'number' ? this.of(x) : x;
  }
  add(x: Value | number, y: Value | number): Value {
    return this.b.add(this.value(x), this.value(y));
  }
  subtract(x: Value | number, y: Value | number): Value {
    return this.b.subtract(this.value(x), this.value(y));
  }
  multiply(x: Value | number, y: Value | number): Value {
    return this.b.multiply(this.value(x), this.value(y));
  }
  divide(x: Value | number, y: Value | number): Value {
    return this.b.divide(this.value(x), this.value(y));
  }
  power(x: Value | number, y: Value | number): Value {
    return this.b.power(this.value(x), this.value(y));
  }
  sqrt(x: Value): Value {
    return this.b.sqrt(x);
  }
  negate(x: Value): Value {
    return this.b.negate(x);
  }
}

/** What every update begins with: its operators, and the gradient, negated to maximise, with L2 weight decay added. */
export function begin(
  b: CoreBuilder,
  hyper: Hyperparameters,
  site: UpdateSite,
): { t: Steps; n: Numbers; parameter: Value; gradient: Value } {
  const t = new Steps(b, site.parameter);
  const parameter = t.in(site.parameter);
  const given = t.in(site.gradient);
  const gradient = hyper.maximize === true ? b.negate(given) : given;
  return { t, n: new Numbers(b), parameter, gradient };
}

/** The gradient with L2 weight decay. */
export function decayed(t: Steps, hyper: Hyperparameters, site: UpdateSite, gradient: Value): Value {
  if (hyper.weightDecay === 0) return gradient;
  return t.add(gradient, t.in(site.parameter), site.number('weightDecay'));
}

/** Throws unless the number is at least zero; `what` is PyTorch's word for it. */
export function requireNonNegative(hyper: Hyperparameters, name: string, what: string): void {
  const value = hyper[name] as number;
  if (!(value >= 0)) throw new OperatorError(`Invalid ${what} value: ${value}`);
}

export function requireBetas({ betas }: Hyperparameters): void {
  (betas as readonly number[]).forEach((beta, index) => {
    if (!(beta >= 0 && beta < 1))
      throw new OperatorError(`Invalid beta parameter at index ${index}: ${beta}`);
  });
}
