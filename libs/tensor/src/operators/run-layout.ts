// Runs one recorded operator call (see tools/make-layout-cases.py) eagerly on operands with given strides, and compares the
// strides and the storage of its results with PyTorch's, and the contents with those of row-major operands.
import type { DType, IValue, Schema, Type } from '@weft/ir';
import { Complex, DeviceValue, dtypes, findSchema, numel } from '@weft/ir';
import { contiguousStrides, extentOf, literalOf } from '@weft/ops';
import { Storage, Tensor, callOperator, hostDevice, isCallable, manualSeed } from '../index.ts';

interface TensorData {
  readonly t: DType;
  readonly s: readonly number[];
  /** Elements, row-major; zeros when they are left out. */
  readonly d?: readonly (number | string | boolean)[];
}
type Recorded =
  | null
  | boolean
  | number
  | string
  | TensorData
  | { readonly f: number | string }
  | { readonly c: readonly [number, number] }
  | { readonly dtype: DType }
  | { readonly device: string }
  | readonly Recorded[];
type Strides = readonly number[] | null;

export interface LayoutRecord {
  readonly op: string;
  readonly args: readonly Recorded[];
  readonly layouts: readonly RecordedLayout[];
}
/** Strides of the tensors among arguments and results; null is row-major. */
export interface RecordedLayout {
  readonly in: readonly Strides[];
  readonly out: readonly Strides[];
  /** For each result the operand whose storage it shares. */
  readonly shares?: readonly (number | null)[];
}

const numberOf = (value: number | string | boolean): number =>
  typeof value === 'string' ? { nan: NaN, inf: Infinity, '-inf': -Infinity }[value]! : Number(value);

function tensorOf({ t, s, d }: TensorData, strides: Strides): Tensor {
  const geometry = { sizes: s, strides: strides ?? contiguousStrides(s), offset: 0 };
  const storage = Storage.allocate(hostDevice(), extentOf(geometry) * dtypes[t].bytes);
  const tensor = new Tensor(storage, t, s, geometry.strides, 0);
  const count = numel(s) * (t.startsWith('complex') ? 2 : 1);
  tensor.writeBytes(literalOf(t, s, d?.map(numberOf) ?? new Array<number>(count).fill(0)).bytes);
  return tensor;
}

function argument(value: Recorded, type: Type, tensor: (data: TensorData) => Tensor): IValue {
  if (value === null) return null;
  if (type.kind === 'Optional') return argument(value, type.element, tensor);
  if (Array.isArray(value)) {
    const element = type.kind === 'List' ? type.element : type;
    return (value as readonly Recorded[]).map((each) => argument(each, element, tensor));
  }
  if (type.kind === 'List') return argument(value, type.element, tensor);
  if (typeof value === 'number') {
    return type.kind === 'float' || !Number.isInteger(value) ? value : BigInt(value);
  }
  if (typeof value !== 'object') return value;
  if ('t' in value) return tensor(value);
  if ('f' in value) return numberOf(value.f);
  if ('c' in value) return new Complex(value.c[0], value.c[1]);
  if ('device' in value) return new DeviceValue(value.device, null);
  return BigInt(dtypes[(value as { dtype: DType }).dtype].scalarType);
}

const tensorsIn = (value: IValue): Tensor[] =>
  value instanceof Tensor ? [value] : Array.isArray(value) ? value.flatMap(tensorsIn) : [];

function call(schema: Schema, { op, args }: LayoutRecord, tensor: (data: TensorData) => Tensor): Tensor[] {
  manualSeed(0);
  const values = schema.arguments
    .slice(0, args.length)
    .map((formal, index) => argument(args[index], formal.type, tensor));
  return tensorsIn(callOperator(op, values));
}

/** Whose results depend on more than their operands' elements, or say nothing. */
const undetermined = /rand|empty|dropout|rrelu|bernoulli|multinomial|normal|::set_|resize|as_strided/;

/** PyTorch remembers that a view is conjugated; here it is a copy. */
const isConjugate = ({ op }: LayoutRecord, operands: readonly Tensor[]): boolean =>
  /::(_?conj|mH|adjoint|matrix_H)/.test(op) && operands[0].dtype.startsWith('complex');

/** How a call's results differ from PyTorch's, in words; null when they agree or weft has no such operator. */
export function runLayout(record: LayoutRecord, layout: RecordedLayout): string | null {
  if (!isCallable(record.op)) return null;
  const where = `${JSON.stringify(record.args).slice(0, 200)} ${JSON.stringify(layout.in)}`;
  const schema = findSchema(record.op)!;
  const operands: Tensor[] = [];
  try {
    const results = call(schema, record, (data) => {
      const tensor = tensorOf(data, layout.in[operands.length]);
      operands.push(tensor);
      return tensor;
    });
    const strides = results.map((each) =>
      shown(String(each.strides) === String(contiguousStrides(each.sizes)) ? null : each.strides),
    );
    const wanted = layout.out.map(shown);
    if (String(strides) !== String(wanted))
      return `${where}: strides ${strides.join(' ')}, PyTorch ${wanted.join(' ')}`;
    if (isConjugate(record, operands)) return null;
    const shares = results.map((each) =>
      each.storage.byteLength === 0 ? -1 : operands.findIndex(({ storage }) => storage === each.storage),
    );
    const sharing = layout.out.map((_, index) => layout.shares?.[index] ?? -1);
    if (String(shares) !== String(sharing))
      return `${where}: shares ${shares.join()}, PyTorch ${sharing.join()}`;
    if (undetermined.test(record.op) || layout.in.every((each) => each === null)) return null;
    let at = 0;
    const plain = call(schema, record, (data) => {
      const given = tensorOf(data, layout.in[at++]);
      return tensorOf({ t: data.t, s: data.s, d: elements(given) }, null);
    });
    const differing = results.findIndex((each, index) => !alike(elements(each), elements(plain[index])));
    return differing < 0
      ? null
      : `${where}: output ${differing} is ${results[differing]}, row-major operands give ${plain[differing]}`;
  } catch (error) {
    return `${where}: ${(error as Error).stack?.slice(0, 600)}`;
  }
}

const shown = (strides: Strides): string => (strides === null ? 'row-major' : `[${strides.join(', ')}]`);

/** Row-major elements as numbers, complex ones as pairs. */
function elements(tensor: Tensor): number[] {
  const list = tensor.flatten().tolist() as (number | boolean | Complex)[];
  return list.flatMap((each) => (each instanceof Complex ? [each.re, each.im] : Number(each)));
}

const alike = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((x, index) => Object.is(x, b[index]) || Math.abs(x - b[index]) <= 1e-4 * (1 + Math.abs(x)));
