// The counter-based random generator: bits are a value computed from a state, which the next call continues.
import { dtypes } from '../../types/dtype.ts';
import { tensorSpec } from '../../types/types.ts';
import { registerCoreOperator } from '../operator.ts';
import {
  costPerElement,
  dtypeAttribute,
  expectAtLeast,
  expectChoice,
  expectOperands,
  specText,
} from './inference.ts';

registerCoreOperator({
  name: 'rng_bit_generator',
  attributes: { rng_algorithm: 's', dtype: 's', shape: 'is' },
  infer(site) {
    expectOperands(site, 1);
    expectChoice(site, 'rng_algorithm', ['PHILOX']);
    const [state] = site.operands;
    if (state.dtype !== 'uint64' || String(state.sizes) !== '2') {
      site.fail(`the state is ${specText(state)}; uint64[2] (key, counter) is expected`);
    }
    const dtype = dtypeAttribute(site, 'dtype');
    if (dtypes[dtype].category !== 'uint') site.fail(`bits come as an unsigned dtype, not ${dtype}`);
    const shape = site.node.ints('shape');
    expectAtLeast(site, 'shape', shape, 0);
    return [state, tensorSpec(dtype, shape)];
  },
  cost: (node) => ({ ...costPerElement(0)(node), flops: 10 * costPerElement(1)(node).flops }),
});
