// Files as device memory: parts of a file that tensors use where they lie. They are mapped where the system can, so that
// opening a large file reads nothing and copies nothing; else each part is read when it is asked for.
import { constants } from 'node:buffer';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { DeviceBuffer } from './device.ts';
import { DeviceError } from './errors.ts';
import { mapFile, mappingAlignment } from './map-file.ts';

/** A part of a file in memory: `byteLength` bytes of the buffer from `byteOffset` on. */
export interface FilePart {
  readonly buffer: DeviceBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface MappedFileOptions {
  /**
   * Whether parts are mapped (default: those of files that are not small). A mapped file must not be made shorter while its
   * parts are in use: that ends the process. `false` reads instead.
   */
  readonly map?: boolean;
}

/** Smaller files are read: that is as fast, and nothing can happen to them afterwards. */
const smallFile = 1 << 20;
/** Parts are mapped in windows of this size, so that a file with thousands of tensors takes few mappings. */
const windowSize = 1 << 30;
/** What one read of the system can take. */
const largestRead = 1 << 30;

/** Memory with a file's contents. It changes for this process alone. */
class FileBuffer implements DeviceBuffer {
  private memory: Uint8Array | undefined;
  hostAddress: number | null | undefined = null;
  readonly byteLength: number;
  constructor(
    memory: Uint8Array,
    private readonly path: string,
  ) {
    this.memory = memory;
    this.byteLength = memory.byteLength;
  }
  get bytes(): Uint8Array {
    if (this.memory === undefined) throw new DeviceError(`memory of ${this.path} is used after it was freed`);
    return this.memory;
  }
  /** Views that were taken earlier stay valid: the memory itself goes when the last of them does. */
  free(): void {
    this.memory = this.hostAddress = undefined;
  }
}

interface Window {
  readonly start: number;
  readonly buffer: FileBuffer;
}

export class MappedFile {
  private readonly windows: Window[] = [];
  private descriptor: number | undefined;

  private constructor(
    readonly path: string,
    descriptor: number,
    /** Bytes of the file. */
    readonly size: number,
    private isMapped: boolean,
  ) {
    this.descriptor = descriptor;
  }

  /** Opens a file; close it when no more parts are needed. Throws what Node throws when it cannot be opened. */
  static open(path: string, { map }: MappedFileOptions = {}): MappedFile {
    const descriptor = openSync(path, 'r');
    try {
      const status = fstatSync(descriptor);
      if (!status.isFile()) throw new DeviceError(`${path} is no file`);
      return new MappedFile(path, descriptor, status.size, map ?? status.size >= smallFile);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Nothing can be asked for afterwards; the parts that were given stay. */
  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
    this.descriptor = undefined;
    this.windows.length = 0;
  }

  /** Bytes `offset` … `offset + length`, copied. Throws DeviceError when the file does not have them. */
  read(offset: number, length: number): Uint8Array {
    this.check(offset, length);
    const bytes = new Uint8Array(length);
    this.readInto(offset, bytes);
    return bytes;
  }

  /** Reads as many bytes as `into` has, from `offset` on. */
  readInto(offset: number, into: Uint8Array): void {
    const { length } = into;
    const descriptor = this.check(offset, length);
    for (let at = 0; at < length;) {
      const count = readSync(descriptor, into, at, Math.min(length - at, largestRead), offset + at);
      if (count === 0) throw new DeviceError(`${this.path} became shorter while it was read`);
      at += count;
    }
  }

  /** Those bytes as memory of a device. Changing it changes nothing in the file and nothing for others who opened it. */
  part(offset: number, length: number): FilePart {
    const descriptor = this.check(offset, length);
    const end = offset + length;
    const known = this.windows.find(
      ({ start, buffer }) => start <= offset && end <= start + buffer.byteLength,
    );
    if (known !== undefined) {
      return { buffer: known.buffer, byteOffset: offset - known.start, byteLength: length };
    }
    const start = offset - (offset % mappingAlignment);
    const extent = Math.max(end - start, Math.min(windowSize, this.size - start));
    if (this.isMapped && length > 0 && extent <= constants.MAX_LENGTH) {
      const memory = mapFile({ path: this.path, descriptor }, start, extent);
      if (memory !== undefined) {
        const buffer = new FileBuffer(memory, this.path);
        this.windows.push({ start, buffer });
        return { buffer, byteOffset: offset - start, byteLength: length };
      }
      // What cannot be mapped once will not be the next time either.
      this.isMapped = false;
    }
    return {
      buffer: new FileBuffer(this.read(offset, length), this.path),
      byteOffset: 0,
      byteLength: length,
    };
  }

  private check(offset: number, length: number): number {
    if (this.descriptor === undefined) throw new DeviceError(`${this.path} was closed`);
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      throw new DeviceError(`${this.path}: no part begins at byte ${offset} and has ${length} bytes`);
    }
    if (offset + length > this.size) {
      throw new DeviceError(
        `${this.path} has ${this.size} bytes; bytes ${offset} to ${offset + length} are asked for`,
      );
    }
    if (length > constants.MAX_LENGTH) {
      throw new DeviceError(
        `${this.path}: a part of ${length} bytes is larger than memory can be here (${constants.MAX_LENGTH} bytes)`,
      );
    }
    return this.descriptor;
  }
}
