// Runs one recorded operator call (see tools/make-operator-cases.py) on the reference device and compares with what PyTorch
// computed: from its lowering or kernel and their derivatives, or, where the form is derived (`x_`, `out=`) or belongs to
// eager tensors, by an eager call.
import type { Argument, DType, IValue, Schema, TensorLike, Type, Value } from '@weft/ir';
import {
  Complex,
  CoreBuilder,
  dtypeOfScalarType,
  dtypes,
  findSchema,
  isComplex,
  isFloatingPoint,
  specOf,
  TensorLiteral,
  vjpOfGraph,
} from '@weft/ir';
import { executeOnHost } from '@weft/devices';
import type { DataArgument, LoweringArgument } from '@weft/ops';
import { dataCheckOf, literalOf, numbersOf, operatorMeaning, preparationOf } from '@weft/ops';
import { NestedTensor, Tensor, callOperator, grad, hostDevice, manualSeed } from '../index.ts';

export interface TensorData {
  readonly t: DType;
  readonly s: readonly number[];
  readonly d: readonly (number | string | boolean)[];
}
export type Recorded =
  | null
  | boolean
  | number
  | string
  | TensorData
  | { f: number | string }
  | { c: [number, number] }
  | { dtype: DType }
  | { nested: TensorData[] }
  | Recorded[];
export interface OperatorCase {
  readonly op: string;
  readonly args: readonly Recorded[];
  readonly out?: Recorded;
  readonly grads?: readonly (TensorData | null)[];
  /** The arguments that were written to, where the result does not show them. */
  readonly after?: readonly Recorded[];
  readonly error?: string;
  readonly tolerance?: number;
  /** The generator's before the call. */
  readonly seed?: number;
}

export const isData = (value: Recorded): value is TensorData =>
  typeof value === 'object' && value !== null && 't' in value;
export const numberOf = (value: number | string | boolean): number =>
  value === 'nan' ? NaN : value === 'inf' ? Infinity : value === '-inf' ? -Infinity : Number(value);

const literal = (data: TensorData): TensorLiteral => literalOf(data.t, data.s, data.d.map(numberOf));

/** The argument as a lowering receives it. */
function argument(
  value: Recorded,
  type: Type,
  listSize: number | undefined,
  tensor: (data: TensorData) => Value | TensorLiteral,
): LoweringArgument {
  if (value === null) return null;
  if (type.kind === 'Optional') return argument(value, type.element, listSize, tensor);
  if (isData(value)) return tensor(value) as LoweringArgument;
  if (Array.isArray(value)) {
    const element: Type = type.kind === 'List' ? type.element : type;
    return value.map((each) => argument(each, element, undefined, tensor)) as LoweringArgument;
  }
  if (type.kind === 'List') {
    return new Array<LoweringArgument>(listSize ?? 1).fill(
      argument(value, type.element, undefined, tensor),
    ) as LoweringArgument;
  }
  if (type.kind === 'ScalarType' && typeof value === 'number') return dtypeOfScalarType(value)!;
  if (typeof value === 'object') {
    if ('dtype' in value) return value.dtype;
    if ('nested' in value) throw new Error('a nested tensor has no literal');
    if ('c' in value) return new Complex(value.c[0], value.c[1]);
    return numberOf(value.f);
  }
  return typeof value === 'number' && type.kind === 'number' ? BigInt(value) : value;
}

const argumentsOf = (
  schema: Schema,
  args: readonly Recorded[],
  tensor: (data: TensorData) => Value | TensorLiteral,
): LoweringArgument[] =>
  schema.arguments.map((formal, index) => argument(args[index], formal.type, formal.listSize, tensor));

const flatten = (value: Recorded | undefined): TensorData[] =>
  value === undefined || value === null
    ? []
    : isData(value)
      ? [value]
      : Array.isArray(value)
        ? value.flatMap(flatten)
        : typeof value === 'object' && 'nested' in value
          ? value.nested
          : [];

/** ((37 i mod 11) - 4) / 4, and -½ of it as the imaginary part. */
function cotangent(dtype: DType, sizes: readonly number[]): TensorLiteral {
  const count = sizes.reduce((product, size) => product * size, 1);
  const ramp = Array.from({ length: count }, (_, index) => (((37 * index) % 11) - 4) / 4);
  return literalOf(dtype, sizes, isComplex(dtype) ? ramp.flatMap((x) => [x, -0.5 * x]) : ramp);
}

/** Whether a call writes to the argument. */
export const isWrittenTo = ({ alias }: Argument): boolean =>
  alias?.isWrite === true || alias?.contained?.isWrite === true;

const tolerances: Partial<Record<DType, number>> = {
  float16: 2e-3,
  bfloat16: 1e-2,
  float64: 1e-9,
  complex128: 1e-9,
};

/** What differs, in words; null when all agrees. */
function difference(
  what: string,
  actual: TensorLiteral,
  expected: TensorData,
  tolerance: number | undefined,
): string | null {
  if (actual.dtype !== expected.t) return `${what}: dtype ${actual.dtype}, PyTorch ${expected.t}`;
  if (String(actual.shape) !== String(expected.s))
    return `${what}: shape [${actual.shape.join()}], PyTorch [${expected.s.join()}]`;
  const found = numbersOf(actual);
  const floats = isFloatingPoint(expected.t) || isComplex(expected.t);
  const rtol = tolerance ?? tolerances[expected.t] ?? 2e-5;
  for (const [index, each] of expected.d.entries()) {
    const wanted = numberOf(each);
    const got = found[index];
    if (Object.is(got, wanted) || got === wanted || (Number.isNaN(got) && Number.isNaN(wanted))) continue;
    if (floats && Math.abs(got - wanted) <= rtol * (1 + Math.abs(wanted))) continue;
    return `${what}: element ${index} is ${got}, PyTorch ${wanted} (${Array.from(found).join()} / ${expected.d.join()})`;
  }
  return null;
}

/** Runs a case; returns how it differs from PyTorch, or null. */
export function runCase(recorded: OperatorCase): string | null {
  try {
    const result = execute(recorded);
    return recorded.error === undefined ? result : `no error; PyTorch: ${recorded.error}`;
  } catch (error) {
    const message = (error as Error).message.split('\n')[0];
    if (recorded.error === undefined) return `error: ${(error as Error).stack?.slice(0, 600)}`;
    return message === recorded.error ? null : `error '${message}', PyTorch: '${recorded.error}'`;
  }
}

function execute(recorded: OperatorCase): string | null {
  const schema = findSchema(recorded.op);
  const meaning = operatorMeaning(recorded.op);
  if (schema === undefined) return 'has no schema';
  const hasNested = recorded.args.some(
    (each) => typeof each === 'object' && each !== null && 'nested' in each,
  );
  const isSpecial = recorded.after !== undefined || recorded.seed !== undefined || hasNested;
  if (meaning === undefined || meaning.kind === 'host' || isSpecial) {
    return executeEagerly(schema, recorded);
  }
  const read = (tensor: TensorLike): TensorLiteral => tensor as TensorLiteral;
  if (meaning.kind === 'kernel') {
    const result = meaning.kernel(...argumentsOf(schema, recorded.args, literal));
    const outputs = Array.isArray(result) ? (result as TensorLiteral[]) : [result as TensorLiteral];
    const expected = flatten(recorded.out);
    return compareOutputs(outputs, expected, recorded) ?? kernelGradients(schema, recorded, outputs);
  }
  const b = new CoreBuilder();
  const data = argumentsOf(schema, recorded.args, literal) as DataArgument[];
  const literals: TensorLiteral[] = [];
  const symbolic = (value: DataArgument): LoweringArgument => {
    if (value instanceof TensorLiteral) {
      literals.push(value);
      return b.input({ kind: 'Tensor', dtype: value.dtype, sizes: value.shape });
    }
    return (Array.isArray(value) ? value.map(symbolic) : value) as LoweringArgument;
  };
  const prepared = preparationOf(recorded.op)?.(read, ...data) ?? data;
  const result = meaning.lower(b, ...prepared.map(symbolic));
  dataCheckOf(recorded.op)?.(read, ...prepared);
  const count = flatten(recorded.out).length;
  const outputs = ([result].flat(2) as (Value | null)[]).filter((each) => each !== null).slice(0, count);
  for (const output of outputs) b.graph.addOutput(output);
  const found = executeOnHost(b.graph, literals);
  const problem = compareOutputs(found, flatten(recorded.out), recorded);
  if (problem !== null || recorded.grads === undefined) return problem;
  const joint = new CoreBuilder();
  const operands = literals.map(({ dtype, shape }) => joint.input({ kind: 'Tensor', dtype, sizes: shape }));
  const seeds = outputs.map((output) => {
    const { dtype, sizes } = specOf(output);
    return isFloatingPoint(dtype) || isComplex(dtype) ? joint.constant(cotangent(dtype, sizes)) : null;
  });
  const vjp = vjpOfGraph(joint, b.graph, operands, seeds);
  const floats = literals.flatMap(({ dtype }, index) =>
    isFloatingPoint(dtype) || isComplex(dtype) ? [index] : [],
  );
  return compareGradients(
    joint,
    floats.map((index) => vjp.cotangents[index]),
    recorded,
    literals,
  );
}

/** A recorded argument as a value of a program; its tensors are added to `tensors`. */
export function valueOf(value: Recorded, type: Type, tensors: Tensor[]): IValue {
  if (value === null) return null;
  if (type.kind === 'Optional') return valueOf(value, type.element, tensors);
  if (isData(value)) {
    const made = Tensor.fromLiteral(literal(value), hostDevice());
    tensors.push(made);
    return made as unknown as IValue;
  }
  if (Array.isArray(value)) {
    const element: Type = type.kind === 'List' ? type.element : type;
    return value.map((each) => valueOf(each, element, tensors));
  }
  if (typeof value === 'object') {
    if ('dtype' in value) return BigInt(dtypes[value.dtype].scalarType);
    if ('nested' in value) {
      const parts = value.nested.map((each) => Tensor.fromLiteral(literal(each), hostDevice()));
      return new NestedTensor(parts) as unknown as IValue;
    }
    return 'c' in value ? new Complex(value.c[0], value.c[1]) : numberOf(value.f);
  }
  const isFloat = type.kind === 'float' || (type.kind === 'List' && type.element.kind === 'float');
  return typeof value === 'number' && !isFloat ? BigInt(value) : value;
}

function executeEagerly(schema: Schema, recorded: OperatorCase): string | null {
  const tensors: Tensor[] = [];
  const args = schema.arguments.map(({ type }, index) => valueOf(recorded.args[index], type, tensors));
  const floats = tensors.filter(({ dtype }) => isFloatingPoint(dtype) || isComplex(dtype));
  if (recorded.grads !== undefined) for (const each of floats) each.requiresGrad = true;
  const tensorsIn = (value: IValue | readonly IValue[]): Tensor[] =>
    value instanceof NestedTensor
      ? [...value.parts]
      : value instanceof Tensor
        ? [value]
        : Array.isArray(value)
          ? value.flatMap(tensorsIn)
          : [];
  if (recorded.seed !== undefined) manualSeed(recorded.seed);
  const result = callOperator(recorded.op, args);
  const expected = flatten(recorded.out);
  if (expected.length === 0 && recorded.out !== null && recorded.out !== undefined) {
    const problem = plainDifference(result, recorded.out);
    if (problem !== null) return problem;
  }
  const outputs = tensorsIn(result);
  const literals = (from: readonly Tensor[]): TensorLiteral[] => from.map((each) => each.toLiteral());
  const problem = compareOutputs(literals(outputs), expected, recorded);
  if (problem !== null) return problem;
  if (recorded.after !== undefined) {
    const written = schema.arguments.flatMap((formal, index) =>
      isWrittenTo(formal) ? tensorsIn(args[index]) : [],
    );
    const changed = compareOutputs(literals(written), recorded.after.flatMap(flatten), recorded);
    if (changed !== null) return `written: ${changed}`;
  }
  if (recorded.grads === undefined) return null;
  const roots = outputs.filter((each) => each.requiresGrad);
  const seeds = roots.map(({ dtype, sizes }) => Tensor.fromLiteral(cotangent(dtype, sizes), hostDevice()));
  const found = grad(roots, floats, seeds, { allowUnused: true });
  for (const [index, actual] of found.entries()) {
    const wanted = recorded.grads[index] ?? null;
    if (actual === null || wanted === null) {
      if ((actual === null) !== (wanted === null)) return `gradient ${index} is missing or should be none`;
      continue;
    }
    const differs = difference(`gradient ${index}`, actual.toLiteral(), wanted, recorded.tolerance ?? 5e-5);
    if (differs !== null) return differs;
  }
  return null;
}

/** How a result that holds no tensors differs. */
function plainDifference(actual: IValue | readonly IValue[], expected: Recorded): string | null {
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length)
      return `not a list of ${expected.length}`;
    return expected.map((each, at) => plainDifference(actual[at] as IValue, each)).find(Boolean) ?? null;
  }
  const wanted =
    typeof expected === 'object' && expected !== null && 'f' in expected ? numberOf(expected.f) : expected;
  const got = typeof actual === 'bigint' ? Number(actual) : actual;
  if (typeof got === 'number' && typeof wanted === 'number') {
    return Math.abs(got - wanted) <= 2e-5 * (1 + Math.abs(wanted))
      ? null
      : `result ${got}, PyTorch ${wanted}`;
  }
  return got === wanted ? null : `result ${String(got)}, PyTorch ${String(wanted)}`;
}

function kernelGradients(
  schema: Schema,
  recorded: OperatorCase,
  outputs: readonly TensorLiteral[],
): string | null {
  const meaning = operatorMeaning(recorded.op);
  if (recorded.grads === undefined) return null;
  if (meaning?.kind !== 'kernel' || meaning.vjp === undefined) return 'has no derivative';
  const b = new CoreBuilder();
  const literals: TensorLiteral[] = [];
  const floats: number[] = [];
  const args = argumentsOf(schema, recorded.args, (data) => {
    if (isFloatingPoint(data.t) || isComplex(data.t)) floats.push(literals.length);
    literals.push(literal(data));
    return b.input({ kind: 'Tensor', dtype: data.t, sizes: data.s });
  });
  const results = outputs.map((output) => {
    literals.push(output);
    return b.input({ kind: 'Tensor', dtype: output.dtype, sizes: output.shape });
  });
  const seeds = outputs.map(({ dtype, shape }) =>
    isFloatingPoint(dtype) || isComplex(dtype) ? b.constant(cotangent(dtype, shape)) : null,
  );
  const found = meaning.vjp(b, {
    args,
    outputs: results,
    cotangents: seeds,
    wanted: recorded.grads.map((each) => each !== null),
  });
  return compareGradients(
    b,
    floats.map((index) => found[index] ?? null),
    recorded,
    literals,
  );
}

function compareOutputs(
  outputs: readonly TensorLiteral[],
  expected: readonly TensorData[],
  recorded: OperatorCase,
): string | null {
  if (outputs.length !== expected.length) return `${outputs.length} outputs, PyTorch ${expected.length}`;
  for (const [index, output] of outputs.entries()) {
    const problem = difference(`output ${index}`, output, expected[index], recorded.tolerance);
    if (problem !== null) return problem;
  }
  return null;
}

function compareGradients(
  b: CoreBuilder,
  cotangents: readonly (Value | null)[],
  recorded: OperatorCase,
  inputs: readonly TensorLiteral[],
): string | null {
  for (const value of cotangents) if (value !== null) b.graph.addOutput(value);
  const found = executeOnHost(b.graph, [...inputs]);
  let next = 0;
  for (const [index, value] of cotangents.entries()) {
    const expected = recorded.grads?.[index] ?? null;
    const actual = value === null ? null : found[next++];
    const zero = expected?.d.every((each) => numberOf(each) === 0) ?? true;
    if (expected === null || actual === null) {
      if (!zero) return `gradient ${index} is missing`;
      if (actual !== null && numbersOf(actual).some((each) => each !== 0))
        return `gradient ${index} should be none`;
      continue;
    }
    const problem = difference(`gradient ${index}`, actual, expected, recorded.tolerance ?? 5e-5);
    if (problem !== null) return problem;
  }
  return null;
}
