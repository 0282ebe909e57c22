// A tensor operator while a program is lowered: its lowering runs on the one builder, its views become views of symbolic
// storages, its writes give storages new values.
import type { CoreBuilder, DType, IValue, Schema, TensorLike, Type, Value } from '@weft/ir';
import {
  InternalError,
  OperatorError,
  TensorLiteral,
  UnsupportedError,
  dtypes,
  qualifiedName,
  schemasOf,
  specOf,
  tensorSpec,
} from '@weft/ir';
import type {
  CheckedForm,
  DataArgument,
  Lowering,
  LoweringArgument,
  Strided,
  View,
  ViewMeaning,
} from '@weft/ops';
import {
  autocastArguments,
  canCast,
  checkedForm,
  contiguousStrides,
  isRowMajor,
  kernelRefusal,
  operatorMeaning,
  preparationOf,
  resultType,
  scalarDType,
  stopGradient,
} from '@weft/ops';
import type { Operator, Tensor } from '@weft/tensor';
import {
  compositions,
  findOperator,
  functionalArguments,
  functionalForm,
  isCallable,
  loweringArguments,
  stridesOfResults,
} from '@weft/tensor';
import { foldConstant, foldNumber } from './constant-folding.ts';
import type { Evaluator } from './evaluator.ts';
import { numberKindOf, numberValue } from './numbers.ts';
import type { NumberKind, ViewCall } from './symbolic.ts';
import type { Requirements } from './requirements.ts';
import { SymbolicTensor, isInScope, isSymbolic, isSymbolicNumber } from './symbolic.ts';
import { writeThroughView } from './view-write.ts';

const detaching = new Set(['aten::detach', 'aten::detach_', 'aten::detach_copy']);

/** The results of an operator: a tensor, a list of them, or an array when the schema has several returns. */
export function evaluateTensorOperator(
  evaluator: Evaluator,
  name: string,
  written: readonly IValue[],
): IValue | readonly IValue[] {
  const given = autocastArguments(name, written, {
    dtypeOf: (value) => (isSymbolic(value) && value.numberKind === undefined ? value.dtype : undefined),
    cast: (value, dtype) => castTo(evaluator, value, dtype),
  });
  const [qualified, numbers] = given.some(isSymbolicNumber)
    ? asTensors(evaluator, name, given)
    : [name, given];
  const operator = findOperator(qualified);
  const composed = compositions[qualified]?.(
    (each, ...inner) => evaluateTensorOperator(evaluator, each, withDefaults(each, inner)) as never,
    ...(numbers as never[]),
  );
  if (composed !== undefined) return composed;
  // Eager tensors have their own way with some operators (casts); their lowering stands beside it.
  const meaning = operator.meaning ?? operatorMeaning(qualified);
  const args = numbers.map((value, index) =>
    operator.kinds[index] === 'tensor' && value !== null && !isSymbolic(value)
      ? SymbolicTensor.of(
          numberValue(evaluator.b, value, numberKindOf(value) ?? notATensor(qualified, index)),
        )
      : value,
  );
  if (meaning === undefined || meaning.kind === 'host') {
    throw new UnsupportedError(
      `${qualified} has no lowering to core operators; run the program eagerly instead`,
    );
  }
  if (meaning.kind === 'kernel') {
    throw new UnsupportedError(
      `${qualified} is an algorithm whose result shape depends on data or that no core operator expresses, so it cannot stand in a compiled graph`,
    );
  }
  args.forEach((value, index) => {
    if (operator.kinds[index] !== 'tensors' && Array.isArray(value) && value.some(isSymbolicNumber)) {
      throw new UnsupportedError(
        `'${operator.schema.arguments[index].name}' of ${qualified} holds a number that depends on tensor data; a compiled graph must know it beforehand`,
      );
    }
  });
  const call: Call = { evaluator, operator, args, lower: meaning.lower };
  if (evaluator.requirements !== undefined) demandData(call, evaluator.requirements);
  if (meaning.kind === 'view' && operator.writeMode === 'returns' && operator.outArguments.length === 0) {
    throw new UnsupportedError(
      `${qualified} gives a tensor another shape in place, which a compiled graph cannot do`,
    );
  }
  if (meaning.kind === 'view' && operator.writeMode === 'none') {
    const viewed = evaluateView(call, meaning);
    if (viewed !== null) return viewed;
  }
  return evaluateLowering(call);
}

/** A tensor cast in the program's place. */
const castTo = (evaluator: Evaluator, value: IValue, dtype: DType): IValue =>
  evaluateTensorOperator(evaluator, 'aten::_to_copy', [
    value, BigInt(dtypes[dtype].scalarType), null, null, null, false, null,
  ]) as IValue; // prettier-ignore

/** What the operator would look at in its operands' data becomes a condition of the graph. */
function demandData(call: Call, requirements: Requirements): void {
  const { evaluator, operator, args } = call;
  operator.kinds.forEach((kind, index) => {
    if (kind === 'generator' && args[index] !== null)
      requirements.refuse(`${operator.name} draws from a generator of the program's`);
  });
  // Element after element, a copy reads what it wrote.
  const [target, source] = args;
  if (operator.name === 'aten::copy_' && isSymbolic(target) && isSymbolic(source)) {
    if (target !== source && target.storage === source.storage)
      requirements.refuse('a copy within one memory is done');
  }
  const checked = checkedForm(operator.name);
  if (checked !== undefined) demandSuccess(call, checked, requirements);
  if (operator.check === undefined) return;
  if (operator.indexRanges === undefined) requirements.refuse(`${operator.name} checks its operands' data`);
  const given = preparedArguments(
    call,
    (tensor) => tensor as unknown as Value,
    (literal) => literal as unknown as Value,
  ) as readonly DataArgument[];
  for (const range of operator.indexRanges(...given)) requirements.demandRange(evaluator.b, range);
}

/** The algorithm's `info` has to be zero. */
function demandSuccess(call: Call, { form }: CheckedForm, requirements: Requirements): void {
  const { b } = call.evaluator;
  const meaning = operatorMeaning(form);
  if (meaning?.kind !== 'lowering') throw new InternalError(`${form} is no lowering`);
  const results = meaning.lower(b, ...argumentsFor(call, (tensor) => tensor.read(b))) as readonly Value[];
  const info = results.at(-1)!;
  const { sizes } = specOf(info);
  const succeeded = b.compare(info, b.full(0, 'int32', sizes), 'EQ');
  requirements.demand(
    b,
    b.reduceAnd(
      succeeded,
      sizes.map((_, dim) => dim),
    ),
  );
}

/** The arguments with those that the operator has besides. */
function withDefaults(name: string, args: readonly IValue[]): readonly IValue[] {
  const { schema } = findOperator(name);
  return schema.arguments.map((argument, index) => args[index] ?? argument.default ?? null);
}

function notATensor(name: string, index: number): never {
  throw new OperatorError(`argument ${index} of ${name} is no tensor`);
}

interface Call {
  readonly evaluator: Evaluator;
  readonly operator: Operator;
  readonly args: readonly IValue[];
  readonly lower: Lowering;
}

/** Arguments of the functional form as lowerings take them; tensors through `tensor`. */
function argumentsFor(
  { operator, args }: Call,
  tensor: (value: SymbolicTensor) => Value,
): readonly LoweringArgument[] {
  const own = loweringArguments(operator.schema, operator.kinds, args, (value: Tensor) =>
    tensor(value as unknown as SymbolicTensor),
  );
  return functionalArguments(
    operator,
    own,
    () => ([args[operator.outArguments[0]]].flat()[0] as unknown as SymbolicTensor).dtype,
  );
}

const preparations = new Map<Operator, ReturnType<typeof preparationOf>>();

function preparationFor({ name, schema }: Operator): ReturnType<typeof preparationOf> {
  const functional = functionalForm(schema)?.schema;
  return preparationOf(name) ?? (functional && preparationOf(qualifiedName(functional)));
}

/** As above, after arguments whose data fixes the result's shape were replaced by what they say, if they are constants. */
function preparedArguments(
  call: Call,
  tensor: (value: SymbolicTensor) => Value,
  constant: (literal: TensorLiteral) => Value,
): readonly LoweringArgument[] {
  const { evaluator, operator } = call;
  if (!preparations.has(operator)) preparations.set(operator, preparationFor(operator));
  const prepare = preparations.get(operator);
  if (prepare === undefined) return argumentsFor(call, tensor);
  const read = (given: TensorLike): TensorLiteral => {
    if (given instanceof TensorLiteral) return given;
    const literal = foldConstant((given as SymbolicTensor).read(evaluator.b));
    if (literal !== undefined) return literal;
    throw new UnsupportedError(
      `the shape of the result of ${operator.name} depends on tensor data (a boolean mask, a count), so it cannot stand in a compiled graph`,
    );
  };
  const plain = argumentsFor(call, (value) => value as unknown as Value) as DataArgument[];
  const replace = (value: unknown): unknown => {
    if (value instanceof TensorLiteral) return constant(value);
    if (isSymbolic(value)) return tensor(value);
    return Array.isArray(value) ? value.map(replace) : value;
  };
  return (prepare(read, ...plain) ?? plain).map((value) => replace(value) as LoweringArgument);
}

// ---- views --------------------------------------------------------------------------------------------------------

function evaluateView(call: Call, { view, write: rewrite }: ViewMeaning): IValue | null {
  const { evaluator, operator, lower } = call;
  const { b } = evaluator;
  const self = call.args[0] as unknown as SymbolicTensor;
  const rest = preparedArguments(
    call,
    (tensor) => tensor.read(b),
    (literal) => b.constant(literal),
  ).slice(1);
  // Where a view looks must be known; only a lowering can follow data.
  const known = preparedArguments(
    call,
    (tensor) => (tensor === self ? tensor.read(b) : literalOfTensor(call, tensor)),
    (literal) => literal as unknown as Value,
  ).slice(1);
  const found = view(self, ...known);
  if (found === null) return null;
  const isList = Array.isArray(found);
  const geometries = (isList ? found : [found]) as readonly View[];
  // The same view of a row-major tensor: where its elements are among the parent's.
  const { dtype, sizes } = self;
  const relative = view({ dtype, sizes, strides: contiguousStrides(sizes), offset: 0 }, ...known);
  const places = (isList ? relative : [relative]) as readonly Strided[] | null;
  // What is made while gradients are off has no history, whatever it is a view of.
  const isHidden = self.requiresGrad && !evaluator.gradEnabled;
  const isDetached = detaching.has(operator.schema.name) || isHidden;
  let last: { parent: Value; results: readonly Value[] } | undefined;
  const readAll = (builder: CoreBuilder, parent: Value): readonly Value[] => {
    if (last?.parent !== parent || last.results.some((value) => !isInScope(builder, value))) {
      const source = isDetached ? stopGradient(builder, parent) : parent;
      const result = lower(builder, source, ...rest);
      last = { parent, results: (Array.isArray(result) ? result : [result]) as readonly Value[] };
    }
    return last.results;
  };
  const hasTensors = call.args
    .slice(1)
    .some((value) => isSymbolic(value) || (Array.isArray(value) && value.some(isSymbolic)));
  const made: ViewCall | undefined = hasTensors || isHidden ? undefined : { operator, args: call.args };
  const views = geometries.map((geometry, index) => {
    const spec = tensorSpec(geometry.dtype ?? dtype, geometry.sizes);
    const tensor = new SymbolicTensor(self.storage, spec, geometry, {
      parent: self,
      made: made && { call: made, output: index },
      read: (builder, parent) => readAll(builder, parent)[index],
      write: (builder, parent, value) =>
        rewrite?.(builder, parent, value, ...rest) ??
        writeThroughView(builder, parent, places![index], value),
    });
    tensor.requiresGrad = self.requiresGrad && !isDetached;
    return tensor;
  });
  return isList ? views : views[0];
}

/** A tensor argument of a view as the literal that views are given: of an unknown tensor only the shape may be looked at. */
function literalOfTensor({ evaluator, operator }: Call, tensor: SymbolicTensor): Value {
  const known = foldConstant(tensor.read(evaluator.b));
  if (known !== undefined) return known as unknown as Value;
  const literal = new TensorLiteral(tensor.dtype, tensor.sizes, new Uint8Array());
  Object.defineProperty(literal, 'bytes', {
    get(): never {
      throw new UnsupportedError(
        `${operator.name} looks at a place that depends on tensor data; a compiled graph must know it beforehand`,
      );
    },
  });
  return literal as unknown as Value;
}

// ---- lowerings ----------------------------------------------------------------------------------------------------

function evaluateLowering(call: Call): IValue | readonly IValue[] {
  const { evaluator, operator, args, lower } = call;
  const { b } = evaluator;
  const { schema, written, writeMode, outArguments } = operator;
  const operands = new Map<Value, SymbolicTensor>();
  const take = (tensor: SymbolicTensor): Value => {
    const value = tensor.read(b);
    operands.set(value, tensor);
    return value;
  };
  const lowered = preparedArguments(call, take, (literal) => b.constant(literal));
  if (evaluator.requirements !== undefined) {
    // Whether the device is one that lacks a kernel is not known here.
    const refusal = kernelRefusal(operator.meaningName, lowered);
    if (refusal !== null) evaluator.requirements.refuse(`${operator.name} may have to raise '${refusal}'`);
  }
  const drawn = evaluator.requirements?.requests.length;
  const result = lower(b, ...lowered);
  const values = (Array.isArray(result) ? [...result] : [result]) as (Value | readonly Value[] | null)[];
  const requiresGrad = evaluator.gradEnabled && [...operands.values()].some((tensor) => tensor.requiresGrad);
  const strides = writeMode === 'returns' ? undefined : stridesOf(call, [...operands.values()], values);
  let position = 0;
  const wrap = (value: Value): SymbolicTensor => {
    const placed = strides?.[position++] ?? undefined;
    const operand = operands.get(value);
    if (operator.mayAlias && operand !== undefined) return operand;
    const isFloat = dtypes[specOf(value).dtype].category === 'float';
    const hidden =
      !evaluator.gradEnabled && isFloat && [...operands.values()].some((tensor) => tensor.requiresGrad);
    const tensor = SymbolicTensor.placed(hidden ? stopGradient(b, value) : value, placed);
    tensor.requiresGrad = requiresGrad && isFloat;
    return tensor;
  };
  if (evaluator.requirements !== undefined && evaluator.requirements.requests.length !== drawn) {
    // Elements are drawn in the order in which they lie in memory.
    const isStrided =
      writeMode === 'returns'
        ? !written
            .map((index) => args[index])
            .filter(isSymbolic)
            .every(isRowMajorView)
        : strides?.[0] && !isRowMajor(specOf(values[0] as Value).sizes, strides[0]);
    if (isStrided) evaluator.requirements.refuse(`${operator.name} draws into a strided tensor`);
  }
  const givenWrites = written.filter((index) => args[index] !== null);
  if (writeMode === 'returns') {
    const isOneList = givenWrites.length === 1 && schema.arguments[givenWrites[0]].type.kind === 'List';
    const contents = isOneList
      ? [values.flat() as Value[]]
      : values.map((value) => (value === null ? null : ([value].flat() as Value[])));
    givenWrites.forEach((index, position) => {
      const content = contents[position];
      if (content === null) return;
      const targets = [args[index]].flat() as unknown as SymbolicTensor[];
      targets.forEach((target, at) => {
        if (target.requiresGrad && !evaluator.gradEnabled)
          evaluator.requirements?.refuse(
            'a tensor with a history is changed in place while gradients are off',
          );
        write(evaluator, target, content[at], outArguments.includes(index));
        target.requiresGrad ||= requiresGrad;
      });
    });
    const returned = schema.returns.map((_, index) => args[written[index]]);
    return returned.length === 1 ? returned[0] : returned;
  }
  const isList = schema.returns.length === 1 && schema.returns[0].type.kind === 'List';
  const own = isList && !Array.isArray(values[0]) ? [values as Value[]] : values;
  const returns = schema.returns.map((_, index): IValue => {
    const value = own[index];
    if (value === undefined)
      throw new InternalError(`the lowering of ${operator.name} returns too few values`);
    if (value === null) return null;
    if (Array.isArray(value)) return (value as Value[]).map(wrap);
    const kind = numberKindOfType(schema.returns[index].type);
    if (kind === undefined) return wrap(value as Value);
    return foldNumber(value as Value) ?? SymbolicTensor.of(value as Value, kind);
  });
  if (writeMode === 'extra') {
    givenWrites.forEach((index, position) => {
      const value = own[schema.returns.length + position] as Value;
      const target = args[index] as unknown as SymbolicTensor;
      if (value !== target.read(b)) write(evaluator, target, value, false);
    });
  }
  return returns.length === 1 ? returns[0] : returns;
}

/** Strides of the results, lists flattened; undefined when all are row-major. */
function stridesOf(
  { operator, args }: Call,
  operands: readonly SymbolicTensor[],
  values: readonly (Value | readonly Value[] | null)[],
): ReturnType<typeof stridesOfResults> {
  const specs = values.flatMap((value) => value ?? []).map(specOf);
  // The algorithm says where its results lie, not what checks it.
  const checked = checkedForm(operator.name);
  if (checked === undefined) return stridesOfResults(operator, args, operands, specs);
  const form = findOperator(checked.form);
  return stridesOfResults(form, withDefaults(checked.form, args), operands, specs);
}

/** What kind of number a return of this type is (`aten::equal`); undefined for tensors. */
function numberKindOfType(type: Type): NumberKind | undefined {
  return type.kind === 'bool' || type.kind === 'int' || type.kind === 'float' ? type.kind : undefined;
}

const isRowMajorView = ({ sizes, strides }: SymbolicTensor): boolean => isRowMajor(sizes, strides);

/** Writes `value` into `target`, converted to its dtype. */
function write(evaluator: Evaluator, target: SymbolicTensor, value: Value, isOut: boolean): void {
  const { b } = evaluator;
  const { dtype, sizes } = specOf(value);
  if (!canCast(dtype, target.dtype)) {
    throw new OperatorError(
      `result type ${dtypes[dtype].printName} can't be cast to the desired output type ${dtypes[target.dtype].printName}`,
    );
  }
  if (sizes.join() !== target.sizes.join()) {
    if (isOut) {
      throw new UnsupportedError(
        `out= of shape [${target.sizes.join(', ')}] would be resized to [${sizes.join(', ')}], which a compiled graph cannot do`,
      );
    }
    throw new OperatorError(
      `output with shape [${target.sizes.join(', ')}] doesn't match the broadcast shape [${sizes.join(', ')}]`,
    );
  }
  evaluator.touch(target);
  target.write(b, b.convert(value, target.dtype));
}

// ---- numbers ------------------------------------------------------------------------------------------------------

/**
 * Numbers known only at run time in the places of Scalars: the overload that takes a tensor there is used, with the number
 * as a 0-d tensor of the dtype that a Scalar would have led to.
 */
function asTensors(
  { b }: Evaluator,
  name: string,
  args: readonly IValue[],
): readonly [string, readonly IValue[]] {
  const own = findOperator(name);
  const isNumberAt = (index: number): boolean => isSymbolicNumber(args[index]);
  const at = args.flatMap((_, index) => (isNumberAt(index) ? [index] : []));
  if (at.every((index) => own.kinds[index] === 'tensor')) return [name, args];
  const sibling = schemasOf(own.schema.name).find(
    (schema) => isCallable(qualifiedName(schema)) && takesTensorsAt(schema, own.schema, at),
  );
  if (sibling === undefined) {
    const where = at.map((index) => `'${own.schema.arguments[index].name}'`).join(' and ');
    throw new UnsupportedError(
      `${name} needs ${where} to be known when the graph is compiled, but it depends on tensor data`,
    );
  }
  const tensors = args.filter(
    (value): value is SymbolicTensor => isSymbolic(value) && value.numberKind === undefined,
  );
  const converted = args.map((value) => {
    if (!isSymbolicNumber(value)) return value;
    const sample = value.numberKind === 'float' ? 1 : value.numberKind === 'bool' ? true : 1n;
    const [first] = tensors;
    const dtype = first === undefined ? scalarDType(sample) : resultType([first.read(b), sample]);
    return SymbolicTensor.of(b.convert(value.read(b), dtype));
  });
  return [qualifiedName(sibling), converted];
}

function takesTensorsAt(candidate: Schema, own: Schema, at: readonly number[]): boolean {
  if (candidate === own || candidate.arguments.length < own.arguments.length) return false;
  return own.arguments.every((argument, index) => {
    const other = candidate.arguments[index];
    if (other.name !== argument.name && !at.includes(index)) return false;
    return at.includes(index) ? other.type.kind === 'Tensor' : other.type.kind === argument.type.kind;
  });
}

// ---- constants ----------------------------------------------------------------------------------------------------

export const literalTensor = (b: CoreBuilder, literal: TensorLiteral): SymbolicTensor =>
  SymbolicTensor.of(b.constant(literal));
