// Executes one Program: a logical device's share of a plan. Graphs are compiled once; persistent slots stay in memory from
// step to step; step values live until their last use. Transfers and collectives happen here, between two runs of the
// device. A runner is used by one caller at a time. After a step that failed its state is part old, part new, so that it
// refuses further steps until state is loaded again.
import type { DType, Graph, TensorSpec } from '@weft/ir';
import { InternalError, TensorLiteral, asTensorSpec, dtypes, numel, parseGraph, tensorSpec } from '@weft/ir';
import type { Device, Executable } from '@weft/devices';
import { allGather, allReduce, reduceScatter, sharedBytes } from '../collectives/collectives.ts';
import { bfloat16Value, float16Value } from '../collectives/reduce.ts';
import { ClusterError, NonFiniteLossError } from '../errors.ts';
import { slotsWritten } from '../plan/check.ts';
import { bytesOfSpec } from '../plan/memory.ts';
import type { Action, BatchInput, PersistentSlot, Program, Slot } from '../plan/program.ts';
import type { Transport } from '../transport/transport.ts';
import { deadAfter, summarizeAction } from './liveness.ts';
import { BufferPool, HeldValue } from './memory.ts';
import type { Progress } from './progress.ts';
import { ProgressCounters } from './progress.ts';

export interface RunnerOptions {
  /** Names this runner in errors: `worker-1`. */
  readonly worker?: string;
  /** Names of results that must be finite (default: every floating-point result of one element). False: no check. */
  readonly checkFinite?: boolean | readonly string[];
  readonly progress?: ProgressCounters;
}

/** Whole batch inputs of a step by name; only the rows that the program asks for are read. */
export type Batch = ReadonlyMap<string, TensorLiteral>;
export type StepResults = Map<string, TensorLiteral>;
type StateSource = (slot: PersistentSlot) => Uint8Array | Promise<Uint8Array>;

export class ProgramRunner {
  readonly progress: ProgressCounters;
  private readonly pool: BufferPool;
  private readonly persistent = new Map<Slot, HeldValue>();
  private readonly values = new Map<Slot, HeldValue>();
  private readonly batchInputs: ReadonlyMap<Slot, BatchInput>;
  private readonly dead: readonly (readonly Slot[])[];
  private readonly transport: Transport;
  private executables: Map<string, CompiledGraph>;
  private state: 'unloaded' | 'ready' | 'running' | 'broken' | 'closed' = 'unloaded';
  private offers: Promise<void>[] = [];

  /**
   * Compiles every graph. Throws UnsupportedError, ParseError or what the plugin throws, with the name of the graph; and
   * InternalError when the program uses slots that it has not.
   */
  constructor(
    readonly program: Program,
    private readonly device: Device,
    transport: Transport,
    private readonly options: RunnerOptions = {},
  ) {
    this.progress = options.progress ?? new ProgressCounters();
    this.transport = watched(transport, this.progress);
    this.pool = new BufferPool(device);
    this.batchInputs = new Map(program.batchInputs.map((input) => [input.slot, input]));
    this.dead = deadAfter(program);
    this.executables = this.compile();
  }

  private get where(): string {
    const { worker } = this.options;
    return `device ${this.program.device}${worker === undefined ? '' : ` (${worker})`}`;
  }

  private compile(): Map<string, CompiledGraph> {
    const constants = constantInputs(this.program);
    return new Map(
      Object.entries(this.program.graphs).map(([name, text]) => {
        try {
          const graph = parseGraph(text);
          const executable = this.device.compile(graph, { constantInputs: constants.get(name) ?? [] });
          return [name, { executable, outputs: specsOf(graph, name) }];
        } catch (error) {
          throw withContext(
            error,
            `graph '${name}' cannot be compiled for ${this.device.info.name} as ${this.where}`,
          );
        }
      }),
    );
  }

  /** Sets every persistent slot. Sizes are checked; nothing changes when one is wrong. */
  async load(source: StateSource): Promise<void> {
    this.assertIdle();
    const loaded = new Map<Slot, HeldValue>();
    try {
      for (const slot of this.program.persistent) {
        const bytes = await source(slot);
        const expected = bytesOfSpec(slot.spec);
        if (bytes.byteLength !== expected)
          throw new ClusterError(
            `'${slot.name}' has ${bytes.byteLength} bytes where ${slot.spec.dtype}[${slot.spec.sizes.join(', ')}] takes ${expected}`,
          );
        const value = new HeldValue(this.device, this.pool, slot.spec);
        loaded.set(slot.slot, value);
        value.write(bytes);
      }
    } catch (error) {
      for (const value of loaded.values()) value.release();
      throw error;
    }
    this.dropStepValues();
    for (const value of this.persistent.values()) value.release();
    this.persistent.clear();
    for (const [slot, value] of loaded) this.persistent.set(slot, value);
    // A device may have packed the old constants.
    if (this.state !== 'unloaded' && constantInputs(this.program).size > 0) this.executables = this.compile();
    this.state = 'ready';
  }

  /** The bytes of a persistent slot, between steps. On host devices they are the slot's own memory: copy what is kept. */
  async read(slot: Slot): Promise<Uint8Array> {
    this.assertIdle();
    const value = this.persistent.get(slot);
    if (value === undefined)
      throw new InternalError(`'${slot}' is no loaded persistent slot of ${this.where}`);
    await this.device.synchronize();
    return value.bytes();
  }

  /**
   * Runs one step. Rejects with what went wrong, naming step, device and action; with NonFiniteLossError when a checked
   * result is not finite; with TransferError when the transport is cancelled.
   */
  async run(step: number, batch: Batch): Promise<StepResults> {
    if (this.state !== 'ready')
      throw new ClusterError(
        this.state === 'unloaded' || this.state === 'broken'
          ? `${this.where} has no valid state: load it before step ${step}`
          : `${this.where} cannot run step ${step}: it is ${this.state}`,
      );
    this.state = 'running';
    const { actions } = this.program;
    let index = 0;
    try {
      for (; index < actions.length; index++) {
        this.progress.begin(step, index);
        await this.execute(actions[index], step, batch);
        for (const slot of this.dead[index]) this.drop(slot);
      }
      this.progress.begin(step, index);
      const results = await this.collectResults(step);
      await Promise.all(this.offers);
      this.dropStepValues();
      this.state = 'ready';
      return results;
    } catch (error) {
      this.state = 'broken';
      await this.device.synchronize().catch(() => {});
      this.dropStepValues();
      if (error instanceof NonFiniteLossError || index >= actions.length) throw error;
      throw withContext(
        error,
        `step ${step}, action ${index} (${summarizeAction(actions[index])}) on ${this.where}`,
      );
    }
  }

  describeProgress(): Progress {
    return this.progress.read(this.program);
  }

  /** Frees all memory. */
  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.dropStepValues();
    for (const value of this.persistent.values()) value.release();
    this.persistent.clear();
    this.pool.drain();
  }

  private async execute(action: Action, step: number, batch: Batch): Promise<void> {
    switch (action.kind) {
      case 'run':
        return this.runGraph(action, batch);
      case 'send': {
        const value = this.value(action.slot, batch).retain();
        await this.device.synchronize();
        const bytes = await value.bytes();
        const offer = this.transport.offer(action.peer, `${step}/${action.key}`, bytes);
        this.offers.push(offer.finally(() => value.release()));
        this.offers.at(-1)!.catch(() => {});
        return;
      }
      case 'recv': {
        const value = new HeldValue(this.device, this.pool, action.spec);
        this.define(action.slot, value);
        return value.fill((into) => this.transport.pull(action.peer, `${step}/${action.key}`, into));
      }
      case 'all_reduce':
        return this.allReduce(action, step, batch);
      case 'all_gather':
      case 'reduce_scatter':
        return this.gatherOrScatter(action, step, batch);
      default:
        action satisfies never;
    }
  }

  private runGraph(action: Extract<Action, { kind: 'run' }>, batch: Batch): void {
    const compiled = this.executables.get(action.graph);
    if (compiled === undefined) throw new InternalError(`the program has no graph '${action.graph}'`);
    const inputs = action.inputs.map((slot) => this.value(slot, batch).view);
    const outputs = compiled.outputs.map((spec) => new HeldValue(this.device, this.pool, spec));
    try {
      compiled.executable.run(
        inputs,
        outputs.map(({ view }) => view),
      );
    } catch (error) {
      for (const output of outputs) output.release();
      throw error;
    }
    action.outputs.forEach((slot, index) => this.define(slot, outputs[index]));
  }

  /** Slots of one dtype travel as one buffer: few large messages instead of many small ones. */
  private async allReduce(
    action: Extract<Action, { kind: 'all_reduce' }>,
    step: number,
    batch: Batch,
  ): Promise<void> {
    await this.device.synchronize();
    const byDType = new Map<DType, { value: HeldValue; output: Slot }[]>();
    action.slots.forEach((slot, index) => {
      const value = this.value(slot, batch);
      const one = { value, output: (action.outputs ?? action.slots)[index] };
      byDType.set(value.spec.dtype, [...(byDType.get(value.spec.dtype) ?? []), one]);
    });
    for (const [dtype, exchanged] of byDType) {
      const parts = await Promise.all(exchanged.map(({ value }) => value.bytes()));
      const packed = sharedBytes(parts.reduce((sum, part) => sum + part.byteLength, 0));
      let offset = 0;
      for (const part of parts) {
        packed.set(part, offset);
        offset += part.byteLength;
      }
      await allReduce(
        this.transport,
        action.group,
        dtype,
        action.reduction,
        packed,
        `${step}/${action.key}/${dtype}`,
      );
      offset = 0;
      exchanged.forEach(({ value, output }, index) => {
        const reduced = new HeldValue(this.device, this.pool, value.spec);
        reduced.write(packed.subarray(offset, offset + parts[index].byteLength));
        offset += parts[index].byteLength;
        this.define(output, reduced);
      });
    }
  }

  private async gatherOrScatter(
    action: Extract<Action, { kind: 'all_gather' | 'reduce_scatter' }>,
    step: number,
    batch: Batch,
  ): Promise<void> {
    await this.device.synchronize();
    const value = this.value(action.slot, batch);
    const { dtype, sizes } = value.spec;
    const { dimension, group } = action;
    const bytes = await value.bytes();
    const members = group.length;
    const size = action.kind === 'all_gather' ? sizes[dimension] * members : sizes[dimension] / members;
    if (!Number.isInteger(size))
      throw new InternalError(
        `dimension ${dimension} of [${sizes.join(', ')}] does not split over ${members} devices`,
      );
    const output = new HeldValue(this.device, this.pool, tensorSpec(dtype, sizes.with(dimension, size)));
    const key = `${step}/${action.key}`;
    try {
      await output.fill((into) =>
        action.kind === 'all_gather'
          ? allGather(this.transport, group, dtype, sizes, dimension, bytes, into, key)
          : reduceScatter(this.transport, group, dtype, sizes, dimension, action.reduction, bytes, into, key),
      );
    } catch (error) {
      output.release();
      throw error;
    }
    this.define(action.output, output);
  }

  /** The value of a slot; batch inputs are brought to the device at their first use. */
  private value(slot: Slot, batch: Batch): HeldValue {
    const known = this.values.get(slot) ?? this.persistent.get(slot);
    if (known !== undefined) return known;
    const input = this.batchInputs.get(slot);
    if (input === undefined)
      throw new InternalError(`slot '${slot}' of ${this.where} is read before it is written`);
    const value = new HeldValue(this.device, this.pool, input.spec);
    this.values.set(slot, value);
    value.write(rowsOf(input, batch));
    return value;
  }

  private define(slot: Slot, value: HeldValue): void {
    const home = this.persistent.has(slot) ? this.persistent : this.values;
    const old = home.get(slot);
    home.set(slot, value);
    old?.release();
  }

  private drop(slot: Slot): void {
    this.values.get(slot)?.release();
    this.values.delete(slot);
  }

  private dropStepValues(): void {
    for (const slot of [...this.values.keys()]) this.drop(slot);
    this.offers = [];
  }

  private async collectResults(step: number): Promise<StepResults> {
    await this.device.synchronize();
    const results: StepResults = new Map();
    for (const { slot, name, spec } of this.program.results) {
      const value = this.values.get(slot) ?? this.persistent.get(slot);
      if (value === undefined) throw new InternalError(`result '${name}' of ${this.where} was not computed`);
      const literal = new TensorLiteral(spec.dtype, spec.sizes, new Uint8Array(await value.bytes()));
      this.checkFinite(name, literal, step);
      results.set(name, literal);
    }
    return results;
  }

  private checkFinite(name: string, literal: TensorLiteral, step: number): void {
    const { checkFinite = true } = this.options;
    if (checkFinite === false || dtypes[literal.dtype].category !== 'float') return;
    if (checkFinite === true ? numel(literal.shape) !== 1 : !checkFinite.includes(name)) return;
    const bad = floatsOf(literal).find((value) => !Number.isFinite(value));
    if (bad !== undefined) throw new NonFiniteLossError(name, bad, step, this.where);
  }

  private assertIdle(): void {
    if (this.state === 'running' || this.state === 'closed')
      throw new InternalError(`${this.where} is ${this.state}`);
  }
}

interface CompiledGraph {
  readonly executable: Executable;
  readonly outputs: readonly TensorSpec[];
}

/** The same transport, telling the counters whom a pull waits for. */
function watched(transport: Transport, progress: ProgressCounters): Transport {
  return {
    device: transport.device,
    epoch: transport.epoch,
    offer: (peer, key, bytes) => transport.offer(peer, key, bytes),
    pull: async (peer, key, into) => {
      progress.waitFor(peer);
      await transport.pull(peer, key, into);
      progress.waitFor(undefined);
    },
    cancel: (reason) => transport.cancel(reason),
  };
}

/** Inputs of each graph that are the same, never written persistent slot in every run of it. */
function constantInputs(program: Program): Map<string, number[]> {
  const runs = program.actions.filter((action) => action.kind === 'run');
  const written = new Set(program.actions.flatMap(slotsWritten));
  const constant = new Set(program.persistent.map(({ slot }) => slot).filter((slot) => !written.has(slot)));
  const result = new Map<string, number[]>();
  for (const graph of new Set(runs.map((action) => action.graph))) {
    const [first, ...others] = runs.filter((action) => action.graph === graph);
    const indices = first.inputs.flatMap((slot, index) =>
      constant.has(slot) && others.every((use) => use.inputs[index] === slot) ? [index] : [],
    );
    if (indices.length > 0) result.set(graph, indices);
  }
  return result;
}

function specsOf(graph: Graph, name: string): TensorSpec[] {
  return graph.outputs.map((output) => {
    const spec = asTensorSpec(output.type);
    if (spec === undefined)
      throw new InternalError(`output %${output.name} of graph '${name}' has no known shape`);
    return spec;
  });
}

/** Rows `start …` of the batch input; a scalar input is given whole. */
function rowsOf(input: BatchInput, batch: Batch): Uint8Array {
  const whole = batch.get(input.input);
  const wanted = `${input.spec.dtype}[${input.spec.sizes.join(', ')}]`;
  if (whole === undefined)
    throw new ClusterError(
      `the batch has no input '${input.input}' (it has ${[...batch.keys()].map((name) => `'${name}'`).join(', ') || 'none'})`,
    );
  const [rows = 1, ...rowShape] = input.spec.sizes;
  const fits =
    whole.dtype === input.spec.dtype &&
    whole.shape.length === input.spec.sizes.length &&
    rowShape.every((size, index) => size === whole.shape[index + 1]) &&
    (whole.shape[0] ?? 1) >= input.start + rows;
  if (!fits)
    throw new ClusterError(
      `batch input '${input.input}' is ${whole.dtype}[${whole.shape.join(', ')}]; the plan reads rows from ${input.start} as ${wanted}`,
    );
  const rowBytes = numel(rowShape) * dtypes[whole.dtype].bytes;
  if (whole.splat) {
    const bytes = new Uint8Array(rows * rowBytes);
    for (let at = 0; at < bytes.length; at += whole.bytes.length) bytes.set(whole.bytes, at);
    return bytes;
  }
  return whole.bytes.subarray(input.start * rowBytes, (input.start + rows) * rowBytes);
}

/** The elements of a floating-point literal as doubles. */
export function floatsOf(literal: TensorLiteral): number[] {
  const { buffer, byteOffset, byteLength } = literal.bytes.slice();
  switch (literal.dtype) {
    case 'float64':
      return [...new Float64Array(buffer, byteOffset, byteLength / 8)];
    case 'float32':
      return [...new Float32Array(buffer, byteOffset, byteLength / 4)];
    case 'float16':
      return Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), float16Value);
    case 'bfloat16':
      return Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), bfloat16Value);
    default:
      throw new InternalError(`${literal.dtype} is no floating-point dtype`);
  }
}

/** The same error (its class kept, so that callers can tell) with a first line that says where it happened. */
function withContext(error: unknown, context: string): Error {
  if (!(error instanceof Error)) return new ClusterError(`${context}: ${String(error)}`);
  error.message = `${context}: ${error.message}`;
  return error;
}
