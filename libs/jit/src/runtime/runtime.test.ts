// The interpreter: small programs as text, and the programs of the corpus against what PyTorch answered.
import { describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import type { IValue } from '@weft/ir';
import {
  ObjectValue,
  ScriptFunction,
  SourceRange,
  TensorLiteral,
  TupleValue,
  createClassType,
  parseGraph,
  parseSchema,
} from '@weft/ir';
import { Tensor, hostDevice, tensor } from '@weft/tensor';
import type { CorpusCall, CorpusCase } from './corpus-case.ts';
import { casesOf, corpus, difference } from './corpus-case.ts';
import { Code, Frame, ScriptRuntimeError } from './index.ts';

const run = (text: string, ...inputs: IValue[]): IValue =>
  new Frame(Code.compile(parseGraph(text))).run(inputs)[0];

describe('programs', () => {
  it('follows branches and loops, and moves the state of a loop in parallel', () => {
    const fibonacci = `graph(%n : int):
      %0 : int = prim::Constant[value=0]()
      %1 : int = prim::Constant[value=1]()
      %true : bool = prim::Constant[value=1]()
      %a : int, %b : int = prim::Loop(%n, %true, %0, %1)
        block0(%i : int, %x : int, %y : int):
          %z : int = aten::add(%x, %y)
          -> (%true, %y, %z)
      return (%a)`;
    expect([0n, 1n, 2n, 10n, 90n].map((n) => run(fibonacci, n))).toEqual([
      0n,
      1n,
      1n,
      55n,
      2880067194370816120n,
    ]);
  });

  it('ends a loop by its condition', () => {
    const halve = `graph(%n : int):
      %max : int = prim::Constant[value=9223372036854775807]()
      %0 : int = prim::Constant[value=0]()
      %1 : int = prim::Constant[value=1]()
      %2 : int = prim::Constant[value=2]()
      %more : bool = aten::gt(%n, %0)
      %count : int, %rest : int = prim::Loop(%max, %more, %0, %n)
        block0(%i : int, %c : int, %m : int):
          %half : int = aten::floordiv(%m, %2)
          %next : int = aten::add(%c, %1)
          %go : bool = aten::gt(%half, %0)
          -> (%go, %next, %half)
      return (%count)`;
    expect([0n, 1n, 1024n].map((n) => run(halve, n))).toEqual([0n, 1n, 11n]);
  });

  it('wraps ints at 64 bits and keeps them exact', () => {
    const text = `graph(%a : int, %b : int):
      %c : int = aten::mul(%a, %b)
      return (%c)`;
    expect(run(text, 3037000500n, 3037000500n)).toBe(-9223372036709301616n);
    expect(run(text, 9007199254740993n, 1n)).toBe(9007199254740993n);
  });

  it('records what is computed on tensors', () => {
    const text = `graph(%x : Tensor):
      %2 : int = prim::Constant[value=2]()
      %y : Tensor = aten::mul(%x, %2)
      %none : NoneType = prim::Constant()
      %z : Tensor = aten::sum(%y, %none)
      return (%z)`;
    const x = tensor([1.5, 2, 3]);
    x.requiresGrad = true;
    (run(text, x as unknown as IValue) as unknown as Tensor).backward();
    expect(x.grad?.tolist()).toEqual([2, 2, 2]);
  });

  it('tells list types apart for isinstance', () => {
    const text = `graph(%x : Any):
      %a : bool = prim::isinstance[types=[int[]]](%x)
      %b : bool = prim::isinstance[types=[(int, str)]](%x)
      %c : bool = prim::isinstance[types=[str, NoneType]](%x)
      %r : (bool, bool, bool) = prim::TupleConstruct(%a, %b, %c)
      return (%r)`;
    const kinds = (value: IValue): readonly IValue[] => (run(text, value) as TupleValue).items;
    expect(kinds([1n])).toEqual([true, false, false]);
    expect(kinds([1.5])).toEqual([false, false, false]);
    expect(kinds(new TupleValue([1n, 'a']))).toEqual([false, true, false]);
    expect(kinds(null)).toEqual([false, false, true]);
  });

  it('lets go of a value after its last reader', () => {
    const text = `graph(%x : Tensor):
      %y : Tensor = aten::relu(%x)
      %z : Tensor = aten::relu(%y)
      return (%z)`;
    const code = Code.compile(parseGraph(text));
    const [first, second] = code.instructions;
    expect(second.frees).toContain(first.outputs[0]);
  });

  it('runs one code in many frames', () => {
    const code = Code.compile(
      parseGraph('graph(%a : int):\n  %b : int[] = prim::ListConstruct(%a)\n  return (%b)'),
    );
    const [first, second] = [new Frame(code).run([1n])[0], new Frame(code).run([2n])[0]];
    expect([first, second]).toEqual([[1n], [2n]]);
  });
});

describe('what PyTorch optimises visibly', () => {
  it('a constant without dimensions is a number in arithmetic', () => {
    const graph = `graph(%x : Tensor):
      %half : Double() = prim::Constant[value={0.5}]()
      %a : Tensor = aten::mul(%x, %half)
      return (%a)`;
    const result = run(graph, tensor(3, { dtype: 'float32' })) as unknown as Tensor;
    expect([result.dtype, result.item()]).toEqual(['float32', 1.5]);
  });
});

describe('tensors of numbers', () => {
  it.each(['aten::tensor', 'aten::as_tensor'])(
    '%s takes floats through float32, as PyTorch does',
    (operator) => {
      const more = operator === 'aten::tensor' ? ', %no' : '';
      const graph = `graph(%f : float, %n : int):
      %dtype : int = prim::Constant[value=7]()
      %long : int = prim::Constant[value=4]()
      %none : NoneType = prim::Constant()
      %no : bool = prim::Constant[value=0]()
      %floats : float[] = prim::ListConstruct(%f)
      %ints : int[] = prim::ListConstruct(%n)
      %a : Tensor = ${operator}(%floats, %dtype, %none${more})
      %b : Tensor = ${operator}(%f, %dtype, %none${more})
      %c : Tensor = ${operator}(%f, %long, %none${more})
      %d : Tensor = ${operator}(%ints, %dtype, %none${more})
      return (%a, %b, %c, %d)`;
      const code = Code.compile(parseGraph(graph));
      const results = new Frame(code).run([16777217, 16777217n]) as unknown as Tensor[];
      expect(results.map((x) => [x.dtype, Number(x.reshape([]).item())])).toEqual([
        ['float64', 16777216],
        ['float64', 16777216],
        ['int64', 16777216],
        ['float64', 16777217],
      ]);
    },
  );
});

describe('calls', () => {
  const type = createClassType('__torch__.Counter', false);
  type.attributes.push({ name: 'n', type: { kind: 'int' } });
  const method = (name: string, schema: string, text: string): ScriptFunction => {
    const made = new ScriptFunction(`__torch__.Counter.${name}`, parseSchema(schema), () =>
      parseGraph(text, { resolve: (wanted: string) => (wanted === type.name ? type : undefined) } as never),
    );
    type.methods.set(name, made);
    return made;
  };
  const bump = method(
    'bump',
    'bump(Any self, int by) -> int',
    `graph(%self : __torch__.Counter, %by : int):
      %n : int = prim::GetAttr[name="n"](%self)
      %m : int = aten::add(%n, %by)
       = prim::SetAttr[name="n"](%self, %m)
      return (%m)`,
  );
  method('__enter__', '__enter__(Any self) -> Any', 'graph(%self : __torch__.Counter):\n  return (%self)');
  method(
    '__exit__',
    '__exit__(Any self, Any type, Any value, Any trace) -> int',
    `graph(%self : __torch__.Counter, %type : Any, %value : Any, %trace : Any):
      %by : int = prim::Constant[value=100]()
      %n : int = prim::CallMethod[name="bump"](%self, %by)
      return (%n)`,
  );

  it('reads and writes attributes, and calls methods', () => {
    const counter = new ObjectValue(type, [5n]);
    expect(new Frame(Code.compile(bump.graph)).run([counter, 2n])).toEqual([7n]);
    expect(counter.get('n')).toBe(7n);
  });

  it('leaves a with statement that an exception goes through', () => {
    const counter = new ObjectValue(type, [0n]);
    const graph = parseGraph(
      `graph(%c : __torch__.Counter):
        %e : __torch__.Counter = prim::Enter(%c)
        %message : str = prim::Constant[value="no"]()
        %class : str = prim::Constant[value="builtins.ValueError"]()
         = prim::RaiseException(%message, %class)
        %x : NoneType = prim::Exit(%c)
        return (%x)`,
    );
    expect(() => new Frame(Code.compile(graph)).run([counter])).toThrow(/\nbuiltins\.ValueError: no$/);
    expect(counter.get('n')).toBe(100n);
  });

  it('stops a recursion without end', () => {
    const forever: ScriptFunction = new ScriptFunction(
      'forever',
      parseSchema('forever(int n) -> int'),
      () => {
        const graph = parseGraph('graph(%n : int):\n  %m : int = aten::neg(%n)\n  return (%m)');
        const call = graph.create('prim::CallFunction', [], [{ kind: 'int' }]);
        const fn = graph.create('prim::Constant', [], [{ kind: 'Function', function: forever }]);
        graph.block.appendNode(fn);
        call.addInput(fn.output);
        call.addInput(graph.inputs[0]);
        graph.block.appendNode(call);
        return graph;
      },
    );
    expect(() => new Frame(Code.compile(forever.graph), { maxDepth: 500 }).run([1n])).toThrow(
      /maximum recursion depth exceeded/,
    );
  });

  it('shows the lines of the program, outermost first', () => {
    const text = 'def inner(x):\n  return x[5]\ndef outer(x):\n  return inner(x)\n';
    const at = (part: string): SourceRange =>
      new SourceRange('a.py', text, text.indexOf(part), text.indexOf(part) + part.length);
    const inner = new ScriptFunction('inner', parseSchema('inner(int[] x) -> int'), () => {
      const graph = parseGraph(`graph(%x : int[]):
        %5 : int = prim::Constant[value=5]()
        %y : int = aten::__getitem__(%x, %5)
        return (%y)`);
      for (const node of graph.nodes()) node.source = at('x[5]');
      return graph;
    });
    const graph = parseGraph('graph(%x : int[]):\n  return (%x)');
    const fn = graph.create('prim::Constant', [], [{ kind: 'Function', function: inner }]);
    const call = graph.create('prim::CallFunction', [fn.output, graph.inputs[0]], [{ kind: 'int' }]);
    call.source = at('inner(x)\n');
    graph.block.appendNode(fn);
    graph.block.appendNode(call);
    try {
      new Frame(Code.compile(graph, 'outer')).run([[1n]]);
      throw new Error('nothing was thrown');
    } catch (error) {
      expect(error).toBeInstanceOf(ScriptRuntimeError);
      const failure = error as ScriptRuntimeError;
      expect(failure.reason).toBe('list index out of range');
      expect(failure.trace.map((entry) => entry.functionName)).toEqual(['outer', 'inner']);
      expect(failure.message).toMatch(/line 4, in outer[\s\S]*line 2, in inner[\s\S]*~~~~ <--- HERE/);
    }
  });

  it('names an operator that has no meaning, before anything runs', () => {
    expect(() =>
      Code.compile(parseGraph('graph(%x : Tensor):\n  %y : Tensor = my::op(%x)\n  return (%y)')),
    ).toThrow(/my::op\(Tensor\) has no meaning here/);
  });
});

// ---- the corpus -----------------------------------------------------------------------------------------------------

/** Cases that a plain run of the text cannot agree with, and why. */
const apart: Readonly<Record<string, string>> = {
  'numbers/casts_of_non_finite': 'PyTorch folds x == x to True before it runs',
  'numbers/tensor_attributes': 'its input has strides, which the text test leaves out',
  'strings/ord_and_chr_errors': 'the recorder blanked an address-like number in the message',
  'types/wrong_argument_types': 'arguments are checked where functions are called from outside',
};

const toTensor = (value: IValue): IValue => {
  if (value instanceof TensorLiteral) return Tensor.fromLiteral(value, hostDevice()) as unknown as IValue;
  if (Array.isArray(value)) return value.map(toTensor);
  if (value instanceof TupleValue) return new TupleValue(value.items.map(toTensor));
  return value instanceof Map
    ? new Map([...value].map(([key, item]) => [toTensor(key), toTensor(item)]))
    : value;
};
const toLiteral = (value: IValue): IValue => {
  if ((value as unknown) instanceof Tensor) return (value as unknown as Tensor).toLiteral();
  if (Array.isArray(value)) return value.map(toLiteral);
  if (value instanceof TupleValue) return new TupleValue(value.items.map(toLiteral));
  return value instanceof Map
    ? new Map([...value].map(([key, item]) => [toLiteral(key), toLiteral(item)]))
    : value;
};

function check(call: CorpusCall, { tolerance }: CorpusCase): string | null {
  let printed = '';
  const options = { print: (text: string) => (printed += text), warn: () => undefined };
  try {
    const [result = null] = new Frame(Code.compile(call.graph()), options).run(call.inputs.map(toTensor));
    if (call.error !== undefined) return `no error; ${call.error.message}`;
    if (call.printed !== undefined && printed !== call.printed) return `printed ${JSON.stringify(printed)}`;
    return difference(toLiteral(result), call.output!, tolerance);
  } catch (error) {
    if (call.error === undefined || !(error instanceof ScriptRuntimeError)) return String(error);
    const isRight =
      error.reason === call.error.message && (error.exceptionClass ?? 'RuntimeError') === call.error.type;
    return isRight ? null : `${error.exceptionClass}: ${error.reason} instead of ${call.error.message}`;
  }
}

const groups = ['numbers', 'strings', 'collections', 'control', 'types'];
(existsSync(corpus) ? describe : describe.skip)('the corpus', () => {
  it.each(groups)('%s', (group) => {
    const wrong = casesOf(group).flatMap((one) => {
      if (`${group}/${one.name}` in apart) return [];
      const why = one.calls.map((call) => check(call, one)).find((reason) => reason !== null);
      return why === undefined ? [] : [`${group}/${one.name}: ${why}`];
    });
    expect(wrong).toEqual([]);
  });
});
