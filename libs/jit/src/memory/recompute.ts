// Values computed again rather than kept: while more is in memory than may be, those that are only waiting at the worst moment are
// given up, the one with most bytes for the least work first, and made again in front of their next reader. Pointwise results go
// first; where these do not suffice, chains of what lies between values that stay (Chen et al., "Training Deep Nets with Sublinear Memory
// Cost", 2016; the order of choice is that of XLA's rematerialization). Nothing that acts, or that no copy of could be the same, is
// copied: results of the graph, what is drawn (an operand), loops and branches.
import type { Graph, Node, Value } from '@weft/ir';
import { capturesOf, cloneNode, costOf, hasEffect, isNondeterministic } from '@weft/ir';
import type { MemorySpans, Span } from './spans.ts';
import { isPointwise, isView, memoryOf, memorySpans } from './spans.ts';

export interface Recomputation {
  /** Estimated bytes of memory at the worst moment. */
  readonly bytes: number;
  /** Nodes that run once more than before. */
  readonly nodes: number;
}

/** Rounds without a lower peak after which there is none to be had. */
const patience = 12;
const mostRounds = 400;
/** What a round gives up at most, of all: what the worst moment is changes as it goes. */
const largestStep = 0.08;

/** Copies nodes until the estimated memory is at most `target` bytes, or as little as can be had. Returns what was reached. */
export function recompute(graph: Graph, target: number): Recomputation {
  // Tried on a copy first: the last rounds may have been in vain.
  const { rounds } = inRounds(graph.clone(), target, mostRounds);
  return inRounds(graph, target, rounds);
}

function inRounds(graph: Graph, target: number, most: number): Recomputation & { readonly rounds: number } {
  const copies = new Map<Value, Value>();
  let spans = memorySpans(graph);
  let best = { bytes: spans.peak.bytes, rounds: 0, nodes: 0 };
  let nodes = 0;
  for (let round = 1; round <= most && spans.peak.bytes > target; round++) {
    const { bytes } = spans.peak;
    const added = new Round(graph, spans, copies).run(Math.min(bytes - target, largestStep * bytes));
    if (added === undefined) break;
    nodes += added;
    spans = memorySpans(graph);
    if (spans.peak.bytes < best.bytes) best = { bytes: spans.peak.bytes, rounds: round, nodes };
    else if (round - best.rounds >= patience) break;
  }
  return best;
}

/** A place that reads a value, or a view of it. */
interface Reader {
  readonly user: Node;
  readonly index: number;
  readonly value: Value;
}

interface Candidate {
  readonly span: Span;
  readonly readers: readonly Reader[];
  /** The node in front of which the copies stand. */
  readonly place: Node;
  readonly score: number;
}

/** What can be given up at one moment. */
class Round {
  private readonly at: number;
  private added = 0;

  constructor(
    private readonly graph: Graph,
    private readonly spans: MemorySpans,
    /** Values with the last copies of them, which serve other copies too. */
    private readonly copies: Map<Value, Value>,
  ) {
    this.at = spans.peak.unit;
  }

  /** Gives up values of `excess` bytes, or as many as there are. Returns how many nodes were copied; undefined when none can be given up. */
  run(excess: number): number | undefined {
    const waiting = [...this.spans.spans.values()].filter((span) => this.isWaiting(span));
    const candidates = waiting
      .flatMap((span) => this.candidate(span) ?? [])
      .sort((a, b) => b.score - a.score);
    let freed = 0;
    for (const { span } of candidates) {
      if (freed >= excess) break;
      // Readers and their order may have changed by the copies before.
      const now = this.candidate(span);
      if (now === undefined) continue;
      this.copy(now);
      freed += span.bytes;
    }
    return freed === 0 ? undefined : this.added;
  }

  /** In memory at the moment, read neither by what runs then nor made by it, and large enough to matter. */
  private isWaiting({ first, last, reads, bytes }: Span): boolean {
    const { at, spans } = this;
    return first < at && last > at && !reads.includes(at) && bytes * 4096 > spans.peak.bytes;
  }

  private candidate(span: Span): Candidate | undefined {
    const readers = this.readersAfter(span.value);
    if (readers.length === 0) return undefined;
    const place = readers
      .map(({ user }) => this.outermost(user))
      .reduce((first, node) => (node.isBefore(first) ? node : first));
    const nodes = this.needed(readers, span.value, place);
    if (nodes === undefined) return undefined;
    const work = nodes.reduce((sum, node) => sum + workOf(node), 0);
    return { span, readers, place, score: span.bytes / (work + 1) };
  }

  /** What reads a value after the moment, itself or through views. */
  private readersAfter(value: Value): Reader[] {
    return value.uses.flatMap(({ user, index }) => {
      const outer = this.outermost(user);
      const unit = this.spans.unitOf.get(outer);
      if (unit === undefined && outer === user && isWalk(user)) return this.readersAfter(user.output);
      // Copies made at this moment run after it.
      return unit === undefined || unit > this.at ? [{ user, index, value }] : [];
    });
  }

  /** The nodes to copy so that the readers do not need `given`; undefined when one of them must not be copied. */
  private needed(readers: readonly Reader[], given: Value, place: Node): Node[] | undefined {
    const found = new Set<Node>();
    const visit = (value: Value): boolean => {
      if (found.has(value.node) || this.copyOf(value) !== undefined) return true;
      if (this.isThere(value, given, place)) return true;
      const { node } = value;
      if (value.isParameter || !mayBeCopied(node) || found.size > 512) return false;
      found.add(node);
      return operandsOf(node).every(visit);
    };
    return readers.every(({ value }) => visit(value)) ? [...found] : undefined;
  }

  /** Whether a value can be read at a place without being kept for it alone. */
  private isThere(value: Value, given: Value, place: Node): boolean {
    if (value.isParameter || value.node.operator === 'constant') return true;
    if (!value.node.isBefore(place)) return false;
    const memory = memoryOf(value);
    if (memory === given) return false;
    if (memory.isParameter || memory.node.operator === 'constant') return true;
    const span = this.spans.spans.get(memory);
    return span === undefined ? this.isResult(memory) || this.fresh.has(memory.node) : span.last > this.at;
  }

  /** Copies of this round, which stand in front of what reads them. */
  private readonly fresh = new Set<Node>();

  private copyOf(value: Value): Value | undefined {
    const copy = this.copies.get(value);
    return copy?.node.block === undefined ? undefined : copy;
  }

  private isResult(value: Value): boolean {
    return value.uses.some(({ user }) => user === this.graph.returnNode);
  }

  private copy({ span, readers, place }: Candidate): void {
    const map = new Map<Value, Value>();
    const copied = (value: Value): Value => {
      const known = this.copyOf(value);
      if (known !== undefined) {
        moveUp(known.node, place);
        return known;
      }
      if (this.isThere(value, span.value, place)) return value;
      const { node } = value;
      for (const operand of operandsOf(node)) map.set(operand, copied(operand));
      const copy = cloneNode(this.graph, node, map).insertBefore(place);
      node.outputs.forEach((output, index) => this.copies.set(output, copy.outputs[index]));
      this.fresh.add(copy);
      if (!isWalk(copy)) this.added++;
      return copy.outputs[node.outputs.indexOf(value)];
    };
    for (const { user, index, value } of readers) user.replaceInput(index, copied(value));
  }

  /** The node of the graph's own block in which a node stands. */
  private outermost(node: Node): Node {
    let at = node;
    while (at.block !== this.graph.block && at.block?.owner !== undefined) at = at.block.owner;
    return at;
  }
}

/** Moves a copy, with those that it reads, to in front of a place where it does not stand already. */
function moveUp(node: Node, place: Node): void {
  if (node.isBefore(place)) return;
  for (const { node: operand } of operandsOf(node)) if (operand.block === node.block) moveUp(operand, place);
  node.moveBefore(place);
}

const isWalk = (node: Node): boolean =>
  node.operator === 'reshape' || (node.outputs.length === 1 && isView(node.output));

const operandsOf = (node: Node): Value[] => [...node.inputs, ...node.blocks.flatMap(capturesOf)];

const kept = new Set(['while', 'if', 'case']);
const mayBeCopied = (node: Node): boolean =>
  !kept.has(node.operator) && !hasEffect(node) && !isNondeterministic(node);

/** Operations, with what is moved: a byte takes about as long as these. Loops read again what their neighbours read. */
const operationsPerByte = 4;
function workOf(node: Node): number {
  if (isWalk(node) || node.operator === 'constant') return 0;
  const { flops, bytes } = costOf(node);
  return isPointwise(node) ? flops : flops + operationsPerByte * bytes;
}
