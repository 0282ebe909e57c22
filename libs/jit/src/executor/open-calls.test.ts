// Calls that differ in sizes alone: one graph with open sizes does what the interpreter does for every size, or says why it cannot.
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Tensor, int } from '@weft/tensor';
import {
  F,
  arange,
  cat,
  getRngState,
  manualSeed,
  matmul,
  nn,
  noGrad,
  ones,
  rand,
  randint,
  randn,
  setRngState,
  softmax,
  stack,
  tensor,
  zeros,
} from '@weft/tensor';
import * as fc from 'fast-check';
import type { ScriptModule } from '../script-module.ts';
import { script } from '../script.ts';
import { executorState, setExecutor } from './index.ts';
import { rangeAround } from './open-calls.ts';

const defaults = setExecutor({});
afterEach(() => void setExecutor(defaults));

class Rows extends nn.Module {
  first = new nn.Linear(6, 8);
  second = new nn.Linear(8, 3);
  norm = new nn.LayerNorm(8);
  table = new nn.Embedding(20, 6);
  positions = new nn.Parameter(randn([12, 6]));
  kept = zeros([3]);
  /** Rows by themselves. */
  perceptron(x: Tensor): Tensor {
    return F.logSoftmax(this.second.forward(F.gelu(this.norm.forward(this.first.forward(x)))), 1);
  }
  // Along the open dimension.
  sums(x: Tensor): Tensor[] {
    return [x.sum(0), x.sum(), x.prod(0), x.amax(0), x.amin(0), x.mean(0), x.mean(), x.var(0), x.std(0)];
  }
  truths(x: Tensor): Tensor[] {
    return [x.gt(0).any(), x.gt(0).all(), x.gt(0).any(0), x.gt(-9).all(0), x.gt(0).sum(0)];
  }
  softmaxes(x: Tensor): Tensor[] {
    return [softmax(x, 0), F.logSoftmax(x, 0), x.logsumexp(0), softmax(x.t(), 1)];
  }
  products(x: Tensor): Tensor[] {
    return [matmul(x.t(), x), matmul(x, x.t()), matmul(x.t(), x.reciprocal())];
  }
  /** What lies beyond a size must not come in, whatever it is: here it is not finite. */
  infinite(x: Tensor): Tensor {
    const share = x.div(x.sum(1, true));
    return matmul(share.t(), x.log().exp());
  }
  parts(x: Tensor): Tensor[] {
    const twice = x.mul(2);
    return [
      twice.select(0, 1).neg(),
      twice.slice(0, 1).neg(),
      twice.slice(0, 0, -1).neg(),
      twice.slice(0, -2).neg(),
      twice.select(0, -1).neg(),
      twice.slice(0, 2, 5).neg(),
      twice.narrow(0, 0, 4).neg(),
      twice.slice(1, 0, 6, 2).neg(),
    ];
  }
  joined(x: Tensor, y: Tensor): Tensor[] {
    return [
      cat([x, y], 0),
      cat([y, x], 0),
      cat([y, x, y], 0),
      cat([x, x], 0),
      cat([x, y, x], 0),
      cat([x, x], 1),
      stack([x, x], 0),
      stack([x, x], 1),
    ];
  }
  padded(x: Tensor): Tensor[] {
    return [
      F.pad(x, [1, 2]),
      F.pad(x, [0, 0, 1, 0]),
      F.pad(x, [0, 0, 0, 2], 'constant', 3),
      F.pad(x, [0, 0, 2, 3]).sum(0),
    ];
  }
  filled(x: Tensor): Tensor {
    const missing = 16 - x.size(0);
    return F.pad(x, [0, 0, 0, missing]).mul(2);
  }
  counted(x: Tensor): Tensor {
    const n = x.size(0);
    const mask = ones([n, n]).tril().logicalNot();
    const scores = matmul(x, x.t()).maskedFill(mask, -Infinity);
    return matmul(softmax(scores, -1), x.add(arange(n).unsqueeze(1)).div(n));
  }
  placed(x: Tensor): Tensor {
    return x.add(this.positions.slice(0, 0, x.size(0)));
  }
  looked(ids: Tensor): Tensor {
    return this.table.forward(ids);
  }
  last(x: Tensor): Tensor {
    return this.second.forward(this.first.forward(x)).slice(0, -1);
  }
  turned(x: Tensor): Tensor {
    return x.mul(2).t();
  }
  records(x: Tensor): Record<string, Tensor> {
    return { sum: x.sum(0), twice: x.mul(2) };
  }
  pair(x: Tensor): [Tensor, int] {
    return [x.mul(2), 7];
  }
  remembering(x: Tensor): Tensor {
    this.kept.copy_(x.sum(0).slice(0, 0, 3));
    return x.mul(this.kept.sum());
  }
  branching(x: Tensor): Tensor {
    if (x.size(0) > 3 && x.size(1) === 6) return x.mul(2);
    return x;
  }
  least(x: Tensor): Tensor {
    return x.slice(0, 0, Math.min(x.size(0), 100)).mul(3);
  }
  whole(x: Tensor): Tensor {
    return x.div(x.sum(0).size(0)).floor();
  }
  /** Nothing is divided by zero but what means nothing. */
  divided(x: Tensor, y: Tensor): Tensor[] {
    return [x.floorDivide(y), x.remainder(y), x.fmod(y), x.cumsum(1)];
  }
  /** Results of which what means something lies apart. */
  apart(x: Tensor): Tensor[] {
    const steps: Tensor[] = [];
    for (let step = 0; step < 3; step++) steps.push(x.mul(step + 1));
    const all = cat(steps, 0);
    const whole = all.mul(2);
    const turned = stack(steps, 1).mul(2).reshape([-1, 6]);
    return [all, whole.slice(0, x.size(0), 2 * x.size(0)).neg(), turned, turned.t().neg(), whole.sum(0)];
  }
  /** Positions in what is left open, from its end too. */
  picked(x: Tensor, at: Tensor): Tensor[] {
    return [x.indexSelect(0, at), x.argmax(1), x.sort(1)[0], F.oneHot(at, 12).sum(0)];
  }
  /** Numbers that are alike, in as many places as there are of two sizes. */
  alike(x: Tensor, y: Tensor): Tensor[] {
    const n = x.size(0) * y.size(0);
    const products = x.unsqueeze(1).mul(y.unsqueeze(0)).reshape([n, 6]);
    const shares = softmax(ones([n]).mul(3), 0);
    return [
      products.mul(shares.unsqueeze(1)).sum(0),
      matmul(shares, products),
      ones([n]).mul(0.5).unsqueeze(0).matmul(products),
    ];
  }
  // What cannot be left open.
  loop(x: Tensor): Tensor {
    let total = x.select(0, 0);
    for (let row = 1; row < x.size(0); row++) total = total.mul(0.5).add(x.select(0, row));
    return total;
  }
  exact(x: Tensor): Tensor {
    if (x.size(0) === 10) return x.mul(2);
    return x.mul(3);
  }
  even(x: Tensor): Tensor {
    if (x.size(0) % 3 === 0) return x.mul(2);
    return x.mul(3);
  }
  every(x: Tensor): Tensor {
    return x.slice(0, 0, 12, 2).mul(2);
  }
  shrinking(x: Tensor): Tensor {
    return zeros([16 - x.size(0), 6]).add(x.sum(0));
  }
  sorted(x: Tensor): Tensor {
    return x.sort(0)[0];
  }
  own(x: Tensor): Tensor[] {
    return [x, x.mul(2)];
  }
  changed(x: Tensor): Tensor {
    x.add_(1);
    return x.sum();
  }
  noisy(x: Tensor): Tensor {
    return F.dropout(x, 0.5, true);
  }
  told(x: Tensor): [Tensor, int] {
    return [x.mul(2), x.size(0)];
  }
}

class Attention extends nn.Module {
  heads: int = 2;
  qkv = new nn.Linear(6, 18);
  out = new nn.Linear(6, 6);
  norm = new nn.LayerNorm(6);
  scale: number = 0.5;
  /** Of x, [batch, length, 6], with what came before: [2, batch, heads, past, 3]. */
  forward(x: Tensor, past: Tensor, mask: Tensor): [Tensor, Tensor] {
    const b = x.size(0);
    const t = x.size(1);
    const [q, own, values] = this.qkv
      .forward(this.norm.forward(x))
      .view([b, t, 3, this.heads, 3])
      .permute([2, 0, 3, 1, 4])
      .unbind(0);
    const k = cat([past.select(0, 0), own], 2);
    const v = cat([past.select(0, 1), values], 2);
    const scores = matmul(q, k.transpose(-2, -1)).mul(this.scale);
    const seen = ones([t, k.size(2)])
      .tril(k.size(2) - t)
      .logicalNot();
    const masked = scores.maskedFill(seen, -Infinity).add(mask.unsqueeze(1).unsqueeze(1));
    const y = matmul(softmax(masked, -1), v)
      .transpose(1, 2)
      .reshape([b * t, 6]);
    return [this.out.forward(y).view([b, t, 6]).add(x), stack([k, v], 0)];
  }
  /** Heads as a batch of their own. */
  merged(x: Tensor): Tensor {
    const b = x.size(0);
    const t = x.size(1);
    const q = x
      .view([b, t, this.heads, 3])
      .transpose(1, 2)
      .reshape([b * this.heads, t, 3]);
    const share = softmax(matmul(q, q.transpose(1, 2)), -1);
    const y = matmul(share, q).view([b, this.heads, t, 3]).transpose(1, 2).reshape([b, t, 6]);
    return y.mean([0, 1]).add(y.flatten(0, 1).amax(0));
  }
  last(x: Tensor, lengths: Tensor): Tensor {
    const at = lengths.sub(1).view([-1, 1, 1]).expand([-1, 1, 6]);
    return x.gather(1, at).squeeze(1);
  }
}

class Images extends nn.Module {
  body = new nn.Sequential(
    new nn.Conv2d(3, 8, 3, { padding: 1 }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(8, 8, 3, { groups: 8 }),
    new nn.AdaptiveAvgPool2d(1),
    new nn.Flatten(),
    new nn.Linear(8, 4),
  );
  forward(x: Tensor): Tensor {
    return softmax(this.body.forward(x), 1);
  }
}

const rows = (n: int): Tensor[] => [randn([n, 6])];
const isOpen = (module: ScriptModule, method: string) =>
  executorState(module.method(method), module.object).some(
    ({ state, openSizes }) => state === 'compiled' && openSizes !== undefined,
  );
const reasons = (module: ScriptModule, method: string) =>
  executorState(module.method(method), module.object).flatMap(({ openSizes, reason }) =>
    openSizes === undefined ? [] : [reason],
  );

type Plain = number | boolean | string | bigint | null | Plain[] | { [name: string]: Plain };
const plain = (value: unknown): Plain => {
  if (typeof value !== 'object' || value === null) return value as Plain;
  if (Array.isArray(value)) return value.map(plain);
  if ('tolist' in value) {
    const { shape, dtype, strides } = value as Tensor & { strides: readonly number[] };
    return { dtype, shape: [...shape], strides: [...strides], elements: (value as Tensor).tolist() as Plain };
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
};

function expectClose(given: Plain, expected: Plain): void {
  if (typeof expected === 'number' && typeof given === 'number') {
    if (Object.is(given, expected) || given === expected) return;
    expect(Math.abs(given - expected)).toBeLessThanOrEqual(2e-5 * (1 + Math.abs(expected)));
  } else if (
    typeof expected === 'object' &&
    expected !== null &&
    typeof given === 'object' &&
    given !== null
  ) {
    expect(Object.keys(given)).toEqual(Object.keys(expected));
    for (const key of Object.keys(expected))
      expectClose((given as Record<string, Plain>)[key], (expected as Record<string, Plain>)[key]);
  } else expect(given).toEqual(expected);
}

/** Calls a method with what `make` makes for each size, and compares with the interpreter. */
function compare(
  module: ScriptModule,
  method: string,
  make: (n: int) => Tensor[],
  sizes: readonly int[],
): void {
  const call = (args: readonly Tensor[]) =>
    noGrad(() =>
      plain((module as unknown as Record<string, (...all: Tensor[]) => unknown>)[method](...args)),
    );
  for (const n of sizes) {
    const args = make(n);
    const copies = noGrad(() => args.map((arg) => arg.clone()));
    const before = setExecutor({ mode: 'interpret' });
    const state = getRngState();
    const expected = call(copies);
    setExecutor(before);
    setRngState(state);
    expectClose(call(args), expected);
  }
}

const sizes = [9, 12, 10, 11, 12, 10, 9, 11];

describe('what a method does for every size', () => {
  test.each<[string, (n: int) => Tensor[]]>([
    ['perceptron', rows],
    ['sums', rows],
    ['truths', rows],
    ['softmaxes', rows],
    ['products', rows],
    ['infinite', (n) => [rand([n, 6]).add(1)]],
    ['parts', rows],
    ['joined', (n) => [randn([n, 6]), randn([2, 6])]],
    ['padded', rows],
    ['filled', rows],
    ['counted', rows],
    ['placed', rows],
    ['looked', (n) => [randint(0, 20, [2, n])]],
    ['last', rows],
    ['turned', rows],
    ['records', rows],
    ['pair', rows],
    ['remembering', rows],
    ['divided', (n) => [randint(-9, 9, [n, 3]), randint(1, 9, [n, 3])]],
    ['apart', rows],
    ['picked', (n) => [randn([n, 6]), randint(0, n, [5])]],
    ['alike', (n) => [randn([n, 6]), randn([21 - n, 6])]],
    ['branching', rows],
    ['least', rows],
    ['whole', rows],
  ])('%s', (method, make) => {
    manualSeed(1);
    const module = script(new Rows());
    compare(module, method, make, sizes);
    expect(reasons(module, method)).toEqual([undefined]);
    expect(isOpen(module, method)).toBe(true);
  });
});

describe('several sizes at once', () => {
  test('batch, length, and a past that is longer than any call', () => {
    manualSeed(2);
    const module = script(new Attention());
    const calls = [[5, 9, 17], [6, 10, 20], [5, 12, 18], [6, 11, 24], [5, 9, 22], [6, 12, 17], [5, 10, 23]]; // prettier-ignore
    let at = 0;
    const make = (): Tensor[] => {
      const [b, t, past] = calls[at++];
      return [randn([b, t, 6]), randn([2, b, 2, past, 3]), randn([b, t + past])];
    };
    compare(module, 'forward', make, calls.map(() => 0)); // prettier-ignore
    const open = executorState(module.method('forward'), module.object).flatMap(
      ({ openSizes }) => openSizes ?? [],
    );
    expect(open).toEqual([{ least: 5, bound: 6 }, { least: 9, bound: 12 }, { least: 17, bound: 24 }]); // prettier-ignore
  });

  test('a past that grows by each call', () => {
    manualSeed(3);
    const module = script(new Attention());
    const make = (n: int): Tensor[] => [randn([2, 1, 6]), randn([2, 2, 2, n, 3]), zeros([1, 1])];
    compare(module, 'forward', make, [17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32]);
    const open = executorState(module.method('forward'), module.object).flatMap(
      ({ openSizes }) => openSizes ?? [],
    );
    expect(open.map(({ bound }) => bound)).toEqual([32, 24]);
  });

  test('heads as a batch', () => {
    manualSeed(4);
    const module = script(new Attention());
    const calls = [[5, 9], [6, 10], [5, 12], [6, 11], [6, 9]]; // prettier-ignore
    let at = 0;
    compare(module, 'merged', () => [randn([...calls[at++], 6])], [0, 0, 0, 0, 0]); // prettier-ignore
    expect(reasons(module, 'merged')).toEqual([expect.stringMatching(/contents that depend on a size/)]);
    compare(module, 'last', (n) => [randn([n, 12, 6]), randint(1, 12, [n])], sizes);
    expect(isOpen(module, 'last')).toBe(true);
  });

  test('images', () => {
    manualSeed(5);
    const net = new Images();
    net.eval();
    const module = script(net);
    compare(module, 'forward', (n) => [randn([n, 3, 8, 8])], [5, 6, 7, 8, 5, 7, 6, 3, 2, 4, 3]);
    const open = executorState(module.method('forward'), module.object).flatMap(
      ({ openSizes }) => openSizes ?? [],
    );
    expect(open.map(({ least, bound }) => [least, bound])).toEqual([[2, 4], [5, 6], [7, 8]]); // prettier-ignore
  });
});

describe('a variant with open sizes', () => {
  const opened = (): ScriptModule => {
    manualSeed(6);
    const module = script(new Rows());
    compare(module, 'perceptron', rows, [9, 10, 11, 12]);
    expect(isOpen(module, 'perceptron')).toBe(true);
    return module;
  };

  test('sees weights that changed', () => {
    const module = opened();
    noGrad(() => (module as unknown as Rows).first.weight.mul_(2));
    compare(module, 'perceptron', rows, sizes);
  });

  test('is given up when an attribute changed, and made anew', () => {
    manualSeed(7);
    const module = script(new Attention());
    const make = (n: int): Tensor[] => [randn([2, 1, 6]), randn([2, 2, 2, n, 3]), zeros([1, 1])];
    compare(module, 'forward', make, [17, 18, 19, 20]);
    (module as unknown as Attention).scale = 2;
    compare(module, 'forward', make, [17, 18, 21, 22]);
    expect(isOpen(module, 'forward')).toBe(true);
  });

  test('leaves it to the interpreter to say what is wrong', () => {
    const module = script(new Rows());
    compare(module, 'looked', (n) => [randint(0, 20, [2, n])], sizes);
    expect(isOpen(module, 'looked')).toBe(true);
    expect(() => noGrad(() => (module as unknown as Rows).looked(tensor([[1, 2, 3, 4, 5, 6, 7, 20, 9, 10]])))).toThrow(/out of range/); // prettier-ignore
    expect(() => noGrad(() => (module as unknown as Rows).looked(randint(0, 20, [2, 10]).sub(30)))).toThrow(/out of range/); // prettier-ignore
  });

  test('is not made again and again where its guard keeps failing', () => {
    manualSeed(8);
    const module = script(new Attention());
    const make = (n: int): Tensor[] => [randn([2, 1, 6]), randn([2, 2, 2, n, 3]), zeros([1, 1])];
    compare(module, 'forward', make, [17, 18, 19]);
    for (const scale of [1, 2, 3, 4, 5]) {
      expect(isOpen(module, 'forward')).toBe(true);
      (module as unknown as Attention).scale = scale;
      compare(module, 'forward', make, [19 + scale]);
    }
    expect(isOpen(module, 'forward')).toBe(false);
    expect(reasons(module, 'forward')).toEqual(['its guard keeps failing']);
  });

  test('leaves few behind: as many as there are variants otherwise', () => {
    setExecutor({ maxVariants: 2 });
    const module = script(new Rows());
    compare(module, 'perceptron', rows, [9, 10, 11, 17, 18, 19, 25, 26, 27, 33, 34, 35, 9]);
    const open = executorState(module.method('perceptron'), module.object).flatMap(
      ({ openSizes }) => openSizes ?? [],
    );
    expect(open.map(({ bound }) => bound)).toEqual([12, 48]);
  });

  test('keeps to what there is room for', () => {
    const module = script(new Rows());
    compare(module, 'placed', rows, [9, 10, 11]);
    expect(() => noGrad(() => (module as unknown as Rows).placed(randn([13, 6])))).toThrow(/size of tensor/);
  });

  test('is not made where gradients are wanted, nor where it is switched off', () => {
    const module = script(new Rows());
    for (const n of sizes)
      (module as unknown as Rows)
        .perceptron(randn([n, 6]))
        .sum()
        .backward();
    expect(isOpen(module, 'perceptron')).toBe(false);
    setExecutor({ openAfter: Infinity });
    compare(module, 'perceptron', rows, sizes);
    expect(isOpen(module, 'perceptron')).toBe(false);
  });
});

test('bounds are powers of two and what is half-way between', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 1 << 20 }), (size) => {
      const { least, bound } = rangeAround(size);
      expect(least).toBeLessThanOrEqual(size);
      expect(size).toBeLessThanOrEqual(bound);
      expect(rangeAround(least)).toEqual({ least, bound });
      if (least > 2) expect(rangeAround(least - 1).bound).toBe(least - 1);
      expect(bound / least).toBeLessThanOrEqual(2);
    }),
  );
});

describe('what no one graph does', () => {
  test.each<[string, RegExp]>([
    ['loop', /other sizes/],
    ['exact', /aten::eq.*may decide otherwise for other sizes/],
    ['even', /may decide otherwise|other sizes/],
    ['every', /every 2th|follow no line/],
    ['shrinking', /more where a size is less/],
    ['sorted', /core::sort cannot leave dimension 0 of operand 0 open/],
    ['own', /argument of an open size is returned/],
    ['changed', /open size is changed in place/],
    ['noisy', /random numbers/],
    ['told', /other things for other sizes/],
  ])('%s', (method, reason) => {
    manualSeed(1);
    const module = script(new Rows());
    compare(module, method, rows, sizes);
    expect(isOpen(module, method)).toBe(false);
    expect(reasons(module, method)[0]).toMatch(reason);
  });
});
