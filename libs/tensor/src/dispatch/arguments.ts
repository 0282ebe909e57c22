// Operands of a call: which tensors it has, the cache key of everything else, and what a lowering receives for each
// argument (see LoweringArgument in @weft/ops).
import type { DType, IValue, Schema, TensorLike, Type, Value } from '@weft/ir';
import type { Device } from '@weft/devices';
import {
  Complex,
  DeviceValue,
  InternalError,
  OperatorError,
  TensorLiteral,
  dtypeOfScalarType,
} from '@weft/ir';
import type { LoweringArgument } from '@weft/ops';
import { Tensor } from '../tensor.ts';

/** How arguments of one position are treated; follows from the type in the schema. */
export type ArgumentKind =
  | 'tensor'
  | 'tensors'
  | 'int'
  | 'ints'
  | 'float'
  | 'floats'
  | 'scalar'
  | 'scalars'
  | 'bool'
  | 'bools'
  | 'str'
  | 'dtype'
  | 'device'
  | 'number'
  | 'generator'
  | 'other';

const simpleKinds: Partial<Record<Type['kind'], ArgumentKind>> = {
  Tensor: 'tensor',
  int: 'int',
  float: 'float',
  number: 'scalar',
  bool: 'bool',
  str: 'str',
  ScalarType: 'dtype',
  Device: 'device',
  Layout: 'number',
  MemoryFormat: 'number',
  Generator: 'generator',
};
const listKinds: Partial<Record<ArgumentKind, ArgumentKind>> = {
  tensor: 'tensors',
  int: 'ints',
  float: 'floats',
  scalar: 'scalars',
  bool: 'bools',
};

/** The kind of arguments of a type; Optional counts as its element. */
export function argumentKind(type: Type): ArgumentKind {
  if (type.kind === 'Optional') return argumentKind(type.element);
  if (type.kind === 'List') return listKinds[argumentKind(type.element)] ?? 'other';
  return simpleKinds[type.kind] ?? 'other';
}

export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;

/** The tensors of a call in order, lists flattened, absent ones left out. */
export function operandsOf(kinds: readonly ArgumentKind[], args: readonly IValue[]): Tensor[] {
  const operands: Tensor[] = [];
  for (let index = 0; index < kinds.length; index++) {
    const kind = kinds[index];
    const value = args[index];
    if (value === null) continue;
    // A preparation may have put numbers in place of a tensor.
    if (kind === 'tensor' && value instanceof Tensor) operands.push(value);
    else if (kind === 'tensors') {
      for (const element of value as IValue[])
        if (element !== null) operands.push(element as unknown as Tensor);
    }
  }
  return operands;
}

/** Everything a lowering may depend on, as a string. */
export function callKey(kinds: readonly ArgumentKind[], args: readonly IValue[]): string {
  let key = '';
  for (let index = 0; index < kinds.length; index++) {
    const value = args[index];
    if (value === null) key += '|_';
    else if (value instanceof Tensor) key += `|${value.specKey}`;
    else if (kinds[index] !== 'generator') key += `|${valueKey(value)}`;
  }
  return key;
}

function valueKey(value: IValue): string {
  switch (typeof value) {
    case 'bigint':
      return `${value}i`;
    case 'number':
      return Object.is(value, -0) ? '-0f' : `${value}f`;
    case 'boolean':
      return value ? 't' : 'f';
    case 'string':
      return JSON.stringify(value);
    default:
      if (value === null) return '_';
      if (value instanceof Tensor) return value.specKey;
      if (Array.isArray(value)) return `[${value.map(valueKey).join()}]`;
      if (value instanceof Complex) return `${value.re}+${value.im}j`;
      if (value instanceof DeviceValue) return String(value);
      throw new InternalError('an operator was called with a value that it cannot take');
  }
}

/**
 * The arguments as a lowering receives them; `tensor` turns each tensor into what stands for it.
 */
export function loweringArguments<T extends Value | TensorLike>(
  schema: Schema,
  kinds: readonly ArgumentKind[],
  args: readonly IValue[],
  tensor: (value: Tensor) => T,
): LoweringArgument[] {
  return args.map((value, index) => {
    if (value === null) return null;
    switch (kinds[index]) {
      case 'tensor':
        if (Array.isArray(value)) return value.map(Number);
        if (typeof value === 'number') return value;
        return tensor(value as unknown as Tensor) as unknown as LoweringArgument;
      case 'tensors':
        return (value as IValue[]).map((element) =>
          element === null ? null : tensor(element as unknown as Tensor),
        ) as unknown as LoweringArgument;
      case 'int':
      case 'number':
      case 'float':
        return Number(value);
      case 'ints':
      case 'floats': {
        const size = schema.arguments[index].listSize;
        if (!Array.isArray(value)) return new Array<number>(size ?? 1).fill(Number(value));
        return value.map(Number);
      }
      case 'scalar':
      case 'bool':
      case 'str':
        return value as LoweringArgument;
      case 'scalars':
      case 'bools':
        return Array.isArray(value) ? (value as LoweringArgument) : ([value] as LoweringArgument);
      case 'dtype':
        return dtypeArgument(value);
      case 'device':
        return String(value);
      case 'generator':
        return null;
      case 'other':
        return value as LoweringArgument;
      default:
        return kinds[index] satisfies never;
    }
  });
}

/** The dtype that an int argument names (PyTorch's ScalarType number). */
export function dtypeArgument(value: IValue): DType {
  const dtype = dtypeOfScalarType(Number(value));
  if (dtype === undefined) throw new OperatorError(`there is no dtype with the number ${String(value)}`);
  return dtype;
}

/** Tensors given for numbers become numbers, numbers given for tensors become tensors (TorchScript's implicit conversions). */
export function convertImplicitly(
  kind: ArgumentKind,
  value: IValue,
  wrap: (value: IValue) => Tensor,
): IValue {
  if (kind === 'tensor') return value === null || value instanceof Tensor ? value : wrap(value);
  if (!(value instanceof Tensor)) return value;
  const element = value.element();
  switch (kind) {
    case 'int':
      return BigInt(typeof element === 'bigint' ? element : Math.trunc(Number(element)));
    case 'float':
      return Number(element);
    case 'bool':
      return Boolean(element);
    case 'scalar':
      return scalarOf(value);
    default:
      return value;
  }
}

/** The only element as a Scalar: bigint for integers of any width. */
export function scalarOf(tensor: Tensor): bigint | number | boolean | Complex {
  const element = tensor.element();
  const integral = tensor.dtype.startsWith('int') || tensor.dtype.startsWith('uint');
  return integral && typeof element === 'number' ? BigInt(element) : element;
}

/** What a preparation put in place of an argument, as a value of a call. */
export function preparedArgument(kind: ArgumentKind, value: unknown, device: Device): IValue {
  if (value instanceof TensorLiteral) return Tensor.fromLiteral(value, device);
  if (Array.isArray(value)) return value.map((each) => preparedArgument(kind, each, device));
  if (typeof value === 'number' && (kind === 'int' || kind === 'ints')) return BigInt(value);
  return value as IValue;
}
