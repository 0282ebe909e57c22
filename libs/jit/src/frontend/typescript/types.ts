// TypeScript's type annotations as type expressions of the syntax tree: `Tensor[]` → `List[Tensor]`, `T | null` →
// `Optional[T]`, `number` → `float`. Only annotations are read; nothing is inferred by a type checker.
import type { SourceRange } from '@weft/ir';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type TS from 'typescript';
import { ts } from './typescript.ts';
import { fail } from '../../emit/script-error.ts';
import type * as tree from '../tree.ts';
import { rangeOf } from './source-file.ts';

/** Names of types that mean something fixed. */
const names: Readonly<Record<string, string>> = {
  int: 'int',
  float: 'float',
  number: 'float',
  boolean: 'bool',
  Boolean: 'bool',
  string: 'str',
  String: 'str',
  Tensor: 'Tensor',
  Parameter: 'Tensor',
  Buffer: 'Tensor',
  Scalar: 'number',
  DType: 'int',
  Device: 'Device',
  Generator: 'Generator',
};

const generic: Readonly<Record<string, string>> = {
  Array: 'List',
  ReadonlyArray: 'List',
  Map: 'Dict',
  ReadonlyMap: 'Dict',
  Record: 'Record',
  Promise: 'Future',
  Future: 'Future',
};

export function typeExpression(file: TS.SourceFile, node: TS.TypeNode): tree.TypeExpression {
  const range = rangeOf(file, node);
  const convert = (inner: TS.TypeNode): tree.TypeExpression => typeExpression(file, inner);
  if (ts.isParenthesizedTypeNode(node)) return convert(node.type);
  if (ts.isArrayTypeNode(node)) return parametrised('List', [convert(node.elementType)], range);
  if (ts.isTypeOperatorNode(node)) return convert(node.type);
  if (ts.isTupleTypeNode(node)) {
    const elements = node.elements.map((element) =>
      convert(ts.isNamedTupleMember(element) ? element.type : element),
    );
    return parametrised(
      'Tuple',
      elements.length === 0 ? [{ kind: 'Tuple', elements: [], range }] : elements,
      range,
    );
  }
  if (ts.isUnionTypeNode(node)) return unionExpression(file, node, range);
  if (ts.isLiteralTypeNode(node)) {
    const { literal } = node;
    if (literal.kind === ts.SyntaxKind.NullKeyword) return nameExpression('NoneType', range);
    if (ts.isStringLiteral(literal)) return nameExpression('str', range);
    if (ts.isNumericLiteral(literal)) return nameExpression('int', range);
    if (literal.kind === ts.SyntaxKind.TrueKeyword || literal.kind === ts.SyntaxKind.FalseKeyword) {
      return nameExpression('bool', range);
    }
  }
  if (ts.isTypeLiteralNode(node)) {
    const [member] = node.members;
    if (node.members.length === 1 && ts.isIndexSignatureDeclaration(member)) {
      const key = member.parameters[0].type;
      return parametrised(
        'Record',
        [key === undefined ? nameExpression('str', range) : convert(key), convert(member.type)],
        range,
      );
    }
    fail(range, 'object types cannot be scripted; use a class, a tuple or Record<string, T>');
  }
  if (ts.isTypePredicateNode(node)) return nameExpression('bool', range);
  if (ts.isTypeReferenceNode(node)) return referenceExpression(file, node, range);
  switch (node.kind) {
    case ts.SyntaxKind.NumberKeyword:
      return nameExpression('float', range);
    case ts.SyntaxKind.BooleanKeyword:
      return nameExpression('bool', range);
    case ts.SyntaxKind.StringKeyword:
      return nameExpression('str', range);
    case ts.SyntaxKind.BigIntKeyword:
      return nameExpression('int', range);
    case ts.SyntaxKind.VoidKeyword:
    case ts.SyntaxKind.UndefinedKeyword:
    case ts.SyntaxKind.NullKeyword:
    case ts.SyntaxKind.NeverKeyword:
      return nameExpression('NoneType', range);
    case ts.SyntaxKind.AnyKeyword:
    case ts.SyntaxKind.UnknownKeyword:
      return nameExpression('Any', range);
    default:
      return fail(range, `the type '${node.getText(file)}' cannot be scripted`);
  }
}

const nameExpression = (name: string, range: SourceRange): tree.Name => ({ kind: 'Name', name, range });

const parametrised = (
  name: string,
  indices: readonly tree.Expression[],
  range: SourceRange,
): tree.Subscript => ({
  kind: 'Subscript',
  object: nameExpression(name, range),
  indices,
  range,
});

export const optionalExpression = (type: tree.TypeExpression): tree.TypeExpression =>
  type.kind === 'Subscript' && type.object.kind === 'Name' && type.object.name === 'Optional'
    ? type
    : parametrised('Optional', [type], type.range);

function unionExpression(
  file: TS.SourceFile,
  node: TS.UnionTypeNode,
  range: SourceRange,
): tree.TypeExpression {
  const members = node.types.map((member) => typeExpression(file, member));
  const isNone = (type: tree.Expression): boolean => type.kind === 'Name' && type.name === 'NoneType';
  const text = (type: tree.Expression): string =>
    type.kind === 'Name' ? type.name : type.range.text.slice(type.range.start, type.range.end);
  // `'mean' | 'sum'` is a string.
  const present = members
    .filter((member) => !isNone(member))
    .filter((member, index, all) => all.findIndex((other) => text(other) === text(member)) === index);
  if (present.length === 0) return nameExpression('NoneType', range);
  const type = present.length === 1 ? present[0] : parametrised('Union', present, range);
  return members.some(isNone) ? optionalExpression(type) : type;
}

function referenceExpression(
  file: TS.SourceFile,
  node: TS.TypeReferenceNode,
  range: SourceRange,
): tree.TypeExpression {
  const name = node.typeName.getText(file);
  const parameters = (node.typeArguments ?? []).map((argument) => typeExpression(file, argument));
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (Object.hasOwn(generic, last) && parameters.length > 0)
    return parametrised(generic[last], parameters, range);
  if (last === 'Readonly' || last === 'NonNullable') return parameters[0];
  if (name === 'int' || name === 'float') return nameExpression(name, range);
  const alias = findAlias(file, name);
  if (alias !== undefined) return typeExpression(alias.file, alias.node);
  if (Object.hasOwn(names, last)) return nameExpression(names[last], range);
  return dotted(file, node.typeName, range);
}

function dotted(file: TS.SourceFile, name: TS.EntityName, range: SourceRange): tree.Expression {
  if (ts.isIdentifier(name)) return nameExpression(name.text, rangeOf(file, name));
  return { kind: 'Member', object: dotted(file, name.left, range), name: name.right.text, range };
}

function findAlias(
  file: TS.SourceFile,
  name: string,
): { file: TS.SourceFile; node: TS.TypeNode } | undefined {
  const found = findDeclaration(file, name, ts.isTypeAliasDeclaration);
  return found && { file: found.file, node: found.node.type };
}

type Named = TS.TypeAliasDeclaration | TS.EnumDeclaration;

/** A declaration by name: in the file, or in a file beside it that it imports the name from. */
export function findDeclaration<N extends Named>(
  file: TS.SourceFile,
  name: string,
  is: (node: TS.Node) => node is N,
  depth = 0,
): { file: TS.SourceFile; node: N } | undefined {
  for (const statement of file.statements) {
    if (is(statement) && statement.name.text === name) return { file, node: statement };
    if (!ts.isImportDeclaration(statement) || depth > 3) continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings)) continue;
    const imported = bindings.elements.find((element) => element.name.text === name);
    if (imported === undefined) continue;
    const specifier = (statement.moduleSpecifier as TS.StringLiteral).text;
    const target = specifier.startsWith('.') ? parseBeside(file.fileName, specifier) : undefined;
    return target && findDeclaration(target, (imported.propertyName ?? imported.name).text, is, depth + 1);
  }
  return undefined;
}

const besides = new Map<string, TS.SourceFile>();

function parseBeside(importer: string, specifier: string): TS.SourceFile | undefined {
  const path = resolve(dirname(importer), specifier.replace(/\.js$/, '.ts'));
  const found = [path, `${path}.ts`, `${path}/index.ts`].find(
    (candidate) => candidate.endsWith('.ts') && existsSync(candidate),
  );
  if (found === undefined) return undefined;
  let file = besides.get(found);
  if (file === undefined) {
    file = ts.createSourceFile(found, readFileSync(found, 'utf8'), ts.ScriptTarget.ES2023, true);
    besides.set(found, file);
  }
  return file;
}
