// Writes the typed methods of tensors and the free functions from the operator schemas:
//   npx tsx tools/generate-methods.ts
// libs/tensor/src/methods.generated.ts (the interface that Tensor merges with, and the names to install) and
// libs/tensor/src/functions.generated.ts (one exported function an operator).
import { writeFileSync } from 'node:fs';
import type { Argument, Schema, Type } from '../libs/ir/src/index.ts';
import { schemaNames, schemasOf } from '../libs/ir/src/index.ts';

/** JavaScript's reserved words and globals that an operator's name would hide. */
const reserved: Readonly<Record<string, string>> = {
  var: 'variance',
  delete: 'delete_',
  in: 'in_',
  eval: 'eval_',
  function: 'function_',
};
/** Defined by hand on Tensor, or meaningless as plain calls. */
const byHand = new Set([
  'item',
  'backward',
  'grad',
  'requires_grad',
  'data',
  'device',
  'dtype',
  'is_leaf',
  'tolist',
]);

const camelCase = (name: string): string =>
  name.replace(/([a-z0-9])_([a-z0-9])/g, (_, a: string, b: string) => a + b.toUpperCase());
const exported = (name: string): string => reserved[name] ?? camelCase(name);

const typeName = (type: Type, argument?: Argument): string | undefined => {
  switch (type.kind) {
    case 'Tensor':
      return 'Tensor';
    case 'int':
      return argument?.name === 'dtype' ? 'DType | number' : 'number';
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
    case 'MemoryFormat':
      return 'number';
    case 'Device':
      return 'string';
    case 'Generator':
      return 'Generator';
    case 'Optional': {
      const inner = typeName(type.element, argument);
      return inner === undefined ? undefined : `${inner} | null`;
    }
    case 'List': {
      const inner = typeName(type.element);
      if (inner === undefined) return undefined;
      const list = `readonly ${/[ |]/.test(inner) ? `(${inner})` : inner}[]`;
      return argument?.listSize === undefined ? list : `${inner} | ${list}`;
    }
    default:
      return undefined;
  }
};

const returnName = (schema: Schema): string | undefined => {
  const names = schema.returns.map(({ type }) => {
    if (type.kind === 'List')
      return type.element.kind === 'Tensor'
        ? 'Tensor[]'
        : type.element.kind === 'int'
          ? 'number[]'
          : undefined;
    if (type.kind === 'number') return 'number';
    return typeName(type);
  });
  if (names.includes(undefined)) return undefined;
  return names.length === 0 ? 'void' : names.length === 1 ? names[0] : `[${names.join(', ')}]`;
};

/** `(dim: number, options?: { keepdim?: boolean }) => Tensor`, or undefined for schemas that plain values cannot call. */
function signature(schema: Schema, skip: number): string | undefined {
  const result = returnName(schema);
  if (result === undefined || schema.isVararg) return undefined;
  if (schema.arguments.some(({ kwargOnly, alias }) => kwargOnly && alias?.isWrite === true)) return undefined;
  const positional: string[] = [];
  const keywords: string[] = [];
  let optional = false;
  for (const argument of schema.arguments.slice(skip)) {
    const type = typeName(argument.type, argument);
    if (type === undefined) return undefined;
    const name = camelCase(argument.name);
    const safe = ['function', 'var', 'in', 'default', 'new'].includes(name) ? `${name}_` : name;
    optional ||= argument.hasDefault;
    if (!argument.kwargOnly) positional.push(`${safe}${optional ? '?' : ''}: ${type}`);
    if (argument.kwargOnly || argument.hasDefault)
      keywords.push(`${name}${argument.hasDefault ? '?' : ''}: ${type}`);
  }
  const required = schema.arguments
    .slice(skip)
    .filter(({ hasDefault, kwargOnly }) => !hasDefault && !kwargOnly).length;
  const forms = [`(${positional.join(', ')}): ${result}`];
  if (keywords.length > 0) {
    const options = `options${keywords.every((keyword) => /\?:/.test(keyword)) ? '?' : ''}: { ${keywords.join('; ')} }`;
    // Keywords may follow any number of positional arguments from the required ones on.
    for (let count = required; count <= positional.length; count++) {
      const given = positional.slice(0, count).map((one) => one.replace('?:', ':'));
      forms.push(
        `(${[...given, count === positional.length ? options : options.replace('options?', 'options')].join(', ')}): ${result}`,
      );
    }
    if (schema.arguments.some(({ kwargOnly, hasDefault }) => kwargOnly && !hasDefault)) forms.shift();
  }
  return forms.map((form) => `  ${form};`).join('\n');
}

const methods: string[] = [];
const names: string[] = [];
const functions: string[] = [];
for (const name of schemaNames('aten').sort()) {
  if (name.startsWith('_') || !/^[a-z][a-z0-9_]*$/.test(name)) continue;
  const schemas = schemasOf(`aten::${name}`);
  const involved = schemas.filter(
    ({ overload, arguments: formals, returns }) =>
      !/dimname|names/i.test(overload) &&
      [...formals, ...returns].some(
        ({ type }) => type.kind === 'Tensor' || (type.kind === 'List' && type.element.kind === 'Tensor'),
      ),
  );
  const free = [...new Set(involved.flatMap((schema) => signature(schema, 0) ?? []))];
  if (free.length > 0 && !byHand.has(name))
    functions.push(`export const ${exported(name)} = builtin<{\n${free.join('\n')}\n}>('${name}');`);
  const own = involved.filter(
    ({ arguments: formals }) => formals[0]?.type.kind === 'Tensor' && formals[0].name === 'self',
  );
  const forms = [...new Set(own.flatMap((schema) => signature(schema, 1) ?? []))];
  if (forms.length === 0 || byHand.has(name)) continue;
  const method = name === 'var' ? 'var' : camelCase(name);
  methods.push(forms.map((form) => form.replace(/^ {2}\(/gm, `  ${method}(`)).join('\n'));
  names.push(`  ${/^[a-zA-Z_]\w*$/.test(method) ? method : `'${method}'`}: '${name}',`);
}

const head = `// Generated by tools/generate-methods.ts from the operator schemas.\nimport type { Complex, DType } from '@weft/ir';\nimport type { Generator } from './random/generator.ts';\nimport type { Tensor } from './tensor.ts';\n`;
const scalar = 'type Scalar = number | bigint | boolean | Complex;\n';
writeFileSync(
  new URL('../libs/tensor/src/methods.generated.ts', import.meta.url),
  `${head}\n${scalar}\n/** Operators as methods of tensors; in-place ones end in \`_\`. */\nexport interface TensorMethods {\n${methods.join('\n')}\n}\n\n/** Method → operator. */\nexport const methodNames = {\n${names.join('\n')}\n} as const;\n`,
);
writeFileSync(
  new URL('../libs/tensor/src/functions.generated.ts', import.meta.url),
  `${head}import { builtin } from './builtins.ts';\n\n${scalar}\n${functions.join('\n')}\n`,
);
