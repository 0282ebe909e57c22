// Values of the graph and constants of the live program while they are emitted, with their members and builtin methods.
import type { IValue, SourceRange, TupleType, Type, Value } from '@weft/ir';
import { annotationString, isSubtype, schemasOf, valueType } from '@weft/ir';
import { insertConstant } from './constants.ts';
import type { Emitter } from './emitter.ts';
import type { NamedValue } from './schema-matching.ts';
import { bindVariables, emitBuiltin, emitOperator, orderedSchemas, unpackTuple } from './schema-matching.ts';
import { fail } from './script-error.ts';
import { SugaredValue } from './sugared-value.ts';
import { MethodValue, SpecialForm } from './callable-values.ts';
import { TupleOfSugared } from './iterable-values.ts';

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
