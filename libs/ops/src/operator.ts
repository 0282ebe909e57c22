// How an operator's meaning is registered. The schema (in @weft/ir) says what an operator takes and returns; here it
// gets exactly one meaning: a lowering to core operators, a view, a kernel, or a host function. Families of operators stand
// one file each beside this one.
//
// Derived, and so never registered:
//  - in-place forms (`aten::add_.Tensor`): the functional form, then a copy into `self`;
//  - `out=` forms: the functional form, then a resize and a copy into `out`.
// Some operators also write to arguments without an annotation in their schema (the running statistics of `batch_norm`):
// they are registered with `mutates` (see OperatorMeaning).
import type { Complex, CoreBuilder, DType, IValue, TensorLike, TensorLiteral, Value } from '@weft/ir';
import { InternalError, OperatorError, asTensorSpec } from '@weft/ir';
import { checkDType, kernelRefusal } from './dtype-support.ts';
import { integersOf } from './literal.ts';
import type { LayoutChoice } from './result-layout.ts';
import { declareLayouts } from './result-layout.ts';

/** A TorchScript Scalar: bigint for int, number for float. */
export type Scalar = bigint | number | boolean | Complex;

/**
 * What a lowering receives for each argument of the schema, by the argument's type:
 * Tensor → Value with a full TensorSpec; Tensor? → Value or null; Tensor[] → Value[]; int → number; int[] → number[];
 * SymInt as int; float → number; bool → boolean; str → string; Scalar → Scalar; ScalarType → DType; Device → string;
 * Layout and MemoryFormat → number; an absent optional → null. Defaults are filled in.
 */
export type LoweringArgument = Value | readonly (Value | null)[] | Scalar | readonly Scalar[] | string | null;

/**
 * Emits core operators and returns one Value for each return of the schema (a list for a `Tensor[]` return); null for a
 * tensor that was not asked for (PyTorch's undefined tensor), where there are several returns.
 */
export type LoweringResult = Value | readonly (Value | readonly Value[] | null)[];
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
/** What a view looks at; `elements` are those of the whole storage, where it has a size. */
export interface Viewed extends Strided {
  readonly dtype: DType;
  readonly elements?: number;
}
/** What it shows, in elements of its dtype (default: the operand's). */
export interface View extends Strided {
  readonly dtype?: DType;
}
/** Result(s) of a view operator that share the operand's storage; null when it needs a copy (then it is lowered). */
export type ViewFunction = (self: Viewed, ...args: LoweringArgument[]) => View | readonly View[] | null;
/** The operand's new value once the view of it (as read by its lowering) holds `value`. */
export type ViewWrite = (b: CoreBuilder, self: Value, value: Value, ...args: LoweringArgument[]) => Value;

/** Computes on row-major host data. Receives TensorLiterals for tensors, the rest as a lowering does. */
export type Kernel = (
  ...args: (TensorLiteral | LoweringArgument)[]
) => TensorLiteral | readonly TensorLiteral[];
/**
 * Derivative of a kernel: emits core operators for the cotangents of the tensor arguments, in their order, from
 * the tensor arguments, the outputs and the outputs' cotangents (null: zero). `wanted` says which arguments require one.
 */
export type KernelVjp = (
  b: CoreBuilder,
  site: {
    readonly args: readonly LoweringArgument[];
    readonly outputs: readonly Value[];
    readonly cotangents: readonly (Value | null)[];
    readonly wanted: readonly boolean[];
  },
) => readonly (Value | null)[];

/** Computes on run-time values (ints, strings, lists, dicts, tuples…). Several returns come as an array. */
export type HostFunction = (...args: IValue[]) => IValue | readonly IValue[];

/**
 * Aliases its operand in eager mode; lowered as a copy where there is no storage. Views of another dtype say how they are
 * written to; the others are where their strides say. No gradient passes a view that is `constant`.
 */
export interface ViewMeaning {
  readonly kind: 'view';
  readonly view: ViewFunction;
  readonly lower: Lowering;
  readonly write?: ViewWrite;
  readonly constant?: boolean;
}

export type OperatorMeaning =
  /**
   * `mutates` lists arguments, by their index in the schema, that the operator writes to although the schema does not
   * say so. After the schema's returns the lowering returns one more Value for each of them that is given (not null), in
   * order: its new contents, to be copied into the argument's tensor. An argument that stays as it is comes back itself.
   */
  | { readonly kind: 'lowering'; readonly lower: Lowering; readonly mutates?: readonly number[] }
  | ViewMeaning
  | { readonly kind: 'kernel'; readonly kernel: Kernel; readonly vjp?: KernelVjp }
  | { readonly kind: 'host'; readonly run: HostFunction };

const meanings = new Map<string, OperatorMeaning>();

/** `float32[2, 3]`, `2`, `[1, 1]`: an argument in an error message. */
function describe(argument: LoweringArgument | TensorLiteral): string {
  if (Array.isArray(argument)) return `[${argument.map(describe).join(', ')}]`;
  if (typeof argument !== 'object' || argument === null) return String(argument);
  if ('type' in argument && typeof argument.type === 'object') {
    const spec = asTensorSpec(argument.type);
    return spec === undefined ? 'Tensor' : `${spec.dtype}[${spec.sizes.join(', ')}]`;
  }
  if ('shape' in argument) return `${argument.dtype}[${argument.shape.join(', ')}]`;
  return 're' in argument ? `(${argument.re}+${argument.im}j)` : String(argument);
}

/** Runs `body`; an OperatorError (in PyTorch's wording) gets a second line with the operator and its operands. */
function inContext<T>(name: string, args: readonly (LoweringArgument | TensorLiteral)[], body: () => T): T {
  try {
    checkDType(name, args);
    return body();
  } catch (error) {
    if (!(error instanceof OperatorError) || error.message.includes('\n  in aten::')) throw error;
    // Core operators say in their own words what dtypes they take; PyTorch says which kernel is missing.
    const refusal = error.message.startsWith('core::') ? kernelRefusal(name, args) : null;
    throw new OperatorError(
      `${refusal ?? error.message}\n  in ${name}(${args.map(describe).join(', ')})`,
      undefined,
      {
        cause: error,
      },
    );
  }
}

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
    register(name, { kind: 'lowering', lower: located(name, lower as Lowering) });
}

/** Registers lowerings whose results lie in memory as `layout` says; those of `lowerings` are row-major. */
export function laidOutLowerings(
  layout: LayoutChoice,
  table: Readonly<Record<string, (b: CoreBuilder, ...args: never[]) => LoweringResult>>,
): void {
  lowerings(table);
  declareLayouts(layout, Object.keys(table));
}

/** Registers operators that write to arguments which their schema does not mark (see OperatorMeaning). */
export function mutatingLowerings(
  table: Readonly<
    Record<
      string,
      { mutates: readonly number[]; lower: (b: CoreBuilder, ...args: never[]) => LoweringResult }
    >
  >,
): void {
  for (const [name, { mutates, lower }] of Object.entries(table))
    register(name, { kind: 'lowering', lower: located(name, lower as Lowering), mutates });
}

const located =
  (name: string, lower: Lowering): Lowering =>
  (b, ...args) =>
    inContext(name, args, () => lower(b, ...args));

export function views(
  table: Readonly<
    Record<
      string,
      {
        view: (self: Viewed, ...args: never[]) => View | readonly View[] | null;
        lower: (b: CoreBuilder, ...args: never[]) => LoweringResult;
        write?: (b: CoreBuilder, self: Value, value: Value, ...args: never[]) => Value;
        constant?: boolean;
      }
    >
  >,
): void {
  for (const [name, { view, lower, write, constant }] of Object.entries(table)) {
    const locatedView: ViewFunction = (self, ...args) =>
      inContext(name, args, () => (view as ViewFunction)(self, ...args));
    register(name, {
      kind: 'view',
      view: locatedView,
      lower: located(name, lower as Lowering),
      write: write as ViewWrite | undefined,
      constant,
    });
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
    const locatedKernel: Kernel = (...args) => inContext(name, args, () => (kernel as Kernel)(...args));
    register(name, { kind: 'kernel', kernel: locatedKernel, vjp });
  }
}

export function hostFunctions(
  table: Readonly<Record<string, (...args: never[]) => IValue | readonly IValue[]>>,
): void {
  for (const [name, run] of Object.entries(table)) register(name, { kind: 'host', run: run as HostFunction });
}

/** Gives the data of a tensor argument; it may wait for a device. */
export type ReadTensor = (tensor: TensorLike) => TensorLiteral;
/** A lowering's arguments where tensors have data: they stand as themselves and are read on demand. */
export type DataArgument = LoweringArgument | TensorLike | readonly (TensorLike | null)[];

/**
 * Checks what only the data can tell (an index out of range) and throws PyTorch's error. Called before the operator
 * runs and after it was lowered, where the operands' data is at hand (eager, interpreter); compiled graphs clamp.
 */
export type DataCheck = (read: ReadTensor, ...args: DataArgument[]) => void;
const checks = new Map<string, DataCheck>();

export function dataChecks(
  table: Readonly<Record<string, (read: ReadTensor, ...args: never[]) => void>>,
): void {
  for (const [name, check] of Object.entries(table)) {
    checks.set(name, (read, ...args) =>
      inContext(name, args as never, () => (check as DataCheck)(read, ...args)),
    );
  }
}
export const dataCheckOf = (name: string): DataCheck | undefined => checks.get(name);

/**
 * An operator that fails where an algorithm did: `form` takes the same arguments, has the results and, last, LAPACK's
 * `info`, which has to be zero. `api` is how PyTorch names the operator in its error.
 */
export interface CheckedForm {
  readonly form: string;
  readonly api: string;
}
const checkedFormsByName = new Map<string, CheckedForm>();

export function checkedForms(table: Readonly<Record<string, CheckedForm>>): void {
  for (const [name, checked] of Object.entries(table)) checkedFormsByName.set(name, checked);
}
export const checkedForm = (name: string): CheckedForm | undefined => checkedFormsByName.get(name);
export const operatorsWithCheckedForm = (): readonly string[] => [...checkedFormsByName.keys()];

/** What the integers of an index (or divisor) have to be: at least `low`, below `high`. */
export interface IndexRange {
  readonly index: TensorLike;
  /** Absent: any. */
  readonly low?: number;
  readonly high?: number;
  /** A number that is not allowed. */
  readonly excluded?: number;
  /** A number that is allowed besides (the class that a loss leaves out). */
  readonly ignored?: number;
  /** PyTorch's words for the first integer that is out of range. */
  readonly message: (at: bigint) => string;
}
/** The ranges of an operator's indices, from shapes alone. */
export type IndexRanges = (...args: DataArgument[]) => readonly IndexRange[];
const ranges = new Map<string, IndexRanges>();

/**
 * Data checks that only compare indices with bounds. Declared so, and not as code, they can also be conditions inside a
 * compiled graph, where no data is at hand (see `exact` in jit's lowering).
 */
export function indexRanges(
  table: Readonly<Record<string, (...args: never[]) => readonly IndexRange[]>>,
): void {
  for (const [name, rangesOf] of Object.entries(table)) {
    ranges.set(name, rangesOf as IndexRanges);
    dataChecks({
      [name]: (read: ReadTensor, ...args: DataArgument[]) => {
        for (const range of (rangesOf as IndexRanges)(...args)) checkRange(read, range);
      },
    });
  }
}
export const indexRangesOf = (name: string): IndexRanges | undefined => ranges.get(name);

function checkRange(read: ReadTensor, { index, low, high, excluded, ignored, message }: IndexRange): void {
  const big = (limit: number | undefined): bigint | undefined =>
    limit === undefined ? undefined : BigInt(limit);
  const [least, end, no, allowed] = [low, high, excluded, ignored].map(big);
  for (const at of integersOf(read(index))) {
    const fits = (least === undefined || at >= least) && (end === undefined || at < end) && at !== no;
    if (!fits && at !== allowed) throw new OperatorError(message(at));
  }
}

/**
 * Replaces arguments on whose data the shape of the result depends by ones that fix it: a boolean mask among indices by
 * the positions where it is true, a count that is to be inferred by its value. Called before lowering where data is at
 * hand; gives the new arguments (those that stay are identical, new tensors are literals), or null when all may stay.
 * Afterwards the operator is an ordinary lowering with the derivative that follows from it.
 */
export type Preparation = (read: ReadTensor, ...args: DataArgument[]) => readonly DataArgument[] | null;
const preparing = new Map<string, Preparation>();

export function preparations(
  table: Readonly<Record<string, (read: ReadTensor, ...args: never[]) => readonly DataArgument[] | null>>,
): void {
  for (const [name, prepare] of Object.entries(table)) {
    preparing.set(name, (read, ...args) =>
      inContext(name, args as never, () => (prepare as Preparation)(read, ...args)),
    );
  }
}
export const preparationOf = (name: string): Preparation | undefined => preparing.get(name);

/** The meaning of a qualified operator name, or undefined. Derived forms are resolved by their callers. */
export const operatorMeaning = (name: string): OperatorMeaning | undefined => meanings.get(name);
export const operatorsWithMeaning = (): readonly string[] => [...meanings.keys()];
