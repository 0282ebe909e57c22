// What follows from weights alone is computed once, and again when one changes; results are those of the whole graph.
import { afterEach, describe, expect, test } from '@jest/globals';
import { parseGraph, printGraph, verifyGraph } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { manualSeed, nn, noGrad, rand, tensor } from '@weft/tensor';
import type { ScriptModule } from '../script-module.ts';
import { script } from '../script.ts';
import { splitGraph } from './fixed-part.ts';
import { executorState, setExecutor } from './index.ts';

afterEach(() => void setExecutor({ mode: 'auto' }));

class Heads extends nn.Module {
  query = new nn.Linear(4, 4);
  key = new nn.Linear(4, 4);
  value = new nn.Linear(4, 6, { bias: false });
  scale = new nn.Parameter(tensor([1.5, 0.5, 2, 1]));
  forward(x: Tensor): Tensor {
    const scaled = this.query.forward(x).mul(this.scale.square().sum());
    return scaled.matmul(this.key.forward(x).t()).matmul(this.value.forward(x));
  }
  doubled(x: Tensor): [Tensor, Tensor] {
    return [x.mul(this.scale.exp()), this.scale.mul(2)];
  }
}

const heads = () => {
  manualSeed(2);
  return script(new Heads());
};
const run = (module: ScriptModule, mode: 'interpret' | 'compile', method = 'forward'): unknown => {
  setExecutor({ mode });
  manualSeed(3);
  const result = noGrad(() => module.callMethod(method, [rand([3, 4])])) as Tensor | Tensor[];
  return Array.isArray(result) ? result.map((each) => each.tolist()) : result.tolist();
};
function expectClose(actual: unknown, expected: unknown): void {
  const [a, b] = [actual, expected].map((each) => (each as number[][]).flat(3));
  expect(a).toHaveLength(b.length);
  a.forEach((value, index) => expect(value).toBeCloseTo(b[index], 4));
}

describe('the fixed part', () => {
  test('is computed again when a weight changes', () => {
    const module = heads();
    const expectSame = () => expectClose(run(module, 'compile'), run(module, 'interpret'));
    for (let times = 0; times < 3; times++) expectSame();
    for (let times = 0; times < 12; times++) {
      noGrad(() => module.key.weight.mul_(0.5));
      expectSame();
      noGrad(() => (module as unknown as Heads).scale.add_(0.25));
      expectSame();
    }
    for (let times = 0; times < 3; times++) expectSame();
    expect(executorState(module.method('forward'), module.object)[0].state).toBe('compiled');
  });

  test('notices what is written to the memory itself', () => {
    const module = heads();
    expectClose(run(module, 'compile'), run(module, 'interpret'));
    const { weight } = module.value;
    (weight.data as Float32Array).fill(0.5);
    expectClose(run(module, 'compile'), run(module, 'interpret'));
  });

  test('hands nothing out that it keeps', () => {
    const module = heads();
    const expected = run(module, 'interpret', 'doubled');
    setExecutor({ mode: 'compile' });
    for (let times = 0; times < 2; times++) {
      expectClose(run(module, 'compile', 'doubled'), expected);
      const [, doubled] = noGrad(() => module.callMethod('doubled', [rand([3, 4])])) as Tensor[];
      doubled.zero_();
    }
    expectClose(run(module, 'compile', 'doubled'), expected);
  });

  const graph = `graph(%x : Float(2), %w : Float(2), %v : Float(2)):
  %c : Float(2) = core::constant[value=splat<float32, [2], 0x0000803f>]()
  %d : Float(2) = core::negate(%c)
  %a : Float(2) = core::add(%w, %d)
  %b : Float(2) = core::exponential(%a)
  %e : Float(2) = core::multiply(%x, %b)
  %f : Float(2) = core::add(%e, %a)
  %g : Float(1, 2) = core::reshape[shape=[1, 2]](%v)
  %h : Float(2) = core::negate(%w)
  return (%f, %g, %h)`;

  test('is what weights alone decide', () => {
    const split = splitGraph(parseGraph(graph), [1, 2])!;
    verifyGraph(split.fixed);
    verifyGraph(split.rest);
    expect([split.fixedInputs, split.restInputs]).toEqual([[1], [0, 1, 2]]);
    const kinds = (text: string) => [...text.matchAll(/core::(\w+)/g)].map(([, kind]) => kind);
    expect(kinds(printGraph(split.fixed))).toEqual(['constant', 'negate', 'add', 'exponential']);
    expect(kinds(printGraph(split.rest))).toEqual(['multiply', 'add', 'reshape', 'negate']);
  });

  test('is nothing where nothing is computed of weights', () => {
    const text = graph.replace('%a : Float(2) = core::add(%w, %d)', '%a : Float(2) = core::add(%x, %d)');
    const whole = parseGraph(text);
    const before = printGraph(whole);
    expect(splitGraph(whole, [1, 2])).toBeUndefined();
    expect(printGraph(whole)).toBe(before);
  });
});
