// What is called or raised while it is emitted: methods, functions, classes, enums, named tuples, exceptions, special forms.
import type { ClassType, EnumType, FunctionRef, Schema, SourceRange, TupleType, Value } from '@weft/ir';
import { EnumValue, InternalError, listOf, tagContainer } from '@weft/ir';
import { insertConstant } from './constants.ts';
import type { Emitter } from './emitter.ts';
import type { NamedValue } from './schema-matching.ts';
import { insertTuple, matchSchemas } from './schema-matching.ts';
import { fail } from './script-error.ts';
import { SugaredValue } from './sugared-value.ts';
import { SimpleValue } from './simple-value.ts';

/** A method bound to its object: `prim::CallMethod`. */
export class MethodValue extends SugaredValue {
  readonly kind = 'a method';
  constructor(
    private readonly self: Value,
    private readonly name: string,
  ) {
    super();
  }
  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    const { type } = this.self;
    let schema: Schema;
    if (type.kind === 'Interface') schema = type.methods.get(this.name)!;
    else if (type.kind === 'Class') schema = type.methods.get(this.name)!.schema;
    else throw new InternalError(`a method of ${type.kind}`);
    const all = [{ range, value: this.self }, ...positional];
    const matched = matchSchemas(e.graph, range, this.name, [schema], all, keywords);
    const node = e.graph.insert('prim::CallMethod', matched.inputs, matched.returns);
    node.set('name', { kind: 's', value: this.name });
    node.source = range;
    return new SimpleValue(node.output);
  }
}

/** A compiled function: `prim::CallFunction`. */
export class FunctionValue extends SugaredValue {
  readonly kind = 'a function';
  constructor(readonly reference: FunctionRef) {
    super();
  }
  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    const { graph } = e;
    const { name, schema } = this.reference;
    const short = name.slice(name.lastIndexOf('.') + 1);
    const matched = matchSchemas(graph, range, short, [schema], positional, keywords);
    const callee = graph.insert('prim::Constant', [], [{ kind: 'Function', function: this.reference }]);
    callee.set('name', { kind: 's', value: short });
    const node = graph.insert('prim::CallFunction', [callee.output, ...matched.inputs], matched.returns);
    node.source = range;
    return new SimpleValue(node.output);
  }
}

/** A class, callable: `prim::CreateObject`, then its `__init__`. */
export class ClassValue extends SugaredValue {
  readonly kind = 'a class';
  constructor(readonly type: ClassType) {
    super();
  }
  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    const object = e.graph.insert('prim::CreateObject', [], [this.type]).output;
    if (!this.type.methods.has('__init__')) {
      if (positional.length + keywords.length > 0) fail(range, `${this.type.name} takes no arguments`);
      return new SimpleValue(object);
    }
    new MethodValue(object, '__init__').call(e, range, positional, keywords);
    return new SimpleValue(object);
  }
  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    const method = this.type.staticMethods.get(name);
    if (method !== undefined) return new FunctionValue(method);
    if (name === '__new__') return new SpecialForm('CreateObject');
    return super.attr(e, range, name);
  }
}

/** An enum class: its members are constants. */
export class EnumClassValue extends SugaredValue {
  readonly kind = 'an enum';
  constructor(readonly type: EnumType) {
    super();
  }
  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    const member = this.type.members.find((candidate) => candidate.name === name);
    if (member === undefined) fail(range, `enum ${this.type.name} has no member '${name}'`);
    const value = new EnumValue(this.type, member.name, member.value);
    return new SimpleValue(insertConstant(e.graph, value, this.type));
  }
  override iterable(e: Emitter): SugaredValue {
    const members = this.type.members.map(({ name, value }) => new EnumValue(this.type, name, value));
    const type = listOf(this.type);
    return new SimpleValue(insertConstant(e.graph, tagContainer(members, type), type));
  }
}

/** The constructor of a named tuple. */
export class NamedTupleValue extends SugaredValue {
  readonly kind = 'a named tuple';
  constructor(readonly type: TupleType) {
    super();
  }
  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    const { elements, fields = [], defaults = [] } = this.type;
    const schema: Schema = {
      name: this.type.name ?? '',
      overload: '',
      arguments: elements.map((type, index) => {
        const position = index - (elements.length - defaults.length);
        return {
          name: fields[index],
          type,
          hasDefault: position >= 0,
          default: defaults[position],
          kwargOnly: false,
        };
      }),
      returns: [],
      isVararg: false,
      isVarret: false,
    };
    const { inputs } = matchSchemas(e.graph, range, schema.name, [schema], positional, keywords);
    return new SimpleValue(insertTuple(e.graph, inputs, this.type));
  }
}

/** An exception class; called, it becomes the exception with its message. */
export class ExceptionClass extends SugaredValue {
  readonly kind = 'an exception';
  constructor(readonly name: string) {
    super();
  }
  override call(e: Emitter, range: SourceRange, positional: readonly NamedValue[]): SugaredValue {
    const message =
      positional.length === 0
        ? insertConstant(e.graph, '')
        : positional.length === 1
          ? positional[0].value
          : insertTuple(
              e.graph,
              positional.map(({ value }) => value),
            );
    return new ExceptionInstance(this.name, message);
  }
}

export class ExceptionInstance extends SugaredValue {
  readonly kind = 'an exception';
  constructor(
    readonly name: string,
    readonly message: Value,
  ) {
    super();
  }
}

/** A call whose arguments are not plainly evaluated (`isinstance`, `annotate`, `range`, `zip`, …); see special-forms.ts. */
export class SpecialForm extends SugaredValue {
  readonly kind = 'a builtin form';
  constructor(readonly form: string) {
    super();
  }
}

/** A function body that is emitted in place (a closure, for `fork`). */
export class ClosureValue extends SugaredValue {
  readonly kind = 'a closure';
  constructor(readonly value: Value) {
    super();
  }
}
