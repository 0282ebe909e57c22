// The safetensors file format: an eight-byte header length, a JSON header with name, dtype, shape and place of each tensor, then
// their bytes. Reading checks the header against the file before anything is believed; tensors are read where they lie, one
// at a time. Writing is atomic: a temporary file, flushed to disk, then renamed.
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DType } from '@weft/ir';
import { TensorLiteral, dtypes } from '@weft/ir';
import { CorruptFileError, messageOf } from '../errors.ts';

const typeNames: Readonly<Record<DType, string>> = {
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
const dtypeOf = new Map(Object.entries(typeNames).map(([dtype, name]) => [name, dtype as DType]));
const headerLimit = 100 * 1024 * 1024;

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Place in the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** An open safetensors file. */
export class SafetensorsFile {
  readonly entries = new Map<string, SafetensorsEntry>();
  readonly metadata: Readonly<Record<string, string>>;
  private readonly file: number;

  /** Throws CorruptFileError naming the file and what is wrong with it. */
  constructor(readonly path: string) {
    try {
      this.file = openSync(path, 'r');
    } catch (error) {
      throw new CorruptFileError(`cannot open ${path}: ${messageOf(error)}`);
    }
    try {
      this.metadata = this.readHeader();
    } catch (error) {
      closeSync(this.file);
      throw error;
    }
  }

  private readHeader(): Record<string, string> {
    const { size } = fstatSync(this.file);
    if (size < 8) throw this.corrupt(`it has ${size} bytes, less than its header's length takes`);
    const length = Number(Buffer.from(this.bytesAt(0, 8)).readBigUInt64LE());
    if (length > headerLimit || length + 8 > size)
      throw this.corrupt(`its header is said to have ${length} bytes, the file has ${size}`);
    let header: Record<string, unknown>;
    try {
      header = JSON.parse(Buffer.from(this.bytesAt(8, length)).toString('utf8')) as Record<string, unknown>;
    } catch (error) {
      throw this.corrupt(`its header is no JSON (${messageOf(error)})`);
    }
    const { __metadata__: metadata, ...tensors } = header;
    for (const [name, description] of Object.entries(tensors)) {
      const entry = entryOf(name, description, 8 + length);
      if (entry === undefined) throw this.corrupt(`the header's entry of '${name}' is not valid`);
      if (entry.offset + entry.byteLength > size)
        throw this.corrupt(
          `'${name}' ends at byte ${entry.offset + entry.byteLength} of ${size}: the file is cut off`,
        );
      this.entries.set(name, entry);
    }
    return (metadata as Record<string, string> | undefined) ?? {};
  }

  entry(name: string): SafetensorsEntry {
    const entry = this.entries.get(name);
    if (entry === undefined)
      throw new CorruptFileError(
        `${this.path} has no tensor '${name}' (it has ${this.entries.size}: ${[...this.entries.keys()].slice(0, 5).join(', ')}…)`,
      );
    return entry;
  }

  /** Reads bytes of a tensor from `offset` within it. */
  readInto(entry: SafetensorsEntry, offset: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.byteLength) {
      const count = readSync(this.file, into, done, into.byteLength - done, entry.offset + offset + done);
      if (count === 0) throw this.corrupt(`'${entry.name}' is cut off`);
      done += count;
    }
  }

  read(name: string): TensorLiteral {
    const entry = this.entry(name);
    const bytes = new Uint8Array(entry.byteLength);
    this.readInto(entry, 0, bytes);
    return new TensorLiteral(entry.dtype, entry.shape, bytes);
  }

  close(): void {
    closeSync(this.file);
  }

  private bytesAt(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.file, bytes, done, length - done, offset + done);
      if (count === 0) throw this.corrupt('it is cut off');
      done += count;
    }
    return bytes;
  }

  private corrupt(reason: string): CorruptFileError {
    return new CorruptFileError(`${this.path} is not a valid safetensors file: ${reason}`);
  }
}

function entryOf(name: string, description: unknown, dataStart: number): SafetensorsEntry | undefined {
  const { dtype: typeName, shape, data_offsets: offsets } = (description ?? {}) as Record<string, unknown>;
  const dtype = dtypeOf.get(String(typeName));
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (dtype === undefined || !Array.isArray(shape) || !shape.every(isWhole)) return undefined;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isWhole)) return undefined;
  const byteLength = offsets[1] - offsets[0];
  const expected = shape.reduce((product, size) => product * size, 1) * dtypes[dtype].bytes;
  return byteLength === expected
    ? { name, dtype, shape, offset: dataStart + offsets[0], byteLength }
    : undefined;
}

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** The bytes of a file's beginning; the tensors follow in the order given, without gaps. */
export function safetensorsHeader(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } };
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    header[name] = { dtype: typeNames[dtype], shape, data_offsets: [offset, offset + byteLength] };
    offset += byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  // Padded with spaces so that tensors begin at a multiple of eight.
  const padded = Buffer.alloc(8 + Math.ceil(text.byteLength / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.byteLength - 8));
  text.copy(padded, 8);
  return padded;
}

/** Writes tensors one after the other; `bytes` is asked for each in turn. Returns the size of the file. */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  bytes: (index: number) => Uint8Array | Promise<Uint8Array>,
  metadata?: Readonly<Record<string, string>>,
): Promise<number> {
  return writeAtomically(path, async (write) => {
    write(safetensorsHeader(tensors, metadata));
    for (let index = 0; index < tensors.length; index++) write(await bytes(index));
  });
}

/** Literals as one file in memory: what travels as a blob. */
export function encodeSafetensors(tensors: ReadonlyMap<string, TensorLiteral>): Uint8Array {
  const entries = [...tensors].map(([name, value]) => ({ name, value }));
  const header = safetensorsHeader(
    entries.map(({ name, value }) => ({
      name,
      dtype: value.dtype,
      shape: value.shape,
      byteLength: value.bytes.byteLength,
    })),
  );
  return Buffer.concat([header, ...entries.map(({ value }) => value.bytes)]);
}

/** Calls `fill` on a temporary file beside `path`, flushes it to disk and renames it. Leaves nothing when it fails. */
export async function writeAtomically(
  path: string,
  fill: (write: (bytes: Uint8Array) => void) => void | Promise<void>,
): Promise<number> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const file = openSync(temporary, 'wx');
  let size = 0;
  try {
    await fill((bytes) => {
      for (let done = 0; done < bytes.byteLength;)
        done += writeSync(file, bytes, done, bytes.byteLength - done);
      size += bytes.byteLength;
    });
    fsyncSync(file);
  } catch (error) {
    closeSync(file);
    rmSync(temporary, { force: true });
    throw error;
  }
  closeSync(file);
  renameSync(temporary, path);
  syncFolder(dirname(path));
  return size;
}

/** Makes a rename in the folder survive a crash of the machine, where the system can. */
export function syncFolder(folder: string): void {
  try {
    const handle = openSync(folder, 'r');
    fsyncSync(handle);
    closeSync(handle);
  } catch {
    // Windows does not open folders; the rename is as durable as the system makes it.
  }
}
