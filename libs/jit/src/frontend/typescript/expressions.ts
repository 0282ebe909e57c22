// TypeScript expressions → the shared syntax tree.
import type TS from 'typescript';
import { ts } from './typescript.ts';
import type * as tree from '../tree.ts';
import type { Converter } from './converter.ts';
import { typeExpression } from './types.ts';

/** Wraps what may be a number, so that an int can become a float where one is wanted. */
export function valueOf(c: Converter, node: TS.Expression): tree.Expression {
  const expression = convertExpression(c, node);
  return widened(expression);
}

const widenable: ReadonlySet<string> = new Set([
  'Name',
  'Member',
  'Element',
  'Invoke',
  'Arithmetic',
  'Ternary',
  'Fallback',
  'Unary',
  'Cast',
]);
const widened = (expression: tree.Expression): tree.Expression =>
  widenable.has(expression.kind)
    ? { kind: 'Widen', operand: expression, range: expression.range }
    : expression;

const arithmetic: Readonly<Record<string, tree.BinaryOperator | undefined>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '%': 'rem',
  '**': 'pow',
  '&': 'and32',
  '|': 'or32',
  '^': 'xor32',
  '<<': 'shl32',
  '>>': 'shr32',
};
/** The operator of `x op= y`, by `op=`. */
export const compound = (sign: string): tree.BinaryOperator | undefined =>
  sign.endsWith('=') ? arithmetic[sign.slice(0, -1)] : undefined;

const comparisons: Readonly<Record<string, tree.CompareOperator | undefined>> = {
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  '===': 'same',
  '!==': 'differ',
};

export function convertExpression(c: Converter, node: TS.Expression): tree.Expression {
  const range = c.range(node);
  const convert = (inner: TS.Expression): tree.Expression => convertExpression(c, inner);
  const value = (inner: TS.Expression): tree.Expression => valueOf(c, inner);
  if (ts.isParenthesizedExpression(node) || ts.isSatisfiesExpression(node)) return convert(node.expression);
  if (ts.isIdentifier(node)) {
    if (node.text === 'undefined') return { kind: 'None', range };
    if (node.text === 'NaN') return { kind: 'Float', value: NaN, range };
    if (node.text === 'Infinity') return { kind: 'Float', value: Infinity, range };
    return c.name(node);
  }
  if (ts.isNumericLiteral(node)) {
    const number = Number(node.text);
    const whole = Number.isSafeInteger(number) && /^(?:\d[\d_]*|0[xob][\da-f_]+)$/i.test(c.text(node));
    return { kind: whole ? 'Number' : 'Float', value: number, range };
  }
  if (ts.isBigIntLiteral(node)) return { kind: 'Int', value: BigInt(node.text.replace(/n$/, '')), range };
  if (ts.isStringLiteralLike(node)) return { kind: 'String', value: node.text, range };
  if (ts.isTemplateExpression(node)) {
    const parts: (string | tree.Expression)[] = [node.head.text];
    for (const span of node.templateSpans) parts.push(convert(span.expression), span.literal.text);
    return { kind: 'Template', parts: parts.filter((part) => part !== ''), range };
  }
  if (ts.isArrayLiteralExpression(node)) {
    const elements = node.elements.map((element): tree.Expression => {
      if (ts.isOmittedExpression(element)) return c.fail(element, 'an array may have no holes');
      return ts.isSpreadElement(element) ? spread(c, element) : value(element);
    });
    return { kind: 'List', elements, range };
  }
  if (ts.isObjectLiteralExpression(node)) return convertObject(c, node);
  if (ts.isPrefixUnaryExpression(node)) return convertPrefix(c, node);
  if (ts.isPostfixUnaryExpression(node)) {
    return c.fail(
      node,
      `'${c.text(node)}' cannot be used as a value; write the assignment as a statement of its own`,
    );
  }
  if (ts.isBinaryExpression(node)) return convertBinary(c, node);
  if (ts.isConditionalExpression(node)) {
    return {
      kind: 'Ternary',
      test: conditionOf(c, node.condition),
      then: value(node.whenTrue),
      otherwise: value(node.whenFalse),
      range,
    };
  }
  if (ts.isPropertyAccessExpression(node)) {
    if (ts.isPrivateIdentifier(node.name)) {
      return c.fail(
        node.name,
        `private member '${node.name.text}' cannot be read from outside; use TypeScript's 'private'`,
      );
    }
    if (node.expression.kind === ts.SyntaxKind.SuperKeyword && c.self !== undefined) {
      const object: tree.Expression = { kind: 'Name', name: c.self, range };
      return { kind: 'Member', object, name: c.superMethod(node.name.text), range };
    }
    const member: tree.Expression = {
      kind: 'Member',
      object: convert(node.expression),
      name: node.name.text,
      range,
    };
    return node.questionDotToken === undefined ? member : ifPresent(c, node, node.expression, member);
  }
  if (ts.isElementAccessExpression(node)) {
    const element: tree.Expression = {
      kind: 'Element',
      object: convert(node.expression),
      index: convert(node.argumentExpression),
      range,
    };
    return node.questionDotToken === undefined ? element : ifPresent(c, node, node.expression, element);
  }
  if (ts.isCallExpression(node)) return convertCall(c, node);
  if (ts.isNewExpression(node)) {
    return {
      kind: 'New',
      callee: convert(node.expression),
      arguments: callArguments(c, node.arguments ?? []),
      typeArguments: node.typeArguments?.map((argument) => typeExpression(c.file, argument)),
      range,
    };
  }
  if (ts.isAsExpression(node) || ts.isTypeAssertionExpression(node)) {
    if (ts.isTypeReferenceNode(node.type) && c.text(node.type) === 'const') return convert(node.expression);
    return { kind: 'Cast', operand: value(node.expression), type: typeExpression(c.file, node.type), range };
  }
  if (ts.isNonNullExpression(node)) return { kind: 'Cast', operand: convert(node.expression), range };
  if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) return convertArrow(c, node);
  if (ts.isVoidExpression(node)) return { kind: 'None', range };
  switch (node.kind) {
    case ts.SyntaxKind.TrueKeyword:
      return { kind: 'Bool', value: true, range };
    case ts.SyntaxKind.FalseKeyword:
      return { kind: 'Bool', value: false, range };
    case ts.SyntaxKind.NullKeyword:
      return { kind: 'None', range };
    case ts.SyntaxKind.ThisKeyword:
      if (c.self === undefined) return c.fail(node, "'this' has no meaning in a plain function");
      return { kind: 'Name', name: c.self, range };
    case ts.SyntaxKind.SuperKeyword:
      return { kind: 'Name', name: '$super', range };
    default:
      return c.fail(
        node,
        `'${firstLine(c.text(node))}' is not supported in a scripted function (${describe(node)})`,
      );
  }
}

export const firstLine = (text: string): string => {
  const [line] = text.split('\n');
  return line.length > 60 ? `${line.slice(0, 57)}…` : line;
};

/** Names a kind of syntax for an error message: `AwaitExpression` → 'await expression'. */
export const describe = (node: TS.Node): string =>
  ts.SyntaxKind[node.kind].replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();

const spread = (c: Converter, node: TS.SpreadElement): tree.Starred => ({
  kind: 'Starred',
  operand: convertExpression(c, node.expression),
  range: c.range(node),
});

const callArguments = (c: Converter, nodes: readonly TS.Expression[]): tree.Expression[] =>
  nodes.map((argument) => (ts.isSpreadElement(argument) ? spread(c, argument) : valueOf(c, argument)));

function convertObject(c: Converter, node: TS.ObjectLiteralExpression): tree.ObjectLiteral {
  const entries = node.properties.map((property) => {
    const range = c.range(property);
    if (ts.isShorthandPropertyAssignment(property)) {
      return { name: property.name.text, value: widened(c.name(property.name)), range };
    }
    if (!ts.isPropertyAssignment(property))
      return c.fail(property, 'only plain entries can stand in an object here');
    const { name } = property;
    if (!ts.isIdentifier(name) && !ts.isStringLiteralLike(name) && !ts.isNumericLiteral(name)) {
      return c.fail(name, 'a computed key is not supported; use a Map');
    }
    return { name: name.text, value: valueOf(c, property.initializer), range };
  });
  return { kind: 'Object', entries, range: c.range(node) };
}

function convertPrefix(c: Converter, node: TS.PrefixUnaryExpression): tree.Expression {
  const range = c.range(node);
  switch (node.operator) {
    case ts.SyntaxKind.ExclamationToken:
      return { kind: 'Not', operand: conditionOf(c, node.operand), range };
    case ts.SyntaxKind.MinusToken: {
      const operand = convertExpression(c, node.operand);
      if (operand.kind === 'Number' && operand.value !== 0)
        return { kind: 'Number', value: -operand.value, range };
      if (operand.kind === 'Number' || operand.kind === 'Float')
        return { kind: 'Float', value: -operand.value, range };
      return { kind: 'Unary', operator: 'neg', operand, range };
    }
    case ts.SyntaxKind.PlusToken:
      return { kind: 'Unary', operator: 'pos', operand: convertExpression(c, node.operand), range };
    case ts.SyntaxKind.TildeToken:
      return { kind: 'Unary', operator: 'invert32', operand: convertExpression(c, node.operand), range };
    default:
      return c.fail(
        node,
        `'${c.text(node)}' cannot be used as a value; write the assignment as a statement of its own`,
      );
  }
}

function convertBinary(c: Converter, node: TS.BinaryExpression): tree.Expression {
  const range = c.range(node);
  const sign = c.text(node.operatorToken);
  const operator = arithmetic[sign];
  if (operator !== undefined) {
    const [left, right] = [convertExpression(c, node.left), convertExpression(c, node.right)];
    return { kind: 'Arithmetic', operator, left, right, range };
  }
  const comparison = comparisons[sign];
  if (comparison !== undefined) {
    const typeTest = convertTypeof(c, node, comparison);
    if (typeTest !== undefined) return typeTest;
    const [left, right] = [convertExpression(c, node.left), convertExpression(c, node.right)];
    return { kind: 'Compare', operator: comparison, left, right, range };
  }
  switch (sign) {
    case '&&':
    case '||': {
      const isAnd = sign === '&&';
      if (isLogical(node.left) && isLogical(node.right)) return conditionOf(c, node);
      return {
        kind: 'Fallback',
        when: isAnd ? 'truthy' : 'falsy',
        left: valueOf(c, node.left),
        right: valueOf(c, node.right),
        range,
      };
    }
    case '??':
      return {
        kind: 'Fallback',
        when: 'none',
        left: valueOf(c, node.left),
        right: valueOf(c, node.right),
        range,
      };
    case 'in':
      return {
        kind: 'Compare',
        operator: 'in',
        left: convertExpression(c, node.left),
        right: convertExpression(c, node.right),
        range,
      };
    case 'instanceof':
      return isInstance(convertExpression(c, node.left), convertExpression(c, node.right), range);
    case '==':
    case '!=': {
      // `x == null` is a test for null or undefined, which are one.
      const [left, right] = [convertExpression(c, node.left), convertExpression(c, node.right)];
      if (left.kind === 'None' || right.kind === 'None') {
        return {
          kind: 'Compare',
          operator: sign === '==' ? 'is' : 'isnot',
          left,
          right,
          range,
        };
      }
      return c.fail(
        node,
        `'${c.text(node.operatorToken)}' converts its operands; write ${c.text(node.operatorToken)}=`,
      );
    }
    case ',':
      return c.fail(node, 'the comma operator is not supported; write two statements');
    case '=':
      return c.fail(node, 'an assignment cannot be used as a value; write it as a statement of its own');
    default:
      return c.fail(node, `'${c.text(node.operatorToken)}' is not supported in a scripted function`);
  }
}

/** Whether an expression is a truth value by its form. */
function isLogical(node: TS.Expression): boolean {
  if (ts.isParenthesizedExpression(node)) return isLogical(node.expression);
  if (node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword) return true;
  if (ts.isPrefixUnaryExpression(node)) return node.operator === ts.SyntaxKind.ExclamationToken;
  if (!ts.isBinaryExpression(node)) return false;
  const token = node.operatorToken.kind;
  if (token === ts.SyntaxKind.AmpersandAmpersandToken || token === ts.SyntaxKind.BarBarToken) {
    return isLogical(node.left) && isLogical(node.right);
  }
  return (
    comparisons[node.operatorToken.getText()] !== undefined ||
    token === ts.SyntaxKind.InKeyword ||
    token === ts.SyntaxKind.InstanceOfKeyword ||
    token === ts.SyntaxKind.EqualsEqualsToken ||
    token === ts.SyntaxKind.ExclamationEqualsToken
  );
}

/** An expression where its truth is meant. */
export function conditionOf(c: Converter, node: TS.Expression): tree.Expression {
  const range = c.range(node);
  if (ts.isParenthesizedExpression(node)) return conditionOf(c, node.expression);
  if (ts.isBinaryExpression(node)) {
    const token = node.operatorToken.kind;
    if (token === ts.SyntaxKind.AmpersandAmpersandToken || token === ts.SyntaxKind.BarBarToken) {
      return {
        kind: token === ts.SyntaxKind.BarBarToken ? 'Or' : 'And',
        left: conditionOf(c, node.left),
        right: conditionOf(c, node.right),
        range,
      };
    }
  }
  const expression = convertExpression(c, node);
  if (['Not', 'And', 'Or', 'Compare', 'Bool', 'Condition'].includes(expression.kind)) return expression;
  return { kind: 'Truthy', operand: expression, range };
}

const typeofNames: Readonly<Record<string, readonly string[]>> = {
  number: ['int', 'float', 'number'],
  string: ['str'],
  boolean: ['bool'],
};

/** `typeof x === 'number'`. */
function convertTypeof(
  c: Converter,
  { left, right }: TS.BinaryExpression,
  operator: tree.CompareOperator,
): tree.Expression | undefined {
  const [query, text] = ts.isTypeOfExpression(left) ? [left, right] : [right, left];
  if (!ts.isTypeOfExpression(query) || !ts.isStringLiteralLike(text)) return undefined;
  if (operator !== 'same' && operator !== 'differ') return undefined;
  const range = c.range(query.parent);
  const operand = convertExpression(c, query.expression);
  let test: tree.Expression;
  if (text.text === 'undefined')
    test = { kind: 'Compare', operator: 'is', left: operand, right: { kind: 'None', range }, range };
  else {
    const types = typeofNames[text.text];
    if (types === undefined)
      return c.fail(text, `typeof x === '${text.text}' is not supported; use instanceof`);
    const names = types.map((name): tree.Name => ({ kind: 'Name', name, range }));
    test = isInstance(
      operand,
      names.length === 1 ? names[0] : { kind: 'Tuple', elements: names, range },
      range,
    );
  }
  return operator === 'same' ? test : { kind: 'Not', operand: test, range };
}

const isInstance = (
  object: tree.Expression,
  type: tree.Expression,
  range: tree.Expression['range'],
): tree.Expression => ({
  kind: 'Condition',
  operand: {
    kind: 'Apply',
    callee: { kind: 'Name', name: '$isinstance', range },
    arguments: [object, type],
    keywords: [],
    range,
  },
  range,
});

function convertCall(c: Converter, node: TS.CallExpression): tree.Expression {
  const range = c.range(node);
  const { expression } = node;
  if (ts.isPropertyAccessExpression(expression)) {
    const callee = c.text(expression);
    if (callee === 'Array.isArray' && node.arguments.length === 1) {
      return isInstance(
        convertExpression(c, node.arguments[0]),
        { kind: 'Name', name: 'list', range },
        range,
      );
    }
    const filled = filledArray(c, node, expression);
    if (filled !== undefined) return filled;
  }
  const call: tree.Expression = {
    kind: 'Invoke',
    callee: convertExpression(c, expression),
    arguments: callArguments(c, node.arguments),
    range,
  };
  return ts.isPropertyAccessExpression(expression) && expression.questionDotToken !== undefined
    ? ifPresent(c, node, expression.expression, {
        ...call,
        callee: {
          kind: 'Member',
          object: convertExpression(c, expression.expression),
          name: expression.name.text,
          range: c.range(expression),
        },
      })
    : call;
}

/** `new Array(n).fill(x)` is a list of n times x: in Python's spelling `[x] * n`. */
function filledArray(
  c: Converter,
  node: TS.CallExpression,
  callee: TS.PropertyAccessExpression,
): tree.Expression | undefined {
  const array = callee.expression;
  if (callee.name.text !== 'fill' || node.arguments.length !== 1) return undefined;
  if (!ts.isNewExpression(array) && !ts.isCallExpression(array)) return undefined;
  if (c.text(array.expression) !== 'Array' || array.arguments?.length !== 1) return undefined;
  const range = c.range(node);
  const element = valueOf(c, node.arguments[0]);
  const typeArgument = array.typeArguments?.[0];
  return {
    kind: 'Binary',
    operator: 'mul',
    left: {
      kind: 'List',
      elements: [
        typeArgument === undefined
          ? element
          : { kind: 'Cast', operand: element, type: typeExpression(c.file, typeArgument), range },
      ],
      range,
    },
    right: convertExpression(c, array.arguments[0]),
    range,
  };
}

/** `x?.member`: null when x is. Only for plain variables, which are read twice. */
function ifPresent(
  c: Converter,
  node: TS.Node,
  object: TS.Expression,
  then: tree.Expression,
): tree.Expression {
  const range = c.range(node);
  if (!ts.isIdentifier(object))
    c.fail(node, "'?.' is supported on variables only; assign the value to one first");
  const test: tree.Expression = {
    kind: 'Compare',
    operator: 'isnot',
    left: c.name(object),
    right: { kind: 'None', range },
    range,
  };
  return { kind: 'Ternary', test, then, otherwise: { kind: 'None', range }, range };
}

function convertArrow(c: Converter, node: TS.ArrowFunction | TS.FunctionExpression): tree.Arrow {
  return c.inScope(() => {
    const parameters = node.parameters.map((parameter) => c.binding(parameter.name));
    const { body } = node;
    let value: TS.Expression;
    if (ts.isBlock(body)) {
      const [only] = body.statements;
      if (body.statements.length !== 1 || !ts.isReturnStatement(only) || only.expression === undefined) {
        return c.fail(node, 'a function literal must be a single expression here; write a loop for more');
      }
      value = only.expression;
    } else value = body;
    return { kind: 'Arrow', parameters, body: valueOf(c, value), range: c.range(node) };
  });
}
