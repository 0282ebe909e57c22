// From a core graph to a program of the cpu device: native steps wherever the library has a kernel, kernels of the reference
// device for the rest, over the same memory. A block's nodes become units (epilogues.ts, chain.ts), units get memory
// (placement.ts, slots.ts), and each writes the words of its steps. Operands that are only walked differently (transposes,
// slices, broadcasts) are read where they are by kernels that take strides (views.ts).
import type { Block, DType, Graph, Node, SourceRange, TensorSpec, Value } from '@weft/ir';
import { InternalError, asTensorSpec, coreOperator, numel, specOf } from '@weft/ir';
import type { CompileOptions, Cost, InPlace } from '../device.ts';
import { openComposites } from '../reference/compile.ts';
import type { RegisterPlan } from '../reference/compile.ts';
import { copyKernel } from '../reference/copy.ts';
import { elementwiseStep } from '../reference/elementwise.ts';
import { emitters } from '../reference/families.ts';
import type { Kernel, Region, Site } from '../reference/program.ts';
import { unsupported } from '../reference/program.ts';
import type { FusionRules } from '../reference/schedule.ts';
import { countOf, rootOf, schedule } from '../reference/schedule.ts';
import { stridesOf } from '../reference/typed-array.ts';
import type { Access } from './access.ts';
import { isDense, isView } from './access.ts';
import type { BlockPolicy } from './blocked/rewrite.ts';
import { blockChannels } from './blocked/rewrite.ts';
import type { AffineEpilogue } from './affine-epilogue.ts';
import { affineWords } from './affine-epilogue.ts';
import type { Chain, FusedUnit } from './chain.ts';
import { insideOf, nodesOf, resultsOf, withChains } from './chain.ts';
import { chainWords } from './chain-words.ts';
import type { Code, ControlSite, KernelOrigin } from './control.ts';
import { emitIf, emitWhile } from './control.ts';
import { copyWords, moveWords } from './copy.ts';
import { withEpilogues } from './epilogues.ts';
import type { KernelInfo } from '../kernel-profile.ts';
import { nativeFamilyOf } from './families.ts';
import { hostGroup } from './host-group.ts';
import { pairsInPlace, resultInPlaceOf } from './in-place.ts';
import { spreadIotas } from './iota.ts';
import type { NativeLibrary } from './library.ts';
import { lastUses, placedResults } from './placement.ts';
import { isPointwise, largestPointwiseGroup, pointwiseWords } from './pointwise.ts';
import type { Stamp } from './slots.ts';
import { Slots } from './slots.ts';
import type { NativeSite, Operand, Word } from './step.ts';
import { Views } from './views.ts';

export interface CpuProgram {
  /** What slots are bound to: inputs first, then outputs. */
  readonly slots: readonly RegisterPlan[];
  /** Slots that hold a number which changes when an input is another one or its contents change. */
  readonly stamps: readonly Stamp[];
  /** Every native step. */
  readonly steps: readonly (readonly Word[])[];
  /** Where not all of the program is native: kernels that run in turn; native ones run a range of steps through `link`. */
  readonly kernels: readonly Kernel[] | undefined;
  readonly link: NativeLink;
  /** The parts of the program one by one, for whoever times them. */
  readonly parts: readonly Part[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Bytes of the arena. */
  readonly scratch: number;
  readonly cost: Cost;
  readonly inPlace: readonly InPlace[];
  /** Nodes that have no native kernel, by operator and operand types. */
  readonly onHost: readonly Node[];
}

/** A native step by number, or a kernel of the host. */
export type Part = { readonly info: KernelInfo } & ({ readonly step: number } | { readonly kernel: Kernel });

/** Runs native steps from the middle of a program; set when the program is loaded. */
export interface NativeLink {
  run(from: number, to: number): void;
}

/**
 * Throws UnsupportedError naming the node that neither the library nor the reference device evaluates.
 * @param blocks which values are in blocked channels
 */
export function compileForCpu(
  source: Graph,
  library: NativeLibrary,
  { constantInputs = [], inPlace = [], isGivenUp = false }: CompileOptions = {},
  blocks: BlockPolicy = 'auto',
): CpuProgram {
  const graph = isGivenUp ? source : source.clone();
  openComposites(graph.block);
  spreadIotas(graph);
  blockChannels(graph, library, blocks);
  const constants = new Set(constantInputs.map((index) => graph.inputs[index]));
  return new Compiler(library, graph, constants, pairsInPlace(graph, inPlace)).compile();
}

class Compiler {
  private readonly views: Views;
  private readonly slots: Slots;
  private readonly rules: FusionRules;
  private readonly steps: (readonly Word[])[] = [];
  private readonly onHost: Node[] = [];
  private readonly link: NativeLink = {
    run() {
      throw new InternalError('a native program is run before it is loaded');
    },
  };
  private flops = 0;
  private bytes = 0;

  constructor(
    private readonly library: NativeLibrary,
    private readonly graph: Graph,
    constants: ReadonlySet<Value>,
    private readonly inPlace: readonly InPlace[],
  ) {
    this.views = new Views(library);
    const written = new Set(inPlace.map(({ input }) => graph.inputs[input]));
    this.slots = new Slots(this.views.accessOf, graph.inputs, constants, written);
    this.rules = {
      kindOf: (node) =>
        isPointwise(node, library)
          ? 'native'
          : elementwiseStep(node) !== undefined && !this.views.isNative(node)
            ? 'host'
            : undefined,
      isView,
      needsMemory: this.views.needsMemory,
      largestGroup: largestPointwiseGroup,
    };
  }

  compile(): CpuProgram {
    const { graph, slots, inPlace } = this;
    const results = graph.outputs.map((output, index) => slots.addOutput(output, index));
    for (const { input, output } of inPlace) slots.overwritten.set(results[output], graph.inputs[input]);
    const { code } = this.compileBlock(graph.block, results);
    const parts = this.partsOf(code);
    const kernels = this.kernelsOf(code);
    const isAllNative = code.every(({ kind }) => kind === 'native');
    return {
      slots: slots.plans,
      stamps: slots.stamps,
      steps: this.steps,
      kernels: isAllNative ? undefined : kernels,
      link: this.link,
      parts,
      inputs: graph.inputs.map(specOf),
      outputs: graph.outputs.map(specOf),
      scratch: slots.scratch,
      cost: { flops: this.flops, bytes: this.bytes },
      inPlace,
      onHost: this.onHost,
    };
  }

  /** The parts of code that becomes the next steps of the program. */
  private partsOf(code: readonly Code[]): Part[] {
    const names = namesOfOperations(this.library);
    let step = this.steps.length;
    return code.map((part) => {
      const of = part.of ?? { operators: [], sources: [], flops: 0, bytes: 0 };
      if (part.kind === 'host')
        return { info: { name: `host ${of.operators[0] ?? 'copy'}`, ...of }, kernel: part.kernel };
      return { info: { name: names.get(Number(part.words[0]))!, ...of }, step: step++ };
    });
  }

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
    const { library, slots, views } = this;
    const roots = block.outputs.map(rootOf);
    const inputOf = (index: number): Value | undefined => slots.overwritten.get(targets?.[index] ?? -1);
    const inPlace = new Set(roots.filter((_, index) => inputOf(index) !== undefined));
    const units = withChains(withEpilogues(schedule(block, this.rules), library, views), {
      library,
      isNative: views.isNative,
      accessOf: views.accessOf,
      isInPlace: (value) => inPlace.has(value),
    });
    const lastUse = lastUses(units, roots);
    const placed = targets === undefined ? [] : placedResults(units, roots, lastUse, inputOf, library, views);
    placed.forEach((isPlaced, index) => {
      if (isPlaced) slots.set(roots[index], targets![index]);
    });
    for (const { chain } of units) {
      if (chain !== undefined) for (const value of insideOf(chain, roots)) slots.inside.add(value);
    }
    const code: Code[] = [];
    const held: number[] = [];
    const owned = new Map<number, Value[]>();
    units.forEach((unit, index) => {
      const result = resultInPlaceOf(unit, (value) => (lastUse.get(value) ?? index) === index);
      const target = result === undefined ? undefined : slots.get(result);
      const isShared = result !== undefined && (target === undefined || !slots.overwritten.has(target));
      for (const value of resultsOf(unit)) {
        if (slots.get(value) !== undefined || slots.inside.has(value)) continue;
        if (isShared && value === unit.node?.output) continue;
        const slot = slots.allocate(specOf(value).dtype, countOf(value));
        slots.set(value, slot);
        const last = lastUse.get(value) ?? index;
        if (last === Infinity) held.push(slot);
        else owned.set(last, [...(owned.get(last) ?? []), value]);
      }
      if (isShared) {
        const slot = slots.get(result)!;
        slots.set(unit.node!.output, slot);
        slots.shared.add(slot);
      }
      this.emitUnit(unit, code);
      for (const value of owned.get(index) ?? []) slots.release(slots.get(value)!);
    });

    const results = roots.map((root, index) => {
      const slot = slots.for(root);
      if (targets === undefined) return slot;
      if (!placed[index]) this.move(code, slot, targets[index], specOf(block.outputs[index]));
      return targets[index];
    });
    return { code, results, held };
  }

  private push(code: Code[], kind: string, ...words: readonly Word[]): void {
    code.push({ kind: 'native', words: [this.library.operations.get(kind)!, ...words] });
  }

  private move(code: Code[], from: number, to: number, spec: TensorSpec): void {
    if (numel(spec.sizes) === 0) return;
    if (this.library.operations.has('copy')) this.push(code, 'copy', ...moveWords(from, to, spec));
    else code.push({ kind: 'host', kernel: copyKernel(from, to) });
  }

  private emitUnit(unit: FusedUnit, code: Code[]): void {
    const first = code.length;
    const of = originOf(nodesOf(unit));
    this.flops += of.flops;
    this.bytes += of.bytes;
    if (unit.chain !== undefined) this.emitChain(unit.chain, code);
    else if (unit.node === undefined) this.emitGroup(unit.group, code);
    else this.emitNode(unit.node, code, unit.group, unit.affine);
    for (let at = first; at < code.length; at++) code[at] = { ...code[at], of };
  }

  /** @param group elementwise nodes that the node's kernel computes too */
  private emitNode(node: Node, code: Code[], group: readonly Node[], affine?: AffineEpilogue): void {
    const temporary: number[] = [];
    const scratch = (dtype: DType, count: number): number => {
      const slot = this.slots.allocate(dtype, count);
      temporary.push(slot);
      return slot;
    };
    if (this.views.isNative(node)) this.emitNative(node, code, scratch, group, affine);
    else if (node.operator === 'while') emitWhile(node, code, this.controlSite(temporary));
    else if (node.operator === 'if') emitIf(node, code, this.controlSite(temporary));
    else this.emitOnHost(node, code, scratch, this.controlSite(temporary));
    for (const slot of temporary) this.slots.release(slot);
  }

  private emitNative(
    node: Node,
    code: Code[],
    scratch: NativeSite['scratch'],
    group: readonly Node[],
    affine: AffineEpilogue | undefined,
  ): void {
    const { library, slots } = this;
    const write = (access: Access & Operand): number => {
      const slot = scratch(access.dtype, numel(access.sizes));
      const target = { strides: stridesOf(access.sizes), offset: 0 };
      if (numel(access.sizes) > 0) {
        this.push(code, 'copy', ...copyWords(access.slot, slot, access.dtype, access.sizes, access, target));
      }
      return slot;
    };
    const site: NativeSite = {
      library,
      node,
      inSpecs: node.inputs.map(specOf),
      outSpecs: node.outputs.map(specOf),
      results:
        affine === undefined
          ? node.outputs.map((output) => slots.get(output)!)
          : [slots.get(affine.result.output)!],
      scratch,
      constancy: (index) => slots.constancyOf(node.inputs[index]),
      operand: (index) => slots.storedOperandOf(node.inputs[index]),
      dense: (index) => {
        const operand = slots.storedOperandOf(node.inputs[index]);
        return operand.offset === 0 && isDense(operand) ? operand.slot : write(operand);
      },
      push: (kind, ...words) => this.push(code, kind, ...words),
      epilogue: () => {
        if (affine !== undefined) return [2, ...affineWords(affine, (value) => slots.for(value))];
        if (group.length === 0) return [0];
        return [1, library.operations.get('pointwise')!, ...this.groupWords(group)];
      },
    };
    nativeFamilyOf(node)!.emit(site);
  }

  private emitOnHost(node: Node, code: Code[], scratch: Site['scratch'], control: ControlSite): void {
    const emit = emitters.get(node.operator);
    if (emit === undefined) throw unsupported(node, 'it has no kernel for this operator and these dtypes');
    this.onHost.push(node);
    const site: Site = {
      node,
      operands: node.inputs.map((input) => this.slots.for(input)),
      results: node.outputs.map((output) => this.slots.get(output)!),
      inSpecs: node.inputs.map(specOf),
      outSpecs: node.outputs.map(specOf),
      scratch,
      region: (block, parameters, results): Region => {
        const own = control.enter(block, parameters);
        const compiled = control.compileBlock(block, results);
        return { parameters: own, results: compiled.results, kernels: this.kernelsOf(compiled.code) };
      },
    };
    const emitted = emit(site);
    for (const kernel of typeof emitted === 'function' ? [emitted] : emitted) {
      code.push({ kind: 'host', kernel });
    }
  }

  /** @param temporary takes the slots that live as long as the node */
  private controlSite(temporary: number[]): ControlSite {
    const { slots } = this;
    const allocate = (spec: TensorSpec): number => {
      const slot = slots.allocate(spec.dtype, numel(spec.sizes));
      temporary.push(slot);
      return slot;
    };
    return {
      slots,
      allocate,
      compileBlock: (block, targets) => {
        const { held, ...compiled } = this.compileBlock(block, targets);
        temporary.push(...held);
        return compiled;
      },
      enter: (block, given) =>
        block.inputs.map((input, index) => {
          const slot = given?.[index] ?? allocate(specOf(input));
          slots.set(input, slot);
          return slot;
        }),
      push: (code, kind, ...words) => this.push(code, kind, ...words),
      move: (code, from, to, spec) => this.move(code, from, to, spec),
      kernelsOf: (code) => this.kernelsOf(code),
    };
  }

  private emitGroup(nodes: readonly Node[], code: Code[]): void {
    if (countOf(nodes[0].output) === 0) return;
    if (!isPointwise(nodes[0], this.library)) {
      this.onHost.push(...nodes);
      code.push({ kind: 'host', kernel: hostGroup(nodes, (value) => this.slots.for(value)) });
      return;
    }
    this.push(code, 'pointwise', ...this.groupWords(nodes));
  }

  private groupWords(nodes: readonly Node[]): Word[] {
    const { library, slots } = this;
    return pointwiseWords(nodes, {
      library,
      access: (value) => slots.groupOperandOf(value),
      slotOf: (value) => slots.get(value)!,
      overwrites: (slot) => {
        if (slots.shared.has(slot)) return slot;
        const input = slots.overwritten.get(slot);
        return input === undefined ? undefined : slots.get(input);
      },
    });
  }

  private emitChain(chain: Chain, code: Code[]): void {
    const { library, slots } = this;
    const words = chainWords(chain, {
      library,
      access: (value) => slots.groupOperandOf(value),
      stored: (value) => slots.storedOperandOf(value),
      slotOf: (value) => slots.get(value)!,
      isInside: (value) => slots.inside.has(value),
    });
    this.push(code, 'chain', ...words);
  }
}

const operationNames = new WeakMap<NativeLibrary, ReadonlyMap<number, string>>();

function namesOfOperations(library: NativeLibrary): ReadonlyMap<number, string> {
  let names = operationNames.get(library);
  if (names === undefined) {
    names = new Map([...library.operations].map(([name, number]) => [number, name]));
    operationNames.set(library, names);
  }
  return names;
}

function originOf(nodes: readonly Node[]): KernelOrigin {
  const sources = new Set<SourceRange>();
  let [flops, bytes] = [0, 0];
  for (const node of nodes) {
    const cost = coreOperator(node.operator).cost(node);
    flops += cost.flops;
    bytes += cost.bytes;
    if (node.source !== undefined) sources.add(node.source);
  }
  const operators = nodes.map(({ operator }) => operator);
  const result = asTensorSpec(nodes.at(-1)!.outputs[0].type);
  return { operators, result, sources: [...sources], flops, bytes };
}
