// A compiled program that can be run: its native steps loaded into the library, its slots bound to memory. A program that is native
// throughout is one call; otherwise kernels run in turn, native stretches and those of the reference device.
import type { TensorSpec } from '@weft/ir';
import { dtypes, numel } from '@weft/ir';
import type { BufferView, Cost, DeviceBuffer, Executable, InPlace } from '../device.ts';
import { DeviceError } from '../errors.ts';
import type { Registers } from '../reference/program.ts';
import { describeSpec, runKernels } from '../reference/program.ts';
import type { KernelRecorder } from '../kernel-profile.ts';
import { activeRecorder } from '../kernel-profile.ts';
import type { TypedArray } from '../reference/typed-array.ts';
import { viewOf } from '../reference/typed-array.ts';
import type { CpuProgram } from './compile.ts';
import type { Address, NativeLibrary } from './library.ts';
import type { Arena } from './memory.ts';
import { addressIn, alignedBytes, arrayIn } from './memory.ts';
import { packWords } from './step.ts';

/** Native programs go with the executables that own them. */
const programs = new FinalizationRegistry<{ library: NativeLibrary; program: Address }>(
  ({ library, program }) => library.destroy(program),
);

const nothing: TypedArray = new Float32Array(0);
/** Bytes of a constant that is put beside the others. */
const largestMoved = 1 << 12;

export class CpuExecutable implements Executable {
  readonly memory: number;
  readonly cost: Cost;
  readonly inPlace: readonly InPlace[];
  /** Without what it was loaded from, and the graph. */
  private readonly program: Omit<CpuProgram, 'steps' | 'onHost'>;
  private readonly handle: Address;
  /** Addresses by slot, which the native program reads: inputs and outputs at every run, the others when told. */
  private readonly bindings: Float64Array;
  /** Arrays by slot, for kernels of the reference device. */
  private readonly registers: Registers;
  private readonly sizes: readonly number[];
  /** The specs of inputs and outputs that were found to fit last. */
  private readonly accepted: TensorSpec[];
  private boundTo: Uint8Array | undefined;
  /** What the stamps of the program stand for: buffers are not kept alive, and never confused with later ones in their place. */
  private readonly stamped: {
    readonly buffer: WeakRef<DeviceBuffer>;
    readonly byteOffset: number;
    readonly version: number | undefined;
  }[] = [];
  private stamp = 0;

  constructor(
    private readonly library: NativeLibrary,
    private readonly arena: Arena,
    { steps, onHost: _, ...program }: CpuProgram,
  ) {
    this.program = program;
    this.memory = program.scratch;
    this.cost = program.cost;
    this.inPlace = program.inPlace;
    const { slots } = program;
    this.bindings = new Float64Array(new ArrayBuffer(Math.max(8, slots.length * 8)));
    this.registers = new Array<TypedArray>(slots.length).fill(nothing);
    this.accepted = [...program.inputs, ...program.outputs];
    this.sizes = this.accepted.map(byteLengthOf);
    this.placeConstants();
    const words = packWords(steps);
    const dynamic = program.inputs.length + program.outputs.length;
    this.handle = library.create(
      new Uint8Array(words.buffer),
      words.length,
      library.addressOf(this.bindings.buffer),
      slots.length,
      dynamic,
    );
    if (this.handle === 0) throw new DeviceError(`the cpu device cannot load a program: ${library.error()}`);
    programs.register(this, { library, program: this.handle });
    program.link.run = (from, to) => this.check(library.run(this.handle, from, to));
  }

  run(inputs: readonly BufferView[], outputs: readonly BufferView[]): void {
    const { program, arena } = this;
    if (arena.bytes.byteLength < this.memory) arena.reserve(this.memory);
    if (this.boundTo !== arena.bytes) this.bindArena();
    this.bind('input', inputs, program.inputs, 0);
    this.bind('output', outputs, program.outputs, program.inputs.length);
    if (program.stamps.length > 0) this.stampInputs(inputs);
    const recorder = activeRecorder();
    if (program.kernels === undefined && recorder === undefined) {
      this.check(this.library.runAll(this.handle));
      return;
    }
    this.bindArrays(inputs, 0);
    this.bindArrays(outputs, inputs.length);
    try {
      if (recorder !== undefined) this.runRecorded(recorder);
      else runKernels(program.kernels!, this.registers);
    } finally {
      // Nothing of the caller's is kept alive.
      this.registers.fill(nothing, 0, inputs.length + outputs.length);
    }
  }

  private runRecorded(recorder: KernelRecorder): void {
    for (const part of this.program.parts) {
      const start = performance.now();
      if ('step' in part) this.check(this.library.run(this.handle, part.step, part.step + 1));
      else part.kernel(this.registers);
      recorder.add({ device: 'cpu', kernel: part.info, start, duration: performance.now() - start });
    }
  }

  private check(failed: number): void {
    if (failed !== 0) throw new DeviceError(`the cpu device failed: ${this.library.error()}`);
  }

  private bind(
    what: 'input' | 'output',
    views: readonly BufferView[],
    specs: readonly TensorSpec[],
    first: number,
  ): void {
    if (views.length !== specs.length) {
      throw new DeviceError(`the program has ${specs.length} ${what}s, ${views.length} are given`);
    }
    const { bindings, library, sizes, accepted } = this;
    for (let index = 0; index < views.length; index++) {
      const { buffer, byteOffset, spec } = views[index];
      if (spec !== accepted[first + index]) {
        const wanted = specs[index];
        if (spec.dtype !== wanted.dtype || numel(spec.sizes) !== numel(wanted.sizes)) {
          throw new DeviceError(
            `${what} ${index} of the program is ${describeSpec(wanted)}, ${describeSpec(spec)} is given`,
          );
        }
        accepted[first + index] = spec;
      }
      bindings[first + index] = addressIn(library, buffer, byteOffset, sizes[first + index]);
    }
  }

  /** Gives inputs that may have changed since the last run new numbers. */
  private stampInputs(inputs: readonly BufferView[]): void {
    let isNew = false;
    const { stamps } = this.program;
    for (let index = 0; index < stamps.length; index++) {
      const { input, slot } = stamps[index];
      const { buffer, byteOffset, version } = inputs[input];
      const last = this.stamped[index];
      if (
        last !== undefined &&
        version !== undefined &&
        last.version === version &&
        last.byteOffset === byteOffset &&
        last.buffer.deref() === buffer
      )
        continue;
      this.stamped[index] = { buffer: new WeakRef(buffer), byteOffset, version };
      this.bindings[slot] = ++this.stamp;
      isNew = true;
    }
    if (isNew) this.library.bind(this.handle);
  }

  private bindArrays(views: readonly BufferView[], first: number): void {
    views.forEach(({ buffer, byteOffset }, index) => {
      const plan = this.program.slots[first + index];
      if (plan.kind !== 'input' && plan.kind !== 'output') return;
      this.registers[first + index] = arrayIn(buffer, byteOffset, plan.dtype, plan.count);
    });
  }

  private bindArena(): void {
    const { bytes, address } = this.arena;
    this.program.slots.forEach((plan, slot) => {
      if (plan.kind !== 'scratch') return;
      this.bindings[slot] = address + plan.offset;
      if (this.program.kernels === undefined) return;
      this.registers[slot] = viewOf(plan.dtype, bytes.buffer, bytes.byteOffset + plan.offset, plan.count);
    });
    this.library.bind(this.handle);
    this.boundTo = bytes;
  }

  /** Small constants stand in one piece of memory, large ones (weights of frozen modules) where they are. */
  private placeConstants(): void {
    const { library } = this;
    const small: { readonly slot: number; readonly array: TypedArray; readonly offset: number }[] = [];
    let size = 0;
    this.program.slots.forEach((plan, slot) => {
      if (plan.kind !== 'constant') return;
      const { array } = plan;
      this.registers[slot] = array;
      if (array.byteLength > largestMoved) {
        this.bindings[slot] = library.addressOf(array.buffer) + array.byteOffset;
        return;
      }
      small.push({ slot, array, offset: size });
      size += Math.ceil(array.byteLength / 64) * 64;
    });
    if (size === 0) return;
    const { bytes, address } = alignedBytes(library, size);
    this.constants = bytes;
    for (const { slot, array, offset } of small) {
      bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset);
      this.bindings[slot] = address + offset;
    }
  }
  /** Held for as long as the program. */
  private constants: Uint8Array | undefined;
}

const byteLengthOf = (spec: TensorSpec): number => numel(spec.sizes) * dtypes[spec.dtype].bytes;
