// A whole method of a scripted module, or a function, as one core graph for given input shapes: what is compiled for a
// device, split over workers and trained. Parameters and buffers become inputs, mutated ones come back as outputs.
import type { Graph, IValue, ObjectValue, ScriptFunction, TensorSpec, Value } from '@weft/ir';
import { CoreBuilder, Graph as IrGraph, TupleValue, UnsupportedError, specOf } from '@weft/ir';
import { methodOf } from '../runtime/methods.ts';
import type { LoweringInput } from './arguments.ts';
import { symbolicArgument } from './arguments.ts';
import { Evaluator } from './evaluator.ts';
import type { HeldTensor } from './module-copy.ts';
import { ModuleCopy } from './module-copy.ts';
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

class Lowerer {
  private readonly graph = new IrGraph();
  private readonly module = new ModuleCopy();
  private readonly inputIndex = new Map<HeldTensor, number>();
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
    const self = object === undefined ? [] : [this.module.copyObject(object, '')];
    // Parameters first: inputs of the graph are in a stated order whatever the order of attributes.
    const parameters = this.module.held.filter((held) => held.isParameter);
    const buffers = this.module.held.filter((held) => !held.isParameter);
    for (const held of [...parameters, ...buffers]) {
      held.tensor.storage.replace(scratch.input(held.tensor.spec, held.names[0]));
    }
    const inputs: { path: string; tensor: SymbolicTensor; initial: Value }[] = [];
    const args = given.map((value, index) =>
      symbolicArgument(scratch, value, names[index] ?? `input${index}`, (path, tensor) =>
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
    this.module.checkAttributes();
    const describe = (held: HeldTensor): LoweredTensor => {
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

  /** The output with what the attribute holds at the end, when that is not what it held. */
  private replacement(
    b: CoreBuilder,
    held: HeldTensor,
    initial: Value,
    output: (value: Value) => number,
  ): { output?: number } {
    const now = this.module.now(held);
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

  // ---- results --------------------------------------------------------------------------------------------------

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
