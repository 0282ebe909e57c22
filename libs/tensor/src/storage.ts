// Memory of tensors: a piece of a device buffer that views share, with the version counter that autograd checks. Small
// storages are cut from slabs, because a buffer of its own costs more than most small operators.
import type { Device, DeviceBuffer } from '@weft/devices';
import { DeviceError } from '@weft/devices';

const alignment = 16;
const slabBytes = 1 << 16;
const smallBytes = 1 << 11;

interface Slab {
  readonly device: Device;
  readonly buffer: DeviceBuffer;
  used: number;
}
const slabs = new WeakMap<Device, Slab>();
/** The one that was used last. */
let lastSlab: Slab | undefined;

export class Storage {
  /** Counts in-place changes; tensors that share the storage share the count. */
  version = 0;
  private writes = 0;
  private isShown = false;

  /** @param at where the storage starts in `memory`, a multiple of 16 */
  constructor(
    readonly device: Device,
    private memory: DeviceBuffer,
    private at: number,
    private length: number,
  ) {}

  /** Counts changes of what is in memory, those that autograd need not know of too; undefined where they cannot be counted. */
  get contents(): number | undefined {
    return this.isShown ? undefined : this.version + this.writes;
  }
  /** Has to be called where the memory is written to otherwise than by `write`, and `version` is not counted up. */
  changed(): void {
    this.writes++;
  }
  /** Has to be called where users get the memory itself, and may write to it at any time. */
  shown(): void {
    this.isShown = true;
  }

  get buffer(): DeviceBuffer {
    return this.memory;
  }
  get byteOffset(): number {
    return this.at;
  }
  get byteLength(): number {
    return this.length;
  }

  /** Makes room for `byteLength` bytes under all tensors on it. What is there stays. */
  grow(byteLength: number): void {
    if (byteLength <= this.length) return;
    const larger = Storage.allocate(this.device, byteLength);
    if (this.length > 0) larger.write(0, this.read(0, this.length));
    this.memory = larger.memory;
    this.at = larger.at;
    this.length = byteLength;
  }

  /**
   * New memory. Throws DeviceError naming the size.
   * @param isOverwritten whether all of it is written before a program sees it; else it holds zeros, or on a device that does not
   * promise them what that leaves in it
   */
  static allocate(device: Device, byteLength: number, isOverwritten = false): Storage {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new DeviceError(`a tensor of ${byteLength} bytes cannot be allocated`);
    }
    if (byteLength > smallBytes) {
      return new Storage(device, device.allocate(byteLength, isOverwritten), 0, byteLength);
    }
    const rounded = (byteLength + alignment - 1) & -alignment;
    let slab = lastSlab?.device === device ? lastSlab : slabs.get(device);
    if (slab === undefined || slab.used + rounded > slabBytes) {
      slab = { device, buffer: device.allocate(slabBytes), used: 0 };
      slabs.set(device, slab);
    }
    lastSlab = slab;
    const storage = new Storage(device, slab.buffer, slab.used, byteLength);
    slab.used += rounded;
    return storage;
  }

  /** The memory itself when the device shows it, else undefined. */
  get hostBytes(): Uint8Array | undefined {
    return this.buffer.bytes?.subarray(this.byteOffset, this.byteOffset + this.byteLength);
  }

  /** Bytes `from` … `from + length`: the memory itself on a host device, a copy from others. */
  read(from: number, length: number): Uint8Array {
    const bytes = this.buffer.bytes;
    if (bytes !== undefined) return bytes.subarray(this.byteOffset + from, this.byteOffset + from + length);
    const copy = new Uint8Array(length);
    if (this.device.read(this.buffer, this.byteOffset + from, copy) instanceof Promise) {
      throw new DeviceError(
        `device '${this.device.info.type}' can only be read asynchronously: await tensor.toHost() first`,
      );
    }
    return copy;
  }

  /** As `read`, always a copy, for devices that answer later too. */
  async readAsync(from: number, length: number): Promise<Uint8Array> {
    const copy = new Uint8Array(length);
    await this.device.read(this.buffer, this.byteOffset + from, copy);
    return copy;
  }

  write(at: number, from: Uint8Array): void {
    this.writes++;
    if (this.buffer.bytes !== undefined) this.buffer.bytes.set(from, this.byteOffset + at);
    else this.device.write(this.buffer, this.byteOffset + at, from);
  }
}
