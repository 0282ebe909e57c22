// Which steps become a chain (native/chain.cc): elementwise groups, reductions and batched products that need, of each other's results,
// only the same part as they compute. Softmax, norms, losses, their gradients and attention come out as one step, with
// nothing in memory between their parts. Parts are what some reduction keeps, the batches of a product, or blocks of the rows of each
// where a whole result would leave the cache (attention of long sequences).
import type { Node, Value } from '@weft/ir';
import { dotPlan, numel, specOf } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import { storedOutputs } from '../reference/compile.ts';
import { countOf, isAlias, rootOf, sourcesOf, valuesRead } from '../reference/schedule.ts';
import type { Access } from './access.ts';
import { isView, isViewNode } from './access.ts';
import type { AffineEpilogue } from './affine-epilogue.ts';
import { dotWords, isPlainDot } from './dot.ts';
import type { NativeLibrary } from './library.ts';
import type { Piece, Pieces, Split } from './parts.ts';
import { ordered, piecesOf, readsOwnPart, stridesAlong } from './parts.ts';
import { isPointwise, mostAxes } from './pointwise.ts';
import { reduceWalk } from './reduce.ts';

/** What is emitted at once: a node, an elementwise group, a node with the group that follows it, or a chain of these. */
export interface FusedUnit {
  readonly node: Node | undefined;
  readonly group: readonly Node[];
  /** The group as one formula, where it has one that the node's kernel takes: then the node's own result is stored nowhere. */
  readonly affine?: AffineEpilogue;
  readonly chain?: Chain;
}

export interface Link {
  readonly unit: FusedUnit;
  /** The dimensions of the group, or of the product's result, or of the reduction's operand. */
  readonly pieces: Pieces;
  /** A reduction that folds all parts into one result. */
  readonly gathers: boolean;
}

export interface Chain {
  readonly parts: number;
  readonly links: readonly Link[];
  /** How the values that the links compute fall into parts; results that gather all of them have no place here. */
  readonly splits: ReadonlyMap<Value, Split>;
}

/** What forming chains asks of the program around. */
export interface ChainRules {
  readonly library: NativeLibrary;
  isNative(node: Node): boolean;
  /** How a value is read (Views.accessOf). */
  accessOf(value: Value): Access | undefined;
  /** Whether a value is written over an input, which its step reads as it goes. */
  isInPlace(value: Value): boolean;
}

/** Steps of one chain, at most. */
const mostLinks = 32;
/** Elements that are walked densely where parts are not contiguous, at least. */
const leastRun = 16;
/** Elements of one part, at most: beyond, memory is walked as without a chain. */
const mostElements = 1 << 20;
/** The same for a product, which gains nothing when its result leaves the cache before it is read. */
const mostOfProduct = 1 << 16;
/** Rows of a block of a product, at least, and elements of its right operand, at most, which every block reads again. */
const leastRows = 16;
const mostOfOperand = 1 << 19;

export const nodesOf = ({ node, group, chain }: FusedUnit): readonly Node[] =>
  chain !== undefined
    ? chain.links.flatMap(({ unit }) => nodesOf(unit))
    : node === undefined
      ? group
      : [node, ...group];

/** What a unit computes that anything else reads. */
export const resultsOf = ({ node, group, affine, chain }: FusedUnit): readonly Value[] =>
  chain !== undefined
    ? chain.links.flatMap(({ unit }) => resultsOf(unit))
    : [
        ...(affine === undefined ? (node?.outputs ?? []) : []),
        ...storedOutputs(group).map((member) => member.output),
      ];

/** The results of links that only links read. */
export function insideOf(chain: Chain, outputs: readonly Value[]): Value[] {
  const unit: FusedUnit = { node: undefined, group: [], chain };
  const nodes = new Set(nodesOf(unit));
  const kept = new Set(outputs);
  return resultsOf(unit).filter(
    (value) => chain.splits.has(value) && !kept.has(value) && isReadOnlyBy(nodes, value),
  );
}

/** Whether a value, as it is or as a view, is read by no node but these. */
export function isReadOnlyBy(nodes: ReadonlySet<Node>, value: Value): boolean {
  return value.uses.every(({ user, index }) => {
    if (nodes.has(user)) return true;
    if (isAlias(user)) return isReadOnlyBy(nodes, user.outputs[index]);
    return isViewNode(user) && isReadOnlyBy(nodes, user.output);
  });
}

interface OpenChain {
  units: { readonly unit: FusedUnit; readonly at: number }[];
  chain: Dividing | undefined;
  open: boolean;
  /** The large operands that are no results of its own. */
  readonly operands: Set<Value>;
  /** Units that read from it and that nothing waits for. */
  readonly later: FusedUnit[];
}

/**
 * Joins units into chains. A chain stands where its last member did, before anything outside that reads from it: until then it is open, and
 * open ones never depend on each other. A unit whose results only the program gives, such as the update of a parameter, closes no
 * chain that others still wait for, but stands after it.
 */
export function withChains(units: readonly FusedUnit[], rules: ChainRules): FusedUnit[] {
  if (!rules.library.operations.has('chain')) return [...units];
  const result: FusedUnit[] = [];
  const chainOf = new Map<Value, OpenChain>();
  const readersOf = new Map<Value, Set<OpenChain>>();
  const all: OpenChain[] = [];
  const close = (chain: OpenChain): void => {
    if (!chain.open) return;
    chain.open = false;
    if (chain.chain === undefined) result.push(...chain.units.map(({ unit }) => unit));
    else result.push({ node: undefined, group: [], chain: chain.chain });
    for (const unit of chain.later) {
      const other = [...openChainsOf(unit)][0];
      if (other === undefined) result.push(unit);
      else other.later.push(unit);
    }
  };
  const openChainsOf = (unit: FusedUnit): Set<OpenChain> =>
    new Set(sourcesOfUnit(unit).flatMap((source) => {
      const chain = chainOf.get(source);
      return chain?.open === true ? [chain] : [];
    })); // prettier-ignore
  /** Makes one chain of open ones, if they are one together. */
  const join = (chains: readonly OpenChain[]): OpenChain | undefined => {
    const members = chains.flatMap((each) => each.units).sort((a, b) => a.at - b.at);
    const units = members.map((each) => each.unit);
    const chain = isGroupBehind(chains) ? grown(chains[0].chain!, units, rules) : chainFrom(units, rules);
    if (chain === undefined) return undefined;
    const [first, ...others] = chains;
    for (const other of others) {
      other.open = false;
      first.later.push(...other.later);
      for (const { unit } of other.units) for (const node of nodesOf(unit)) chainOf.set(node.output, first);
      for (const operand of other.operands) {
        first.operands.add(operand);
        readersOf.get(operand)!.add(first);
      }
    }
    first.units = members;
    first.chain = chain;
    return first;
  };
  /** Leaves a unit for later that reads from open chains and need not close them. */
  const standsLater = (unit: FusedUnit, [first]: Iterable<OpenChain>): boolean => {
    if (first === undefined || !isLast([unit])) return false;
    if (isLast([...first.units.map((each) => each.unit), ...first.later, unit])) return false;
    first.later.push(unit);
    return true;
  };
  units.forEach((unit, at) => {
    const read = openChainsOf(unit);
    if (!isLink(unit, rules)) {
      if (standsLater(unit, read)) return;
      for (const chain of read) close(chain);
      result.push(unit);
      return;
    }
    const outside = sourcesOfUnit(unit).filter((source) => chainOf.get(source)?.open !== true);
    const count = Math.max(
      ...nodesOf(unit).map((node) => Math.max(countOf(node.output), countOf(node.inputs[0]))),
    );
    const operands = new Set(outside.filter((source) => 2 * countOf(source) >= count));
    const own: OpenChain = { units: [{ unit, at }], chain: undefined, open: true, operands, later: [] };
    all.push(own);
    for (const node of nodesOf(unit)) chainOf.set(node.output, own);
    for (const operand of operands) {
      const readers = readersOf.get(operand);
      if (readers === undefined) readersOf.set(operand, new Set([own]));
      else readers.add(own);
    }
    const chains = [...read];
    let joined = chains.length > 0 ? join([...chains, own]) : undefined;
    if (joined === undefined && chains.length > 1) {
      for (const each of chains) if ((joined = join([each, own])) !== undefined) break;
    }
    if (joined === undefined && standsLater(unit, read)) {
      own.open = false;
      return;
    }
    for (const chain of read) if (chain !== joined) close(chain);
    // Those that read the same large operand read it once.
    let last = joined ?? own;
    const beside = new Set([...last.operands].flatMap((operand) => [...readersOf.get(operand)!]));
    for (const other of beside) {
      if (!other.open || other === last || (last.chain === undefined && other.chain === undefined)) continue;
      last = join([other, last]) ?? last;
    }
  });
  for (const chain of all) close(chain);
  return result;
}

/** The values in memory that a unit reads. */
const sourcesOfUnit = (unit: FusedUnit): Value[] =>
  nodesOf(unit).flatMap((node) => valuesRead(node).flatMap((value) => sourcesOf(value, isView)));

/** Whether no other unit reads what these compute; a view of it that the program gives is one, which copies. */
function isLast(units: readonly FusedUnit[]): boolean {
  const nodes = new Set(units.flatMap(nodesOf));
  const isRead = (value: Value): boolean =>
    value.uses.some(({ user, index }) => {
      if (nodes.has(user) || user === user.block!.returnNode) return false;
      return isAlias(user) ? isRead(user.outputs[index]) : !isViewNode(user) || !isReadOnlyBy(nodes, user.output);
    }); // prettier-ignore
  return [...nodes].every((node) => !node.outputs.some(isRead));
}

/** Whether a unit may be a link of some chain. */
function isLink({ node, group, affine, chain }: FusedUnit, rules: ChainRules): boolean {
  const { library, isNative } = rules;
  if (chain !== undefined || group.some((member) => rules.isInPlace(member.output))) return false;
  if (node === undefined) return isPointwise(group[0], library) && countOf(group[0].output) > 1;
  if (!isNative(node) || isHalf(specOf(node.inputs[0]).dtype) || countOf(node.outputs[0]) === 0) return false;
  if (node.kind === 'core::reduce') return countOf(node.inputs[0]) > 1;
  return node.kind === 'core::dot_general' && isPlainDot(node) && affine === undefined && batchesOf(node) > 1;
}

/** How many matrices a product multiplies. */
function batchesOf(node: Node): number {
  const { sizes } = specOf(node.inputs[0]);
  return numel(node.ints('lhs_batching_dimensions').map((dimension) => sizes[dimension]));
}

/** Into how many blocks the rows of each product of a batch fall, so that the result of one stays in the cache. */
function rowBlocksOf(node: Node): number {
  const [left, right] = node.inputs.map((value) => specOf(value).sizes);
  const batches = batchesOf(node);
  if (numel(right) / batches > mostOfOperand) return 1;
  const rows = numel(dotPlan(node, left.length, right.length).lhsFree.map((dimension) => left[dimension]));
  const columns = countOf(node.output) / batches / rows;
  for (let blocks = 1; leastRows * blocks <= rows; blocks++) {
    if (rows % blocks === 0 && (rows / blocks) * columns <= mostOfProduct) return blocks;
  }
  return 1;
}

/** A way of dividing: how many parts, and how values of so many elements may fall into them. */
interface Division {
  readonly parts: number;
  readonly splits: Map<number, Split[]>;
}

/** The ways that reductions and products of the units suggest, the most parts first. */
function divisionsOf(units: readonly FusedUnit[], threads: number): Division[] {
  const runs: { readonly parts: number; readonly count: number; readonly split: Split }[] = [];
  const gathered: typeof runs = [];
  let least = Math.max(2, threads);
  for (const { node } of units) {
    if (node?.kind === 'core::dot_general') {
      // A product that runs part by part runs on one thread: there have to be enough of them.
      if (threads > 1) least = Math.max(least, 4 * threads);
      const [batches, count] = [batchesOf(node), countOf(node.output)];
      for (const parts of new Set([batches, batches * rowBlocksOf(node)])) {
        runs.push({ parts, count, split: { before: 1, after: count / parts } });
      }
    }
    if (node?.kind !== 'core::reduce') continue;
    const { sizes } = specOf(node.inputs[0]);
    const folded = new Set(node.ints('dimensions'));
    for (let first = 0; first < sizes.length;) {
      let end = first;
      const isFolded = folded.has(first);
      while (end < sizes.length && folded.has(end) === isFolded) end++;
      const before = numel(sizes.slice(0, first));
      const parts = numel(sizes.slice(first, end));
      const after = numel(sizes.slice(end));
      if (!isFolded) runs.push({ parts, count: numel(sizes), split: { before, after } });
      else if (first === 0) gathered.push({ parts, count: numel(sizes), split: { before, after } });
      first = end;
    }
  }
  const from = runs.length > 0 ? [...runs, ...gathered] : gathered;
  const counts = [...new Set(from.map(({ parts }) => parts))].filter((parts) => parts >= least); // prettier-ignore
  counts.sort((a, b) => b - a);
  return counts.map((parts) => {
    const splits = new Map<number, Split[]>();
    for (const { count, split, parts: own } of from) {
      if (own !== parts || (split.before > 1 && split.after < leastRun)) continue;
      splits.set(count, [...(splits.get(count) ?? []), split]);
    }
    return { parts, splits };
  });
}

/** Whether the second is but an elementwise group behind all of the first. */
const isGroupBehind = ([first, second, third]: readonly OpenChain[]): boolean =>
  first.chain !== undefined &&
  third === undefined &&
  second.units.length === 1 &&
  second.units[0].unit.node === undefined &&
  second.units[0].at > first.units[first.units.length - 1].at;

/** A chain with a group more, its last unit: no division is new with that, and those that did not fit before do not now. */
function grown(chain: Dividing, units: readonly FusedUnit[], rules: ChainRules): Dividing | undefined {
  if (units.length > mostLinks) return undefined;
  if (chain.add(units[units.length - 1])) return chain;
  return chainFrom(units, rules, chain.parts);
}

/**
 * A chain of all the units in their order, or undefined when they are none.
 * @param below divisions into as many parts and more are known to be none
 */
function chainFrom(units: readonly FusedUnit[], rules: ChainRules, below = Infinity): Dividing | undefined {
  if (units.length > mostLinks) return undefined;
  for (const division of divisionsOf(units, rules.library.threads(0))) {
    if (division.parts >= below) continue;
    const dividing = new Dividing(division, rules);
    if (units.every((unit) => dividing.add(unit))) return dividing;
  }
  return undefined;
}

/** A chain in the making: units divided in one way. */
class Dividing implements Chain {
  readonly parts: number;
  readonly splits = new Map<Value, Split>();
  readonly links: Link[] = [];
  private readonly gathered = new Set<Value>();

  constructor(
    private readonly division: Division,
    private readonly rules: ChainRules,
  ) {
    this.parts = division.parts;
  }

  /** Adds a unit behind the others; false, and nothing changed, when it does not fall into these parts. */
  add(unit: FusedUnit): boolean {
    const { parts, splits, rules } = this;
    const { node, group } = unit;
    const shape = specOf(node?.kind === 'core::reduce' ? node.inputs[0] : (group[0] ?? node).output);
    for (const split of this.splitsOf(numel(shape.sizes))) {
      const most = node?.kind === 'core::dot_general' ? mostOfProduct : mostElements;
      if (numel(shape.sizes) / parts > most) continue;
      const pieces = piecesOf(shape.sizes, parts, split);
      if (pieces === undefined) continue;
      const reads = (value: Value): boolean => this.fits(rules.accessOf(value), pieces);
      let link: Link | undefined;
      if (node === undefined) link = groupLink(unit, pieces, reads);
      else if (node.kind === 'core::reduce') {
        link = reduceLink(unit, pieces, rules.accessOf(node.inputs[0]), this.fits);
      } else if (split.before === 1) {
        splits.set(node.output, split);
        const isDense = node.inputs.every((value) => (splits.get(rootOf(value))?.before ?? 1) === 1);
        if (isDense && dotLink(unit, parts, rules, this.fits)) link = groupLink(unit, pieces, reads);
        if (link === undefined) splits.delete(node.output);
      }
      if (link === undefined) continue;
      for (const member of group) splits.set(member.output, split);
      if (node?.kind === 'core::reduce') {
        if (link.gathers) this.gathered.add(node.output);
        else splits.set(node.output, { before: 1, after: countOf(node.output) / parts });
      }
      this.links.push(link);
      return true;
    }
    return false;
  }

  /** How values of so many elements may fall into the parts. */
  private splitsOf(count: number): Split[] {
    const { division, parts } = this;
    if (count % parts !== 0) return [];
    const whole = { before: 1, after: count / parts };
    return [...(division.splits.get(count) ?? []), whole];
  }

  /** Whether what is read of the chain's values, through this access, is the part that is computed. */
  private readonly fits = (access: Access | undefined, pieces: Pieces): boolean => {
    if (access === undefined) return false;
    const root = rootOf(access.source);
    if (this.gathered.has(root)) return false;
    const split = this.splits.get(root);
    return split === undefined || readsOwnPart(access, pieces, this.parts, split);
  };
}

function groupLink(unit: FusedUnit, pieces: Pieces, fits: (value: Value) => boolean): Link | undefined {
  const { group } = unit;
  if (ordered(pieces).length > mostAxes) return undefined;
  const inside = new Set(group.map((member) => member.output));
  const isLinked = group.every((member) => member.inputs.every((value) => inside.has(value) || fits(value)));
  return isLinked ? { unit, pieces, gathers: false } : undefined;
}

/** Whether a product multiplies, in each part, what is of the same part. */
function dotLink(
  { node }: FusedUnit,
  parts: number,
  rules: ChainRules,
  fits: (access: Access | undefined, pieces: Pieces) => boolean,
): boolean {
  const operands = node!.inputs.map((value) => rules.accessOf(value));
  const [left, right] = operands.map((access, index) =>
    access === undefined ? undefined : { ...access, slot: 0, dtype: specOf(node!.inputs[index]).dtype },
  );
  if (left === undefined || right === undefined) return false;
  if (dotWords(node!, left, right, 0) === undefined) return false;
  const plan = dotPlan(node!, left.sizes.length, right.sizes.length);
  const rows = numel(plan.lhsFree.map((dimension) => left.sizes[dimension]));
  const batches = batchesOf(node!);
  const isInBlocks = parts > batches;
  if (isInBlocks && (batches * rows) / parts < leastRows) return false;
  /** Of an operand: what counts the parts, with all dimensions that count no part after it. */
  const piecesAlong = (counted: readonly number[], { sizes }: Access, of: number): Pieces | undefined => {
    const counts = counted.map((dimension) => sizes[dimension]);
    const pieces = piecesOf(counts, of, { before: 1, after: numel(counts) / of });
    if (pieces === undefined) return undefined;
    const inOperand = (piece: Piece): Piece => ({ ...piece, dimension: counted[piece.dimension] });
    const others = sizes
      .map((size, dimension) => ({ dimension, size, step: 1 }))
      .filter(({ dimension }) => !counted.includes(dimension));
    return {
      before: [],
      parts: pieces.parts.map(inOperand),
      after: [...pieces.after.map(inOperand), ...others],
    };
  };
  const ofLeft = piecesAlong([...plan.lhsBatching, ...(isInBlocks ? plan.lhsFree : [])], left, parts);
  // Every block of rows reads the whole right operand of its product.
  const ofRight = piecesAlong(plan.rhsBatching, right, isInBlocks ? batches : parts);
  if (ofLeft === undefined || ofRight === undefined) return false;
  return fits(operands[0], ofLeft) && fits(operands[1], ofRight);
}

function reduceLink(
  unit: FusedUnit,
  pieces: Pieces,
  access: Access | undefined,
  fits: (access: Access | undefined, pieces: Pieces) => boolean,
): Link | undefined {
  const node = unit.node!;
  if (access === undefined || !fits(access, pieces)) return undefined;
  const folded = new Set(node.ints('dimensions'));
  const isFolded = ({ dimension }: { dimension: number }): boolean => folded.has(dimension);
  const gathers = pieces.parts.length > 0 && pieces.parts.every(isFolded);
  if (!gathers && pieces.parts.some(isFolded)) return undefined;
  // Results lie part after part, as they are computed.
  if (pieces.before.some((piece) => !isFolded(piece))) return undefined;
  const all = ordered(pieces);
  const strides = stridesAlong(all, access.strides);
  const axes = all.map((piece, index) => ({
    size: piece.size,
    stride: strides[index],
    isFolded: isFolded(piece),
  }));
  const apart = pieces.parts.length;
  if (gathers) {
    // What is gathered is walked with one stride.
    const partStrides = strides.slice(0, apart);
    const isEven = pieces.parts.every(({ size }, at) => at === 0 || partStrides[at - 1] === partStrides[at] * size); // prettier-ignore
    if (!isEven) return undefined;
  }
  if ((gathers ? reduceWalk(axes.slice(apart)) : reduceWalk(axes, apart)) === undefined) return undefined;
  return { unit, pieces, gathers };
}
