// What an expression denotes while it is emitted: a value of the graph, or something that only exists at compile time (a
// function, a class, a method bound to its object, a range, a pair of zipped lists). After TorchScript's sugared values.
import type {
  ClassType,
  EnumType,
  FunctionRef,
  IValue,
  Schema,
  SourceRange,
  TupleType,
  Type,
  Value,
} from '@weft/ir';
import {
  EnumValue,
  IntType,
  InternalError,
  isSubtype,
  listOf,
  schemasOf,
  tagContainer,
  valueType,
} from '@weft/ir';
import { constantValue, insertConstant } from './constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import type { NamedValue } from './schema-matching.ts';
import {
  bindVariables,
  emitBuiltin,
  emitOperator,
  insertList,
  insertTuple,
  matchSchemas,
  orderedSchemas,
  unpackTuple,
} from './schema-matching.ts';
import { fail } from './script-error.ts';

export abstract class SugaredValue {
  /** What it is, for error messages: 'a module', 'a function'. */
  abstract readonly kind: string;

  /** The value as one of the graph. */
  asValue(_e: Emitter, range: SourceRange): Value {
    fail(range, `${this.kind} cannot be used as a value`);
  }
  attr(_e: Emitter, range: SourceRange, name: string): SugaredValue {
    fail(range, `${this.kind} has no member '${name}'`);
  }
  hasAttr(_e: Emitter, range: SourceRange, _name: string): boolean {
    fail(range, `${this.kind} has no members`);
  }
  setAttr(_e: Emitter, range: SourceRange, name: string, _value: Value): void {
    fail(range, `member '${name}' of ${this.kind} cannot be assigned`);
  }
  /** The parts, for unpacking; `size` is how many are wanted, when that is known. */
  asTuple(_e: Emitter, range: SourceRange, _size?: number): SugaredValue[] {
    fail(range, `${this.kind} cannot be unpacked`);
  }
  call(
    _e: Emitter,
    range: SourceRange,
    _positional: readonly NamedValue[],
    _keywords: readonly NamedValue[],
  ): SugaredValue {
    fail(range, `${this.kind} cannot be called`);
  }
  /** Something to iterate over: it has `length` and `item`. */
  iterable(_e: Emitter, range: SourceRange): SugaredValue {
    fail(range, `${this.kind} cannot be iterated over`);
  }
  length(_e: Emitter, range: SourceRange): Value {
    fail(range, `${this.kind} has no length`);
  }
  item(_e: Emitter, range: SourceRange, _index: Value): SugaredValue {
    fail(range, `${this.kind} cannot be indexed`);
  }
  /** The number of elements when a loop over this is unrolled; undefined when it is a real loop. */
  get unrolledLength(): number | undefined {
    return undefined;
  }
}

/** Members of tensors and devices that are operators of one argument. */
const properties: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Tensor: {
    dtype: 'prim',
    device: 'prim',
    grad: 'prim',
    data: 'prim',
    shape: 'prim',
    is_cuda: 'prim',
    is_sparse: 'prim',
    is_mkldnn: 'prim',
    is_quantized: 'prim',
    is_meta: 'prim',
    is_leaf: 'aten',
    requires_grad: 'prim',
    layout: 'prim',
    T: 'aten:numpy_T',
    H: 'aten:matrix_H',
    mT: 'aten:mT',
    mH: 'aten:mH',
    ndim: 'prim',
    name: 'prim',
    real: 'aten',
    imag: 'aten',
  },
  Device: { type: 'prim', index: 'prim' },
};

/** `x.float()` and the like: casts by name. */
const castMethods: Readonly<Record<string, bigint>> = {
  byte: 0n,
  char: 1n,
  short: 2n,
  int: 3n,
  long: 4n,
  half: 5n,
  float: 6n,
  double: 7n,
  cfloat: 9n,
  cdouble: 10n,
};

/** A value of the graph. */
export class SimpleValue extends SugaredValue {
  constructor(readonly value: Value) {
    super();
  }
  override get kind(): string {
    return `a value of type ${annotationString(this.value.type)}`;
  }
  get type(): Type {
    return this.value.type;
  }

  override asValue(): Value {
    return this.value;
  }

  override hasAttr(e: Emitter, range: SourceRange, name: string): boolean {
    const { type } = this;
    if (type.kind !== 'Class') return super.hasAttr(e, range, name);
    return (
      type.methods.has(name) ||
      type.attributes.some((attribute) => attribute.name === name) ||
      type.constants.has(name)
    );
  }

  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    const found = this.tryAttr(e, range, name);
    if (found !== undefined) return found;
    fail(range, `a ${annotationString(this.type)} has no member '${name}'`);
  }

  tryAttr(e: Emitter, range: SourceRange, name: string): SugaredValue | undefined {
    const { value, type } = this;
    const { graph } = e;
    if (type.kind === 'Tensor' && Object.hasOwn(castMethods, name)) {
      return new TensorCast(value, castMethods[name]);
    }
    if (type.kind === 'Tensor' && name === 'tolist') return new SpecialForm('tolist');
    const namespace = properties[type.kind]?.[name];
    if (namespace !== undefined) {
      const operator = namespace.startsWith('aten:') ? namespace.replace(':', '::') : `${namespace}::${name}`;
      return new SimpleValue(emitOperator(graph, range, operator, [value]));
    }
    switch (type.kind) {
      case 'Tuple': {
        const index = type.fields?.indexOf(name) ?? -1;
        if (index >= 0) return new SimpleValue(insertTupleIndex(e, value, BigInt(index)));
        break;
      }
      case 'Class': {
        const attribute = type.attributes.find((candidate) => candidate.name === name);
        if (type.methods.has(name)) return new MethodValue(value, name);
        if (attribute !== undefined)
          return new SimpleValue(insertGetAttr(e, range, value, name, attribute.type));
        const property = type.properties.get(name);
        if (property !== undefined && type.methods.has(property.getter))
          return new MethodValue(value, property.getter).call(e, range, [], []);
        const constant = type.constants.get(name);
        if (constant !== undefined) return new SimpleValue(insertConstant(graph, constant));
        break;
      }
      case 'Interface':
        if (type.methods.has(name)) return new MethodValue(value, name);
        break;
      case 'Enum':
        if (name === 'name' || name === 'value') {
          const kind = name === 'name' ? 'prim::EnumName' : 'prim::EnumValue';
          const result = name === 'name' ? stringType : type.valueType;
          const node = graph.insert(kind, [value], [result]);
          node.overload = name === 'name' ? '' : result.kind;
          return new SimpleValue(node.output);
        }
        break;
      default:
    }
    return BuiltinFunction.method(name === 'type' ? 'aten::to' : `aten::${name}`, { range, value });
  }

  override setAttr(e: Emitter, range: SourceRange, name: string, given: Value): void {
    const { value, type } = this;
    if (type.kind !== 'Class') return super.setAttr(e, range, name, given);
    const attribute = type.attributes.find((candidate) => candidate.name === name);
    if (attribute === undefined) {
      const property = type.properties.get(name);
      if (property?.setter !== undefined) {
        new MethodValue(value, property.setter).call(e, range, [{ range, value: given }], []);
        return;
      }
      if (!e.isInitialising(type)) {
        fail(
          range,
          `'${name}' is no attribute of ${annotationString(type)}; attributes are made in its constructor`,
        );
      }
      if (e.environment.block.owner !== undefined) {
        fail(range, `attribute '${name}' is first assigned inside control flow; assign it before`);
      }
      type.attributes.push({ name, type: given.type });
    } else if (!isSubtype(given.type, attribute.type)) {
      fail(
        range,
        `attribute '${name}' is a ${annotationString(attribute.type)}, but a ${annotationString(given.type)} is assigned to it`,
      );
    }
    e.graph.insert('prim::SetAttr', [value, given], 0).set('name', { kind: 's', value: name });
  }

  override asTuple(e: Emitter, range: SourceRange, size?: number): SugaredValue[] {
    const { value, type } = this;
    if (type.kind === 'Tuple') return unpackTuple(e.graph, value).map((part) => new SimpleValue(part));
    if (type.kind === 'List') {
      if (size === undefined) fail(range, 'how many elements the list has is not known here');
      const types = Array.from({ length: size }, () => type.element);
      return e.graph.insert('prim::ListUnpack', [value], types).outputs.map((part) => new SimpleValue(part));
    }
    return super.asTuple(e, range, size);
  }

  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    if (this.type.kind !== 'Class') return super.call(e, range, positional, keywords);
    return this.attr(e, range, '__call__').call(e, range, positional, keywords);
  }

  override iterable(e: Emitter, range: SourceRange): SugaredValue {
    const { type } = this;
    if (type.kind === 'List' || type.kind === 'str' || type.kind === 'Tensor') return this;
    if (type.kind === 'Dict')
      return new SimpleValue(emitOperator(e.graph, range, 'aten::keys', [this.value]));
    if (type.kind === 'Tuple') {
      return new TupleOfSugared(unpackTuple(e.graph, this.value).map((part) => new SimpleValue(part)));
    }
    if (type.kind === 'Class' && type.methods.has('__iter__')) {
      return this.attr(e, range, '__iter__').call(e, range, [], []).iterable(e, range);
    }
    return super.iterable(e, range);
  }

  override length(e: Emitter, range: SourceRange): Value {
    return emitOperator(e.graph, range, 'aten::len', [this.value]);
  }

  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    const { value, type } = this;
    switch (type.kind) {
      case 'List':
      case 'str':
      case 'Dict':
        return new SimpleValue(emitOperator(e.graph, range, 'aten::__getitem__', [value, index]));
      case 'Tensor': {
        const dim = insertConstant(e.graph, 0n);
        return new SimpleValue(emitOperator(e.graph, range, 'aten::select', [value, dim, index]));
      }
      case 'Tuple':
        return new SimpleValue(e.tupleIndex(range, value, index));
      case 'Class':
        return this.attr(e, range, '__getitem__').call(e, range, [{ range, value: index }], []);
      default:
        return super.item(e, range, index);
    }
  }
}

const stringType: Type = { kind: 'str' };

export function insertGetAttr(
  e: Emitter,
  range: SourceRange,
  object: Value,
  name: string,
  type: Type,
): Value {
  const node = e.graph.insert('prim::GetAttr', [object], [type]).set('name', { kind: 's', value: name });
  node.source = range;
  node.output.claimName(name);
  return node.output;
}

export function insertTupleIndex(e: Emitter, tuple: Value, index: bigint): Value {
  const position = insertConstant(e.graph, index);
  const type = (tuple.type as TupleType).elements[Number(index)];
  return e.graph.insert('prim::TupleIndex', [tuple, position], [type]).output;
}

/** A builtin operator, with `self` bound when it is called as a method. */
export class BuiltinFunction extends SugaredValue {
  readonly kind = 'a builtin function';
  constructor(
    readonly name: string,
    readonly self?: NamedValue,
  ) {
    super();
  }

  /** The operator as a method of `self`, or undefined when no overload takes such a `self`. */
  static method(name: string, self: NamedValue): BuiltinFunction | undefined {
    const fits = orderedSchemas(name).some((schema) => {
      const argument = schema.arguments.find((candidate) => candidate.name === 'self');
      if (argument === undefined) return false;
      const type = bindVariables(valueType(argument.type), self.value.type, new Map());
      return type !== undefined && isSubtype(self.value.type, type);
    });
    return fits ? new BuiltinFunction(name, self) : undefined;
  }

  static exists(name: string): boolean {
    return schemasOf(name).length > 0;
  }

  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    return new SimpleValue(emitBuiltin(e.graph, range, this.name, positional, keywords, this.self));
  }
}

/** `x.double()`: a cast that is spelled as a method. */
class TensorCast extends SugaredValue {
  readonly kind = 'a cast';
  constructor(
    private readonly self: Value,
    private readonly dtype: bigint,
  ) {
    super();
  }
  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    if (positional.length + keywords.length > 0) fail(range, 'a cast takes no arguments');
    const { graph } = e;
    const dtype = insertConstant(graph, this.dtype);
    const no = insertConstant(graph, false);
    const none = insertConstant(graph, null);
    const inputs = [this.self, dtype, no, no, none];
    return new SimpleValue(emitOperator(graph, range, 'aten::to', inputs));
  }
}

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

/** Parts that are known one by one. A loop over them is unrolled. */
export class TupleOfSugared extends SugaredValue {
  readonly kind = 'a tuple';
  constructor(readonly parts: readonly SugaredValue[]) {
    super();
  }
  override asValue(e: Emitter, range: SourceRange): Value {
    return insertTuple(
      e.graph,
      this.parts.map((part) => part.asValue(e, range)),
    );
  }
  override asTuple(): SugaredValue[] {
    return [...this.parts];
  }
  override iterable(): SugaredValue {
    return this;
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    const position = constantValue(index);
    if (typeof position !== 'bigint') fail(range, 'the index must be a constant here');
    const part = this.parts.at(Number(position));
    if (part === undefined) fail(range, `there are ${this.parts.length} elements, none at ${position}`);
    return part;
  }
  override length(e: Emitter): Value {
    return insertConstant(e.graph, BigInt(this.parts.length));
  }
  override get unrolledLength(): number {
    return this.parts.length;
  }
}

/** `range(start, stop, step)`. */
export class RangeValue extends SugaredValue {
  readonly kind = 'a range';
  private readonly start: Value;
  private readonly stop: Value;
  private readonly step: Value;
  private readonly onlyStop: boolean;

  constructor(
    e: Emitter,
    range: SourceRange,
    inputs: readonly Value[],
    private readonly staticLength?: number,
  ) {
    super();
    for (const { type } of inputs) {
      if (type.kind !== 'int')
        fail(range, `the bounds of a range are ints, but a ${annotationString(type)} is given`);
    }
    if (inputs.length === 0 || inputs.length > 3) fail(range, 'a range takes 1 to 3 bounds');
    this.onlyStop = inputs.length === 1;
    this.start = this.onlyStop ? insertConstant(e.graph, 0n) : inputs[0];
    this.stop = this.onlyStop ? inputs[0] : inputs[1];
    this.step = inputs.length === 3 ? inputs[2] : insertConstant(e.graph, 1n);
  }
  override iterable(): SugaredValue {
    return this;
  }
  override length(e: Emitter, range: SourceRange): Value {
    if (this.staticLength !== undefined) return insertConstant(e.graph, BigInt(this.staticLength));
    if (this.onlyStop) return this.stop;
    return emitOperator(e.graph, range, 'aten::__range_length', [this.start, this.stop, this.step]);
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    if (this.onlyStop) return new SimpleValue(index);
    return new SimpleValue(
      emitOperator(e.graph, range, 'aten::__derive_index', [index, this.start, this.step]),
    );
  }
  override get unrolledLength(): number | undefined {
    return this.staticLength;
  }
}

/** `zip` and `enumerate`: iterables walked together. */
export class Zipped extends SugaredValue {
  readonly kind = 'zipped values';
  private readonly unrolled: number | undefined;
  constructor(
    range: SourceRange,
    private readonly children: readonly SugaredValue[],
  ) {
    super();
    const lengths = children.map((child) => child.unrolledLength);
    const known = lengths.filter((length) => length !== undefined);
    if (known.length > 0 && known.length < lengths.length) {
      fail(
        range,
        'a module list or tuple cannot be walked together with something whose length is not fixed',
      );
    }
    this.unrolled = known.length > 0 ? Math.min(...known) : undefined;
  }
  private leaves(): SugaredValue[] {
    return this.children.flatMap((child) => (child instanceof Zipped ? child.leaves() : [child]));
  }
  override iterable(): SugaredValue {
    return this;
  }
  override length(e: Emitter, range: SourceRange): Value {
    const lengths = this.leaves().map((leaf) => leaf.length(e, range));
    return emitOperator(e.graph, range, 'prim::min', [insertList(e.graph, IntType, lengths)]);
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    return new TupleOfSugared(this.children.map((child) => child.item(e, range, index)));
  }
  override get unrolledLength(): number | undefined {
    return this.unrolled;
  }
}

/** A function body that is emitted in place (a closure, for `fork`). */
export class ClosureValue extends SugaredValue {
  readonly kind = 'a closure';
  constructor(readonly value: Value) {
    super();
  }
}

/** A number, string or other constant of the live program: an int constant becomes a float where one is wanted. */
export class LiveConstant extends SugaredValue {
  readonly kind = 'a constant';
  constructor(
    readonly value: IValue,
    readonly type?: Type,
  ) {
    super();
  }
  override asValue(e: Emitter): Value {
    return insertConstant(e.graph, this.value, this.type);
  }
  override iterable(e: Emitter, range: SourceRange): SugaredValue {
    return new SimpleValue(this.asValue(e)).iterable(e, range);
  }
  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    return new SimpleValue(this.asValue(e)).attr(e, range, name);
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    return new SimpleValue(this.asValue(e)).item(e, range, index);
  }
}
