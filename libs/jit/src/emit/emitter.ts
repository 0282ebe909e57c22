// Makes the graph of one function from its syntax tree: declarations, statements and control flow. Expressions are in
// expressions.ts, conditions in conditions.ts, assignments in assignments.ts. What comes out first is close to the source:
// variables are prim::Store and prim::Load, exits are prim::ReturnStmt, prim::BreakStmt and prim::ContinueStmt, a loop
// has its condition in a block of its own. convert-to-ssa.ts and cleanup.ts then give it PyTorch's final shape.
// After TorchScript's ir_emitter.
import type { Argument, Block, ClassType, Schema, SourceRange, TupleType, Type, Value } from '@weft/ir';
import { AnyTensorType, Graph, IntType, InternalError, NoneType, isSubtype, unifyTypes } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { assign, augmentedAssign, emitTargets } from './assignments.ts';
import { cleanUp } from './cleanup.ts';
import type { Condition } from './conditions.ts';
import { emitCondition, toBool } from './conditions.ts';
import { constantValue, insertConstant } from './constants.ts';
import { convertToSsa } from './convert-to-ssa.ts';
import { annotationString } from '@weft/ir';
import { Environment, WidenVariable, isMeaningful } from './environment.ts';
import { defaultValue } from './defaults.ts';
import { emitExpression, emitSugared, isWidening } from './expressions.ts';
import type { Refinements } from './refinements.ts';
import type { Resolver } from './resolver.ts';
import { convertibleToList, emitOperator, tryConvert } from './schema-matching.ts';
import { fail } from './script-error.ts';
import type { SugaredValue } from './sugared-value.ts';
import { ClosureValue, ExceptionClass, ExceptionInstance } from './callable-values.ts';
import { RangeValue } from './iterable-values.ts';
import { SimpleValue } from './simple-value.ts';
import { resolveType } from './type-expressions.ts';
import { emitWith } from './with-statement.ts';

/** The object whose method is compiled. */
export interface SelfBinding {
  readonly type: ClassType;
  /** What `self` denotes in the method. */
  sugared(value: Value): SugaredValue;
}

export interface EmitRequest {
  readonly def: tree.Def;
  readonly resolver: Resolver;
  readonly self?: SelfBinding;
  /** Whether unannotated parameters and returns follow TypeScript: a function without annotation returns anything. */
  readonly qualifiedName: string;
}

export interface EmittedFunction {
  readonly schema: Schema;
  readonly graph: Graph;
}

/** Compiles a function. Throws ScriptError. */
export function emitFunction(request: EmitRequest): EmittedFunction {
  const floatVariables = new Set<string>();
  for (;;) {
    try {
      return new Emitter(request, floatVariables).run();
    } catch (error) {
      if (!(error instanceof WidenVariable) || floatVariables.has(error.variable)) throw error;
      floatVariables.add(error.variable);
    }
  }
}

/** The schema as far as the declaration gives it; returns are empty when the return type is not written. */
export function declaredSchema(request: EmitRequest): Schema {
  const { def, resolver, self } = request;
  const types = { resolver };
  const schemaArguments = def.parameters.map((parameter, index): Argument => {
    const type =
      self !== undefined && index === 0
        ? self.type
        : parameter.type === undefined
          ? AnyTensorType
          : resolveType(types, parameter.type);
    const given = parameter.default === undefined ? undefined : defaultValue(types, parameter.default, type);
    return {
      name: parameter.name,
      type,
      hasDefault: given !== undefined,
      default: given,
      kwargOnly: parameter.keywordOnly ?? false,
    };
  });
  const returns =
    def.returns === undefined
      ? []
      : [{ name: '', type: resolveType(types, def.returns), hasDefault: false, kwargOnly: false }];
  return {
    name: def.name,
    overload: '',
    arguments: schemaArguments,
    returns,
    isVararg: false,
    isVarret: false,
  };
}

interface DefContext {
  readonly declared: Type | undefined;
  merged: Type | undefined;
}

type LoopStatus = 'none' | 'loop' | 'unrolled';

export class Emitter {
  readonly graph = new Graph();
  readonly resolver: Resolver;
  environment: Environment;
  /** Types of variables that are declared before they are assigned. */
  readonly declaredTypes = new Map<string, Type>();
  private readonly ints = new Map<bigint, Value>();
  private readonly floats = new Map<number, Value>();
  /** Blocks that always leave by return, raise, break or continue. */
  private readonly exiting = new Set<Block>();
  private readonly defs: DefContext[] = [];
  private loopStatus: LoopStatus = 'none';
  private temporaries = 0;

  constructor(
    private readonly request: EmitRequest,
    readonly floatVariables: ReadonlySet<string>,
  ) {
    this.resolver = request.resolver;
    this.graph.operatorVersion = this.resolver.operatorVersion;
    this.environment = new Environment(this, this.graph.block, undefined);
  }

  run(): EmittedFunction {
    const schema = this.emitDef(this.request.def, this.request.self, this.graph.block);
    this.graph.currentSource = undefined;
    this.graph.operatorVersion = undefined;
    convertToSsa(this.graph);
    cleanUp(this.graph);
    return { schema, graph: this.graph };
  }

  /** Whether `type`'s constructor is being compiled, in which new attributes may be made. */
  isInitialising(type: ClassType): boolean {
    const { def, self } = this.request;
    return def.name === '__init__' && self?.type === type;
  }

  temporary(prefix: string): string {
    return `$${prefix}${this.temporaries++}`;
  }

  // ---- Declarations ---------------------------------------------------------------------------------------------

  private emitDef(def: tree.Def, self: SelfBinding | undefined, block: Block): Schema {
    const schema = declaredSchema({ ...this.request, def, self });
    const declared = schema.returns[0]?.type;
    this.defs.push({ declared, merged: undefined });
    for (const [index, parameter] of def.parameters.entries()) {
      const { type } = schema.arguments[index];
      const value = block.addInput(type, isMeaningful(parameter.name) ? parameter.name : undefined);
      if (index === 0 && self !== undefined) {
        this.environment.set(parameter.range, parameter.name, self.sugared(value));
      } else {
        this.environment.set(parameter.range, parameter.name, new SimpleValue(value));
      }
    }
    this.emitStatements(def.body);
    const context = this.defs[this.defs.length - 1];
    if (!this.exiting.has(block)) {
      if (declared !== undefined && declared.kind !== 'None') {
        fail(
          def.range,
          `'${def.name}' should return a ${annotationString(declared)}, but its end can be reached without a return`,
        );
      }
      this.emitReturn({ kind: 'Return', range: def.range });
    }
    const type = context.merged ?? declared ?? NoneType;
    this.defs.pop();
    // The real value comes with the exits, in convert-to-ssa.ts; until then the function returns a placeholder.
    block.addOutput(this.graph.insert('prim::Uninitialized', [], [type]).output);
    return { ...schema, returns: [{ name: '', type, hasDefault: false, kwargOnly: false }] };
  }

  withFrame<T>(block: Block, body: () => T): [T, Environment] {
    const frame = new Environment(this, block, this.environment);
    this.environment = frame;
    try {
      return [this.graph.withInsertPoint(block, body), frame];
    } finally {
      this.environment = frame.parent!;
    }
  }

  /** A function value that only `fork` can use: a block that is emitted in place. */
  closure(body: (block: Block) => void): ClosureValue {
    const node = this.graph.insert('prim::Closure', [], [NoneType]);
    const block = node.addBlock();
    const saved = this.loopStatus;
    this.loopStatus = 'none';
    this.defs.push({ declared: undefined, merged: undefined });
    try {
      this.withFrame(block, () => body(block));
    } finally {
      this.defs.pop();
      this.loopStatus = saved;
    }
    return new ClosureValue(node.output);
  }

  // ---- Statements -----------------------------------------------------------------------------------------------

  emitStatements(statements: readonly tree.Statement[]): void {
    for (const statement of statements) {
      this.graph.currentSource = statement.range;
      this.emitStatement(statement);
      // What follows an exit is never reached.
      if (this.exiting.has(this.environment.block)) return;
    }
  }

  private emitStatement(statement: tree.Statement): void {
    switch (statement.kind) {
      case 'ExpressionStatement':
        emitSugared(this, statement.expression);
        return;
      case 'Assign':
        return assign(this, statement);
      case 'AugmentedAssign':
        return augmentedAssign(this, statement);
      case 'Return':
        return this.emitReturn(statement);
      case 'If':
        return this.emitBranches(
          statement.range,
          emitCondition(this, statement.test),
          () => this.emitStatements(statement.then),
          () => this.emitStatements(statement.otherwise),
        );
      case 'While':
        return this.emitLoop(statement.range, undefined, statement.test, () =>
          this.emitStatements(statement.body),
        );
      case 'For':
      case 'ForOf':
        return this.emitFor(statement.range, statement.target, this.iterableOf(statement), () =>
          this.emitStatements(statement.body),
        );
      case 'Break':
      case 'Continue':
        return this.emitLoopExit(statement);
      case 'Pass':
        return;
      case 'Raise':
        return this.emitRaise(statement);
      case 'Assert':
        return this.emitAssert(statement);
      case 'Delete':
        return this.emitDelete(statement);
      case 'With':
        return emitWith(this, statement);
      case 'LocalFunction': {
        const { def } = statement;
        const closure = this.closure((block) => {
          this.defs.pop();
          this.emitDef(def, undefined, block);
          this.defs.push({ declared: undefined, merged: undefined });
        });
        this.environment.set(def.range, def.name, closure);
        return;
      }
      default:
        throw new InternalError(`unknown statement ${(statement satisfies never as tree.Statement).kind}`);
    }
  }

  private iterableOf(statement: tree.For | tree.ForOf): SugaredValue {
    const value = emitSugared(this, statement.iterable);
    const { range } = statement.iterable;
    return statement.kind === 'ForOf' ? this.entries(value, range) : value.iterable(this, range);
  }

  /** What TypeScript iterates over: a Map's entries, everything else as Python. */
  entries(value: SugaredValue, range: SourceRange): SugaredValue {
    if (value instanceof SimpleValue && value.type.kind === 'Dict') {
      return new SimpleValue(emitOperator(this.graph, range, 'aten::items', [value.value]));
    }
    return value.iterable(this, range);
  }

  private emitReturn(statement: tree.Return): void {
    const { range } = statement;
    const context = this.defs[this.defs.length - 1];
    const { declared } = context;
    let value =
      statement.value === undefined
        ? insertConstant(this.graph, null)
        : emitExpression(this, statement.value, declared);
    const widen = isWidening(statement.value);
    let type: Type;
    if (declared !== undefined) {
      // A forgotten value (None) does not become a tensor.
      if (!(declared.kind === 'Tensor' && value.type.kind === 'None')) {
        value = tryConvert(this.graph, range, declared, value, { conversions: true, widen });
      }
      if (!isSubtype(value.type, declared)) {
        fail(
          range,
          `a ${annotationString(declared)} should be returned, but this is a ${annotationString(value.type)}`,
        );
      }
      type = declared;
    } else {
      const merged = context.merged === undefined ? value.type : unifyTypes(context.merged, value.type);
      if (merged === undefined) {
        fail(
          range,
          `an earlier return gives a ${annotationString(context.merged!)}, but this one gives a ${annotationString(value.type)}; write the return type`,
        );
      }
      type = merged;
    }
    context.merged = type;
    if (type.kind === 'Any' && value.type.kind !== 'Any') value = this.uncheckedCast(value, type);
    this.graph.insert('prim::ReturnStmt', [value], 0);
    this.exiting.add(this.environment.block);
  }

  uncheckedCast(value: Value, type: Type): Value {
    return this.graph.insert('prim::unchecked_cast', [value], [type]).output;
  }

  private emitLoopExit(statement: tree.Break | tree.Continue): void {
    const word = statement.kind === 'Break' ? 'break' : 'continue';
    if (this.loopStatus === 'none') fail(statement.range, `'${word}' stands outside a loop`);
    if (this.loopStatus === 'unrolled') {
      fail(
        statement.range,
        `'${word}' is not possible in a loop over a tuple or a list of modules, since such a loop is unrolled; use if statements`,
      );
    }
    this.graph.insert(statement.kind === 'Break' ? 'prim::BreakStmt' : 'prim::ContinueStmt', [], 0);
  }

  private emitRaise(statement: tree.Raise): void {
    const { range } = statement;
    let raised = emitSugared(this, statement.exception);
    if (raised instanceof ExceptionClass) raised = raised.call(this, range, []);
    if (!(raised instanceof ExceptionInstance)) fail(range, 'only exceptions can be raised');
    this.raise(range, raised.name, raised.message);
  }

  private raise(range: SourceRange, name: string, message: Value): void {
    const { graph } = this;
    const text = message.type.kind === 'str' ? message : emitOperator(graph, range, 'aten::str', [message]);
    const className = insertConstant(graph, name);
    graph.insert('prim::RaiseException', [text, className], 0).overload = '';
    this.exiting.add(this.environment.block);
  }

  private emitAssert(statement: tree.Assert): void {
    const { range, message } = statement;
    const condition = emitCondition(this, statement.test);
    this.emitBranches(
      range,
      condition,
      () => {},
      () => {
        const text = message === undefined ? insertConstant(this.graph, '') : emitExpression(this, message);
        this.raise(range, 'AssertionError', text);
      },
    );
  }

  private emitDelete(statement: tree.Delete): void {
    for (const target of statement.targets) {
      if (target.kind === 'Name') {
        if (!this.environment.remove(target.name)) this.environment.notFound(target.range, target.name);
      } else if (
        target.kind === 'Subscript' &&
        target.indices.length === 1 &&
        target.indices[0].kind !== 'Slice'
      ) {
        const object = emitSugared(this, target.object);
        const value = object.asValue(this, target.object.range);
        const index = emitExpression(this, target.indices[0]);
        if (value.type.kind === 'Class') {
          object
            .attr(this, target.range, '__delitem__')
            .call(this, target.range, [{ range: target.range, value: index }], []);
        } else {
          emitOperator(this.graph, target.range, 'aten::Delete', [value, index]);
        }
      } else {
        fail(target.range, 'only variables and single items of lists and dicts can be deleted');
      }
    }
  }

  // ---- Branches -------------------------------------------------------------------------------------------------

  /** The variables that a condition narrows get their narrower type. */
  insertRefinements(range: SourceRange, refinements: Refinements): void {
    for (const { name, type } of refinements) {
      if (name.includes('.')) {
        this.environment.setPresent(name, true);
        continue;
      }
      const variable = this.environment.find(name);
      if (!(variable instanceof SimpleValue)) continue;
      const cast = this.uncheckedCast(variable.value, type);
      this.environment.set(range, name, new SimpleValue(cast));
    }
  }

  emitBranches(range: SourceRange, condition: Condition, then: () => void, otherwise: () => void): void {
    const { graph } = this;
    const { whenTrue, whenFalse } = condition.refinements;
    if (condition.known !== undefined) {
      // Known while compiling: only the branch that is taken is compiled.
      this.insertRefinements(range, condition.known ? whenTrue : whenFalse);
      (condition.known ? then : otherwise)();
      return;
    }
    const node = graph.insert('prim::If', [condition.value], 0);
    node.source = range;
    const blocks = [node.addBlock(), node.addBlock()];
    const frames = [
      this.withFrame(blocks[0], () => {
        this.insertRefinements(range, whenTrue);
        then();
      })[1],
      this.withFrame(blocks[1], () => {
        this.insertRefinements(range, whenFalse);
        otherwise();
      })[1],
    ];
    const exits = blocks.map((block) => this.exiting.has(block));
    if (exits[0] && exits[1]) this.exiting.add(node.block!);
    else if (exits[0] || exits[1]) this.environment.adoptPresent(frames[exits[0] ? 1 : 0]);
    this.mergeBranches(range, blocks, frames, exits);
  }

  /** A variable is visible after the branches when it is defined on every path that reaches their end. */
  private mergeBranches(range: SourceRange, blocks: Block[], frames: Environment[], exits: boolean[]): void {
    const { graph } = this;
    const merged = new Set<string>();
    for (const [index, branch] of [
      [0, 'false'],
      [1, 'true'],
    ] as const) {
      for (const name of frames[index].assigned) {
        const other = 1 - index;
        if (frames[other].has(name) || exits[other]) merged.add(name);
        else
          this.environment.setError(
            name,
            `'${name}' is not defined in the ${branch} branch\n${range.highlight()}`,
          );
      }
    }
    if (exits[0] && exits[1]) return;
    for (const name of [...merged].sort()) {
      const values = frames.map((frame, index) => {
        if (exits[index]) return undefined;
        const value = graph.withInsertPoint(blocks[index], () => frame.find(name)!);
        return value instanceof SimpleValue ? value.value : undefined;
      });
      const present = values.find((value) => value !== undefined);
      if (present === undefined || values.some((value, index) => value === undefined && !exits[index]))
        continue;
      for (const [index, block] of blocks.entries()) {
        if (!exits[index]) continue;
        values[index] = graph.withInsertPoint(block, () => {
          const unit = graph.insert('prim::Uninitialized', [], [present.type]).output;
          graph.insert('prim::Store', [unit], 0).set('name', { kind: 's', value: name });
          return unit;
        });
      }
      const [first, second] = values as Value[];
      const unified = unifyTypes(first.type, second.type);
      if (unified === undefined) {
        this.widenOrNothing(name, first.type, second.type);
        const message = `'${name}' is a ${annotationString(first.type)} in the true branch and a ${annotationString(second.type)} in the false branch`;
        if (this.environment.has(name)) fail(range, message);
        this.environment.setError(name, `${message}\n${range.highlight()}`);
        continue;
      }
      this.environment.setType(name, unified);
    }
  }

  /** Names of variables that TypeScript declared without a type. */
  readonly widenable = new Set<string>();
  private widenOrNothing(name: string, first: Type, second: Type): void {
    const kinds = [first.kind, second.kind];
    if (
      this.widenable.has(name) &&
      kinds.includes('int') &&
      (kinds.includes('float') || kinds.includes('number'))
    ) {
      throw new WidenVariable(name);
    }
  }

  /** `then` and `otherwise` as values of one prim::If. */
  emitIfExpression(
    range: SourceRange,
    condition: Condition,
    then: () => Value,
    otherwise: () => Value,
    widen = false,
  ): Value {
    const { graph } = this;
    const node = graph.insert('prim::If', [condition.value], 0);
    node.source = range;
    const { whenTrue, whenFalse } = condition.refinements;
    const branches = [
      { block: node.addBlock(), refinements: whenTrue, body: then },
      { block: node.addBlock(), refinements: whenFalse, body: otherwise },
    ];
    const values = branches.map(
      ({ block, refinements, body }) =>
        this.withFrame(block, () => {
          this.insertRefinements(range, refinements);
          return body();
        })[0],
    );
    if (widen) {
      for (const [index, { block }] of branches.entries()) {
        const target = values[1 - index].type;
        values[index] = graph.withInsertPoint(block, () =>
          tryConvert(graph, range, target, values[index], { conversions: false, widen }),
        );
      }
    }
    const unified = unifyTypes(values[0].type, values[1].type);
    if (unified === undefined) {
      fail(
        range,
        `one branch is a ${annotationString(values[0].type)}, the other a ${annotationString(values[1].type)}; both must be of one type`,
      );
    }
    for (const [index, { block }] of branches.entries()) block.addOutput(values[index]);
    return node.addOutput(unified);
  }

  // ---- Loops ----------------------------------------------------------------------------------------------------

  emitFor(
    range: SourceRange,
    target: tree.Expression | undefined,
    iterable: SugaredValue,
    body: () => void,
  ): void {
    const length = iterable.unrolledLength;
    if (length === undefined) {
      this.emitLoop(range, { iterable, target }, undefined, body);
      return;
    }
    // A list of modules or a tuple: elements may differ in type, so every turn is emitted on its own.
    const saved = this.loopStatus;
    this.loopStatus = 'unrolled';
    try {
      for (let index = 0; index < length; index++) {
        const item = iterable.item(this, range, this.int(BigInt(index)));
        if (target !== undefined) emitTargets(this, range, [target], [item]);
        body();
        if (this.exiting.has(this.environment.block)) return;
      }
    } finally {
      this.loopStatus = saved;
    }
  }

  private emitLoop(
    range: SourceRange,
    counted: { iterable: SugaredValue; target: tree.Expression | undefined } | undefined,
    test: tree.Expression | undefined,
    body: () => void,
  ): void {
    const { graph } = this;
    const trips = counted === undefined ? this.int(2n ** 63n - 1n) : counted.iterable.length(this, range);
    const node = graph.insert('prim::Loop', [], 0);
    node.source = range;
    const bodyBlock = node.addBlock();
    const conditionBlock = node.addBlock();
    if (test === undefined) {
      conditionBlock.addOutput(graph.withInsertPoint(node, () => insertConstant(graph, true)));
    } else {
      this.withFrame(conditionBlock, () => {
        conditionBlock.addOutput(toBool(this, test.range, emitCondition(this, test).value));
      });
    }
    node.addInput(trips);
    const index = bodyBlock.addInput(IntType);
    const saved = this.loopStatus;
    this.loopStatus = 'loop';
    try {
      this.withFrame(bodyBlock, () => {
        if (counted?.target !== undefined) {
          const item = counted.iterable.item(this, range, index);
          // Everything but parts that only exist here is a plain value from now on.
          emitTargets(this, range, [counted.target], [new SimpleValue(item.asValue(this, range))]);
        }
        body();
      });
    } finally {
      this.loopStatus = saved;
    }
  }

  // ---- Values ---------------------------------------------------------------------------------------------------

  /** An int constant at the head of the graph, made once. */
  int(value: bigint): Value {
    return this.pooled(this.ints, value);
  }
  float(value: number): Value {
    return this.pooled(this.floats, value);
  }
  private pooled<T extends bigint | number>(pool: Map<T, Value>, value: T): Value {
    let constant = pool.get(value);
    if (constant === undefined || Object.is(value, -0)) {
      const first = this.graph.block.paramNode.next!;
      constant = this.graph.withInsertPoint(first, () => insertConstant(this.graph, value));
      pool.set(value, constant);
    }
    return constant;
  }

  /** `0 … length - 1`, to iterate over. */
  rangeTo(range: SourceRange, length: Value): SugaredValue {
    return new RangeValue(this, range, [length]);
  }

  tupleIndex(range: SourceRange, tuple: Value, index: Value): Value {
    const { elements } = tuple.type as TupleType;
    if (index.type.kind !== 'int') fail(range, 'the index of a tuple is an int');
    const constant = constantValue(index);
    let type: Type;
    if (typeof constant === 'bigint') {
      const position = Number(constant < 0n ? constant + BigInt(elements.length) : constant);
      if (position < 0 || position >= elements.length) {
        fail(range, `the tuple has ${elements.length} elements, so there is none at ${constant}`);
      }
      type = elements[position];
    } else {
      if (elements.length === 0 || !convertibleToList(tuple.type, { kind: 'List', element: elements[0] })) {
        fail(range, 'a tuple whose elements differ in type can only be indexed by a constant');
      }
      type = elements[0];
    }
    return this.graph.insert('prim::TupleIndex', [tuple, index], [type]).output;
  }
}
