// Frozen modules compute what the modules did, without attributes that nothing changes; they keep what is changed or preserved, and
// are saved and loaded like others.
import { describe, expect, test } from '@jest/globals';
import type { Tensor, int } from '@weft/tensor';
import { F, manualSeed, nn, noGrad, rand, tensor } from '@weft/tensor';
import { load, saveToBytes } from '../archive/index.ts';
import type { ScriptModule } from '../script-module.ts';
import { script } from '../script.ts';
import { freeze } from './freeze.ts';

class Block extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3);
  norm = new nn.BatchNorm2d(4);
  forward(x: Tensor): Tensor {
    return F.relu(this.norm.forward(this.conv.forward(x)));
  }
}

class Net extends nn.Module {
  block = new Block();
  linear = new nn.Linear(4, 2);
  norm = new nn.BatchNorm1d(2);
  dropout = new nn.Dropout(0.5);
  factor: int = 3;
  names: string[] = ['a', 'b'];
  constructor() {
    super();
    this.registerBuffer('steps', tensor([0]));
  }
  forward(x: Tensor): Tensor {
    const y = this.block.forward(x).mean([2, 3]).reshape([x.shape[0], 4]);
    return this.dropout
      .forward(this.norm.forward(this.linear.forward(y)))
      .mul(this.factor + this.names.length);
  }
  scaled(x: Tensor): Tensor {
    return x.mul(this.factor);
  }
}

class Counter extends nn.Module {
  inner = new nn.Linear(2, 2);
  count: int = 0;
  declare total: Tensor;
  constructor() {
    super();
    this.registerBuffer('total', tensor([0.5, 0.5]));
  }
  forward(x: Tensor): Tensor {
    this.count = this.count + 1;
    this.total.add_(x);
    return this.inner.forward(x).add(this.total);
  }
}

/** Statistics and scales that are not those of a new module. */
function trained<M extends nn.Module>(module: M): M {
  manualSeed(5);
  for (const buffer of module.buffers())
    if (buffer.dtype === 'float32') noGrad(() => buffer.copy_(rand(buffer.shape).add(0.5)));
  for (const parameter of module.parameters()) noGrad(() => parameter.copy_(rand(parameter.shape).sub(0.4)));
  module.eval();
  return module;
}

const kindsOf = (module: ScriptModule): string[] => [...module.graph.nodes()].map(({ kind }) => kind);
const image = () => {
  manualSeed(1);
  return rand([2, 3, 6, 6]);
};
const call = (module: ScriptModule, x: Tensor, method = 'forward'): number[] =>
  noGrad(() => (module.callMethod(method, [x]) as Tensor).flatten().tolist() as number[]);

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, index) =>
    expect(Math.abs(value - expected[index])).toBeLessThan(1e-5 * (1 + Math.abs(expected[index]))),
  );
}

describe('jit.freeze', () => {
  test('makes constants of attributes and folds batch norms into convolutions and linear layers', () => {
    const module = script(trained(new Net()));
    const frozen = freeze(module);
    expectClose(call(frozen, image()), call(module, image()));
    const kinds = kindsOf(frozen);
    for (const kind of ['prim::GetAttr', 'prim::CallMethod', 'aten::batch_norm', 'aten::dropout'])
      expect(kinds).not.toContain(kind);
    expect(frozen.code).toContain('CONSTANTS.c0');
    expect([...frozen.parameters(), ...frozen.buffers()]).toEqual([]);
    expect(frozen.training).toBe(false);
    expect(() => frozen.method('scaled')).toThrow("has no method 'scaled'");
    expect(module.graph).not.toBe(frozen.graph);
    expect(kindsOf(module)).toContain('prim::CallMethod');
  });

  test('without optimising gives the same bits', () => {
    const module = script(trained(new Net()));
    const frozen = freeze(module, { optimize: false });
    expect(call(frozen, image())).toEqual(call(module, image()));
    expect(kindsOf(frozen)).toContain('aten::batch_norm');
  });

  test('takes attributes as they are when it is called', () => {
    const module = script(trained(new Net()));
    const frozen = freeze(module, { optimize: false });
    const before = call(module, image());
    noGrad(() => module.linear.weight.fill_(7));
    expect(call(frozen, image())).toEqual(before);
  });

  test('keeps what a method changes', () => {
    const module = script(trained(new Counter()));
    const frozen = freeze(module) as unknown as ScriptModule & { count: number; total: Tensor };
    const expected = [1, 2, 3].map(() => call(script(trained(new Counter())), tensor([1.5, 2.5])));
    module.total.fill_(0.5);
    const start = (frozen.total.tolist() as number[]).slice();
    call(frozen, tensor([1.5, 2.5]));
    expect(frozen.total.tolist()).toEqual([start[0] + 1.5, start[1] + 2.5]);
    expect(frozen.count).toBe(1);
    expect(expected[0]).toEqual(expected[2]);
    expect([...frozen.buffers()]).toHaveLength(1);
    expect([...frozen.parameters()]).toEqual([]);
    expect('inner' in frozen).toBe(false);
  });

  test('keeps what is preserved, in submodules too', () => {
    const module = script(trained(new Net()));
    const frozen = freeze(module, { preservedAttributes: ['scaled', 'factor', 'linear.bias', 'block'] });
    const open = frozen as unknown as { factor: number; linear: { bias: Tensor }; block: ScriptModule };
    expectClose(call(frozen, image()), call(module, image()));
    expect(call(frozen, tensor([1.5, 2.5]), 'scaled')).toEqual([4.5, 7.5]);
    open.factor = 5;
    expect(call(frozen, tensor([1.5, 2.5]), 'scaled')).toEqual([7.5, 12.5]);
    expect(Object.keys(open.linear)).not.toContain('weight');
    expect(open.linear.bias.shape).toEqual([2]);
    expectClose(call(open.block, image()), call(module.block as unknown as ScriptModule, image()));
  });

  test('is saved and loaded', () => {
    for (const frozen of [
      freeze(script(trained(new Net())), { preservedAttributes: ['factor'] }),
      freeze(script(trained(new Counter()))),
    ]) {
      const x = 'factor' in frozen ? image() : tensor([1.5, 2.5]);
      const loaded = load(saveToBytes(frozen));
      expect(call(loaded, x)).toEqual(call(frozen, x));
    }
  });

  test('freezes what is frozen already', () => {
    const frozen = freeze(script(trained(new Net())));
    expect(call(freeze(frozen), image())).toEqual(call(frozen, image()));
  });

  test('refuses modules in training, what is no scripted module, and unknown names', () => {
    const module = script(new Net());
    expect(() => freeze(module)).toThrow('only implemented for modules in eval mode. Please call .eval()');
    expect(() => freeze(new Net() as unknown as ScriptModule)).toThrow(
      'Freezing expects a ScriptModule as input. Please use jit.script',
    );
    module.eval();
    expect(() => freeze(module, { preservedAttributes: ['nope'] })).toThrow(
      /Unknown name: nope. The module has .*factor/,
    );
    expect(() => freeze(module, { preservedAttributes: ['block.nope'] })).toThrow('Unknown name: block.nope');
  });
});
