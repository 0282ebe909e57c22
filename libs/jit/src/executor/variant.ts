// A function compiled for one pattern of arguments: guard, operands, one run of the graph, results put together. Whatever
// keeps it from standing for the call (a failed guard, a condition that does not hold) leaves everything as it was, so that
// the interpreter can take over.
import type { Graph, IValue, ScriptFunction } from '@weft/ir';
import { TupleValue, UnsupportedError, tagContainer } from '@weft/ir';
import type { Strided } from '@weft/ops';
import {
  CoreFunction,
  Tensor,
  defaultGenerator,
  drawRequests,
  hostDevice,
  prepareDerivative,
  runRecorded,
} from '@weft/tensor';
import type { ExactLowering, ResultStructure } from '../lower/index.ts';
import { lowerExactly } from '../lower/index.ts';
import { optimize } from '../passes/index.ts';
import { StateGuard } from './state-guard.ts';

export interface VariantOptions {
  readonly unrollLimit: number;
  readonly gradEnabled: boolean;
}

export class Variant {
  private readonly fn: CoreFunction;
  private readonly guard: StateGuard;
  private readonly device;
  private readonly operands: Tensor[];
  /** Places of `operands` that come from the call, and for each its number among the call's tensors. */
  private readonly places: readonly number[];
  private readonly sources: readonly number[];

  private constructor(
    private readonly name: string,
    private readonly lowering: ExactLowering,
    tensors: readonly Tensor[],
  ) {
    this.guard = new StateGuard(lowering.objects);
    const places: number[] = [];
    const sources: number[] = [];
    this.operands = lowering.operands.map((source, place) => {
      if (source.kind === 'held') return source.tensor;
      places.push(place);
      sources.push(source.index);
      return tensors[source.index];
    });
    this.places = places;
    this.sources = sources;
    const devices = new Set(this.operands.map((tensor) => tensor.storage.device));
    if (devices.size > 1) throw new UnsupportedError('the tensors of the call are on several devices');
    const isStrided = this.operands.some((tensor) => !tensor.isRowMajor);
    if (isStrided) throw new UnsupportedError('a tensor of the module is strided');
    this.device = this.operands[0]?.storage.device ?? hostDevice();
    this.fn = new CoreFunction(lowering.graph, { requests: lowering.requests, optimize: optimizeCore });
    if (lowering.gradEnabled) {
      prepareDerivative(
        this.fn,
        lowering.inputs.map((operand) => this.operands[operand]),
      );
    }
    this.refuseSharedWrites();
    this.release();
  }

  /** Throws UnsupportedError, or the program's own error, when no graph can stand for such calls. */
  static compile(
    callee: ScriptFunction,
    args: readonly IValue[],
    tensors: readonly Tensor[],
    options: VariantOptions,
  ): Variant {
    const name = callee.name.slice(callee.name.lastIndexOf('.') + 1);
    return new Variant(name, lowerExactly(callee, args, options), tensors);
  }

  get gradEnabled(): boolean {
    return this.lowering.gradEnabled;
  }

  /** Runs the call with the tensors of its arguments; undefined when the interpreter has to. */
  run(tensors: readonly Tensor[]): IValue | undefined {
    if (!this.guard.holds()) return undefined;
    const { lowering, operands, fn, device, places, sources } = this;
    for (let index = 0; index < places.length; index++) operands[places[index]] = tensors[sources[index]];
    if (lowering.writes.length > 0 && this.hasSharedWrites()) return undefined;
    const { condition, requests } = lowering;
    const inputs = new Array<Tensor>(lowering.inputs.length);
    for (let index = 0; index < inputs.length; index++) inputs[index] = operands[lowering.inputs[index]];
    const before = condition !== undefined && requests.length > 0 ? defaultGenerator.getState() : undefined;
    const all = requests.length === 0 ? inputs : [...inputs, ...drawRequests(requests, device)];
    const outputs = runRecorded(this.name, fn, all, device);
    if (condition !== undefined && outputs[condition].element() !== true) {
      if (before !== undefined) defaultGenerator.setState(before);
      this.release();
      return undefined;
    }
    for (const { operand, output } of lowering.writes) {
      operands[operand].writeBytes(outputs[output].bytes());
      operands[operand].storage.version++;
    }
    const { result } = lowering;
    // The usual result, by itself.
    const isPlain = result.kind === 'tensor' && result.view === undefined;
    const value = isPlain
      ? (outputs[result.output] as unknown as IValue)
      : this.assemble(result, outputs, new Map());
    this.release();
    return value;
  }

  /** Arguments are not kept alive between calls. */
  private release(): void {
    const { places, operands } = this;
    for (let index = 0; index < places.length; index++) operands[places[index]] = nothing;
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
    views: Map<ResultStructure, Tensor>,
  ): IValue {
    switch (structure.kind) {
      case 'tensor':
      case 'operand': {
        const base =
          structure.kind === 'tensor' ? outputs[structure.output] : this.operands[structure.operand];
        if (structure.view === undefined) return base as unknown as IValue;
        let view = views.get(structure);
        if (view === undefined) views.set(structure, (view = viewOf(base, structure.view)));
        return view as unknown as IValue;
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

const optimizeCore = (graph: Graph): void => void optimize(graph, 'core');

const viewOf = (base: Tensor, { sizes, strides, offset }: Strided): Tensor =>
  base.onStorage({ sizes, strides, offset: base.offset + offset });

const nothing = Tensor.allocate('float32', [0], hostDevice());
