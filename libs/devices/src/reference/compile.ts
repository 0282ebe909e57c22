// From a core graph to a program: composites are opened, nodes are scheduled into units (schedule.ts), each unit becomes
// kernels over registers, and every temporary gets a place in one arena that is free again after its last reader.
import type { Block, Graph, Node, TensorSpec, Value } from '@weft/ir';
import { InternalError, coreOperator, dtypes, numel } from '@weft/ir';
import type { DType, TensorLiteral } from '@weft/ir';
import type { Cost } from '../device.ts';
import { ArenaPlan } from './arena.ts';
import { copyKernel } from './copy.ts';
import type { Argument, Load, Step, Store } from './elementwise.ts';
import { elementwiseKernel, elementwiseStep } from './elementwise.ts';
import { emitters } from './families.ts';
import { halfValues, isHalf } from './half.ts';
import type { Kernel, Region, Site } from './program.ts';
import { unsupported } from './program.ts';
import { countOf, isBroadcast, rootOf, schedule, valuesRead } from './schedule.ts';
import type { TypedArray } from './typed-array.ts';
import { arrayOfLiteral, isBig, stridesOf } from './typed-array.ts';

/** What a register is bound to. */
export type RegisterPlan =
  | {
      readonly kind: 'input' | 'output';
      readonly index: number;
      readonly dtype: DType;
      readonly count: number;
    }
  | { readonly kind: 'constant'; readonly array: TypedArray }
  | { readonly kind: 'scratch'; readonly offset: number; readonly dtype: DType; readonly count: number };

export interface Program {
  readonly registers: readonly RegisterPlan[];
  readonly kernels: readonly Kernel[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Bytes of the arena. */
  readonly scratch: number;
  readonly cost: Cost;
}

const specOf = (value: Value): TensorSpec => value.type as TensorSpec;

/** Throws UnsupportedError naming the node that the reference device does not evaluate. */
export function compileGraph(source: Graph): Program {
  const graph = source.clone();
  openComposites(graph.block);
  return new Compiler().compile(graph);
}

/** Replaces every composite by its body. */
export function openComposites(block: Block): void {
  for (const node of [...block.nodes()]) {
    if (node.kind === 'core::composite') openComposite(node, true);
    else for (const nested of node.blocks) openComposites(nested);
  }
}

/**
 * Replaces a composite by its body, whose nodes are moved before it and returned. Result: the node is gone. With
 * `deeply`, composites inside are opened too.
 */
export function openComposite(node: Node, deeply = false): Node[] {
  const [body] = node.blocks;
  if (deeply) openComposites(body);
  body.inputs.forEach((input, index) => input.replaceAllUsesWith(node.inputs[index]));
  const moved = [...body.nodes()];
  for (const inside of moved) inside.moveBefore(node);
  const results = [...body.outputs];
  node.outputs.forEach((output, index) => output.replaceAllUsesWith(results[index]));
  node.destroy();
  return moved;
}

class Compiler {
  private readonly registers: RegisterPlan[] = [];
  private readonly arena = new ArenaPlan();
  private readonly registerOf = new Map<Value, number>();
  private readonly offsets = new Map<number, number>();
  private flops = 0;
  private bytes = 0;

  compile(graph: Graph): Program {
    graph.inputs.forEach((input, index) => {
      this.registerOf.set(input, this.addRegister({ kind: 'input', index, ...shapeOf(specOf(input)) }));
    });
    const results = graph.outputs.map((output, index) =>
      this.addRegister({ kind: 'output', index, ...shapeOf(specOf(output)) }),
    );
    const kernels: Kernel[] = [];
    this.compileBlock(graph.block, kernels, results);
    return {
      registers: this.registers,
      kernels,
      inputs: graph.inputs.map(specOf),
      outputs: graph.outputs.map(specOf),
      scratch: this.arena.size,
      cost: { flops: this.flops, bytes: this.bytes },
    };
  }

  private addRegister(plan: RegisterPlan): number {
    this.registers.push(plan);
    return this.registers.length - 1;
  }

  private allocate(dtype: DType, count: number): number {
    const offset = this.arena.allocate(count * dtypes[dtype].bytes);
    const register = this.addRegister({ kind: 'scratch', offset, dtype, count });
    this.offsets.set(register, offset);
    return register;
  }
  private release(register: number): void {
    const offset = this.offsets.get(register);
    if (offset === undefined) return;
    this.offsets.delete(register);
    this.arena.free(offset);
  }

  /** The register of a computed value, parameter or constant. */
  private registerFor(value: Value): number {
    const root = rootOf(value);
    let register = this.registerOf.get(root);
    if (register === undefined) {
      if (root.node.kind !== 'core::constant') {
        throw new InternalError(`%${root.name} (${root.node.kind}) is read before it is computed`);
      }
      register = this.addRegister({ kind: 'constant', array: arrayOfLiteral(root.node.get('t', 'value')) });
      this.registerOf.set(root, register);
    }
    return register;
  }

  /**
   * Appends the kernels of a block whose parameters have registers. Results are written to `targets` if they are given;
   * else they stay in the registers returned, which the caller releases.
   */
  private compileBlock(
    block: Block,
    kernels: Kernel[],
    targets?: readonly number[],
  ): { results: number[]; held: number[] } {
    const units = schedule(block);
    const roots = block.outputs.map(rootOf);
    const lastUse = new Map<Value, number>();
    units.forEach((unit, index) => {
      const nodes = unit.kind === 'node' ? [unit.node] : unit.nodes;
      for (const node of nodes) {
        for (const value of valuesRead(node)) {
          const root = rootOf(value);
          lastUse.set(root, index);
          if (isBroadcast(root)) lastUse.set(rootOf(root.node.inputs[0]), index);
        }
      }
    });
    for (const root of roots) lastUse.set(root, Infinity);

    const computed = new Set<Value>();
    for (const unit of units) {
      for (const node of unit.kind === 'node' ? [unit.node] : unit.nodes) {
        for (const output of node.outputs) computed.add(output);
      }
    }
    // A result that is computed here and is one only once is computed in its place.
    const placed = roots.map(() => false);
    if (targets !== undefined) {
      const taken = new Set<Value>();
      roots.forEach((root, index) => {
        if (taken.has(root) || !computed.has(root)) return;
        taken.add(root);
        placed[index] = true;
        this.registerOf.set(root, targets[index]);
      });
    }

    const held: number[] = [];
    const owned = new Map<number, Value[]>();
    units.forEach((unit, index) => {
      const results =
        unit.kind === 'node' ? unit.node.outputs : storedOutputs(unit.nodes).map((node) => node.output);
      for (const value of results) {
        if (this.registerOf.has(value)) continue;
        const register = this.allocate(specOf(value).dtype, countOf(value));
        this.registerOf.set(value, register);
        const last = lastUse.get(value) ?? index;
        if (last === Infinity) held.push(register);
        else owned.set(last, [...(owned.get(last) ?? []), value]);
      }
      if (unit.kind === 'node') this.emitNode(unit.node, kernels);
      else this.emitGroup(unit.nodes, kernels);
      for (const value of owned.get(index) ?? []) this.release(this.registerOf.get(value)!);
    });

    const results = roots.map((root, index) => {
      const register = this.registerFor(root);
      if (targets === undefined) return register;
      if (!placed[index]) kernels.push(copyKernel(register, targets[index]));
      return targets[index];
    });
    return { results, held };
  }

  private emitNode(node: Node, kernels: Kernel[]): void {
    const emit = emitters.get(node.operator);
    if (emit === undefined) throw unsupported(node, 'it has no kernel for this operator and these dtypes');
    this.account(node);
    const temporary: number[] = [];
    const site: Site = {
      node,
      operands: node.inputs.map((input) => this.registerFor(input)),
      results: node.outputs.map((output) => this.registerOf.get(output)!),
      inSpecs: node.inputs.map(specOf),
      outSpecs: node.outputs.map(specOf),
      scratch: (dtype, count) => {
        const register = this.allocate(dtype, count);
        temporary.push(register);
        return register;
      },
      region: (block, parameters, results): Region => {
        const own = block.inputs.map((input, index) => {
          const register = parameters?.[index] ?? this.allocate(specOf(input).dtype, countOf(input));
          if (parameters?.[index] === undefined) temporary.push(register);
          this.registerOf.set(input, register);
          return register;
        });
        const inside: Kernel[] = [];
        const compiled = this.compileBlock(block, inside, results);
        temporary.push(...compiled.held);
        return { parameters: own, results: compiled.results, kernels: inside };
      },
    };
    const emitted = emit(site);
    if (typeof emitted === 'function') kernels.push(emitted);
    else kernels.push(...emitted);
    for (const register of temporary) this.release(register);
  }

  private emitGroup(nodes: readonly Node[], kernels: Kernel[]): void {
    const sizes = specOf(nodes[0].output).sizes;
    const loads: Load[] = [];
    const loadIndex = new Map<string, number>();
    const stepOf = new Map<Value, number>();
    const steps: Step[] = nodes.map((node, index) => {
      this.account(node);
      const step = elementwiseStep(node)!;
      const given = node.inputs.map((value): Argument => {
        const inside = stepOf.get(value);
        if (inside !== undefined) return { kind: 'step', index: inside };
        const { source, strides } = accessOf(value, sizes);
        const literal = source.node.kind === 'core::constant' ? source.node.get('t', 'value') : undefined;
        if (literal !== undefined && (literal.splat || numel(literal.shape) === 1)) {
          return { kind: 'constant', value: scalarOf(literal) };
        }
        const register = this.registerFor(source);
        const key = `${register}:${strides.join()}`;
        let load = loadIndex.get(key);
        if (load === undefined) {
          load = loads.length;
          loads.push({ register, dtype: specOf(source).dtype, strides });
          loadIndex.set(key, load);
        }
        return { kind: 'load', index: load };
      });
      stepOf.set(node.output, index);
      return { ...step, arguments: given };
    });
    const stores = storedOutputs(nodes).map((node): Store => ({
      register: this.registerOf.get(node.output)!,
      dtype: specOf(node.output).dtype,
      step: stepOf.get(node.output)!,
    }));
    kernels.push(elementwiseKernel({ sizes, loads, steps, stores }));
  }

  private account(node: Node): void {
    const cost = coreOperator(node.operator).cost(node);
    this.flops += cost.flops;
    this.bytes += cost.bytes;
  }
}

const shapeOf = (spec: TensorSpec) => ({ dtype: spec.dtype, count: numel(spec.sizes) });

/** The nodes of a group whose value is read outside of it. */
export function storedOutputs(nodes: readonly Node[]): Node[] {
  const inside = new Set(nodes);
  return nodes.filter((node) => node.output.uses.some(({ user }) => !inside.has(user)));
}

/** Where an operand of an elementwise group is in memory, and how the group's dimensions walk over it. */
function accessOf(value: Value, sizes: readonly number[]): { source: Value; strides: number[] } {
  const shape = specOf(value).sizes;
  if (isBroadcast(value)) {
    const { node } = value;
    const operand = node.inputs[0];
    const operandSizes = specOf(operand).sizes;
    const operandStrides = stridesOf(operandSizes);
    const strides = sizes.map(() => 0);
    node.ints('broadcast_dimensions').forEach((dimension, index) => {
      if (operandSizes[index] !== 1) strides[dimension] = operandStrides[index];
    });
    return { source: rootOf(operand), strides };
  }
  // A scalar predicate of select, or bound of clamp.
  if (shape.length < sizes.length) return { source: rootOf(value), strides: sizes.map(() => 0) };
  return { source: rootOf(value), strides: stridesOf(sizes) };
}

/** The one element of a splat or single-element literal. */
export function scalarOf(literal: TensorLiteral): number | bigint {
  const [element] = arrayOfLiteral({ ...literal, shape: [], splat: false } as TensorLiteral);
  if (isHalf(literal.dtype)) return halfValues(literal.dtype)[Number(element)];
  return isBig(literal.dtype) ? element : Number(element);
}
