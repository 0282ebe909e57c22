// Mixed precision against what PyTorch recorded (tools/make-autocast-cases.py): eager, scripted and compiled.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cpuDevice } from '@weft/devices';
import type { DType } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import * as w from '@weft/tensor';
import { F, autocast, fromTypedArray, nn, noGrad, optim, useHostDevice } from '@weft/tensor';
import { executorState, setExecutor } from '../executor/index.ts';
import { lowerModule } from '../lower/index.ts';
import { script } from '../script.ts';
import { trace } from '../frontend/trace/trace.ts';
import { trainStep } from './train-step.ts';

beforeAll(() => useHostDevice(cpuDevice()));

interface Operand {
  readonly sizes: readonly number[];
  readonly data: readonly number[];
  readonly integers: boolean;
}
interface Training {
  readonly state: Readonly<Record<string, readonly number[]>>;
  readonly x: Operand;
  readonly y: Operand;
  readonly losses: readonly number[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}
const recorded = JSON.parse(readFileSync(new URL('autocast.fixture.json', import.meta.url), 'utf8')) as {
  readonly operators: Readonly<Record<string, DType>>;
  readonly trainings: Readonly<Record<'Mlp' | 'Cnn' | 'Transformer', Training>>;
};

class Mlp extends nn.Module {
  a = new nn.Linear(8, 16);
  b = new nn.Linear(16, 5);
  forward(x: Tensor, y: Tensor): Tensor {
    return F.crossEntropy(this.b.forward(F.relu(this.a.forward(x))), y);
  }
}

class Cnn extends nn.Module {
  a = new nn.Conv2d(3, 4, 3);
  n = new nn.BatchNorm2d(4);
  h = new nn.Linear(4, 4);
  forward(x: Tensor, y: Tensor): Tensor {
    const z = F.maxPool2d(F.relu(this.n.forward(this.a.forward(x))), 2);
    return F.crossEntropy(this.h.forward(z.mean([2, 3])), y);
  }
}

class Transformer extends nn.Module {
  e = new nn.Embedding(12, 8);
  q = new nn.Linear(8, 24);
  o = new nn.Linear(8, 8);
  n = new nn.LayerNorm([8]);
  h = new nn.Linear(8, 12);
  forward(x: Tensor, y: Tensor): Tensor {
    let z = this.e.forward(x);
    const parts = this.q.forward(this.n.forward(z)).split(8, -1);
    const q = parts[0].view([3, 6, 2, 4]).transpose(1, 2);
    const k = parts[1].view([3, 6, 2, 4]).transpose(1, 2);
    const v = parts[2].view([3, 6, 2, 4]).transpose(1, 2);
    const weights = q.matmul(k.transpose(-2, -1)).mul(0.5).softmax(-1);
    z = z.add(this.o.forward(weights.matmul(v).transpose(1, 2).reshape([3, 6, 8])));
    z = w.cat([z.narrow(1, 0, 3), F.gelu(z.narrow(1, 3, 3))], 1);
    return F.crossEntropy(this.h.forward(z).view([-1, 12]), y.view([-1]));
  }
}

const classes = { Mlp, Cnn, Transformer };
type Name = keyof typeof classes;

const operand = ({ sizes, data, integers }: Operand): Tensor =>
  integers
    ? fromTypedArray(BigInt64Array.from(data, BigInt), [...sizes])
    : fromTypedArray(Float32Array.from(data), [...sizes]);
const flat = (tensor: Tensor): number[] => tensor.reshape([-1]).tolist() as number[];

function made(name: Name): { module: InstanceType<(typeof classes)[Name]>; x: Tensor; y: Tensor } {
  const { state, x, y } = recorded.trainings[name];
  const module = new classes[name]();
  noGrad(() => {
    for (const [key, own] of module.stateDict())
      if (own.dtype === 'float32') own.detach().copy_(fromTypedArray(Float32Array.from(state[key]), own.sizes)); // prettier-ignore
  });
  return { module, x: operand(x), y: operand(y) };
}

/** Rounded to eight bits, in another order where a device sums otherwise. */
function expectNear(found: readonly number[], wanted: readonly number[], part: number): void {
  expect(found).toHaveLength(wanted.length);
  const most = Math.max(...wanted.map(Math.abs));
  found.forEach((value, index) => expect(Math.abs(value - wanted[index])).toBeLessThan(part * most + 1e-6));
}

describe.each(Object.keys(classes) as Name[])('mixed precision of %s', (name) => {
  const { losses, gradients } = recorded.trainings[name];

  test('eagerly gives the losses and gradients of PyTorch', () => {
    const { module, x, y } = made(name);
    const optimizer = new optim.SGD(module.parameters(), { lr: 0.1 });
    const found = losses.map((_, step) => {
      optimizer.zeroGrad();
      const loss = autocast('cpu', () => module.forward(x, y));
      expect(loss.dtype).toBe('float32');
      loss.backward();
      if (step === 0) {
        for (const [key, { grad }] of module.namedParameters()) {
          expect(grad!.dtype).toBe('float32');
          if (key !== 'a.bias' || name !== 'Cnn') expectNear(flat(grad!), gradients[key], 0.02);
        }
      }
      optimizer.step();
      return loss.item();
    });
    expectNear(found, losses, 2e-3);
  });
  test('compiled into training steps gives the same losses, and not those of float32', () => {
    for (const options of [{ autocast: 'bfloat16' as const }, {}]) {
      const { module, x, y } = made(name);
      const step = trainStep(module, new optim.SGD(module.parameters(), { lr: 0.1 }), options);
      const run = (): Tensor => step(x, y);
      const found = losses.map(() => (options.autocast ? run() : autocast('cpu', run)).item());
      expect(step.state).toBe('compiled');
      expectNear(found, losses, 2e-3);
      expect([...module.parameters()].every(({ dtype }) => dtype === 'float32')).toBe(true);
    }
    const { module, x, y } = made(name);
    const [, second] = [0, 1].map(() =>
      trainStep(module, new optim.SGD(module.parameters(), { lr: 0.1 }))(x, y).item(),
    );
    expect(second).not.toBe(losses[1]);
  });
  test('compiled calls are for autocast as it is', () => {
    const before = setExecutor({ mode: 'compile' });
    const { module, x, y } = made(name);
    module.eval();
    const scripted = script(module);
    const eager = [module.forward(x, y), autocast('cpu', () => module.forward(x, y))].map((each) =>
      each.item(),
    );
    const call = (): number => (scripted.forward(x, y) as Tensor).item();
    const found = [call(), autocast('cpu', call), call(), autocast('cpu', { enabled: false }, call)];
    setExecutor(before);
    expect(eager[0]).not.toBe(eager[1]);
    expectNear([found[1]], [eager[1]], 2e-3);
    for (const index of [0, 2, 3]) expectNear([found[index]], [eager[0]], 1e-6);
    expect(executorState(scripted.method('forward'), scripted.object).map(({ state }) => state)).toEqual(['compiled', 'compiled']); // prettier-ignore
  });
});

const a = fromTypedArray(
  Float32Array.from({ length: 16 }, (_, index) => Math.sin(index)),
  [4, 4],
);
const b = a.to('bfloat16');
const c = a.to('float64');
const image = w.randn([1, 2, 5, 5]);
const operators: Readonly<Record<string, () => Tensor>> = {
  mm: () => a.mm(a),
  'mm of two dtypes': () => a.mm(b),
  'matmul with a vector': () => a.matmul(a.select(0, 0)),
  'matmul of float64': () => c.matmul(c),
  baddbmm: () => a.unsqueeze(0).baddbmm(a.unsqueeze(0), a.unsqueeze(0)),
  einsum: () => w.einsum('ij,jk->ik', [a, a]),
  tensordot: () => w.tensordot(a, a, [1], [0]),
  conv2d: () => F.conv2d(image, w.randn([3, 2, 3, 3])),
  conv_transpose2d: () => F.convTranspose2d(image, w.randn([2, 3, 3, 3])),
  dot: () => a.select(0, 0).dot(a.select(0, 0)),
  'add of two dtypes': () => a.add(b),
  softmax: () => b.softmax(-1),
  sum: () => b.sum(),
  prod: () => b.prod(),
  inverse: () => b.add(w.eye(4).to('bfloat16').mul(4)).inverse(),
  mse_loss: () => F.mseLoss(b, b),
  nll_loss: () => F.nllLoss(b, w.tensor([0, 1, 2, 3])),
  layer_norm: () => F.layerNorm(b, [4]),
  'cat of two dtypes': () => w.cat([a, b]),
  'cat of bfloat16': () => w.cat([b, b]),
  'stack of two dtypes': () => w.stack([b, a]),
};

test.each(Object.keys(recorded.operators))('%s has the dtype of PyTorch', (name) => {
  expect(autocast('cpu', operators[name]).dtype).toBe(recorded.operators[name]);
});

test('traces and whole methods hold the casts', () => {
  const module = new nn.Linear(4, 2);
  const traced = autocast('cpu', () => trace(module, [a]));
  expect((traced.forward(a) as Tensor).dtype).toBe('bfloat16');
  const { graph } = autocast('cpu', () => lowerModule(script(module).object, 'forward', [a.spec]));
  expect([...graph.nodes()].some(({ operator }) => operator === 'convert')).toBe(true);
});

test('what autocast is not there for is refused', () => {
  expect(() => autocast('cuda' as 'cpu', () => 1)).toThrow("autocast on 'cuda': it is there for 'cpu' alone");
  expect(() => autocast('cpu', { dtype: 'float16' }, () => 1)).toThrow(/autocast to float16: on the CPU/);
  const module = new Mlp();
  const optimizer = new optim.SGD(module.parameters(), { lr: 0.1 });
  expect(() => trainStep(module, optimizer, { autocast: 'float16' })).toThrow(/autocast to float16/);
});
