// Parses the Python subset of archives into the shared syntax tree. A recursive-descent parser with Python's precedences;
// nesting is bounded, so that hostile text ends in an error and not in a full stack.
import type { PrintedText } from '@weft/ir';
import { SourceRange } from '@weft/ir';
import { ScriptError } from '../../emit/script-error.ts';
import type * as tree from '../tree.ts';
import type { Token } from './lexer.ts';
import { tokenize } from './lexer.ts';

/**
 * Parses one file of an archive. Throws ScriptError with the file, the line and the offending text.
 * @param printed what the text was printed from
 */
export function parseTorchScript(text: string, file: string, printed?: PrintedText): tree.SourceModule {
  return new Parser(text, file, printed).module();
}

/** Parses a type as archives write it: `Dict[str, List[Tensor]]`. */
export function parseTypeExpression(text: string, file: string): tree.TypeExpression {
  return new Parser(text, file).onlyExpression();
}

const deepest = 400;

const comparisons: Readonly<Record<string, tree.CompareOperator>> = {
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  '==': 'eq',
  '!=': 'ne',
  is: 'is',
  in: 'in',
};

/** Binary operators by precedence, loosest first. */
const binaryLevels: readonly Readonly<Record<string, tree.BinaryOperator>>[] = [
  { '|': 'or' },
  { '^': 'xor' },
  { '&': 'and' },
  { '<<': 'shl', '>>': 'shr' },
  { '+': 'add', '-': 'sub' },
  { '*': 'mul', '/': 'div', '//': 'floordiv', '%': 'mod', '@': 'matmul' },
];

const augmented: Readonly<Record<string, tree.BinaryOperator>> = {
  '+=': 'add',
  '-=': 'sub',
  '*=': 'mul',
  '/=': 'div',
  '%=': 'mod',
  '**=': 'pow',
  '@=': 'matmul',
  '&=': 'and',
  '|=': 'or',
  '^=': 'xor',
  '<<=': 'shl',
  '>>=': 'shr',
};

class Parser {
  private readonly tokens: readonly Token[];
  private at = 0;
  private depth = 0;

  constructor(
    private readonly text: string,
    private readonly file: string,
    private readonly printed?: PrintedText,
  ) {
    this.tokens = tokenize(text, file);
  }

  // ---- Files, classes, functions --------------------------------------------------------------------------------

  module(): tree.SourceModule {
    const body: (tree.ClassDef | tree.Def | tree.Statement)[] = [];
    while (this.peek().kind !== 'end') {
      if (this.skip('newline')) continue;
      // A decorated class; a function's decorators are skipped with it.
      while (this.is('@') && this.decorates('class')) this.skipLine();
      if (this.isWord('class')) body.push(this.classDef());
      else if (this.isWord('def') || this.is('@')) body.push(this.def());
      else if (this.isWord('import') || this.isWord('from')) this.skipLine();
      else body.push(...this.statement());
    }
    return { kind: 'SourceModule', body, range: this.range(0, this.text.length) };
  }

  onlyExpression(): tree.Expression {
    const expression = this.expression();
    this.skip('newline');
    if (this.peek().kind !== 'end') this.fail('the end is expected here');
    return expression;
  }

  private classDef(): tree.ClassDef {
    const start = this.expectWord('class').start;
    const name = this.name();
    const bases: tree.Expression[] = [];
    if (this.take('(')) {
      while (!this.take(')')) {
        bases.push(this.expression());
        if (!this.take(',') && !this.is(')')) this.fail("',' or ')' is expected");
      }
    }
    const body: (tree.Statement | tree.Def)[] = [];
    this.block(() => {
      if (this.isWord('def') || this.is('@')) body.push(this.def());
      else body.push(...this.statement());
    });
    return { kind: 'ClassDef', name, bases, body, range: this.since(start) };
  }

  private def(): tree.Def {
    const start = this.peek().start;
    while (this.take('@')) this.skipLine();
    this.expectWord('def');
    const name = this.name();
    this.expect('(');
    const parameters = this.parameters();
    const returns = this.take('->') ? this.expression() : undefined;
    const body = this.suite();
    return { kind: 'Def', name, parameters, returns, body, range: this.since(start) };
  }

  private parameters(): tree.Parameter[] {
    const parameters: tree.Parameter[] = [];
    let keywordOnly = false;
    while (!this.take(')')) {
      const start = this.peek().start;
      if (this.take('*')) {
        if (!this.is(',')) this.fail('functions cannot take a variable number of arguments');
        keywordOnly = true;
      } else {
        const name = this.name();
        const type = this.take(':') ? this.expression() : undefined;
        const value = this.take('=') ? this.expression() : undefined;
        parameters.push({ name, type, default: value, keywordOnly, range: this.since(start) });
      }
      if (!this.take(',') && !this.is(')')) this.fail("',' or ')' is expected");
    }
    return parameters;
  }

  // ---- Statements -----------------------------------------------------------------------------------------------

  /** `:` and the statements under it. */
  private suite(): tree.Statement[] {
    const body: tree.Statement[] = [];
    this.block(() => void body.push(...this.statement()));
    return body;
  }

  private block(each: () => void): void {
    this.expect(':');
    if (!this.skip('newline')) {
      each();
      return;
    }
    this.enter();
    while (this.skip('newline'));
    if (!this.skip('indent')) this.fail('an indented block is expected');
    while (!this.skip('dedent')) {
      if (this.skip('newline')) continue;
      if (this.peek().kind === 'end') this.fail('the block does not end');
      each();
    }
    this.depth--;
  }

  /** A compound statement, or the simple statements of one line. */
  private statement(): tree.Statement[] {
    const { start } = this.peek();
    const word = this.peek().kind === 'name' ? this.peek().text : '';
    switch (word) {
      case 'if':
        this.at++;
        return [this.ifRest(start)];
      case 'while': {
        this.at++;
        const test = this.condition();
        return [{ kind: 'While', test, body: this.suite(), range: this.since(start) }];
      }
      case 'for': {
        this.at++;
        const target = this.targetList();
        this.expectWord('in');
        const iterable = this.expressionList();
        return [{ kind: 'For', target, iterable, body: this.suite(), range: this.since(start) }];
      }
      case 'with': {
        this.at++;
        const items: { context: tree.Expression; target?: tree.Expression }[] = [];
        do {
          const context = this.expression();
          items.push(this.takeWord('as') ? { context, target: this.postfix() } : { context });
        } while (this.take(','));
        return [{ kind: 'With', items, body: this.suite(), range: this.since(start) }];
      }
      case 'def': {
        const def = this.def();
        return [{ kind: 'LocalFunction', def, range: def.range }];
      }
      default:
    }
    const statements = [this.simple()];
    while (this.take(';')) if (this.peek().kind !== 'newline') statements.push(this.simple());
    if (!this.skip('newline') && this.peek().kind !== 'end')
      this.fail('the end of the statement is expected');
    return statements;
  }

  private ifRest(start: number): tree.If {
    this.enter();
    const test = this.condition();
    const then = this.suite();
    let otherwise: tree.Statement[] = [];
    const next = this.peek().start;
    if (this.takeWord('elif')) otherwise = [this.ifRest(next)];
    else if (this.takeWord('else')) otherwise = this.suite();
    this.depth--;
    return { kind: 'If', test, then, otherwise, range: this.since(start) };
  }

  private simple(): tree.Statement {
    const { start, text, kind } = this.peek();
    const word = kind === 'name' ? text : '';
    const ends = () => this.peek().kind === 'newline' || this.peek().kind === 'end' || this.is(';');
    switch (word) {
      case 'return': {
        this.at++;
        const value = ends() ? undefined : this.expressionList();
        return { kind: 'Return', value, range: this.since(start) };
      }
      case 'pass':
        this.at++;
        return { kind: 'Pass', range: this.since(start) };
      case 'break':
        this.at++;
        return { kind: 'Break', range: this.since(start) };
      case 'continue':
        this.at++;
        return { kind: 'Continue', range: this.since(start) };
      case 'raise': {
        this.at++;
        const exception = this.expression();
        return { kind: 'Raise', exception, range: this.since(start) };
      }
      case 'assert': {
        this.at++;
        const test = this.condition();
        const message = this.take(',') ? this.expression() : undefined;
        return { kind: 'Assert', test, message, range: this.since(start) };
      }
      case 'del': {
        this.at++;
        const targets = [this.expression()];
        while (this.take(',')) targets.push(this.expression());
        return { kind: 'Delete', targets, range: this.since(start) };
      }
      default:
    }
    const first = this.expressionList();
    if (this.take(':')) {
      const type = this.expression();
      const value = this.take('=') ? this.expressionList() : undefined;
      return { kind: 'Assign', targets: [first], type, value, range: this.since(start) };
    }
    const operator = this.peek().kind === 'operator' ? augmented[this.peek().text] : undefined;
    if (operator !== undefined) {
      this.at++;
      return {
        kind: 'AugmentedAssign',
        operator,
        target: first,
        value: this.expressionList(),
        range: this.since(start),
      };
    }
    if (!this.is('=')) return { kind: 'ExpressionStatement', expression: first, range: this.since(start) };
    const chain = [first];
    while (this.take('=')) chain.push(this.expressionList());
    const value = chain.pop()!;
    return { kind: 'Assign', targets: chain, value, range: this.since(start) };
  }

  private targetList(): tree.Expression {
    const { start } = this.peek();
    const first = this.target();
    if (!this.is(',')) return first;
    const elements = [first];
    while (this.take(',')) if (!this.isWord('in')) elements.push(this.target());
    return { kind: 'Tuple', elements, range: this.since(start) };
  }

  private target(): tree.Expression {
    const { start } = this.peek();
    if (this.take('*')) return { kind: 'Starred', operand: this.postfix(), range: this.since(start) };
    return this.postfix();
  }

  // ---- Expressions ----------------------------------------------------------------------------------------------

  /** One expression, or several with commas: a tuple. */
  private expressionList(): tree.Expression {
    const { start } = this.peek();
    const first = this.starredOrExpression();
    if (!this.is(',')) return first;
    const elements = [first];
    while (this.take(',')) {
      const next = this.peek();
      if (
        next.kind === 'newline' ||
        next.kind === 'end' ||
        ['=', ')', ']', '}', ':', ';'].includes(next.text)
      )
        break;
      elements.push(this.starredOrExpression());
    }
    return { kind: 'Tuple', elements, range: this.since(start) };
  }

  private starredOrExpression(): tree.Expression {
    const { start } = this.peek();
    if (this.take('*')) return { kind: 'Starred', operand: this.binary(0), range: this.since(start) };
    return this.expression();
  }

  /** An expression whose truth is asked for. */
  private condition(): tree.Expression {
    return asCondition(this.expression());
  }

  private expression(): tree.Expression {
    this.enter();
    let result = this.or();
    const { start } = result.range;
    if (this.isWord('if')) {
      this.at++;
      const test = asCondition(this.or());
      this.expectWord('else');
      result = {
        kind: 'Ternary',
        test,
        then: result,
        otherwise: this.expression(),
        range: this.since(start),
      };
    }
    this.depth--;
    return result;
  }

  private or(): tree.Expression {
    let left = this.and();
    const { start } = left.range;
    while (this.takeWord('or'))
      left = {
        kind: 'Or',
        left: asCondition(left),
        right: asCondition(this.and()),
        range: this.since(start),
      };
    return left;
  }

  private and(): tree.Expression {
    let left = this.not();
    const { start } = left.range;
    while (this.takeWord('and'))
      left = {
        kind: 'And',
        left: asCondition(left),
        right: asCondition(this.not()),
        range: this.since(start),
      };
    return left;
  }

  private not(): tree.Expression {
    const { start } = this.peek();
    if (!this.takeWord('not')) return this.comparison();
    this.enter();
    const operand = asCondition(this.not());
    this.depth--;
    return { kind: 'Not', operand, range: this.since(start) };
  }

  private comparison(): tree.Expression {
    let left = this.binary(0);
    const { start } = left.range;
    let result: tree.Expression | undefined;
    for (;;) {
      const operator = this.comparisonOperator();
      if (operator === undefined) return result ?? left;
      const right = this.binary(0);
      const one: tree.Compare = { kind: 'Compare', operator, left, right, range: this.since(start) };
      result =
        result === undefined ? one : { kind: 'And', left: result, right: one, range: this.since(start) };
      left = right;
    }
  }

  private comparisonOperator(): tree.CompareOperator | undefined {
    const token = this.peek();
    if (this.isWord('not') && this.tokens[this.at + 1]?.text === 'in') {
      this.at += 2;
      return 'notin';
    }
    if ((token.kind !== 'operator' && token.kind !== 'name') || !Object.hasOwn(comparisons, token.text))
      return undefined;
    this.at++;
    if (token.text === 'is' && this.takeWord('not')) return 'isnot';
    return comparisons[token.text];
  }

  private binary(level: number): tree.Expression {
    if (level === binaryLevels.length) return this.unary();
    let left = this.binary(level + 1);
    const { start } = left.range;
    for (;;) {
      const token = this.peek();
      const table = binaryLevels[level];
      if (token.kind !== 'operator' || !Object.hasOwn(table, token.text)) return left;
      this.at++;
      left = {
        kind: 'Binary',
        operator: table[token.text],
        left,
        right: this.binary(level + 1),
        range: this.since(start),
      };
    }
  }

  private unary(): tree.Expression {
    const { start, text, kind } = this.peek();
    const operator =
      kind !== 'operator' ? undefined : ({ '-': 'neg', '+': 'pos', '~': 'invert' } as const)[text];
    if (operator === undefined) return this.power();
    this.at++;
    this.enter();
    const operand = this.unary();
    this.depth--;
    // A negative literal is a literal: -9223372036854775808 is an int.
    if (operator === 'neg' && operand.kind === 'Int')
      return { ...operand, value: -operand.value, range: this.since(start) };
    if (operator === 'neg' && operand.kind === 'Float')
      return { ...operand, value: -operand.value, range: this.since(start) };
    return { kind: 'Unary', operator, operand, range: this.since(start) };
  }

  private power(): tree.Expression {
    const left = this.postfix();
    if (!this.take('**')) return left;
    return {
      kind: 'Binary',
      operator: 'pow',
      left,
      right: this.unary(),
      range: this.since(left.range.start),
    };
  }

  private postfix(): tree.Expression {
    let result = this.atom();
    // As in PyTorch, parentheses around an expression are not part of it.
    const { start } = result.range;
    for (;;) {
      if (this.take('.')) {
        const token = this.peek();
        // Submodules of a Sequential are named by numbers: `(self).0` is written getattr(self, "0"), but be lenient.
        if (token.kind !== 'name') this.fail('a name is expected after the point');
        this.at++;
        result = { kind: 'Select', object: result, name: token.text, range: this.since(start) };
      } else if (this.take('(')) {
        result = this.call(result);
      } else if (this.take('[')) {
        const indices = this.subscripts();
        result = { kind: 'Subscript', object: result, indices, range: this.since(start) };
      } else return result;
    }
  }

  /** As PyTorch does, errors of a call point to what is called. */
  private call(callee: tree.Expression): tree.Apply {
    const positional: tree.Expression[] = [];
    const keywords: tree.Keyword[] = [];
    while (!this.take(')')) {
      const from = this.peek();
      if (
        from.kind === 'name' &&
        this.tokens[this.at + 1]?.text === '=' &&
        this.tokens[this.at + 1].kind === 'operator'
      ) {
        this.at += 2;
        keywords.push({ name: from.text, value: this.expression(), range: this.since(from.start) });
      } else if (this.isOperatorAt('**')) this.fail('keyword arguments cannot be unpacked');
      else {
        const argument = this.starredOrExpression();
        positional.push(this.isWord('for') ? this.comprehension(argument, from.start) : argument);
      }
      if (!this.take(',') && !this.is(')')) this.fail("',' or ')' is expected");
    }
    return { kind: 'Apply', callee, arguments: positional, keywords, range: callee.range };
  }

  private subscripts(): tree.Expression[] {
    const indices: tree.Expression[] = [];
    while (!this.take(']')) {
      indices.push(this.subscript());
      if (!this.take(',') && !this.is(']')) this.fail("',' or ']' is expected");
    }
    if (indices.length === 0) this.fail('an index is expected');
    return indices;
  }

  private subscript(): tree.Expression {
    const { start } = this.peek();
    const ends = () => this.is(':') || this.is(',') || this.is(']');
    const first = ends() ? undefined : this.expression();
    if (!this.take(':')) return first ?? this.fail('an index is expected');
    const stop = ends() ? undefined : this.expression();
    const step = this.take(':') && !ends() ? this.expression() : undefined;
    return { kind: 'Slice', start: first, stop, step, range: this.since(start) };
  }

  private comprehension(element: tree.Expression, start: number): tree.Comprehension {
    this.expectWord('for');
    const target = this.targetList();
    this.expectWord('in');
    const iterable = this.or();
    if (this.isWord('if')) this.fail('comprehensions cannot have conditions');
    return { kind: 'Comprehension', element, target, iterable, range: this.since(start) };
  }

  private atom(): tree.Expression {
    const token = this.peek();
    const { start } = token;
    switch (token.kind) {
      case 'number':
        this.at++;
        return this.number(token);
      case 'string': {
        let value = '';
        while (this.peek().kind === 'string') value += this.tokens[this.at++].text;
        return { kind: 'String', value, range: this.since(start) };
      }
      case 'name':
        this.at++;
        return this.nameExpression(token);
      default:
    }
    if (this.take('(')) return this.parenthesised(start);
    if (this.take('[')) return this.list(start);
    if (this.take('{')) return this.dict(start);
    if (this.take('...')) return { kind: 'Ellipsis', range: this.since(start) };
    return this.fail(token.kind === 'end' ? 'the text ends too early' : 'an expression is expected');
  }

  private nameExpression(token: Token): tree.Expression {
    const range = this.since(token.start);
    switch (token.text) {
      case 'True':
      case 'False':
        return { kind: 'Bool', value: token.text === 'True', range };
      case 'None':
        return { kind: 'None', range };
      case 'lambda':
      case 'yield':
      case 'await':
        return this.fail(`'${token.text}' is not part of TorchScript`, token);
      default:
        return { kind: 'Name', name: token.text, range };
    }
  }

  private number(token: Token): tree.Expression {
    const range = this.since(token.start);
    const { text } = token;
    if (/[jJ]$/.test(text)) return { kind: 'Imaginary', value: Number(text.slice(0, -1)), range };
    if (/^0[xXbBoO]/.test(text) || /^\d+$/.test(text)) return { kind: 'Int', value: BigInt(text), range };
    return { kind: 'Float', value: Number(text), range };
  }

  private parenthesised(start: number): tree.Expression {
    if (this.take(')')) return { kind: 'Tuple', elements: [], range: this.since(start) };
    const elements = [this.starredOrExpression()];
    if (this.isWord('for')) {
      const result = this.comprehension(elements[0], start);
      this.expect(')');
      return result;
    }
    let isTuple = elements[0].kind === 'Starred';
    while (this.take(',')) {
      isTuple = true;
      if (!this.is(')')) elements.push(this.starredOrExpression());
    }
    this.expect(')');
    return isTuple ? { kind: 'Tuple', elements, range: this.since(start) } : elements[0];
  }

  private list(start: number): tree.Expression {
    const elements: tree.Expression[] = [];
    while (!this.take(']')) {
      elements.push(this.starredOrExpression());
      if (elements.length === 1 && this.isWord('for')) {
        const result = this.comprehension(elements[0], start);
        this.expect(']');
        return { ...result, range: this.since(start) };
      }
      if (!this.take(',') && !this.is(']')) this.fail("',' or ']' is expected");
    }
    return { kind: 'List', elements, range: this.since(start) };
  }

  private dict(start: number): tree.Expression {
    const entries: { key: tree.Expression; value: tree.Expression }[] = [];
    while (!this.take('}')) {
      const key = this.expression();
      this.expect(':');
      const value = this.expression();
      if (entries.length === 0 && this.isWord('for')) {
        const { target, iterable } = this.comprehension(value, start);
        this.expect('}');
        return {
          kind: 'DictComprehension',
          key,
          value,
          target,
          iterable,
          range: this.since(start),
        };
      }
      entries.push({ key, value });
      if (!this.take(',') && !this.is('}')) this.fail("',' or '}' is expected");
    }
    return { kind: 'Dict', entries, range: this.since(start) };
  }

  // ---- Tokens ---------------------------------------------------------------------------------------------------

  private peek(): Token {
    return this.tokens[this.at];
  }
  private is(text: string): boolean {
    return this.isOperatorAt(text);
  }
  private isOperatorAt(text: string): boolean {
    const token = this.tokens[this.at];
    return token.kind === 'operator' && token.text === text;
  }
  private isWord(text: string): boolean {
    const token = this.tokens[this.at];
    return token.kind === 'name' && token.text === text;
  }
  private take(text: string): boolean {
    if (!this.is(text)) return false;
    this.at++;
    return true;
  }
  private takeWord(text: string): boolean {
    if (!this.isWord(text)) return false;
    this.at++;
    return true;
  }
  private skip(kind: Token['kind']): boolean {
    if (this.peek().kind !== kind) return false;
    this.at++;
    return true;
  }
  private expect(text: string): void {
    if (!this.take(text)) this.fail(`'${text}' is expected`);
  }
  private expectWord(text: string): Token {
    const token = this.peek();
    if (!this.takeWord(text)) this.fail(`'${text}' is expected`);
    return token;
  }
  private name(): string {
    const token = this.peek();
    if (token.kind !== 'name') this.fail('a name is expected');
    this.at++;
    return token.text;
  }
  /** Whether the lines of decorators that start here end at this word. */
  private decorates(word: string): boolean {
    let at = this.at;
    while (this.tokens[at].text === '@' && this.tokens[at].kind === 'operator') {
      while (this.tokens[at].kind !== 'newline' && this.tokens[at].kind !== 'end') at++;
      while (this.tokens[at].kind === 'newline') at++;
    }
    return this.tokens[at].kind === 'name' && this.tokens[at].text === word;
  }
  private skipLine(): void {
    while (this.peek().kind !== 'newline' && this.peek().kind !== 'end') this.at++;
    this.skip('newline');
  }
  private enter(): void {
    if (++this.depth > deepest) this.fail(`the text is nested more than ${deepest} deep`);
  }
  private range(start: number, end: number): SourceRange {
    return new SourceRange(this.file, this.text, start, end, 1, undefined, this.printed);
  }
  private since(start: number): SourceRange {
    return this.range(start, Math.max(start + 1, this.tokens[this.at - 1]?.end ?? start + 1));
  }
  private fail(message: string, token: Token = this.peek()): never {
    throw new ScriptError(message, this.range(token.start, Math.max(token.end, token.start + 1)));
  }
}

const conditions: ReadonlySet<tree.Expression['kind']> = new Set([
  'Condition',
  'And',
  'Or',
  'Not',
  'Compare',
]);
const asCondition = (expression: tree.Expression): tree.Expression =>
  conditions.has(expression.kind)
    ? expression
    : { kind: 'Condition', operand: expression, range: expression.range };
