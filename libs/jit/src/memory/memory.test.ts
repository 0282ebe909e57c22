// Memory limits: what is computed again gives the same bits, takes less memory, and a limit that cannot be kept is an error.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cpuDevice, executeOnHost, referenceDevice } from '@weft/devices';
import {
  CoreBuilder,
  Graph,
  literalOf,
  parseGraph,
  printGraph,
  tensorSpec,
  verifyGraph,
  vjpOfGraph,
} from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { F, manualSeed, nn, optim, randint, randn, useHostDevice } from '@weft/tensor';
import { executorState, setExecutor } from '../executor/index.ts';
import { script } from '../script.ts';
import { trainStep } from '../training/train-step.ts';
import type { TrainStepOptions } from '../training/train-step.ts';
import { MemoryLimitError, limitInBytes } from './bytes.ts';
import { differentiateWithin } from './limit.ts';
import { recompute } from './recompute.ts';
import { memorySpans } from './spans.ts';

beforeAll(() => useHostDevice(cpuDevice()));

class Block extends nn.Module {
  readonly norm: nn.LayerNorm;
  readonly expand: nn.Linear;
  readonly contract: nn.Linear;
  readonly dropout = new nn.Dropout(0.1);
  constructor(width: number) {
    super();
    this.norm = new nn.LayerNorm([width]);
    this.expand = new nn.Linear(width, 4 * width);
    this.contract = new nn.Linear(4 * width, width);
  }
  forward(x: Tensor): Tensor {
    return x.add(
      this.dropout.forward(this.contract.forward(F.gelu(this.expand.forward(this.norm.forward(x))))),
    );
  }
}

class Deep extends nn.Module {
  readonly blocks: nn.ModuleList<Block>;
  constructor(depth: number, width: number) {
    super();
    this.blocks = new nn.ModuleList(Array.from({ length: depth }, () => new Block(width)));
  }
  forward(x: Tensor): Tensor {
    let y = x;
    for (const block of this.blocks) y = block.forward(y);
    return y.square().mean();
  }
}

class Convolutions extends nn.Module {
  first = new nn.Conv2d(3, 8, 3);
  norm = new nn.BatchNorm2d(8);
  second = new nn.Conv2d(8, 8, 3);
  norm2 = new nn.BatchNorm2d(8);
  third = new nn.Conv2d(8, 8, 3);
  head = new nn.Linear(8, 4);
  forward(x: Tensor, y: Tensor): Tensor {
    const a = F.relu(this.norm.forward(this.first.forward(x)));
    const b = F.relu(this.norm2.forward(this.second.forward(a)));
    const c = F.relu(this.third.forward(b));
    return F.crossEntropy(this.head.forward(c.mean([2, 3])), y);
  }
}

interface Trained {
  readonly losses: number[];
  readonly after: number[];
  readonly memory: number;
}

function trained(make: () => { module: nn.Module; inputs: Tensor[] }, options: TrainStepOptions): Trained {
  manualSeed(3);
  const { module, inputs } = make();
  const step = trainStep(module, new optim.AdamW(module.parameters(), { lr: 0.01 }), options);
  const losses = [1, 2, 3].map(() => step(...inputs).item());
  expect(step.state).toBe('compiled');
  const tensors = [...module.parameters(), ...module.buffers()];
  return {
    losses,
    after: tensors.flatMap((each) => [each.tolist()].flat(4) as number[]),
    memory: step.memory,
  };
}

const workloads = {
  'blocks with dropout': () => ({ module: new Deep(6, 32), inputs: [randn([64, 32])] }),
  'convolutions with batch norm': () => ({
    module: new Convolutions(),
    inputs: [randn([4, 3, 20, 20]), randint(0, 4, [4])],
  }),
};

const cases = [
  ['blocks with dropout', workloads['blocks with dropout'], [0.8, 0.6]],
  ['convolutions with batch norm', workloads['convolutions with batch norm'], [0.95, 0.9]],
] as const;

describe.each(cases)('a memory limit for %s', (_, make, parts) => {
  test('gives the same losses, parameters and buffers in less memory', () => {
    const free = trained(make, {});
    for (const part of parts) {
      const memoryLimit = Math.floor(part * free.memory);
      const limited = trained(make, { memoryLimit });
      expect(limited.memory).toBeLessThanOrEqual(memoryLimit);
      limited.losses.forEach((loss, step) => expect(loss).toBeCloseTo(free.losses[step], 5));
      limited.after.forEach((value, index) => expect(value).toBeCloseTo(free.after[index], 4));
    }
  });
  test('that is too low is an error with what could be reached', () => {
    const free = trained(make, {}).memory;
    const few = (): unknown => trained(make, { memoryLimit: '2kB' });
    expect(few).toThrow(MemoryLimitError);
    expect(few).toThrow(
      /the step needs [\d.]+ .?B of memory .* it gets down to [\d.]+ .?B, and memoryLimit is 2000 bytes: raise it/,
    );
    expect(trained(make, { memoryLimit: 2 * free }).memory).toBe(free);
  });
});

test('a limit with accumulation holds for every call', () => {
  const make = workloads['blocks with dropout'];
  const memoryLimit = Math.floor(0.7 * trained(make, { accumulate: 3 }).memory);
  expect(trained(make, { accumulate: 3, memoryLimit }).memory).toBeLessThanOrEqual(memoryLimit);
});

test('a step that is no graph keeps no limit, and says so', () => {
  const module = new Deep(1, 4);
  const step = trainStep(module, new optim.SGD(module.parameters(), { lr: 0.1 }), { memoryLimit: '1MB' });
  expect(() => step(randn([2, 4]).requiresGrad_())).toThrow(
    'memoryLimit cannot be kept, since the step is not one graph: an argument requires a gradient',
  );
});

describe('a memory limit for compiled calls', () => {
  const gradients = (memoryLimit?: number | string): { loss: number; after: number[] } => {
    const before = setExecutor({ mode: 'compile', memoryLimit });
    try {
      manualSeed(3);
      const module = new Deep(6, 32);
      const scripted = script(module);
      const loss = scripted.forward(randn([64, 32])) as Tensor;
      loss.backward();
      const [{ state }] = executorState(scripted.method('forward'), scripted.object);
      expect(state).toBe('compiled');
      const after = [...module.parameters()].flatMap(({ grad }) => [grad!.tolist()].flat(2) as number[]);
      return { loss: loss.item(), after };
    } finally {
      setExecutor(before);
    }
  };
  test('gives the same loss and gradients', () => {
    const free = gradients();
    for (const limit of ['700kB', '450kB']) {
      const { loss, after } = gradients(limit);
      expect(loss).toBe(free.loss);
      after.forEach((value, index) => expect(value).toBeCloseTo(free.after[index], 6));
    }
  });
  test('that is too low is an error, and a wrong one too', () => {
    expect(() => gradients('10kB')).toThrow(/the call needs [\d.]+ kB of memory .* gets down to [\d.]+ kB/);
    expect(() => setExecutor({ memoryLimit: 'little' })).toThrow(/memoryLimit is 'little'/);
  });
  test('lets less be saved', () => {
    const b = new CoreBuilder(new Graph());
    const spec = tensorSpec('float32', [16, 16]);
    let y = b.input(spec);
    for (let layer = 0; layer < 8; layer++)
      y = b.tanh(b.dotGeneral(y, b.input(spec), { lhsContracting: [1], rhsContracting: [0] }));
    b.graph.addOutput(b.reduceSum(y, [0, 1]));
    const savedBy = (limit: number): number =>
      differentiateWithin(limit, b.graph, { wrt: [0, 1, 2] }, cpuDevice()).forward.outputs.length - 1;
    expect(savedBy(9 * 1024)).toBeLessThan(savedBy(Infinity));
  });
});

test('limits are bytes, or text with a unit', () => {
  expect(limitInBytes(1000)).toBe(1000);
  expect(limitInBytes('512MB')).toBe(512e6);
  expect(limitInBytes(' 1.5 GiB ')).toBe(1.5 * 2 ** 30);
  expect(limitInBytes('64 kb')).toBe(64e3);
  for (const wrong of ['much', '12', '-3MB', 0, -1, NaN]) {
    expect(() => limitInBytes(wrong)).toThrow(/memoryLimit is .*; it is a number of bytes, or text such as/);
  }
});

/** A chain of products, each with a weight of its own, and pointwise operators, with its derivative. */
function chain(depth: number, width: number): Graph {
  const spec = tensorSpec('float32', [width, width]);
  const forward = new CoreBuilder(new Graph());
  let y = forward.input(spec);
  for (let layer = 0; layer < depth; layer++) {
    const x = layer % 2 === 0 ? y : forward.sine(y);
    y = forward.tanh(
      forward.dotGeneral(x, forward.input(spec), { lhsContracting: [1], rhsContracting: [0] }),
    );
  }
  forward.graph.addOutput(forward.reduceSum(y, [0, 1]));
  const b = new CoreBuilder(new Graph());
  const inputs = forward.graph.inputs.map(() => b.input(spec));
  const { outputs, cotangents } = vjpOfGraph(b, forward.graph, inputs, [b.full(1, 'float32', [])]);
  [...outputs, ...cotangents].forEach((value) => b.graph.addOutput(value!));
  return b.graph;
}

describe('computing again', () => {
  test('gives the same bits whatever the target, and memory falls with it', () => {
    const graph = chain(12, 8);
    const values = graph.inputs.map((_, each) =>
      literalOf(
        'float32',
        [8, 8],
        Array.from({ length: 64 }, (__, index) => Math.sin(index + each) / 4),
      ),
    );
    const wanted = executeOnHost(graph, values, referenceDevice());
    const before = memorySpans(graph).peak.bytes;
    let last = before;
    for (const part of [0.9, 0.7, 0.5, 0.3, 0]) {
      const copy = parseGraph(printGraph(graph));
      const { bytes } = recompute(copy, part * before);
      verifyGraph(copy);
      expect(bytes).toBe(memorySpans(copy).peak.bytes);
      expect(bytes).toBeLessThanOrEqual(last);
      last = bytes;
      expect(executeOnHost(copy, values, referenceDevice())).toEqual(wanted);
    }
    expect(last).toBeLessThan(0.5 * before);
  });
});
