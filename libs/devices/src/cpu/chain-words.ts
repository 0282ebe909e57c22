// The words of a chain (native/chain.cc): its links see the slots that they use as 0, 1, …, first those of the program, then the memory
// inside of the chain.
import type { Value } from '@weft/ir';
import { coreOperator, numel, specOf } from '@weft/ir';
import { countOf, rootOf } from '../reference/schedule.ts';
import { stridesOf } from '../reference/typed-array.ts';
import type { Chain, Link } from './chain.ts';
import { bytesPerPart, chainMemory } from './chain-memory.ts';
import { dotWords } from './dot.ts';
import type { NativeLibrary } from './library.ts';
import { ordered, stridesAlong, walkOfParts } from './parts.ts';
import { pointwiseWords, workOf } from './pointwise.ts';
import { reduceKind, reduceWalk } from './reduce.ts';
import type { Operand, Word } from './step.ts';
import { doubleWord } from './step.ts';

export interface ChainSite {
  readonly library: NativeLibrary;
  /** How a value is read; of values inside of the chain, as if they were in memory. The slot of a scalar constant is -1. */
  access(value: Value): Operand;
  /** As `access`, with a slot for constants too. */
  stored(value: Value): Operand;
  slotOf(value: Value): number;
  /** Whether only links read a value, so that it needs no memory. */
  isInside(value: Value): boolean;
}

/** The words of a chain, after its kind. */
export function chainWords(chain: Chain, site: ChainSite): Word[] {
  const { parts, links, splits } = chain;
  const {
    placeOf: inside,
    bytes: bytesInside,
    overwriting,
  } = chainMemory(
    chain,
    (value) => site.isInside(value),
    (value) => site.access(value),
  );
  const outside = new Map<number, number>();
  const walked = new Set<Value>();
  let traffic = 0;
  const outsideSlot = (slot: number, value: Value): number => {
    let local = outside.get(slot);
    if (local === undefined) outside.set(slot, (local = bytesInside.length + outside.size));
    if (!walked.has(value) && countOf(value) >= parts) traffic += bytesPerPart(value, parts);
    walked.add(value);
    return local;
  };
  const slotOf = (value: Value): number => inside.get(value) ?? outsideSlot(site.slotOf(value), value);
  const operandOf = (operand: Operand, { pieces }: Link): Operand => {
    const all = ordered(pieces);
    const sizes = all.map(({ size }) => size);
    const root = rootOf(operand.source);
    const slot = inside.get(root);
    if (slot !== undefined) {
      return { ...operand, slot, sizes, ...walkOfParts(operand, pieces, parts, splits.get(root)!) };
    }
    // A scalar predicate of select, or bound of clamp, has no dimensions.
    const strides = operand.sizes.length === 0 ? sizes.map(() => 0) : stridesAlong(all, operand.strides);
    return { ...operand, slot: operand.slot < 0 ? -1 : outsideSlot(operand.slot, root), sizes, strides };
  };
  let work = 0;
  const kindOf = (name: string): number => site.library.operations.get(name)!;

  const groupWords = (link: Link): Word[] => {
    const { group } = link.unit;
    work += (workOf(group) * countOf(group[0].output)) / parts;
    const shape = specOf(group[0].output).sizes;
    const all = ordered(link.pieces);
    const sizes = all.map(({ size }) => size);
    const overwritten = new Set(
      group.flatMap(({ output }) => (overwriting.has(output) ? [inside.get(output)!] : [])),
    );
    const words = pointwiseWords(group, {
      library: site.library,
      access: (value) => operandOf(site.access(value), link),
      slotOf,
      overwrites: (slot) => (overwritten.has(slot) ? slot : undefined),
      sizes,
      storeStrides: (value) => (inside.has(value) ? stridesOf(sizes) : stridesAlong(all, stridesOf(shape))),
    });
    return [kindOf('pointwise'), ...words];
  };
  const reduceWords = (link: Link): Word[] => {
    const node = link.unit.node!;
    const folded = new Set(node.ints('dimensions'));
    const operand = operandOf(site.stored(node.inputs[0]), link);
    const init = site.stored(node.inputs[1]);
    work += numel(operand.sizes) / parts;
    const axes = ordered(link.pieces).map(({ dimension, size }, index) => ({
      size,
      stride: operand.strides[index],
      isFolded: folded.has(dimension),
    }));
    const apart = link.pieces.parts.length;
    const between = link.gathers ? operand.strides[apart - 1] : 0;
    return [
      link.gathers ? 1 : 0,
      between,
      kindOf(reduceKind(node)!),
      operand.slot,
      outsideSlot(init.slot, init.source),
      slotOf(node.output),
      operand.offset,
      ...(link.gathers ? reduceWalk(axes.slice(apart)) : reduceWalk(axes, apart))!,
    ];
  };
  const productWords = (link: Link): Word[] => {
    const node = link.unit.node!;
    const local = (value: Value): Operand => {
      const operand = site.stored(value);
      // Values in parts that lie one after the other are walked as in memory.
      return {
        ...operand,
        slot: inside.get(rootOf(operand.source)) ?? outsideSlot(operand.slot, operand.source),
      };
    };
    const [left, right] = node.inputs.map(local);
    work += coreOperator(node.operator).cost(node).flops / 16 / parts;
    return [
      kindOf(`dot.${left.dtype}`),
      ...dotWords(node, left, right, slotOf(node.output))!,
      ...(link.unit.group.length === 0 ? [0] : [1, ...groupWords(link)]),
    ];
  };
  const steps = links.map((link) => {
    if (link.unit.node === undefined) return [0, 0, ...groupWords(link)];
    return link.unit.node.kind === 'core::reduce' ? reduceWords(link) : [0, 0, ...productWords(link)];
  });
  return [
    parts,
    bytesInside.length,
    ...bytesInside,
    outside.size,
    ...outside.keys(),
    Math.ceil(traffic),
    doubleWord(work),
    steps.length,
    ...steps.flat(),
  ];
}
