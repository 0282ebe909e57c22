// The device itself: memory, what it claims, and a compiler from a core graph to a list of steps over Float32Arrays.
import type { BufferView, Cost, Device, DeviceBuffer, DeviceInfo, Executable } from '@weft/devices';
import type { Graph, Node, TensorSpec, Value } from '@weft/ir';
import type { Step } from './kernels.ts';
import { claims, stepOf } from './kernels.ts';

const specOf = (value: Value): TensorSpec => value.type as TensorSpec;
const elements = (spec: TensorSpec): number => spec.sizes.reduce((product, size) => product * size, 1);

/** Memory that the host sees too, so that weft copies to and from it without asking. */
class ExampleBuffer implements DeviceBuffer {
  readonly bytes: Uint8Array;
  constructor(
    readonly byteLength: number,
    private readonly release: () => void,
  ) {
    this.bytes = new Uint8Array(new SharedArrayBuffer(byteLength));
  }
  free(): void {
    this.release();
  }
}

export class ExampleDevice implements Device {
  readonly info: DeviceInfo;
  private used = 0;

  constructor(private readonly memory: number) {
    this.info = {
      type: 'example',
      index: 0,
      name: 'example plugin',
      memory,
      flops: 1e9,
      bandwidth: 1e10,
      dtypes: ['float32'],
    };
  }

  allocate(bytes: number): DeviceBuffer {
    if (this.used + bytes > this.memory) {
      throw new Error(`${bytes} bytes asked for, ${this.memory - this.used} of ${this.memory} left`);
    }
    this.used += bytes;
    let freed = false;
    return new ExampleBuffer(bytes, () => {
      if (!freed) this.used -= bytes;
      freed = true;
    });
  }
  write(to: DeviceBuffer, offset: number, from: Uint8Array): void {
    to.bytes!.set(from, offset);
  }
  read(from: DeviceBuffer, offset: number, to: Uint8Array): void {
    to.set(from.bytes!.subarray(offset, offset + to.byteLength));
  }
  /** Whatever is not claimed here runs on the next device in the user's order. */
  supports(node: Node): boolean {
    return claims(node);
  }
  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  compile(graph: Graph): Executable {
    // Every value gets a number; inputs and outputs are bound to buffers at each run, the others have arrays of their own.
    const numbers = new Map<Value, number>();
    const arrays: Float32Array[] = [];
    const own = (value: Value, array: Float32Array): number => {
      numbers.set(value, arrays.length);
      return arrays.push(array) - 1;
    };
    const inputs = graph.inputs.map((input) => own(input, new Float32Array(0)));
    const steps: Step[] = [];
    for (const node of graph.nodes()) {
      if (node.kind === 'core::constant') {
        own(node.output, constantOf(node));
        continue;
      }
      const operands = node.inputs.map((input) => numbers.get(input)!);
      const result = own(node.output, new Float32Array(elements(specOf(node.output))));
      // Throwing is fine: weft says which plugin and which node it was.
      steps.push(stepOf(node, operands, result));
    }
    const outputs = graph.outputs.map((output) => numbers.get(output)!);
    const memory = arrays.reduce((sum, array) => sum + array.byteLength, 0);
    return new ExampleExecutable(arrays, inputs, outputs, steps, memory);
  }
}

class ExampleExecutable implements Executable {
  readonly cost: Cost;
  constructor(
    private readonly arrays: Float32Array[],
    private readonly inputs: readonly number[],
    private readonly outputs: readonly number[],
    private readonly steps: readonly Step[],
    readonly memory: number,
  ) {
    this.cost = { flops: 0, bytes: memory };
  }

  run(inputs: readonly BufferView[], outputs: readonly BufferView[]): void {
    inputs.forEach((view, index) => (this.arrays[this.inputs[index]] = arrayOf(view)));
    for (const step of this.steps) step(this.arrays);
    outputs.forEach((view, index) => arrayOf(view).set(this.arrays[this.outputs[index]]));
  }
}

const arrayOf = ({ buffer, byteOffset, spec }: BufferView): Float32Array =>
  new Float32Array(buffer.bytes!.buffer, buffer.bytes!.byteOffset + byteOffset, elements(spec));

/** Constants come in every graph and need not be claimed. A splat literal holds one element for all positions. */
function constantOf(node: Node): Float32Array {
  const literal = node.get('t', 'value');
  const count = elements(specOf(node.output));
  const data = new Float32Array(literal.bytes.slice().buffer);
  return literal.splat ? new Float32Array(count).fill(data[0]) : data;
}
