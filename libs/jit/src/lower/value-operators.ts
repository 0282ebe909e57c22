// Operators between tensors and numbers, and on the state of the evaluation, which no lowering has: `item`, `tensor(…)`,
// `wait`, gradient mode, and views whose position is data.
import type { DType, FutureValue, IValue, Node, ObjectValue } from '@weft/ir';
import { Complex, OperatorError, UnsupportedError, dtypeOfScalarType, numel, tensorSpec } from '@weft/ir';
import { literalOf, wrapDim } from '@weft/ops';
import type { Evaluator } from './evaluator.ts';
import type { NumberKind } from './symbolic.ts';
import { SymbolicTensor, isSymbolic, isSymbolicNumber, numberDType } from './symbolic.ts';
import { numberKindOf, numberValue } from './numbers.ts';
import { evaluateTensorOperator, literalTensor, readLiteral } from './tensor-operators.ts';

type ValueOperator = (evaluator: Evaluator, args: readonly IValue[], node: Node) => IValue;

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
    return readLiteral(value) ?? SymbolicTensor.of(value, target);
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
  const dtype =
    given ?? ({ int: 'int64', float: 'float32', bool: 'bool', complex: 'complex64' } as const)[kind];
  const values = items.map((item) => b.convert(numberValue(b, item, kind), dtype));
  if (values.length === 0) return SymbolicTensor.of(b.full(0, dtype, sizes));
  if (sizes.length === 0) return SymbolicTensor.of(values[0]);
  if (!items.some(isSymbolicNumber) && !items.some((item) => item instanceof Complex)) {
    return literalTensor(b, literalOf(dtype, sizes, items.map(Number)));
  }
  const parts = values.map((value) => b.reshape(value, [1]));
  return SymbolicTensor.of(b.reshape(b.concatenate(parts, 0), sizes));
};

function fail(message: string): never {
  throw new UnsupportedError(message);
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
  const isNegative = b.compare(raw, b.fullLike(raw, 0), 'LT');
  const position = b.select(isNegative, b.add(raw, b.fullLike(raw, sizes[along])), raw);
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
    read: (builder, value) => builder.reshape(builder.dynamicSlice(value, start, box), kept),
    write: (builder, value, written) =>
      builder.dynamicUpdateSlice(value, builder.reshape(written, box), start),
  });
};

const setGradEnabled: ValueOperator = (evaluator, [enabled]) => {
  evaluator.gradEnabled = enabled === true;
  return null;
};

const numberToTensor: ValueOperator = ({ b }, [value]) => {
  const kind = numberKindOf(value) ?? fail('a number is expected');
  return SymbolicTensor.of(numberValue(b, value, kind));
};

const identity: ValueOperator = (_, [value]) => value;

export const valueOperators: Readonly<Record<string, ValueOperator>> = {
  'aten::item': toNumber(undefined),
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
  'aten::wait': (_, [future]) => (future as FutureValue).wait(),
  'aten::is_grad_enabled': (evaluator) => evaluator.gradEnabled,
  'aten::set_grad_enabled': setGradEnabled,
  'aten::requires_grad_': identity,
  'aten::cpu': identity,
  'aten::pin_memory': identity,
  'prim::profile': identity,
  'prim::ModuleContainerIndex.list': (_, [module, index]) => (module as ObjectValue).get(String(index)),
  'prim::ModuleContainerIndex.dict': (_, [module, key]) => (module as ObjectValue).get(key as string),
  'prim::data': (evaluator, args) => evaluateTensorOperator(evaluator, 'aten::detach', args) as IValue,
  'aten::data': (evaluator, args) => evaluateTensorOperator(evaluator, 'aten::detach', args) as IValue,
};
