// Turns a TypeScript function into the shared syntax tree: declarations and variables here, statements in statements.ts,
// expressions in expressions.ts. Variables that shadow others are renamed, since the tree has one scope a function.
import type { SourceRange } from '@weft/ir';
import type TS from 'typescript';
import { ts } from './typescript.ts';
import { fail } from '../../emit/script-error.ts';
import type * as tree from '../tree.ts';
import { valueOf } from './expressions.ts';
import { rangeOf } from './source-file.ts';
import { convertStatements } from './statements.ts';
import { optionalExpression, typeExpression } from './types.ts';

/** The key in `Converter.free` of the place where the member's own name stands. */
export const memberPlace = (name: string, member: string): string => `${name}..${member}`;

export class Converter {
  private scopes: Map<string, string>[] = [new Map()];
  private readonly taken = new Set<string>();
  /** Names that are free in the function, with a place where each is used. */
  readonly free = new Map<string, number>();
  private temporaries = 0;

  constructor(
    readonly file: TS.SourceFile,
    /** What `this` is called in the tree; undefined where there is none. */
    readonly self: string | undefined,
    /** What `super.name` is called in the compiled class. */
    readonly superMethod: (name: string) => string = (name) => name,
  ) {}

  range(node: TS.Node): SourceRange {
    return rangeOf(this.file, node);
  }
  text(node: TS.Node): string {
    return node.getText(this.file);
  }
  fail(node: TS.Node, message: string): never {
    fail(this.range(node), message);
  }

  inScope<T>(body: () => T): T {
    this.scopes.push(new Map());
    try {
      return body();
    } finally {
      this.scopes.pop();
    }
  }

  /** Makes a variable known and returns its name in the tree. */
  declare(name: string): string {
    let unique = name;
    for (let count = 2; this.taken.has(unique); count++) unique = `${name}$${count}`;
    this.taken.add(unique);
    this.scopes[this.scopes.length - 1].set(name, unique);
    return unique;
  }

  temporary(prefix: string): string {
    return `$${prefix}_${this.temporaries++}`;
  }

  /** The steps that `continue` must run in the loops around, innermost last. */
  private readonly steps: (readonly tree.Statement[])[] = [];

  /** Converts the body of a loop whose `step` runs at the end of every turn. */
  loop<T>(step: readonly tree.Statement[], body: () => T): T {
    this.steps.push(step);
    try {
      return body();
    } finally {
      this.steps.pop();
    }
  }

  beforeContinue(node: TS.BreakOrContinueStatement): readonly tree.Statement[] {
    return ts.isContinueStatement(node) ? (this.steps.at(-1) ?? []) : [];
  }

  name(identifier: TS.Identifier): tree.Name {
    const range = this.range(identifier);
    for (let index = this.scopes.length - 1; index >= 0; index--) {
      const found = this.scopes[index].get(identifier.text);
      if (found !== undefined) return { kind: 'Name', name: found, range };
    }
    const start = identifier.getStart(this.file);
    if (!this.free.has(identifier.text)) this.free.set(identifier.text, start);
    // Bundlers replace `F.relu`, with F a namespace, by the function itself: such a member has a place of its own, which maps
    // give as that of `F` or as that of `relu`.
    const { parent } = identifier;
    if (ts.isPropertyAccessExpression(parent) && parent.expression === identifier) {
      this.free.set(`${identifier.text}.${parent.name.text}`, start);
      this.free.set(memberPlace(identifier.text, parent.name.text), parent.name.getStart(this.file));
    }
    return { kind: 'Name', name: identifier.text, range };
  }

  /** A declaration's target: a variable, or a pattern of them. */
  binding(name: TS.BindingName): tree.Expression {
    const range = this.range(name);
    if (ts.isIdentifier(name)) return { kind: 'Name', name: this.declare(name.text), range };
    if (ts.isObjectBindingPattern(name)) {
      return this.fail(name, 'an object cannot be taken apart here; read its members one by one');
    }
    const elements = name.elements.map((element): tree.Expression => {
      if (ts.isOmittedExpression(element)) {
        return { kind: 'Name', name: this.temporary('unused'), range };
      }
      if (element.initializer !== undefined)
        return this.fail(element, 'a default value in a pattern is not supported');
      const target = this.binding(element.name);
      return element.dotDotDotToken === undefined
        ? target
        : { kind: 'Starred', operand: target, range: this.range(element) };
    });
    return { kind: 'Tuple', elements, range, takesFirst: true };
  }

  // ---- Functions --------------------------------------------------------------------------------------------------

  def(node: TS.FunctionLikeDeclaration, name: string): tree.Def {
    const head = 'name' in node && node.name !== undefined ? node.name : node;
    if (node.asteriskToken !== undefined) this.fail(head, 'generator functions cannot be scripted');
    if (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Async) {
      this.fail(head, 'async functions cannot be scripted');
    }
    const range = this.range(head);
    const parameters: tree.Parameter[] = [];
    if (this.self !== undefined) {
      this.declare(this.self);
      parameters.push({ name: this.self, range });
    }
    const jsDoc = ts.getJSDocParameterTags;
    for (const parameter of node.parameters) {
      if (ts.isIdentifier(parameter.name) && parameter.name.text === 'this') continue;
      parameters.push(this.parameter(parameter, jsDoc(parameter)[0]?.typeExpression?.type));
    }
    const returnType = node.type ?? ts.getJSDocReturnType(node);
    const isConstructor = ts.isConstructorDeclaration(node) || ts.isSetAccessorDeclaration(node);
    const returns = isConstructor
      ? ({ kind: 'Name', name: 'NoneType', range } as const)
      : returnType === undefined
        ? undefined
        : typeExpression(this.file, returnType);
    const { body } = node;
    if (body === undefined) return this.fail(node, 'a function without a body cannot be scripted');
    const statements = ts.isBlock(body)
      ? this.inScope(() => convertStatements(this, body.statements))
      : [{ kind: 'Return', value: valueOf(this, body), range: this.range(body) } as const];
    return { kind: 'Def', name, parameters, returns, body: statements, range };
  }

  private parameter(node: TS.ParameterDeclaration, documented: TS.TypeNode | undefined): tree.Parameter {
    const range = this.range(node);
    if (node.dotDotDotToken !== undefined) this.fail(node, 'rest parameters cannot be scripted; take a list');
    if (!ts.isIdentifier(node.name))
      this.fail(node.name, 'a parameter must be a plain name; take it apart in the body');
    const name = this.declare(node.name.text);
    const written = node.type ?? documented;
    let type = written === undefined ? undefined : typeExpression(this.file, written);
    const { initializer } = node;
    type ??= initializer === undefined ? undefined : this.literalType(initializer, range);
    let given = initializer === undefined ? undefined : valueOf(this, initializer);
    if (node.questionToken !== undefined) {
      type = optionalExpression(type ?? { kind: 'Name', name: 'Tensor', range });
      given = { kind: 'None', range };
    }
    return { name, type, default: given, range };
  }

  /** The type of a parameter that has only a default. */
  private literalType(node: TS.Expression, range: SourceRange): tree.TypeExpression | undefined {
    const value = ts.isPrefixUnaryExpression(node) ? node.operand : node;
    const name = (text: string): tree.Name => ({ kind: 'Name', name: text, range });
    if (ts.isNumericLiteral(value)) return name(/^\d+$/.test(this.text(value)) ? 'int' : 'float');
    if (ts.isStringLiteralLike(value)) return name('str');
    if (value.kind === ts.SyntaxKind.TrueKeyword || value.kind === ts.SyntaxKind.FalseKeyword)
      return name('bool');
    return undefined;
  }
}
