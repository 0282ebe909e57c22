// Python's `x[…]`: items of lists, tuples, dicts and strings, slices, and the index forms of tensors, which become select,
// slice, unsqueeze and index.
import type { SourceRange, TupleType, Type, Value } from '@weft/ir';
import { AnyTensorType, optionalOf } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { constantValue, insertConstant } from './constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import { emitExpression, emitSugared } from './expressions.ts';
import { emitBuiltin, emitOperator, insertList, insertTuple, unpackTuple } from './schema-matching.ts';
import { fail } from './script-error.ts';
import type { SugaredValue } from './sugared-value.ts';
import { TupleOfSugared } from './iterable-values.ts';
import { SimpleValue } from './simple-value.ts';

export const optionalTensor: Type = optionalOf(AnyTensorType);

export function emitSubscript(e: Emitter, subscript: tree.Subscript, hint?: Type): SugaredValue {
  const object = emitSugared(e, subscript.object);
  const { indices, range } = subscript;
  const [index] = indices;
  if (indices.length === 1 && index.kind === 'Slice') return emitSlice(e, range, object, index);
  if (!(object instanceof SimpleValue) && indices.length === 1) {
    return object.item(e, range, emitExpression(e, index));
  }
  const value = object.asValue(e, subscript.object.range);
  if (value.type.kind === 'Tensor') return new SimpleValue(emitTensorIndex(e, range, value, indices));
  if (indices.length !== 1) fail(range, `a ${annotationString(value.type)} has one index only`);
  const { type } = value;
  if (
    hint?.kind === 'Interface' &&
    type.kind === 'Class' &&
    type.isModule &&
    !type.methods.has('__getitem__')
  ) {
    // A member of a module list or dict that is picked while running: all members have the interface's methods.
    const member = emitOperator(e.graph, range, 'prim::ModuleContainerIndex', [
      value,
      emitExpression(e, index),
    ]);
    member.setType(hint);
    return new SimpleValue(member);
  }
  return new SimpleValue(value).item(e, range, emitExpression(e, index));
}

function emitTensorIndex(
  e: Emitter,
  range: SourceRange,
  tensor: Value,
  indices: readonly tree.Expression[],
): Value {
  const [view, tensors] = indexTensor(e, range, tensor, indices);
  if (tensors.length === 0) return view;
  return emitOperator(e.graph, range, 'aten::index', [view, insertList(e.graph, optionalTensor, tensors)]);
}

const bounds = (e: Emitter, slice: tree.Slice): (Value | undefined)[] =>
  [slice.start, slice.stop, slice.step].map((bound) =>
    bound === undefined ? undefined : emitExpression(e, bound),
  );

function emitSlice(e: Emitter, range: SourceRange, object: SugaredValue, slice: tree.Slice): SugaredValue {
  if (
    object instanceof TupleOfSugared ||
    (!(object instanceof SimpleValue) && object.unrolledLength !== undefined)
  ) {
    const parts = object.asTuple(e, range);
    return new TupleOfSugared(sliceParts(range, parts, bounds(e, slice)));
  }
  const value = object.asValue(e, range);
  if (value.type.kind === 'Tuple') {
    return new SimpleValue(sliceTuple(e, range, value, value.type, bounds(e, slice)));
  }
  const dim = value.type.kind === 'Tensor' ? insertConstant(e.graph, 0n) : undefined;
  return new SimpleValue(sliceValue(e, range, value, dim, bounds(e, slice)));
}

export function sliceValue(
  e: Emitter,
  range: SourceRange,
  value: Value,
  dim: Value | undefined,
  [start, stop, step]: readonly (Value | undefined)[],
): Value {
  const { graph } = e;
  const positional = [value, ...(dim === undefined ? [] : [dim]), start ?? insertConstant(graph, 0n)];
  if (stop !== undefined) positional.push(stop);
  return emitBuiltin(
    graph,
    range,
    'aten::slice',
    positional.map((argument) => ({ range, value: argument })),
    [{ range, name: 'step', value: step ?? insertConstant(graph, 1n) }],
  );
}

function sliceTuple(
  e: Emitter,
  range: SourceRange,
  tuple: Value,
  type: TupleType,
  given: readonly (Value | undefined)[],
): Value {
  if (type.elements.length === 0) return tuple;
  return insertTuple(e.graph, sliceParts(range, unpackTuple(e.graph, tuple), given));
}

/** Python's slice of a JavaScript array, by constant bounds. */
function sliceParts<T>(range: SourceRange, parts: readonly T[], given: readonly (Value | undefined)[]): T[] {
  const [start, stop, step = 1] = given.map((value) => {
    if (value === undefined) return undefined;
    const constant = constantValue(value);
    if (constant === null) return undefined;
    if (typeof constant !== 'bigint') fail(range, 'the bounds of a slice of a tuple must be int constants');
    return Number(constant);
  });
  if (step === 0) fail(range, 'the step of a slice cannot be 0');
  const clamp = (value: number, low: number, high: number): number =>
    Math.min(Math.max(value < 0 ? value + parts.length : value, low), high);
  const result: T[] = [];
  if (step > 0) {
    const end = clamp(stop ?? parts.length, 0, parts.length);
    for (let index = clamp(start ?? 0, 0, parts.length); index < end; index += step)
      result.push(parts[index]);
  } else {
    const end = stop === undefined ? -1 : clamp(stop, -1, parts.length - 1);
    for (let index = clamp(start ?? parts.length - 1, -1, parts.length - 1); index > end; index += step) {
      result.push(parts[index]);
    }
  }
  return result;
}

interface PlannedIndex {
  readonly expression: tree.Expression;
  readonly dim: number;
  /** Absent for slices, which are evaluated when they are applied. */
  readonly value?: Value;
}

/**
 * Applies the ints, slices and None of an index; the tensors among the indices come back, by dimension (None where there is
 * none), for aten::index or index_put_. Indices after an ellipsis count dimensions from the end.
 */
export function indexTensor(
  e: Emitter,
  range: SourceRange,
  tensor: Value,
  indices: readonly tree.Expression[],
): [Value, Value[]] {
  const { graph } = e;
  const ellipsis = indices.findIndex(({ kind }) => kind === 'Ellipsis');
  const plan: PlannedIndex[] = [];
  const place = (expression: tree.Expression, dim: number, fromEnd: boolean): number => {
    const step = fromEnd ? -1 : 1;
    if (expression.kind === 'Slice') {
      plan.push({ expression, dim });
      return dim + step;
    }
    let value = emitExpression(e, expression);
    if (value.type.kind === 'List' || value.type.kind === 'Tuple') {
      const dtype = { range, name: 'dtype', value: insertConstant(graph, 4n) };
      value = emitBuiltin(graph, range, 'aten::tensor', [{ range, value }], [dtype]);
    }
    plan.push({ expression, dim, value });
    if (value.type.kind === 'None') return fromEnd ? dim : dim + 1;
    if (value.type.kind === 'int') return fromEnd ? dim - 1 : dim;
    const element = value.type.kind === 'Optional' ? value.type.element : value.type;
    if (element.kind === 'Tensor') {
      if (fromEnd) fail(range, 'an index with a tensor after an ellipsis is not supported');
      return dim + 1;
    }
    return fail(
      expression.range,
      `a tensor cannot be indexed by a ${annotationString(value.type)}; ints, slices, lists and tensors are indices`,
    );
  };
  let dim = 0;
  for (const expression of ellipsis < 0 ? indices : indices.slice(0, ellipsis))
    dim = place(expression, dim, false);
  if (ellipsis >= 0) {
    const before = plan.length;
    dim = -1;
    for (const expression of indices.slice(ellipsis + 1).reverse()) {
      if (expression.kind === 'Ellipsis') fail(range, 'an index has one ellipsis at most');
      dim = place(expression, dim, true);
    }
    plan.push(...plan.splice(before).reverse());
  }
  const tensors: (Value | undefined)[] = [];
  for (const { expression, dim: at, value } of plan) {
    const dimension = (): Value => insertConstant(graph, BigInt(at));
    if (value === undefined) {
      const sliceDim = dimension();
      tensor = sliceValue(e, range, tensor, sliceDim, bounds(e, expression as tree.Slice));
    } else if (value.type.kind === 'None') {
      tensor = emitOperator(graph, range, 'aten::unsqueeze', [tensor, dimension()]);
    } else if (value.type.kind === 'int') {
      tensor = emitOperator(graph, range, 'aten::select', [tensor, dimension(), value]);
    } else {
      tensors[at] = value;
    }
  }
  return [tensor, Array.from(tensors, (value) => value ?? insertConstant(graph, null))];
}
