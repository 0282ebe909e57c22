// Memory of the cpu device: buffers aligned to cache lines with known addresses, and the arena that the programs of a thread
// share. Buffers of anybody else that show `bytes` are run on where they are.
import { Buffer, constants } from 'node:buffer';
import type { DType } from '@weft/ir';
import { dtypes } from '@weft/ir';
import type { DeviceBuffer } from '../device.ts';
import { DeviceError } from '../errors.ts';
import type { MemoryAccount } from '../memory-account.ts';
import type { TypedArray } from '../reference/typed-array.ts';
import { viewOf } from '../reference/typed-array.ts';
import type { Address, NativeLibrary } from './library.ts';

const alignment = 64;
/** Memory from this size on is worth large pages. */
const fewLargePages = 4 << 20;

/**
 * Bytes that begin at a multiple of 64.
 * @param isOverwritten whether what is in them may be anything, since all of it is written before anybody reads: then nothing is
 * filled, and the C library gives memory that was in use before, whose pages are there
 */
export function alignedBytes(
  library: NativeLibrary,
  byteLength: number,
  isOverwritten = false,
): { readonly bytes: Uint8Array; readonly address: Address } {
  const whole = byteLength + alignment;
  if (!isOverwritten || whole > constants.MAX_LENGTH)
    return alignedIn(library, new ArrayBuffer(whole), byteLength);
  const given = Buffer.allocUnsafeSlow(whole);
  const aligned = alignedIn(library, given.buffer, byteLength);
  // What surrounds the bytes can be seen through their buffer.
  const { byteOffset } = aligned.bytes;
  given.fill(0, 0, byteOffset).fill(0, byteOffset + byteLength);
  return aligned;
}

function alignedIn(
  library: NativeLibrary,
  memory: ArrayBuffer,
  byteLength: number,
): { readonly bytes: Uint8Array; readonly address: Address } {
  const start = library.addressOf(memory);
  if (byteLength >= fewLargePages) library.largePages(start, byteLength);
  const skipped = (alignment - (start % alignment)) % alignment;
  return { bytes: new Uint8Array(memory, skipped, byteLength), address: start + skipped };
}

export class CpuBuffer implements DeviceBuffer {
  private memory: Uint8Array | undefined;
  private at: Address;

  constructor(
    library: NativeLibrary,
    private readonly account: MemoryAccount,
    readonly byteLength: number,
    isOverwritten: boolean,
  ) {
    const { bytes, address } = alignedBytes(library, byteLength, isOverwritten);
    this.memory = bytes;
    this.at = address;
  }

  get bytes(): Uint8Array {
    if (this.memory === undefined) throw this.gone();
    return this.memory;
  }
  get address(): Address {
    if (this.memory === undefined) throw this.gone();
    return this.at;
  }

  free(): void {
    if (this.memory === undefined) return;
    this.memory = undefined;
    this.account.release(this);
  }

  private gone(): DeviceError {
    return new DeviceError(
      `a buffer of ${this.byteLength} bytes of the cpu device is used after it was freed`,
    );
  }
}

const addresses = new WeakMap<ArrayBufferLike, Address>();

/** Where `count` elements at `byteOffset` of a buffer are. Throws DeviceError when they are not all there, or not in host memory. */
export function addressIn(
  library: NativeLibrary,
  buffer: DeviceBuffer,
  byteOffset: number,
  byteLength: number,
): Address {
  if (byteOffset + byteLength > buffer.byteLength) {
    throw new DeviceError(
      `${byteLength} bytes at byte ${byteOffset} reach beyond a buffer of ${buffer.byteLength} bytes`,
    );
  }
  if (buffer instanceof CpuBuffer) return buffer.address + byteOffset;
  const { hostAddress } = buffer;
  if (typeof hostAddress === 'number') return hostAddress + byteOffset;
  const bytes = hostBytes(buffer);
  let start = addresses.get(bytes.buffer);
  if (start === undefined) addresses.set(bytes.buffer, (start = library.addressOf(bytes.buffer)));
  const address = start + bytes.byteOffset;
  if (hostAddress === null) buffer.hostAddress = address;
  return address + byteOffset;
}

/** The bytes of a buffer in host memory. */
export function hostBytes(buffer: DeviceBuffer): Uint8Array {
  const { bytes } = buffer;
  if (bytes === undefined) {
    throw new DeviceError('the cpu device runs on host memory only: copy the buffer to it first');
  }
  return bytes;
}

/** The elements of a view, for kernels of the reference device. */
export function arrayIn(buffer: DeviceBuffer, byteOffset: number, dtype: DType, count: number): TypedArray {
  const bytes = hostBytes(buffer);
  const start = bytes.byteOffset + byteOffset;
  if (start % Math.min(dtypes[dtype].bytes, 8) === 0) return viewOf(dtype, bytes.buffer, start, count);
  throw new DeviceError(
    `a ${dtype} tensor begins at byte ${start}, which is no multiple of its element size`,
  );
}

/** Temporaries of all programs of this thread: they run one at a time and keep nothing in it. */
export class Arena {
  bytes: Uint8Array;
  address: Address;

  constructor(private readonly library: NativeLibrary) {
    ({ bytes: this.bytes, address: this.address } = alignedBytes(library, 0));
  }

  /** Makes room for `bytes`; the memory is another one when it has to grow. */
  reserve(bytes: number): void {
    if (this.bytes.byteLength >= bytes) return;
    const size = Math.max(bytes, Math.min(2 * this.bytes.byteLength, bytes + (64 << 20)));
    ({ bytes: this.bytes, address: this.address } = alignedBytes(this.library, size, true));
  }
}
