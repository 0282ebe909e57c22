// Programs that are read as text: eager ones, which run, and functions, which compile or are refused.
import { describe, expect, test } from '@jest/globals';
import type { Tensor } from '@weft/tensor';
import { manualSeed, nn, rand } from '@weft/tensor';
import { NotRun, runProgram } from './eager-program.ts';
import { SourceProgram } from './source-program.ts';

describe('an eager program', () => {
  test("makes tensors with Python's arguments", () => {
    manualSeed(3);
    const text =
      'a, b = torch.rand(2, dtype=torch.float64), torch.rand(4, 4)\nresult = [a, b[1:, ::2].t()]\n';
    const [a, b] = runProgram(text) as unknown as Tensor[];
    manualSeed(3);
    expect(a.tolist()).toEqual(rand(2, { dtype: 'float64' }).tolist());
    const whole = rand(4, 4);
    expect(b.tolist()).toEqual(whole.slice(0, 1).slice(1, null, null, 2).t().tolist());
  });
  test('tells ints from floats', () => {
    const text =
      'result = [torch.tensor([1.0, 2.0]), torch.tensor([1, 2 ** 3]), torch.tensor(torch.ones(3).numel())]';
    const results = runProgram(text) as unknown as Tensor[];
    expect(results.map(({ dtype }) => dtype)).toEqual(['float32', 'int64', 'int64']);
  });
  test('makes modules', () => {
    manualSeed(5);
    const text =
      'm = nn.ModuleDict({"a": nn.Conv1d(2, 4, 3, bias=False)})\nresult = dict(m.named_parameters())';
    const [[name, weight]] = [...(runProgram(text) as unknown as Map<string, Tensor>)];
    manualSeed(5);
    expect(name).toBe('a.weight');
    expect(weight.tolist()).toEqual(new nn.Conv1d(2, 4, 3, { bias: false }).weight.tolist());
  });
  test.each(['for i in range(3):\n  x = i\n', 'result = torch.distributions', 'result = open("file")'])(
    '%j is not run',
    (text) => expect(() => runProgram(text)).toThrow(NotRun),
  );
});

describe('functions of a text', () => {
  const helper = 'def double(x: int) -> int:\n    return x * 2\n\n';
  test.each([
    `${helper}def forward(x: int) -> int:\n    y = double(x)\n    return y if y > 2 else 0\n`,
    'def forward(xs: List[int]):\n    return [x + 1 for x in xs]\n',
    'def forward(x: Tensor, y: Optional[Tensor] = None):\n    return torch.relu(x) if y is None else x + y\n',
  ])('%j compile', (text) => {
    expect(new SourceProgram(text, 'test.py').function('forward').graph.outputs).toHaveLength(1);
  });
  test.each([
    ['def forward(n: int) -> int:\n    return forward(n)\n', "'forward' is called recursively"],
    ['LIMIT = 3\ndef forward(n: int) -> int:\n    return n + LIMIT\n', "'LIMIT' is a global variable"],
    ['def forward(n: int) -> int:\n    return n + other\n', 'other'],
  ])('%j is refused', (text, message) => {
    expect(() => new SourceProgram(text, 'test.py').function('forward')).toThrow(message);
  });
});
