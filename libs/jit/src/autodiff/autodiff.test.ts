// Derivatives of torch graphs against the eager tape on the same program, and against PyTorch's recorded gradients.
import { describe, expect, it } from '@jest/globals';
import type { IValue } from '@weft/ir';
import { UnsupportedError, parseGraph, printGraph, verifyGraph } from '@weft/ir';
import { Tensor, backward, tensor } from '@weft/tensor';
import { executeOnHost } from '@weft/devices';
import { numbersOf } from '@weft/ops';
import { lowerGraph } from '../lower/index.ts';
import { Code, Frame } from '../runtime/index.ts';
import { differentiateTorchGraph } from './index.ts';

const run = (graph: ReturnType<typeof parseGraph>, inputs: readonly IValue[]): IValue[] =>
  new Frame(Code.compile(graph)).run(inputs);

const asTensor = (value: IValue): Tensor => value as unknown as Tensor;

/** Runs the program on the tape and as forward and backward graphs, and compares results and gradients. */
function expectGradients(text: string, inputs: readonly (number[] | number[][] | bigint | boolean)[]): void {
  const given = (): IValue[] =>
    inputs.map((input) =>
      Array.isArray(input) ? (tensor(input, { dtype: 'float64' }) as unknown as IValue) : input,
    );
  const eager = given();
  const leaves = eager.filter((value) => (value as unknown) instanceof Tensor).map(asTensor);
  for (const leaf of leaves) leaf.requiresGrad = true;
  const results = run(parseGraph(text), eager).map(asTensor);
  const seeds = results.map((result) => result.detach().mul(0.5).add(1));
  backward(results, seeds);

  const { forward, backward: reverse, saved, cotangents, wrt } = differentiateTorchGraph(parseGraph(text));
  verifyGraph(forward);
  verifyGraph(reverse);
  expect(printGraph(parseGraph(printGraph(reverse)))).toBe(printGraph(reverse));
  const all = run(forward, given());
  expect(all.length).toBe(results.length + saved);
  results.forEach((result, index) => expect(asTensor(all[index]).tolist()).toEqual(result.tolist()));
  const gradients = run(reverse, [
    ...all.slice(results.length),
    ...cotangents.map((index) => seeds[index] as unknown as IValue),
  ]);
  expect(gradients.length).toBe(wrt.length);
  // The backward graph can be lowered like any other; its gradients are the same.
  const reverseInputs = [
    ...all.slice(results.length),
    ...cotangents.map((index) => seeds[index] as unknown as IValue),
  ];
  if (reverseInputs.every((value) => !Array.isArray(value))) {
    const lowered = lowerGraph(reverse, reverseInputs);
    const literals = reverseInputs.flatMap((value) =>
      (value as unknown) instanceof Tensor ? [asTensor(value).toLiteral()] : [],
    );
    const compiled = executeOnHost(lowered.graph, literals);
    gradients.forEach((gradient, index) => {
      const structure = lowered.outputs.kind === 'tuple' ? lowered.outputs.items[index] : lowered.outputs;
      const output = structure.kind === 'tensor' ? structure.output : -1;
      [...numbersOf(compiled[output])].forEach((value, at) =>
        expect(value).toBeCloseTo(Number(asTensor(gradient).data[at]), 9),
      );
    });
  }
  leaves.forEach((leaf, index) => {
    const found = asTensor(gradients[index]);
    expect(found.shape).toEqual(leaf.shape);
    const wanted =
      leaf.grad === null ? new Array<number>(leaf.numel()).fill(0) : [...leaf.grad.data].map(Number);
    [...found.data].forEach((value, at) => expect(Number(value)).toBeCloseTo(wanted[at], 9));
  });
}

const body = (lines: string, inputs: string, result: string): string => `graph(${inputs}):
  %none : NoneType = prim::Constant()
  %true : bool = prim::Constant[value=1]()
  %0 : int = prim::Constant[value=0]()
  %1 : int = prim::Constant[value=1]()
  %2 : int = prim::Constant[value=2]()
${lines}
  return (${result})`;

describe('operators', () => {
  it('adds up what flows back on several ways', () => {
    const text = body(
      `  %y : Tensor = aten::mul(%x, %w)
  %z : Tensor = aten::sin(%y)
  %a : Tensor = aten::add(%z, %x, %2)
  %s : Tensor = aten::sum(%y, %none)`,
      '%x : Tensor, %w : Tensor',
      '%a, %s',
    );
    expectGradients(text, [
      [1, 2, 3],
      [0.5, -1, 2],
    ]);
  });

  it('goes through broadcasting, matrix products and reductions', () => {
    const text = body(
      `  %y : Tensor = aten::matmul(%x, %w)
  %z : Tensor = aten::add(%y, %v, %1)
  %p : Tensor = aten::softmax(%z, %1, %none)
  %l : Tensor = aten::log(%p)`,
      '%x : Tensor, %w : Tensor, %v : Tensor',
      '%l',
    );
    expectGradients(text, [
      [
        [1, 2],
        [0.5, -1],
      ],
      [
        [0.1, 0.2, 0.3],
        [-0.3, 0.5, 1],
      ],
      [0.5, 0.1, -0.2],
    ]);
  });

  it('goes through lists and tuples', () => {
    const text = body(
      `  %parts : Tensor[] = aten::chunk(%x, %2, %0)
  %a : Tensor, %b : Tensor = prim::ListUnpack(%parts)
  %m : Tensor = aten::mul(%a, %w)
  %t : (Tensor, Tensor) = prim::TupleConstruct(%m, %b)
  %c : Tensor = prim::TupleIndex(%t, %0)
  %list : Tensor[] = prim::ListConstruct(%c, %b, %c)
  %y : Tensor = aten::cat(%list, %0)
  %last : Tensor = aten::__getitem__(%parts, %1)
  %z : Tensor = aten::mul(%last, %last)`,
      '%x : Tensor, %w : Tensor',
      '%y, %z',
    );
    expectGradients(text, [
      [1, 2, 3, 4],
      [3, -2],
    ]);
  });

  it('gives zeros for what nothing depends on', () => {
    expectGradients(body('  %y : Tensor = aten::exp(%x)', '%x : Tensor, %unused : Tensor', '%y'), [
      [1, 2],
      [3],
    ]);
  });
});

const branch = body(
  `  %r : Tensor = prim::If(%c)
    block0():
      %y : Tensor = aten::mul(%x, %w)
      %z : Tensor = aten::exp(%y)
      -> (%z)
    block1():
      -> (%x)
  %s : Tensor = aten::mul(%r, %w)`,
  '%x : Tensor, %w : Tensor, %c : bool',
  '%s',
);

const power = body(
  `  %y : Tensor, %z : Tensor = prim::Loop(%n, %true, %x, %w)
    block0(%i : int, %a : Tensor, %b : Tensor):
      %p : Tensor = aten::mul(%a, %w)
      %q : Tensor = aten::add(%b, %p, %i)
      %t : Tensor = aten::tanh(%q)
      -> (%true, %t, %p)`,
  '%x : Tensor, %w : Tensor, %n : int',
  '%y, %z',
);

const nested = body(
  `  %max : int = prim::Constant[value=9223372036854775807]()
  %y : Tensor, %k : int = prim::Loop(%max, %true, %x, %0)
    block0(%i : int, %a : Tensor, %j : int):
      %odd : int = aten::remainder(%j, %2)
      %isOdd : bool = aten::eq(%odd, %1)
      %b : Tensor = prim::If(%isOdd)
        block0():
          %inner : Tensor = prim::Loop(%j, %true, %a)
            block0(%m : int, %u : Tensor):
              %v : Tensor = aten::mul(%u, %w)
              -> (%true, %v)
          -> (%inner)
        block1():
          %c : Tensor = aten::sin(%a)
          -> (%c)
      %next : int = aten::add(%j, %1)
      %go : bool = aten::lt(%next, %n)
      -> (%go, %b, %next)`,
  '%x : Tensor, %w : Tensor, %n : int',
  '%y',
);

describe('control flow', () => {
  it('reverses an If', () => {
    expectGradients(branch, [[0.5, 1], [2, -1], true]);
    expectGradients(branch, [[0.5, 1], [2, -1], false]);
  });

  it('reverses a Loop, also one that never runs', () => {
    for (const n of [0n, 1n, 4n]) expectGradients(power, [[0.5, 1], [0.7, -1.1], n]);
  });

  it('reverses loops with branches and loops inside', () => {
    for (const n of [1n, 2n, 5n]) expectGradients(nested, [[0.5, 1.2], [0.7, -1.1], n]);
  });

  it('makes the structure of the program again', () => {
    const { backward: reverse } = differentiateTorchGraph(parseGraph(power));
    const text = printGraph(reverse);
    expect(text).toContain('prim::Loop');
    expect(text).toContain('weft::vjp[');
  });
});

describe('what cannot be differentiated', () => {
  it('names the node', () => {
    const text = body('  %y : Tensor = aten::relu_(%x)', '%x : Tensor', '%y');
    expect(() => differentiateTorchGraph(parseGraph(text))).toThrow(UnsupportedError);
    expect(() => differentiateTorchGraph(parseGraph(text))).toThrow(/aten::relu_ changes a value in place/);
  });

  it('keeps the mask of a dropout', () => {
    const text = body(
      `  %p : float = prim::Constant[value=0.5]()
  %y : Tensor = aten::dropout(%x, %p, %true)
  %z : Tensor = aten::mul(%y, %2)`,
      '%x : Tensor',
      '%z',
    );
    const { forward, backward: reverse } = differentiateTorchGraph(parseGraph(text));
    const x = tensor(Array.from({ length: 64 }, () => 1.5)) as unknown as IValue;
    const [z, ...saved] = run(forward, [x]);
    const [gradient] = run(reverse, [
      ...saved,
      tensor(Array.from({ length: 64 }, () => 1.5)) as unknown as IValue,
    ]);
    expect(asTensor(gradient).tolist()).toEqual(asTensor(z).tolist());
  });
});
