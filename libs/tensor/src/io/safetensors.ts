// The safetensors format: eight bytes of header length, a JSON header (name → dtype, shape, place), then the tensors' bytes
// without gaps. https://huggingface.co/docs/safetensors Reading checks the whole header against the file before anything is
// believed; tensors are read or used where they lie. Writing takes one tensor at a time.
import type { MappedFileOptions } from '@weft/devices';
import { MappedFile } from '@weft/devices';
import type { DType } from '@weft/ir';
import { TensorLiteral, WeftError, dtypes, numel } from '@weft/ir';
import { hostDevice } from '../devices.ts';
import { contiguousStrides } from '@weft/ops';
import { Storage } from '../storage.ts';
import { Tensor } from '../tensor.ts';
import { writeAtomically, writeAtomicallyAsync } from './atomic-file.ts';
import type { ByteSource } from './byte-source.ts';
import { MemorySource } from './byte-source.ts';

/** A file that breaks the format or cannot be opened: names the file, the entry and what is wrong. */
export class SafetensorsError extends WeftError {}

/** The format's names. C128 is weft's own, for complex128, which the format does not have: other readers refuse it. */
const names: Readonly<Record<DType, string>> = {
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
  uint16: 'U16',
  int16: 'I16',
  float16: 'F16',
  bfloat16: 'BF16',
  uint32: 'U32',
  int32: 'I32',
  float32: 'F32',
  float64: 'F64',
  int64: 'I64',
  uint64: 'U64',
  complex64: 'C64',
  complex128: 'C128',
};
const dtypesByName = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));
/** The format's limit on its header. */
const longestHeader = 100_000_000;

/** Texts by name, beside the tensors. */
export type SafetensorsMetadata = Readonly<Record<string, string>>;

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Place in the file. */
  readonly offset: number;
  readonly byteLength: number;
}

// ---- Reading ----------------------------------------------------------------------------------------------------------

/** A safetensors file, open or in memory. */
export class SafetensorsFile {
  /** In the order of the header. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: SafetensorsMetadata;

  /**
   * @param path names the file in errors
   * @param source where its bytes are; it is closed when they are not what they should be
   */
  private constructor(
    readonly path: string,
    private readonly source: ByteSource,
  ) {
    try {
      ({ entries: this.entries, metadata: this.metadata } = this.readHeader());
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** Opens a file; `close` it when nothing more is read. Throws SafetensorsError naming the file and what is wrong with it. */
  static open(path: string, options?: MappedFileOptions): SafetensorsFile {
    let source: ByteSource;
    try {
      source = MappedFile.open(path, options);
    } catch (cause) {
      throw new SafetensorsError(`cannot open ${path}: ${(cause as Error).message}`, undefined, { cause });
    }
    return new SafetensorsFile(path, source);
  }
  /** A file in memory; `name` stands for its path in errors. */
  static from(bytes: Uint8Array, name = 'safetensors in memory'): SafetensorsFile {
    return new SafetensorsFile(name, new MemorySource(bytes));
  }
  close(): void {
    this.source.close();
  }

  entry(name: string): SafetensorsEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) {
      const known = [...this.entries.keys()].slice(0, 5).join(', ');
      throw new SafetensorsError(
        `${this.path} has no tensor '${name}' (it has ${this.entries.size}: ${known}${this.entries.size > 5 ? ', …' : ''})`,
      );
    }
    return entry;
  }

  /** Reads bytes of a tensor from `offset` within it. */
  readInto(entry: SafetensorsEntry, offset: number, into: Uint8Array): void {
    this.source.readInto(entry.offset + offset, into);
  }

  /** A tensor's contents, copied when the file is on disk. */
  read(name: string): TensorLiteral {
    const { dtype, shape, offset, byteLength } = this.entry(name);
    return new TensorLiteral(dtype, shape, this.source.read(offset, byteLength));
  }

  /** A tensor that uses the file's memory where it lies; changing it does not change the file. */
  tensor(name: string): Tensor {
    const { dtype, shape, offset, byteLength } = this.entry(name);
    const part = this.source.part(offset, byteLength);
    let storage = new Storage(hostDevice(), part.buffer, part.byteOffset, part.byteLength);
    if (part.byteOffset % Math.min(8, dtypes[dtype].bytes) !== 0) {
      const aligned = Storage.allocate(hostDevice(), byteLength);
      aligned.write(0, storage.read(0, byteLength));
      storage = aligned;
    }
    return new Tensor(storage, dtype, shape, contiguousStrides(shape), 0);
  }

  private refuse(reason: string): never {
    throw new SafetensorsError(`${this.path} is not a valid safetensors file: ${reason}`);
  }

  private readHeader(): { entries: Map<string, SafetensorsEntry>; metadata: SafetensorsMetadata } {
    const { size } = this.source;
    if (size < 8) this.refuse(`it has ${size} bytes, less than its header's length takes`);
    const start = this.source.read(0, 8);
    const length = Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true));
    if (length > longestHeader)
      this.refuse(`a header of ${length} bytes is over the limit of ${longestHeader}`);
    if (8 + length > size) this.refuse(`its header is said to have ${length} bytes, the file has ${size}`);
    const { __metadata__: metadata = {}, ...tensors } = this.parse(this.source.read(8, length));
    if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string'))
      this.refuse('its __metadata__ is no object of texts');
    const entries = new Map(
      Object.entries(tensors).map(([name, description]) => [
        name,
        this.entryOf(name, description, 8 + length),
      ]),
    );
    this.refuseGaps([...entries.values()], 8 + length);
    return { entries, metadata: metadata as SafetensorsMetadata };
  }

  private parse(bytes: Uint8Array): Record<string, unknown> {
    let header: unknown;
    try {
      // A revived '__proto__' stays an entry like any other.
      header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      this.refuse(`its header is no JSON (${(error as Error).message})`);
    }
    return isRecord(header) ? header : this.refuse('its header is no object');
  }

  private entryOf(name: string, description: unknown, dataStart: number): SafetensorsEntry {
    if (!isRecord(description)) this.refuse(`the entry of '${name}' is no object`);
    const { dtype: typeName, shape, data_offsets: offsets } = description;
    const dtype = dtypesByName.get(String(typeName));
    if (dtype === undefined) this.refuse(`'${name}' has the unknown dtype '${String(typeName)}'`);
    if (!Array.isArray(shape) || !shape.every(isSize)) this.refuse(`'${name}' has no valid shape`);
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
      this.refuse(`'${name}' has no valid data_offsets`);
    const [from, to] = offsets as number[];
    const byteLength = numel(shape) * dtypes[dtype].bytes;
    if (!Number.isSafeInteger(byteLength) || to - from !== byteLength)
      this.refuse(
        `'${name}' of shape [${shape.join(', ')}] takes ${byteLength} bytes, its data_offsets give ${to - from}`,
      );
    if (dataStart + to > this.source.size)
      this.refuse(`'${name}' ends at byte ${dataStart + to} of ${this.source.size}: the file is cut off`);
    return { name, dtype, shape, offset: dataStart + from, byteLength };
  }

  /** Every byte after the header belongs to one tensor. */
  private refuseGaps(entries: SafetensorsEntry[], dataStart: number): void {
    entries.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
    let end = dataStart;
    for (const { name, offset, byteLength } of entries) {
      if (offset !== end) this.refuse(`'${name}' starts at byte ${offset} where ${end} is expected`);
      end = offset + byteLength;
    }
    if (end !== this.source.size)
      this.refuse(`${this.source.size - end} bytes after the last tensor belong to none`);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The tensors of a file, by name. They use the file's memory where they lie; changing one does not change the file. */
export function loadSafetensors(path: string, options?: MappedFileOptions): Map<string, Tensor> {
  const file = SafetensorsFile.open(path, options);
  try {
    return new Map([...file.entries.keys()].map((name) => [name, file.tensor(name)]));
  } finally {
    file.close();
  }
}

/** The tensors of a file in memory, as views on its bytes. Throws SafetensorsError for anything that breaks the format. */
export function readSafetensors(bytes: Uint8Array): {
  readonly tensors: ReadonlyMap<string, TensorLiteral>;
  readonly metadata: SafetensorsMetadata;
} {
  const file = SafetensorsFile.from(bytes);
  return {
    tensors: new Map([...file.entries.keys()].map((name) => [name, file.read(name)])),
    metadata: file.metadata,
  };
}

// ---- Writing ----------------------------------------------------------------------------------------------------------

/** A tensor to write, by what the header says of it. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** How a file begins and which tensor's bytes follow, by their numbers. */
export interface SafetensorsLayout {
  readonly header: Uint8Array;
  readonly order: readonly number[];
}

/** Larger elements come first, so that all tensors are aligned; equal tensors give equal bytes. */
export function layoutSafetensors(
  tensors: readonly SafetensorsTensor[],
  metadata: SafetensorsMetadata = {},
): SafetensorsLayout {
  const width = (index: number): number => dtypes[tensors[index].dtype].bytes;
  const order = tensors.map((_, index) => index);
  order.sort((a, b) => width(b) - width(a) || (tensors[a].name < tensors[b].name ? -1 : 1));
  // Readers of models want to be told that the tensors are laid out as PyTorch's.
  const entries: [string, unknown][] = [['__metadata__', { format: 'pt', ...metadata }]];
  const seen = new Set(['__metadata__']);
  let offset = 0;
  for (const index of order) {
    const { name, dtype, shape } = tensors[index];
    if (seen.has(name))
      throw new SafetensorsError(
        name === '__metadata__'
          ? "a tensor cannot be named '__metadata__'"
          : `two tensors are named '${name}'`,
      );
    seen.add(name);
    const end = offset + numel(shape) * dtypes[dtype].bytes;
    entries.push([name, { dtype: names[dtype], shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Numbers as names would come first in an object; JSON is put together from its entries.
  const text = Buffer.from(
    `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`,
  );
  const header = Buffer.alloc(8 + Math.ceil(text.byteLength / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.byteLength - 8));
  text.copy(header, 8);
  return { header, order };
}

/** Writes a file whose tensors' bytes are asked for one after the other. Returns its size. */
export function streamSafetensors(
  path: string,
  tensors: readonly SafetensorsTensor[],
  bytes: (index: number) => Uint8Array | Promise<Uint8Array>,
  metadata?: SafetensorsMetadata,
): Promise<number> {
  const { header, order } = layoutSafetensors(tensors, metadata);
  return writeAtomicallyAsync(path, async (write) => {
    write(header);
    for (const index of order) write(await bytes(index));
  });
}

/** Writes tensors to a file, each row-major. It appears whole or not at all. Throws SafetensorsError when it cannot be written. */
export function saveSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  path: string,
  metadata?: SafetensorsMetadata,
): void {
  const list = [...tensors].map(([name, value]) => ({ name, dtype: value.dtype, shape: value.shape, value }));
  const { header, order } = layoutSafetensors(list, metadata);
  try {
    writeAtomically(path, (write) => {
      write(header);
      for (const index of order) write(list[index].value.bytes());
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined)
      throw new SafetensorsError(`${path} cannot be written (${code})`, undefined, { cause });
    throw cause;
  }
}

/** The bytes of a file with these tensors. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorLiteral>,
  metadata?: SafetensorsMetadata,
): Uint8Array {
  const list = [...tensors].map(([name, value]) => ({ name, dtype: value.dtype, shape: value.shape, value }));
  const { header, order } = layoutSafetensors(list, metadata);
  return Buffer.concat([header, ...order.map((index) => bytesOf(list[index].value))]);
}

function bytesOf({ dtype, shape, bytes, splat }: TensorLiteral): Uint8Array {
  const length = numel(shape) * dtypes[dtype].bytes;
  if (!splat) return bytes.subarray(0, length);
  const whole = Buffer.alloc(length);
  if (length > 0) whole.fill(bytes.subarray(0, dtypes[dtype].bytes));
  return whole;
}
