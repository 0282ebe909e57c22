// One graph on several devices: every node goes to the first device, in the user's order, that supports it; runs of
// nodes on one device become one program each, and values move between them through the host. A composite that no device
// claims is opened, so its body may be spread. The placement says for every node where it went and why.
import type { Block, Graph, Node, TensorSpec, Value } from '@weft/ir';
import { Graph as CoreGraph, InternalError, UnsupportedError, cloneNode } from '@weft/ir';
import type { BufferView, CompileOptions, Cost, Device, Executable } from './device.ts';
import { DeviceError } from './errors.ts';
import { allocateTensor, byteLengthOf } from './host.ts';
import { describeNode } from './reference/program.ts';
import { openComposite } from './reference/compile.ts';
import { valuesRead } from './reference/schedule.ts';

/** Where one node runs, and why there. */
export interface Placement {
  readonly node: string;
  readonly device: string;
  readonly why: string;
}

export const deviceName = (device: Device): string => `${device.info.type}:${device.info.index}`;

/** Whether a device runs a node with everything nested in it. */
function supportsAll(device: Device, node: Node): boolean {
  if (node.kind === 'core::constant') return true;
  if (!device.supports(node)) return false;
  if (node.kind === 'core::composite') return true;
  return node.blocks.every((block) => [...block.nodes()].every((inner) => supportsAll(device, inner)));
}

interface Assignment {
  readonly deviceOf: ReadonlyMap<Node, number>;
  readonly placements: readonly Placement[];
}

/** Opens the composites that nobody claims and gives every node its device. */
function assign(graph: Graph, devices: readonly Device[]): Assignment {
  const deviceOf = new Map<Node, number>();
  const placements: Placement[] = [];
  const refused = (index: number) =>
    index === 0
      ? 'first device in the order'
      : `not supported by ${devices.slice(0, index).map(deviceName).join(', ')}`;
  const visit = (node: Node): void => {
    if (node.kind === 'core::constant') return;
    const index = devices.findIndex((device) => supportsAll(device, node));
    if (index >= 0) {
      deviceOf.set(node, index);
      const claimed = node.kind === 'core::composite' ? 'claims the composite; ' : '';
      placements.push({
        node: describeNode(node),
        device: deviceName(devices[index]),
        why: claimed + refused(index),
      });
      return;
    }
    if (node.kind !== 'core::composite') {
      throw new UnsupportedError(
        `${describeNode(node)} is supported by none of ${devices.map(deviceName).join(', ')}: ` +
          `add a device that supports it, for example 'reference'`,
        node.source,
      );
    }
    for (const inside of openComposite(node)) visit(inside);
  };
  for (const node of [...graph.nodes()]) visit(node);
  return { deviceOf, placements };
}

interface Segment {
  readonly device: number;
  readonly nodes: Node[];
}

/** Runs of nodes on one device: as many as are ready before the device changes. */
function segmentsOf(block: Block, deviceOf: ReadonlyMap<Node, number>): Segment[] {
  const waiting = new Set([...block.nodes()].filter((node) => deviceOf.has(node)));
  const segments: Segment[] = [];
  while (waiting.size > 0) {
    const first = waiting.values().next().value!;
    const device = deviceOf.get(first)!;
    const segment: Segment = { device, nodes: [] };
    const held = new Set<Node>();
    for (const node of waiting) {
      const blocked = valuesRead(node).some((value) => held.has(value.node));
      if (deviceOf.get(node) === device && !blocked) {
        segment.nodes.push(node);
        waiting.delete(node);
      } else held.add(node);
    }
    segments.push(segment);
  }
  return segments;
}

/** A part of the graph as a graph of its own, with the outer values it reads and makes. */
interface Part {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

function partOf(segment: Segment, isNeeded: (value: Value) => boolean): Part {
  const graph = new CoreGraph();
  const map = new Map<Value, Value>();
  const inside = new Set(segment.nodes);
  const inputs: Value[] = [];
  for (const node of segment.nodes) {
    for (const value of valuesRead(node)) {
      if (map.has(value) || inside.has(value.node)) continue;
      if (value.node.kind === 'core::constant') {
        graph.insertNode(cloneNode(graph, value.node, map));
      } else {
        inputs.push(value);
        map.set(value, graph.addInput(value.type));
      }
    }
    graph.insertNode(cloneNode(graph, node, map));
  }
  const outputs = segment.nodes.flatMap((node) => node.outputs).filter(isNeeded);
  for (const value of outputs) graph.addOutput(map.get(value)!);
  return { graph, inputs, outputs };
}

interface Step {
  readonly device: Device;
  readonly executable: Executable;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/**
 * A graph compiled for several devices. Inputs and outputs are buffers of the first. `run` needs devices with host
 * memory; `runAsync` does not.
 */
export class HeterogeneousExecutable implements Executable {
  readonly memory: number;
  readonly cost: Cost;

  constructor(
    private readonly graph: Graph,
    private readonly devices: readonly Device[],
    private readonly steps: readonly Step[],
    readonly placements: readonly Placement[],
  ) {
    this.memory = Math.max(0, ...steps.map((step) => step.executable.memory));
    this.cost = {
      flops: steps.reduce((sum, step) => sum + step.executable.cost.flops, 0),
      bytes: steps.reduce((sum, step) => sum + step.executable.cost.bytes, 0),
    };
  }

  run(inputs: readonly BufferView[], outputs: readonly BufferView[]): void {
    const moves = this.execute(inputs, outputs);
    for (let next = moves.next(); !next.done; next = moves.next()) {
      if (next.value !== undefined) {
        throw new DeviceError(
          `a value must be read from device ${deviceName(this.devices[0])} in the middle of a run, ` +
            `which does not show its memory to the host: use runAsync`,
        );
      }
    }
  }

  async runAsync(inputs: readonly BufferView[], outputs: readonly BufferView[]): Promise<void> {
    const moves = this.execute(inputs, outputs);
    for (let next = moves.next(); !next.done; next = moves.next()) await next.value;
  }

  /** Runs step by step; yields what has to be waited for before it goes on. */
  private *execute(
    inputs: readonly BufferView[],
    outputs: readonly BufferView[],
  ): Generator<Promise<void> | undefined, void> {
    const [home] = this.devices;
    // Where each value is, by device. Values made on the way are freed at the end.
    const places = new Map<Value, Map<Device, BufferView>>();
    const temporary: BufferView[] = [];
    const record = (value: Value, device: Device, view: BufferView) => {
      if (!places.has(value)) places.set(value, new Map());
      places.get(value)!.set(device, view);
    };
    this.graph.inputs.forEach((input, index) => record(input, home, inputs[index]));
    try {
      for (const step of this.steps) {
        const given: BufferView[] = [];
        for (const value of step.inputs) {
          let view = places.get(value)?.get(step.device);
          if (view === undefined) {
            const [[source, from]] = places.get(value) ?? [];
            view = allocateTensor(step.device, from.spec);
            temporary.push(view);
            yield* moveTensor(source, from, step.device, view);
            record(value, step.device, view);
          }
          given.push(view);
        }
        const made = step.outputs.map((value) => {
          const at = this.graph.outputs.indexOf(value);
          if (at >= 0 && step.device === home) return outputs[at];
          const view = allocateTensor(step.device, value.type as TensorSpec);
          temporary.push(view);
          return view;
        });
        step.executable.run(given, made);
        step.outputs.forEach((value, index) => record(value, step.device, made[index]));
      }
      for (const [index, value] of this.graph.outputs.entries()) {
        const known = places.get(value);
        if (known === undefined) throw new InternalError(`output %${value.name} was not computed`);
        if (known.get(home) === outputs[index]) continue;
        const [device, view] = known.has(home) ? ([home, known.get(home)!] as const) : [...known][0];
        yield* moveTensor(device, view, home, outputs[index]);
      }
    } finally {
      for (const view of temporary) view.buffer.free();
    }
  }
}

function* moveTensor(
  from: Device,
  source: BufferView,
  to: Device,
  target: BufferView,
): Generator<Promise<void> | undefined, void> {
  const length = byteLengthOf(source.spec);
  let bytes = source.buffer.bytes?.subarray(source.byteOffset, source.byteOffset + length);
  if (bytes === undefined) {
    bytes = new Uint8Array(length);
    yield from.synchronize();
    const reading = from.read(source.buffer, source.byteOffset, bytes);
    if (reading !== undefined) yield reading;
  }
  to.write(target.buffer, target.byteOffset, bytes);
}

/** Where each node of a graph would run. The graph is not changed. */
export function explainPlacement(graph: Graph, devices: readonly Device[]): readonly Placement[] {
  return assign(graph.clone(), devices).placements;
}

/**
 * Compiles a graph for `devices`, first choice first. Throws UnsupportedError naming a node that none supports. When the
 * first device supports all of it, the result is that device's own executable.
 */
export function compileForDevices(
  graph: Graph,
  devices: readonly Device[],
  options: CompileOptions = {},
): Executable {
  if (devices.length === 0) throw new DeviceError('no device is given to compile for');
  const [home] = devices;
  if ([...graph.nodes()].every((node) => supportsAll(home, node))) return home.compile(graph, options);
  const copy = graph.clone();
  const { deviceOf, placements } = assign(copy, devices);
  const segments = segmentsOf(copy.block, deviceOf);
  // Constants that are outputs as such are made by a program of their own on the first device.
  const constants = copy.outputs.filter((value) => value.node.kind === 'core::constant');
  const madeBy = new Map<Value, Segment>();
  for (const segment of segments) {
    for (const node of segment.nodes) for (const output of node.outputs) madeBy.set(output, segment);
  }
  const readElsewhere = new Set<Value>(copy.outputs);
  for (const segment of segments) {
    for (const node of segment.nodes) {
      for (const value of valuesRead(node)) if (madeBy.get(value) !== segment) readElsewhere.add(value);
    }
  }
  const steps = segments.map((segment): Step => {
    const part = partOf(segment, (value) => readElsewhere.has(value));
    const device = devices[segment.device];
    return { device, executable: device.compile(part.graph, {}), inputs: part.inputs, outputs: part.outputs };
  });
  if (constants.length > 0) {
    const part = partOf({ device: 0, nodes: [...new Set(constants.map((value) => value.node))] }, () => true);
    steps.push({ device: home, executable: home.compile(part.graph, {}), inputs: [], outputs: part.outputs });
  }
  return new HeterogeneousExecutable(copy, devices, steps, placements);
}
