// Branches and loops: one native step where all of their blocks are native, else kernels of the host around native ones.
import { specOf } from '@weft/ir';
import type { Block, Node, TensorSpec } from '@weft/ir';
import type { Kernel } from '../reference/program.ts';
import type { KernelInfo } from '../kernel-profile.ts';
import type { Slots } from './slots.ts';
import type { Word } from './step.ts';

/** A part of a program, in running order. */
export type Code = (
  | { readonly kind: 'native'; readonly words: readonly Word[] }
  | { readonly kind: 'host'; readonly kernel: Kernel }
) & {
  /** What it computes; absent for moves of results. */
  readonly of?: KernelOrigin;
};

/** Where a part of a program comes from. */
export type KernelOrigin = Omit<KernelInfo, 'name'>;

/** What control asks of the program around it. */
export interface ControlSite {
  readonly slots: Slots;
  /** The code of a block whose parameters have slots: its results are in `targets`, or in the slots returned. */
  compileBlock(block: Block, targets?: readonly number[]): { code: Code[]; results: number[] };
  /** Gives the parameters of a block these slots, or new ones. */
  enter(block: Block, given?: readonly number[]): number[];
  /** A slot that lives while the node runs. */
  allocate(spec: TensorSpec): number;
  push(code: Code[], kind: string, ...words: readonly Word[]): void;
  move(code: Code[], from: number, to: number, spec: TensorSpec): void;
  kernelsOf(code: readonly Code[]): Kernel[];
}

export function emitIf(node: Node, code: Code[], site: ControlSite): void {
  const results = node.outputs.map((output) => site.slots.get(output)!);
  const predicate = site.slots.for(node.inputs[0]);
  const branches = node.blocks.map((block) => site.compileBlock(block, results).code);
  const nested = branches.map(nativeWords);
  if (nested.every((steps) => steps !== undefined)) {
    site.push(code, 'if', predicate, ...nested.flatMap(listWords));
    return;
  }
  const [whenTrue, whenFalse] = branches.map((branch) => site.kernelsOf(branch));
  code.push({
    kind: 'host',
    kernel: (registers) => {
      for (const kernel of registers[predicate][0] !== 0 ? whenTrue : whenFalse) kernel(registers);
    },
  });
}

export function emitWhile(node: Node, code: Code[], site: ControlSite): void {
  const specs = node.inputs.map(specOf);
  const [conditionBlock, bodyBlock] = node.blocks;
  const state = site.enter(conditionBlock);
  const condition = site.compileBlock(conditionBlock);
  site.enter(bodyBlock, state);
  const next = specs.map((spec) => site.allocate(spec));
  const body = site.compileBlock(bodyBlock, next);
  const moveAll = (to: Code[], from: readonly number[], target: readonly number[]) =>
    from.forEach((slot, index) => site.move(to, slot, target[index], specs[index]));
  const inputs = node.inputs.map((input) => site.slots.for(input));
  moveAll(body.code, next, state);
  const [predicate] = condition.results;
  moveAll(code, inputs, state);
  const nested = [nativeWords(condition.code), nativeWords(body.code)];
  if (nested.every((steps) => steps !== undefined)) {
    site.push(code, 'while', predicate, ...nested.flatMap(listWords));
  } else {
    const again = site.kernelsOf(condition.code);
    const round = site.kernelsOf(body.code);
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
  moveAll(code, state, node.outputs.map((output) => site.slots.get(output)!)); // prettier-ignore
}

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
