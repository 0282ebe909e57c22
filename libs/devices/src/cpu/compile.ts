// From a core graph to a program of the cpu device: native steps wherever the library has a kernel, kernels of the reference
// device for the rest, over the same memory. Every value has a slot; temporaries share one arena, planned ahead. Operands
// that are only walked differently (transposes, slices, broadcasts) are read where they are by kernels that take strides.
import type { Block, DType, Graph, Node, TensorSpec, Value } from '@weft/ir';
import { InternalError, coreOperator, dtypes, numel, specOf } from '@weft/ir';
import type { CompileOptions, Cost, InPlace } from '../device.ts';
import { ArenaPlan } from '../reference/arena.ts';
import { openComposites, scalarOf, storedOutputs } from '../reference/compile.ts';
import type { RegisterPlan } from '../reference/compile.ts';
import { copyKernel } from '../reference/copy.ts';
import type { Argument, Load, Step, Store } from '../reference/elementwise.ts';
import { elementwiseKernel, elementwiseStep } from '../reference/elementwise.ts';
import { emitters } from '../reference/families.ts';
import type { Kernel, Region, Site } from '../reference/program.ts';
import { unsupported } from '../reference/program.ts';
import type { FusionRules, Unit } from '../reference/schedule.ts';
import { countOf, isAlias, rootOf, schedule, sourcesOf, valuesRead } from '../reference/schedule.ts';
import { arrayOfLiteral, stridesOf } from '../reference/typed-array.ts';
import type { Access } from './access.ts';
import { accessOf, isDense, isViewNode } from './access.ts';
import type { AffineEpilogue } from './affine-epilogue.ts';
import { affineEpilogue, affineWords } from './affine-epilogue.ts';
import type { Chain, FusedUnit } from './chain.ts';
import { insideOf, nodesOf, resultsOf, withChains } from './chain.ts';
import { chainWords } from './chain-words.ts';
import { copyWords, moveWords } from './copy.ts';
import { nativeFamilyOf } from './families.ts';
import { mayOverwrite, pairsInPlace, resultInPlaceOf } from './in-place.ts';
import { spreadIotas } from './iota.ts';
import type { NativeLibrary } from './library.ts';
import { isPointwise, largestPointwiseGroup, pointwiseWords } from './pointwise.ts';
import type { NativeSite, Operand, Word } from './step.ts';

/** A part of a program, in running order. */
export type Code =
  | { readonly kind: 'native'; readonly words: readonly Word[] }
  | { readonly kind: 'host'; readonly kernel: Kernel };

export interface CpuProgram {
  /** What slots are bound to: inputs first, then outputs. */
  readonly slots: readonly RegisterPlan[];
  /** Slots that hold a number which changes when an input is another one or its contents change. */
  readonly stamps: readonly { readonly input: number; readonly slot: number }[];
  /** Every native step. */
  readonly steps: readonly (readonly Word[])[];
  /** Where not all of the program is native: kernels that run in turn; native ones run a range of steps through `link`. */
  readonly kernels: readonly Kernel[] | undefined;
  readonly link: NativeLink;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Bytes of the arena. */
  readonly scratch: number;
  readonly cost: Cost;
  readonly inPlace: readonly InPlace[];
  /** Nodes that have no native kernel, by operator and operand types. */
  readonly onHost: readonly Node[];
}

/** Runs native steps from the middle of a program; set when the program is loaded. */
export interface NativeLink {
  run(from: number, to: number): void;
}

/** Throws UnsupportedError naming the node that neither the library nor the reference device evaluates. */
export function compileForCpu(
  source: Graph,
  library: NativeLibrary,
  { constantInputs = [], inPlace = [] }: CompileOptions = {},
): CpuProgram {
  const graph = source.clone();
  openComposites(graph.block);
  spreadIotas(graph);
  const constants = new Set(constantInputs.map((index) => graph.inputs[index]));
  return new Compiler(library, constants).compile(graph, pairsInPlace(graph, inPlace));
}

const isView = (value: Value): boolean => isViewNode(value.node);

/**
 * Elementwise operators that a product computes as it goes, in short rows. For more of them (an optimizer's update) starting each
 * takes longer than reading the result again.
 */
const largestEpilogue = 16;

class Compiler {
  private readonly slots: RegisterPlan[] = [];
  private readonly arena = new ArenaPlan();
  private readonly slotOf = new Map<Value, number>();
  /** Inputs in whose memory outputs may be, by the slot of the output. */
  private readonly overwritten = new Map<number, Value>();
  private inputs: readonly Value[] = [];
  private writtenInputs: ReadonlySet<Value> = new Set();
  private readonly stamps: { readonly input: number; readonly slot: number }[] = [];
  /** Slots of results that have the place of the product or convolution they are computed from. */
  private readonly shared = new Set<number>();
  private readonly offsets = new Map<number, number>();
  private readonly viewNeedsMemory = new Map<Value, boolean>();
  /** Values that are inside of a chain, and need no memory. */
  private readonly inside = new Set<Value>();
  private readonly native = new Map<Node, boolean>();
  private readonly steps: (readonly Word[])[] = [];
  private readonly onHost: Node[] = [];
  private readonly link: NativeLink = {
    run() {
      throw new InternalError('a native program is run before it is loaded');
    },
  };
  private readonly rules: FusionRules;
  private flops = 0;
  private bytes = 0;

  constructor(
    private readonly library: NativeLibrary,
    private readonly constants: ReadonlySet<Value>,
  ) {
    this.rules = {
      kindOf: (node) =>
        isPointwise(node, library)
          ? 'native'
          : elementwiseStep(node) !== undefined && !this.isNative(node)
            ? 'host'
            : undefined,
      isView,
      needsMemory: (view) => this.needsMemory(view),
      largestGroup: largestPointwiseGroup,
    };
  }

  compile(graph: Graph, inPlace: readonly InPlace[]): CpuProgram {
    this.inputs = graph.inputs;
    this.writtenInputs = new Set(inPlace.map(({ input }) => graph.inputs[input]));
    graph.inputs.forEach((input, index) => {
      this.slotOf.set(input, this.addSlot({ kind: 'input', index, ...shapeOf(specOf(input)) }));
    });
    const results = graph.outputs.map((output, index) =>
      this.addSlot({ kind: 'output', index, ...shapeOf(specOf(output)) }),
    );
    for (const { input, output } of inPlace) this.overwritten.set(results[output], graph.inputs[input]);
    const { code } = this.compileBlock(graph.block, results);
    const kernels = this.kernelsOf(code);
    const isAllNative = code.every(({ kind }) => kind === 'native');
    return {
      slots: this.slots,
      stamps: this.stamps,
      steps: this.steps,
      kernels: isAllNative ? undefined : kernels,
      link: this.link,
      inputs: graph.inputs.map(specOf),
      outputs: graph.outputs.map(specOf),
      scratch: this.arena.size,
      cost: { flops: this.flops, bytes: this.bytes },
      inPlace,
      onHost: this.onHost,
    };
  }

  // ---- slots ------------------------------------------------------------------------------------------------------

  private addSlot(plan: RegisterPlan): number {
    this.slots.push(plan);
    return this.slots.length - 1;
  }

  private allocate(dtype: DType, count: number): number {
    const offset = this.arena.allocate(count * dtypes[dtype].bytes);
    const slot = this.addSlot({ kind: 'scratch', offset, dtype, count });
    this.offsets.set(slot, offset);
    return slot;
  }
  private release(slot: number): void {
    const offset = this.offsets.get(slot);
    if (offset === undefined) return;
    this.offsets.delete(slot);
    this.arena.free(offset);
  }

  /** The slot of a computed value, parameter or constant. */
  private slotFor(value: Value): number {
    const root = rootOf(value);
    let slot = this.slotOf.get(root);
    if (slot === undefined) {
      if (root.node.kind !== 'core::constant') {
        throw new InternalError(`%${root.name} (${root.node.kind}) is read before it is computed`);
      }
      slot = this.addSlot({ kind: 'constant', array: arrayOfLiteral(root.node.get('t', 'value')) });
      this.slotOf.set(root, slot);
    }
    return slot;
  }

  /** The word of native/kept.h for what is made of a value's contents. */
  private constancyOf(source: Value): Word {
    if (source.node.kind === 'core::constant' || this.constants.has(source)) return 1;
    const input = this.inputs.indexOf(source);
    if (input < 0 || this.writtenInputs.has(source)) return 0;
    let stamp = this.stamps.find((each) => each.input === input);
    if (stamp === undefined) {
      stamp = { input, slot: this.addSlot({ kind: 'input', index: input, ...shapeOf(specOf(source)) }) };
      this.stamps.push(stamp);
    }
    return 2 + stamp.slot;
  }

  // ---- views ------------------------------------------------------------------------------------------------------

  private isNative(node: Node): boolean {
    let native = this.native.get(node);
    if (native === undefined) {
      native = nativeFamilyOf(node)?.accepts(node, this.library) ?? false;
      this.native.set(node, native);
    }
    return native;
  }

  private readonly isInMemory = (value: Value): boolean => !isView(value) || this.needsMemory(value);

  /** Whether a view has to be written out: for a reader in another block, one that takes no strides, or a reshape that breaks it. */
  private needsMemory(view: Value): boolean {
    let needs = this.viewNeedsMemory.get(view);
    if (needs === undefined) {
      this.viewNeedsMemory.set(view, false);
      needs = this.hasDenseReader(view, view);
      this.viewNeedsMemory.set(view, needs);
    }
    return needs;
  }

  private hasDenseReader(value: Value, view: Value): boolean {
    return value.uses.some(({ user, index }) => {
      if (user.block !== view.node.block) return true;
      if (isAlias(user)) {
        const alias = user.outputs[index];
        const access = accessOf(alias, (other) => other !== view && this.isInMemory(other));
        return access === undefined || this.hasDenseReader(alias, view);
      }
      return !isPointwise(user, this.library) && !this.isNative(user);
    });
  }

  private operandOf(value: Value): Operand {
    const { dtype } = specOf(value);
    const access = accessOf(value, this.isInMemory);
    if (access === undefined)
      throw new InternalError(`%${value.name} is not written out, and not to be walked`);
    const { source } = access;
    const hasSlot = source.node.kind !== 'core::constant' && !this.inside.has(source);
    return { ...access, slot: hasSlot ? this.slotFor(source) : -1, dtype };
  }

  /** As `operandOf`, with memory for constants too. */
  private storedOperandOf(value: Value): Operand {
    return this.inMemory(this.operandOf(value));
  }

  private inMemory(operand: Operand): Operand {
    return this.inside.has(operand.source) ? operand : { ...operand, slot: this.slotFor(operand.source) };
  }

  // ---- code -------------------------------------------------------------------------------------------------------

  /** Code as kernels of the host: native steps are added to the program, and a run of them is one kernel. */
  private kernelsOf(code: readonly Code[]): Kernel[] {
    const kernels: Kernel[] = [];
    const { link } = this;
    for (let index = 0; index < code.length;) {
      const part = code[index];
      if (part.kind === 'host') {
        kernels.push(part.kernel);
        index++;
        continue;
      }
      const from = this.steps.length;
      for (; index < code.length; index++) {
        const next = code[index];
        if (next.kind !== 'native') break;
        this.steps.push(next.words);
      }
      const to = this.steps.length;
      kernels.push(() => link.run(from, to));
    }
    return kernels;
  }

  /**
   * The code of a block whose parameters have slots. Results are written to `targets` if they are given; else they stay
   * in the slots returned, which the caller releases.
   */
  private compileBlock(
    block: Block,
    targets?: readonly number[],
  ): { code: Code[]; results: number[]; held: number[] } {
    const roots = block.outputs.map(rootOf);
    const inPlace = new Set(roots.filter((_, index) => targets !== undefined && this.overwritten.has(targets[index]))); // prettier-ignore
    const units = withChains(this.withEpilogues(schedule(block, this.rules)), {
      library: this.library,
      isNative: (node) => this.isNative(node),
      isInMemory: this.isInMemory,
      isInPlace: (value) => inPlace.has(value),
    });
    const lastUse = new Map<Value, number>();
    units.forEach((unit, index) => {
      for (const node of nodesOf(unit)) {
        for (const value of valuesRead(node)) {
          for (const source of sourcesOf(value, isView)) lastUse.set(source, index);
        }
      }
    });
    for (const root of roots) lastUse.set(root, Infinity);

    const computed = new Map<Value, number>();
    units.forEach((unit, index) => {
      for (const node of nodesOf(unit)) for (const output of node.outputs) computed.set(output, index);
    });
    // A result that is computed here and is one only once is computed in its place.
    const placed = roots.map(() => false);
    if (targets !== undefined) {
      const taken = new Set<Value>();
      roots.forEach((root, index) => {
        const at = computed.get(root);
        if (taken.has(root) || at === undefined) return;
        // Over an input that is read later it is moved when all else is done.
        const input = this.overwritten.get(targets[index]);
        const last = input === undefined ? -1 : (lastUse.get(input) ?? -1);
        if (last > at || (last === at && !this.mayOverwrite(units[at], root, input!))) return;
        taken.add(root);
        placed[index] = true;
        this.slotOf.set(root, targets[index]);
      });
    }

    for (const { chain } of units) {
      if (chain !== undefined) for (const value of insideOf(chain, roots)) this.inside.add(value);
    }
    const code: Code[] = [];
    const held: number[] = [];
    const owned = new Map<number, Value[]>();
    units.forEach((unit, index) => {
      const result = resultInPlaceOf(unit, (value) => (lastUse.get(value) ?? index) === index);
      const target = result === undefined ? undefined : this.slotOf.get(result);
      const isShared = result !== undefined && (target === undefined || !this.overwritten.has(target));
      for (const value of resultsOf(unit)) {
        if (this.slotOf.has(value) || this.inside.has(value)) continue;
        if (isShared && value === unit.node?.output) continue;
        const slot = this.allocate(specOf(value).dtype, countOf(value));
        this.slotOf.set(value, slot);
        const last = lastUse.get(value) ?? index;
        if (last === Infinity) held.push(slot);
        else owned.set(last, [...(owned.get(last) ?? []), value]);
      }
      if (isShared) {
        const slot = this.slotOf.get(result)!;
        this.slotOf.set(unit.node!.output, slot);
        this.shared.add(slot);
      }
      if (unit.chain !== undefined) this.emitChain(unit.chain, nodesOf(unit), code);
      else if (unit.node === undefined) this.emitGroup(unit.group, code);
      else this.emitNode(unit.node, code, unit.group, unit.affine);
      for (const value of owned.get(index) ?? []) this.release(this.slotOf.get(value)!);
    });

    const results = roots.map((root, index) => {
      const slot = this.slotFor(root);
      if (targets === undefined) return slot;
      if (!placed[index]) this.move(code, slot, targets[index], specOf(block.outputs[index]));
      return targets[index];
    });
    return { code, results, held };
  }

  /** Whether a unit that reads an input may write this result over it as it goes. */
  private mayOverwrite({ node, group, affine }: FusedUnit, result: Value, input: Value): boolean {
    // A kernel that computes a formula sums in the place of the result.
    if (affine !== undefined || !group.includes(result.node)) return false;
    if (node !== undefined && valuesRead(node).some((value) => sourcesOf(value, isView).includes(input))) return false; // prettier-ignore
    return isPointwise(group[0], this.library) && mayOverwrite(group, input, this.isInMemory);
  }

  /**
   * Joins a group to a node before it whose kernel can compute it as it goes: in the node's place where the group depends on nothing
   * later, else the node moves down to the group, past what does not read its results.
   */
  private withEpilogues(units: readonly Unit[]): FusedUnit[] {
    const fused: FusedUnit[] = [];
    for (const unit of units) {
      if (unit.kind === 'node') {
        fused.push({ node: unit.node, group: [] });
        continue;
      }
      const joined = this.epilogueAt(fused, unit.nodes);
      if (joined?.stays === true) fused[joined.index] = joined.unit;
      else {
        if (joined !== undefined) fused.splice(joined.index, 1);
        fused.push(joined?.unit ?? { node: undefined, group: unit.nodes });
      }
    }
    return fused;
  }

  private epilogueAt(
    units: readonly FusedUnit[],
    group: readonly Node[],
  ): { index: number; unit: FusedUnit; stays: boolean } | undefined {
    const read = new Set(
      group.flatMap((member) => member.inputs.flatMap((value) => sourcesOf(value, isView))),
    );
    for (let index = units.length - 1; index >= 0; index--) {
      const { node, group: own } = units[index];
      if (node === undefined || own.length > 0 || !node.outputs.some((output) => read.has(output))) continue;
      const later = units.slice(index + 1);
      const stays = !later.some((unit) =>
        nodesOf(unit).some(({ outputs }) => outputs.some((output) => read.has(output))),
      );
      if (!this.isEpilogue(node, group) || (!stays && this.isReadIn(later, node))) continue;
      const affine = this.affineOf(node, group);
      if (affine !== undefined) return { index, unit: { node, group, affine }, stays };
      if (nativeFamilyOf(node)!.takesEpilogue?.(node) === true)
        return { index, unit: { node, group }, stays };
    }
    return undefined;
  }

  private affineOf(node: Node, group: readonly Node[]): AffineEpilogue | undefined {
    const feature = nativeFamilyOf(node)!.affineFeature?.(node);
    if (feature === undefined) return undefined;
    return affineEpilogue(node, feature, group, (value) => accessOf(value, this.isInMemory));
  }

  private isReadIn(units: readonly FusedUnit[], { outputs }: Node): boolean {
    return units.some((unit) =>
      nodesOf(unit).some((member) =>
        valuesRead(member).some((value) =>
          sourcesOf(value, isView).some((source) => outputs.includes(source)),
        ),
      ),
    );
  }

  /** Whether each element of a group needs no more of the node's result than the same element. */
  private isEpilogue(node: Node, group: readonly Node[]): boolean {
    if (!this.isNative(node)) return false;
    if (group.length > largestEpilogue || !isPointwise(group[0], this.library)) return false;
    const count = countOf(node.output);
    if (count === 0 || countOf(group[0].output) !== count) return false;
    const inside = new Set(group.map((member) => member.output));
    let reads = false;
    for (const member of group) {
      for (const value of member.inputs) {
        if (inside.has(value)) continue;
        const access = accessOf(value, this.isInMemory);
        if (access === undefined) return false;
        if (rootOf(access.source) !== node.output) continue;
        if (access.offset !== 0 || numel(access.sizes) !== count || !isDense(access)) return false;
        reads = true;
      }
    }
    return reads;
  }

  private push(code: Code[], kind: string, ...words: readonly Word[]): void {
    code.push({ kind: 'native', words: [this.library.operations.get(kind)!, ...words] });
  }

  private move(code: Code[], from: number, to: number, spec: TensorSpec): void {
    if (numel(spec.sizes) === 0) return;
    if (this.library.operations.has('copy')) this.push(code, 'copy', ...moveWords(from, to, spec));
    else code.push({ kind: 'host', kernel: copyKernel(from, to) });
  }

  /** @param group elementwise nodes that the node's kernel computes too */
  private emitNode(node: Node, code: Code[], group: readonly Node[], affine?: AffineEpilogue): void {
    for (const each of [node, ...group]) this.account(each);
    const temporary: number[] = [];
    const scratch = (dtype: DType, count: number): number => {
      const slot = this.allocate(dtype, count);
      temporary.push(slot);
      return slot;
    };
    if (this.isNative(node)) this.emitNative(node, code, scratch, group, affine);
    else if (node.operator === 'while') this.emitWhile(node, code, temporary);
    else if (node.operator === 'if') this.emitIf(node, code, temporary);
    else this.emitOnHost(node, code, temporary, scratch);
    for (const slot of temporary) this.release(slot);
  }

  private emitNative(
    node: Node,
    code: Code[],
    scratch: NativeSite['scratch'],
    group: readonly Node[],
    affine: AffineEpilogue | undefined,
  ): void {
    const write = (access: Access & Operand): number => {
      const slot = scratch(access.dtype, numel(access.sizes));
      const target = { strides: stridesOf(access.sizes), offset: 0 };
      if (numel(access.sizes) > 0) {
        this.push(code, 'copy', ...copyWords(access.slot, slot, access.dtype, access.sizes, access, target));
      }
      return slot;
    };
    const site: NativeSite = {
      library: this.library,
      node,
      inSpecs: node.inputs.map(specOf),
      outSpecs: node.outputs.map(specOf),
      results:
        affine === undefined
          ? node.outputs.map((output) => this.slotOf.get(output)!)
          : [this.slotOf.get(affine.result.output)!],
      scratch,
      constancy: (index) => this.constancyOf(this.operandOf(node.inputs[index]).source),
      operand: (index) => this.storedOperandOf(node.inputs[index]),
      dense: (index) => {
        const operand = this.storedOperandOf(node.inputs[index]);
        return operand.offset === 0 && isDense(operand) ? operand.slot : write(operand);
      },
      push: (kind, ...words) => this.push(code, kind, ...words),
      epilogue: () => {
        if (affine !== undefined) return [2, ...affineWords(affine, (value) => this.slotFor(value))];
        if (group.length === 0) return [0];
        return [1, this.library.operations.get('pointwise')!, ...this.groupWords(group)];
      },
    };
    nativeFamilyOf(node)!.emit(site);
  }

  private emitOnHost(node: Node, code: Code[], temporary: number[], scratch: Site['scratch']): void {
    const emit = emitters.get(node.operator);
    if (emit === undefined) throw unsupported(node, 'it has no kernel for this operator and these dtypes');
    this.onHost.push(node);
    const site: Site = {
      node,
      operands: node.inputs.map((input) => this.slotFor(input)),
      results: node.outputs.map((output) => this.slotOf.get(output)!),
      inSpecs: node.inputs.map(specOf),
      outSpecs: node.outputs.map(specOf),
      scratch,
      region: (block, parameters, results): Region => {
        const own = this.enter(block, temporary, parameters);
        const compiled = this.compileBlock(block, results);
        temporary.push(...compiled.held);
        return { parameters: own, results: compiled.results, kernels: this.kernelsOf(compiled.code) };
      },
    };
    const emitted = emit(site);
    for (const kernel of typeof emitted === 'function' ? [emitted] : emitted) {
      code.push({ kind: 'host', kernel });
    }
  }

  /** Gives the parameters of a block their slots. */
  private enter(block: Block, temporary: number[], given?: readonly number[]): number[] {
    return block.inputs.map((input, index) => {
      let slot = given?.[index];
      if (slot === undefined) temporary.push((slot = this.allocate(specOf(input).dtype, countOf(input))));
      this.slotOf.set(input, slot);
      return slot;
    });
  }

  // ---- control ----------------------------------------------------------------------------------------------------

  private emitIf(node: Node, code: Code[], temporary: number[]): void {
    const results = node.outputs.map((output) => this.slotOf.get(output)!);
    const predicate = this.slotFor(node.inputs[0]);
    const branches = node.blocks.map((block) => {
      const compiled = this.compileBlock(block, results);
      temporary.push(...compiled.held);
      return compiled.code;
    });
    const nested = branches.map(nativeWords);
    if (nested.every((steps) => steps !== undefined)) {
      this.push(code, 'if', predicate, ...nested.flatMap(listWords));
      return;
    }
    const [whenTrue, whenFalse] = branches.map((branch) => this.kernelsOf(branch));
    code.push({
      kind: 'host',
      kernel: (registers) => {
        for (const kernel of registers[predicate][0] !== 0 ? whenTrue : whenFalse) kernel(registers);
      },
    });
  }

  private emitWhile(node: Node, code: Code[], temporary: number[]): void {
    const specs = node.inputs.map(specOf);
    const [conditionBlock, bodyBlock] = node.blocks;
    const state = this.enter(conditionBlock, temporary);
    const condition = this.compileBlock(conditionBlock);
    temporary.push(...condition.held);
    this.enter(bodyBlock, temporary, state);
    const next = specs.map((spec) => {
      const slot = this.allocate(spec.dtype, numel(spec.sizes));
      temporary.push(slot);
      return slot;
    });
    const body = this.compileBlock(bodyBlock, next);
    temporary.push(...body.held);
    const moveAll = (to: Code[], from: readonly number[], target: readonly number[]) =>
      from.forEach((slot, index) => this.move(to, slot, target[index], specs[index]));
    const inputs = node.inputs.map((input) => this.slotFor(input));
    moveAll(body.code, next, state);
    const [predicate] = condition.results;
    moveAll(code, inputs, state);
    const nested = [nativeWords(condition.code), nativeWords(body.code)];
    if (nested.every((steps) => steps !== undefined)) {
      this.push(code, 'while', predicate, ...nested.flatMap(listWords));
    } else {
      const again = this.kernelsOf(condition.code);
      const round = this.kernelsOf(body.code);
      code.push({
        kind: 'host',
        kernel: (registers) => {
          for (;;) {
            for (const kernel of again) kernel(registers);
            if (registers[predicate][0] === 0) return;
            for (const kernel of round) kernel(registers);
          }
        },
      });
    }
    moveAll(code, state, node.outputs.map((output) => this.slotOf.get(output)!)); // prettier-ignore
  }

  // ---- elementwise groups -----------------------------------------------------------------------------------------

  private emitGroup(nodes: readonly Node[], code: Code[]): void {
    for (const node of nodes) this.account(node);
    if (countOf(nodes[0].output) === 0) return;
    if (!isPointwise(nodes[0], this.library)) {
      this.onHost.push(...nodes);
      code.push({ kind: 'host', kernel: this.hostGroup(nodes) });
      return;
    }
    this.push(code, 'pointwise', ...this.groupWords(nodes));
  }

  private groupWords(nodes: readonly Node[]): Word[] {
    return pointwiseWords(nodes, {
      library: this.library,
      access: (value) => this.groupOperandOf(value),
      slotOf: (value) => this.slotOf.get(value)!,
      overwrites: (slot) => {
        if (this.shared.has(slot)) return slot;
        const input = this.overwritten.get(slot);
        return input === undefined ? undefined : this.slotOf.get(input);
      },
    });
  }

  /** An operand of an elementwise group, without memory for a constant of one value. */
  private groupOperandOf(value: Value): Operand {
    const operand = this.operandOf(value);
    const { node } = operand.source;
    const literal = node.kind === 'core::constant' ? node.get('t', 'value') : undefined;
    const isScalar = literal !== undefined && (literal.splat || numel(literal.shape) === 1);
    return isScalar ? operand : this.inMemory(operand);
  }

  // ---- chains -----------------------------------------------------------------------------------------------------

  private emitChain(chain: Chain, nodes: readonly Node[], code: Code[]): void {
    for (const node of nodes) this.account(node);
    const words = chainWords(chain, {
      library: this.library,
      access: (value) => this.groupOperandOf(value),
      stored: (value) => this.storedOperandOf(value),
      slotOf: (value) => this.slotOf.get(value)!,
      isInside: (value) => this.inside.has(value),
    });
    this.push(code, 'chain', ...words);
  }

  /** A loop of the reference device. */
  private hostGroup(nodes: readonly Node[]): Kernel {
    const { sizes } = specOf(nodes[0].output);
    const loads: Load[] = [];
    const stepOf = new Map<Value, number>();
    const steps: Step[] = nodes.map((node, index) => {
      const given = node.inputs.map((value): Argument => {
        const inside = stepOf.get(value);
        if (inside !== undefined) return { kind: 'step', index: inside };
        const root = rootOf(value);
        const literal = root.node.kind === 'core::constant' ? root.node.get('t', 'value') : undefined;
        if (literal !== undefined && (literal.splat || numel(literal.shape) === 1)) {
          return { kind: 'constant', value: scalarOf(literal) };
        }
        const spec = specOf(value);
        // A scalar predicate of select, or bound of clamp.
        const strides = spec.sizes.length < sizes.length ? sizes.map(() => 0) : stridesOf(sizes);
        loads.push({ register: this.slotFor(value), dtype: spec.dtype, strides });
        return { kind: 'load', index: loads.length - 1 };
      });
      stepOf.set(node.output, index);
      return { ...elementwiseStep(node)!, arguments: given };
    });
    const stores = storedOutputs(nodes).map((node): Store => ({
      register: this.slotOf.get(node.output)!,
      dtype: specOf(node.output).dtype,
      step: stepOf.get(node.output)!,
    }));
    return elementwiseKernel({ sizes, loads, steps, stores });
  }

  private account(node: Node): void {
    const cost = coreOperator(node.operator).cost(node);
    this.flops += cost.flops;
    this.bytes += cost.bytes;
  }
}

const shapeOf = (spec: TensorSpec) => ({ dtype: spec.dtype, count: numel(spec.sizes) });

/** The steps of code that is all native. */
function nativeWords(code: readonly Code[]): (readonly Word[])[] | undefined {
  const steps: (readonly Word[])[] = [];
  for (const part of code) {
    if (part.kind === 'host') return undefined;
    steps.push(part.words);
  }
  return steps;
}

/** Steps inside a step: how many, then each. */
const listWords = (steps: (readonly Word[])[] | undefined): Word[] => [steps!.length, ...steps!.flat()];
