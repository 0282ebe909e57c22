// Types as text. Graphs show a type as PyTorch's stream operator prints it: `Float(2, 3, strides=[3, 1])`, `int[]`,
// `(int, str)`; inside Dict and Union the shorter `str()` form stands. Code and `annotate(…)` show Python's annotation:
// `List[int]`. One parser reads all of them.
import { createFloatingName } from './opaque.ts';
import type { DType } from '../types/dtype.ts';
import { dtypeOfPrintName, dtypes } from '../types/dtype.ts';
import type { IValue } from '../types/ivalue.ts';
import type { SimpleType, TensorType, TupleType, Type } from '../types/types.ts';
import { AnyTensorType, IntType, NoneType, NumberType, createClassType } from '../types/types.ts';
import { unionOf } from '../types/union.ts';
import { Scanner } from './scanner.ts';

// ---- printing ---------------------------------------------------------------------------------------------------

/** Names of simple types in text where they differ from their kind. */
const simpleNames: Partial<Record<SimpleType['kind'], string>> = {
  None: 'NoneType',
  number: 'Scalar',
  AnyList: 'list',
  AnyTuple: 'tuple',
  AnyClass: 'AnyClassType',
  AnyEnum: 'AnyEnumType',
};

/**
 * The type as graphs show it.
 * @param printDefault prints defaults of named tuples' fields; they are left out without it
 */
export function typeToString(type: Type, printDefault?: (value: IValue) => string): string {
  switch (type.kind) {
    case 'Tensor':
      return tensorToString(type);
    case 'List':
      return `${typeToString(type.element, printDefault)}[]`;
    case 'Optional':
      return `${typeToString(type.element, printDefault)}?`;
    case 'Future':
      return `Future[${typeToString(type.element, printDefault)}]`;
    case 'Tuple':
      return tupleToString(type, printDefault);
    default:
      return shortTypeString(type);
  }
}

function tensorToString(type: TensorType): string {
  const { dtype, sizes, strides, device, requiresGrad } = type;
  const parts: string[] = [];
  if (sizes !== undefined) {
    for (const size of sizes) parts.push(size === null ? '*' : String(size));
    const complete = sizes.length > 0 && strides?.length === sizes.length && !strides.includes(null);
    if (complete) parts.push(`strides=[${strides.join(', ')}]`);
  }
  if (requiresGrad !== undefined) parts.push(`requires_grad=${Number(requiresGrad)}`);
  if (device !== undefined) parts.push(`device=${device}`);
  const scalar = dtype === undefined ? '' : dtypes[dtype].printName;
  const name = dtype === undefined || sizes === undefined ? `${scalar}Tensor` : scalar;
  return sizes !== undefined || parts.length > 0 ? `${name}(${parts.join(', ')})` : name;
}

function tupleToString(type: TupleType, printDefault?: (value: IValue) => string): string {
  const { elements, fields, defaults = [] } = type;
  const firstDefault = elements.length - defaults.length;
  const items = elements.map((element, index) => {
    const text = typeToString(element, printDefault);
    if (fields === undefined) return text;
    const hasDefault = printDefault !== undefined && index >= firstDefault;
    return `${fields[index]} : ${text}${hasDefault ? ` = ${printDefault(defaults[index - firstDefault])}` : ''}`;
  });
  return `${fields === undefined ? '' : 'NamedTuple'}(${items.join(', ')})`;
}

/** PyTorch's `Type::str()`: as schemas show types; tensors are plain. */
export function shortTypeString(type: Type): string {
  switch (type.kind) {
    case 'Tensor':
      return 'Tensor';
    case 'List':
      return `${shortTypeString(type.element)}[]`;
    case 'Optional':
      return `${shortTypeString(type.element)}?`;
    case 'Future':
      return `Future(${shortTypeString(type.element)})`;
    case 'Dict':
      return `Dict(${shortTypeString(type.key)}, ${shortTypeString(type.value)})`;
    case 'Tuple':
      return type.name ? type.name : `(${type.elements.map(shortTypeString).join(', ')})`;
    case 'Union':
      return `Union(${unionMembers(type.members, shortTypeString)})`;
    case 'Class':
      return type.name;
    case 'Interface':
      return `InterfaceType<${type.name.slice(type.name.lastIndexOf('.') + 1)}>`;
    case 'Enum':
      return `Enum<${type.name}>`;
    case 'Function':
      return 'Function';
    case 'Var':
      return type.name;
    default:
      return simpleNames[type.kind] ?? type.kind;
  }
}

/** int, float and complex together print as one Scalar at the end; the comma they leave behind is PyTorch's. */
function unionMembers(members: readonly Type[], print: (type: Type) => string): string {
  const numbers = ['int', 'float', 'complex'];
  const holdsNumber = numbers.every((kind) => members.some((member) => member.kind === kind));
  if (!holdsNumber) return members.map(print).join(', ');
  let text = '';
  let printed = false;
  members.forEach((member, index) => {
    if (numbers.includes(member.kind)) return;
    if (index > 0) {
      text += ', ';
      printed = true;
    }
    text += print(member);
  });
  return `${text}${printed ? ', ' : ''}${print(NumberType)}`;
}

/**
 * The type as a Python annotation, as `.code`, archives and error messages show it: `List[Optional[int]]`.
 * @param nameOf prints the qualified name of a class, interface, enum or named tuple
 */
export function annotationString(type: Type, nameOf: (qualified: string) => string = (name) => name): string {
  const print = (inner: Type): string => annotationString(inner, nameOf);
  switch (type.kind) {
    case 'List':
      return `List[${print(type.element)}]`;
    case 'Optional':
      return `Optional[${print(type.element)}]`;
    case 'Future':
      return `Future[${print(type.element)}]`;
    case 'Dict':
      return `Dict[${print(type.key)}, ${print(type.value)}]`;
    case 'Tuple':
      if (type.name) return nameOf(type.name);
      return type.elements.length === 0 ? 'Tuple[()]' : `Tuple[${type.elements.map(print).join(', ')}]`;
    case 'Union':
      return `Union[${unionMembers(type.members, print)}]`;
    case 'Class':
    case 'Interface':
    case 'Enum':
      return nameOf(type.name);
    case 'number':
      return 'number';
    default:
      return shortTypeString(type);
  }
}

// ---- parsing ----------------------------------------------------------------------------------------------------

/** Gives names in text their types. What is not resolved becomes an opaque type of that name. */
export interface TypeResolver {
  named?(qualifiedName: string): Type | undefined;
  enumNamed?(qualifiedName: string): Type | undefined;
  interfaceNamed?(name: string): Type | undefined;
}

export interface TypeParseOptions extends TypeResolver {
  /** Whether names of a schema's type variables (`t`, `t1`, `tKey`) are variables. */
  readonly variables?: boolean;
  /** Reads defaults of named tuples' fields. */
  readonly parseDefault?: (scanner: Scanner, type: Type) => IValue;
}

const simpleByText = new Map<string, Type>([
  ...(
    [
      'int',
      'float',
      'complex',
      'bool',
      'str',
      'Device',
      'Any',
      'Generator',
      'Stream',
      'Storage',
      'Layout',
      'MemoryFormat',
      'ScalarType',
      'QScheme',
      'Capsule',
    ] as const
  ).map((kind): [string, Type] => [kind, { kind }]),
  ['SymInt', IntType],
  ['NoneType', NoneType],
  ['None', NoneType],
  ['Scalar', NumberType],
  ['number', NumberType],
  ['list', { kind: 'AnyList' }],
  ['tuple', { kind: 'AnyTuple' }],
  ['AnyListType', { kind: 'AnyList' }],
  ['AnyTupleType', { kind: 'AnyTuple' }],
  ['AnyClassType', { kind: 'AnyClass' }],
  ['AnyEnumType', { kind: 'AnyEnum' }],
]);

const variablePattern = /^(?:t\d*|t[A-Z]\w*|[a-su-z])$/;

/** The type that `text` shows, in any of the printed forms. Throws ParseError. */
export function parseType(text: string, options: TypeParseOptions = {}): Type {
  const scanner = new Scanner(text, 'type');
  const type = scanType(scanner, options);
  if (!scanner.atEnd) scanner.fail('expected the end of the type');
  return type;
}

/** Reads a type with its `[]` and `?` suffixes. */
export function scanType(scanner: Scanner, options: TypeParseOptions): Type {
  let type = scanner.nest(() => scanBaseType(scanner, options));
  for (let depth = 0; ; depth++) {
    if (depth > 100) scanner.fail('a type with more than 100 suffixes');
    if (scanner.accept('[]')) type = { kind: 'List', element: type };
    else if (scanner.accept('?')) type = { kind: 'Optional', element: type };
    else return type;
  }
}

/** Reads a type without suffixes. */
export function scanBaseType(scanner: Scanner, options: TypeParseOptions): Type {
  const inner = (): Type => scanType(scanner, options);
  if (scanner.accept('(')) return { kind: 'Tuple', elements: scanner.list(')', inner) };
  const name = scanner.qualifiedName();
  const simple = simpleByText.get(name);
  if (simple !== undefined) return simple;
  switch (name) {
    case 'Tensor':
      return scanTensor(scanner, options, undefined);
    case 'Function':
      return { kind: 'Function', function: createFloatingName('Function') };
    case 'NamedTuple':
      return scanNamedTuple(scanner, options);
    case 'Enum': {
      const enumName = scanAngled(scanner);
      return options.enumNamed?.(enumName) ?? globalScope.enumNamed!(enumName)!;
    }
    case 'InterfaceType': {
      const interfaceName = scanAngled(scanner);
      return options.interfaceNamed?.(interfaceName) ?? globalScope.interfaceNamed!(interfaceName)!;
    }
    default:
      return scanParameterised(scanner, name, inner) ?? scanNamed(scanner, name, options);
  }
}

function scanParameterised(scanner: Scanner, name: string, inner: () => Type): Type | undefined {
  const close = scanner.sees('(') ? ')' : scanner.sees('[') && !scanner.sees('[]') ? ']' : undefined;
  if (close === undefined) return undefined;
  const open = close === ')' ? '(' : '[';
  const items = (count?: number): Type[] => {
    scanner.expect(open);
    // The comma that PyTorch leaves where it joined int, float and complex to one Scalar.
    while (scanner.accept(','));
    const types = scanner.list(close, inner);
    if (count !== undefined && types.length !== count) scanner.fail(`${name} takes ${count} types`);
    return types;
  };
  switch (name) {
    case 'Dict': {
      const [key, value] = items(2);
      return { kind: 'Dict', key, value };
    }
    case 'Future':
      return { kind: 'Future', element: items(1)[0] };
    case 'Optional':
      return { kind: 'Optional', element: items(1)[0] };
    case 'List':
      return { kind: 'List', element: items(1)[0] };
    case 'Tuple': {
      scanner.expect(open);
      if (scanner.accept('()')) {
        scanner.expect(close);
        return { kind: 'Tuple', elements: [] };
      }
      return { kind: 'Tuple', elements: scanner.list(close, inner) };
    }
    case 'Union':
      return unionOf(items());
    case 'RRef':
      return globalScope.named!(`RRef(${items(1).map(shortTypeString).join()})`)!;
    default:
      return undefined;
  }
}

function scanNamed(scanner: Scanner, name: string, options: TypeParseOptions): Type {
  const dtype = dtypeOfPrintName(name);
  if (dtype !== undefined) return scanTensor(scanner, options, dtype);
  if (name.endsWith('Tensor') && !name.includes('.')) {
    const scalar = dtypeOfPrintName(name.slice(0, -'Tensor'.length));
    if (scalar !== undefined) return scanTensor(scanner, options, scalar, true);
  }
  if (options.variables === true && variablePattern.test(name)) return { kind: 'Var', name };
  return options.named?.(name) ?? globalScope.named!(name)!;
}

/**
 * A resolver in which equal names mean the same type: what `resolver` does not know becomes an opaque type of that name,
 * once. Give a scope of its own to texts whose names are unrelated.
 */
export function createTypeScope(resolver: TypeResolver = {}): TypeResolver {
  const opaque = new Map<string, Type>();
  const resolve = (key: string, known: Type | undefined, make: () => Type): Type => {
    if (known !== undefined) return known;
    let type = opaque.get(key);
    if (type === undefined) opaque.set(key, (type = make()));
    return type;
  };
  return {
    named: (name) => resolve(name, resolver.named?.(name), () => createClassType(name, false)),
    enumNamed: (name) =>
      resolve(`Enum<${name}>`, resolver.enumNamed?.(name), () => ({
        kind: 'Enum',
        name,
        valueType: { kind: 'Any' },
        members: [],
      })),
    interfaceNamed: (name) =>
      resolve(`InterfaceType<${name}>`, resolver.interfaceNamed?.(name), () => ({
        kind: 'Interface',
        name,
        isModule: false,
        methods: new Map(),
      })),
  };
}

/** Names in single types and schemas, which mean the same everywhere. */
const globalScope = createTypeScope();

function scanAngled(scanner: Scanner): string {
  scanner.expect('<');
  const name = scanner.qualifiedName();
  scanner.expect('>');
  return name;
}

function scanNamedTuple(scanner: Scanner, options: TypeParseOptions): Type {
  scanner.expect('(');
  const fields: string[] = [];
  const defaults: IValue[] = [];
  const elements = scanner.list(')', () => {
    fields.push(scanner.identifier());
    scanner.expect(':');
    const type = scanType(scanner, options);
    if (options.parseDefault !== undefined && scanner.accept('='))
      defaults.push(options.parseDefault(scanner, type));
    return type;
  });
  return { kind: 'Tuple', elements, name: '', fields, ...(defaults.length > 0 && { defaults }) };
}

/** The parenthesis after a tensor's name, if there is one. @param unranked whether the name ended in `Tensor` */
function scanTensor(
  scanner: Scanner,
  options: TypeParseOptions,
  dtype: DType | undefined,
  unranked = false,
): Type {
  // In schemas a parenthesis is an alias annotation.
  const hasParts = options.variables !== true && scanner.sees('(');
  if (!hasParts && dtype === undefined) return AnyTensorType;
  const type: { -readonly [K in keyof TensorType]: TensorType[K] } = { kind: 'Tensor' };
  if (dtype !== undefined) type.dtype = dtype;
  if (!hasParts) return type;
  scanner.expect('(');
  const sizes: (number | null)[] = [];
  let isRanked = dtype !== undefined && !unranked;
  scanner.list(')', () => {
    if (scanner.accept('strides=[')) type.strides = scanner.list(']', () => scanner.integer());
    else if (scanner.accept('requires_grad=')) type.requiresGrad = scanner.integer() !== 0;
    else if (scanner.accept('device='))
      type.device = scanner.match(/[a-z]+(?::\d+)?/y) ?? scanner.fail('expected a device');
    else {
      isRanked = true;
      sizes.push(scanner.accept('*') ? null : scanner.integer());
    }
  });
  if (isRanked) type.sizes = sizes;
  return type;
}
