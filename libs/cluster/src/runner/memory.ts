// Values of a running program: reference-counted views of device buffers, and a pool that keeps buffers for the next step,
// whose values have the same sizes. Memory held is bounded by the peak of a step.
import type { TensorSpec } from '@weft/ir';
import { InternalError } from '@weft/ir';
import type { BufferView, Device, DeviceBuffer } from '@weft/devices';
import { bytesOfSpec } from '../plan/memory.ts';

export class BufferPool {
  private readonly idle = new Map<number, DeviceBuffer[]>();

  constructor(private readonly device: Device) {}

  take(bytes: number): DeviceBuffer {
    return this.idle.get(bytes)?.pop() ?? this.device.allocate(bytes);
  }

  give(buffer: DeviceBuffer): void {
    const same = this.idle.get(buffer.byteLength);
    if (same === undefined) this.idle.set(buffer.byteLength, [buffer]);
    else same.push(buffer);
  }

  /** Gives all idle memory back to the device. */
  drain(): void {
    for (const buffers of this.idle.values()) for (const buffer of buffers) buffer.free();
    this.idle.clear();
  }
}

/** A tensor in device memory. Whoever holds it counts; the last to let go returns the buffer to the pool. */
export class HeldValue {
  readonly view: BufferView;
  private holders = 1;

  constructor(
    private readonly device: Device,
    private readonly pool: BufferPool,
    readonly spec: TensorSpec,
  ) {
    this.view = { buffer: pool.take(bytesOfSpec(spec)), byteOffset: 0, spec };
  }

  retain(): this {
    this.holders++;
    return this;
  }

  release(): void {
    if (--this.holders === 0) this.pool.give(this.view.buffer);
    if (this.holders < 0) throw new InternalError('a value of a program is released twice');
  }

  write(bytes: Uint8Array): void {
    this.device.write(this.view.buffer, 0, bytes);
  }

  /** The value's bytes in shared memory: the buffer itself on host devices, a copy on others. Runs must be over. */
  async bytes(): Promise<Uint8Array> {
    const size = bytesOfSpec(this.spec);
    if (this.view.buffer.bytes !== undefined) return this.view.buffer.bytes.subarray(0, size);
    const copy = new Uint8Array(new SharedArrayBuffer(size));
    await this.device.read(this.view.buffer, 0, copy);
    return copy;
  }

  /** Lets `fill` write the value's bytes: in place on host devices, through a copy on others. */
  async fill(fill: (into: Uint8Array) => Promise<void>): Promise<void> {
    const size = bytesOfSpec(this.spec);
    const own = this.view.buffer.bytes;
    const into = own === undefined ? new Uint8Array(new SharedArrayBuffer(size)) : own.subarray(0, size);
    await fill(into);
    if (own === undefined) this.device.write(this.view.buffer, 0, into);
  }
}
