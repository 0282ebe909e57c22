// Randomised leaky ReLU on eager tensors. PyTorch draws a slope only where an element is not positive, so how many numbers
// it takes depends on the data, which a lowering's request cannot say.
import type { IValue } from '@weft/ir';
import { OperatorError } from '@weft/ir';
import { contiguousStrides } from '@weft/ops';
import { noGrad } from '../autograd/grad-mode.ts';
import { callOperator } from '../dispatch/call.ts';
import { eagerOperators } from '../dispatch/operator.ts';
import { tensor } from '../creation.ts';
import type { Tensor } from '../tensor.ts';
import { fma } from './fma.ts';
import type { Generator } from './generator.ts';
import { defaultGenerator } from './generator.ts';

const call = (name: string, ...args: IValue[]): Tensor => callOperator(name, args) as unknown as Tensor;

/** The slope of every element: drawn where it is not positive, else 1. */
function slopes(self: Tensor, lower: number, upper: number, generator: Generator | null): Tensor {
  if (lower > upper) {
    throw new OperatorError('Lower bound should be less than or equal to the upper bound');
  }
  const g = generator ?? defaultGenerator;
  const wide = noGrad(() => call('aten::to.dtype', self.onStorage(self), 7n, false, false, null));
  const drawn = Array.from(wide.data as Float64Array, (value) =>
    value <= 0 ? fma(g.uniform64(), upper - lower, lower) : 1,
  );
  const flat = tensor(drawn, { dtype: self.dtype, device: self.device });
  return flat.onStorage({ sizes: self.sizes, strides: contiguousStrides(self.sizes), offset: 0 });
}

function rrelu(
  self: Tensor,
  lower: number | bigint,
  upper: number | bigint,
  training: boolean,
  generator: Generator | null,
): Tensor {
  const [low, high] = [Number(lower), Number(upper)];
  const dense = call('aten::contiguous', self, 0n);
  if (!training) return call('aten::leaky_relu', dense, (low + high) / 2);
  return call('aten::mul.Tensor', dense, slopes(dense, low, high, generator));
}

function withNoise(
  self: Tensor,
  noise: Tensor,
  lower: number | bigint,
  upper: number | bigint,
  training: boolean,
  generator: Generator | null,
): Tensor {
  if (!training) return rrelu(self, lower, upper, false, null);
  const drawn = slopes(self, Number(lower), Number(upper), generator);
  noGrad(() => call('aten::copy_', noise, drawn, false));
  return call('aten::mul.Tensor', self, drawn);
}

const overwrite = (self: Tensor, result: Tensor): Tensor => call('aten::copy_', self, result, false);

eagerOperators({
  'aten::rrelu': rrelu,
  'aten::rrelu_': (self: Tensor, ...rest: [bigint, bigint, boolean, Generator | null]) =>
    overwrite(self, rrelu(self, ...rest)),
  'aten::rrelu_with_noise': withNoise,
  'aten::rrelu_with_noise_': (self: Tensor, ...rest: [Tensor, bigint, bigint, boolean, Generator | null]) =>
    overwrite(self, withNoise(self, ...rest)),
});
