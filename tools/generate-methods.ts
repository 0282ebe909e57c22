// Writes the typed methods of tensors and the free functions from the operator schemas:
//   npx tsx tools/generate-methods.ts
// libs/tensor/src/methods.generated.ts (the interface that Tensor merges with, and the names to install) and
// libs/tensor/src/functions.generated.ts (one exported function an operator). They follow from the schemas alone: an
// operator that has no meaning yet says so when it is called.
import { writeFileSync } from 'node:fs';
import type { Argument, Schema, Type } from '../libs/ir/src/index.ts';
import { schemaNames, schemasOf } from '../libs/ir/src/index.ts';

/** Exported names that JavaScript reserves. */
const renamed: Readonly<Record<string, string>> = { var: 'variance' };
/** Members of the Tensor class, and what has a hand-written form. */
const ownMembers = new Set([
  'item',
  'backward',
  'grad',
  'data',
  'device',
  'dtype',
  'is_leaf',
  'tolist',
  'retain_grad',
  'version',
]);
const ownFunctions = new Set([
  'tensor',
  'scalar_tensor',
  'item',
  'backward',
  'grad',
  'data',
  'is_leaf',
  'retain_grad',
]);
/** Back ends and inner parts of operators that programs do not name. */
const internal =
  /^_|_backward$|^(cudnn|miopen|mkldnn|mps|fbgemm|quantized|quantize|fake_quantize|q_|sparse|to_sparse|to_mkldnn)/;
/** Names with an underscore that programs call all the same, as free functions. */
const used = new Set(['_int_mm']);
const reserved = new Set(['function', 'var', 'in', 'default', 'new', 'with', 'this', 'from', 'for']);

const camelCase = (name: string): string =>
  name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());

const isTensorType = (type: Type): boolean =>
  type.kind === 'Tensor' ||
  ((type.kind === 'List' || type.kind === 'Optional') && isTensorType(type.element));
const isOut = ({ arguments: args }: Schema): boolean =>
  args.some(({ kwargOnly, alias }) => kwargOnly && alias?.isWrite === true);

/** Schemas that plain calls choose from (as isPlain of overloads.ts), without `out=` forms. */
const isPlain = (schema: Schema): boolean =>
  !schema.isVararg &&
  !/names|dimname/i.test(schema.overload) &&
  !isOut(schema) &&
  [...schema.arguments, ...schema.returns].some(({ type }) => isTensorType(type));

function parameterType(type: Type, argument?: Argument): string | undefined {
  switch (type.kind) {
    case 'Tensor':
      return 'Tensor';
    case 'Optional': {
      const inner = parameterType(type.element, argument);
      return inner && `${inner} | null`;
    }
    case 'List': {
      const element = parameterType(type.element);
      if (element === undefined) return undefined;
      const list = `readonly ${/[ |]/.test(element) ? `(${element})` : element}[]`;
      return argument?.listSize === undefined ? list : `${list} | ${element}`;
    }
    case 'int':
      return argument?.name === 'dtype' ? 'DType' : 'number';
    case 'float':
      return 'number';
    case 'number':
      return 'Scalar';
    case 'bool':
      return 'boolean';
    case 'str':
      return 'string';
    case 'complex':
      return 'Complex';
    case 'ScalarType':
      return 'DType';
    case 'Layout':
      return 'Layout';
    case 'MemoryFormat':
      return 'MemoryFormat';
    case 'Device':
      return 'string';
    case 'Generator':
      return 'Generator';
    default:
      return undefined;
  }
}

function returnType(type: Type): string | undefined {
  if (type.kind === 'number') return 'number';
  if (type.kind !== 'List') return parameterType(type);
  const element = returnType(type.element);
  return element && `${element}[]`;
}

function resultOf({ returns }: Schema): string | undefined {
  const types = returns.map(({ type }) => returnType(type));
  if (types.includes(undefined)) return undefined;
  return types.length === 0 ? 'void' : types.length === 1 ? types[0] : `[${types.join(', ')}]`;
}

/** Whether numbers one by one may make up the first argument, a list of ints (as isVariadic of overloads.ts). */
function isVariadic(args: readonly Argument[]): boolean {
  const type = args[0]?.type;
  const rest = args.slice(1);
  return (
    type?.kind === 'List' &&
    type.element.kind === 'int' &&
    rest.every((each) => each.hasDefault || each.kwargOnly)
  );
}

/** Call forms: arguments in order, or cut off by an options object at each place where one may stand. */
function formsOf(schema: Schema, skip: number): string[] {
  const result = resultOf(schema);
  const args = schema.arguments.slice(skip);
  const types = new Map(args.map((argument) => [argument, parameterType(argument.type, argument)]));
  if (result === undefined || [...types.values()].includes(undefined)) return [];
  const parameter = (argument: Argument, optional: boolean): string => {
    const name = camelCase(argument.name);
    return `${reserved.has(name) ? `${name}_` : name}${optional ? '?' : ''}: ${types.get(argument)}`;
  };
  const option = (argument: Argument): string =>
    `${camelCase(argument.name)}${argument.hasDefault ? '?' : ''}: ${types.get(argument)}`;
  const positional = args.filter(({ kwargOnly }) => !kwargOnly);
  const keywords = args.filter(({ kwargOnly }) => kwargOnly);
  const required = positional.findLastIndex(({ hasDefault }) => !hasDefault) + 1;
  const optionsAfter = (count: number): string | undefined => {
    const options = [...positional.slice(count), ...keywords].map(option);
    return options.length === 0 ? undefined : `options: { ${options.join('; ')} }`;
  };
  const forms: string[] = [];
  if (keywords.every(({ hasDefault }) => hasDefault)) {
    const plain = positional.map((argument, index) =>
      parameter(argument, argument.hasDefault && index >= required),
    );
    forms.push(`(${plain.join(', ')}): ${result}`);
  }
  // Methods may have all their arguments given by name.
  const first = skip > 0 ? 0 : required;
  for (let count = first; count <= positional.length; count++) {
    if (count > 0 && count < required) continue;
    const options = optionsAfter(count);
    if (options === undefined) continue;
    const given = positional.slice(0, count).map((argument) => parameter(argument, false));
    forms.push(`(${[...given, options].join(', ')}): ${result}`);
  }
  if (isVariadic(args)) {
    const name = camelCase(args[0].name);
    const options = optionsAfter(1);
    if (keywords.every(({ hasDefault }) => hasDefault)) forms.push(`(...${name}: number[]): ${result}`);
    if (options !== undefined) forms.push(`(...args: [...${name}: number[], ${options}]): ${result}`);
  }
  return forms;
}

const methods: string[] = [];
const names: string[] = [];
const functions: string[] = [];
for (const name of schemaNames('aten').sort()) {
  if (!used.has(name) && (internal.test(name) || !/^[a-z][a-z0-9_]*$/.test(name))) continue;
  const schemas = schemasOf(`aten::${name}`).filter(isPlain);
  const own = schemas.filter(
    ({ arguments: args }) => args[0]?.name === 'self' && args[0].type.kind === 'Tensor',
  );
  const methodForms = [...new Set(own.flatMap((schema) => formsOf(schema, 1)))];
  const method = camelCase(name);
  if (methodForms.length > 0 && !ownMembers.has(name) && !used.has(name)) {
    methods.push(...methodForms.map((form) => `  ${method}${form};`));
    names.push(`  ${method}: '${name}',`);
  }
  const forms = [...new Set(schemas.flatMap((schema) => formsOf(schema, 0)))];
  if (forms.length > 0 && !ownFunctions.has(name)) {
    const body = forms.map((form) => `  ${form};`).join('\n');
    functions.push(`export const ${renamed[method] ?? method} = builtin<{\n${body}\n}>('${name}');`);
  }
}

const head = `// Generated by tools/generate-methods.ts from the operator schemas.
import type { Complex, DType } from '@weft/ir';
import type { Generator } from './random/generator.ts';
import type { Tensor } from './tensor.ts';
import type { Layout, MemoryFormat } from './types.ts';
`;
const scalar = 'type Scalar = number | bigint | boolean | Complex;\n';
writeFileSync(
  new URL('../libs/tensor/src/methods.generated.ts', import.meta.url),
  `${head}\n${scalar}\n/** Operators as methods of tensors; in-place ones end in \`_\`. */\nexport interface TensorMethods {\n${methods.join('\n')}\n}\n\n/** Method → operator. */\nexport const methodNames = {\n${names.join('\n')}\n} as const;\n`,
);
writeFileSync(
  new URL('../libs/tensor/src/functions.generated.ts', import.meta.url),
  `${head}import { builtin } from './builtins.ts';\n\n${scalar}\n${functions.join('\n')}\n`,
);
