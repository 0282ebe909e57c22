// Counts the memory of a host device where a limit is held to: what is allocated, what is freed, and what the garbage collector frees.
import type { DeviceBuffer } from './device.ts';
import { DeviceError } from './errors.ts';

export class MemoryAccount {
  used = 0;
  private readonly finalizers = new FinalizationRegistry<number>((bytes) => (this.used -= bytes));

  /**
   * @param owner names the device in errors: `the reference device`
   * @param isStrict whether `limit` is held to by counting. Memory that waits for the garbage collector counts too, and a loop that
   * never yields sees no finalisation; so without it the machine itself is the limit. Then nothing is counted: V8 frees what a
   * finaliser watches only when it collects the whole heap, and results of operators should go with the young ones.
   */
  constructor(
    private readonly owner: string,
    readonly limit: number,
    private readonly isStrict: boolean,
  ) {}

  /** Throws DeviceError naming the size asked for and what is left. */
  allocate<B extends DeviceBuffer>(bytes: number, make: (bytes: number) => B): B {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new DeviceError(`cannot allocate ${bytes} bytes: a size is a whole number of bytes`);
    }
    if (bytes > this.limit || (this.isStrict && this.used + bytes > this.limit)) throw this.exhausted(bytes);
    let buffer: B;
    try {
      buffer = make(bytes);
    } catch (cause) {
      throw this.exhausted(bytes, cause);
    }
    if (this.isStrict) {
      this.used += bytes;
      this.finalizers.register(buffer, bytes, buffer);
    }
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (!this.isStrict) return;
    this.used -= buffer.byteLength;
    this.finalizers.unregister(buffer);
  }

  private exhausted(bytes: number, cause?: unknown): DeviceError {
    const { limit, used, isStrict } = this;
    const left = isStrict ? `${Math.max(0, limit - used)} of ${limit} are left` : `${limit} are there in all`;
    return new DeviceError(
      `${this.owner} is out of memory: ${bytes} bytes were asked for, ${left}; free tensors, use smaller batches, or raise the device option 'memory'`,
      undefined,
      { cause },
    );
  }
}
