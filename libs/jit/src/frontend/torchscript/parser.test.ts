import { describe, expect, test } from '@jest/globals';
import type * as tree from '../tree.ts';
import { parseTorchScript, parseTypeExpression } from './parser.ts';

/** The tree without ranges, which keeps expectations readable. */
const bare = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, inner) =>
      key === 'range' ? undefined : typeof inner === 'bigint' ? `${inner}n` : inner,
    ),
  );

const statement = (text: string) => bare(parseTorchScript(text, 'test.py').body[0]) as tree.Statement;
const expression = (text: string) => bare(parseTypeExpression(text, 'test.py'));

describe('the parser of TorchScript', () => {
  test.each([
    [
      '1 + 2 * 3',
      {
        kind: 'Binary',
        operator: 'add',
        left: { kind: 'Int', value: '1n' },
        right: {
          kind: 'Binary',
          operator: 'mul',
          left: { kind: 'Int', value: '2n' },
          right: { kind: 'Int', value: '3n' },
        },
      },
    ],
    [
      '-2 ** 2',
      {
        kind: 'Unary',
        operator: 'neg',
        operand: {
          kind: 'Binary',
          operator: 'pow',
          left: { kind: 'Int', value: '2n' },
          right: { kind: 'Int', value: '2n' },
        },
      },
    ],
    ['-9223372036854775808', { kind: 'Int', value: '-9223372036854775808n' }],
    ['"a\\n\\303\\251"', { kind: 'String', value: 'a\né' }],
    ['(1,)', { kind: 'Tuple', elements: [{ kind: 'Int', value: '1n' }] }],
    [
      'x[1:, None]',
      {
        kind: 'Subscript',
        object: { kind: 'Name', name: 'x' },
        indices: [{ kind: 'Slice', start: { kind: 'Int', value: '1n' } }, { kind: 'None' }],
      },
    ],
    ['not a', { kind: 'Not', operand: { kind: 'Condition', operand: { kind: 'Name', name: 'a' } } }],
    [
      'f(a, k=1., )',
      {
        kind: 'Apply',
        callee: { kind: 'Name', name: 'f' },
        arguments: [{ kind: 'Name', name: 'a' }],
        keywords: [{ name: 'k', value: { kind: 'Float', value: 1 } }],
      },
    ],
    ['2.5j', { kind: 'Imaginary', value: 2.5 }],
  ])('%s', (text, expected) => expect(expression(text)).toEqual(expected));

  test('statements keep their blocks', () => {
    expect(statement('if a:\n  b = 1\nelif c:\n  pass\nelse:\n  return\n')).toMatchObject({
      kind: 'If',
      then: [{ kind: 'Assign' }],
      otherwise: [{ kind: 'If', then: [{ kind: 'Pass' }], otherwise: [{ kind: 'Return' }] }],
    });
  });

  test.each([
    ['x = ', 'an expression is expected', 'test.py:1'],
    ['if a:\nb = 1\n', 'an indented block is expected', 'test.py:2'],
    ['x = "abc', 'this string is not closed', 'test.py:1'],
    ['x = $', "'$' has no meaning here", 'test.py:1'],
    ['x = [y for y in ys if y]', 'comprehensions cannot have conditions', 'test.py:1'],
    ['x //= 2', 'the end of the statement is expected', 'test.py:1'],
    ['def f(*xs: int):\n  pass\n', 'functions cannot take a variable number of arguments', 'test.py:1'],
    [`x = ${'('.repeat(500)}`, 'the text is nested more than 400 deep', 'test.py:1'],
  ])('%j is refused with its place', (text, message, place) => {
    expect(() => parseTorchScript(text, 'test.py')).toThrow(message);
    expect(() => parseTorchScript(text, 'test.py')).toThrow(place);
  });

  test('a class of an archive has annotated attributes and methods', () => {
    const { body } = parseTorchScript(
      'class Main(Module):\n  __parameters__ = ["w", ]\n  w : Tensor\n  def forward(self: __torch__.Main,\n    x: Tensor) -> Tensor:\n    return torch.add(x, self.w)\n',
      'test.py',
    );
    expect(bare(body[0])).toMatchObject({
      kind: 'ClassDef',
      name: 'Main',
      body: [
        { kind: 'Assign' },
        { kind: 'Assign', type: { name: 'Tensor' } },
        { kind: 'Def', name: 'forward' },
      ],
    });
  });
});
