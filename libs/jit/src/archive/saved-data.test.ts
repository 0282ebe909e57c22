// What save writes, asked of PyTorch where it is installed.
import { afterAll, expect, test } from '@jest/globals';
import type { Tensor } from '@weft/tensor';
import { Parameter, arange, nn, optim, save, tensor } from '@weft/tensor';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askPyTorch, hasPyTorch } from './ask-pytorch.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-saved-'));
afterAll(() => rmSync(folder, { recursive: true }));

const testWithPyTorch = hasPyTorch() ? test : test.skip;

testWithPyTorch("PyTorch's module and optimizer take on a checkpoint, and train on as here", () => {
  const path = join(folder, 'checkpoint.pt');
  const net = new nn.Sequential(new nn.BatchNorm1d(3), new nn.Linear(3, 4), new nn.Linear(4, 1));
  const optimizer = new optim.Adam(net.parameters(), { lr: 0.1 });
  const step = (): void => {
    optimizer.zeroGrad();
    (net.forward(arange(15).reshape([5, 3]).sin()) as Tensor).pow(2).sum().backward();
    optimizer.step();
  };
  step();
  save({ model: net.stateDict(), optimizer: optimizer.stateDict(), epoch: 1 }, path);
  step();
  const after = askPyTorch(
    `
from torch import nn
saved = torch.load(args[0])
net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.Linear(4, 1))
net.load_state_dict(saved["model"])
optimizer = torch.optim.Adam(net.parameters())
optimizer.load_state_dict(saved["optimizer"])
net(torch.arange(15).reshape(5, 3).sin()).pow(2).sum().backward()
optimizer.step()
print(json.dumps({name: value.tolist() for name, value in net.state_dict().items()}))`,
    path,
  ) as Record<string, number[]>;
  for (const [name, value] of net.stateDict()) {
    expect([name, value.sub(tensor(after[name])).abs().max().item() < 1e-5]).toEqual([name, true]);
  }
});

testWithPyTorch('PyTorch reads every dtype, strides, sharing and plain values', () => {
  const path = join(folder, 'values.pt');
  const base = arange(6, { dtype: 'float32' });
  const dtypes = ['bool', 'uint8', 'int8', 'int16', 'int32', 'int64', 'float16', 'bfloat16'] as const;
  const wide = ['float32', 'float64', 'complex64', 'complex128'] as const;
  save(
    {
      tensors: [...dtypes, ...wide].map((dtype) => tensor([0, 1], { dtype })),
      shared: [base, base.reshape([2, 3]).t(), base.narrow(0, 4, 2)],
      empty: tensor([]),
      parameter: new Parameter(tensor([1.5])),
      plain: [null, true, -1, 2n ** 62n, 0.5, 'größe', Object.freeze([1, new Uint8Array([255])])],
    },
    path,
  );
  expect(
    askPyTorch(
      `
saved = torch.load(args[0])
base, turned, part = saved["shared"]
base[5] = 9
print(json.dumps([
    [[str(each.dtype), each.abs().tolist() if each.is_complex() else each.tolist()] for each in saved["tensors"]],
    [turned.tolist(), turned.stride(), part.tolist(), part.storage_offset()],
    saved["empty"].tolist(),
    [type(saved["parameter"]).__name__, saved["parameter"].requires_grad],
    repr(saved["plain"]),
]))`,
      path,
    ),
  ).toEqual([
    [...dtypes, ...wide].map((dtype) => [`torch.${dtype}`, dtype === 'bool' ? [false, true] : [0, 1]]),
    [
      [
        [0, 3],
        [1, 4],
        [2, 9],
      ],
      [1, 3],
      [4, 9],
      4,
    ],
    [],
    ['Parameter', true],
    "[None, True, -1, 4611686018427387904, 0.5, 'größe', (1, b'\\xff')]",
  ]);
});
