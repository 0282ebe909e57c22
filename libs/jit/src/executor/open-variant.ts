// A function compiled for calls that differ in sizes: one graph for all sizes up to the bounds (../open-sizes). Arguments are put in memory
// of the bounds, the sizes are operands, and of each result the part that means something is taken out.
import type { IValue, ScriptFunction } from '@weft/ir';
import { UnsupportedError, dtypes, numel, tensorSpec } from '@weft/ir';
import { contiguousStrides, isRowMajor, memoryOrder, orderedStrides, valuesEqual } from '@weft/ops';
import { Storage, Tensor } from '@weft/tensor';
import type { ExactLowering, HostStep, ResultStructure } from '../lower/index.ts';
import { lowerExactly } from '../lower/index.ts';
import type { Dimension, OpenSize, Point } from '../open-sizes/index.ts';
import { Samples, checkDecisions, isOpen, lengthAt, openGraph } from '../open-sizes/index.ts';
import type { Pattern } from './pattern.ts';
import { CallPattern, withTensors } from './pattern.ts';
import type { VariantOptions } from './variant.ts';
import { Variant, shortName } from './variant.ts';

/** A dimension of one of a call's tensors that is open: one of the sizes, or a sum of some and a number. */
export interface OpenPlace {
  readonly tensor: number;
  readonly dim: number;
  readonly sizes: readonly number[];
  readonly plus: number;
}

/** Where a size itself is. */
export const isSizeItself = ({ sizes, plus }: OpenPlace): boolean => sizes.length === 1 && plus === 0;

const lengthOf = ({ sizes, plus }: OpenPlace, point: Point): number =>
  sizes.reduce((sum, size) => sum + point[size], plus);

interface Opened {
  readonly lowering: ExactLowering;
  readonly outputs: readonly (readonly Dimension[])[];
}

export class OpenVariant {
  private readonly variant: Variant;
  private readonly outputs: readonly (readonly Dimension[])[];
  /** Memory of the bounds for arguments that have open sizes, by their number among the call's tensors. */
  private readonly roomy = new Map<number, Tensor>();
  private readonly scalars: readonly Tensor[];
  /** What else the sizes of a call's tensors have to be; -1 where they are open. */
  private readonly fixed: readonly number[][];
  /** The call's pattern at the bounds. */
  readonly patterns: readonly Pattern[];

  /**
   * @param args of a call like those that it is for
   * @param tensors those in the arguments, in order, row-major
   * @throws UnsupportedError, or the program's own error, when no graph can stand for all sizes
   */
  constructor(
    callee: ScriptFunction,
    args: readonly IValue[],
    tensors: readonly Tensor[],
    readonly sizes: readonly OpenSize[],
    readonly places: readonly OpenPlace[],
    options: Omit<VariantOptions, 'gradEnabled'>,
  ) {
    const samples = new Samples(sizes);
    const lower = (): Opened => openLowering(callee, args, tensors, samples, places, options.unrollLimit);
    const { lowering, outputs } = lower();
    const bounds = sizesOf(tensors, places, samples.points[0]);
    const device = tensors[0].storage.device;
    for (const { tensor } of places)
      if (!this.roomy.has(tensor)) this.roomy.set(tensor, Tensor.allocate(tensors[tensor].dtype, bounds[tensor], device)); // prettier-ignore
    this.scalars = sizes.map(() => Tensor.allocate('int64', [], device));
    this.outputs = outputs;
    this.fixed = tensors.map((tensor) => [...tensor.sizes]);
    for (const { tensor, dim } of places) this.fixed[tensor][dim] = -1;
    const again = (): ExactLowering['graph'] => lower().lowering.graph;
    const given = [...tensors.map((tensor, index) => this.roomy.get(index) ?? tensor), ...this.scalars];
    this.patterns = new CallPattern(withTensors(args, given as unknown as readonly IValue[])).patterns;
    this.variant = new Variant(shortName(callee), { ...options, gradEnabled: false }, lowering, given, again);
  }

  /** The sizes of a call's tensors, where they are between the least and the bounds. */
  pointOf(tensors: readonly Tensor[]): Point | undefined {
    const { fixed } = this;
    for (let index = 0; index < fixed.length; index++) {
      const { sizes } = tensors[index];
      for (let dim = 0; dim < sizes.length; dim++)
        if (fixed[index][dim] >= 0 && fixed[index][dim] !== sizes[dim]) return undefined;
    }
    const point = this.sizes.map(() => 0);
    for (const place of this.places) {
      if (!isSizeItself(place)) continue;
      const { tensor, dim, sizes } = place;
      const given = tensors[tensor].sizes[dim];
      const { least, bound } = this.sizes[sizes[0]];
      if (given < least || given > bound) return undefined;
      point[sizes[0]] = given;
    }
    const fits = this.places.every(
      (place) => tensors[place.tensor].sizes[place.dim] === lengthOf(place, point),
    );
    return fits ? point : undefined;
  }

  get holds(): boolean {
    return this.variant.holds;
  }

  /** @returns undefined when the interpreter has to run the call */
  run(args: readonly IValue[], tensors: readonly Tensor[], point: Point): IValue | undefined {
    const given: Tensor[] = tensors.map((tensor, index) => {
      const roomy = this.roomy.get(index);
      if (roomy === undefined || String(roomy.sizes) === String(tensor.sizes)) return tensor;
      copyBeginning(tensor, roomy);
      return roomy;
    });
    this.scalars.forEach((scalar, index) => {
      scalar.writeBytes(new Uint8Array(BigInt64Array.of(BigInt(point[index])).buffer));
      given.push(scalar);
    });
    return this.variant.run(args, given, (outputs) =>
      outputs.map((output, index) => beginningOf(output, this.outputs[index], point)),
    );
  }
}

// ---- lowering -------------------------------------------------------------------------------------------------------------

/** The sizes of the tensors of a call at a point. */
function sizesOf(tensors: readonly Tensor[], places: readonly OpenPlace[], point: Point): number[][] {
  const sizes = tensors.map((tensor) => [...tensor.sizes]);
  for (const place of places) sizes[place.tensor][place.dim] = lengthOf(place, point);
  return sizes;
}

function openLowering(
  callee: ScriptFunction,
  args: readonly IValue[],
  tensors: readonly Tensor[],
  samples: Samples,
  places: readonly OpenPlace[],
  unrollLimit: number,
): Opened {
  const steps: HostStep[][] = [];
  const lowerings = samples.points.map((point) => {
    const specs = sizesOf(tensors, places, point).map((sizes, index) =>
      tensorSpec(tensors[index].dtype, sizes),
    );
    const own: HostStep[] = [];
    steps.push(own);
    const given = withTensors(args, specs as unknown as readonly IValue[]);
    return lowerExactly(callee, given, { unrollLimit, gradEnabled: false, steps: own, apart: true });
  });
  const [first] = lowerings;
  for (const other of lowerings) refuseOther(first, other);
  checkDecisions(steps, samples);
  const { graph, outputs } = openGraph(
    lowerings.map((lowering) => lowering.graph),
    samples,
  );
  for (const { output } of first.writes)
    if (outputs[output].some(isOpen))
      throw new UnsupportedError('a tensor of an open size is changed in place');
  const open = new Set(places.map(({ tensor }) => tensor));
  refuseOpenOperands(first.result, first, open);
  const sizes = samples.sizes.map(
    (_, index) => ({ kind: 'argument', index: tensors.length + index }) as const,
  );
  const { operands, inputs } = first;
  return {
    lowering: {
      ...first,
      graph,
      operands: [...operands, ...sizes],
      inputs: [...inputs, ...sizes.map((_, index) => operands.length + index)],
    },
    outputs,
  };
}

/** Throws where the same program handles its operands and results otherwise for other sizes. */
function refuseOther(first: ExactLowering, other: ExactLowering): void {
  if (first.requests.length > 0) throw new UnsupportedError('the program draws random numbers');
  const isSame =
    first.operands.length === other.operands.length &&
    first.operands.every((source, index) => {
      const given = other.operands[index];
      if (source.kind === 'held') return given.kind === 'held' && given.tensor === source.tensor;
      return given.kind === 'argument' && given.index === source.index;
    }) &&
    String(first.inputs) === String(other.inputs) &&
    first.writes.length === other.writes.length &&
    first.writes.every(({ operand, output }, index) => {
      const given = other.writes[index];
      return given.operand === operand && given.output === output;
    }) &&
    first.condition === other.condition &&
    first.objects.length === other.objects.length &&
    first.objects.every((object, index) => object === other.objects[index]) &&
    areSameResults(first.result, other.result);
  if (!isSame) throw new UnsupportedError('the program reads or returns other things for other sizes');
}

function areSameResults(a: ResultStructure, b: ResultStructure): boolean {
  switch (a.kind) {
    case 'tensor':
      return b.kind === 'tensor' && a.output === b.output;
    case 'operand':
      return b.kind === 'operand' && a.operand === b.operand;
    case 'number':
      return b.kind === 'number' && a.output === b.output && a.type === b.type;
    case 'constant':
      return b.kind === 'constant' && (a.value === b.value || valuesEqual(a.value, b.value));
    case 'view':
      return (
        b.kind === 'view' &&
        a.dtype === b.dtype &&
        JSON.stringify(a.geometry) === JSON.stringify(b.geometry) &&
        areSameResults(a.base, b.base)
      );
    case 'call':
      return false;
    case 'list':
    case 'tuple':
      return (
        b.kind === a.kind &&
        a.items.length === b.items.length &&
        a.items.every((item, index) => areSameResults(item, b.items[index]))
      );
    case 'dict':
      return (
        b.kind === 'dict' &&
        a.entries.length === b.entries.length &&
        a.entries.every(([key, item], index) => {
          const [otherKey, otherItem] = b.entries[index];
          return valuesEqual(key, otherKey) && areSameResults(item, otherItem);
        })
      );
    default:
      return a satisfies never;
  }
}

/** An argument that lies in other memory while the graph runs cannot be returned. */
function refuseOpenOperands(
  result: ResultStructure,
  lowering: ExactLowering,
  open: ReadonlySet<number>,
): void {
  switch (result.kind) {
    case 'operand': {
      const source = lowering.operands[result.operand];
      if (source.kind === 'argument' && open.has(source.index))
        throw new UnsupportedError('an argument of an open size is returned');
      return;
    }
    case 'view':
    case 'call':
      return refuseOpenOperands(result.base, lowering, open);
    case 'list':
    case 'tuple':
      return result.items.forEach((item) => refuseOpenOperands(item, lowering, open)); // prettier-ignore
    case 'dict':
      return result.entries.forEach(([, item]) => refuseOpenOperands(item, lowering, open)); // prettier-ignore
    case 'tensor':
    case 'number':
    case 'constant':
      return;
    default:
      result satisfies never;
  }
}

// ---- memory ---------------------------------------------------------------------------------------------------------------

/** Copies a row-major tensor to the beginning, in every dimension, of a larger one. */
function copyBeginning(from: Tensor, to: Tensor): void {
  const width = dtypes[from.dtype].bytes;
  const source = from.storage.read(from.offset * width, numel(from.sizes) * width);
  eachRun(from.sizes, from.sizes, to.sizes, (start, target, count) =>
    to.storage.write(target * width, source.subarray(start * width, (start + count) * width)),
  );
}

/** What of a result means something at these sizes, in memory without gaps. */
function beginningOf(output: Tensor, dimensions: readonly Dimension[], point: Point): Tensor {
  if (!dimensions.some(isOpen)) return output;
  const sizes = dimensions.map((dimension) => lengthAt(dimension, point));
  if (String(sizes) === String(output.sizes)) return output;
  const { dtype, strides, storage } = output;
  const order = memoryOrder(output.sizes, strides);
  const parts = order.flatMap((dim) => dimensions[dim]);
  const bounds = parts.map(({ length }) => length);
  const there = parts.map((part) => lengthAt([part], point));
  const last = there.findLastIndex((length, at) => length !== bounds[at]);
  const isInFront = there.slice(0, last).every((length) => length === 1);
  if (isInFront && isRowMajor(output.sizes, strides))
    return output.onStorage({ sizes, strides: contiguousStrides(sizes), offset: 0 });
  const width = dtypes[dtype].bytes;
  const own = Storage.allocate(storage.device, numel(sizes) * width, true);
  const bytes = storage.read(0, storage.byteLength);
  eachRun(there, bounds, there, (start, target, count) =>
    own.write(target * width, bytes.subarray(start * width, (start + count) * width)),
  );
  return new Tensor(own, dtype, sizes, orderedStrides(sizes, order), 0);
}

/**
 * Visits the runs of elements that lie one behind the other in both of two row-major memories, of the elements that both have: where
 * they are in each, and how many.
 */
function eachRun(
  sizes: readonly number[],
  from: readonly number[],
  to: readonly number[],
  visit: (from: number, to: number, count: number) => void,
): void {
  if (sizes.includes(0)) return;
  let split = sizes.length;
  while (split > 0 && from[split] === to[split]) split--;
  const run = numel(sizes.slice(split));
  const [fromStrides, toStrides] = [contiguousStrides(from), contiguousStrides(to)];
  const index = sizes.slice(0, split).map(() => 0);
  for (;;) {
    visit(
      index.reduce((sum, at, dim) => sum + at * fromStrides[dim], 0),
      index.reduce((sum, at, dim) => sum + at * toStrides[dim], 0),
      run,
    );
    let dim = split - 1;
    for (; dim >= 0; dim--) {
      if (++index[dim] < sizes[dim]) break;
      index[dim] = 0;
    }
    if (dim < 0) return;
  }
}
