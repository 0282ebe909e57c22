// Calls of operators with what PyTorch answered, as tools/differential/record.py writes them (one call a line of JSON): makes the
// same call on eager tensors and says how the answer differs.
import type { DType, IValue, Type } from '@weft/ir';
import { Complex, DeviceValue, TensorLiteral, findSchema, isComplex, isFloatingPoint, numel } from '@weft/ir';
import { numbersOf } from '@weft/ops';
import { hostDevice } from '../devices.ts';
import { callOperator } from '../dispatch/call.ts';
import { manualSeed } from '../random/generator.ts';
import { Tensor } from '../tensor.ts';

interface WrittenTensor {
  readonly t: DType;
  readonly s: readonly number[];
  /** Base64 of the row-major little-endian bytes. */
  readonly d: string;
}
type WrittenNumber = number | 'nan' | 'inf' | '-inf';
type Written =
  | null
  | boolean
  | number
  | string
  | WrittenTensor
  | { readonly i: string }
  | { readonly f: WrittenNumber }
  | { readonly c: readonly [WrittenNumber, WrittenNumber] }
  | { readonly device: string }
  | readonly Written[];

export interface RecordedCall {
  readonly op: string;
  readonly args: readonly Written[];
  /** The returns. */
  readonly out?: readonly Written[];
  /** Contents of written arguments after the call, by index. */
  readonly after?: Readonly<Record<string, Written>>;
  /** PyTorch's message. */
  readonly error?: string;
}

const isTensor = (value: Written): value is WrittenTensor =>
  typeof value === 'object' && value !== null && 't' in value;
const isList = (value: Written): value is readonly Written[] => Array.isArray(value);

const number = (value: WrittenNumber): number =>
  value === 'nan' ? NaN : value === 'inf' ? Infinity : value === '-inf' ? -Infinity : value;

const literal = ({ t, s, d }: WrittenTensor): TensorLiteral =>
  new TensorLiteral(t, s, new Uint8Array(Buffer.from(d, 'base64')));

/** A tensor whose elements lie in another order than its dimensions tell, where it has more than one. */
function transposed(tensor: Tensor): Tensor {
  const rank = tensor.sizes.length;
  if (rank < 2) return tensor;
  const order = Array.from({ length: rank }, (_, dim) => BigInt(rank - 1 - dim));
  const turned = callOperator('aten::permute', [tensor as never, order]);
  const laid = callOperator('aten::contiguous', [turned]);
  return callOperator('aten::permute', [laid, order]) as unknown as Tensor;
}

/** The value of an argument. */
function argument(value: Written, type: Type, layout: (tensor: Tensor) => Tensor): IValue {
  if (type.kind === 'Optional') return value === null ? null : argument(value, type.element, layout);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return type.kind === 'float' ? value : BigInt(value);
  if (isList(value)) {
    const element = type.kind === 'List' ? type.element : type;
    return value.map((each) => argument(each, element, layout));
  }
  if (isTensor(value)) return layout(Tensor.fromLiteral(literal(value), hostDevice())) as unknown as IValue;
  if ('i' in value) return BigInt(value.i);
  if ('f' in value) return number(value.f);
  if ('c' in value) return new Complex(number(value.c[0]), number(value.c[1]));
  return new DeviceValue(value.device, null);
}

/** Results whose elements mean nothing, or are one choice of many. */
const uncertain =
  /^aten::(empty|new_empty|empty_like|empty_strided|resize|linalg_svd|svd|_linalg_svd|linalg_eigh?|symeig|eig|_linalg_eigh|geqrf|_efficientzerotensor)(_|_as_|_copy)?(\.|$)/;
/** Operators of long sums, whose order is free. */
const inexact =
  /linalg|conv|mm|matmul|inverse|det|solve|cholesky|lu_|qr|orgqr|ormqr|pinverse|matrix|fft|stft|einsum|linear|lstm|gru|rnn|attention|norm|cdist|pdist|dist|cov|corrcoef|logsumexp|softmax|loss|grid_sampl|bicubic|trilinear|var|std|addr|baddbmm|addbmm|bilinear|cum|pool|mean|sum|prod|upsample|embedding|_backward|dot|mv|gamma|zeta|bessel|erfinv|ndtri|rrelu|normal|interpol/;

interface Tolerance {
  readonly relative: number;
  /** Times the largest finite element. */
  readonly absolute: number;
}
function toleranceOf(op: string, dtype: DType): Tolerance {
  const loose = inexact.test(op);
  switch (dtype) {
    case 'float64':
    case 'complex128':
      return loose ? { relative: 1e-9, absolute: 1e-11 } : { relative: 1e-12, absolute: 1e-15 };
    case 'float16':
      return { relative: loose ? 4e-3 : 1e-3, absolute: loose ? 1e-3 : 1e-7 };
    case 'bfloat16':
      return { relative: loose ? 1.6e-2 : 8e-3, absolute: loose ? 8e-3 : 1e-7 };
    default:
      return loose ? { relative: 1e-4, absolute: 1e-5 } : { relative: 4e-6, absolute: 1e-7 };
  }
}

/** How a tensor differs from PyTorch's, or null. */
function tensorDifference(op: string, actual: Tensor, expected: WrittenTensor): string | null {
  if (actual.dtype !== expected.t) return `dtype ${actual.dtype}, PyTorch ${expected.t}`;
  if (String(actual.sizes) !== String(expected.s)) {
    return `shape [${actual.sizes.join(', ')}], PyTorch [${expected.s.join(', ')}]`;
  }
  if (uncertain.test(op)) return null;
  const found = numbersOf(new TensorLiteral(actual.dtype, actual.sizes, actual.bytes()));
  const wanted = numbersOf(literal(expected));
  const floats = isFloatingPoint(expected.t) || isComplex(expected.t);
  let largest = 0;
  for (const each of wanted) if (Number.isFinite(each)) largest = Math.max(largest, Math.abs(each));
  const { relative, absolute } = toleranceOf(op, expected.t);
  // A complex number with one part that is not finite is an infinity or no number; which, and how written, C++ leaves open.
  const pair = (numbers: Float64Array, index: number): boolean =>
    isComplex(expected.t) && !(Number.isFinite(numbers[index]) && Number.isFinite(numbers[index ^ 1]));
  for (let index = 0; index < wanted.length; index++) {
    const [got, want] = [found[index], wanted[index]];
    if (pair(found, index) && pair(wanted, index)) continue;
    if (got === want || (Number.isNaN(got) && Number.isNaN(want))) continue;
    if (floats && Math.abs(got - want) <= relative * Math.abs(want) + absolute * largest) continue;
    return `element ${index} is ${got}, PyTorch ${want} (all: ${show(found)} / ${show(wanted)})`;
  }
  return null;
}

const show = (numbers: Float64Array): string =>
  `${Array.from(numbers.subarray(0, 12)).join(' ')}${numbers.length > 12 ? ' …' : ''}`;

function difference(op: string, actual: IValue, expected: Written): string | null {
  if (actual instanceof Tensor) {
    return isTensor(expected) ? tensorDifference(op, actual, expected) : 'a tensor';
  }
  if (Array.isArray(actual)) {
    if (!isList(expected)) return 'a list';
    if (actual.length !== expected.length) return `${actual.length} items, PyTorch ${expected.length}`;
    for (const [index, each] of actual.entries()) {
      const problem = difference(op, each, expected[index]);
      if (problem !== null) return `[${index}]: ${problem}`;
    }
    return null;
  }
  if (typeof actual === 'number') {
    const want =
      typeof expected === 'object' && expected !== null && 'f' in expected ? number(expected.f) : NaN;
    const near = Math.abs(actual - want) <= 1e-6 * Math.abs(want);
    return near || Object.is(actual, want) ? null : `${actual}, PyTorch ${JSON.stringify(expected)}`;
  }
  const want =
    typeof expected === 'number'
      ? BigInt(expected)
      : typeof expected === 'object' && expected !== null && 'i' in expected
        ? BigInt(expected.i)
        : expected;
  return actual === want ? null : `${String(actual)}, PyTorch ${JSON.stringify(expected)}`;
}

/** Makes the call; says how it differs from PyTorch, or null. `turned` gives it tensors that are not contiguous. */
export function differenceFromPyTorch(call: RecordedCall, turned = false): string | null {
  const schema = findSchema(call.op)!;
  const formals = schema.arguments;
  const layout = (tensor: Tensor): Tensor => (turned ? transposed(tensor) : tensor);
  const args = call.args.map((value, index) => argument(value, formals[index].type, layout));
  manualSeed(0);
  let result: IValue;
  try {
    result = callOperator(call.op, args);
  } catch (error) {
    const { message } = error as Error;
    if (call.error === undefined) return `error: ${message.split('\n')[0]}`;
    return sameMessage(message, call.error)
      ? null
      : `error '${message.split('\n')[0]}', PyTorch '${call.error}'`;
  }
  if (call.error !== undefined) return `no error, PyTorch '${call.error}'`;
  const count = schema.returns.length;
  const results = count === 0 ? [] : count === 1 ? [result] : (result as IValue[]);
  for (const [index, expected] of (call.out ?? []).entries()) {
    const problem = difference(call.op, results[index], expected);
    if (problem !== null) return count === 1 ? problem : `return ${index}: ${problem}`;
  }
  for (const [index, expected] of Object.entries(call.after ?? {})) {
    const problem = difference(call.op, args[Number(index)], expected);
    if (problem !== null) return `argument ${index} afterwards: ${problem}`;
  }
  return null;
}

/** Weft adds lines that name the operator and the user's line; PyTorch's last line may end in a full stop or a blank. */
function sameMessage(actual: string, expected: string): boolean {
  const lines = expected.trimEnd();
  return actual.startsWith(lines) && /^\s*($|\n)/.test(actual.slice(lines.length));
}

/** `add.Tensor(float32[2, 3], 1.5, alpha…)`, for reports. */
export function callText(call: RecordedCall): string {
  const text = (value: Written): string => {
    if (isList(value)) return `[${value.map(text).join(', ')}]`;
    if (isTensor(value)) {
      const few = numel(value.s) <= 4 ? `{${show(numbersOf(literal(value)))}}` : '';
      return `${value.t}[${value.s.join(', ')}]${few}`;
    }
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    if ('i' in value) return value.i;
    if ('f' in value) return Number.isInteger(value.f) ? `${value.f}.` : String(value.f);
    return 'c' in value ? `${value.c[0]}+${value.c[1]}j` : value.device;
  };
  return `${call.op.slice(6)}(${call.args.map(text).join(', ')})`;
}
