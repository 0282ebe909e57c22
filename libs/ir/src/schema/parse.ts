// Operator schemas as text: `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`, read and printed.
import type { IValue } from '../types/ivalue.ts';
import type { Type } from '../types/types.ts';
import { formatFloat, parseFloatText } from '../text/number-text.ts';
import { quote } from '../text/quoted.ts';
import { Scanner } from '../text/scanner.ts';
import type { TypeParseOptions } from '../text/type-text.ts';
import { scanBaseType, scanType, shortTypeString } from '../text/type-text.ts';
import type { AliasInfo, Argument, Schema } from './schema.ts';

const typeOptions: TypeParseOptions = { variables: true };

/** Parses one schema. Throws ParseError that shows the offending place. */
export function parseSchema(text: string): Schema {
  const scanner = new Scanner(text, 'schema');
  const [name, overload] = scanName(scanner);
  scanner.expect('(');
  let isVararg = false;
  let kwargOnly = false;
  const args: Argument[] = [];
  if (!scanner.accept(')')) {
    do {
      if (scanner.accept('...')) isVararg = true;
      else if (scanner.accept('*')) kwargOnly = true;
      else args.push(scanArgument(scanner, kwargOnly));
    } while (scanner.accept(','));
    scanner.expect(')');
  }
  scanner.expect('->');
  let isVarret = false;
  const returns: Argument[] = [];
  if (scanner.accept('...')) isVarret = true;
  else if (scanner.accept('(')) {
    if (!scanner.accept(')')) {
      do {
        if (scanner.accept('...')) isVarret = true;
        else returns.push(scanReturn(scanner));
      } while (scanner.accept(','));
      scanner.expect(')');
    }
  } else returns.push(scanReturn(scanner));
  if (!scanner.atEnd) scanner.fail('expected the end of the schema');
  return { name, overload, arguments: args, returns, isVararg, isVarret };
}

/** Name and overload; functions and methods have names with dots and no overload. */
function scanName(scanner: Scanner): [string, string] {
  const name = scanner.match(/[^\s(]+/y) ?? scanner.fail('expected the name of an operator');
  const colons = name.indexOf('::');
  const dot = colons < 0 ? -1 : name.indexOf('.', colons);
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1)];
}

interface ScannedType {
  readonly type: Type;
  readonly alias?: AliasInfo;
  readonly listSize?: number;
}

function scanArgument(scanner: Scanner, kwargOnly: boolean): Argument {
  const { type, alias, listSize } = scanArgumentType(scanner);
  const name = scanner.identifier();
  const hasDefault = scanner.accept('=');
  return {
    name,
    type,
    ...(listSize !== undefined && { listSize }),
    ...(hasDefault && { default: scanDefault(scanner, type) }),
    hasDefault,
    kwargOnly,
    ...(alias && { alias }),
  };
}

function scanReturn(scanner: Scanner): Argument {
  const { type, alias } = scanArgumentType(scanner);
  const name = scanner.peekIdentifier() === undefined ? '' : scanner.identifier();
  return { name, type, hasDefault: false, kwargOnly: false, ...(alias && { alias }) };
}

/** A type with alias annotations, which stand before or after the suffixes: `Tensor(a!)[]`, `t[](a!)`, `t(a)?`. */
function scanArgumentType(scanner: Scanner): ScannedType {
  let type = scanBaseType(scanner, typeOptions);
  let alias = scanAlias(scanner);
  let listSize: number | undefined;
  for (;;) {
    if (scanner.accept('[')) {
      listSize = scanner.sees(']') ? undefined : scanner.integer();
      scanner.expect(']');
      type = { kind: 'List', element: type };
      const own = scanAlias(scanner);
      if (own !== undefined || alias !== undefined) {
        alias = { before: [], after: [], isWrite: false, ...own, ...(alias && { contained: alias }) };
      }
    } else if (scanner.accept('?')) {
      type = { kind: 'Optional', element: type };
      alias ??= scanAlias(scanner);
    } else break;
  }
  return { type, ...(alias && { alias }), ...(listSize !== undefined && { listSize }) };
}

function scanAlias(scanner: Scanner): AliasInfo | undefined {
  if (!scanner.accept('(')) return undefined;
  const sets = (): string[] => {
    const names: string[] = [];
    do names.push(scanner.accept('*') ? '*' : scanner.identifier());
    while (scanner.accept('|'));
    return names;
  };
  const before = sets();
  const isWrite = scanner.accept('!');
  const after = scanner.accept('->') ? sets() : before;
  scanner.expect(')');
  return { before, after, isWrite };
}

/** Named constants that schemas may use as defaults (c10's and ATen's numbers). */
const namedDefaults: Readonly<Record<string, IValue>> = {
  None: null,
  True: true,
  False: false,
  Mean: 1n,
  Sum: 2n,
  contiguous_format: 0n,
  preserve_format: 1n,
  channels_last: 2n,
  long: 4n,
  strided: 0n,
};

function scanDefault(scanner: Scanner, type: Type): IValue {
  const element = type.kind === 'Optional' ? type.element : type;
  if (scanner.sees('"')) return scanner.quoted();
  if (scanner.accept('[')) {
    return scanner.list(']', () => scanDefault(scanner, element.kind === 'List' ? element.element : element));
  }
  const number = scanner.acceptNumber();
  if (number === undefined) {
    const name = scanner.identifier();
    const value = namedDefaults[name];
    if (value === undefined) scanner.fail(`'${name}' is no known default`);
    return value;
  }
  // `int[2] padding=0` gives every element; it is kept as the single number.
  const kind = element.kind === 'List' ? element.element.kind : element.kind;
  const isFloat = kind === 'float' || !/^[+-]?\d+$/.test(number);
  return isFloat ? parseFloatText(number) : BigInt(number);
}

/** Reads a type without alias annotations (`int[2]?`) as schemas write it, with variables. */
export const scanSchemaType = (scanner: Scanner): Type => scanType(scanner, typeOptions);

// ---- printing ---------------------------------------------------------------------------------------------------

/** The schema as PyTorch prints it. */
export function schemaToString(schema: Schema): string {
  const parts: string[] = [];
  let kwargOnly = false;
  for (const argument of schema.arguments) {
    if (argument.kwargOnly && !kwargOnly) parts.push('*');
    kwargOnly = argument.kwargOnly;
    const text = `${argumentType(argument)} ${argument.name}`;
    parts.push(argument.hasDefault ? `${text}=${defaultToString(argument.default ?? null)}` : text);
  }
  if (schema.isVararg) parts.push('...');
  const results = schema.returns.map(
    (result) => `${argumentType(result)}${result.name ? ` ${result.name}` : ''}`,
  );
  if (schema.isVarret) results.push('...');
  const single = results.length === 1 && !results[0].startsWith('(');
  const qualified = schema.overload === '' ? schema.name : `${schema.name}.${schema.overload}`;
  return `${qualified}(${parts.join(', ')}) -> ${single ? results[0] : `(${results.join(', ')})`}`;
}

function argumentType({ type, alias, listSize }: Argument): string {
  const isOptional = type.kind === 'Optional';
  const base = isOptional ? type.element : type;
  if (base.kind !== 'List') {
    const optional = isOptional ? '?' : '';
    return `${shortTypeString(base)}${aliasToString(alias)}${optional}`;
  }
  const element = argumentType({ ...emptyArgument, type: base.element, alias: alias?.contained });
  const own = alias?.before.length ? aliasToString(alias) : '';
  return `${element}[${listSize ?? ''}]${own}${isOptional ? '?' : ''}`;
}
const emptyArgument: Argument = { name: '', type: { kind: 'Any' }, hasDefault: false, kwargOnly: false };

function aliasToString(alias: AliasInfo | undefined): string {
  if (alias === undefined) return '';
  const before = alias.before.join('|');
  const after = alias.after.join('|');
  return `(${before}${alias.isWrite ? '!' : ''}${after === before ? '' : ` -> ${after}`})`;
}

function defaultToString(value: IValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return formatFloat(value);
  if (typeof value === 'string') return quote(value);
  return `[${(value as readonly IValue[]).map(defaultToString).join(', ')}]`;
}
