// Assembles one device's program from a local graph (shard.ts), its stages (stages.ts) and a schedule (schedule.ts): cuts the
// graph into segments, completes the compute order with sends and receives, names the slots.
import type { Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, InternalError, printGraph, specOf, tensorSpec } from '@weft/ir';
import type { Mesh } from './mesh.ts';
import type { InputRole } from './model.ts';
import type { Action, BatchInput, PersistentSlot, Slot } from './program.ts';
import { stepInputs } from './program.ts';
import type { Schedule } from './schedule.ts';
import type { Piece } from './segments.ts';
import { allInputs, makePieces, rootOf } from './segments.ts';
import type { Phase, StageAssignment } from './stages.ts';
import type { Placement } from './shard.ts';

/** A graph output that has to be somewhere at the end of a micro-batch. */
export interface OutputTarget {
  readonly output: number;
  readonly kind: 'loss' | 'gradient' | 'buffer' | 'result';
  /** Slot that the value ends up in (without micro-batch); gradients and losses are added up over micro-batches. */
  readonly slot: Slot;
}

export interface LocalStep {
  readonly device: number;
  readonly mesh: Mesh;
  readonly graph: Graph;
  readonly inputs: readonly InputRole[];
  readonly placements: readonly Placement[];
  readonly assignment: StageAssignment;
  readonly free: ReadonlySet<Node>;
  readonly targets: readonly OutputTarget[];
  readonly schedule: Schedule;
  readonly microBatches: number;
}

export interface Assembled {
  readonly stage: number;
  readonly graphs: Record<string, string>;
  readonly actions: Action[];
  readonly batchInputs: BatchInput[];
  /** Persistent graph inputs that live on this device. */
  readonly persistent: PersistentSlot[];
  /** Stage that keeps each persistent input. */
  readonly homes: ReadonlyMap<string, number>;
  /** Targets made on this device: their slots. */
  readonly made: readonly OutputTarget[];
  readonly keyOf: (text: string) => string;
}

interface Unit {
  readonly phase: Phase;
  readonly stage: number;
  readonly nodes: Node[];
  /** Values of other units, and graph inputs, that this unit reads. */
  readonly needs: Set<Value>;
  /** Values that others read, or that are targets. */
  readonly wanted: Set<Value>;
}

export function assemble(step: LocalStep): Assembled {
  return new Assembler(step).run();
}

class Assembler {
  private readonly units = new Map<string, Unit>();
  private readonly names = new Map<Value, string>();
  private readonly unitOf = new Map<Value, Unit>();
  private readonly homes = new Map<string, number>();
  private readonly roleOf = new Map<Value, InputRole>();
  private readonly stage: number;
  private readonly actions: Action[] = [];
  private readonly graphs: Record<string, string> = {};
  private readonly batchInputs = new Map<Slot, BatchInput>();
  private readonly pieces = new Map<Unit, readonly Piece[]>();
  private readonly printed = new Map<Graph, string>();

  constructor(private readonly step: LocalStep) {
    this.stage = step.mesh.coordinate(step.device).pipeline ?? 0;
  }

  run(): Assembled {
    this.nameValues();
    this.collectUnits();
    this.placeTargets();
    this.placeHomes();
    this.sendSharedParameters();
    const own = this.step.schedule[this.stage] ?? [];
    for (const { phase, microBatch } of own) this.runUnit(this.unit(phase, this.stage), microBatch);
    return {
      stage: this.stage,
      graphs: this.graphs,
      actions: this.actions,
      batchInputs: [...this.batchInputs.values()],
      persistent: this.persistentSlots(),
      homes: this.homes,
      made: this.step.targets.filter((target) => this.targetUnit(target).stage === this.stage),
      keyOf: (text) => text,
    };
  }

  private nameValues(): void {
    const { graph, inputs } = this.step;
    graph.inputs.forEach((value, index) => {
      const role = inputs[index];
      this.roleOf.set(value, role);
      this.names.set(value, role.kind === 'random' ? stepInputs.random : role.name);
    });
    let ordinal = 0;
    for (const node of graph.nodes()) {
      for (const output of node.outputs) this.names.set(output, `v${ordinal++}`);
    }
  }

  private unit(phase: Phase, stage: number): Unit {
    const key = `${phase} ${stage}`;
    let unit = this.units.get(key);
    if (unit === undefined)
      this.units.set(key, (unit = { phase, stage, nodes: [], needs: new Set(), wanted: new Set() }));
    return unit;
  }

  private collectUnits(): void {
    const { graph, assignment } = this.step;
    for (const node of graph.nodes()) {
      const stage = assignment.stageOf.get(node);
      if (stage === undefined) continue;
      const unit = this.unit(assignment.phaseOf.get(node)!, stage);
      unit.nodes.push(node);
      for (const output of node.outputs) this.unitOf.set(output, unit);
    }
    for (const unit of this.units.values()) {
      for (const node of unit.nodes) for (const input of allInputs(node)) this.require(unit, input);
    }
  }

  /** Notes that `unit` reads `value`, by the root that has to be kept or sent. */
  private require(unit: Unit, value: Value): void {
    if (this.unitOf.get(value) === unit) {
      // A cheap node of the unit itself may be made again in a later segment: its root has to be had as well.
      const root = rootOf(value);
      if (root !== value) this.requireRoot(unit, root);
      return;
    }
    this.requireRoot(unit, rootOf(value));
  }

  private requireRoot(unit: Unit, root: Value): void {
    if (!root.isParameter && this.step.free.has(root.node)) return;
    if (root.isParameter) {
      if (this.roleOf.has(root)) unit.needs.add(root);
      return;
    }
    const maker = this.unitOf.get(root);
    if (maker === undefined || maker === unit) return;
    unit.needs.add(root);
    maker.wanted.add(root);
  }

  /** The unit that provides a target: where it is made; for inputs and free values, the last unit of their stage. */
  private targetUnit(target: OutputTarget): Unit {
    const value = this.step.graph.outputs[target.output];
    const maker = this.unitOf.get(value);
    if (maker !== undefined) return maker;
    const last = this.step.assignment.stages - 1;
    return this.unit(
      target.kind === 'gradient' ? 'backward' : 'forward',
      target.kind === 'loss' || target.kind === 'result' ? last : 0,
    );
  }

  private placeTargets(): void {
    for (const target of this.step.targets) {
      const value = this.step.graph.outputs[target.output];
      const unit = this.targetUnit(target);
      unit.wanted.add(value);
      if (this.unitOf.get(value) === undefined) this.require(unit, value);
    }
  }

  /** A persistent value lives where its gradient or replacement is made, else where it is first read. */
  private placeHomes(): void {
    this.step.graph.inputs.forEach((value, index) => {
      const role = this.step.inputs[index];
      if (role.kind !== 'persistent') return;
      const target = this.step.targets.find(({ kind, slot, output }) =>
        kind === 'buffer' ? output === role.output : kind === 'gradient' && slot === gradientSlot(role.name),
      );
      const readers = [...this.units.values()]
        .filter((unit) => unit.needs.has(value))
        .map(({ stage }) => stage);
      this.homes.set(
        role.name,
        target === undefined
          ? Math.min(...readers, this.step.assignment.stages - 1)
          : this.targetUnit(target).stage,
      );
    });
  }

  /** Parameters that several stages read are sent by their home once a step. */
  private sendSharedParameters(): void {
    const group = this.stageGroup();
    for (const [value, role] of this.roleOf) {
      if (role.kind !== 'persistent') continue;
      const home = this.homes.get(role.name)!;
      const readers = new Set(
        [...this.units.values()].filter((unit) => unit.needs.has(value)).map(({ stage }) => stage),
      );
      readers.delete(home);
      const key = `parameter ${role.name}`;
      if (home === this.stage)
        for (const reader of readers)
          this.actions.push({ kind: 'send', slot: role.name, peer: group[reader], key });
      else if (readers.has(this.stage))
        this.actions.push({ kind: 'recv', slot: role.name, peer: group[home], key, spec: specOf(value) });
    }
  }

  private stageGroup(): number[] {
    const { mesh, device } = this.step;
    return mesh.axes.includes('pipeline') ? mesh.group(device, 'pipeline') : [device];
  }

  private slotOf(value: Value, microBatch: number): Slot {
    const role = this.roleOf.get(value);
    if (role?.kind === 'persistent') return role.name;
    return `${this.names.get(value)!}@${microBatch}`;
  }

  private runUnit(unit: Unit, microBatch: number): void {
    const group = this.stageGroup();
    for (const value of unit.needs) this.fetch(unit, value, microBatch, group);
    this.piecesOf(unit).forEach((piece, index) => {
      if (piece.kind === 'collective') return this.collective(piece.node, microBatch, unit);
      const name = this.addGraph(`${unit.phase}.${index}`, piece.graph);
      this.actions.push({
        kind: 'run',
        graph: name,
        inputs: piece.inputs.map((value) => this.slotOf(value, microBatch)),
        outputs: piece.outputs.map((value) => `${this.names.get(value)!}@${microBatch}`),
        label: `${unit.phase} ${microBatch}`,
      });
    });
    this.offer(unit, microBatch, group);
    this.collectTargets(unit, microBatch);
  }

  private piecesOf(unit: Unit): readonly Piece[] {
    let pieces = this.pieces.get(unit);
    if (pieces === undefined)
      this.pieces.set(unit, (pieces = makePieces(unit.nodes, this.step.free, [...unit.wanted])));
    return pieces;
  }

  /** Makes sure that a value the unit reads is in its slot: batch rows, or a value of another stage. */
  private fetch(unit: Unit, value: Value, microBatch: number, group: readonly number[]): void {
    const role = this.roleOf.get(value);
    const slot = this.slotOf(value, microBatch);
    if (role?.kind === 'persistent') return;
    if (role !== undefined) return this.batchInput(value, role, slot, microBatch);
    const maker = this.unitOf.get(value)!;
    if (maker.stage === this.stage) return;
    if (this.actions.some((action) => action.kind === 'recv' && action.slot === slot)) return;
    this.actions.push({ kind: 'recv', slot, peer: group[maker.stage], key: slot, spec: specOf(value) });
  }

  private batchInput(value: Value, role: InputRole, slot: Slot, microBatch: number): void {
    if (this.batchInputs.has(slot)) return;
    const spec = specOf(value);
    const index = this.step.graph.inputs.indexOf(value);
    const rows = spec.sizes[0] ?? 1;
    const sharded = this.step.placements[index].kind === 'shard';
    const parts = sharded ? this.step.mesh.axisSize('data') : 1;
    const part = sharded ? (this.step.mesh.coordinate(this.step.device).data ?? 0) : 0;
    this.batchInputs.set(slot, {
      slot,
      input: role.kind === 'random' ? stepInputs.random : (role as { name: string }).name,
      microBatch,
      spec,
      start: (microBatch * parts + part) * rows,
    });
  }

  private collective(node: Node, microBatch: number, unit: Unit): void {
    const slot = this.slotOf(node.inputs[0], microBatch);
    const output = this.slotOf(node.output, microBatch);
    const group = this.step.mesh.axes.length === 0 ? [this.step.device] : groupOf(node, this.step.device);
    const key = `${node.operator} ${this.names.get(node.output)!} ${unit.phase} ${microBatch}`;
    const reduction = node.find('s', 'reduction') as 'sum' | 'max' | 'min' | 'prod' | undefined;
    switch (node.operator) {
      case 'all_reduce':
        return void this.actions.push({
          kind: 'all_reduce',
          slots: [slot],
          outputs: [output],
          group,
          reduction: reduction!,
          key,
        });
      case 'all_gather':
        return void this.actions.push({
          kind: 'all_gather',
          slot,
          output,
          dimension: node.int('all_gather_dim'),
          group,
          key,
        });
      case 'reduce_scatter':
        return void this.actions.push({
          kind: 'reduce_scatter',
          slot,
          output,
          dimension: node.int('scatter_dimension'),
          group,
          reduction: reduction!,
          key,
        });
      default:
        throw new InternalError(`${node.kind} is no collective that a program can hold`);
    }
  }

  /** Sends what other stages read of this unit's values. */
  private offer(unit: Unit, microBatch: number, group: readonly number[]): void {
    for (const value of unit.wanted) {
      const readers = new Set(
        [...this.units.values()].filter((other) => other.needs.has(value)).map(({ stage }) => stage),
      );
      readers.delete(this.stage);
      const slot = this.slotOf(value, microBatch);
      for (const reader of readers) this.actions.push({ kind: 'send', slot, peer: group[reader], key: slot });
    }
  }

  /** Brings the unit's targets to their slots: sums over micro-batches, replaced buffers, results. */
  private collectTargets(unit: Unit, microBatch: number): void {
    const sums: { from: Slot; to: Slot; value: Value }[] = [];
    const copies: { from: Slot; to: Slot; value: Value }[] = [];
    for (const target of this.step.targets) {
      if (this.targetUnit(target) !== unit) continue;
      const value = this.step.graph.outputs[target.output];
      const entry = { from: `${this.names.get(value)!}@${microBatch}`, to: target.slot, value };
      const isFirst = !this.actions.some(
        (action) => action.kind === 'run' && action.outputs.includes(target.slot),
      );
      if (target.kind === 'result') copies.push({ ...entry, to: resultSlot(target.slot, microBatch) });
      else if (isFirst || target.kind === 'buffer') copies.push(entry);
      else sums.push(entry);
    }
    if (copies.length > 0) this.runHelper(`${unit.phase}.keep`, copies, false);
    if (sums.length > 0) this.runHelper(`${unit.phase}.accumulate`, sums, true);
  }

  private runHelper(
    name: string,
    entries: readonly { from: Slot; to: Slot; value: Value }[],
    add: boolean,
  ): void {
    const builder = new CoreBuilder();
    const fresh = entries.map(({ value }) => builder.input(specOf(value)));
    const sums = add ? entries.map(({ value }) => builder.input(specOf(value))) : [];
    fresh.forEach((value, index) => builder.graph.addOutput(add ? builder.add(sums[index], value) : value));
    const graph = this.addGraph(name, builder.graph);
    const from = entries.map((entry) => entry.from);
    const to = entries.map((entry) => entry.to);
    this.actions.push({
      kind: 'run',
      graph,
      inputs: add ? [...from, ...to] : from,
      outputs: to,
      label: name,
    });
  }

  /** Keeps a graph under `name`, or under `name'`… when another one has that name. */
  private addGraph(name: string, graph: Graph): string {
    let text = this.printed.get(graph);
    if (text === undefined) this.printed.set(graph, (text = printGraph(graph)));
    let free = name;
    while (this.graphs[free] !== undefined && this.graphs[free] !== text) free += "'";
    this.graphs[free] = text;
    return free;
  }

  private persistentSlots(): PersistentSlot[] {
    const { mesh, device, placements, graph, inputs } = this.step;
    return graph.inputs.flatMap((value, index) => {
      const role = inputs[index];
      if (role.kind !== 'persistent' || this.homes.get(role.name) !== this.stage) return [];
      const spec = specOf(value);
      const placement = placements[index];
      const parts = placement.kind === 'shard' ? mesh.axisSize('data') : 1;
      const part = placement.kind === 'shard' ? (mesh.coordinate(device).data ?? 0) : 0;
      const dimension = placement.kind === 'shard' ? placement.dimension : -1;
      const sizes = spec.sizes.map((size, at) => (at === dimension ? size * parts : size));
      const start = spec.sizes.map((size, at) => (at === dimension ? part * size : 0));
      return [{ slot: role.name, name: role.name, spec, whole: tensorSpec(spec.dtype, sizes), start }];
    });
  }
}

/** Slot in which the gradient of a parameter is added up. */
export const gradientSlot = (parameter: string): Slot => `gradient ${parameter}`;

export const resultSlot = (slot: Slot, microBatch: number): Slot => `${slot}@${microBatch}`;

function groupOf(node: Node, device: number): number[] {
  const group = node.intPairs('replica_groups').find((members) => members.includes(device));
  if (group === undefined) throw new InternalError(`device ${device} is in no group of ${node.kind}`);
  return group;
}
