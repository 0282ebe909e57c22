// The cpu device: core graphs as native programs on the processor's vector units and cores. It runs whatever the reference device
// runs; nodes without a native kernel use the reference kernels on the same memory.
import type { Graph, Node } from '@weft/ir';
import { dtypeNames } from '@weft/ir';
import { totalmem } from 'node:os';
import type {
  CompileOptions,
  Device,
  DeviceBuffer,
  DeviceInfo,
  DeviceOptions,
  DevicePlugin,
  Executable,
} from '../device.ts';
import { DeviceError } from '../errors.ts';
import { MemoryAccount } from '../memory-account.ts';
import { referenceDevice } from '../reference/device.ts';
import { describeNode } from '../reference/program.ts';
import type { BlockPolicy } from './blocked/rewrite.ts';
import { blockPolicies } from './blocked/rewrite.ts';
import { compileForCpu } from './compile.ts';
import { CpuExecutable } from './executable.ts';
import type { NativeLibrary } from './library.ts';
import { nativeLibrary } from './library.ts';
import { measureBandwidth, measureFlops } from './measure.ts';
import { Arena, CpuBuffer, hostBytes } from './memory.ts';

export class CpuDevice implements Device {
  readonly info: DeviceInfo;
  private readonly account: MemoryAccount;
  private readonly arena: Arena;

  constructor(
    private readonly library: NativeLibrary,
    memory: number,
    isStrict: boolean,
    private readonly blocks: BlockPolicy = 'auto',
  ) {
    this.account = new MemoryAccount('the cpu device', memory, isStrict);
    this.arena = new Arena(library);
    this.info = {
      type: 'cpu',
      index: 0,
      name: `native kernels (${library.instructionSet}, ${library.threads(0)} threads)`,
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

  allocate(bytes: number, isOverwritten = false): DeviceBuffer {
    return this.account.allocate(
      bytes,
      (size) => new CpuBuffer(this.library, this.account, size, isOverwritten),
    );
  }
  write(to: DeviceBuffer, offset: number, from: Uint8Array): void {
    rangeOf(to, offset, from.byteLength).set(from);
  }
  read(from: DeviceBuffer, offset: number, to: Uint8Array): void {
    to.set(rangeOf(from, offset, to.byteLength));
  }
  supports(node: Node): boolean {
    return referenceDevice().supports(node);
  }
  compile(graph: Graph, options: CompileOptions): Executable {
    return new CpuExecutable(
      this.library,
      this.arena,
      compileForCpu(graph, this.library, options, this.blocks),
    );
  }
  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  /** The nodes of a graph that have no native kernel, as error messages name them. */
  explain(graph: Graph): string[] {
    return compileForCpu(graph, this.library, {}, this.blocks).onHost.map(describeNode);
  }
}

function rangeOf(buffer: DeviceBuffer, offset: number, length: number): Uint8Array {
  if (offset < 0 || offset + length > buffer.byteLength) {
    throw new DeviceError(
      `bytes ${offset} to ${offset + length} reach beyond a buffer of ${buffer.byteLength} bytes`,
    );
  }
  return hostBytes(buffer).subarray(offset, offset + length);
}

/** The reference device under this type, where there is no native library. */
function withoutLibrary(reason: string): Device {
  const device = referenceDevice();
  const info = { type: 'cpu', name: `reference kernels: ${reason}` };
  return {
    info: Object.create(device.info, {
      type: { value: info.type, enumerable: true },
      name: { value: info.name, enumerable: true },
    }) as DeviceInfo,
    allocate: (bytes) => device.allocate(bytes),
    write: (to, offset, from) => device.write(to, offset, from),
    read: (from, offset, to) => device.read(from, offset, to),
    supports: (node) => device.supports(node),
    compile: (graph, options) => device.compile(graph, options),
    synchronize: () => device.synchronize(),
  };
}

let warned = false;
let shared: Device | undefined;

/** The cpu device of this thread. Warns once when it has to run on the reference kernels. */
export function cpuDevice(): Device {
  return (shared ??= openCpu({}));
}

function openCpu({ threads, settings = {} }: DeviceOptions): Device {
  const { memory, isa } = settings;
  const blocks = policyOf(settings.blocks ?? process.env.WEFT_CPU_BLOCKS);
  const found = nativeLibrary(isa);
  if ('reason' in found) {
    if (!warned && found.reason !== 'WEFT_CPU_ISA=none') {
      warned = true;
      process.emitWarning(`the cpu device runs on the reference kernels: ${found.reason}`, 'WeftWarning');
    }
    return withoutLibrary(found.reason);
  }
  const { library } = found;
  const wanted = threads ?? threadsOfEnvironment();
  if (wanted !== undefined) library.threads(wanted);
  const bytes = memory === undefined ? totalmem() : Number(memory);
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new DeviceError(`device option memory=${memory}: a whole number of bytes is expected`);
  }
  return new CpuDevice(library, bytes, memory !== undefined, blocks);
}

function policyOf(text = ''): BlockPolicy {
  if (text === '') return 'auto';
  const policy = blockPolicies.find((each) => each === text);
  if (policy === undefined)
    throw new DeviceError(`blocks=${text}: one of ${blockPolicies.join(', ')} is expected`);
  return policy;
}

function threadsOfEnvironment(): number | undefined {
  const text = process.env.WEFT_CPU_THREADS;
  if (text === undefined || text === '') return undefined;
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1) {
    throw new DeviceError(`WEFT_CPU_THREADS=${text}: a whole number of threads, 1 or more, is expected`);
  }
  return threads;
}

/**
 * Option `threads` (or WEFT_CPU_THREADS): how many threads the process's kernels share. Settings: `memory`, bytes that
 * allocations may take in all (default: the machine's); `isa` (or WEFT_CPU_ISA), the instruction set, or `none` for the reference
 * kernels; `blocks` (or WEFT_CPU_BLOCKS), whether convolutions and what is around them compute on blocked channels: `auto` where that is
 * estimated to be faster, `off` nowhere, `all` wherever there are kernels.
 */
export const cpuPlugin: DevicePlugin = {
  type: 'cpu',
  apiVersion: 1,
  open(options: DeviceOptions): Promise<Device[]> {
    try {
      const isPlain = options.threads === undefined && options.settings === undefined;
      return Promise.resolve([isPlain ? cpuDevice() : openCpu(options)]);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  },
};
