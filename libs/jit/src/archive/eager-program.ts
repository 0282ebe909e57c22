// Recorded programs that have no archive: straight lines of Python that make tensors and modules (random numbers, initial
// parameters). They are read with the parser of archives and done with eager tensors. What is not in the tables below, or
// has branches, loops or functions of its own, is not run: `NotRun` says what it was.
import type { IValue } from '@weft/ir';
import { schemasOf } from '@weft/ir';
import * as eager from '@weft/tensor';
import { F, Generator, Tensor, callEager, getRngState, nn, setRngState, tensor } from '@weft/tensor';
import { parseTorchScript } from '../frontend/torchscript/parser.ts';
import type * as tree from '../frontend/tree.ts';

/** A program that uses something which is not known here. */
export class NotRun extends Error {}

/** Runs the text and gives its variable `result`. Ints are bigints, floats numbers, dicts Maps. */
export function runProgram(text: string): IValue {
  let body: tree.SourceModule['body'];
  try {
    ({ body } = parseTorchScript(text, 'program'));
  } catch (error) {
    throw new NotRun((error as Error).message.split('\n')[0]);
  }
  const variables = new Map<string, unknown>(Object.entries(globals));
  for (const statement of body) execute(statement, variables);
  return variables.get('result') as IValue;
}

type Variables = Map<string, unknown>;
type Keywords = Readonly<Record<string, unknown>>;
/** Something that Python calls: its arguments by place and by name. */
type Callable = (positional: readonly unknown[], keywords: Keywords) => unknown;
/** What has members that are looked up by name. */
class Namespace {
  constructor(readonly member: (name: string) => unknown) {}
}

const refuse = (what: string): never => {
  throw new NotRun(`the program uses ${what}`);
};

const camelCase = (name: string): string =>
  name.replace(/(?<=[a-z0-9])_([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());

/** Ints become numbers, names camel case: as functions and classes written in TypeScript take them. */
const plain = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value);
  return Array.isArray(value) ? value.map(plain) : value;
};
const options = (keywords: Keywords): unknown[] =>
  Object.keys(keywords).length === 0
    ? []
    : [Object.fromEntries(Object.entries(keywords).map(([name, value]) => [camelCase(name), plain(value)]))];

/** Parameters of a Python function after its first ones, with their defaults. */
type Signature = readonly (readonly [name: string, value: unknown])[];

/** All arguments by place. */
function bind(
  signature: Signature,
  fixed: number,
  positional: readonly unknown[],
  keywords: Keywords,
): unknown[] {
  const rest = signature.map(([name, value], at) => positional[fixed + at] ?? keywords[name] ?? value);
  return [...positional.slice(0, fixed), ...rest];
}

const operator =
  (name: string, signature?: Signature): Callable =>
  (positional, keywords) => {
    const given = signature === undefined ? positional : bind(signature, 1, positional, keywords);
    const named = signature === undefined && Object.keys(keywords).length > 0 ? [keywords] : [];
    const qualified = `aten::${name}`;
    const result = callEager(qualified, [...given, ...named]);
    const isInt = schemasOf(qualified).every(({ returns }) => returns[0]?.type.kind === 'int');
    return typeof result === 'number' && isInt ? BigInt(result) : result;
  };

// ---- torch --------------------------------------------------------------------------------------------------------

const dtypeNames = new Set(
  'float16 bfloat16 float32 float64 int8 int16 int32 int64 uint8 bool complex64 complex128'.split(' '),
);

/** Python's numbers say what dtype a tensor gets: one float makes all of them floats. */
function makeTensor([data]: readonly unknown[], keywords: Keywords): Tensor {
  const leaves = [data].flat(Infinity);
  const hasFloat = leaves.some((leaf) => typeof leaf === 'number');
  const dtype = keywords.dtype ?? (hasFloat ? 'float32' : undefined);
  return tensor(plain(data) as never, (dtype === undefined ? {} : { dtype }) as never);
}

const torchFunctions: Readonly<Record<string, Callable>> = {
  tensor: makeTensor,
  Generator: () => new Generator(),
  get_rng_state: () => getRngState(),
  set_rng_state: ([state]) => setRngState(state as Tensor),
};

const half = ['p', 0.5] as const;
const training = ['training', true] as const;
const inference = ['training', false] as const;
/** Functions of torch.nn.functional that are an operator with Python's defaults. */
const functional: Readonly<Record<string, Callable>> = {
  dropout: operator('dropout', [half, training]),
  dropout1d: operator('feature_dropout', [half, training]),
  dropout2d: operator('feature_dropout', [half, training]),
  dropout3d: operator('feature_dropout', [half, training]),
  alpha_dropout: operator('alpha_dropout', [half, inference]),
  feature_alpha_dropout: operator('feature_alpha_dropout', [half, inference]),
  rrelu: operator('rrelu', [['lower', 1 / 8], ['upper', 1 / 3], inference]),
  gumbel_softmax: (positional, keywords) => {
    const [logits, tau, hard] = bind(
      [
        ['tau', 1],
        ['hard', false],
      ],
      1,
      positional,
      keywords,
    );
    return F.gumbelSoftmax(logits as Tensor, tau as number, hard as boolean);
  },
};

/** Parameters that TypeScript's functions take by place, where Python may name them. */
const initializers: Readonly<Record<string, Signature>> = {
  trunc_normal_: [
    ['mean', 0],
    ['std', 1],
    ['a', -2],
    ['b', 2],
  ],
  xavier_uniform_: [['gain', 1]],
  xavier_normal_: [['gain', 1]],
  orthogonal_: [['gain', 1]],
};
/** Parameters that TypeScript's modules take by name, where Python may give them by place: from which place on. */
const moduleOptions: Readonly<Record<string, { readonly from: number; readonly names: readonly string[] }>> =
  {
    TransformerEncoderLayer: { from: 2, names: ['dimFeedforward', 'dropout'] },
  };

const memberOf = (object: object, name: string, where: string): unknown => {
  const found = (object as Record<string, unknown>)[name];
  return found === undefined ? refuse(`${where}.${name}`) : found;
};

const init = new Namespace((name): Callable => {
  const call = memberOf(nn.init, camelCase(name), 'nn.init') as (...args: unknown[]) => unknown;
  const signature = initializers[name];
  return (positional, keywords) => {
    const args = positional.map(plain);
    return signature === undefined
      ? call(...args, ...options(keywords))
      : call(...bind(signature, 1, args, keywords).map(plain));
  };
});

const modules = new Namespace((name) => {
  if (name === 'init') return init;
  if (name === 'functional') return functions;
  const Module = memberOf(nn, name, 'nn') as new (...args: unknown[]) => nn.Module;
  return ((positional, keywords) => {
    const { from = positional.length, names = [] } = moduleOptions[name] ?? {};
    const byPlace = positional.slice(from).map((value, at) => [names[at], plain(value)] as const);
    const args = positional
      .slice(0, from)
      .map((value) =>
        value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : plain(value),
      );
    const [named = {}] = options(keywords) as object[];
    const all = { ...Object.fromEntries(byPlace), ...named };
    return new Module(...args, ...(Object.keys(all).length === 0 ? [] : [all]));
  }) satisfies Callable;
});

const functions = new Namespace((name) => functional[name] ?? refuse(`torch.nn.functional.${name}`));

const torch = new Namespace((name) => {
  if (name === 'nn') return modules;
  if (dtypeNames.has(name)) return name;
  if (Object.hasOwn(torchFunctions, name)) return torchFunctions[name];
  if (!(camelCase(name) in eager)) refuse(`torch.${name}`);
  return operator(name);
});

const globals: Readonly<Record<string, unknown>> = {
  torch,
  nn: modules,
  F: functions,
  math: new Namespace((name): Callable => {
    const call = memberOf(Math, name, 'math') as (...args: unknown[]) => unknown;
    return (positional) => call(...positional.map(plain));
  }),
  dict: (([entries]) => new Map(entries as Iterable<[unknown, unknown]>)) satisfies Callable,
};

/** A method of a value. */
function method(object: unknown, name: string): Callable {
  if (object instanceof Tensor) {
    if (name === 'double') return () => callEager('aten::to', [object, 'float64']);
    return (positional, keywords) => operator(name)([object, ...positional], keywords);
  }
  if (object instanceof nn.Module || object instanceof Generator) {
    const call = (object as unknown as Record<string, unknown>)[camelCase(name)];
    if (typeof call !== 'function') refuse(`the method ${name}`);
    return (positional) => (call as (...args: unknown[]) => unknown).apply(object, positional.map(plain));
  }
  return refuse(`the method ${name}`);
}

// ---- Statements and expressions -----------------------------------------------------------------------------------

function execute(statement: tree.SourceModule['body'][number], variables: Variables): void {
  if (statement.kind === 'ExpressionStatement') void evaluate(statement.expression, variables);
  else if (statement.kind === 'Assign' && statement.value !== undefined) {
    const value = evaluate(statement.value, variables);
    for (const target of statement.targets) assign(target, value, variables);
  } else refuse(`a statement (${statement.kind})`);
}

function assign(target: tree.Expression, value: unknown, variables: Variables): void {
  if (target.kind === 'Name') variables.set(target.name, value);
  else if (target.kind === 'Tuple')
    target.elements.forEach((each, index) => assign(each, (value as unknown[])[index], variables));
  else refuse(`an assignment (${target.kind})`);
}

function evaluate(expression: tree.Expression, variables: Variables): unknown {
  const value = (each: tree.Expression): unknown => evaluate(each, variables);
  switch (expression.kind) {
    case 'Int':
    case 'Float':
    case 'String':
    case 'Bool':
      return expression.value;
    case 'None':
      return null;
    case 'Name':
      return variables.has(expression.name) ? variables.get(expression.name) : refuse(expression.name);
    case 'List':
    case 'Tuple':
      return expression.elements.map(value);
    case 'Dict':
      return new Map(expression.entries.map((entry) => [value(entry.key), value(entry.value)]));
    case 'Select': {
      const object = value(expression.object);
      return object instanceof Namespace ? object.member(expression.name) : method(object, expression.name);
    }
    case 'Apply': {
      const call = value(expression.callee) as Callable;
      const keywords = expression.keywords.map((keyword) => [keyword.name, value(keyword.value)] as const);
      return call(expression.arguments.map(value), Object.fromEntries(keywords));
    }
    case 'Subscript':
      return subscript(value(expression.object) as Tensor, expression.indices, value);
    case 'Unary': {
      const operand = value(expression.operand);
      if (expression.operator === 'neg' && typeof operand === 'bigint') return -operand;
      return refuse(`an operator (${expression.operator})`);
    }
    case 'Binary': {
      const [left, right] = [value(expression.left), value(expression.right)];
      if (typeof left !== 'bigint' || typeof right !== 'bigint') return refuse('arithmetic');
      if (expression.operator === 'pow') return left ** right;
      if (expression.operator === 'sub') return left - right;
      return refuse(`an operator (${expression.operator})`);
    }
    default:
      return refuse(`an expression (${expression.kind})`);
  }
}

/** `x[i, a:b:c]`: views of a tensor. */
function subscript(
  object: Tensor,
  indices: readonly tree.Expression[],
  value: (expression: tree.Expression) => unknown,
): Tensor {
  let dim = 0n;
  let seen: unknown = object;
  for (const index of indices) {
    if (index.kind === 'Slice') {
      const bound = (part: tree.Expression | undefined): unknown => (part === undefined ? null : value(part));
      const step = index.step === undefined ? 1n : value(index.step);
      seen = callEager('aten::slice', [seen, dim++, bound(index.start), bound(index.stop), step]);
    } else seen = callEager('aten::select', [seen, dim, value(index)]);
  }
  return seen as Tensor;
}
