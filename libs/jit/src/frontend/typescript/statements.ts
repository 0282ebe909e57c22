// TypeScript statements → the shared syntax tree.
import type TS from 'typescript';
import { ts } from './typescript.ts';
import type * as tree from '../tree.ts';
import type { Converter } from './converter.ts';
import { convertFor } from './counted-loops.ts';
import { compound, conditionOf, convertExpression, describe, firstLine, valueOf } from './expressions.ts';
import { convertSwitch } from './switch-statement.ts';
import { typeExpression } from './types.ts';

export const convertStatements = (c: Converter, nodes: readonly TS.Statement[]): tree.Statement[] =>
  nodes.flatMap((node) => convertStatement(c, node));

/** The statements of a block or of a single statement, in a scope of their own. */
export const convertBody = (c: Converter, node: TS.Statement | undefined): tree.Statement[] =>
  node === undefined
    ? []
    : c.inScope(() => (ts.isBlock(node) ? convertStatements(c, node.statements) : convertStatement(c, node)));

export function convertStatement(c: Converter, node: TS.Statement): tree.Statement[] {
  const range = c.range(node);
  if (ts.isBlock(node)) return convertBody(c, node);
  if (ts.isEmptyStatement(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node))
    return [];
  if (ts.isVariableStatement(node)) return convertDeclarations(c, node.declarationList);
  if (ts.isExpressionStatement(node)) return convertEffect(c, node.expression);
  if (ts.isReturnStatement(node)) {
    return [{ kind: 'Return', value: node.expression && valueOf(c, node.expression), range }];
  }
  if (ts.isIfStatement(node)) {
    const test = conditionOf(c, node.expression);
    const then = convertBody(c, node.thenStatement);
    const otherwise = convertBody(c, node.elseStatement);
    return [{ kind: 'If', test, then, otherwise, range }];
  }
  if (ts.isWhileStatement(node)) {
    return [
      {
        kind: 'While',
        test: conditionOf(c, node.expression),
        body: c.loop([], () => convertBody(c, node.statement)),
        range,
      },
    ];
  }
  if (ts.isDoStatement(node)) return convertDo(c, node);
  if (ts.isForStatement(node)) return convertFor(c, node);
  if (ts.isForOfStatement(node)) return convertForOf(c, node);
  if (ts.isForInStatement(node)) {
    return c.fail(node, "'for … in' is not supported; use 'for (const key of Object.keys(x))'");
  }
  if (ts.isBreakStatement(node) || ts.isContinueStatement(node)) {
    if (node.label !== undefined)
      return c.fail(node, 'labels are not supported; use a flag, or a function of its own');
    return [...c.beforeContinue(node), { kind: ts.isBreakStatement(node) ? 'Break' : 'Continue', range }];
  }
  if (ts.isThrowStatement(node))
    return [{ kind: 'Raise', exception: convertExpression(c, node.expression), range }];
  if (ts.isSwitchStatement(node)) return convertSwitch(c, node);
  if (ts.isFunctionDeclaration(node)) {
    return c.fail(
      node.name ?? node,
      'a function inside a scripted function is not supported; move it outside',
    );
  }
  if (ts.isTryStatement(node)) {
    return c.fail(
      node,
      'exceptions cannot be caught in a scripted function; test for the condition beforehand',
    );
  }
  return c.fail(
    node,
    `'${firstLine(c.text(node))}' is not supported in a scripted function (${describe(node)})`,
  );
}

export function convertDeclarations(c: Converter, list: TS.VariableDeclarationList): tree.Statement[] {
  return list.declarations.flatMap((declaration): tree.Statement[] => {
    const range = c.range(declaration);
    const { initializer } = declaration;
    const written = declaration.type ?? ts.getJSDocType(declaration);
    const type = written === undefined ? undefined : typeExpression(c.file, written);
    // The initialiser is evaluated before the name exists.
    const value = initializer === undefined ? undefined : valueOf(c, initializer);
    if (ts.isObjectBindingPattern(declaration.name)) {
      if (value === undefined) return c.fail(declaration, 'this needs a value');
      return convertObjectPattern(c, declaration.name, value);
    }
    const target = c.binding(declaration.name);
    return [{ kind: 'Assign', targets: [target], type, value, declares: true, range }];
  });
}

/** `const { values, indices } = …`: members read one by one. */
function convertObjectPattern(
  c: Converter,
  pattern: TS.ObjectBindingPattern,
  value: tree.Expression,
): tree.Statement[] {
  const range = c.range(pattern);
  const object: tree.Name = { kind: 'Name', name: c.temporary('object'), range };
  const statements: tree.Statement[] = [{ kind: 'Assign', targets: [object], value, range }];
  for (const element of pattern.elements) {
    if (element.dotDotDotToken !== undefined || element.initializer !== undefined) {
      c.fail(element, 'only plain names can be taken out of an object here');
    }
    const key = element.propertyName ?? element.name;
    if (!ts.isIdentifier(key)) c.fail(key, 'only plain names can be taken out of an object here');
    const member: tree.Expression = { kind: 'Member', object, name: key.text, range: c.range(element) };
    statements.push({
      kind: 'Assign',
      targets: [c.binding(element.name)],
      value: { kind: 'Widen', operand: member, range: member.range },
      declares: true,
      range: c.range(element),
    });
  }
  return statements;
}

/** An expression that stands as a statement: an assignment, a step, a call. */
export function convertEffect(c: Converter, node: TS.Expression): tree.Statement[] {
  const range = c.range(node);
  if (ts.isParenthesizedExpression(node)) return convertEffect(c, node.expression);
  if (ts.isBinaryExpression(node)) {
    const token = node.operatorToken.kind;
    if (token === ts.SyntaxKind.EqualsToken) return convertAssignment(c, node);
    const operator = compound(c.text(node.operatorToken));
    if (operator !== undefined) {
      const target = assignable(c, node.left);
      const value = convertExpression(c, node.right);
      return [{ kind: 'Assign', targets: [target], value: updated(target, operator, value, range), range }];
    }
    if (token === ts.SyntaxKind.QuestionQuestionEqualsToken || token === ts.SyntaxKind.BarBarEqualsToken) {
      const target = assignable(c, node.left);
      const when = token === ts.SyntaxKind.BarBarEqualsToken ? 'falsy' : 'none';
      const value: tree.Expression = {
        kind: 'Fallback',
        when,
        left: target,
        right: valueOf(c, node.right),
        range,
      };
      return [{ kind: 'Assign', targets: [target], value, range }];
    }
    if (token === ts.SyntaxKind.CommaToken)
      return [...convertEffect(c, node.left), ...convertEffect(c, node.right)];
  }
  if (ts.isPostfixUnaryExpression(node) || ts.isPrefixUnaryExpression(node)) {
    if (node.operator === ts.SyntaxKind.PlusPlusToken || node.operator === ts.SyntaxKind.MinusMinusToken) {
      const target = assignable(c, node.operand);
      const operator = node.operator === ts.SyntaxKind.PlusPlusToken ? 'add' : 'sub';
      const one: tree.Expression = { kind: 'Number', value: 1, range };
      return [{ kind: 'Assign', targets: [target], value: updated(target, operator, one, range), range }];
    }
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'assert') {
    const [test, message] = node.arguments;
    if (test !== undefined) {
      return [
        {
          kind: 'Assert',
          test: conditionOf(c, test),
          message: message && convertExpression(c, message),
          range,
        },
      ];
    }
  }
  if (ts.isDeleteExpression(node) && ts.isElementAccessExpression(node.expression)) {
    const { expression, argumentExpression } = node.expression;
    const target: tree.Expression = {
      kind: 'Subscript',
      object: convertExpression(c, expression),
      indices: [convertExpression(c, argumentExpression)],
      range,
    };
    return [{ kind: 'Delete', targets: [target], range }];
  }
  return [{ kind: 'ExpressionStatement', expression: convertExpression(c, node), range }];
}

const updated = (
  target: tree.Expression,
  operator: tree.BinaryOperator,
  value: tree.Expression,
  range: tree.Expression['range'],
): tree.Expression => ({
  kind: 'Widen',
  operand: { kind: 'Arithmetic', operator, left: target, right: value, range },
  range,
});

function convertAssignment(c: Converter, node: TS.BinaryExpression): tree.Statement[] {
  const targets = [assignable(c, node.left)];
  let { right } = node;
  while (ts.isBinaryExpression(right) && right.operatorToken.kind === ts.SyntaxKind.EqualsToken) {
    targets.push(assignable(c, right.left));
    right = right.right;
  }
  return [{ kind: 'Assign', targets: targets.reverse(), value: valueOf(c, right), range: c.range(node) }];
}

/** What stands on the left of `=`. */
function assignable(c: Converter, node: TS.Expression): tree.Expression {
  if (ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node))
    return assignable(c, node.expression);
  if (ts.isArrayLiteralExpression(node)) {
    const elements = node.elements.map((element): tree.Expression =>
      ts.isOmittedExpression(element)
        ? { kind: 'Name', name: c.temporary('unused'), range: c.range(node) }
        : ts.isSpreadElement(element)
          ? { kind: 'Starred', operand: assignable(c, element.expression), range: c.range(element) }
          : assignable(c, element),
    );
    return { kind: 'Tuple', elements, range: c.range(node), takesFirst: true };
  }
  if (ts.isIdentifier(node) || ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    return convertExpression(c, node);
  }
  return c.fail(node, `'${firstLine(c.text(node))}' cannot be assigned to in a scripted function`);
}

function convertForOf(c: Converter, node: TS.ForOfStatement): tree.Statement[] {
  if (node.awaitModifier !== undefined) c.fail(node, "'for await' is not supported in a scripted function");
  const iterable = convertExpression(c, node.expression);
  return c.inScope(() => {
    const { initializer } = node;
    const target = ts.isVariableDeclarationList(initializer)
      ? c.binding(initializer.declarations[0].name)
      : assignable(c, initializer);
    return [
      {
        kind: 'ForOf',
        target,
        iterable,
        body: c.loop([], () => convertBody(c, node.statement)),
        range: c.range(node),
      },
    ];
  });
}

/** The body runs once before the condition is asked for the first time. */
function convertDo(c: Converter, node: TS.DoStatement): tree.Statement[] {
  const range = c.range(node);
  const first: tree.Name = { kind: 'Name', name: c.temporary('first'), range };
  const set = (value: boolean): tree.Statement => ({
    kind: 'Assign',
    targets: [first],
    value: { kind: 'Bool', value, range },
    range,
  });
  const body = c.loop([], () => convertBody(c, node.statement));
  const test: tree.Expression = {
    kind: 'Or',
    left: { kind: 'Truthy', operand: first, range },
    right: conditionOf(c, node.expression),
    range,
  };
  return [set(true), { kind: 'While', test, body: [set(false), ...body], range }];
}
