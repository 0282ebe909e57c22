// Splits a core graph over one mesh axis. Placements (DTensor's words) flow forward from the inputs by the operators'
// sharding rules; each node is emitted again on the local shapes, and where an operand stands other than its node needs it,
// a collective or a slice is inserted. Data and tensor parallelism are this pass with different input placements;
// several axes are several runs of it. An operator without a rule, or with regions, gets whole operands.
import type { Block, CoreBuilder, Graph, Node, ShardingRule, TensorSpec, Value } from '@weft/ir';
import {
  CoreBuilder as Builder,
  InternalError,
  cloneNode,
  coreOperator,
  inferTypes,
  numel,
  specOf,
  tensorSpec,
} from '@weft/ir';

export type Reduction = 'sum' | 'max' | 'min' | 'prod';
export type Placement =
  | { readonly kind: 'replicate' }
  | { readonly kind: 'shard'; readonly dimension: number }
  /** Each device holds a term; the value is their reduction. */
  | { readonly kind: 'partial'; readonly reduction: Reduction };

export const replicate: Placement = { kind: 'replicate' };
export const shard = (dimension: number): Placement => ({ kind: 'shard', dimension });
export const partial = (reduction: Reduction = 'sum'): Placement => ({ kind: 'partial', reduction });

export interface ShardOptions {
  /** The devices along the axis (logical numbers), and this device's index among them. */
  readonly group: readonly number[];
  readonly index: number;
  /** Placement of each graph input. */
  readonly inputs: readonly Placement[];
  /** What each output may stay: partial values are reduced unless 'any'. Shards are gathered only for 'replicate'. */
  readonly outputs: readonly ('any' | 'replicate')[];
}

export interface ShardedGraph {
  readonly builder: CoreBuilder;
  readonly outputs: readonly Placement[];
  /** New node → the node of the original graph it was made for (collectives and slices included). */
  readonly origin: ReadonlyMap<Node, Node>;
}

interface Placed {
  readonly value: Value;
  readonly placement: Placement;
}

/** The size and start of one device's part of a dimension. */
export function localSpec(spec: TensorSpec, placement: Placement, parts: number): TensorSpec {
  if (placement.kind !== 'shard') return spec;
  return tensorSpec(
    spec.dtype,
    spec.sizes.map((size, dimension) => (dimension === placement.dimension ? size / parts : size)),
  );
}

export function shardGraph(source: Graph, options: ShardOptions): ShardedGraph {
  return new Sharder(source, options).run();
}

class Sharder {
  private readonly b = new Builder();
  private readonly placed = new Map<Value, Placed>();
  /** Other placements of a value that were made already. */
  private readonly converted = new Map<Value, Placed[]>();
  private readonly origin = new Map<Node, Node>();
  private readonly parts: number;

  constructor(
    private readonly source: Graph,
    private readonly options: ShardOptions,
  ) {
    this.parts = options.group.length;
  }

  run(): ShardedGraph {
    this.source.inputs.forEach((input, index) => {
      const placement = this.options.inputs[index];
      const value = this.b.input(
        localSpec(specOf(input), placement, this.parts),
        input.hasName ? input.name : undefined,
      );
      this.placed.set(input, { value, placement });
    });
    for (const node of this.source.nodes()) this.tracked(node, () => this.place(node));
    const outputs = this.source.outputs.map((output, index) => {
      let result = this.placed.get(output)!;
      if (this.options.outputs[index] === 'replicate')
        result = { value: this.as(output, replicate), placement: replicate };
      this.b.graph.addOutput(result.value);
      return result.placement;
    });
    return { builder: this.b, outputs, origin: this.origin };
  }

  /** Runs `body` and records that all nodes it emits are there for `node`. */
  private tracked(node: Node, body: () => void): void {
    const before = this.b.graph.returnNode.prev!;
    this.b.graph.currentSource = node.source;
    body();
    for (let made = before.next!; made !== this.b.graph.returnNode; made = made.next!)
      this.origin.set(made, node);
  }

  private place(node: Node): void {
    const rule =
      node.blocks.length > 0 && !reducesOnly(node) ? undefined : coreOperator(node.operator).sharding?.(node);
    if (rule === undefined)
      return this.emit(
        node,
        node.inputs.map(() => replicate),
        node.outputs.map(() => replicate),
      );

    const factor = this.chooseFactor(node, rule);
    if (factor !== undefined) {
      const dimensionOf = (labels: readonly (number | null)[]) => labels.indexOf(factor);
      const operands = rule.operands.map((labels) =>
        dimensionOf(labels) < 0 ? replicate : shard(dimensionOf(labels)),
      );
      const results = rule.results.map((labels) =>
        dimensionOf(labels) < 0 ? partial(rule.reduction ?? 'sum') : shard(dimensionOf(labels)),
      );
      return this.emit(node, operands, results);
    }
    const linear = this.linearOperands(node, rule);
    if (linear !== undefined) {
      return this.emit(
        node,
        node.inputs.map((_, index) => (linear.includes(index) ? partial() : replicate)),
        node.outputs.map(() => partial()),
      );
    }
    this.emit(
      node,
      node.inputs.map(() => replicate),
      node.outputs.map(() => replicate),
    );
  }

  /** The factor to split: the one that most bytes of the operands are split on already, if every dimension divides. */
  private chooseFactor(node: Node, rule: ShardingRule): number | undefined {
    const votes = new Map<number, number>();
    node.inputs.forEach((input, index) => {
      const { placement } = this.placed.get(input)!;
      if (placement.kind !== 'shard') return;
      const factor = rule.operands[index][placement.dimension];
      if (factor === null || factor === undefined || !this.divides(node, rule, factor)) return;
      votes.set(factor, (votes.get(factor) ?? 0) + numel(specOf(input).sizes));
    });
    return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0];
  }

  private divides(node: Node, rule: ShardingRule, factor: number): boolean {
    const whole = (values: readonly Value[], labels: readonly (readonly (number | null)[])[]) =>
      values.every((value, index) =>
        labels[index].every(
          (label, dimension) => label !== factor || specOf(value).sizes[dimension] % this.parts === 0,
        ),
      );
    return whole(node.inputs, rule.operands) && whole(node.outputs, rule.results);
  }

  /** The operands that may stay partial sums: a linear set of the rule that has all partial operands and only those. */
  private linearOperands(node: Node, rule: ShardingRule): readonly number[] | undefined {
    const partials = node.inputs.flatMap((input, index) => {
      const { placement } = this.placed.get(input)!;
      return placement.kind === 'partial' && placement.reduction === 'sum' ? [index] : [];
    });
    if (partials.length === 0) return undefined;
    return rule.linear?.find(
      (set) => set.length === partials.length && set.every((index) => partials.includes(index)),
    );
  }

  /** Emits `node` on local shapes with its operands placed as given, and records where its results stand. */
  private emit(node: Node, operands: readonly Placement[], results: readonly Placement[]): void {
    const map = new Map<Value, Value>();
    const local = node.inputs.map((input, index) => this.as(input, operands[index]));
    node.inputs.forEach((input, index) => map.set(input, local[index]));
    for (const block of node.blocks) this.mapCaptures(block, map);
    const copy = cloneNode(this.b.graph, node, map);
    local.forEach((value, index) => copy.replaceInput(index, value));
    const expected = node.outputs.map((output, index) =>
      localSpec(specOf(output), results[index], this.parts),
    );
    localiseAttributes(copy, node, operands, results, this.parts);
    this.b.graph.insertNode(copy);
    const inferred = inferTypes(copy);
    inferred.forEach((spec, index) => {
      if (String(spec.sizes) !== String(expected[index].sizes)) {
        throw new InternalError(
          `${node.kind} split over ${this.parts} gives [${String(spec.sizes)}] where [${String(expected[index].sizes)}] is expected`,
        );
      }
      copy.outputs[index].setType(spec);
      this.placed.set(node.outputs[index], { value: copy.outputs[index], placement: results[index] });
    });
  }

  /** Regions see whole values of everything that they use from outside. */
  private mapCaptures(block: Block, map: Map<Value, Value>): void {
    const need = (value: Value) => {
      if (this.placed.has(value) && !map.has(value)) map.set(value, this.as(value, replicate));
    };
    for (const node of block.nodes()) {
      node.inputs.forEach(need);
      for (const inner of node.blocks) this.mapCaptures(inner, map);
    }
    block.outputs.forEach(need);
  }

  /** The local value of `original` placed as `target`, converting it when it stands otherwise. */
  private as(original: Value, target: Placement): Value {
    const placed = this.placed.get(original);
    if (placed === undefined) throw new InternalError(`%${original.name} is used before it is placed`);
    if (samePlacement(placed.placement, target)) return placed.value;
    const known = this.converted.get(original) ?? [];
    const made = known.find((candidate) => samePlacement(candidate.placement, target));
    if (made !== undefined) return made.value;
    const value = this.convert(original, placed, target);
    this.converted.set(original, [...known, { value, placement: target }]);
    return value;
  }

  private convert(original: Value, from: Placed, to: Placement): Value {
    const groups = [this.options.group];
    switch (from.placement.kind) {
      case 'partial': {
        if (to.kind === 'shard' && (specOf(original).sizes[to.dimension] ?? 0) % this.parts === 0) {
          return this.b.reduceScatter(from.value, to.dimension, groups, from.placement.reduction);
        }
        return this.b.allReduce(from.value, groups, from.placement.reduction);
      }
      case 'shard': {
        const whole = this.b.allGather(from.value, from.placement.dimension, groups);
        return to.kind === 'shard' ? this.part(original, whole, to.dimension) : whole;
      }
      case 'replicate':
        if (to.kind === 'shard') return this.part(original, from.value, to.dimension);
        throw new InternalError('a replicated value is never made partial');
      default:
        return from.placement satisfies never;
    }
  }

  /** This device's part of a whole value; broadcasts and constants are made at the smaller size at once. */
  private part(original: Value, whole: Value, dimension: number): Value {
    const spec = specOf(whole);
    const local = localSpec(spec, shard(dimension), this.parts);
    const node = whole.node;
    if (node.kind === 'core::broadcast_in_dim') {
      const dimensions = node.ints('broadcast_dimensions');
      const from = dimensions.indexOf(dimension);
      if (from < 0 || specOf(node.inputs[0]).sizes[from] === 1) {
        return this.b.broadcastInDim(node.inputs[0], local.sizes, dimensions);
      }
    }
    const start = spec.sizes.map((_, index) =>
      index === dimension ? this.options.index * local.sizes[dimension] : 0,
    );
    return this.b.slice(
      whole,
      start,
      start.map((first, index) => first + local.sizes[index]),
    );
  }
}

/** A reduction whose region only combines scalars: its operands may be split. */
const reducesOnly = (node: Node): boolean =>
  ['reduce', 'reduce_window', 'scatter', 'select_and_scatter', 'sort'].includes(node.operator);

const samePlacement = (a: Placement, b: Placement): boolean =>
  a.kind === b.kind &&
  (a.kind !== 'shard' || a.dimension === (b as { dimension: number }).dimension) &&
  (a.kind !== 'partial' || a.reduction === (b as { reduction: Reduction }).reduction);

/** Attributes that hold a size of a result or operand dimension. */
const sizeAttributes: Readonly<Record<string, { readonly name: string; readonly of: 'result' | 'operand' }>> =
  {
    reshape: { name: 'shape', of: 'result' },
    broadcast_in_dim: { name: 'shape', of: 'result' },
    slice: { name: 'limit_indices', of: 'result' },
    dynamic_slice: { name: 'slice_sizes', of: 'operand' },
    gather: { name: 'slice_sizes', of: 'operand' },
  };

function localiseAttributes(
  copy: Node,
  node: Node,
  operands: readonly Placement[],
  results: readonly Placement[],
  parts: number,
): void {
  const entry = sizeAttributes[node.operator];
  if (entry === undefined) return;
  const [placement, value] =
    entry.of === 'result' ? [results[0], node.outputs[0]] : [operands[0], node.inputs[0]];
  if (placement.kind !== 'shard') return;
  const whole = specOf(value).sizes;
  // A slice of one element along a batching dimension stays one element.
  const sizes = node
    .ints(entry.name)
    .map((size, dimension) =>
      dimension === placement.dimension && size === whole[dimension] ? size / parts : size,
    );
  copy.set(entry.name, { kind: 'is', value: sizes.map(BigInt) });
}
