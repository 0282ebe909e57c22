// Where the bytes of an archive come from: a file, whose tensors are used where they lie, or memory.
import type { FilePart } from '@weft/devices';
import { hostDevice } from '../devices.ts';

/** Bytes that can be read in pieces. MappedFile is one. */
export interface ByteSource {
  readonly size: number;
  /** Bytes to look at; they may be the source's own. */
  read(offset: number, length: number): Uint8Array;
  /** Copies as many bytes as `into` has. */
  readInto(offset: number, into: Uint8Array): void;
  /** Bytes to keep and to change, which nobody else sees. */
  part(offset: number, length: number): FilePart;
  close(): void;
}

/** Bytes in memory. Tensors get copies, since the bytes are the caller's. */
export class MemorySource implements ByteSource {
  constructor(private readonly bytes: Uint8Array) {}
  get size(): number {
    return this.bytes.length;
  }
  read(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(offset, offset + length);
  }
  readInto(offset: number, into: Uint8Array): void {
    into.set(this.read(offset, into.length));
  }
  part(offset: number, length: number): FilePart {
    const device = hostDevice();
    const buffer = device.allocate(length);
    device.write(buffer, 0, this.read(offset, length));
    return { buffer, byteOffset: 0, byteLength: length };
  }
  close(): void {}
}
