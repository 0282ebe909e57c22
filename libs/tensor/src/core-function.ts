// A core graph made ready to run on eager tensors: dead code removed, outputs that are inputs or repeat one another told
// apart, executables compiled for each device and layout of operands and results. Knows nothing of autograd.
import type { BufferView, Device, DeviceBuffer, Executable, InPlace } from '@weft/devices';
import type { DifferentiateOptions, Differentiated, Graph, RandomRequest, TensorSpec, Value } from '@weft/ir';
import {
  InternalError,
  dtypes,
  memoryOf,
  numel,
  relayout,
  removeDeadCode,
  specOf,
  tensorSpec,
} from '@weft/ir';
import type { Strided } from '@weft/ops';
import {
  contiguousStrides,
  extentOf,
  isDense,
  isRowMajor,
  memoryOrder,
  orderedStrides,
  stridedViews,
} from '@weft/ops';
import { copyOnDevice } from './device-copy.ts';
import type { Lie } from './layout.ts';
import { lieOf } from './layout.ts';
import { sameStrides } from './placements.ts';
import { Storage } from './storage.ts';
import { gatherStrided } from './strided-copy.ts';
import { Tensor } from './tensor.ts';

/** Where an output of the graph comes from: an operand as it is, one looked at through strides, or a computed value. */
export type OutputSource =
  | { readonly kind: 'operand'; readonly index: number }
  | { readonly kind: 'view'; readonly index: number; readonly view: (operand: Strided) => Strided }
  | { readonly kind: 'computed'; readonly index: number };

type Strides = readonly number[];
/** Strides for each output; null, and what is left out, is row-major. */
export type ResultStrides = readonly (Strides | null)[];
/** Tensors to compute outputs in; null, and what is left out, is for new ones. */
export type Targets = readonly (Tensor | null)[];

export interface CoreFunctionOptions {
  /** What the trailing inputs of the graph are filled with, drawn anew for each call. */
  readonly requests?: readonly RandomRequest[];
  /** Whether outputs that only transpose and broadcast an operand are views of it: gradients are. */
  readonly views?: boolean;
  /** Operands that outputs may be written over, as pairs of their numbers; `into` says at each run whether they are. */
  readonly inPlace?: readonly InPlace[];
  /**
   * Improves the graphs that are compiled: this one, and those of its derivative. Signatures stay.
   * @param inPlace pairs of the graph's inputs and outputs that a device is asked to give one memory
   */
  readonly optimize?: (graph: Graph, inPlace?: readonly InPlace[]) => void;
  /**
   * Whether one executable is all that is made of the graph, which is not kept: for the device and the layouts of the first run.
   * Operands that lie otherwise later are copied, and there is no derivative.
   */
  readonly once?: boolean;
  /** Makes the derivative; default: `differentiate` of @weft/ir. */
  readonly differentiate?: (graph: Graph, options: DifferentiateOptions) => Differentiated;
}

export class CoreFunction {
  /** Specs of the operands, then of the random inputs. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly OutputSource[];
  readonly outputSpecs: readonly TensorSpec[];
  readonly requests: readonly RandomRequest[];
  /** Whether the outputs are just what is computed, in order. */
  readonly areOutputsComputed: boolean;
  private readonly computed: readonly TensorSpec[];
  /** For each computed value the first output that it is. */
  private readonly positions: readonly number[];
  private own: Graph | undefined;
  private compiled: Graph | undefined;
  private readonly executables = new Map<string, Executable>();
  private lastPlan: Plan | undefined;

  /** @param graph given up to this object */
  constructor(
    graph: Graph,
    readonly options: CoreFunctionOptions = {},
  ) {
    this.own = graph;
    removeDeadCode(graph);
    const { requests = [], views = false } = options;
    this.requests = requests;
    this.inputs = graph.inputs.map(specOf);
    this.outputSpecs = graph.outputs.map(specOf);
    const distinct: Value[] = [];
    this.outputs = graph.outputs.map((value): OutputSource => {
      if (value.isParameter) return { kind: 'operand', index: graph.inputs.indexOf(value) };
      const viewed = views ? viewOfInput(graph, value) : null;
      if (viewed !== null) return viewed;
      const known = distinct.indexOf(value);
      return { kind: 'computed', index: known >= 0 ? known : distinct.push(value) - 1 };
    });
    this.computed = distinct.map(specOf);
    this.positions = distinct.map((value) => graph.outputs.indexOf(value));
    this.areOutputsComputed = this.outputs.every(
      (source, at) => source.kind === 'computed' && source.index === at,
    );
  }

  /** What its derivatives are made of. */
  get graph(): Graph {
    if (this.own === undefined || this.options.once === true)
      throw new InternalError('the graph of a function that is compiled once is asked for');
    return this.own;
  }

  /** The graph that is compiled: with each computed output once, optimised. */
  private get body(): Graph {
    if (this.compiled !== undefined) return this.compiled;
    const { positions, options } = this;
    const own = this.own!;
    const hasOthers = positions.length !== own.outputs.length;
    if (!hasOthers && options.optimize === undefined) return (this.compiled = own);
    const body = options.once === true ? own : own.clone();
    if (hasOthers) {
      const kept = positions.map((position) => body.outputs[position]);
      while (body.outputs.length > 0) body.block.removeOutput(body.outputs.length - 1);
      kept.forEach((value) => body.addOutput(value));
    }
    options.optimize?.(body, this.pairs);
    return (this.compiled = body);
  }

  /** Bytes of temporary memory that the last run took; 0 before the first. */
  get memory(): number {
    return this.lastPlan?.executable.memory ?? 0;
  }

  get operandCount(): number {
    return this.inputs.length - this.requests.length;
  }

  /**
   * Computes the computed outputs on `device`. `operands` has one tensor, however it lies, for each input.
   * @param strides of the outputs
   * @param into for each output of the graph a tensor of its type to compute it in, where that can be: then it is the result. It
   * shares no memory with operands, except the one that it is paired with in `inPlace`
   */
  run(operands: readonly Tensor[], device: Device, strides?: ResultStrides, into?: Targets): Tensor[] {
    if (this.computed.length === 0) return [];
    const { lastPlan } = this;
    if (lastPlan !== undefined && lastPlan.device === device && lastPlan.strides === strides) {
      if (allLieAs(operands, lastPlan, device)) return this.execute(lastPlan, operands, into);
    }
    if (lastPlan !== undefined && this.own === undefined) {
      return this.execute(lastPlan, this.laidAs(lastPlan, operands, device, strides), into);
    }
    // What a device cannot read as it lies is copied first, and the plan is for the copies.
    const given = operands.map((operand) => readable(operand, device, this.options.once !== true));
    const plan = this.plan(given, device, strides);
    this.lastPlan = plan;
    return this.execute(plan, given, into);
  }

  /** The operands as a plan wants them. */
  private laidAs(
    { device: planned, strides: placed, operands: layouts }: Plan,
    operands: readonly Tensor[],
    device: Device,
    strides: ResultStrides | undefined,
  ): Tensor[] {
    if (device !== planned || strides !== placed)
      throw new InternalError(
        'a function that is compiled once is run on another device or with other strides',
      );
    return operands.map((operand, index) =>
      liesAs(operand, layouts[index], device)
        ? operand
        : copyToDevice(operand, device, layouts[index] ?? undefined),
    );
  }

  /** The pairs of `inPlace`, by the number among the computed outputs. */
  private get pairs(): InPlace[] {
    return (this.options.inPlace ?? []).flatMap(({ input, output }) => {
      const source = this.outputs[output];
      return source.kind === 'computed' ? [{ input, output: source.index }] : [];
    });
  }

  private plan(operands: readonly Tensor[], device: Device, strides: ResultStrides | undefined): Plan {
    const lies = operands.map((operand) =>
      operand.isRowMajor ? undefined : (lieOf(operand, operand.elements) ?? undefined),
    );
    const layouts = lies.map((lie) => lie?.layout);
    const places = this.computed.map((spec, index) =>
      placeOf(spec, strides?.[this.positions[index]] ?? null),
    );
    let key = `${device.info.type}:${device.info.index}`;
    layouts.forEach((layout, index) => {
      if (layout === undefined) return;
      key += `|${index}:${layout.sizes.join()};${layout.dimensions.join()}`;
      if (layout.part !== undefined) key += `;${layout.part.memory.join()};${layout.part.start.join()}`;
    });
    places.forEach(({ order }, index) => {
      if (order !== null) key += `>${index}:${order.join()}`;
    });
    const orders = places.map(({ order }) => order);
    const isPlain =
      layouts.every((layout) => layout === undefined) && orders.every((order) => order === null);
    let executable = this.executables.get(key);
    if (executable === undefined) {
      const once = this.options.once === true;
      executable = isPlain
        ? device.compile(this.body, { inPlace: this.pairs, isGivenUp: once })
        : device.compile(relayout(this.body, layouts, orders), { isGivenUp: true });
      this.executables.set(key, executable);
      if (once) this.own = this.compiled = undefined;
    }
    return {
      device,
      strides,
      operands: operands.map((operand) => (operand.isRowMajor ? null : operand.strides)),
      parts: lies.map((lie, index) => (lie?.layout.part === undefined ? null : partOf(lie, operands[index]))),
      hasParts: layouts.some((layout) => layout?.part !== undefined),
      executable,
      inputs: this.inputs.map((spec, index) => {
        const layout = layouts[index];
        return new OperandView(layout === undefined ? spec : tensorSpec(spec.dtype, memoryOf(layout)));
      }),
      places,
      apart: this.pairs
        .map(({ output }) => output)
        .filter((output) => executable.inPlace?.some((taken) => taken.output === output) !== true),
      outputs: this.computed.map((spec, index) => {
        const { dtype, sizes } = spec;
        const order = orders[index];
        return new OperandView(order === null ? spec : tensorSpec(dtype, order.map((dim) => sizes[dim]))); // prettier-ignore
      }),
    };
  }

  private execute(
    { device, executable, inputs, parts, places, apart, outputs }: Plan,
    operands: readonly Tensor[],
    into: Targets | undefined,
  ): Tensor[] {
    const { computed } = this;
    for (let index = 0; index < inputs.length; index++) {
      inputs[index].show(operands[index], parts[index]?.before);
    }
    const results = new Array<Tensor>(computed.length);
    let hasGaps = false;
    for (let index = 0; index < results.length; index++) {
      const { dtype, sizes } = computed[index];
      const { strides, rowMajor, bytes, gaps } = places[index];
      let result = into === undefined ? null : this.targetOf(index, into, apart, places[index], device);
      if (result === null) {
        const storage = Storage.allocate(device, bytes, true);
        result =
          strides === null
            ? Tensor.rowMajorOn(storage, dtype, sizes, rowMajor)
            : new Tensor(storage, dtype, sizes, strides, 0);
      } else result.storage.changed();
      results[index] = result;
      outputs[index].show(result);
      if (gaps !== null) hasGaps = true;
    }
    executable.run(inputs, outputs);
    for (let index = 0; index < inputs.length; index++) inputs[index].buffer = noBuffer;
    for (let index = 0; index < outputs.length; index++) outputs[index].buffer = noBuffer;
    if (!hasGaps) return results;
    return results.map((result, index) => {
      const { gaps } = places[index];
      return gaps === null ? result : copyToDevice(result, device, gaps);
    });
  }

  /** The tensor that a computed output is to be computed in, where it lies so that it can be. */
  private targetOf(
    index: number,
    into: Targets,
    apart: readonly number[],
    { strides, gaps }: Place,
    device: Device,
  ): Tensor | null {
    const target = into[this.positions[index]] ?? null;
    if (target === null || gaps !== null || apart.includes(index)) return null;
    return liesAs(target, strides, device) ? target : null;
  }
}

/** What a run needs to know of how its operands and results lie. */
interface Plan {
  readonly device: Device;
  /** The strides asked for, and those of the operands; null where they are row-major. */
  readonly strides: ResultStrides | undefined;
  readonly operands: readonly (Strides | null)[];
  /** Of operands that leave gaps: the part of a storage that they were. */
  readonly parts: readonly (Part | null)[];
  readonly hasParts: boolean;
  readonly executable: Executable;
  /** What the executable sees: of one run after the other. */
  readonly inputs: readonly OperandView[];
  readonly outputs: readonly OperandView[];
  readonly places: readonly Place[];
  /** Computed outputs that must not be written over the operand that they are paired with. */
  readonly apart: readonly number[];
}

interface Part {
  readonly offset: number;
  readonly elements: number;
  readonly before: number;
}

const partOf = ({ before }: Lie, { offset, elements }: Tensor): Part => ({ offset, elements, before });

function allLieAs(
  operands: readonly Tensor[],
  { operands: strides, parts, hasParts }: Plan,
  device: Device,
): boolean {
  for (let index = 0; index < operands.length; index++) {
    if (!liesAs(operands[index], strides[index], device)) return false;
  }
  if (!hasParts) return true;
  return operands.every(({ offset, elements }, index) => {
    const part = parts[index];
    return part === null || (part.offset === offset && part.elements === elements);
  });
}

const liesAs = (operand: Tensor, strides: Strides | null, device: Device): boolean =>
  operand.storage.device === device &&
  (strides === null ? operand.isRowMajor : sameStrides(operand.strides, strides));

/**
 * The tensor on the device, lying so that the device can read it.
 * @param mayLeaveGaps whether it may be a part of its memory: programs for that are for one place in memory
 */
function readable(tensor: Tensor, device: Device, mayLeaveGaps: boolean): Tensor {
  const own = tensor.storage.device === device ? tensor : copyToDevice(tensor, device);
  if (own.isRowMajor) return own;
  const lie = lieOf(own, own.elements);
  return lie !== null && (mayLeaveGaps || lie.layout.part === undefined) ? own : withoutGaps(own);
}

interface Place {
  /** Of the result; null where it is row-major. */
  readonly strides: Strides | null;
  readonly rowMajor: Strides;
  /** Of the result's storage. */
  readonly bytes: number;
  /** The dimensions from the outermost in memory to the innermost; null when that is row-major. */
  readonly order: readonly number[] | null;
  /** The strides asked for, when they leave gaps or overlap: the result is computed dense and then put there. */
  readonly gaps: Strides | null;
}

function placeOf({ dtype, sizes }: TensorSpec, strides: Strides | null): Place {
  const rowMajor = contiguousStrides(sizes);
  const plain: Place = {
    strides: null,
    rowMajor,
    bytes: numel(sizes) * dtypes[dtype].bytes,
    order: null,
    gaps: null,
  };
  if (strides === null) return plain;
  if (isRowMajor(sizes, strides)) return { ...plain, strides };
  if (!isDense(sizes, strides)) return { ...plain, gaps: strides };
  return { ...plain, strides, order: memoryOrder(sizes, strides) };
}

/** An output that transposes, broadcasts and squeezes an input, as strides on it. */
function viewOfInput(graph: Graph, output: Value): OutputSource | null {
  const steps: ((operand: Strided) => Strided)[] = [];
  let value = output;
  while (!value.isParameter) {
    const step = viewStep(value);
    if (step === null) return null;
    steps.unshift(step);
    value = value.node.inputs[0];
  }
  const index = graph.inputs.indexOf(value);
  return { kind: 'view', index, view: (operand) => steps.reduce((viewed, step) => step(viewed), operand) };
}

function viewStep({ node, type }: Value): ((operand: Strided) => Strided) | null {
  const { sizes } = type as TensorSpec;
  switch (node.operator) {
    case 'transpose': {
      const permutation = node.ints('permutation');
      return (operand) => stridedViews.permute(operand, permutation);
    }
    case 'broadcast_in_dim': {
      const dimensions = node.ints('broadcast_dimensions');
      if (dimensions.some((dim, at) => at > 0 && dim < dimensions[at - 1])) return null;
      return (operand) => {
        let viewed = operand;
        for (let dim = 0; dim < sizes.length; dim++) {
          if (!dimensions.includes(dim)) viewed = stridedViews.insert(viewed, dim);
        }
        return stridedViews.expand(viewed, sizes);
      };
    }
    case 'reshape': {
      // Only sizes of 1 come and go, which strides can always say.
      const from = specOf(node.inputs[0]).sizes;
      const kept = (each: readonly number[]): string => each.filter((size) => size !== 1).join();
      return kept(from) === kept(sizes) ? (operand) => stridedViews.reshape(operand, sizes) : null;
    }
    default:
      return null;
  }
}

const noBuffer: DeviceBuffer = { byteLength: 0, free: () => undefined };

/** What an executable sees of an operand or a result while it runs. */
class OperandView implements BufferView {
  buffer = noBuffer;
  byteOffset = 0;
  version: number | undefined = undefined;

  constructor(readonly spec: TensorSpec) {}

  /** @param before elements of the storage in front of the tensor that are seen too */
  show({ storage, offset, dtype }: Tensor, before = 0): void {
    this.buffer = storage.buffer;
    // Tensors without elements may begin anywhere, also beyond their memory.
    this.byteOffset =
      offset === 0 || storage.byteLength === 0
        ? storage.byteOffset
        : storage.byteOffset + (offset - before) * dtypes[dtype].bytes;
    this.version = storage.contents;
  }
}

/** A copy in the memory order of the tensor that has no gaps; what is expanded stays so. */
function withoutGaps(tensor: Tensor): Tensor {
  const { sizes, strides } = tensor;
  const once = sizes.map((size, dim) => (strides[dim] === 0 ? 1 : size));
  const seen = tensor.onStorage({ sizes: once, strides, offset: tensor.offset });
  const dense = orderedStrides(once, memoryOrder(once, strides));
  const copy = copyToDevice(seen, tensor.storage.device, dense);
  return copy.onStorage({
    sizes,
    strides: dense.map((stride, dim) => (strides[dim] === 0 ? 0 : stride)),
    offset: 0,
  });
}

/** A copy on `device`, row-major or with the strides given, unknown to autograd. */
export function copyToDevice(tensor: Tensor, device: Device, strides?: Strides): Tensor {
  const { dtype, sizes, storage } = tensor;
  const width = dtypes[dtype].bytes;
  const target = strides ?? contiguousStrides(sizes);
  const dense = isDense(sizes, target);
  const extent = dense ? numel(sizes) : extentOf({ sizes, strides: target });
  const copy = new Tensor(Storage.allocate(device, extent * width, dense), dtype, sizes, target, 0);
  if (!dense) copy.writeBytes(tensor.bytes());
  else if (numel(sizes) > 0) {
    // The elements of both in the order in which the copy's lie.
    const order = memoryOrder(sizes, target);
    const source = stridedViews.permute(tensor, order);
    if (isRowMajor(source.sizes, source.strides)) {
      copy.storage.write(0, storage.read(tensor.offset * width, numel(sizes) * width));
    } else if (storage.device !== device || !copyOnDevice(storage, source, dtype, copy.storage)) {
      const bytes = copy.storage.hostBytes ?? new Uint8Array(numel(sizes) * width);
      gatherStrided(storage.read(0, storage.byteLength), source, width, bytes);
      if (copy.storage.hostBytes === undefined) copy.storage.write(0, bytes);
    }
  }
  return copy;
}
