// Modules scripted and traced from TypeScript: saved, loaded again, they give the same results; and PyTorch loads them where
// it is installed.
import { afterAll, describe, expect, test } from '@jest/globals';
import type { int, Tensor } from '@weft/tensor';
import { F, manualSeed, nn, randn, tensor, zeros } from '@weft/tensor';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScriptModule } from '../script-module.ts';
import { script } from '../script.ts';
import { trace } from '../frontend/trace/trace.ts';
import { askPyTorch, hasPyTorch } from './ask-pytorch.ts';
import { load, save, saveToBytes } from './index.ts';
import type { Differences } from './pytorch-checks.ts';
import { compareInPyTorch, savedAgain, savedModules } from './pytorch-checks.ts';

class Gate extends nn.Module {
  forward(x: Tensor): Tensor {
    if (x.sum().item() > 0) return x;
    return x.neg();
  }
}
class Cell extends nn.Module {
  linear = new nn.Linear(4, 4);
  gate = new Gate();
  readonly scale: number = 0.5;
  forward(x: Tensor, h: Tensor): [Tensor, Tensor] {
    const next = this.gate.forward(this.linear.forward(x)).add(h).mul(this.scale).tanh();
    return [next, next.exp()];
  }
}
enum Mode {
  Plain,
  Doubled,
}
class Everything extends nn.Module {
  layers = new nn.ModuleList([new nn.Linear(4, 4), new nn.LayerNorm(4)]);
  weight = new nn.Parameter(randn([2, 4]));
  running: Tensor;
  count: int = 3;
  names: string[] = ['a', 'b'];
  table = new Map<string, int>([['x', 1]]);
  note: string | null = null;
  constructor() {
    super();
    this.running = zeros([4]);
    this.registerBuffer('running', this.running);
  }
  describe(n: int, mode: Mode): string {
    let text = '';
    for (const name of this.names) text += name + n;
    return mode === Mode.Doubled ? text + text : text;
  }
  forward(x: Tensor, n: int): Tensor {
    let total = x.matmul(this.weight.t());
    for (let i = 0; i < n; i++) {
      if (i === 2) continue;
      total = total.add(i);
    }
    for (const layer of this.layers) x = layer.forward(x);
    return total.sum().add(x).add(this.running).add(this.count);
  }
}
class Net extends nn.Module {
  embedding = new nn.Embedding(11, 8);
  net = new nn.Sequential(new nn.Linear(8, 16), new nn.GELU(), new nn.Linear(16, 5));
  forward(ids: Tensor): Tensor {
    return F.softmax(this.net.forward(this.embedding.forward(ids)), -1);
  }
}

const checker = join(__dirname, '../../../../tools/check-round-trip.py');
const folder = mkdtempSync(join(tmpdir(), 'weft-archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What PyTorch answers, flattened. */
const askTorch = (path: string, call: string): number[] =>
  askPyTorch(
    `
m = torch.jit.load(args[0])
r = eval(args[1])
r = list(r) if isinstance(r, (list, tuple)) else [r]
print(json.dumps([x for t in r for x in t.detach().flatten().tolist()]))`,
    path,
    call,
  ) as number[];
const flat = (result: unknown): number[] =>
  (Array.isArray(result) ? result : [result]).flatMap((item) => [...((item as Tensor).data as Float32Array)]);
const close = (actual: number[], expected: number[]): void => {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, index) => expect(value).toBeCloseTo(expected[index], 5));
};

describe('a saved module', () => {
  manualSeed(1);
  const x = tensor([
    [0.1, -0.2, 0.3, 0.4],
    [1, 2, -3, 0.5],
  ]);
  const cases: [string, ScriptModule, unknown[], string][] = [
    ['scripted cell', script(new Cell()), [x, x], 'm(*[torch.tensor([[0.1,-0.2,0.3,0.4],[1,2,-3,0.5]])]*2)'],
    [
      'traced cell with a scripted gate',
      trace(
        (() => {
          const cell = new Cell();
          cell.gate = script(new Gate());
          return cell;
        })(),
        [x, x],
      ),
      [x, x],
      'm(*[torch.tensor([[0.1,-0.2,0.3,0.4],[1,2,-3,0.5]])]*2)',
    ],
    [
      'attributes of many types',
      script(new Everything()),
      [x, 4],
      'm(torch.tensor([[0.1,-0.2,0.3,0.4],[1,2,-3,0.5]]), 4)',
    ],
    ['embedding and layers', script(new Net()), [tensor([1, 2, 10])], 'm(torch.tensor([1,2,10]))'],
  ];
  test.each(cases)('%s', (name, module, inputs, call) => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.pt`);
    const expected = flat(module.forward(...inputs));
    save(module, path);
    const loaded = load(path);
    expect(flat(loaded.forward(...inputs))).toEqual(expected);
    expect(loaded.code).toBe(module.code);
    const parametersOf = (m: ScriptModule) =>
      [...m.namedParameters()].map(([key, value]) => [key, value.requiresGrad, [...value.data]]);
    expect(parametersOf(loaded)).toEqual(parametersOf(module));
    expect([...loaded.namedBuffers()].map(([key]) => key)).toEqual(
      [...module.namedBuffers()].map(([key]) => key),
    );
    // Saving what was loaded gives the same archive.
    const again = load(saveToBytes(loaded));
    expect(flat(again.forward(...inputs))).toEqual(expected);
    if (hasPyTorch()) close(askTorch(path, call), expected);
  });

  test('keeps methods, extra files and training', () => {
    const path = join(folder, 'extra.pt');
    const module = script(new Everything());
    save(module, path, { extraFiles: { 'labels.txt': 'cat\nDörte' } });
    expect(existsSync(`${path}.${process.pid}.part`)).toBe(false);
    const extraFiles = { 'labels.txt': '', other: 'kept' };
    const loaded = load(path, { extraFiles }) as ScriptModule & Everything;
    expect(extraFiles).toEqual({ 'labels.txt': 'cat\nDörte', other: 'kept' });
    expect(loaded.describe(2, Mode.Doubled)).toBe('a2b2a2b2');
    (loaded.forward(x, 1) as Tensor).sum().backward();
    expect(loaded.weight.grad?.shape).toEqual([2, 4]);
  });

  test('a function', () => {
    function scaled(a: Tensor, by: number): Tensor {
      return a.mul(by);
    }
    const path = join(folder, 'function.pt');
    save(script(scaled), path);
    expect(flat(load(path).forward(tensor([1, 2]), 3))).toEqual([3, 6]);
    if (hasPyTorch()) close(askTorch(path, 'm(torch.tensor([1.,2.]), 3.)'), [3, 6]);
  });
});

// tools/check-round-trip.ts does this for every recorded case.
const recorded = join(__dirname, '../../../../../shared/torchscript/cases');
const sample = `
aliasing/views_share_memory classes/linked_list_by_index collections/tolist_wrong_type control/with_no_grad errors/raise_user_exception
models/unet_scripted modules/attributes_of_every_type modules/freeze modules/hooks modules/module_dict modules/shared_parameter
modules/state_across_calls modules/state_dict_hooks_get_set_state modules/traced_with_several_methods norm/batch_norm1d_eval
training/mlp_traced_adam types/enum_attribute types/named_tuple_list_and_dict types/union_local
`
  .trim()
  .split(/\s+/);
const modules = ['Conv2d', 'BatchNorm2d', 'GRU', 'MultiheadAttention', 'CrossEntropyLoss', 'Sequential'];

(hasPyTorch() ? describe : describe.skip)('in PyTorch', () => {
  test('modules of the library and recorded archives are what they were', () => {
    const failed: Differences = new Map();
    const again = existsSync(recorded) ? savedAgain(recorded, sample, folder, failed) : [];
    const checks = [...again, ...savedModules(folder, failed, modules)];
    expect(failed).toEqual(new Map());
    expect(compareInPyTorch(checker, checks, folder)).toEqual(new Map());
  });

  test('what differs is named', () => {
    const [check] = savedModules(folder, new Map(), ['Linear']);
    const other = join(folder, 'other.pt');
    save(script(new nn.Linear(2, 2)), other);
    const found = compareInPyTorch(checker, [{ ...check, saved: other }], folder);
    expect(found.get(check.name)?.join()).toMatch(/call 0: .* instead of/s);
  });
});
