// Operators between tensors and numbers, and on the state of the evaluation, which no lowering has: `item`, `tensor(…)`,
// `wait`, gradient mode, and views whose position is data.
import type { DType, FutureValue, IValue, Node, Type, Value } from '@weft/ir';
import {
  Complex,
  ObjectValue,
  OperatorError,
  TupleValue,
  UnsupportedError,
  containerType,
  dtypeOfScalarType,
  numel,
  specOf,
  tagContainer,
  tensorSpec,
} from '@weft/ir';
import { autocastDType, compareValues, listPosition, literalOf, wrapDim } from '@weft/ops';
import { methodOf } from '../runtime/methods.ts';
import { casts } from './casts.ts';
import { foldNumber } from './constant-folding.ts';
import type { Evaluator } from './evaluator.ts';
import type { NumberKind } from './symbolic.ts';
import { SymbolicTensor, isSymbolic, isSymbolicNumber, numberDType } from './symbolic.ts';
import { numberKindOf, numberValue } from './numbers.ts';
import { evaluateVjp } from './vjp.ts';
import { evaluateTensorOperator, literalTensor } from './tensor-operators.ts';

type ValueOperator = (evaluator: Evaluator, args: readonly IValue[], node: Node | undefined) => IValue;

/** The only element of a tensor as a number: now, when the tensor is a constant, else one known at run time. */
function toNumber(kind: NumberKind | undefined): ValueOperator {
  return ({ b }, [tensor]) => {
    if (!isSymbolic(tensor)) return tensor;
    const { dtype, sizes } = tensor;
    if (numel(sizes) !== 1) {
      if (kind === 'bool') {
        const why = numel(sizes) === 0 ? 'no values' : 'more than one value';
        throw new OperatorError(`Boolean value of Tensor with ${why} is ambiguous`);
      }
      throw new OperatorError(`a Tensor with ${numel(sizes)} elements cannot be converted to Scalar`);
    }
    const target = kind ?? kindOfDType(dtype);
    const value = b.convert(b.reshape(tensor.read(b), []), numberDType[target]);
    return foldNumber(value) ?? SymbolicTensor.of(value, target);
  };
}

function kindOfDType(dtype: DType): NumberKind {
  if (dtype === 'bool') return 'bool';
  if (dtype.startsWith('complex')) return 'complex';
  return dtype.startsWith('float') || dtype.startsWith('bfloat') ? 'float' : 'int';
}

/** A tensor of host numbers (nested lists of them), or of numbers known at run time. */
const fromData: ValueOperator = ({ b }, [data, dtypeNumber]) => {
  const given =
    dtypeNumber === null || dtypeNumber === undefined ? undefined : dtypeOfScalarType(Number(dtypeNumber));
  if (isSymbolic(data) && data.numberKind === undefined) {
    return given === undefined || given === data.dtype
      ? data
      : SymbolicTensor.of(b.convert(data.read(b), given));
  }
  const sizes: number[] = [];
  for (let level: IValue = data; Array.isArray(level); level = level[0]) {
    sizes.push(level.length);
    if (level.length === 0) break;
  }
  if (Array.isArray(data) && sizes.at(-1) === 0) {
    const dtype = given ?? emptyDType(data);
    return SymbolicTensor.of(b.full(dtype === 'bool' ? false : 0, dtype, sizes));
  }
  const items: IValue[] = [];
  const collect = (item: IValue): void => {
    if (Array.isArray(item)) item.forEach(collect);
    else items.push(item);
  };
  collect(data);
  const kinds = items.map(
    (item) => numberKindOf(item) ?? fail('a tensor is made of something that is no number'),
  );
  const kind = kinds.includes('complex')
    ? 'complex'
    : kinds.includes('float')
      ? 'float'
      : (kinds[0] ?? 'float');
  // PyTorch takes floats and complex numbers through their default dtypes whatever dtype is asked for.
  const first = ({ int: 'int64', float: 'float32', bool: 'bool', complex: 'complex64' } as const)[kind];
  const dtype = given ?? first;
  const values = items.map((item) => b.convert(b.convert(numberValue(b, item, kind), first), dtype));
  if (sizes.length === 0) return SymbolicTensor.of(values[0]);
  if (!items.some(isSymbolicNumber) && !items.some((item) => item instanceof Complex)) {
    const numbers = items.map((item) => (kind === 'float' ? Math.fround(Number(item)) : Number(item)));
    return literalTensor(b, literalOf(dtype, sizes, numbers));
  }
  const parts = values.map((value) => b.reshape(value, [1]));
  return SymbolicTensor.of(b.reshape(b.concatenate(parts, 0), sizes));
};

/** An empty list has the dtype of its static type. */
function emptyDType(list: IValue[]): DType {
  let type = containerType(list);
  while (type?.kind === 'List') type = type.element;
  return type?.kind === 'int' ? 'int64' : type?.kind === 'bool' ? 'bool' : 'float32';
}

function fail(message: string): never {
  throw new UnsupportedError(message);
}

/** A position that is data, counted from the end when it is negative. */
function wrapPosition({ b, requirements }: Evaluator, raw: Value, size: number): Value {
  const isNegative = b.compare(raw, b.fullLike(raw, 0), 'LT');
  const position = b.select(isNegative, b.add(raw, b.fullLike(raw, size)), raw);
  requirements?.demand(
    b,
    b.and(b.compare(position, b.fullLike(raw, 0), 'GE'), b.compare(position, b.fullLike(raw, size), 'LT')),
  );
  return position;
}

/** `select` at a position that is data: a view that reads and writes by dynamic slices. */
const select: ValueOperator = (evaluator, args) => {
  const [self, dim, index] = args;
  if (!isSymbolicNumber(index)) return evaluateTensorOperator(evaluator, 'aten::select.int', args) as IValue;
  const parent = self as unknown as SymbolicTensor;
  const { sizes } = parent;
  const along = wrapDim(Number(dim), sizes.length);
  const { b } = evaluator;
  const raw = index.read(b);
  const position = wrapPosition(evaluator, raw, sizes[along]);
  const start = sizes.map((_, at) => (at === along ? position : b.full(0, 'int64')));
  const box = sizes.map((size, at) => (at === along ? 1 : size));
  const kept = sizes.filter((_, at) => at !== along);
  const geometry = {
    sizes: kept,
    strides: parent.strides.filter((_, at) => at !== along),
    offset: parent.offset,
  };
  return new SymbolicTensor(parent.storage, tensorSpec(parent.dtype, kept), geometry, {
    parent,
    isDynamic: true,
    read: (builder, value) => builder.reshape(builder.dynamicSlice(value, start, box), kept),
    write: (builder, value, written) =>
      builder.dynamicUpdateSlice(value, builder.reshape(written, box), start),
  });
};

/** An element of a list at a position that is data: all are stacked, and one is cut out. */
const listItem: ValueOperator = (evaluator, [list, index]) => {
  const items = list as IValue[];
  if (!isSymbolicNumber(index)) return items[listPosition(items, index as bigint)];
  const { b } = evaluator;
  const kinds = items.map(numberKindOf);
  const values = items.map((item, at) => {
    const kind = kinds[at];
    if (kind !== undefined) return numberValue(b, item, kind);
    return isSymbolic(item)
      ? item.read(b)
      : fail('a list that holds no tensors or numbers is indexed by a number that depends on tensor data');
  });
  const [first] = values.map(specOf);
  const isAlike = values.every((value) => {
    const { dtype, sizes } = specOf(value);
    return dtype === first.dtype && sizes.join() === first.sizes.join();
  });
  if (first === undefined || !isAlike) {
    fail('a list is indexed by a number that depends on tensor data, but its elements are not all alike');
  }
  const stacked = b.concatenate(
    values.map((value) => b.reshape(value, [1, ...first.sizes])),
    0,
  );
  const position = wrapPosition(evaluator, index.read(b), items.length);
  const start = [position, ...first.sizes.map(() => b.full(0, 'int64'))];
  const item = b.reshape(b.dynamicSlice(stacked, start, [1, ...first.sizes]), first.sizes);
  return SymbolicTensor.of(item, kinds[0]);
};

/** The annotation must fit the tensor; the interpreter has the words for it. */
function requireListType({ requirements }: Evaluator, { dtype, sizes }: SymbolicTensor, type: Type): void {
  let depth = 0;
  let element = type;
  for (; element.kind === 'List'; element = element.element) depth++;
  if (depth !== sizes.length || element.kind !== kindOfDType(dtype))
    requirements?.refuse(`a tensor becomes a list of another type`);
}

/** Nested lists of the elements: numbers known at run time, or now where the tensor is a constant. */
const toList: ValueOperator = (evaluator, [self], node) => {
  const tensor = self as unknown as SymbolicTensor;
  if (node !== undefined) requireListType(evaluator, tensor, node.output.type);
  const [size, ...inner] = tensor.sizes;
  if (size === undefined) return toNumber(undefined)(evaluator, [self], undefined);
  const { b } = evaluator;
  const value = tensor.read(b);
  const list = Array.from({ length: size }, (_, at) => {
    const start = tensor.sizes.map((__, dim) => (dim === 0 ? at : 0));
    const limit = tensor.sizes.map((extent, dim) => (dim === 0 ? at + 1 : extent));
    const row = SymbolicTensor.of(b.reshape(b.slice(value, start, limit), inner));
    return toList(evaluator, [row], undefined);
  });
  return node === undefined ? list : tagContainer(list, node.output.type);
};

const sortAny: ValueOperator = (evaluator, [list, reverse]) => {
  evaluator.touch(list);
  const isBefore = (a: IValue, c: IValue): boolean =>
    a instanceof ObjectValue
      ? evaluator.call(methodOf(a, '__lt__'), [a, c]) === true
      : compareValues(a, c) < 0;
  const order = (a: IValue, c: IValue): number => (isBefore(a, c) ? -1 : isBefore(c, a) ? 1 : 0);
  (list as IValue[]).sort((a, c) => (reverse === true ? order(c, a) : order(a, c)));
  return null;
};

/** `x[mask] = value`: a select, where other masks would need positions that only the data tells. */
function putMasked(operator: string): ValueOperator {
  return (evaluator, args) => {
    const [self, indices, values, accumulate] = args;
    const [mask, ...more] = indices as IValue[];
    const target = self as unknown as SymbolicTensor;
    const source = values as unknown as SymbolicTensor;
    const isMasked =
      isSymbolic(mask) &&
      mask.dtype === 'bool' &&
      more.every((index) => index === null) &&
      accumulate !== true;
    if (!isMasked || numel(source.sizes) !== 1)
      return evaluateTensorOperator(evaluator, operator, args) as IValue;
    const { b } = evaluator;
    const { sizes, dtype } = target;
    const where = b.broadcastInDim(
      mask.read(b),
      sizes,
      mask.sizes.map((_, dim) => dim),
    );
    const filler = b.broadcastInDim(b.convert(b.reshape(source.read(b), []), dtype), sizes, []);
    const result = b.select(where, filler, target.read(b));
    if (!operator.endsWith('_')) return SymbolicTensor.of(result);
    evaluator.touch(self);
    target.write(b, result);
    return self;
  };
}

/** Another operator under the name that Python's builtin has. */
const alias =
  (name: string, ...more: IValue[]): ValueOperator =>
  (evaluator, args) =>
    evaluateTensorOperator(evaluator, name, [...args, ...more]) as IValue;

const unknown =
  (what: string): ValueOperator =>
  () =>
    fail(`${what} depends on tensor data, which a compiled graph cannot decide`);

const setGradEnabled: ValueOperator = (evaluator, [enabled]) => {
  evaluator.gradEnabled = enabled === true;
  return null;
};

/** A list or tuple of zeros like `container` with `item` in one place. */
const placeCotangent: ValueOperator = ({ b }, [container, index, item]) => {
  const items = container instanceof TupleValue ? container.items : (container as IValue[]);
  const position = listPosition(items, index as bigint);
  const filled = items.map((each, at) => {
    if (at === position) return item;
    if (!isSymbolic(each)) return each;
    return SymbolicTensor.of(b.full(each.dtype === 'bool' ? false : 0, each.dtype, each.sizes));
  });
  return container instanceof TupleValue ? new TupleValue(filled, container.type) : filled;
};

const numberToTensor: ValueOperator = ({ b }, [value]) => {
  const kind = numberKindOf(value) ?? fail('a number is expected');
  return SymbolicTensor.of(numberValue(b, value, kind));
};

const identity: ValueOperator = (_, [value]) => value;

const requireGrad: ValueOperator = ({ requirements }, [value]) => {
  requirements?.refuse('requires_grad_ makes a leaf of a tensor');
  return value;
};

export const valueOperators: Readonly<Record<string, ValueOperator>> = {
  ...casts,
  'weft::vjp': evaluateVjp,
  'weft::place': placeCotangent,
  'aten::item': toNumber(undefined),
  'aten::is_nonzero': toNumber('bool'),
  'aten::Int.Tensor': toNumber('int'),
  'aten::Float.Tensor': toNumber('float'),
  'aten::Bool.Tensor': toNumber('bool'),
  'aten::IntImplicit': toNumber('int'),
  'aten::FloatImplicit': toNumber('float'),
  'aten::ScalarImplicit': toNumber(undefined),
  'aten::_local_scalar_dense': toNumber(undefined),
  'aten::tensor': fromData,
  'aten::tensor.int': fromData,
  'aten::tensor.float': fromData,
  'aten::tensor.bool': fromData,
  'aten::tensor.complex': fromData,
  'aten::as_tensor': fromData,
  'aten::as_tensor.int': fromData,
  'aten::as_tensor.float': fromData,
  'aten::as_tensor.bool': fromData,
  'aten::as_tensor.complex': fromData,
  'aten::as_tensor.list': fromData,
  'prim::NumToTensor.Scalar': numberToTensor,
  'prim::NumToTensor.bool': numberToTensor,
  'aten::select.int': select,
  'aten::__getitem__.t': listItem,
  'aten::select.t': listItem,
  'prim::tolist': toList,
  'aten::sort.any': sortAny,
  'aten::index_put': putMasked('aten::index_put'),
  'aten::index_put_': putMasked('aten::index_put_'),
  'aten::_index_put_impl_': putMasked('aten::_index_put_impl_'),
  'prim::abs': alias('aten::abs'),
  'aten::grad': unknown('a gradient taken within the program'),
  'aten::manual_seed': unknown('the random stream after a seed set within the program'),
  'aten::eq.Tensor_list': unknown('the comparison of lists of tensors'),
  'aten::ne.Tensor_list': unknown('the comparison of lists of tensors'),
  'aten::count.Tensor': unknown('counting a tensor in a list'),
  'aten::remove.Tensor': unknown('removing a tensor from a list'),
  'aten::sort.Tensor': unknown('sorting a list of tensors'),
  'aten::sorted.Tensor': unknown('sorting a list of tensors'),
  'aten::wait': (_, [future]) => (future as FutureValue).wait(),
  'aten::is_grad_enabled': (evaluator) => evaluator.gradEnabled,
  // That of other devices.
  'aten::is_autocast_enabled': () => false,
  'aten::is_autocast_cpu_enabled': () => autocastDType() !== null,
  'aten::set_grad_enabled': setGradEnabled,
  'aten::requires_grad_': requireGrad,
  'prim::profile': identity,
  'prim::ModuleContainerIndex.list': (_, [module, index]) => (module as ObjectValue).get(String(index)),
  'prim::ModuleContainerIndex.dict': (_, [module, key]) => (module as ObjectValue).get(key as string),
  'prim::data': (evaluator, args) => evaluateTensorOperator(evaluator, 'aten::detach', args) as IValue,
  'aten::data': (evaluator, args) => evaluateTensorOperator(evaluator, 'aten::detach', args) as IValue,
};
