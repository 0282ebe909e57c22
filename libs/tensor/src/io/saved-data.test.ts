// What PyTorch's torch.save wrote (tools/make-saved-data-fixtures.py), what is saved here, and files that are refused.
import { afterAll, describe, expect, test } from '@jest/globals';
import { Complex, DeviceValue } from '@weft/ir';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SavedValue, Tensor } from '../index.ts';
import {
  ArchiveError,
  F,
  OrderedDict,
  Parameter,
  arange,
  load,
  nn,
  optim,
  save,
  saveToBytes,
  tensor,
} from '../index.ts';

interface Trained {
  readonly file: string;
  readonly x: number[][];
  readonly after: Readonly<Record<string, unknown>>;
}
const fixture = JSON.parse(readFileSync(join(__dirname, 'saved-data.fixture.json'), 'utf8')) as {
  readonly values: string;
  readonly bigEndian: string;
  readonly trained: Readonly<Record<'adam' | 'sgd', Trained>>;
  readonly scheduled: Readonly<Record<string, { readonly file: string; readonly rates: readonly number[] }>>;
  readonly refused: Readonly<Record<string, string>>;
};
const loaded = (text: string): SavedValue => load(Buffer.from(text, 'base64'));
const folder = mkdtempSync(join(tmpdir(), 'weft-saved-'));
afterAll(() => rmSync(folder, { recursive: true }));

class Net extends nn.Module {
  norm = new nn.BatchNorm1d(3);
  first = new nn.Linear(3, 4);
  last = new nn.Linear(4, 1);
  forward(x: Tensor): Tensor {
    return this.last.forward(F.tanh(this.first.forward(this.norm.forward(x))));
  }
}

function checkValues(values: Map<string, SavedValue>): void {
  const of = (name: string): Tensor => values.get(name) as Tensor;
  for (const [dtype, value] of values.get('dtypes') as Map<string, Tensor>) {
    expect([value.dtype, value.tolist()]).toEqual([
      dtype,
      dtype === 'bool' ? [false, true, true] : [0, 1, 3],
    ]);
  }
  for (const name of ['complex64', 'complex128']) {
    expect([of(name).dtype, of(name).tolist()]).toEqual([name, [new Complex(1, 2), new Complex(4, -3)]]);
  }
  const base = of('base');
  expect([of('transposed').sizes, of('transposed').strides]).toEqual([
    [4, 3],
    [1, 4],
  ]);
  expect([of('part').tolist(), of('part').offset, of('part').strides]).toEqual([[5, 7], 5, [2]]);
  expect([of('expanded').tolist(), of('expanded').strides]).toEqual([
    [
      [2, 2],
      [2, 2],
    ],
    [0, 0],
  ]);
  for (const name of ['transposed', 'part', 'expanded']) expect(of(name).storage).toBe(base.storage);
  expect([of('empty').sizes, of('scalar').item()]).toEqual([[0, 3], 7.5]);
  expect(of('parameter')).toBeInstanceOf(Parameter);
  expect(of('frozen')).toBeInstanceOf(Parameter);
  expect([of('parameter'), of('frozen'), of('leaf')].map((each) => each.requiresGrad)).toEqual([
    true,
    false,
    true,
  ]);
  expect(of('leaf')).not.toBeInstanceOf(Parameter);
  expect(values.get('ordered')).toBeInstanceOf(OrderedDict);
  expect([...(values.get('ordered') as Map<string, number>)]).toEqual([
    ['b', 1],
    ['a', 2],
  ]);
  expect(values.get('numbers')).toEqual([0, -1, 2 ** 40, 2n ** 60n, -(2n ** 63n), 0.5, 1e300, true, null]);
  const texts = values.get('texts') as unknown[];
  expect(texts).toEqual(['', 'größe', ['a', ['b'], []]]);
  expect([Object.isFrozen(texts), Object.isFrozen(texts[2])]).toEqual([false, true]);
  const keys = [1, '1', 2.5, null];
  expect([...(values.get('keys') as Map<SavedValue, SavedValue>).keys()]).toEqual(keys);
  expect(values.get('bytes')).toEqual(new Uint8Array([0, 255]));
  expect(values.get('complex')).toEqual(new Complex(1, -2));
  expect([values.get('size'), values.get('dtype')]).toEqual([[2, 3], 'bfloat16']);
  expect(values.get('device')).toEqual(new DeviceValue('cuda', 1));
  const recursive = values.get('recursive') as SavedValue[];
  expect(recursive[1]).toBe(recursive);
}

test('values of every kind that PyTorch saved', () => {
  checkValues(loaded(fixture.values) as Map<string, SavedValue>);
});

test('the same values, saved again', () => {
  const path = join(folder, 'values.pt');
  save(loaded(fixture.values), path);
  checkValues(load(path, { checkTensors: true }) as Map<string, SavedValue>);
});

test('a file of a big-endian machine', () => {
  const values = loaded(fixture.bigEndian) as Map<string, Tensor>;
  expect([...values.values()].map((value) => value.tolist())).toEqual([
    [1.5, -2],
    [1, 258],
    [new Complex(1, 2)],
  ]);
});

describe.each(['adam', 'sgd'] as const)('a checkpoint of PyTorch, %s', (kind) => {
  const { file, x, after } = fixture.trained[kind];
  const make = (net: Net): optim.Optimizer =>
    kind === 'adam'
      ? new optim.Adam(net.parameters(), { lr: 1 })
      : new optim.SGD(net.parameters(), { lr: 1 });

  test.each(['as it is', 'saved again', 'saved from the objects'])('training goes on as there: %s', (way) => {
    const restored = (checkpoint: Map<string, SavedValue>): [Net, optim.Optimizer] => {
      const net = new Net();
      const optimizer = make(net);
      net.loadStateDict(checkpoint.get('model') as Map<string, Tensor>);
      optimizer.loadStateDict(checkpoint.get('optimizer') as Map<string, SavedValue>);
      return [net, optimizer];
    };
    let checkpoint = loaded(file) as Map<string, SavedValue>;
    expect([checkpoint.get('epoch'), checkpoint.get('loss')]).toEqual([2, 0.25]);
    if (way === 'saved again') checkpoint = load(saveToBytes(checkpoint)) as Map<string, SavedValue>;
    if (way === 'saved from the objects') {
      const [net, optimizer] = restored(checkpoint);
      const bytes = saveToBytes({ model: net.stateDict(), optimizer: optimizer.stateDict() });
      checkpoint = load(bytes) as Map<string, SavedValue>;
    }
    const [net, optimizer] = restored(checkpoint);
    optimizer.zeroGrad();
    net.forward(tensor(x)).pow(2).sum().backward();
    optimizer.step();
    for (const [name, value] of net.stateDict()) {
      const expected = tensor(after[name] as number[]);
      expect([name, value.sub(expected).abs().max().item() < 1e-5]).toEqual([name, true]);
    }
  });
});

test('the versions of modules in a state dict stay', () => {
  const { model } = Object.fromEntries(loaded(fixture.trained.sgd.file) as Map<string, SavedValue>);
  for (const state of [model, load(saveToBytes(model))]) {
    const { metadata } = state as OrderedDict;
    expect((metadata as Map<string, SavedValue>).get('norm')).toEqual(new Map([['version', 2]]));
  }
});

test('plain objects are dicts, with integers where keys look like them', () => {
  const value = load(saveToBytes({ state: { 0: { step: 1 }, '01': 2 }, list: [-0, 1, Infinity] }));
  expect(value).toEqual(
    new Map<string, SavedValue>([
      [
        'state',
        new Map<SavedValue, SavedValue>([
          [0, new Map([['step', 1]])],
          ['01', 2],
        ]),
      ],
      ['list', [-0, 1, Infinity]],
    ]),
  );
});

describe('what is refused', () => {
  test.each([
    ['legacy', 'load it with PyTorch and torch.save it again'],
    [
      'module',
      "'torch.nn.modules.linear.Linear', which may not be loaded: only data is read; save the state_dict()",
    ],
    ['function', "'torch.nn.functional.relu', which may not be loaded"],
    ['set', "'__builtin__.set', which may not be loaded"],
    ['sparse', 'sparse tensors cannot be read'],
    ['quantized', 'quantized tensors cannot be read'],
    ['storage', 'a storage stands where a value is expected'],
    ['script', 'it is a TorchScript archive: load it with jit.load'],
  ])('reading: %s', (name, message) => {
    expect(() => loaded(fixture.refused[name])).toThrow(message);
  });

  test('a file cut short, and none', () => {
    const bytes = Buffer.from(fixture.values, 'base64');
    const path = join(folder, 'short.pt');
    writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
    expect(() => load(path)).toThrow(ArchiveError);
    expect(() => load(join(folder, 'none.pt'))).toThrow('there is no such file');
  });

  const shared = arange(4);
  test.each<[string, unknown, string]>([
    [
      'a module',
      { net: new nn.Linear(1, 1) },
      'the value["net"] cannot be saved: it is an object of class Linear; save its stateDict()',
    ],
    ['a function', [() => 1], 'the value[0] cannot be saved: it is function'],
    ['undefined', { a: undefined }, 'the value["a"] cannot be saved: it is undefined'],
    ['a large integer', 2n ** 64n, 'has more than 64 bits'],
    ['a dtype of later versions', tensor([1], { dtype: 'uint16' }), 'archives have no tensors of uint16'],
    ['a key that is an object', new Map([[new Map(), 1]]), 'a key of the value cannot be saved'],
    ['memory of two types', [shared, shared.view('int32')], 'clone() it'],
  ])('writing: %s', (_, value, message) => {
    expect(() => saveToBytes(value)).toThrow(message);
  });

  test('a folder that is not there', () => {
    expect(() => save({}, join(folder, 'none', 'x.pt'))).toThrow('cannot be written (ENOENT)');
  });

  test("a file that is no optimizer's", () => {
    const optimizer = new optim.SGD([new Parameter(tensor([1.5]))], { lr: 1 });
    expect(() => optimizer.loadStateDict(new Map([['state', 1]]))).toThrow("no optimizer's state dict");
  });
});

const schedules: Readonly<
  Record<string, (optimizer: optim.SGD) => optim.LRScheduler | optim.ReduceLROnPlateau>
> = {
  StepLR: (o) => new optim.StepLR(o, 1, 1),
  MultiStepLR: (o) => new optim.MultiStepLR(o, [1], 1),
  CosineAnnealingLR: (o) => new optim.CosineAnnealingLR(o, 1),
  SequentialLR: (o) =>
    new optim.SequentialLR(o, [new optim.ConstantLR(o, 1, 1), new optim.ExponentialLR(o, 1)], [1]),
  ChainedScheduler: (o) =>
    new optim.ChainedScheduler([new optim.ConstantLR(o, 1, 1), new optim.ExponentialLR(o, 1)]),
  ReduceLROnPlateau: (o) => new optim.ReduceLROnPlateau(o, { patience: 7, factor: 0.9 }),
};
test.each(Object.keys(fixture.scheduled))("%s goes on from PyTorch's file", (name) => {
  const { file, rates } = fixture.scheduled[name];
  const state = loaded(file) as Map<string, Map<unknown, unknown>>;
  const optimizer = new optim.SGD([new Parameter(tensor([1], { dtype: 'float32' }))], { lr: 0.3 });
  const schedule = schedules[name](optimizer);
  optimizer.loadStateDict(state.get('optimizer')!);
  schedule.loadStateDict(state.get('schedule')!);
  const found = rates.map(() => {
    if (schedule instanceof optim.ReduceLROnPlateau) schedule.step(1);
    else schedule.step();
    return optimizer.paramGroups[0].lr;
  });
  found.forEach((rate, index) => expect(rate).toBeCloseTo(rates[index], 12));
});
