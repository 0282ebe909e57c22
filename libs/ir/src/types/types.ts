// The TorchScript type lattice as data: one interface a kind, closed by the union `Type`. How types relate (equality,
// subtyping, unification) is in lattice.ts; how they print and parse is in text/.
import type { DType } from './dtype.ts';
import type { Schema } from '../schema/schema.ts';
import type { IValue } from './ivalue.ts';

export type Type =
  | TensorType
  | SimpleType
  | ListType
  | DictType
  | TupleType
  | OptionalType
  | UnionType
  | FutureType
  | ClassType
  | InterfaceType
  | EnumType
  | FunctionType
  | VarType;

/** Types without parameters. `number` is TorchScript's Scalar; `Device`, `Generator`, … print by their name. */
export interface SimpleType {
  readonly kind:
    | 'int'
    | 'float'
    | 'complex'
    | 'bool'
    | 'str'
    | 'None'
    | 'Device'
    | 'Any'
    | 'number'
    | 'Generator'
    | 'Stream'
    | 'Storage'
    | 'Layout'
    | 'MemoryFormat'
    | 'ScalarType'
    | 'QScheme'
    | 'Capsule'
    | 'AnyList'
    | 'AnyTuple'
    | 'AnyClass'
    | 'AnyEnum';
}

/**
 * A tensor type; every field that is absent is unknown. At the core level dtype and sizes are always present, without
 * nulls, and nothing else is.
 */
export interface TensorType {
  readonly kind: 'Tensor';
  readonly dtype?: DType;
  /** One entry a dimension, null where that size is unknown; absent when even the rank is. */
  readonly sizes?: readonly (number | null)[];
  readonly strides?: readonly (number | null)[];
  readonly device?: string;
  readonly requiresGrad?: boolean;
}

export interface ListType {
  readonly kind: 'List';
  readonly element: Type;
}
export interface DictType {
  readonly kind: 'Dict';
  readonly key: Type;
  readonly value: Type;
}
export interface OptionalType {
  readonly kind: 'Optional';
  readonly element: Type;
}
export interface UnionType {
  readonly kind: 'Union';
  readonly members: readonly Type[];
}
export interface FutureType {
  readonly kind: 'Future';
  readonly element: Type;
}
/** A type variable of a schema such as `aten::append.t(t[](a!) self, t(c -> *) el)`. */
export interface VarType {
  readonly kind: 'Var';
  readonly name: string;
}

/** A tuple, or a named tuple when `name` is there (a qualified name such as `__torch__.Point`). */
export interface TupleType {
  readonly kind: 'Tuple';
  readonly elements: readonly Type[];
  readonly name?: string;
  readonly fields?: readonly string[];
  /** Values of the trailing fields that have one. */
  readonly defaults?: readonly IValue[];
}

export interface ClassAttribute {
  readonly name: string;
  readonly type: Type;
  readonly isParameter?: boolean;
  readonly isBuffer?: boolean;
}

/**
 * A user class or module: nominal, so compared by identity. It is filled in while it is compiled, after which it does
 * not change. `methods` holds compiled functions by their plain name.
 */
export interface ClassType {
  readonly kind: 'Class';
  /** Qualified, such as `__torch__.torch.nn.modules.linear.Linear`. */
  readonly name: string;
  readonly isModule: boolean;
  readonly attributes: ClassAttribute[];
  readonly constants: Map<string, IValue>;
  readonly methods: Map<string, FunctionRef>;
  readonly staticMethods: Map<string, FunctionRef>;
  readonly properties: Map<string, { getter: string; setter?: string }>;
  /** Names of the methods that run before and after `forward`, in order. Callers of the module call them. */
  readonly hooks: { readonly before: string[]; readonly after: string[] };
}

export interface InterfaceType {
  readonly kind: 'Interface';
  readonly name: string;
  readonly isModule: boolean;
  readonly methods: Map<string, Schema>;
}

export interface EnumType {
  readonly kind: 'Enum';
  readonly name: string;
  readonly valueType: Type;
  readonly members: readonly { readonly name: string; readonly value: IValue }[];
}

export interface FunctionType {
  readonly kind: 'Function';
  readonly function: FunctionRef;
}

/** What types need to know of a compiled function; `ScriptFunction` in graph/function.ts is the thing itself. */
export interface FunctionRef {
  readonly name: string;
  readonly schema: Schema;
}

const simple = <K extends SimpleType['kind']>(kind: K): SimpleType & { kind: K } => Object.freeze({ kind });

export const AnyType = simple('Any');
export const IntType = simple('int');
export const FloatType = simple('float');
export const ComplexType = simple('complex');
export const BoolType = simple('bool');
export const StringType = simple('str');
export const NoneType = simple('None');
export const DeviceType = simple('Device');
export const NumberType = simple('number');
export const GeneratorType = simple('Generator');
/** A tensor of which nothing is known. */
export const AnyTensorType: TensorType = Object.freeze({ kind: 'Tensor' });

export const listOf = (element: Type): ListType => ({ kind: 'List', element });
export const dictOf = (key: Type, value: Type): DictType => ({ kind: 'Dict', key, value });
export const tupleOf = (...elements: Type[]): TupleType => ({ kind: 'Tuple', elements });
export const optionalOf = (element: Type): OptionalType => ({ kind: 'Optional', element });
export const futureOf = (element: Type): FutureType => ({ kind: 'Future', element });

/** A tensor type with dtype and shape known: the only kind of type that core operators see. */
export interface TensorSpec extends TensorType {
  readonly dtype: DType;
  readonly sizes: readonly number[];
}

export const tensorSpec = (dtype: DType, sizes: readonly number[]): TensorSpec => ({
  kind: 'Tensor',
  dtype,
  sizes,
});

/** The type as a TensorSpec, or undefined when it is no tensor or its dtype or a size is unknown. */
export function asTensorSpec(type: Type): TensorSpec | undefined {
  if (type.kind !== 'Tensor' || type.dtype === undefined || type.sizes === undefined) return undefined;
  return type.sizes.includes(null) ? undefined : (type as TensorSpec);
}

/** The number of elements of a shape. */
export function numel(sizes: readonly number[]): number {
  let product = 1;
  for (let dim = 0; dim < sizes.length; dim++) product *= sizes[dim];
  return product;
}

/** A new, empty class type. */
export function createClassType(name: string, isModule: boolean): ClassType {
  return {
    kind: 'Class',
    name,
    isModule,
    attributes: [],
    constants: new Map(),
    methods: new Map(),
    staticMethods: new Map(),
    properties: new Map(),
    hooks: { before: [], after: [] },
  };
}
