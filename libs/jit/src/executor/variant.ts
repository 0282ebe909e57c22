// A function compiled for one pattern of arguments: guard, operands, one run of the graph, results put together. Whatever
// keeps it from standing for the call (a failed guard, a condition that does not hold) leaves everything as it was, so that
// the interpreter can take over.
import type { DType, DifferentiateOptions, Graph, IValue, ScriptFunction } from '@weft/ir';
import { TupleValue, UnsupportedError, dtypes, tagContainer } from '@weft/ir';
import type { Strided } from '@weft/ops';
import {
  CoreFunction,
  Tensor,
  defaultGenerator,
  drawRequests,
  hostDevice,
  invoke,
  prepareDerivative,
  runRecorded,
  withDispatchHook,
} from '@weft/tensor';
import type { ExactLowering, ResultStructure, ViewCall } from '../lower/index.ts';
import { fixedInputs, lowerExactly } from '../lower/index.ts';
import { limitInBytes } from '../memory/bytes.ts';
import { differentiateWithin } from '../memory/limit.ts';
import { optimize } from '../passes/index.ts';
import { FixedPart, splitGraph } from './fixed-part.ts';
import { StateGuard } from './state-guard.ts';

export interface VariantOptions {
  readonly unrollLimit: number;
  readonly gradEnabled: boolean;
  /** Of a call with its backward pass. */
  readonly memoryLimit?: number | string;
}

export class Variant {
  /** The whole; where there is a fixed part, made when that cannot be kept apart. */
  private fn: CoreFunction | undefined;
  /** Where something follows from weights alone: tensors of the module that the method does not change. */
  private readonly fixedPart: FixedPart | undefined;
  private readonly guard: StateGuard;
  private readonly device;
  /** How the results lie. */
  private readonly placed: { readonly strides: ExactLowering['strides'] };
  private readonly operands: Tensor[];
  /** Places of `operands` that come from the call, and for each its number among the call's tensors. */
  private readonly places: readonly number[];
  private readonly sources: readonly number[];

  private readonly lowering: Omit<ExactLowering, 'graph'>;

  /**
   * @param name of the function, for the tape
   * @param tensors those of the call, for devices and derivatives
   * @param again lowers the function again, for a call like the first; given arguments
   * @throws UnsupportedError when no graph can stand for such calls
   */
  constructor(
    private readonly name: string,
    private readonly options: VariantOptions,
    { graph, ...lowering }: ExactLowering,
    tensors: readonly Tensor[],
    private readonly again: (args: readonly IValue[]) => Graph,
  ) {
    this.lowering = lowering;
    this.guard = new StateGuard(lowering.objects);
    const places: number[] = [];
    const sources: number[] = [];
    this.operands = lowering.operands.map((source, place) => {
      if (source.kind === 'held') return source.tensor;
      places.push(place);
      sources.push(source.index);
      return tensors[source.index];
    });
    this.placed = { strides: lowering.strides };
    this.places = places;
    this.sources = sources;
    const devices = new Set(this.operands.map((tensor) => tensor.storage.device));
    if (devices.size > 1) throw new UnsupportedError('the tensors of the call are on several devices');
    this.device = this.operands[0]?.storage.device ?? hostDevice();
    const fixed = lowering.gradEnabled || lowering.requests.length > 0 ? [] : fixedInputs(lowering);
    if (fixed.length > 0) optimize(graph, 'core', { fixed });
    const split = fixed.length > 0 ? splitGraph(graph, fixed) : undefined;
    if (split === undefined) this.fn = this.whole(graph, fixed.length > 0);
    else this.fixedPart = new FixedPart(split, lowering.inputs, this.device);
    if (lowering.gradEnabled && this.fn !== undefined) {
      prepareDerivative(
        this.fn,
        lowering.inputs.map((operand) => this.operands[operand]),
      );
    }
    this.refuseSharedWrites();
    this.release();
  }

  private whole(graph: Graph, isOptimized: boolean): CoreFunction {
    const { lowering, device, options } = this;
    const { memoryLimit } = options;
    return new CoreFunction(graph, {
      requests: lowering.requests,
      optimize: isOptimized ? undefined : optimizeCore,
      once: !lowering.gradEnabled,
      ...(memoryLimit === undefined
        ? {}
        : {
            differentiate: (given: Graph, wanted: DifferentiateOptions) =>
              differentiateWithin(limitInBytes(memoryLimit), given, wanted, device),
          }),
    });
  }

  /** Throws UnsupportedError, or the program's own error, when no graph can stand for such calls. */
  static compile(
    callee: ScriptFunction,
    args: readonly IValue[],
    tensors: readonly Tensor[],
    options: VariantOptions,
  ): Variant {
    const lower = (given: readonly IValue[]): ExactLowering => lowerExactly(callee, given, options);
    return new Variant(shortName(callee), options, lower(args), tensors, (given) => lower(given).graph);
  }

  get gradEnabled(): boolean {
    return this.lowering.gradEnabled;
  }

  /** Whether the module is what it was. */
  get holds(): boolean {
    return this.guard.holds();
  }

  /**
   * Runs the call with the arguments and the tensors in them; undefined when the interpreter has to.
   * @param finish what the outputs of the graph become before results are made of them
   */
  run(
    args: readonly IValue[],
    tensors: readonly Tensor[],
    finish?: (outputs: readonly Tensor[]) => readonly Tensor[],
  ): IValue | undefined {
    if (!this.guard.holds()) return undefined;
    const { lowering, operands, device, places, sources } = this;
    for (let index = 0; index < places.length; index++) operands[places[index]] = tensors[sources[index]];
    if (lowering.writes.length > 0 && this.hasSharedWrites()) return undefined;
    const { condition, requests } = lowering;
    const before = condition !== undefined && requests.length > 0 ? defaultGenerator.getState() : undefined;
    const rest = this.fixedPart?.restOf(operands);
    const computed =
      rest === undefined
        ? runRecorded(this.name, (this.fn ??= this.wholeAgain(args)), this.inputs(), device, this.placed)
        : runRecorded(this.name, this.fixedPart!.rest, rest, device, this.placed);
    const outputs = finish === undefined ? computed : finish(computed);
    if (condition !== undefined && outputs[condition].element() !== true) {
      if (before !== undefined) defaultGenerator.setState(before);
      this.release();
      return undefined;
    }
    const { writes } = lowering;
    for (let index = 0; index < writes.length; index++) {
      const { operand, output } = writes[index];
      operands[operand].writeBytes(outputs[output].bytes());
      operands[operand].storage.version++;
    }
    const { result } = lowering;
    // The usual result, by itself.
    const value =
      result.kind === 'tensor'
        ? (outputs[result.output] as unknown as IValue)
        : this.assemble(result, outputs, new Map());
    this.release();
    return value;
  }

  /** What the whole graph is run on. */
  private inputs(): Tensor[] {
    const { operands, device } = this;
    const { inputs, requests } = this.lowering;
    const given = new Array<Tensor>(inputs.length);
    for (let index = 0; index < inputs.length; index++) given[index] = operands[inputs[index]];
    return requests.length === 0 ? given : given.concat(drawRequests(requests, device));
  }

  /** The graph was given up to the parts, and most calls never need it whole. */
  private wholeAgain(args: readonly IValue[]): CoreFunction {
    return this.whole(this.again(args), false);
  }

  /** Arguments are not kept alive between calls. */
  private release(): void {
    const { places, operands } = this;
    const none = nothing();
    for (let index = 0; index < places.length; index++) operands[places[index]] = none;
  }

  /** Two operands on one storage, one of them written: their aliasing is not in the graph. */
  private hasSharedWrites(): boolean {
    return this.lowering.writes.some(({ operand }) =>
      this.operands.some(
        (other, index) => index !== operand && other.storage === this.operands[operand].storage,
      ),
    );
  }

  private refuseSharedWrites(): void {
    if (this.hasSharedWrites())
      throw new UnsupportedError('a tensor is changed whose memory another one shares');
  }

  private assemble(
    structure: ResultStructure,
    outputs: readonly Tensor[],
    views: Map<ResultStructure | ViewCall, IValue>,
  ): IValue {
    switch (structure.kind) {
      case 'tensor':
        return outputs[structure.output] as unknown as IValue;
      case 'operand':
        return this.operands[structure.operand] as unknown as IValue;
      case 'view': {
        const { base, geometry, dtype } = structure;
        const seen = (): IValue =>
          viewOf(
            this.assemble(base, outputs, views) as unknown as Tensor,
            geometry,
            dtype,
          ) as unknown as IValue;
        return made(views, structure, seen);
      }
      case 'call': {
        const { base, call, output } = structure;
        const result = made(views, call, () => {
          const parent = this.assemble(base, outputs, views);
          return withDispatchHook(null, () => invoke(call.operator, [parent, ...call.args.slice(1)]));
        });
        return Array.isArray(result) ? result[output] : result;
      }
      case 'number': {
        const value = outputs[structure.output].element();
        return (structure.type === 'int' ? BigInt(value as number) : value) as IValue;
      }
      case 'constant':
        return structure.value;
      case 'list': {
        const items = structure.items.map((item) => this.assemble(item, outputs, views));
        return structure.type === undefined ? items : tagContainer(items, structure.type);
      }
      case 'tuple':
        return new TupleValue(
          structure.items.map((item) => this.assemble(item, outputs, views)),
          structure.type,
        );
      case 'dict': {
        const dict = new Map<IValue, IValue>();
        for (const [key, item] of structure.entries) dict.set(key, this.assemble(item, outputs, views));
        return structure.type === undefined ? dict : tagContainer(dict, structure.type);
      }
      default:
        return structure satisfies never;
    }
  }
}

/** A function's name without what it belongs to. */
export const shortName = ({ name }: ScriptFunction): string => name.slice(name.lastIndexOf('.') + 1);

const optimizeCore = (graph: Graph): void => void optimize(graph, 'core');

/** What was made already, or is made now. */
function made<K>(known: Map<K, IValue>, key: K, make: () => IValue): IValue {
  let value = known.get(key);
  if (value === undefined) known.set(key, (value = make()));
  return value;
}

function viewOf(base: Tensor, { sizes, strides, offset }: Strided, dtype: DType): Tensor {
  const start =
    base.dtype === dtype ? base.offset : (base.offset * dtypes[base.dtype].bytes) / dtypes[dtype].bytes;
  return base.onStorage({ sizes, strides, offset: start + offset }, dtype);
}

let empty: Tensor | undefined;
/** Stands for arguments between calls. */
const nothing = (): Tensor => (empty ??= Tensor.allocate('float32', [0], hostDevice()));
