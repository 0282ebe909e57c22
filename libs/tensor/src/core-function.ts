// A core graph made ready to run on eager tensors: dead code removed, outputs that are inputs or repeat one another told
// apart, executables compiled for each device and operand layout. Knows nothing of autograd.
import type { BufferView, Device, Executable } from '@weft/devices';
import type { Graph, RandomRequest, TensorSpec, Value } from '@weft/ir';
import { CoreBuilder, dtypes, removeDeadCode, specOf, tensorSpec } from '@weft/ir';
import type { OperandLayout } from './layout.ts';
import { operandLayout } from './layout.ts';
import { Tensor } from './tensor.ts';
import { gatherStrided } from './strided-copy.ts';

/** Where an output of the graph comes from: an operand as it is, or a computed value. */
export type OutputSource =
  | { readonly kind: 'operand'; readonly index: number }
  | { readonly kind: 'computed'; readonly index: number };

export interface CoreFunctionOptions {
  /** Improves the graphs that are compiled: this one, and those of its derivative. Signatures stay. */
  readonly optimize?: (graph: Graph) => void;
}

export class CoreFunction {
  /** Specs of the operands, then of the random inputs. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly OutputSource[];
  readonly outputSpecs: readonly TensorSpec[];
  private readonly computed: readonly TensorSpec[];
  private readonly distinct: readonly Value[];
  private compiled: Graph | undefined;
  private readonly executables = new Map<string, Executable>();
  private lastDevice: Device | undefined;
  private lastExecutable: Executable | undefined;

  /**
   * @param graph given up to this object
   * @param requests what the trailing inputs of the graph are filled with, drawn anew for each call
   */
  constructor(
    readonly graph: Graph,
    readonly requests: readonly RandomRequest[] = [],
    readonly options: CoreFunctionOptions = {},
  ) {
    removeDeadCode(graph);
    this.inputs = graph.inputs.map(specOf);
    this.outputSpecs = graph.outputs.map(specOf);
    const distinct: Value[] = [];
    this.outputs = graph.outputs.map((value) => {
      if (value.isParameter) return { kind: 'operand', index: graph.inputs.indexOf(value) };
      const known = distinct.indexOf(value);
      return { kind: 'computed', index: known >= 0 ? known : distinct.push(value) - 1 };
    });
    this.computed = distinct.map(specOf);
    this.distinct = distinct;
  }

  /** The graph that is compiled: with each computed output once, optimised. */
  private get body(): Graph {
    if (this.compiled !== undefined) return this.compiled;
    const { graph, distinct, options } = this;
    const hasOthers = distinct.length !== graph.outputs.length;
    if (!hasOthers && options.optimize === undefined) return (this.compiled = graph);
    const body = graph.clone();
    const kept = distinct.map((value) => body.outputs[graph.outputs.indexOf(value)]);
    while (body.outputs.length > 0) body.block.removeOutput(body.outputs.length - 1);
    kept.forEach((value) => body.addOutput(value));
    options.optimize?.(body);
    return (this.compiled = body);
  }

  get operandCount(): number {
    return this.inputs.length - this.requests.length;
  }

  /** Computes the computed outputs on `device`. `operands` has one row-major or strided tensor an input. */
  run(operands: readonly Tensor[], device: Device): Tensor[] {
    if (this.computed.length === 0) return [];
    const views = new Array<BufferView>(operands.length);
    let layouts: (OperandLayout | undefined)[] | undefined;
    for (let index = 0; index < operands.length; index++) {
      let operand = operands[index];
      let spec = this.inputs[index];
      if (operand.storage.device !== device) operand = copyToDevice(operand, device);
      if (!operand.isRowMajor) {
        const layout = operandLayout(operand.sizes, operand.strides);
        if (layout === null) operand = copyToDevice(operand, device);
        else {
          (layouts ??= [])[index] = layout;
          spec = tensorSpec(spec.dtype, layout.sizes);
        }
      }
      views[index] = bufferView(operand, spec);
    }
    const executable = this.executable(device, layouts);
    const results = this.computed.map((spec) => Tensor.allocate(spec.dtype, spec.sizes, device));
    executable.run(
      views,
      results.map((result, index) => bufferView(result, this.computed[index])),
    );
    return results;
  }

  private executable(device: Device, layouts: (OperandLayout | undefined)[] | undefined): Executable {
    if (layouts === undefined && this.lastDevice === device) return this.lastExecutable!;
    let key = `${device.info.type}:${device.info.index}`;
    layouts?.forEach((layout, index) => {
      if (layout !== undefined) key += `|${index}:${layout.sizes.join()};${layout.dimensions.join()}`;
    });
    let executable = this.executables.get(key);
    if (executable === undefined) {
      executable = device.compile(layouts === undefined ? this.body : withLayouts(this.body, layouts), {});
      this.executables.set(key, executable);
    }
    if (layouts === undefined) {
      this.lastDevice = device;
      this.lastExecutable = executable;
    }
    return executable;
  }
}

const bufferView = (tensor: Tensor, spec: TensorSpec): BufferView => ({
  buffer: tensor.storage.buffer,
  byteOffset: tensor.storage.byteOffset + tensor.offset * dtypes[tensor.dtype].bytes,
  spec,
});

/** A row-major copy on `device`, unknown to autograd. */
export function copyToDevice(tensor: Tensor, device: Device): Tensor {
  const copy = Tensor.allocate(tensor.dtype, tensor.sizes, device);
  const target = copy.storage.hostBytes;
  if (target !== undefined && !tensor.isRowMajor) {
    const { storage } = tensor;
    gatherStrided(storage.read(0, storage.byteLength), tensor, dtypes[tensor.dtype].bytes, target);
  } else copy.storage.write(0, tensor.bytes());
  return copy;
}

/** The graph reading some operands as transposed and broadcast row-major memory. */
function withLayouts(graph: Graph, layouts: readonly (OperandLayout | undefined)[]): Graph {
  const copy = graph.clone();
  const b = new CoreBuilder(copy);
  const first = copy.block.paramNode.next!;
  layouts.forEach((layout, index) => {
    if (layout === undefined) return;
    const input = copy.inputs[index];
    const { dtype, sizes } = specOf(input);
    input.setType(tensorSpec(dtype, layout.sizes));
    const uses = [...input.uses];
    const logical = copy.withInsertPoint(first, () => strided(b, input, layout, sizes));
    for (const use of uses) use.user.replaceInput(use.index, logical);
  });
  return copy;
}

/** `x`, of the layout's dense sizes, as the operand of `sizes` that it stands for. */
function strided(b: CoreBuilder, x: Value, layout: OperandLayout, sizes: readonly number[]): Value {
  const places = [...layout.dimensions].sort((a, c) => a - c);
  const transposed = b.transpose(
    x,
    places.map((dim) => layout.dimensions.indexOf(dim)),
  );
  return b.broadcastInDim(transposed, sizes, places);
}
