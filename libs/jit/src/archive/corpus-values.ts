// Values of recorded cases (io.json and tensors.bin): reading them as run-time values, and comparing results with them.
import type { DType, IValue } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TupleValue,
  dtypes,
  isComplex,
  isFloatingPoint,
  isTensorLike,
  literalElements,
  numel,
} from '@weft/ir';
import { Storage, Tensor, hostDevice } from '@weft/tensor';

export interface RecordedTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly strides?: readonly number[];
}

type RecordedNumber = number | string;

/** One value of io.json. */
export type Recorded =
  | null
  | { readonly bool: boolean }
  | { readonly int: RecordedNumber }
  | { readonly float: RecordedNumber }
  | { readonly complex: readonly [RecordedNumber, RecordedNumber] }
  | { readonly str: string }
  | { readonly device: string }
  | { readonly list: readonly Recorded[] }
  | { readonly tuple: readonly Recorded[] }
  | { readonly dict: readonly (readonly [Recorded, Recorded])[] }
  | {
      readonly namedtuple: {
        readonly type: string;
        readonly fields: readonly (readonly [string, Recorded])[];
      };
    }
  | { readonly tensor: RecordedTensor }
  | { readonly object: string };

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

/** A result that is not the recorded one. */
export class Mismatch extends Error {}

const numberOf = (value: RecordedNumber): number =>
  typeof value === 'number'
    ? value
    : ({ inf: Infinity, '-inf': -Infinity, nan: NaN }[value] ?? Number(value));

export class CorpusValues {
  /**
   * @param strides whether the strides of tensors must agree too
   * @param seen where the largest error is noted
   */
  constructor(
    private readonly data: Uint8Array,
    private readonly tolerance: Tolerance,
    private readonly strides = true,
    private readonly seen = { largestError: 0 },
  ) {}

  /** The largest |actual - expected| / max(1, |expected|) of what was compared so far. */
  get largestError(): number {
    return this.seen.largestError;
  }

  /** The same without regard to strides: what a gradient has is up to how it was computed. */
  get withoutStrides(): CorpusValues {
    return new CorpusValues(this.data, this.tolerance, false, this.seen);
  }

  // ---- Reading ------------------------------------------------------------------------------------------------------

  value(recorded: Recorded): IValue {
    if (recorded === null) return null;
    if ('bool' in recorded) return recorded.bool;
    if ('int' in recorded) return BigInt(recorded.int);
    if ('float' in recorded) return numberOf(recorded.float);
    if ('complex' in recorded)
      return new Complex(numberOf(recorded.complex[0]), numberOf(recorded.complex[1]));
    if ('str' in recorded) return recorded.str;
    if ('device' in recorded) {
      const [type, index] = recorded.device.split(':');
      return new DeviceValue(type, index === undefined ? null : Number(index));
    }
    if ('list' in recorded) return recorded.list.map((item) => this.value(item));
    if ('tuple' in recorded) return new TupleValue(recorded.tuple.map((item) => this.value(item)));
    if ('dict' in recorded) {
      return new Map(recorded.dict.map(([key, entry]) => [this.value(key), this.value(entry)] as const));
    }
    if ('namedtuple' in recorded) {
      return new TupleValue(recorded.namedtuple.fields.map(([, item]) => this.value(item)));
    }
    if ('tensor' in recorded) return this.tensor(recorded.tensor);
    throw new Mismatch(`an object of ${recorded.object} is recorded, which cannot be made again`);
  }

  tensor({ dtype, shape, offset, strides }: RecordedTensor): Tensor {
    const bytes = this.data.subarray(offset, offset + numel(shape) * dtypes[dtype].bytes);
    if (strides === undefined) {
      const tensor = Tensor.allocate(dtype, shape, hostDevice());
      tensor.writeBytes(bytes);
      return tensor;
    }
    const isEmpty = shape.includes(0);
    const length = isEmpty ? 0 : shape.reduce((sum, size, dim) => sum + (size - 1) * strides[dim], 1);
    const storage = Storage.allocate(hostDevice(), length * dtypes[dtype].bytes);
    const tensor = new Tensor(storage, dtype, shape, strides, 0);
    tensor.writeBytes(bytes);
    return tensor;
  }

  // ---- Comparing ----------------------------------------------------------------------------------------------------

  /** Throws Mismatch naming the place and both values. */
  check(value: IValue, recorded: Recorded, where: string): void {
    const refuse = (): never => {
      throw new Mismatch(`${where}: ${describe(value)} instead of ${JSON.stringify(recorded)}`);
    };
    if (recorded === null) return value === null ? undefined : refuse();
    if ('bool' in recorded) return value === recorded.bool ? undefined : refuse();
    if ('int' in recorded) return value === BigInt(recorded.int) ? undefined : refuse();
    if ('str' in recorded) return value === recorded.str ? undefined : refuse();
    if ('float' in recorded) {
      return typeof value === 'number' && this.close(value, numberOf(recorded.float)) ? undefined : refuse();
    }
    if ('complex' in recorded) {
      const [re, im] = recorded.complex.map(numberOf);
      return value instanceof Complex && this.close(value.re, re) && this.close(value.im, im)
        ? undefined
        : refuse();
    }
    if ('device' in recorded) {
      return value instanceof DeviceValue && value.toString() === recorded.device ? undefined : refuse();
    }
    if ('list' in recorded) return Array.isArray(value) ? this.items(value, recorded.list, where) : refuse();
    if ('tuple' in recorded) {
      return value instanceof TupleValue ? this.items(value.items, recorded.tuple, where) : refuse();
    }
    if ('namedtuple' in recorded) {
      if (!(value instanceof TupleValue)) return refuse();
      const { fields } = recorded.namedtuple;
      if (value.type?.fields?.join() !== fields.map(([name]) => name).join()) return refuse();
      return this.items(
        value.items,
        fields.map(([, item]) => item),
        where,
      );
    }
    if ('dict' in recorded) {
      if (!(value instanceof Map) || value.size !== recorded.dict.length) return refuse();
      [...value].forEach(([key, entry], index) => {
        this.check(key, recorded.dict[index][0], `${where} key ${index}`);
        this.check(entry, recorded.dict[index][1], `${where}[${describe(key)}]`);
      });
      return;
    }
    if ('tensor' in recorded) {
      return isTensorLike(value) ? this.checkTensor(value as Tensor, recorded.tensor, where) : refuse();
    }
    if (!(value instanceof ObjectValue) && !(value instanceof EnumValue)) refuse();
  }

  private items(values: readonly IValue[], recorded: readonly Recorded[], where: string): void {
    if (values.length !== recorded.length) {
      throw new Mismatch(`${where}: length ${values.length} instead of ${recorded.length}`);
    }
    values.forEach((value, index) => this.check(value, recorded[index], `${where}[${index}]`));
  }

  private close(actual: number, expected: number): boolean {
    if (Number.isNaN(actual) || Number.isNaN(expected)) return Number.isNaN(actual) && Number.isNaN(expected);
    if (actual === expected) return true;
    const { rtol, atol } = this.tolerance;
    const difference = Math.abs(actual - expected);
    const error = difference / Math.max(1, Math.abs(expected));
    if (error > this.seen.largestError) this.seen.largestError = error;
    return difference <= atol + rtol * Math.abs(expected);
  }

  checkTensor(tensor: Tensor, recorded: RecordedTensor, where: string): void {
    const compare = (key: string, actual: unknown, expected: unknown): void => {
      if (String(actual) !== String(expected)) {
        throw new Mismatch(`${where}: ${key} ${String(actual)} instead of ${String(expected)}`);
      }
    };
    compare('dtype', tensor.dtype, recorded.dtype);
    compare('shape', `[${tensor.shape.join(', ')}]`, `[${recorded.shape.join(', ')}]`);
    if (this.strides) {
      const strides = tensor.isRowMajor ? undefined : `[${tensor.strides.join(', ')}]`;
      compare('strides', strides, recorded.strides && `[${recorded.strides.join(', ')}]`);
    }
    const expected = literalElements(this.tensor({ ...recorded, strides: undefined }).toLiteral());
    const exact = !isFloatingPoint(tensor.dtype) && !isComplex(tensor.dtype);
    literalElements(tensor.toLiteral()).forEach((element, index) => {
      const wanted = expected[index];
      const fits = exact
        ? element === wanted
        : element instanceof Complex && wanted instanceof Complex
          ? this.closeComplex(element, wanted)
          : this.close(element as number, wanted as number);
      if (!fits) {
        const [actual, other] = [element, wanted].map((part) =>
          part instanceof Complex ? `${part.re}+${part.im}i` : String(part),
        );
        throw new Mismatch(`${where}: element ${index} is ${actual} instead of ${other}`);
      }
    });
  }

  /** As complex numbers are compared: by the magnitude of their difference. */
  private closeComplex(actual: Complex, expected: Complex): boolean {
    if (this.close(actual.re, expected.re) && this.close(actual.im, expected.im)) return true;
    const { rtol, atol } = this.tolerance;
    const difference = Math.hypot(actual.re - expected.re, actual.im - expected.im);
    return difference <= atol + rtol * Math.hypot(expected.re, expected.im);
  }
}

function describe(value: IValue): string {
  if (isTensorLike(value)) return `a tensor ${value.dtype}[${value.shape.join(', ')}]`;
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`;
  if (value instanceof TupleValue) return `(${value.items.map(describe).join(', ')})`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof ObjectValue) return `an object of ${value.type.name}`;
  if (value instanceof Complex) return `${value.re}+${value.im}i`;
  if (typeof value === 'bigint') return `int ${value}`;
  if (typeof value === 'number') return `float ${value}`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Every tensor inside a value, depth first. */
export function tensorsIn(value: IValue): Tensor[] {
  if (isTensorLike(value)) return [value as Tensor];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  if (value instanceof TupleValue) return value.items.flatMap(tensorsIn);
  if (value instanceof Map) return [...value.values()].flatMap(tensorsIn);
  return [];
}
