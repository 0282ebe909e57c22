// Enums, by their declaration: bundlers put the values of members in place, so the enum object is often not among the free
// variables of a function that uses it.
import type TS from 'typescript';
import { ts } from './typescript.ts';
import { findDeclaration } from './types.ts';

export type EnumMembers = Readonly<Record<string, string | number>>;

const declared = new WeakMap<TS.EnumDeclaration, EnumMembers>();
const positions = new Map<string, EnumMembers>();

/** The members of the enum `name` that the file declares or imports, or undefined. */
export function declaredEnum(file: TS.SourceFile, name: string): EnumMembers | undefined {
  const found = findDeclaration(file, name, ts.isEnumDeclaration);
  if (found === undefined) return undefined;
  let members = declared.get(found.node);
  if (members === undefined) {
    // The same file may have been parsed more than once, as a script and as an import of another.
    const key = `${found.file.fileName}:${found.node.pos}`;
    members = positions.get(key) ?? membersOf(found.node);
    positions.set(key, members);
    declared.set(found.node, members);
  }
  return members;
}

function membersOf(node: TS.EnumDeclaration): EnumMembers {
  const members: Record<string, string | number> = {};
  let next = 0;
  for (const member of node.members) {
    const value = member.initializer === undefined ? next : evaluate(member.initializer, members);
    if (value === undefined) continue;
    members[(member.name as TS.Identifier).text] = value;
    if (typeof value === 'number') next = value + 1;
  }
  return members;
}

function evaluate(node: TS.Expression, members: EnumMembers): string | number | undefined {
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isParenthesizedExpression(node)) return evaluate(node.expression, members);
  if (ts.isIdentifier(node)) return members[node.text];
  if (ts.isPrefixUnaryExpression(node)) {
    const value = evaluate(node.operand, members);
    if (typeof value !== 'number') return undefined;
    return node.operator === ts.SyntaxKind.MinusToken
      ? -value
      : node.operator === ts.SyntaxKind.TildeToken
        ? ~value
        : value;
  }
  if (!ts.isBinaryExpression(node)) return undefined;
  const [left, right] = [evaluate(node.left, members), evaluate(node.right, members)];
  if (typeof left !== 'number' || typeof right !== 'number') return undefined;
  switch (node.operatorToken.kind) {
    case ts.SyntaxKind.BarToken:
      return left | right;
    case ts.SyntaxKind.LessThanLessThanToken:
      return left << right;
    case ts.SyntaxKind.PlusToken:
      return left + right;
    default:
      return undefined;
  }
}
