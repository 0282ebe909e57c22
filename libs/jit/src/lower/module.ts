// A whole method of a scripted module, or a function, as one core graph for given input shapes: what is compiled for a
// device, split over workers and trained. Parameters and buffers become inputs, mutated ones come back as outputs.
import type { ClassType, Graph, IValue, ScriptFunction, TensorSpec, Value, TensorLiteral } from '@weft/ir';
import {
  CoreBuilder,
  Graph as IrGraph,
  ObjectValue,
  TupleValue,
  UnsupportedError,
  containerType,
  isTensorLike,
  specOf,
  tagContainer,
  tensorSpec,
} from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import { Tensor } from '@weft/tensor';
import { methodOf } from '../runtime/methods.ts';
import { Evaluator } from './evaluator.ts';
import { PhiloxSource, randomStateSpec } from './philox.ts';
import { optimize } from '../passes/index.ts';
import { SymbolicStorage, SymbolicTensor, isSymbolic } from './symbolic.ts';

/** A tensor of the module: its name as in the state dict, and where it is among the graph's inputs. */
export interface LoweredTensor {
  readonly name: string;
  readonly spec: TensorSpec;
  readonly input: number;
  /** The graph's output with its new contents, when the method changes it. */
  readonly output?: number;
  /** Further names of the same tensor (tied weights). */
  readonly aliases: readonly string[];
  /** The tensor itself, to feed the graph with. */
  readonly tensor: IValue;
}

export interface LoweredInput {
  /** The argument and the way into it: `x`, `pair.0`, `batch.ids`. */
  readonly path: string;
  readonly spec: TensorSpec;
  readonly input: number;
  /** The graph's output with its new contents, when the method changes it in place. */
  readonly output?: number;
}

/** What the method returns: tensors by their output index, everything else as it is. */
export type OutputStructure =
  | { readonly kind: 'tensor'; readonly output: number }
  /** A number that depends on data: a 0-d tensor. */
  | { readonly kind: 'number'; readonly output: number; readonly type: 'int' | 'float' | 'bool' | 'complex' }
  | { readonly kind: 'constant'; readonly value: IValue }
  | { readonly kind: 'list' | 'tuple'; readonly items: readonly OutputStructure[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [IValue, OutputStructure])[] };

export interface LoweredModule {
  /** Inputs: parameters, buffers, inputs, random state. Outputs: results, then new contents and the new random state. */
  readonly graph: Graph;
  /** In the order of the state dict. */
  readonly parameters: readonly LoweredTensor[];
  readonly buffers: readonly LoweredTensor[];
  readonly inputs: readonly LoweredInput[];
  readonly outputs: OutputStructure;
  /** uint64[2]; there when the method draws random numbers. */
  readonly randomState?: { readonly input: number; readonly output: number };
}

export interface LowerOptions {
  /** Loops of a known count above this become core loops instead of being unrolled. Default 1000. */
  readonly unrollLimit?: number;
}

/**
 * An argument: a TensorSpec is an input of the graph, a tensor too (by its dtype and shape), anything else is known. Lists,
 * tuples and dicts of them are walked.
 */
export type LoweringInput = TensorSpec | IValue | readonly LoweringInput[];

/**
 * Lowers a method of a module.
 * Throws UnsupportedError naming the operator and the line for what cannot be part of a compiled graph.
 */
export function lowerModule(
  object: ObjectValue,
  method: string,
  inputs: readonly LoweringInput[],
  options: LowerOptions = {},
): LoweredModule {
  const callee = methodOf(object, method);
  const names = callee.schema.arguments.slice(1).map((argument) => argument.name);
  return new Lowerer(options).run(object, inputs, names, callee.graph);
}

/** Lowers a function. */
export function lowerFunction(
  callee: ScriptFunction,
  inputs: readonly LoweringInput[],
  options: LowerOptions = {},
): LoweredModule {
  const names = callee.schema.arguments.map((argument) => argument.name);
  return new Lowerer(options).run(undefined, inputs, names, callee.graph);
}

/** Lowers a torch graph whose inputs are all given. */
export function lowerGraph(
  graph: Graph,
  inputs: readonly LoweringInput[],
  options: LowerOptions = {},
): LoweredModule {
  const names = graph.inputs.map((input) => input.name);
  return new Lowerer(options).run(undefined, inputs, names, graph);
}

/** A tensor of the module while it is lowered. */
interface Held {
  readonly names: string[];
  readonly isParameter: boolean;
  readonly source: IValue;
  readonly tensor: SymbolicTensor;
}

class Lowerer {
  private readonly graph = new IrGraph();
  private readonly held: Held[] = [];
  private readonly bySource = new Map<object, Held>();
  private readonly copies = new Map<ObjectValue, ObjectValue>();
  private readonly inputIndex = new Map<Held, number>();
  private readonly unrollLimit: number;

  constructor({ unrollLimit = 1000 }: LowerOptions) {
    this.unrollLimit = unrollLimit;
  }

  run(
    object: ObjectValue | undefined,
    given: readonly LoweringInput[],
    names: readonly string[],
    torch: Graph,
  ): LoweredModule {
    const scratch = new CoreBuilder(this.graph);
    const self = object === undefined ? [] : [this.copyObject(object, '')];
    // Parameters first: inputs of the graph are in a stated order whatever the order of attributes.
    const parameters = this.held.filter((held) => held.isParameter);
    const buffers = this.held.filter((held) => !held.isParameter);
    for (const held of [...parameters, ...buffers]) {
      held.tensor.storage.replace(scratch.input(held.tensor.spec, held.names[0]));
    }
    const inputs: { path: string; tensor: SymbolicTensor; initial: Value }[] = [];
    const args = given.map((value, index) =>
      this.input(scratch, value, names[index] ?? `input${index}`, (path, tensor) =>
        inputs.push({ path, tensor, initial: tensor.storage.value }),
      ),
    );
    const state = new SymbolicStorage(scratch.input(randomStateSpec, 'random_state'));
    const stateInput = state.value;
    const evaluator = this.evaluator(state);
    const results = evaluator.run(torch, [...self, ...args]);
    const { b } = evaluator;
    b.graph.currentSource = undefined;
    const structures = results.map((result) => this.structure(b, result));
    const outputs = structures.length === 1 ? structures[0] : ({ kind: 'tuple', items: structures } as const);
    const output = (value: Value): number => {
      this.graph.addOutput(value);
      return this.graph.outputs.length - 1;
    };
    const changed = (tensor: SymbolicTensor, initial: Value): { output?: number } =>
      tensor.storage.value === initial ? {} : { output: output(tensor.storage.value) };
    this.checkAttributes();
    const describe = (held: Held): LoweredTensor => {
      const initial = this.graph.inputs[this.inputIndex.get(held)!];
      const [name, ...aliases] = held.names;
      return {
        name,
        aliases,
        spec: held.tensor.spec,
        input: this.inputIndex.get(held)!,
        tensor: held.source,
        ...this.replacement(b, held, initial, output),
      };
    };
    [...parameters, ...buffers].forEach((held, index) => this.inputIndex.set(held, index));
    const lowered = {
      graph: this.graph,
      parameters: parameters.map(describe),
      buffers: buffers.map(describe),
      inputs: inputs.map(({ path, tensor, initial }) => ({
        path,
        spec: tensor.spec,
        input: this.graph.inputs.indexOf(initial),
        ...changed(tensor, initial),
      })),
      outputs,
    };
    const isRandom = state.value !== stateInput;
    const randomOutput = isRandom ? output(state.value) : -1;
    if (!isRandom) this.graph.block.removeInput(this.graph.inputs.indexOf(stateInput));
    optimize(this.graph, 'core');
    if (!isRandom) return lowered;
    return {
      ...lowered,
      randomState: { input: this.graph.inputs.indexOf(stateInput), output: randomOutput },
    };
  }

  private evaluator(state: SymbolicStorage): Evaluator {
    const holder: { evaluator?: Evaluator } = {};
    const b = new CoreBuilder(this.graph, {
      draw: (builder, request) => new PhiloxSource(state, holder.evaluator!.journal).draw(builder, request),
    });
    const evaluator = new Evaluator(b, this.unrollLimit);
    holder.evaluator = evaluator;
    evaluator.roots.push(new SymbolicTensor(state, randomStateSpec));
    return evaluator;
  }

  // ---- the module -----------------------------------------------------------------------------------------------

  /** A copy of a module that the evaluation may change, its tensors symbolic. */
  private copyObject(object: ObjectValue, prefix: string): ObjectValue {
    const known = this.copies.get(object);
    if (known !== undefined) return known;
    const copy = new ObjectValue(object.type, []);
    this.copies.set(object, copy);
    object.type.attributes.forEach((attribute, slot) => {
      const isParameter = attribute.isParameter === true;
      copy.slots.push(this.copyValue(object.slots[slot], `${prefix}${attribute.name}`, isParameter));
    });
    return copy;
  }

  private copyValue(value: IValue, name: string, isParameter: boolean): IValue {
    if (isTensorLike(value)) return this.hold(value, name, isParameter);
    if (value instanceof ObjectValue) return this.copyObject(value, `${name}.`);
    if (Array.isArray(value)) {
      const list = value.map((item, index) => this.copyValue(item, `${name}.${index}`, false));
      const type = containerType(value);
      return type === undefined ? list : tagContainer(list, type);
    }
    if (value instanceof TupleValue) {
      return new TupleValue(
        value.items.map((item, index) => this.copyValue(item, `${name}.${index}`, false)),
        value.type,
      );
    }
    if (value instanceof Map) {
      return new Map(
        [...value].map(([key, item]) => [key, this.copyValue(item, `${name}.${String(key)}`, false)]),
      );
    }
    return value;
  }

  private hold(source: IValue & object, name: string, isParameter: boolean): SymbolicTensor {
    const known = this.bySource.get(source);
    if (known !== undefined) {
      known.names.push(name);
      return known.tensor;
    }
    const { dtype, shape } = source as TensorLiteral | Tensor;
    const spec = tensorSpec(dtype, [...shape]);
    // The value is replaced by the graph's input once the order of inputs is known.
    const storage = new SymbolicStorage(placeholder(spec));
    const tensor = new SymbolicTensor(storage, spec);
    tensor.requiresGrad = source instanceof Tensor ? source.requiresGrad : isParameter;
    const held = { names: [name], isParameter, source, tensor };
    this.held.push(held);
    this.bySource.set(source, held);
    return tensor;
  }

  /** The output with what the attribute holds at the end, when that is not what it held. */
  private replacement(
    b: CoreBuilder,
    held: Held,
    initial: Value,
    output: (value: Value) => number,
  ): { output?: number } {
    const now = this.attributeNow(held);
    const value = now === undefined ? held.tensor.storage.value : now.read(b);
    if (value === initial) return {};
    const [spec, own] = [specOf(value), held.tensor.spec];
    if (spec.dtype !== own.dtype || spec.sizes.join() !== own.sizes.join()) {
      throw new UnsupportedError(
        `the method replaces '${held.names[0]}' (${own.dtype}[${own.sizes.join(', ')}]) by a ${spec.dtype}[${spec.sizes.join(', ')}]; a compiled graph keeps dtype and shape`,
      );
    }
    return { output: output(value) };
  }

  /** The tensor that stands now where `held` stood. */
  private attributeNow(held: Held): SymbolicTensor | undefined {
    for (const [object, copy] of this.copies) {
      const slot = object.slots.indexOf(held.source);
      if (slot >= 0) return isSymbolic(copy.slots[slot]) ? copy.slots[slot] : undefined;
    }
    return undefined;
  }

  /** State that is no tensor must be what it was: a compiled graph cannot hand it back. */
  private checkAttributes(): void {
    for (const [original, copy] of this.copies) {
      original.type.attributes.forEach((attribute, slot) => {
        const [before, after] = [original.slots[slot], copy.slots[slot]];
        if (isTensorLike(before) || before instanceof ObjectValue) return;
        if (holdsTensor(before) || holdsTensor(after) ? sameShape(before, after) : valuesEqual(before, after))
          return;
        throw new UnsupportedError(
          `the method changes the attribute '${attribute.name}' of ${className(original.type)}, which is no tensor; a compiled graph can only change tensors`,
        );
      });
    }
  }

  // ---- arguments and results ------------------------------------------------------------------------------------

  private input(
    b: CoreBuilder,
    given: LoweringInput,
    path: string,
    add: (path: string, tensor: SymbolicTensor) => void,
  ): IValue {
    const spec = specOfInput(given);
    if (spec !== undefined) {
      const tensor = SymbolicTensor.of(b.input(spec, path.replaceAll('.', '_')));
      add(path, tensor);
      return tensor;
    }
    const value = given as IValue;
    if (Array.isArray(value)) {
      const list = value.map((item, index) => this.input(b, item, `${path}.${index}`, add));
      const type = containerType(value);
      return type === undefined ? list : tagContainer(list, type);
    }
    if (value instanceof TupleValue) {
      return new TupleValue(
        value.items.map((item, index) => this.input(b, item, `${path}.${index}`, add)),
        value.type,
      );
    }
    if (value instanceof Map) {
      return new Map(
        [...value].map(([key, item]) => [key, this.input(b, item, `${path}.${String(key)}`, add)]),
      );
    }
    return value;
  }

  private structure(b: CoreBuilder, value: IValue): OutputStructure {
    if (isSymbolic(value)) {
      this.graph.addOutput(value.read(b));
      const output = this.graph.outputs.length - 1;
      return value.numberKind === undefined
        ? { kind: 'tensor', output }
        : { kind: 'number', output, type: value.numberKind };
    }
    if (Array.isArray(value)) return { kind: 'list', items: value.map((item) => this.structure(b, item)) };
    if (value instanceof TupleValue) {
      return { kind: 'tuple', items: value.items.map((item) => this.structure(b, item)) };
    }
    if (value instanceof Map) {
      return {
        kind: 'dict',
        entries: [...value].map(([key, item]) => [key, this.structure(b, item)] as const),
      };
    }
    return { kind: 'constant', value };
  }
}

/** A value that stands for a module's tensor until its input exists; nothing may read it. */
function placeholder(spec: TensorSpec): Value {
  return new IrGraph().addInput(spec);
}

function specOfInput(given: LoweringInput): TensorSpec | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  if ('kind' in given && (given as { kind: unknown }).kind === 'Tensor') {
    const { dtype, sizes } = given as TensorSpec;
    return tensorSpec(dtype, sizes);
  }
  if (!isTensorLike(given)) return undefined;
  return tensorSpec(given.dtype, [...given.shape]);
}

function holdsTensor(value: IValue): boolean {
  if (isTensorLike(value)) return true;
  if (Array.isArray(value)) return value.some(holdsTensor);
  if (value instanceof TupleValue) return value.items.some(holdsTensor);
  return value instanceof Map && [...value.values()].some(holdsTensor);
}

/** Whether containers of tensors are as long as they were and hold tensors where they did. */
function sameShape(before: IValue, after: IValue): boolean {
  if (isTensorLike(before) || isTensorLike(after)) return isTensorLike(before) && isTensorLike(after);
  const items = (value: IValue): readonly IValue[] | undefined =>
    Array.isArray(value)
      ? value
      : value instanceof TupleValue
        ? value.items
        : value instanceof Map
          ? [...value.values()]
          : undefined;
  const [first, second] = [items(before), items(after)];
  if (first === undefined || second === undefined) return valuesEqual(before, after);
  return first.length === second.length && first.every((item, index) => sameShape(item, second[index]));
}

const className = (type: ClassType): string => type.name.slice(type.name.lastIndexOf('.') + 1);
