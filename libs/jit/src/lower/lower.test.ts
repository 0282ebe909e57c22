// Whole programs as one core graph: what the graph looks like, and that it computes what the program does.
import { describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import type { DType, Graph, IValue, Node, TensorSpec } from '@weft/ir';
import {
  ObjectValue,
  ScriptFunction,
  TensorLiteral,
  TupleValue,
  UnsupportedError,
  createClassType,
  differentiate,
  parseGraph,
  parseSchema,
  tensorSpec,
  verifyGraph,
} from '@weft/ir';
import { executeOnHost } from '@weft/devices';
import { literalOf, numbersOf } from '@weft/ops';
import { Tensor, tensor } from '@weft/tensor';
import { Code, Frame } from '../runtime/index.ts';
import { casesOf, corpus, difference } from '../runtime/corpus-case.ts';
import type { LoweredModule, LoweringInput, OutputStructure } from './index.ts';
import { lowerGraph, lowerModule } from './index.ts';

const f32 = (...sizes: number[]): TensorSpec => tensorSpec('float32', sizes);
const floats = (
  values: number[],
  shape: number[] = [values.length],
  dtype: DType = 'float32',
): TensorLiteral => literalOf(dtype, shape, values);

function kinds(graph: Graph): string[] {
  const visit = (nodes: Iterable<Node>): string[] =>
    [...nodes].flatMap((node) => [node.kind, ...node.blocks.flatMap((block) => visit(block.nodes()))]);
  return visit(graph.nodes());
}

/** Runs the program both ways on eager tensors and as one graph, and compares results and changed inputs. */
function expectSame(
  text: string,
  inputs: readonly (TensorLiteral | bigint | number | boolean)[],
): LoweredModule {
  const lowered = lowerGraph(parseGraph(text), inputs);
  verifyGraph(lowered.graph);
  const tensors = inputs.filter((input): input is TensorLiteral => input instanceof TensorLiteral);
  const outputs = executeOnHost(lowered.graph, tensors);
  const eager = inputs.map((input) =>
    input instanceof TensorLiteral
      ? tensor([...numbersOf(input)], { dtype: input.dtype }).reshape([...input.shape])
      : input,
  ) as unknown as IValue[];
  const [expected] = new Frame(Code.compile(parseGraph(text))).run(eager);
  const literal = (value: IValue): IValue =>
    value instanceof TupleValue
      ? new TupleValue(value.items.map(literal))
      : (value as unknown) instanceof Tensor
        ? (value as unknown as Tensor).toLiteral()
        : value;
  expect(
    difference(valueOf(lowered.outputs, outputs), literal(expected), { rtol: 1e-6, atol: 1e-6 }),
  ).toBeNull();
  lowered.inputs.forEach((input, index) => {
    const now = eager.filter((value) => (value as unknown) instanceof Tensor)[index] as unknown as Tensor;
    const got = input.output === undefined ? tensors[index] : outputs[input.output];
    expect([...numbersOf(got)]).toEqual([...numbersOf(now.toLiteral())]);
  });
  return lowered;
}

function valueOf(structure: OutputStructure, outputs: readonly TensorLiteral[]): IValue {
  switch (structure.kind) {
    case 'tensor':
      return outputs[structure.output];
    case 'number': {
      const [value] = numbersOf(outputs[structure.output]);
      return structure.type === 'int' ? BigInt(value) : structure.type === 'bool' ? value !== 0 : value;
    }
    case 'constant':
      return structure.value;
    case 'list':
      return structure.items.map((item) => valueOf(item, outputs));
    case 'tuple':
      return new TupleValue(structure.items.map((item) => valueOf(item, outputs)));
    case 'dict':
      return new Map(structure.entries.map(([key, item]) => [key, valueOf(item, outputs)]));
    default:
      return structure satisfies never;
  }
}

const gate = `graph(%x : Tensor):
  %none : NoneType = prim::Constant()
  %0 : int = prim::Constant[value=0]()
  %s : Tensor = aten::sum(%x, %none)
  %p : Tensor = aten::gt(%s, %0)
  %c : bool = aten::Bool(%p)
  %r : Tensor = prim::If(%c)
    block0():
      %y : Tensor = aten::mul(%x, %x)
      -> (%y)
    block1():
      %z : Tensor = aten::neg(%x)
      -> (%z)
  return (%r)`;

describe('control flow', () => {
  it('takes the branch of a known condition', () => {
    const text = gate.replace('%c : bool = aten::Bool(%p)', '%c : bool = prim::Constant[value=1]()');
    const lowered = expectSame(text, [floats([1, -2])]);
    expect(kinds(lowered.graph)).toEqual(['core::multiply']);
  });

  it('makes a core if of a condition on data', () => {
    const lowered = expectSame(gate, [floats([1, 2])]);
    expect(kinds(lowered.graph)).toContain('core::if');
    expectSame(gate, [floats([-1, -2])]);
  });

  it('merges what the branches write to, and numbers that differ', () => {
    const text = `graph(%x : Tensor):
      %none : NoneType = prim::Constant()
      %0 : int = prim::Constant[value=0]()
      %1 : int = prim::Constant[value=1]()
      %2 : int = prim::Constant[value=2]()
      %y : Tensor = aten::clone(%x, %none)
      %list : Tensor[] = prim::ListConstruct(%y)
      %s : Tensor = aten::sum(%x, %none)
      %p : Tensor = aten::gt(%s, %0)
      %c : bool = aten::Bool(%p)
      %k : int = prim::If(%c)
        block0():
          %row : Tensor = aten::select(%y, %0, %1)
          %w : Tensor = aten::fill_(%row, %2)
          -> (%1)
        block1():
          %n : Tensor = aten::neg(%x)
          %l : Tensor[] = aten::_set_item(%list, %0, %n)
          -> (%2)
      %f : Tensor = aten::__getitem__(%list, %0)
      %g : Tensor = aten::mul(%f, %k)
      %r : (Tensor, Tensor) = prim::TupleConstruct(%y, %g)
      return (%r)`;
    expectSame(text, [floats([1, 2, 3, 4], [2, 2])]);
    expectSame(text, [floats([-1, -2, -3, -4], [2, 2])]);
  });

  it('unrolls a loop of known count and keeps lists', () => {
    const text = `graph(%x : Tensor, %n : int):
      %true : bool = prim::Constant[value=1]()
      %1 : int = prim::Constant[value=1]()
      %0 : int = prim::Constant[value=0]()
      %list : Tensor[] = prim::ListConstruct()
      %y : Tensor = prim::Loop(%n, %true, %x)
        block0(%i : int, %a : Tensor):
          %b : Tensor = aten::add(%a, %i, %1)
          %l : Tensor[] = aten::append(%list, %b)
          -> (%true, %b)
      %r : Tensor = aten::stack(%list, %0)
      return (%r)`;
    const lowered = expectSame(text, [floats([1, 2]), 3n]);
    expect(kinds(lowered.graph)).not.toContain('core::while');
  });

  it('makes a core while of a loop whose end depends on data', () => {
    const text = `graph(%x : Tensor):
      %none : NoneType = prim::Constant()
      %max : int = prim::Constant[value=9223372036854775807]()
      %true : bool = prim::Constant[value=1]()
      %0 : int = prim::Constant[value=0]()
      %1 : int = prim::Constant[value=1]()
      %2 : int = prim::Constant[value=2]()
      %limit : int = prim::Constant[value=100]()
      %total : Tensor = aten::zeros_like(%x, %none, %none, %none, %none, %none)
      %y : Tensor, %count : int = prim::Loop(%max, %true, %x, %0)
        block0(%i : int, %a : Tensor, %k : int):
          %b : Tensor = aten::mul(%a, %2)
          %t : Tensor = aten::add_(%total, %b, %1)
          %m : int = aten::add(%k, %1)
          %s : Tensor = aten::sum(%b, %none)
          %p : Tensor = aten::lt(%s, %limit)
          %go : bool = aten::Bool(%p)
          -> (%go, %b, %m)
      %r : (Tensor, int, Tensor) = prim::TupleConstruct(%y, %count, %total)
      return (%r)`;
    expect(kinds(expectSame(text, [floats([1, 2])]).graph)).toContain('core::while');
    expectSame(text, [floats([60, 60])]);
  });
});

describe('mutation', () => {
  it('changes the base of a view and every alias', () => {
    const text = `graph(%x : Tensor, %v : Tensor):
      %none : NoneType = prim::Constant()
      %false : bool = prim::Constant[value=0]()
      %0 : int = prim::Constant[value=0]()
      %1 : int = prim::Constant[value=1]()
      %2 : int = prim::Constant[value=2]()
      %3 : int = prim::Constant[value=3]()
      %t : Tensor = aten::t(%x)
      %row : Tensor = aten::select(%t, %0, %1)
      %w : Tensor = aten::copy_(%row, %v, %false)
      %every : Tensor = aten::slice(%x, %1, %0, %none, %2)
      %d : Tensor = aten::mul_(%every, %3)
      %diagonal : Tensor = aten::diagonal(%x, %0, %0, %1)
      %e : Tensor = aten::add_(%diagonal, %2, %1)
      %r : (Tensor, Tensor, Tensor) = prim::TupleConstruct(%x, %t, %every)
      return (%r)`;
    const lowered = expectSame(text, [
      floats([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [3, 4]),
      floats([-1, -2, -3]),
    ]);
    expect(lowered.inputs[0].output).toBeDefined();
    expect(lowered.inputs[1].output).toBeUndefined();
  });

  it('refuses to write through a view that has one element several times', () => {
    const text = `graph(%x : Tensor):
      %2 : int = prim::Constant[value=2]()
      %3 : int = prim::Constant[value=3]()
      %false : bool = prim::Constant[value=0]()
      %shape : int[] = prim::ListConstruct(%2, %3)
      %y : Tensor = aten::expand(%x, %shape, %false)
      %z : Tensor = aten::mul_(%y, %2)
      return (%z)`;
    expect(() => lowerGraph(parseGraph(text), [f32(3)])).toThrow(
      /more than one element of the written-to tensor/,
    );
  });
});

describe('modules', () => {
  const inner = createClassType('__torch__.Inner', true);
  inner.attributes.push({ name: 'weight', type: { kind: 'Tensor' }, isParameter: true });
  const outer = createClassType('__torch__.Outer', true);
  outer.attributes.push(
    { name: 'first', type: inner },
    { name: 'second', type: inner },
    { name: 'bias', type: { kind: 'Tensor' }, isParameter: true },
    { name: 'steps', type: { kind: 'Tensor' }, isBuffer: true },
    { name: 'scale', type: { kind: 'float' } },
  );
  const resolve = (name: string) => [inner, outer].find((type) => type.name === name);
  const add = (type: typeof inner, name: string, schema: string, text: string): void => {
    type.methods.set(
      name,
      new ScriptFunction(`${type.name}.${name}`, parseSchema(schema), () =>
        parseGraph(text, { resolve } as never),
      ),
    );
  };
  add(
    inner,
    'forward',
    'forward(Any self, Tensor x) -> Tensor',
    `graph(%self : __torch__.Inner, %x : Tensor):
      %w : Tensor = prim::GetAttr[name="weight"](%self)
      %y : Tensor = aten::matmul(%x, %w)
      return (%y)`,
  );
  add(
    outer,
    'forward',
    'forward(Any self, Tensor x) -> Tensor',
    `graph(%self : __torch__.Outer, %x : Tensor):
      %1 : int = prim::Constant[value=1]()
      %half : float = prim::Constant[value=0.5]()
      %true : bool = prim::Constant[value=1]()
      %first : __torch__.Inner = prim::GetAttr[name="first"](%self)
      %second : __torch__.Inner = prim::GetAttr[name="second"](%self)
      %a : Tensor = prim::CallMethod[name="forward"](%first, %x)
      %d : Tensor = aten::dropout(%a, %half, %true)
      %b : Tensor = prim::CallMethod[name="forward"](%second, %d)
      %bias : Tensor = prim::GetAttr[name="bias"](%self)
      %scale : float = prim::GetAttr[name="scale"](%self)
      %c : Tensor = aten::add(%b, %bias, %1)
      %e : Tensor = aten::mul(%c, %scale)
      %steps : Tensor = prim::GetAttr[name="steps"](%self)
      %f : Tensor = aten::add_(%steps, %1, %1)
      return (%e)`,
  );
  const module = (tied: boolean): ObjectValue => {
    const weight = (value: number) =>
      tensor([
        [value, 0.5],
        [0.25, 1.5],
      ]) as unknown as IValue;
    const first = new ObjectValue(inner, [weight(1)]);
    const second = new ObjectValue(inner, [tied ? first.get('weight') : weight(2)]);
    return new ObjectValue(outer, [
      first,
      second,
      tensor([0.5, -0.5]) as unknown as IValue,
      tensor(3, { dtype: 'int64' }) as unknown as IValue,
      2.5,
    ]);
  };

  it('names parameters and buffers as the state dict does, and returns changed buffers', () => {
    const lowered = lowerModule(module(false), 'forward', [f32(3, 2)]);
    verifyGraph(lowered.graph);
    expect(lowered.parameters.map(({ name, input }) => [name, input])).toEqual([
      ['first.weight', 0],
      ['second.weight', 1],
      ['bias', 2],
    ]);
    expect(lowered.buffers.map(({ name, output }) => [name, output !== undefined])).toEqual([
      ['steps', true],
    ]);
    expect(lowered.inputs.map(({ path, input }) => [path, input])).toEqual([['x', 4]]);
    expect(lowered.outputs).toEqual({ kind: 'tensor', output: 0 });
    expect(lowered.randomState?.input).toBe(5);
  });

  it('takes tied weights once', () => {
    const { parameters } = lowerModule(module(true), 'forward', [f32(3, 2)]);
    expect(parameters.map(({ name, aliases }) => [name, ...aliases])).toEqual([
      ['first.weight', 'second.weight'],
      ['bias'],
    ]);
  });

  it('gives the same numbers for the same state, others for the next, and gradients', () => {
    const object = module(false);
    const { graph, parameters, buffers, randomState } = lowerModule(object, 'forward', [f32(3, 2)]);
    const weights = [...parameters, ...buffers].map((held) => (held.tensor as unknown as Tensor).toLiteral());
    const run = (state: TensorLiteral) =>
      executeOnHost(graph, [...weights, floats([1, 2, 3, 4, 5, 6], [3, 2]), state]);
    const state = literalOf('uint64', [2], [7n, 0n]);
    const [first, again] = [run(state), run(state)];
    expect(first[0].bytes).toEqual(again[0].bytes);
    expect([...numbersOf(first[buffers[0].output!])]).toEqual([4]);
    expect(run(first[randomState!.output])[0].bytes).not.toEqual(first[0].bytes);
    const { backward } = differentiate(graph, { wrt: [0, 1, 2], outputs: [0] });
    verifyGraph(backward);
    expect(backward.outputs.length).toBe(3);
  });

  it('leaves the module as it was', () => {
    const object = module(false);
    lowerModule(object, 'forward', [f32(3, 2)]);
    expect((object.get('steps') as unknown as Tensor).tolist()).toBe(3);
  });
});

describe('what cannot be compiled', () => {
  it('names the operator and says why', () => {
    const text = `graph(%x : Tensor):
      %y : Tensor = aten::nonzero(%x)
      return (%y)`;
    expect(() => lowerGraph(parseGraph(text), [f32(3)])).toThrow(UnsupportedError);
    expect(() => lowerGraph(parseGraph(text), [f32(3)])).toThrow(/aten::nonzero .*depends on data/);
  });

  it('refuses text made of data', () => {
    const text = `graph(%x : Tensor):
      %n : Scalar = aten::item(%x)
      %s : str = aten::str(%n)
      return (%s)`;
    expect(() => lowerGraph(parseGraph(text), [f32()])).toThrow(/aten::str of what depends on tensor data/);
  });

  it('refuses shapes that depend on data', () => {
    const text = `graph(%x : Tensor):
      %n : int = aten::Int(%x)
      %none : NoneType = prim::Constant()
      %shape : int[] = prim::ListConstruct(%n)
      %y : Tensor = aten::zeros(%shape, %none, %none, %none, %none)
      return (%y)`;
    expect(() => lowerGraph(parseGraph(text), [f32()])).toThrow(
      /'size' of aten::zeros holds a number that depends/,
    );
  });
});

// ---- the corpus -----------------------------------------------------------------------------------------------------

/** Cases whose recorded answer depends on strides or storage that a compiled graph does not have, or on PyTorch's folding. */
const apart = new Set([
  'numbers/casts_of_non_finite',
  'numbers/tensor_attributes',
  'aliasing/contiguous_and_strides',
  'aliasing/non_contiguous_inputs',
  'shape/memory_format',
  'indexing/assign_integers_and_slices',
  'control/implicit_tensor_to_number',
]);
const groups = [
  'numbers',
  'collections',
  'control',
  'aliasing',
  'shape',
  'indexing',
  'pointwise',
  'reductions',
];

function literals(value: IValue): TensorLiteral[] {
  if (value instanceof TensorLiteral) return [value];
  if (value instanceof TupleValue) return value.items.flatMap(literals);
  if (Array.isArray(value)) return value.flatMap(literals);
  return value instanceof Map ? [...value.values()].flatMap(literals) : [];
}

(existsSync(corpus) ? describe : describe.skip)('the corpus', () => {
  it.each(groups)('%s', (group) => {
    const wrong: string[] = [];
    let [same, unsupported] = [0, 0];
    for (const one of casesOf(group)) {
      if (apart.has(`${group}/${one.name}`)) continue;
      try {
        for (const call of one.calls) {
          if (call.error !== undefined) continue;
          const lowered = lowerGraph(call.graph(), call.inputs as LoweringInput[]);
          verifyGraph(lowered.graph);
          if (lowered.randomState !== undefined) continue;
          const outputs = executeOnHost(lowered.graph, call.inputs.flatMap(literals));
          const why = difference(valueOf(lowered.outputs, outputs), call.output!, one.tolerance);
          if (why !== null) wrong.push(`${group}/${one.name}: ${why}`);
        }
        same++;
      } catch (error) {
        if (error instanceof UnsupportedError) unsupported++;
        else wrong.push(`${group}/${one.name}: ${String(error)}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(same / (same + unsupported)).toBeGreaterThan(0.7);
  });
});
