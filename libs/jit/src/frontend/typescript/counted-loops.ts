// `for (init; test; step)`. A loop that counts to a fixed bound becomes a For over a Range, with its number of turns known
// beforehand; any other becomes a While whose step runs at the end of the body and before every `continue`.
import type TS from 'typescript';
import { ts } from './typescript.ts';
import type * as tree from '../tree.ts';
import type { Converter } from './converter.ts';
import { conditionOf, convertExpression } from './expressions.ts';
import { convertBody, convertDeclarations, convertEffect } from './statements.ts';

export function convertFor(c: Converter, node: TS.ForStatement): tree.Statement[] {
  return c.inScope(() => convertCounted(c, node) ?? convertGeneral(c, node));
}

function convertGeneral(c: Converter, node: TS.ForStatement): tree.Statement[] {
  const range = c.range(node);
  const { initializer, condition, incrementor } = node;
  const before =
    initializer === undefined
      ? []
      : ts.isVariableDeclarationList(initializer)
        ? convertDeclarations(c, initializer)
        : convertEffect(c, initializer);
  const test: tree.Expression =
    condition === undefined ? { kind: 'Bool', value: true, range } : conditionOf(c, condition);
  const step = incrementor === undefined ? [] : convertEffect(c, incrementor);
  const body = c.loop(step, () => convertBody(c, node.statement));
  return [...before, { kind: 'While', test, body: [...body, ...step], range }];
}

interface Counted {
  readonly variable: TS.Identifier;
  readonly start: TS.Expression;
  readonly bound: TS.Expression;
  /** The step, negative when counting down. */
  readonly step: number;
  /** Whether the bound itself is reached. */
  readonly inclusive: boolean;
}

function convertCounted(c: Converter, node: TS.ForStatement): tree.Statement[] | undefined {
  const counted = asCounted(node);
  if (counted === undefined) return undefined;
  const { variable, start, bound, step, inclusive } = counted;
  if (assigns(node.statement, new Set([variable.text])) || !isFixed(bound, node.statement)) return undefined;
  const range = c.range(node);
  const [from, to] = [convertExpression(c, start), convertExpression(c, bound)];
  if (from.kind === 'Float') return undefined;
  // A bound that is no whole number is rounded to the next one that counting reaches.
  const whole = (name: string): tree.Expression => (to.kind === 'Number' ? to : mathCall(name, to));
  let stop: tree.Expression;
  if (!inclusive) stop = whole(step > 0 ? 'ceil' : 'floor');
  else {
    const last = whole(step > 0 ? 'floor' : 'ceil');
    const beyond = step > 0 ? 1 : -1;
    stop =
      last.kind === 'Number'
        ? { ...last, value: last.value + beyond }
        : {
            kind: 'Arithmetic',
            operator: 'add',
            left: last,
            right: { kind: 'Number', value: beyond, range },
            range,
          };
  }
  const iterable: tree.Range = {
    kind: 'Range',
    start: from,
    stop,
    step: { kind: 'Number', value: step, range },
    range,
  };
  const target: tree.Name = { kind: 'Name', name: c.declare(variable.text), range: c.range(variable) };
  return [{ kind: 'For', target, iterable, body: c.loop([], () => convertBody(c, node.statement)), range }];
}

const mathCall = (name: string, operand: tree.Expression): tree.Expression => ({
  kind: 'Invoke',
  callee: {
    kind: 'Member',
    object: { kind: 'Name', name: 'Math', range: operand.range },
    name,
    range: operand.range,
  },
  arguments: [operand],
  range: operand.range,
});

function asCounted({ initializer, condition, incrementor }: TS.ForStatement): Counted | undefined {
  if (initializer === undefined || condition === undefined || incrementor === undefined) return undefined;
  if (!ts.isVariableDeclarationList(initializer) || initializer.declarations.length !== 1) return undefined;
  const [declaration] = initializer.declarations;
  if (!ts.isIdentifier(declaration.name) || declaration.initializer === undefined) return undefined;
  if (declaration.type?.kind === ts.SyntaxKind.NumberKeyword) return undefined;
  const { text } = declaration.name;
  const step = stepOf(incrementor, text);
  if (step === undefined || step === 0) return undefined;
  if (!ts.isBinaryExpression(condition) || !ts.isIdentifier(condition.left) || condition.left.text !== text)
    return undefined;
  const token = condition.operatorToken.kind;
  const up = token === ts.SyntaxKind.LessThanToken || token === ts.SyntaxKind.LessThanEqualsToken;
  const down = token === ts.SyntaxKind.GreaterThanToken || token === ts.SyntaxKind.GreaterThanEqualsToken;
  if (!(up && step > 0) && !(down && step < 0)) return undefined;
  const inclusive =
    token === ts.SyntaxKind.LessThanEqualsToken || token === ts.SyntaxKind.GreaterThanEqualsToken;
  return {
    variable: declaration.name,
    start: declaration.initializer,
    bound: condition.right,
    step,
    inclusive,
  };
}

/** The constant that the variable grows by: `i++`, `i -= 2`, `i = i + 3`. */
function stepOf(node: TS.Expression, variable: string): number | undefined {
  const isVariable = (expression: TS.Expression): boolean =>
    ts.isIdentifier(expression) && expression.text === variable;
  const literal = (expression: TS.Expression): number | undefined =>
    ts.isNumericLiteral(expression) && Number.isSafeInteger(Number(expression.text))
      ? Number(expression.text)
      : undefined;
  const negate = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : -value;
  if ((ts.isPostfixUnaryExpression(node) || ts.isPrefixUnaryExpression(node)) && isVariable(node.operand)) {
    if (node.operator === ts.SyntaxKind.PlusPlusToken) return 1;
    return node.operator === ts.SyntaxKind.MinusMinusToken ? -1 : undefined;
  }
  if (!ts.isBinaryExpression(node) || !isVariable(node.left)) return undefined;
  if (node.operatorToken.kind === ts.SyntaxKind.PlusEqualsToken) return literal(node.right);
  if (node.operatorToken.kind === ts.SyntaxKind.MinusEqualsToken) return negate(literal(node.right));
  return undefined;
}

/** Methods that change what they are called on. */
const mutating: ReadonlySet<string> = new Set([
  'push',
  'pop',
  'shift',
  'unshift',
  'splice',
  'fill',
  'sort',
  'reverse',
  'set',
  'delete',
  'clear',
]);

/** Whether the bound has the same value on every turn. */
function isFixed(bound: TS.Expression, body: TS.Node): boolean {
  const names = new Set<string>();
  let plain = true;
  let reads = false;
  const visit = (node: TS.Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text);
    else if (node.kind === ts.SyntaxKind.ThisKeyword) names.add('this');
    else if (ts.isPropertyAccessExpression(node)) {
      reads = true;
      visit(node.expression);
      return;
    } else if (ts.isCallExpression(node)) {
      // Sizes of tensors and functions of Math; anything else may differ from turn to turn.
      const callee = node.expression;
      if (!ts.isPropertyAccessExpression(callee)) plain = false;
      else if (
        !['size', 'dim', 'numel', 'min', 'max', 'floor', 'ceil', 'trunc', 'round', 'abs'].includes(
          callee.name.text,
        )
      ) {
        plain = false;
      }
    } else if (
      !ts.isNumericLiteral(node) &&
      !ts.isBinaryExpression(node) &&
      !ts.isParenthesizedExpression(node) &&
      !ts.isElementAccessExpression(node) &&
      !ts.isToken(node)
    ) {
      plain = false;
    }
    ts.forEachChild(node, visit);
  };
  visit(bound);
  if (!plain || assigns(body, names)) return false;
  return !reads || !mutates(body, names);
}

/** Whether one of the variables is assigned in `body` (or, for `this`, one of its members). */
function assigns(body: TS.Node, names: ReadonlySet<string>): boolean {
  let found = false;
  const isTarget = (node: TS.Node): boolean => {
    if (ts.isIdentifier(node)) return names.has(node.text);
    if (ts.isPropertyAccessExpression(node)) {
      return node.expression.kind === ts.SyntaxKind.ThisKeyword
        ? names.has('this')
        : isTarget(node.expression);
    }
    if (ts.isArrayLiteralExpression(node)) return node.elements.some(isTarget);
    return false;
  };
  const visit = (node: TS.Node): void => {
    if (
      ts.isBinaryExpression(node) &&
      node.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
      node.operatorToken.kind <= ts.SyntaxKind.LastAssignment
    ) {
      found ||= isTarget(node.left);
    } else if (
      (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) &&
      (node.operator === ts.SyntaxKind.PlusPlusToken || node.operator === ts.SyntaxKind.MinusMinusToken)
    ) {
      found ||= isTarget(node.operand);
    }
    if (!found) ts.forEachChild(node, visit);
  };
  visit(body);
  return found;
}

/** Whether `body` may change the length of one of the variables, by a method or by handing it to a function. */
function mutates(body: TS.Node, names: ReadonlySet<string>): boolean {
  let found = false;
  const root = (node: TS.Expression): string | undefined => {
    if (ts.isIdentifier(node)) return node.text;
    if (node.kind === ts.SyntaxKind.ThisKeyword) return 'this';
    return ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)
      ? root(node.expression)
      : undefined;
  };
  const visit = (node: TS.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { name, expression } = node.expression;
      const base = root(expression);
      if (base !== undefined && names.has(base) && (mutating.has(name.text) || /[a-z0-9]_$/.test(name.text)))
        found = true;
    }
    if (!found) ts.forEachChild(node, visit);
  };
  visit(body);
  return found;
}
