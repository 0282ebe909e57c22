// A function lowered so that running the graph is the same as interpreting it once, for the executor: results that are
// operands or views of them stay so, random numbers are drawn from the generator in the program's order, errors that depend
// on data are conditions of the graph. What cannot be kept is refused.
import type { Block, DType, Graph, IValue, RandomRequest, ScriptFunction, Type, Value } from '@weft/ir';
import {
  CoreBuilder,
  Graph as IrGraph,
  ObjectValue,
  TupleValue,
  UnsupportedError,
  containerType,
  dtypes,
  numel,
  removeDeadCode,
  specOf,
} from '@weft/ir';
import type { Strided } from '@weft/ops';
import { isDense, stopGradient, stopsGradient, valuesEqual } from '@weft/ops';
import type { Tensor } from '@weft/tensor';
import { symbolicArgument } from './arguments.ts';
import { Evaluator } from './evaluator.ts';
import type { HostStep } from './host-steps.ts';
import { ModuleCopy } from './module-copy.ts';
import { Requirements } from './requirements.ts';
import type { SymbolicStorage, SymbolicTensor, ViewCall } from './symbolic.ts';
import { isSymbolic } from './symbolic.ts';

/** A tensor that the graph reads: one of the module, or the n-th of those in the arguments (in the order of a walk). */
export type OperandSource =
  { readonly kind: 'held'; readonly tensor: Tensor } | { readonly kind: 'argument'; readonly index: number };

/** How a result is put together. `output` counts the outputs of the graph, `operand` the operands. */
export type ResultStructure =
  | { readonly kind: 'tensor'; readonly output: number }
  | { readonly kind: 'operand'; readonly operand: number }
  /** Memory of another result, or of an operand, seen otherwise. */
  | {
      readonly kind: 'view';
      readonly base: ResultStructure;
      readonly geometry: Strided;
      readonly dtype: DType;
    }
  /** One of the views that an operator makes; it is called, so that it stands on the tape. */
  | {
      readonly kind: 'call';
      readonly base: ResultStructure;
      readonly call: ViewCall;
      readonly output: number;
    }
  | { readonly kind: 'number'; readonly output: number; readonly type: 'int' | 'float' | 'bool' | 'complex' }
  | { readonly kind: 'constant'; readonly value: IValue }
  | { readonly kind: 'list'; readonly items: readonly ResultStructure[]; readonly type: Type | undefined }
  | {
      readonly kind: 'tuple';
      readonly items: readonly ResultStructure[];
      readonly type: TupleValue['type'];
    }
  | {
      readonly kind: 'dict';
      readonly entries: readonly (readonly [IValue, ResultStructure])[];
      readonly type: Type | undefined;
    };

export interface ExactLowering {
  /** Inputs: the operands marked as used, then what is drawn. Outputs: as named below. Not optimised yet. */
  readonly graph: Graph;
  readonly operands: readonly OperandSource[];
  /** The operands that are inputs of the graph, in order. */
  readonly inputs: readonly number[];
  readonly requests: readonly RandomRequest[];
  /** Operands that change, with the outputs that hold their new contents. */
  readonly writes: readonly { readonly operand: number; readonly output: number }[];
  /** Whether gradients are on, as they were when the graph was made. */
  readonly gradEnabled: boolean;
  /** Outputs that are results, before those that `writes` and `condition` name. */
  readonly result: ResultStructure;
  /** Strides of the outputs; undefined when all are row-major. */
  readonly strides: readonly (readonly number[] | null)[] | undefined;
  /** A boolean output: when it is false, nothing of the run may be used and the interpreter has to tell what is wrong. */
  readonly condition?: number;
  /** Everything of the module that the graph was made for; it holds while these slots hold what they held. */
  readonly objects: readonly ObjectValue[];
}

export interface ExactOptions {
  readonly unrollLimit: number;
  readonly gradEnabled: boolean;
  /** Receives what the program computes with numbers, text and lists. */
  readonly steps?: HostStep[];
  /** Whether results that look at memory of one another may have memory of their own, where nobody but the program has the whole. */
  readonly apart?: boolean;
}

/**
 * Lowers a function for values like `args`: tensors by dtype and shape, all else as it is.
 * Throws UnsupportedError (or the program's own error) when no graph can stand for the call.
 */
export function lowerExactly(
  callee: ScriptFunction,
  args: readonly IValue[],
  options: ExactOptions,
): ExactLowering {
  return new ExactLowerer(options).run(callee, args);
}

/** The inputs of the graph that are tensors of the module which running it does not change. */
export function fixedInputs({
  operands,
  inputs,
  writes,
}: Pick<ExactLowering, 'operands' | 'inputs' | 'writes'>): number[] {
  const written = new Set(writes.map(({ operand }) => operand));
  return inputs.flatMap((operand, index) =>
    operands[operand].kind === 'held' && !written.has(operand) ? [index] : [],
  );
}

class ExactLowerer {
  private readonly graph = new IrGraph();
  private readonly requirements = new Requirements();
  private readonly module = new ModuleCopy();
  private readonly b: CoreBuilder;
  private readonly evaluator: Evaluator;
  private readonly isApart: boolean;
  /** Operands by the storage that stands for them. */
  private readonly operandOf = new Map<SymbolicStorage, number>();
  private readonly operandTensors: SymbolicTensor[] = [];
  /** Of the outputs. */
  private readonly strides: (readonly number[] | null)[] = [];
  /** Containers that belong to the caller: their identity is not ours to give. */
  private readonly callers = new Set<IValue>();

  constructor({ unrollLimit, gradEnabled, steps, apart = false }: ExactOptions) {
    this.isApart = apart;
    this.b = new CoreBuilder(this.graph, {
      draw: (builder, request) => {
        if (builder.graph.getInsertPoint().block !== this.graph.block) {
          this.requirements.refuse(
            'random numbers are drawn in a branch or loop that depends on tensor data',
          );
        }
        this.requirements.requests.push(request);
        return builder.input({ kind: 'Tensor', dtype: request.dtype, sizes: request.sizes });
      },
    });
    this.evaluator = new Evaluator(this.b, unrollLimit, this.requirements, steps);
    this.evaluator.gradEnabled = gradEnabled;
  }

  /** Whether results may get a history, which only outputs of the graph can carry. */
  private get isRecorded(): boolean {
    return this.evaluator.gradEnabled && this.operandTensors.some((tensor) => tensor.requiresGrad);
  }

  run(callee: ScriptFunction, given: readonly IValue[]): ExactLowering {
    const { b, graph } = this;
    const operands: { source: OperandSource; tensor: SymbolicTensor; initial: Value }[] = [];
    const add = (source: OperandSource, tensor: SymbolicTensor): void => {
      this.operandOf.set(tensor.storage, operands.length);
      this.operandTensors.push(tensor);
      operands.push({ source, tensor, initial: tensor.storage.value });
    };
    let count = 0;
    const args = given.map((value, index) => {
      if (value instanceof ObjectValue) return this.module.copyObject(value, '');
      refuseObjects(value);
      return symbolicArgument(
        b,
        value,
        callee.schema.arguments[index]?.name ?? `input${index}`,
        (_, tensor) => add({ kind: 'argument', index: count++ }, tensor),
      );
    });
    for (const { tensor, source, names } of this.module.held) {
      tensor.storage.replace(b.input(tensor.spec, names[0]));
      add({ kind: 'held', tensor: source as unknown as Tensor }, tensor);
    }
    this.module.copies.forEach((copy) => copy.slots.forEach((slot) => this.ownedByCaller(slot)));
    args.forEach((value) => this.ownedByCaller(value));
    const before = args.map(snapshot);

    const { gradEnabled } = this.evaluator;
    const results = this.evaluator.run(callee.graph, args);
    graph.currentSource = undefined;
    if (this.evaluator.gradEnabled !== gradEnabled) this.requirements.refuse('the gradient mode is changed');
    args.forEach((value, index) => {
      if (!unchanged(value, before[index]))
        this.requirements.refuse('a list or dict of the caller is changed');
    });
    this.module.checkAttributes();
    for (const held of this.module.held) {
      if (this.module.now(held) !== held.tensor)
        this.requirements.refuse(`the tensor '${held.names[0]}' is replaced by another`);
    }

    const result = this.result(results[0] ?? null);
    this.refuseChosenAliases();
    if (this.isApart) this.refuseSharedResults();
    const writes = operands.flatMap(({ tensor, initial }, operand) => {
      const { value } = tensor.storage;
      if (value === initial) return [];
      // The history of a tensor that is changed in place is the tape's; running statistics have none.
      if (tensor.requiresGrad && gradEnabled)
        this.requirements.refuse('a tensor that requires a gradient is changed in place');
      if (!isDense(tensor.sizes, tensor.strides))
        this.requirements.refuse('a tensor that has gaps or overlaps itself is changed in place');
      return [{ operand, output: this.output(gradEnabled ? stopGradient(b, value) : value) }];
    });
    const conjunction = this.requirements.conjunction(b);
    const condition = conjunction === undefined ? undefined : this.output(conjunction);
    if (!gradEnabled) forgetGradients(graph.block);
    removeDeadCode(graph);
    const inputs = operands.flatMap(({ initial }, operand) => (initial.hasUses ? [operand] : []));
    const unused = operands.filter(({ initial }) => !initial.hasUses);
    for (const { initial } of unused) graph.block.removeInput(graph.inputs.indexOf(initial));
    return {
      graph,
      operands: operands.map(({ source }) => source),
      inputs,
      requests: this.requirements.requests,
      writes,
      gradEnabled,
      result,
      strides: this.strides.some((each) => each !== null) ? this.strides : undefined,
      condition,
      objects: [...this.module.copies.keys()],
    };
  }

  /** @param strides of the output, where they are not row-major */
  private output(value: Value, strides: readonly number[] | null = null): number {
    this.graph.addOutput(value);
    return this.strides.push(strides) - 1;
  }

  private ownedByCaller(value: IValue): void {
    if (Array.isArray(value) || value instanceof Map) this.callers.add(value);
    if (Array.isArray(value) || value instanceof Map)
      for (const item of value.values()) this.ownedByCaller(item);
    else if (value instanceof TupleValue) value.items.forEach((item) => this.ownedByCaller(item));
  }

  /** Whether a result is an operand, or another result, must not depend on data. */
  private refuseChosenAliases(): void {
    const returned = new Set([...this.tensors.keys()].map(({ storage }) => storage));
    for (const { mayBe } of returned) {
      for (const other of mayBe)
        if (this.operandOf.has(other) || returned.has(other))
          this.requirements.refuse('as tensor data decides, a result is another tensor or a new one');
    }
  }

  /** Results that share memory cannot have memory of their own. */
  private refuseSharedResults(): void {
    const storages = [...this.tensors.keys()].map(({ storage }) => storage);
    if (new Set(storages).size < storages.length) this.requirements.refuse('results of it share memory');
  }

  // ---- results --------------------------------------------------------------------------------------------------

  private readonly tensors = new Map<SymbolicTensor, ResultStructure>();

  private result(value: IValue): ResultStructure {
    if (isSymbolic(value)) {
      let known = this.tensors.get(value);
      if (known === undefined) this.tensors.set(value, (known = this.tensor(value)));
      return known;
    }
    if (this.callers.has(value)) this.requirements.refuse('a list or dict of the caller is returned');
    if (Array.isArray(value)) {
      return { kind: 'list', items: value.map((item) => this.result(item)), type: containerType(value) };
    }
    if (value instanceof TupleValue) {
      return { kind: 'tuple', items: value.items.map((item) => this.result(item)), type: value.type };
    }
    if (value instanceof Map) {
      const entries = [...value].map(([key, item]) => [key, this.result(item)] as const);
      return { kind: 'dict', entries, type: containerType(value) };
    }
    if (value instanceof ObjectValue) this.requirements.refuse('an object is returned');
    if (typeof value === 'object' && value !== null && 'wait' in value)
      this.requirements.refuse('a future is returned');
    return { kind: 'constant', value };
  }

  private tensor(value: SymbolicTensor): ResultStructure {
    const { b } = this;
    if (value.numberKind !== undefined)
      return { kind: 'number', output: this.output(value.read(b)), type: value.numberKind };
    const { view, storage } = value;
    const operand = this.operandOf.get(storage);
    if (view === undefined) {
      if (operand !== undefined) return { kind: 'operand', operand };
      return { kind: 'tensor', output: this.output(storage.value, stridesOf(value)) };
    }
    const base = specOf(storage.value);
    const isPlaced = value.isPlaced && (this.isRecorded ? view.made !== undefined : true);
    if (operand !== undefined) {
      if (!isPlaced) this.requirements.refuse('a view at a place that depends on data is returned');
      // Whether the memory begins where elements of another width may is known only when it runs.
      if (dtypes[value.dtype].bytes > dtypes[base.dtype].bytes)
        this.requirements.refuse('a view as a wider dtype is returned');
    } else if (!isPlaced || this.isApart || isWasteful(value, numel(base.sizes))) {
      const isKept = isDense(value.sizes, value.strides);
      return { kind: 'tensor', output: this.output(value.read(b), isKept ? stridesOf(value) : null) };
    }
    if (this.isRecorded) {
      const { call, output } = view.made!;
      return { kind: 'call', base: this.result(view.parent), call, output };
    }
    const { sizes, strides, offset, dtype } = value;
    return { kind: 'view', base: this.baseOf(value), geometry: { sizes, strides, offset }, dtype };
  }

  /** The tensor that the storage of a view is of. */
  private baseOf(value: SymbolicTensor): ResultStructure {
    let base = value;
    while (base.view !== undefined) base = base.view.parent;
    return this.result(base);
  }
}

/** A graph that is never differentiated need not say where gradients end, and passes see through. */
function forgetGradients(block: Block): void {
  for (const node of block.nodes()) {
    node.blocks.forEach(forgetGradients);
    if (stopsGradient(node)) node.replaceWith([...node.inputs]);
  }
}

/** Elements of a storage that may be kept for the sake of a view of a small part of it. */
const largestKept = 1 << 14;

const isWasteful = (view: SymbolicTensor, whole: number): boolean =>
  whole > largestKept && whole > 2 * numel(view.sizes);

const stridesOf = (value: SymbolicTensor): readonly number[] | null =>
  value.hasRowMajorStrides ? null : value.strides;

/** Objects of users' classes among the arguments would have to be watched as modules are. */
function refuseObjects(value: IValue): void {
  if (value instanceof ObjectValue || (typeof value === 'object' && value !== null && 'wait' in value))
    throw new UnsupportedError('an object inside a list, tuple or dict is an argument');
  if (Array.isArray(value) || value instanceof Map) for (const item of value.values()) refuseObjects(item);
  else if (value instanceof TupleValue) value.items.forEach(refuseObjects);
}

/** The items of a container, all the way down. */
type Snapshot = { readonly value: IValue; readonly items: readonly Snapshot[] };

function snapshot(value: IValue): Snapshot {
  const items =
    Array.isArray(value) || value instanceof Map
      ? [...(value.values() as Iterable<IValue>)].map(snapshot)
      : value instanceof TupleValue
        ? value.items.map(snapshot)
        : [];
  return { value, items };
}

function unchanged(value: IValue, before: Snapshot): boolean {
  if (value !== before.value) return isSymbolic(value) ? false : valuesEqual(value, before.value);
  const now = snapshot(value);
  return (
    now.items.length === before.items.length &&
    now.items.every((item, index) => unchanged(item.value, before.items[index]))
  );
}
