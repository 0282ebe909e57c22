// Tensors and modules: scripted equals eager.
import { describe, expect, test } from '@jest/globals';
import { verifyGraph } from '@weft/ir';
import type { Tensor, float, int } from '@weft/tensor';
import {
  F,
  Parameter,
  arange,
  cat,
  manualSeed,
  nn,
  ones,
  rand,
  relu,
  stack,
  tensor,
  zeros,
} from '@weft/tensor';
import { script } from '../../script.ts';
import { expectSame, parity } from './parity.ts';

const x23 = (): Tensor => arange(6).reshape([2, 3]).to('float32').sub(2);

function arithmetic(x: Tensor, y: Tensor): Tensor {
  return x.add(y).mul(2).sub(y.div(3)).neg();
}
// @ts-expect-error -- a parameter without a type is a Tensor
function untyped(x, y) {
  return x.mul(y).sum();
}
function keywords(x: Tensor, y: Tensor): Tensor {
  return x.add(y, { alpha: 3 }).sum(1, { keepdim: true });
}
function camelCase(x: Tensor): Tensor {
  const mask = x.gt(0);
  return x.maskedFill(mask, -1).indexSelect(0, tensor([0]));
}
function viewsAndSizes(x: Tensor): Tensor {
  const rows = x.size(0);
  const [a, b] = x.shape;
  return x
    .view([rows * 3])
    .reshape([b, a])
    .transpose(0, 1)
    .unsqueeze(0);
}
function shapeQueries(x: Tensor): int[] {
  return [x.dim(), x.numel(), x.shape.length, x.ndim, x.size(-1)];
}
function inPlace(x: Tensor): Tensor {
  x.add_(1);
  x.select(0, 0).mul_(2);
  return x.sum();
}
function items(x: Tensor): float {
  const total = x.sum().item();
  if (total > 2) return total * 2;
  return -total;
}
function itemToNumber(x: Tensor): number {
  let best = -1000;
  for (let i = 0; i < x.numel(); i++) {
    const value: number = x.view([-1]).select(0, i).item();
    if (value > best) best = value;
  }
  return best;
}
function factories(n: int): Tensor {
  return cat([zeros([2, n]), ones([1, n]), arange(n).to('float32').unsqueeze(0)], 0);
}
function dtypes(x: Tensor): Tensor {
  return x.to('float64').mul(zeros([3], { dtype: 'float64' }).add(2));
}
function listsOfTensors(x: Tensor): Tensor {
  const rows: Tensor[] = [];
  for (const row of x.unbind(0)) rows.push(row.mul(rows.length + 1));
  return stack(rows);
}
function functional(x: Tensor): Tensor {
  return F.softmax(relu(x).add(F.gelu(x)), -1);
}
function tuplesOfTensors(x: Tensor): [Tensor, Tensor[]] {
  return [x.sum(0), [x, x.neg()]];
}
function namedResults(x: Tensor): Tensor {
  const [values, indices] = x.max(1);
  return values.add(indices);
}
function optionalTensor(x: Tensor, bias: Tensor | null): Tensor {
  if (bias !== null) return x.add(bias);
  return x;
}
function branchOnTensor(x: Tensor): Tensor {
  let y = x;
  while (y.sum().item() < 10) y = y.add(1);
  return y;
}
function freeTensors(x: Tensor): Tensor {
  return x.add(WEIGHTS);
}
const WEIGHTS = tensor([1, 2, 3], { dtype: 'float32' });
function mapsOfTensors(x: Tensor): Map<string, Tensor> {
  const out = new Map<string, Tensor>();
  out.set('double', x.mul(2));
  return out;
}
function numpyLike(x: Tensor, i: int): Tensor {
  return x.select(1, i).narrow(0, 0, 1).squeeze();
}
function fibonacci(n: int): Tensor {
  let [a, b] = [tensor(0), tensor(1)];
  for (let i = 0; i < n; i++) [a, b] = [b, a.add(b)];
  return a;
}

describe('tensor functions', () => {
  parity([
    [arithmetic, [x23(), ones([3])]],
    [untyped, [x23(), x23()]],
    [keywords, [x23(), ones([3])]],
    [camelCase, [x23()]],
    [viewsAndSizes, [x23()]],
    [shapeQueries, [x23()]],
    [inPlace, [x23()]],
    [items, [x23()], [ones([4])]],
    [itemToNumber, [x23()]],
    [factories, [3]],
    [dtypes, [x23()]],
    [listsOfTensors, [x23()]],
    [functional, [x23()]],
    [tuplesOfTensors, [x23()]],
    [namedResults, [x23()]],
    [optionalTensor, [x23(), ones([3])], [x23(), null]],
    [branchOnTensor, [x23()]],
    [freeTensors, [x23()]],
    [mapsOfTensors, [x23()]],
    [numpyLike, [x23(), 1]],
    [fibonacci, [10]],
  ]);
});

class Scale extends nn.Module {
  readonly factor: float;
  calls = 0;
  constructor(factor: float) {
    super();
    this.factor = factor;
  }
  forward(x: Tensor): Tensor {
    this.calls += 1;
    return x.mul(this.factor);
  }
  get doubled(): number {
    return this.factor * 2;
  }
}
class Net extends nn.Module {
  readonly layers: nn.ModuleList<nn.Linear>;
  readonly head: nn.Sequential;
  readonly scale: Scale;
  readonly shift: Parameter;
  readonly depth: int;
  readonly names = ['a', 'b'];
  extra: Tensor | null = null;
  constructor(depth: int) {
    super();
    this.layers = new nn.ModuleList(Array.from({ length: depth }, () => new nn.Linear(3, 3)));
    this.head = new nn.Sequential(new nn.Linear(3, 4), new nn.ReLU(), new nn.Linear(4, 2));
    this.scale = new Scale(0.5);
    this.shift = new Parameter(zeros([2]));
    this.depth = depth;
    this.registerBuffer('seen', zeros([1]));
  }
  forward(x: Tensor, repeat: int = 1): Tensor {
    for (let i = 0; i < repeat; i++) {
      for (const layer of this.layers) x = layer.forward(x).tanh();
    }
    if (this.extra !== null) x = x.add(this.extra);
    return this.finish(x).add(this.depth);
  }
  finish(x: Tensor): Tensor {
    return this.head.forward(this.scale.forward(x)).add(this.shift).mul(this.scale.doubled);
  }
  mode(): string {
    return this.training ? 'train' : 'eval';
  }
  unscriptable(): unknown {
    return new Date();
  }
}
class Base extends nn.Module {
  linear = new nn.Linear(2, 2);
  forward(x: Tensor): Tensor {
    return this.activate(this.linear.forward(x));
  }
  activate(x: Tensor): Tensor {
    return x.relu();
  }
}
class Derived extends Base {
  override forward(x: Tensor): Tensor {
    return super.forward(x).add(1);
  }
  override activate(x: Tensor): Tensor {
    return super.activate(x).neg();
  }
}
class Callback extends nn.Module {
  constructor(
    readonly activation: (x: Tensor) => Tensor,
    readonly config: { width: number; deep: { flag: boolean } },
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.config.deep.flag ? this.activation(x) : x.mul(this.config.width);
  }
}
const square = (x: Tensor): Tensor => x.mul(x);

describe('modules', () => {
  const forwardOf = (module: nn.Module): ((...given: never[]) => unknown) => {
    const { forward } = module as unknown as { forward: (...given: unknown[]) => unknown };
    return forward.bind(module) as (...given: never[]) => unknown;
  };

  test('a network with lists, sequences, parameters, buffers and constants', () => {
    manualSeed(1);
    const net = new Net(2);
    const scripted = script(net);
    verifyGraph(scripted.graph);
    const x = rand([5, 3]);
    expectSame(forwardOf(net), forwardOf(scripted), [x]);
    expectSame(forwardOf(net), forwardOf(scripted), [x, 3]);
    expect(scripted.mode()).toBe('train');
    scripted.eval();
    expect(scripted.mode()).toBe('eval');
    expect(net.mode()).toBe('train');
    expect([...scripted.namedParameters()].map(([name]) => name)).toEqual(
      expect.arrayContaining([...net.namedParameters()].map(([name]) => name)),
    );
    expect([...scripted.stateDict().keys()].sort()).toEqual([...net.stateDict().keys()].sort());
    // The parameters are the same tensors.
    expect([...scripted.parameters()].every((own) => [...net.parameters()].includes(own))).toBe(true);
    expect(() => scripted.unscriptable()).toThrow(/Date/);
  });

  test('the same class with other constants is another script class', () => {
    const [a, b, c] = [1, 1, 2].map((depth) => script(new Net(depth)));
    expect(a.object.type).toBe(b.object.type);
    expect(a.object.type).not.toBe(c.object.type);
  });

  test('attributes are state of the scripted module', () => {
    const scale = new Scale(2);
    const scripted = script(scale);
    scripted.forward(ones([1]));
    scripted.forward(ones([1]));
    expect(scripted.calls).toBe(2);
    expect(scale.calls).toBe(0);
  });

  test('inherited and overridden methods', () => {
    manualSeed(2);
    const derived = new Derived();
    expectSame(forwardOf(derived), forwardOf(script(derived)), [rand([3, 2])]);
  });

  test('functions and plain objects as members', () => {
    for (const flag of [true, false]) {
      const module = new Callback(square, { width: 3, deep: { flag } });
      expectSame(forwardOf(module), forwardOf(script(module)), [rand([2])]);
    }
  });

  test('gradients reach the parameters through scripted code', () => {
    manualSeed(3);
    const net = new Net(1);
    const scripted = script(net);
    const x = rand([4, 3]);
    const gradients = (forward: (x: Tensor) => Tensor): unknown[] => {
      net.zeroGrad();
      forward(x).sum().backward();
      return [...net.parameters()].map((parameter) => parameter.grad?.tolist());
    };
    const expected = gradients((input) => net.forward(input));
    expect(gradients((input) => scripted.forward(input) as Tensor)).toEqual(expected);
  });
});
