// A linear layer with int8 weights, quantized dynamically as users write it, is compiled into the device's product of bytes.
import { expect, test } from '@jest/globals';
import { KernelRecorder, recordKernels } from '@weft/devices';
import type { Tensor } from '@weft/tensor';
import { _intMm, manualSeed, nn, noGrad, rand, round } from '@weft/tensor';
import { script } from '../script.ts';
import { executorState } from './index.ts';

/** Weights of [outputs, inputs] kept as bytes with a scale for each output; rows of x get scales of their own in each call. */
class Int8Linear extends nn.Module {
  declare weight: Tensor;
  declare scales: Tensor;
  constructor(weight: Tensor) {
    super();
    const scales = weight.abs().amax([1], true).div(127);
    this.registerBuffer('weight', round(weight.div(scales)).to('int8'));
    this.registerBuffer('scales', scales.t());
  }
  forward(x: Tensor): Tensor {
    const scale = x.abs().amax([1], true).div(127);
    const sums = _intMm(round(x.div(scale)).to('int8'), this.weight.t());
    return sums.to('float32').mul(scale).mul(this.scales);
  }
}

test('products of bytes, with scales of rows and of columns', () => {
  manualSeed(1);
  const weight = rand([40, 96]).sub(0.5);
  const layer = new Int8Linear(weight);
  const compiled = script(layer);
  const x = rand([17, 96]).sub(0.5);
  noGrad(() => {
    const eager = layer.forward(x);
    for (let run = 0; run < 4; run++)
      expect((compiled.forward(x) as Tensor).tolist()).toEqual(eager.tolist());
    // Each operand is off by half a step of its scale at most.
    const off = eager.sub(x.mm(weight.t())).abs().max().item();
    expect(off).toBeGreaterThan(0);
    expect(off).toBeLessThan((96 * (0.5 * 0.5 + 0.5 * 0.5) * 0.5) / 127);
    const states = executorState(compiled.method('forward'), compiled.object).map(({ state }) => state); // prettier-ignore
    expect(states).toEqual(['compiled']);
    const recorder = new KernelRecorder();
    recordKernels(recorder, () => compiled.forward(x));
    const products = recorder.spans.filter(({ kernel }) => kernel.operators.includes('dot_general'));
    for (const { device, kernel } of products)
      if (device === 'cpu') expect(kernel.name).toBe('dot.int8.int32');
  });
});
