// Printing and parsing are inverse, for types, strings, numbers, tensors, values and core graphs.
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ParseError } from '../errors.ts';
import type { Attribute } from '../graph/attribute.ts';
import { insertConstant } from '../graph/constants.ts';
import type { Value } from '../graph/graph.ts';
import { Graph } from '../graph/graph.ts';
import { SourceRange } from '../graph/source-range.ts';
import { dtypeNames, dtypes } from '../types/dtype.ts';
import type { DType } from '../types/dtype.ts';
import { Complex, DeviceValue, TensorLiteral, TupleValue } from '../types/ivalue.ts';
import type { IValue } from '../types/ivalue.ts';
import { typesEqual } from '../types/lattice.ts';
import { literalOf } from '../types/literal.ts';
import type { Type } from '../types/types.ts';
import {
  AnyTensorType,
  AnyType,
  FloatType,
  IntType,
  StringType,
  listOf,
  numel,
  optionalOf,
  tensorSpec,
} from '../types/types.ts';
import { unionOf } from '../types/union.ts';
import { formatExactFloat, formatFloat, formatGeneral, parseFloatText } from './number-text.ts';
import { parseGraph } from './parser.ts';
import { printGraph } from './printer.ts';
import { quote, readQuoted } from './quoted.ts';
import { tensorText } from './tensor-text.ts';
import { annotationString, parseType, typeToString } from './type-text.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const anyFloat = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, 1e10, -1e10, 1e16, 5e-324, NaN, Infinity, -Infinity),
);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const size = fc.integer({ min: 0, max: 4 });
const dtype = fc.constantFrom(...dtypeNames);

describe('scalars', () => {
  test('strings', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary-ascii' })), (value) => {
        const printed = quote(value);
        expect(readQuoted(`${printed} more`, 0)).toEqual({ value, end: printed.length });
      }),
    );
    // As PyTorch prints them: octal escapes of bytes, and its slip with bytes above 127.
    expect(quote('a\x01\n\t\'"\\é')).toBe(String.raw`"a\001\n\t\'\"\\\0)+\/.)"`);
  });

  test('floats', () => {
    fc.assert(
      fc.property(anyFloat, (value) => {
        expect(parseFloatText(formatFloat(value))).toBe(value);
        expect(parseFloatText(formatExactFloat(value))).toBe(value);
        expect(/^-?\d+$/.test(formatExactFloat(value))).toBe(false);
      }),
    );
  });
  test.each([
    [1e9, '1000000000.'],
    [1e10, '10000000000'],
    [0.1, '0.10000000000000001'],
    [1e22, '1e+22'],
    [-0, '-0.'],
    [5e-324, '4.9406564584124654e-324'],
    [1e15 + 0.5, '1000000000000000.5'],
  ])('PyTorch prints %p as %s', (value, expected) => expect(formatFloat(value)).toBe(expected));
  test.each([
    [1.23456789, '1.23457'],
    [3e20, '3e+20'],
    [1e-7, '1e-07'],
    [123456, '123456'],
    [1234567, '1.23457e+06'],
    [-0, '-0'],
  ])('%%g of %p is %s', (value, expected) => expect(formatGeneral(value, 6)).toBe(expected));
});

describe('types', () => {
  const simple = fc.constantFrom<Type>(
    IntType,
    FloatType,
    StringType,
    AnyType,
    AnyTensorType,
    { kind: 'number' },
    { kind: 'Device' },
  );
  const tensor = fc
    .record(
      {
        dtype,
        sizes: fc.array(fc.oneof(size, fc.constant(null)), { maxLength: 3 }),
        device: fc.constantFrom('cpu', 'cuda:0'),
        requiresGrad: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    .map((fields): Type => ({ kind: 'Tensor', ...fields }))
    // Of a scalar without dtype PyTorch prints no rank.
    .filter((value) => value.kind !== 'Tensor' || value.dtype !== undefined || value.sizes?.length !== 0);
  // A type inside Dict and Union prints without tensor refinements, so tensors there are plain.
  const type = (leaf: fc.Arbitrary<Type>) =>
    fc.letrec<{ type: Type }>((tie) => ({
      type: fc.oneof(
        { maxDepth: 3 },
        leaf,
        tie('type').map(listOf),
        tie('type')
          .filter((inner) => inner.kind !== 'Optional')
          .map(optionalOf),
        fc.array(tie('type'), { maxLength: 3 }).map((elements): Type => ({ kind: 'Tuple', elements })),
        tie('type').map((element): Type => ({ kind: 'Future', element })),
      ),
    })).type;

  test('graph form', () => {
    fc.assert(
      fc.property(type(fc.oneof(simple, tensor)), (value) => {
        expect(typesEqual(parseType(typeToString(value)), value)).toBe(true);
      }),
    );
  });
  test('annotation form', () => {
    const dict = type(simple).map((value): Type => ({ kind: 'Dict', key: StringType, value }));
    fc.assert(
      fc.property(fc.oneof(type(simple), dict), (value) => {
        expect(typesEqual(parseType(annotationString(value)), value)).toBe(true);
        expect(typesEqual(parseType(typeToString(value)), value)).toBe(true);
      }),
    );
  });
  test.each([
    [unionOf([IntType, FloatType, { kind: 'complex' }, StringType]), 'Union(, str, Scalar)'],
    [unionOf([StringType, IntType, { kind: 'None' }]), 'Union(int, NoneType, str)'],
    [unionOf([FloatType, { kind: 'bool' }, StringType, IntType]), 'Union(float, int, str, bool)'],
    [unionOf([IntType, FloatType, { kind: 'complex' }]), 'Scalar'],
    [unionOf([IntType, { kind: 'None' }]), 'int?'],
    [parseType('NamedTuple(x : float, y : int[])'), 'NamedTuple(x : float, y : int[])'],
    [parseType('FloatTensor(requires_grad=0)'), 'FloatTensor(requires_grad=0)'],
    [parseType('Future(Tensor)'), 'Future[Tensor]'],
    [parseType('Dict[str, List[Optional[int]]]'), 'Dict(str, int?[])'],
    [parseType('Tuple[()]'), '()'],
  ])('%j prints as %s', (value, expected) => {
    expect(typeToString(value)).toBe(expected);
    expect(typesEqual(parseType(expected), value)).toBe(true);
  });
  test.each(['', 'Dict(int)', 'Tensor[', '(int', 'int]', 'Enum<', 'List[]x'])('refuses %p', (wrong) => {
    expect(() => parseType(wrong)).toThrow(ParseError);
  });
});

describe('tensors as PyTorch prints them', () => {
  test.each<[DType, number[], (number | boolean)[], string]>([
    ['float32', [2, 2], [1.5, 2, 3, 4], ' 1.5000  2.0000  3.0000  4.0000 [ CPUFloatType{2,2} ]'],
    ['int64', [2], [1, 2], ' 1  2 [ CPULongType{2} ]'],
    ['float32', [2], [1.25e-10, 3e8], ' 1.2500e-10  3.0000e+08 [ CPUFloatType{2} ]'],
    ['bool', [2], [true, false], ' 1  0 [ CPUBoolType{2} ]'],
    ['float32', [0, 2], [], '[ CPUFloatType{0,2} ]'],
    ['float32', [], [1.2345678], '{1.23457}'],
    ['float32', [], [-0], '{-0}'],
    ['bool', [], [true], '{1}'],
    ['float32', [2], [1, Infinity], ' 1 inf [ CPUFloatType{2} ]'],
    ['float32', [2], [NaN, -2.5], '    nan -2.5000 [ CPUFloatType{2} ]'],
    [
      'int64',
      [2, 2, 2],
      [0, 1, 2, 3, 4, 5, 6, 7],
      '(1,.,.) =    0  1   2  3  (2,.,.) =    4  5   6  7 [ CPULongType{2,2,2} ]',
    ],
    ['float32', [2], [100000.5, 2], ' 1.0000e+05  2.0000e+00 [ CPUFloatType{2} ]'],
    ['float32', [2], [1234567, 7], '1.23457e+06        7 [ CPUFloatType{2} ]'],
    ['int64', [2], [-1, 20000], '    -1  20000 [ CPULongType{2} ]'],
    ['float32', [2], [-1e5, 2], '-100000       2 [ CPUFloatType{2} ]'],
    ['float32', [2], [99999.5, 1.5], ' 99999.5000      1.5000 [ CPUFloatType{2} ]'],
    ['float16', [2], [1.5, 2.5], ' 1.5000  2.5000 [ CPUHalfType{2} ]'],
    ['float32', [2], [1e10, 2e10], ' 1.0000e+10  2.0000e+10 [ CPUFloatType{2} ]'],
    ['float32', [11], Array.from({ length: 11 }, (_, index) => index), '<Tensor>'],
  ])('%s%p %p', (elementType, shape, elements, expected) => {
    expect(tensorText(literalOf(elementType, shape, elements))).toBe(expected);
    const graph = new Graph();
    graph.addOutput(
      insertConstant(graph, literalOf(elementType, shape, elements), tensorSpec(elementType, shape)),
    );
    // What is shown is rounded, so it is a second reading that changes nothing.
    const shown = printGraph(parseGraph(printGraph(graph)));
    expect(printGraph(parseGraph(shown))).toBe(shown);
  });
});

test('constants of torch graphs', () => {
  const value = fc.letrec<{ value: IValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 2 },
      int64,
      anyFloat.filter((number) => !Number.isInteger(number) || Math.abs(number) < 1e10),
      text,
      fc.boolean(),
      fc.constant(null),
      fc.tuple(fc.double({ noNaN: true }), fc.double({ noNaN: true })).map(([re, im]) => new Complex(re, im)),
      fc.constantFrom(new DeviceValue('cpu'), new DeviceValue('cuda', 1)),
      fc.array(tie('value'), { minLength: 1, maxLength: 3 }).map((items) => new TupleValue(items)),
      fc.array(int64, { maxLength: 3 }).map((items) => items as IValue),
      fc
        .dictionary(text, int64, { minKeys: 1, maxKeys: 3 })
        .map((items): IValue => new Map(Object.entries(items))),
    ),
  })).value;
  fc.assert(
    fc.property(value, (constant) => {
      const graph = new Graph();
      graph.addOutput(insertConstant(graph, constant, Array.isArray(constant) ? listOf(IntType) : undefined));
      const printed = printGraph(graph);
      expect(printGraph(parseGraph(printed))).toBe(printed);
    }),
  );
});

// ---- core graphs ------------------------------------------------------------------------------------------------

const spec = fc
  .tuple(dtype, fc.array(size, { maxLength: 3 }))
  .map(([name, sizes]) => tensorSpec(name, sizes));
const literal = fc
  .tuple(spec, fc.boolean(), fc.uint8Array({ minLength: 1, maxLength: 16 }))
  .map(([{ dtype: name, sizes }, splat, pattern]) => {
    const length = dtypes[name].bytes * (splat ? 1 : numel(sizes));
    const bytes = Uint8Array.from({ length }, (_, index) => pattern[index % pattern.length]);
    return new TensorLiteral(name, sizes, bytes, splat);
  });

const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  int64.map((value): Attribute => ({ kind: 'i', value })),
  fc.array(int64, { maxLength: 3 }).map((value): Attribute => ({ kind: 'is', value })),
  fc
    .array(fc.array(int64, { maxLength: 2 }), { maxLength: 3 })
    .map((value): Attribute => ({ kind: 'iss', value })),
  anyFloat.map((value): Attribute => ({ kind: 'f', value })),
  fc.array(anyFloat, { maxLength: 3 }).map((value): Attribute => ({ kind: 'fs', value })),
  fc.boolean().map((value): Attribute => ({ kind: 'b', value })),
  fc.array(fc.boolean(), { maxLength: 3 }).map((value): Attribute => ({ kind: 'bs', value })),
  text.map((value): Attribute => ({ kind: 's', value })),
  fc.array(text, { maxLength: 3 }).map((value): Attribute => ({ kind: 'ss', value })),
  literal.map((value): Attribute => ({ kind: 't', value })),
  fc.array(literal, { maxLength: 2 }).map((value): Attribute => ({ kind: 'ts', value })),
  spec.map((value): Attribute => ({ kind: 'ty', value })),
  fc.array(spec, { maxLength: 2 }).map((value): Attribute => ({ kind: 'tys', value })),
);

interface NodeShape {
  readonly attributes: readonly [string, Attribute][];
  readonly operands: readonly number[];
  readonly outputs: readonly [Type, string | undefined][];
  readonly blocks: readonly (readonly NodeShape[])[];
  readonly line: number | undefined;
}
const name = fc.option(fc.stringMatching(/^[a-z_][a-z0-9_.]{0,4}$/), { nil: undefined });
const nodes = fc.letrec<{ nodes: NodeShape[] }>((tie) => ({
  nodes: fc.array(
    fc.record({
      attributes: fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'value', 'types', 'shape'), attribute), {
        selector: ([key]) => key,
        maxLength: 3,
      }),
      operands: fc.array(fc.nat(99), { maxLength: 3 }),
      outputs: fc.array(fc.tuple(spec as fc.Arbitrary<Type>, name), { maxLength: 2 }),
      blocks: fc.oneof({ maxDepth: 2 }, fc.constant([]), fc.array(tie('nodes'), { maxLength: 2 })),
      line: fc.option(fc.integer({ min: 1, max: 99 }), { nil: undefined }),
    }),
    { maxLength: 5 },
  ),
})).nodes;

function build(shape: readonly NodeShape[]): Graph {
  const graph = new Graph();
  const visible: Value[] = [
    graph.addInput(tensorSpec('float32', [2]), 'x'),
    graph.addInput(tensorSpec('int64', [])),
  ];
  const fill = (list: readonly NodeShape[]): void => {
    const count = visible.length;
    for (const { attributes, operands, outputs, blocks, line } of list) {
      const node = graph.insert(
        'core::something',
        operands.map((index) => visible[index % visible.length]),
        0,
      );
      for (const [key, value] of attributes) {
        // Where a list is named types, its items are types.
        if (key !== 'types' || value.kind === 'tys') node.set(key, value);
      }
      if (line !== undefined) node.source = new SourceRange('dir/model.ts', 'ab', 1, 2, line);
      for (const block of blocks) {
        const inner = node.addBlock();
        const parameter = inner.addInput(tensorSpec('bool', []));
        visible.push(parameter);
        graph.withInsertPoint(inner, () => fill(block));
        inner.addOutput(parameter);
        visible.pop();
      }
      for (const [type, label] of outputs) visible.push(node.addOutput(type).setName(label));
    }
    // What a block defines is not seen outside it.
    if (list !== shape) visible.length = count;
  };
  fill(shape);
  graph.addOutput(visible[visible.length - 1]);
  return graph;
}

test('a core graph is what its text says', () => {
  fc.assert(
    fc.property(nodes, (shape) => {
      const graph = build(shape);
      const printed = printGraph(graph, { sources: true });
      const copy = parseGraph(printed);
      expect(printGraph(copy, { sources: true })).toBe(printed);
      const pairs: [Graph['block'], Graph['block']][] = [[graph.block, copy.block]];
      for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
        const [left, right] = pair.map((block) => [...block.nodes()]);
        left.forEach((node, index) => {
          expect([...right[index].attributes]).toEqual([...node.attributes]);
          expect(right[index].outputs.map((output) => output.type)).toEqual(
            node.outputs.map((output) => output.type),
          );
          node.blocks.forEach((block, at) => pairs.push([block, right[index].blocks[at]]));
        });
      }
    }),
    { numRuns: 100 },
  );
});

test('new values of a graph that was read get new names', () => {
  const graph = parseGraph('graph(%5 : Tensor, %x : Tensor):\n  %0 : Tensor = aten::relu(%5)\n  return (%0)');
  const names = [graph.insert('aten::neg', [graph.inputs[0]]).output.name, graph.addInput().name];
  expect(names.every((value) => !['0', '5', 'x'].includes(value))).toBe(true);
  verifyNames(graph);
});
function verifyNames(graph: Graph): void {
  expect(() => parseGraph(printGraph(graph))).not.toThrow();
}

describe('text of others', () => {
  const seeds = [
    'graph(%x : Float(2, 3), %l : Dict(str, int?[])[]):\n  %1 : Tensor = prim::Constant[value= 1  2 [ CPULongType{2} ]]()\n  %2 : int[] = prim::Constant[value=annotate(List[int], [1, -2])]()\n  %3 : (int, str) = prim::Constant[value=(1, "a\\001\\\"b")]()\n  return (%1)\n',
    'graph(%x : Float(2)):\n  %c : Float(2) = core::constant[value=tensor<float32, [2], 0x0000803f0000803f>]()\n  %r : Float(2), %s : Long() = core::while[a=[[1, 2], []], b=fs[], c=1.5, d=True](%x, %c) # a.ts:3:4\n    block0(%p : Float(2)):\n      -> (%p)\n  %f : Future[Tensor] = prim::fork_0(%x)\n  return (%r)\nwith prim::fork_0 = graph(%y : Tensor):\n  return (%y)\n',
  ];
  const pieces = fc.constantFrom(
    '(',
    ')',
    '[',
    ']',
    '%',
    ':',
    '=',
    '"',
    '\\',
    ',',
    '#',
    '-',
    '{',
    '}',
    '<',
    '>',
    '9'.repeat(30),
    'graph(',
    'with ',
    '[value=',
    '?',
    '[]',
    '\n',
    'inf',
    '((((',
  );
  test('is read or refused with a ParseError, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(6), pieces), {
          minLength: 1,
          maxLength: 4,
        }),
        (seed, edits) => {
          let mutated = seed;
          for (const [where, remove, insert] of edits) {
            const at = Math.floor(where * mutated.length);
            mutated = mutated.slice(0, at) + insert + mutated.slice(at + remove);
          }
          try {
            printGraph(parseGraph(mutated), { exact: true });
          } catch (error) {
            if (!(error instanceof ParseError)) throw error;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
  test('cannot exhaust the stack', () => {
    for (const deep of ['(', 'List[', 'Dict(str, ', 'Optional[']) {
      expect(() => parseType(deep.repeat(100_000))).toThrow(/nested more than/);
    }
    expect(() => parseType(`int${'[]'.repeat(100_000)}`)).toThrow(/more than 100 suffixes/);
    expect(() => parseGraph(`graph():\n%1 : (int) = prim::Constant[value=${'('.repeat(100_000)}`)).toThrow(
      /nested more/,
    );
    expect(() => parseGraph(`graph():\n${'= a::b()\nblock0():\n'.repeat(100_000)}`)).toThrow(/nested more/);
  });
});

describe('errors show the place', () => {
  test.each([
    ['graph(%x : Tensor):\n  %y : Tensor = aten::relu(%z)\n  return (%y)', /%z is not defined.*graph:2:29/s],
    ['graph(%x : Tensor):\n  %x : Tensor = aten::relu(%x)\n  return (%x)', /%x is defined twice.*graph:2:4/s],
    [
      'graph(%x : Tensor):\n  %y : Tensor = relu(%x)\n  return (%y)',
      /expected the kind of a node.*relu\(%x\)/s,
    ],
    ['graph(%x : Tensor):\n  %y : Tensor = aten::relu(%x', /expected '\)'/],
    ['graph(%x : Tensor):\n  return (%x)\nmore', /expected the end of the graph/],
    [
      'graph():\n  %a : Float(2) = core::constant[value=tensor<float32, [2], 0x00>]()\n  return ()',
      /16 hexadecimal digits instead of 2/,
    ],
    [
      'graph():\n  %a : Float(2) = core::constant[value=tensor<float33, [2], 0x00>]()\n  return ()',
      /'float33' is no element type/,
    ],
    [
      'graph():\n  %a : Tensor = prim::Constant[value=<Tensor>]()\n  return ()',
      /print exactly to keep the data/,
    ],
  ])('%j', (wrong, expected) => {
    expect(() => parseGraph(wrong)).toThrow(ParseError);
    expect(() => parseGraph(wrong)).toThrow(expected);
  });
});

test('a graph of thousands of nodes is read and printed at once', () => {
  const graph = new Graph();
  let value = graph.addInput(tensorSpec('float32', [8, 16]), 'x');
  for (let count = 0; count < 5000; count++) {
    value = graph.insert('core::add', [value, value], [tensorSpec('float32', [8, 16])]).output;
  }
  graph.addOutput(value);
  const start = performance.now();
  const printed = printGraph(graph);
  expect(printGraph(parseGraph(printed))).toBe(printed);
  expect(performance.now() - start).toBeLessThan(5000);
});
