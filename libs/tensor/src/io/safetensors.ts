// The safetensors format: eight bytes of header length, a JSON header (name → dtype, shape, offsets), then the tensors'
// bytes without gaps. https://huggingface.co/docs/safetensors
import type { DType } from '@weft/ir';
import { TensorLiteral, WeftError, dtypes, numel } from '@weft/ir';

/** Bytes that are no safetensors file, or tensors that cannot be one: says which entry and what is wrong. */
export class SafetensorsError extends WeftError {}

const names: Partial<Record<DType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
  complex64: 'C64',
};
const dtypesByName = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));
/** The format's limit on its header. */
const maxHeader = 100_000_000;

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, TensorLiteral>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The file's bytes. Larger elements come first, so that every tensor is aligned; equal input gives equal bytes. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorLiteral>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries = [...tensors].map(([name, literal]) => {
    const dtype = names[literal.dtype];
    if (dtype === undefined) {
      throw new SafetensorsError(`tensor '${name}' is ${literal.dtype}, which safetensors does not have`);
    }
    if (name === '__metadata__') throw new SafetensorsError("a tensor cannot be named '__metadata__'");
    return { name, literal, dtype, width: dtypes[literal.dtype].bytes };
  });
  entries.sort((a, b) => b.width - a.width || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  for (const { name, literal, dtype, width } of entries) {
    const length = numel(literal.shape) * width;
    header[name] = { dtype, shape: literal.shape, data_offsets: [offset, offset + length] };
    offset += length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.fill(0x20, 8, 8 + headerLength).set(text, 8);
  let at = 8 + headerLength;
  for (const { literal, width } of entries) {
    const length = numel(literal.shape) * width;
    if (literal.splat) for (let i = 0; i < length; i += width) bytes.set(literal.bytes, at + i);
    else bytes.set(literal.bytes.subarray(0, length), at);
    at += length;
  }
  return bytes;
}

/** The tensors of a file, as views on its bytes. Throws SafetensorsError for anything that breaks the format. */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  const fail = (reason: string): never => {
    throw new SafetensorsError(`not a safetensors file: ${reason}`);
  };
  if (bytes.length < 8) fail(`${bytes.length} bytes are too few for the header's length`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > maxHeader) fail(`a header of ${length} bytes is over the limit of ${maxHeader}`);
  if (8 + length > bytes.length) fail(`the header takes ${length} bytes, the file has ${bytes.length - 8}`);
  const header = parseHeader(bytes.subarray(8, 8 + length), fail);
  const data = bytes.subarray(8 + length);
  const tensors = new Map<string, TensorLiteral>();
  const spans: { name: string; from: number; to: number }[] = [];
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = checkMetadata(entry, fail);
      continue;
    }
    const { dtype, shape, from, to } = checkEntry(name, entry, fail);
    if (to > data.length) fail(`tensor '${name}' ends at byte ${to} of ${data.length}`);
    tensors.set(name, new TensorLiteral(dtype, shape, data.subarray(from, to)));
    spans.push({ name, from, to });
  }
  spans.sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  for (const { name, from, to } of spans) {
    if (from !== end) fail(`tensor '${name}' starts at byte ${from} where ${end} is expected`);
    end = to;
  }
  if (end !== data.length) fail(`${data.length - end} bytes after the last tensor belong to none`);
  return { tensors, metadata };
}

type Fail = (reason: string) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return fail(`the header is no JSON (${(error as Error).message})`);
  }
  return isRecord(header) ? header : fail('the header is no object');
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkMetadata(entry: unknown, fail: Fail): Readonly<Record<string, string>> {
  if (!isRecord(entry) || Object.values(entry).some((value) => typeof value !== 'string')) {
    return fail('__metadata__ is no object of strings');
  }
  return entry as Record<string, string>;
}

function checkEntry(
  name: string,
  entry: unknown,
  fail: Fail,
): { dtype: DType; shape: number[]; from: number; to: number } {
  if (!isRecord(entry)) return fail(`the entry of '${name}' is no object`);
  const dtype = dtypesByName.get(String(entry.dtype));
  if (dtype === undefined) return fail(`tensor '${name}' has the unknown dtype '${String(entry.dtype)}'`);
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  const { shape, data_offsets: offsets } = entry;
  if (!Array.isArray(shape) || !shape.every(isSize)) return fail(`tensor '${name}' has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return fail(`tensor '${name}' has no valid offsets`);
  }
  const [from, to] = offsets as number[];
  const bytes = numel(shape) * dtypes[dtype].bytes;
  if (!Number.isSafeInteger(bytes) || to - from !== bytes) {
    return fail(
      `tensor '${name}' of shape [${shape.join(', ')}] takes ${bytes} bytes, its offsets give ${to - from}`,
    );
  }
  return { dtype, shape, from, to };
}
