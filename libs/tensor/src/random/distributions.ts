// Poisson, binomial, gamma and Dirichlet samples of eager tensors. How many numbers PyTorch's samplers take depends on what
// they draw, which a lowering's request cannot say: these draw for themselves (samplers.ts).
import type { IValue } from '@weft/ir';
import { OperatorError, dtypes } from '@weft/ir';
import { attachBackward, attachUnderivable } from '../autograd/custom-node.ts';
import { noGrad } from '../autograd/grad-mode.ts';
import { callOperator } from '../dispatch/call.ts';
import { resize } from '../dispatch/placement.ts';
import { eagerOperators } from '../dispatch/operator.ts';
import { fromTypedArray } from '../creation.ts';
import type { Tensor } from '../tensor.ts';
import type { Generator } from './generator.ts';
import { defaultGenerator } from './generator.ts';
import type { Round } from './samplers.ts';
import { sampleBinomial, sampleGamma, samplePoisson } from './samplers.ts';

const call = (name: string, ...args: IValue[]): Tensor => callOperator(name, args) as unknown as Tensor;

function checkFloat(name: string, { dtype }: Tensor): void {
  if (dtype === 'float32' || dtype === 'float64') return;
  throw new OperatorError(`"${name}" not implemented for '${dtypes[dtype].printName}'`);
}

const roundingOf = ({ dtype }: Tensor): Round => (dtype === 'float32' ? Math.fround : (value) => value);
/** The least positive normal number of the dtype. */
const leastOf = ({ dtype }: Tensor): number => (dtype === 'float32' ? 2 ** -126 : 2 ** -1022);

/** A tensor of the shape and dtype of `self` with an element for each of its elements, row by row. */
function sampled(self: Tensor, sample: (value: number, index: number) => number): Tensor {
  const values = Array.from(self.data as ArrayLike<number>, sample);
  const array = self.dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
  return fromTypedArray(array, [...self.sizes], { device: self.device });
}

/** Parameters of whole-numbered samples get gradients of zeros. */
function withoutInfluence(name: string, result: Tensor, parameters: readonly Tensor[]): Tensor {
  attachBackward(name, [result], parameters, () => parameters.map((each) => call('aten::zeros_like', each)));
  return result;
}

function poisson(self: Tensor, generator: Generator | null): Tensor {
  checkFloat('poisson_cpu', self);
  const g = generator ?? defaultGenerator;
  const result = sampled(self, (rate) => {
    if (!(rate >= 0)) {
      throw new OperatorError('invalid Poisson rate, expected rate to be non-negative');
    }
    return samplePoisson(g, rate);
  });
  return withoutInfluence('PoissonBackward0', result, [self]);
}

function binomial(count: Tensor, prob: Tensor, generator: Generator | null): Tensor {
  checkFloat('binomial_cpu', count);
  if (prob.dtype !== count.dtype) {
    const [found, expected] = [dtypes[prob.dtype].printName, dtypes[count.dtype].printName];
    throw new OperatorError(`Found dtype ${found} but expected ${expected}`);
  }
  const [n, p] = noGrad(() =>
    callOperator('aten::broadcast_tensors', [[count, prob] as unknown as IValue]),
  ) as unknown as Tensor[];
  const probabilities = p.data as ArrayLike<number>;
  const round = roundingOf(count);
  const g = generator ?? defaultGenerator;
  const result = sampled(n, (trials, index) => sampleBinomial(g, trials, probabilities[index], round));
  attachUnderivable('aten::binomial', [result], [count, prob]);
  return result;
}

function standardGamma(self: Tensor, generator: Generator | null): Tensor {
  checkFloat('gamma_cpu', self);
  const [g, round, least] = [generator ?? defaultGenerator, roundingOf(self), leastOf(self)];
  const result = sampled(self, (shape) => Math.max(least, round(sampleGamma(g, shape, round))));
  attachBackward('StandardGammaBackward0', [result], [self], ([cotangent]) => [
    cotangent &&
      call('aten::mul.Tensor', cotangent, call('aten::_standard_gamma_grad', self, result.onStorage(result))),
  ]);
  return result;
}

function sampleDirichlet(self: Tensor, generator: Generator | null): Tensor {
  checkFloat('dirichlet', self);
  const g = generator ?? defaultGenerator;
  const round = roundingOf(self);
  const shapes = self.data as ArrayLike<number>;
  const width = self.sizes.at(-1) ?? 1;
  const [least, most] = [leastOf(self), self.dtype === 'float32' ? 1 - 2 ** -24 : 1 - 2 ** -53];
  const gammas = Array.from(shapes, (shape) =>
    Math.max(
      2 ** -1022,
      sampleGamma(g, shape, (value) => value),
    ),
  );
  const result = sampled(self, (_, index) => {
    const start = index - (index % width);
    const total = gammas.slice(start, start + width).reduce((sum, each) => sum + each, 0);
    return Math.min(most, Math.max(least, round(gammas[index] / total)));
  });
  attachBackward('SampleDirichletBackward0', [result], [self], ([cotangent]) => [
    cotangent && dirichletBackward(cotangent, self, result.onStorage(result)),
  ]);
  return result;
}

function dirichletBackward(cotangent: Tensor, alpha: Tensor, result: Tensor): Tensor {
  const sum = (x: Tensor): Tensor => call('aten::sum.dim_IntList', x, [-1n], true, null);
  const total = call('aten::expand_as', sum(alpha), alpha);
  const slope = call('aten::_dirichlet_grad', result, alpha, total);
  const weighted = sum(call('aten::mul.Tensor', cotangent, result));
  return call('aten::mul.Tensor', slope, call('aten::sub.Tensor', cotangent, weighted, 1n));
}

/** Writes a sample into `out`. */
const into = (out: Tensor, result: Tensor): Tensor => {
  if (out.specKey !== result.specKey) resize(out, result.sizes);
  return noGrad(() => call('aten::copy_', out, result, false));
};

eagerOperators({
  'aten::poisson.out': (self: Tensor, g: Generator | null, out: Tensor) => into(out, poisson(self, g)),
  'aten::binomial.out': (count: Tensor, prob: Tensor, g: Generator | null, out: Tensor) =>
    into(out, binomial(count, prob, g)),
  'aten::_standard_gamma.out': (self: Tensor, g: Generator | null, out: Tensor) =>
    into(out, standardGamma(self, g)),
  'aten::_sample_dirichlet.out': (self: Tensor, g: Generator | null, out: Tensor) =>
    into(out, sampleDirichlet(self, g)),
  'aten::poisson': poisson,
  'aten::binomial': binomial,
  'aten::_standard_gamma': standardGamma,
  'aten::_sample_dirichlet': sampleDirichlet,
});
