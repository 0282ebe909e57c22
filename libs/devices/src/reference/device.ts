// The reference device: it evaluates every core operator in plain TypeScript on the calling thread. It is the oracle
// that other devices are compared with and the device that is always there.
import type { DType, Graph, Node } from '@weft/ir';
import { dtypeNames, dtypes, numel } from '@weft/ir';
import { totalmem } from 'node:os';
import type {
  BufferView,
  Cost,
  Device,
  DeviceBuffer,
  DeviceInfo,
  DeviceOptions,
  DevicePlugin,
  Executable,
} from '../device.ts';
import { DeviceError } from '../errors.ts';
import { MemoryAccount } from '../memory-account.ts';
import type { Program } from './compile.ts';
import { compileGraph } from './compile.ts';
import { emitters } from './families.ts';
import { elementwiseStep } from './elementwise.ts';
import { measureBandwidth, measureFlops } from './measure.ts';
import type { Registers } from './program.ts';
import { describeSpec, runKernels } from './program.ts';
import type { TypedArray } from './typed-array.ts';
import { viewOf } from './typed-array.ts';

/**
 * Host memory. An ArrayBuffer of its own: the garbage collector does not count shared ones, so a loop over eager tensors would
 * never be collected; memory that threads share is given to `run` as buffers of the caller's. Remembers its last view,
 * since a tensor is mostly read as one thing.
 */
class ReferenceBuffer implements DeviceBuffer {
  private memory: Uint8Array | undefined;
  private view: TypedArray | undefined;
  private viewKey = '';
  private viewOffset = -1;
  private viewCount = -1;

  constructor(
    private readonly account: MemoryAccount,
    readonly byteLength: number,
  ) {
    this.memory = new Uint8Array(byteLength);
  }

  get bytes(): Uint8Array {
    if (this.memory === undefined) {
      throw new DeviceError(
        `a buffer of ${this.byteLength} bytes of the reference device is used after it was freed`,
      );
    }
    return this.memory;
  }

  viewAs(dtype: DType, offset: number, count: number): TypedArray {
    if (offset === this.viewOffset && count === this.viewCount && dtype === this.viewKey) return this.view!;
    this.view = viewOf(dtype, this.bytes.buffer, offset, count);
    this.viewKey = dtype;
    this.viewOffset = offset;
    this.viewCount = count;
    return this.view;
  }

  free(): void {
    if (this.memory === undefined) return;
    this.memory = this.view = undefined;
    this.viewOffset = -1;
    this.account.release(this);
  }
}

/** Scratch memory of all programs of this thread: they run one at a time and keep nothing in it. */
const scratch = { memory: new ArrayBuffer(0) };
function scratchOf(bytes: number): ArrayBuffer {
  if (scratch.memory.byteLength < bytes) {
    scratch.memory = new ArrayBuffer(
      Math.max(bytes, Math.min(2 * scratch.memory.byteLength, bytes + (64 << 20))),
    );
  }
  return scratch.memory;
}

class ReferenceExecutable implements Executable {
  readonly memory: number;
  readonly cost: Cost;
  private readonly registers: Registers;
  private bound: ArrayBuffer | undefined;
  private readonly inputRegisters: number[] = [];
  private readonly outputRegisters: number[] = [];

  constructor(private readonly program: Program) {
    this.memory = program.scratch;
    this.cost = program.cost;
    this.registers = new Array<TypedArray>(program.registers.length);
    program.registers.forEach((plan, register) => {
      if (plan.kind === 'constant') this.registers[register] = plan.array;
      else if (plan.kind === 'input') this.inputRegisters[plan.index] = register;
      else if (plan.kind === 'output') this.outputRegisters[plan.index] = register;
    });
  }

  run(inputs: readonly BufferView[], outputs: readonly BufferView[]): void {
    const { registers } = this;
    const memory = scratchOf(this.memory);
    if (this.bound !== memory) this.bindScratch(memory);
    this.bind('input', inputs, this.inputRegisters, this.program.inputs);
    this.bind('output', outputs, this.outputRegisters, this.program.outputs);
    try {
      runKernels(this.program.kernels, registers);
    } finally {
      // Nothing of the caller's is kept alive.
      for (const register of this.inputRegisters) registers[register] = nothing;
      for (const register of this.outputRegisters) registers[register] = nothing;
    }
  }

  private bindScratch(memory: ArrayBuffer): void {
    this.program.registers.forEach((plan, register) => {
      if (plan.kind === 'scratch') {
        this.registers[register] = viewOf(plan.dtype, memory, plan.offset, plan.count);
      }
    });
    this.bound = memory;
  }

  private bind(
    what: 'input' | 'output',
    views: readonly BufferView[],
    registers: readonly number[],
    specs: Program['inputs'],
  ): void {
    if (views.length !== specs.length) {
      throw new DeviceError(`the program has ${specs.length} ${what}s, ${views.length} are given`);
    }
    for (let index = 0; index < views.length; index++) {
      const { buffer, byteOffset, spec } = views[index];
      const wanted = specs[index];
      if (spec !== wanted && (spec.dtype !== wanted.dtype || numel(spec.sizes) !== numel(wanted.sizes))) {
        throw new DeviceError(
          `${what} ${index} of the program is ${describeSpec(wanted)}, ${describeSpec(spec)} is given`,
        );
      }
      this.registers[registers[index]] = hostView(buffer, byteOffset, wanted.dtype, numel(wanted.sizes));
    }
  }
}

const nothing: TypedArray = new Float32Array(0);

function hostView(buffer: DeviceBuffer, byteOffset: number, dtype: DType, count: number): TypedArray {
  const needed = byteOffset + count * dtypes[dtype].bytes;
  if (needed > buffer.byteLength) {
    throw new DeviceError(
      `${count} elements of ${dtype} at byte ${byteOffset} reach beyond a buffer of ${buffer.byteLength} bytes`,
    );
  }
  if (buffer instanceof ReferenceBuffer) return buffer.viewAs(dtype, byteOffset, count);
  const { bytes } = buffer;
  if (bytes === undefined) {
    throw new DeviceError('the reference device runs on host memory only: copy the buffer to it first');
  }
  return viewOf(dtype, bytes.buffer, bytes.byteOffset + byteOffset, count);
}

class ReferenceDevice implements Device {
  readonly info: DeviceInfo;
  private readonly account: MemoryAccount;

  constructor(memory: number, isStrict: boolean) {
    this.account = new MemoryAccount('the reference device', memory, isStrict);
    this.info = {
      type: 'reference',
      index: 0,
      name: 'plain TypeScript',
      memory,
      get flops() {
        return measureFlops();
      },
      get bandwidth() {
        return measureBandwidth();
      },
      dtypes: dtypeNames,
    };
  }

  allocate(bytes: number): DeviceBuffer {
    return this.account.allocate(bytes, (size) => new ReferenceBuffer(this.account, size));
  }
  write(to: DeviceBuffer, offset: number, from: Uint8Array): void {
    hostBytes(to, offset, from.byteLength).set(from);
  }
  read(from: DeviceBuffer, offset: number, to: Uint8Array): void {
    to.set(hostBytes(from, offset, to.byteLength));
  }
  supports(node: Node): boolean {
    return (
      node.kind === 'core::composite' ||
      node.kind === 'core::constant' ||
      node.kind === 'core::reshape' ||
      node.kind === 'core::optimization_barrier' ||
      emitters.has(node.operator) ||
      elementwiseStep(node) !== undefined
    );
  }
  compile(graph: Graph): Executable {
    return new ReferenceExecutable(compileGraph(graph));
  }
  synchronize(): Promise<void> {
    return Promise.resolve();
  }
}

function hostBytes(buffer: DeviceBuffer, offset: number, length: number): Uint8Array {
  if (buffer.bytes === undefined) {
    throw new DeviceError('the buffer is not in host memory, and not of the reference device');
  }
  if (offset < 0 || offset + length > buffer.byteLength) {
    throw new DeviceError(
      `bytes ${offset} to ${offset + length} reach beyond a buffer of ${buffer.byteLength} bytes`,
    );
  }
  return buffer.bytes.subarray(offset, offset + length);
}

let shared: Device | undefined;
/** The reference device of this thread. */
export function referenceDevice(): Device {
  return (shared ??= new ReferenceDevice(totalmem(), false));
}

/** Setting `memory`: bytes that allocations may take in all; default: the machine's. */
export const referencePlugin: DevicePlugin = {
  type: 'reference',
  apiVersion: 1,
  open(options: DeviceOptions): Promise<Device[]> {
    const memory = options.settings?.memory;
    if (memory === undefined) return Promise.resolve([referenceDevice()]);
    const bytes = Number(memory);
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      return Promise.reject(
        new DeviceError(`device option memory=${memory}: a whole number of bytes is expected`),
      );
    }
    return Promise.resolve([new ReferenceDevice(bytes, true)]);
  },
};
