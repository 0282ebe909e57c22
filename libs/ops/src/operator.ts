// How an operator's meaning is registered. The schema (in @weft/ir) says what an operator takes and returns; here it
// gets exactly one meaning: a lowering to core operators, a view, a kernel, or a host function. Families of operators stand
// one file each beside this one.
//
// Derived, and so never registered:
//  - in-place forms (`aten::add_.Tensor`): the functional form, then a copy into `self`;
//  - `out=` forms: the functional form, then a resize and a copy into `out`.
import type { Complex, CoreBuilder, IValue, TensorLiteral, Value } from '@weft/ir';
import { InternalError } from '@weft/ir';

/** A TorchScript Scalar: bigint for int, number for float. */
export type Scalar = bigint | number | boolean | Complex;

/**
 * What a lowering receives for each argument of the schema, by the argument's type:
 * Tensor → Value with a full TensorSpec; Tensor? → Value or null; Tensor[] → Value[]; int → number; int[] → number[];
 * SymInt as int; float → number; bool → boolean; str → string; Scalar → Scalar; ScalarType → DType; Device → string;
 * Layout and MemoryFormat → number; an absent optional → null. Defaults are filled in.
 */
export type LoweringArgument = Value | readonly (Value | null)[] | Scalar | readonly Scalar[] | string | null;

/** Emits core operators and returns one Value for each return of the schema (a list for a `Tensor[]` return). */
export type LoweringResult = Value | readonly Value[];
/**
 * @param b the builder. For an operator whose schema writes to arguments (`(a!)`) and that has no functional form, the
 * lowering returns the new values of the written arguments.
 */
export type Lowering = (b: CoreBuilder, ...args: LoweringArgument[]) => LoweringResult;

/** Where a strided tensor's elements are: sizes and strides in elements, offset from the start of the storage. */
export interface Strided {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}
/** Result(s) of a view operator that share the operand's storage; null when it needs a copy (then it is lowered). */
export type ViewFunction = (
  self: Strided,
  ...args: LoweringArgument[]
) => Strided | readonly Strided[] | null;

/** Computes on row-major host data. Receives TensorLiterals for tensors, the rest as a lowering does. */
export type Kernel = (
  ...args: (TensorLiteral | LoweringArgument)[]
) => TensorLiteral | readonly TensorLiteral[];
/**
 * Derivative of a kernel: emits core operators for the cotangents of the tensor arguments, in their order, from
 * the tensor arguments, the outputs and the outputs' cotangents (null: zero).
 */
export type KernelVjp = (
  b: CoreBuilder,
  site: {
    readonly args: readonly LoweringArgument[];
    readonly outputs: readonly Value[];
    readonly cotangents: readonly (Value | null)[];
  },
) => readonly (Value | null)[];

/** Computes on run-time values (ints, strings, lists, dicts, tuples…). Several returns come as an array. */
export type HostFunction = (...args: IValue[]) => IValue | readonly IValue[];

export type OperatorMeaning =
  | { readonly kind: 'lowering'; readonly lower: Lowering }
  /** Aliases its operand in eager mode; lowered as a copy where there is no storage. */
  | { readonly kind: 'view'; readonly view: ViewFunction; readonly lower: Lowering }
  | { readonly kind: 'kernel'; readonly kernel: Kernel; readonly vjp?: KernelVjp }
  | { readonly kind: 'host'; readonly run: HostFunction };

const meanings = new Map<string, OperatorMeaning>();

function register(name: string, meaning: OperatorMeaning): void {
  if (meanings.has(name)) throw new InternalError(`operator ${name} is registered twice`);
  meanings.set(name, meaning);
}

/**
 * Registers lowerings under qualified names (`'aten::add.Tensor'`). The functions declare their parameters with the
 * types that the schema gives them (see LoweringArgument).
 */
export function lowerings(
  table: Readonly<Record<string, (b: CoreBuilder, ...args: never[]) => LoweringResult>>,
): void {
  for (const [name, lower] of Object.entries(table))
    register(name, { kind: 'lowering', lower: lower as Lowering });
}

export function views(
  table: Readonly<
    Record<
      string,
      {
        view: (self: Strided, ...args: never[]) => Strided | readonly Strided[] | null;
        lower: (b: CoreBuilder, ...args: never[]) => LoweringResult;
      }
    >
  >,
): void {
  for (const [name, { view, lower }] of Object.entries(table)) {
    register(name, { kind: 'view', view: view as ViewFunction, lower: lower as Lowering });
  }
}

export function kernels(
  table: Readonly<
    Record<
      string,
      {
        kernel: (...args: never[]) => TensorLiteral | readonly TensorLiteral[];
        vjp?: KernelVjp;
      }
    >
  >,
): void {
  for (const [name, { kernel, vjp }] of Object.entries(table)) {
    register(name, { kind: 'kernel', kernel: kernel as Kernel, vjp });
  }
}

export function hostFunctions(
  table: Readonly<Record<string, (...args: never[]) => IValue | readonly IValue[]>>,
): void {
  for (const [name, run] of Object.entries(table)) register(name, { kind: 'host', run: run as HostFunction });
}

/** The meaning of a qualified operator name, or undefined. Derived forms are resolved by their callers. */
export const operatorMeaning = (name: string): OperatorMeaning | undefined => meanings.get(name);
export const operatorsWithMeaning = (): readonly string[] => [...meanings.keys()];
