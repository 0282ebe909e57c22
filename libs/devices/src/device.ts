// The plugin interface: all that a device must implement. Small on purpose, after PJRT and ExecuTorch's backends. A
// device runs pure core graphs over buffers that it owns; it knows nothing of modules, autograd or clusters.
import type { DType, Graph, Node, TensorSpec } from '@weft/ir';

export interface DevicePlugin {
  /** Names the device in programs and on command lines: `cpu`, `webgpu`. */
  readonly type: string;
  readonly apiVersion: 1;
  /** Opens the devices of this type that are there; throws DeviceError with the reason when none can be. */
  open(options: DeviceOptions): Promise<Device[]>;
}

export interface DeviceOptions {
  /** Threads a device may use for itself; default: its own choice. */
  readonly threads?: number;
  /** Plugin-specific settings, from `--device-option name=value`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface DeviceInfo {
  readonly type: string;
  readonly index: number;
  readonly name: string;
  /** Bytes that allocations may take in all. */
  readonly memory: number;
  /** Measured: floating-point operations a second on a large float32 product. */
  readonly flops: number;
  /** Measured: bytes a second of a large copy. */
  readonly bandwidth: number;
  readonly dtypes: readonly DType[];
}

/**
 * Memory of a device. Host devices show it as `bytes`, and run on any buffer that has them: threads share weights by
 * giving buffers over a SharedArrayBuffer.
 */
export interface DeviceBuffer {
  readonly byteLength: number;
  readonly bytes?: Uint8Array;
  /** A place for the address of `bytes`, for devices that run there: null until one of them sets it, undefined once freed. */
  hostAddress?: number | null;
  /** Frees the memory now; otherwise it goes when the buffer is finalised. Using it afterwards is an error. */
  free(): void;
}

/** A row-major tensor in a buffer. */
export interface BufferView {
  readonly buffer: DeviceBuffer;
  /** A multiple of the element size. */
  readonly byteOffset: number;
  readonly spec: TensorSpec;
  /**
   * Counts changes of what is in this place of the buffer: what a device makes of an input (packed weights) may be kept for as long as
   * buffer, place and version stay. Absent: the contents may be others at every run.
   */
  readonly version?: number;
}

export interface CompileOptions {
  /** Inputs (by index) whose contents never change, such as weights: may be packed once. */
  readonly constantInputs?: readonly number[];
  /**
   * Results that the caller would like written over an operand of the same type (parameters over their old values), as XLA's
   * input-output aliases. A device takes the pairs that it can, and says which in `Executable.inPlace`.
   */
  readonly inPlace?: readonly InPlace[];
  /** Whether the graph is the device's from now on, which may change it; default: it stays as it is. */
  readonly isGivenUp?: boolean;
}

/** An output of a graph whose memory may be that of an input. */
export interface InPlace {
  readonly input: number;
  readonly output: number;
}

export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}

export interface Device {
  readonly info: DeviceInfo;
  /**
   * Throws DeviceError naming the size asked for and what is left.
   * @param isOverwritten whether the caller writes all of it before anybody reads: only then may a device leave in it what was
   * there before. Default: no
   */
  allocate(bytes: number, isOverwritten?: boolean): DeviceBuffer;
  write(to: DeviceBuffer, offset: number, from: Uint8Array): void;
  read(from: DeviceBuffer, offset: number, to: Uint8Array): void | Promise<void>;
  /** Whether `compile` accepts this node: a core operator, or a composite by its name. */
  supports(node: Node): boolean;
  /** Throws UnsupportedError naming the node. The graph is not kept and not changed. */
  compile(graph: Graph, options: CompileOptions): Executable;
  synchronize(): Promise<void>;
}

export interface Executable {
  /**
   * Reads `inputs`, writes `outputs` (one view a graph input and output). They do not overlap, except that the views of a pair
   * in `inPlace` may be the same. May return early; the views themselves are the caller's again then, who may change them.
   */
  run(inputs: readonly BufferView[], outputs: readonly BufferView[]): void;
  /** Those of the pairs asked for whose output may be given the memory of its input; none when absent. */
  readonly inPlace?: readonly InPlace[];
  /** Bytes of temporary memory a run takes. */
  readonly memory: number;
  readonly cost: Cost;
}
