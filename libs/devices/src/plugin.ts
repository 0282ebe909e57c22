// What a plugin must look like, checked when it is registered, and the watch over what it does: errors that a plugin throws
// while it opens or compiles come out as a DeviceError that names the plugin and, for a compilation, the node.
import type { Graph, Node, TensorSpec } from '@weft/ir';
import { Graph as CoreGraph, UnsupportedError, WeftError, cloneNode } from '@weft/ir';
import type { Value } from '@weft/ir';
import type {
  CompileOptions,
  Device,
  DeviceBuffer,
  DeviceInfo,
  DeviceOptions,
  DevicePlugin,
  Executable,
} from './device.ts';
import { DeviceError } from './errors.ts';
import { describeNode } from './reference/program.ts';

/** The version of the interface in device.ts. */
export const deviceApiVersion = 1;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The plugin in `candidate`; throws DeviceError saying what of the interface it lacks. `origin` names where it came from. */
export function checkPlugin(candidate: unknown, origin: string): DevicePlugin {
  const fail = (reason: string): never => {
    throw new DeviceError(
      `${origin} is not a device plugin: ${reason}; a plugin is an object { type, apiVersion: ${deviceApiVersion}, open(options) } ` +
        `(docs/add-a-device.md)`,
    );
  };
  if (typeof candidate !== 'object' || candidate === null) return fail(`it is ${String(candidate)}`);
  const { type, apiVersion, open } = candidate as Partial<Record<keyof DevicePlugin, unknown>>;
  if (typeof type !== 'string' || !/^[a-z][a-z0-9_-]*$/.test(type)) {
    return fail(
      `'type' is ${JSON.stringify(type)}, a name of lower-case letters, digits, - and _ is expected`,
    );
  }
  if (apiVersion !== deviceApiVersion) {
    throw new DeviceError(
      `device plugin '${type}' (${origin}) is made for version ${JSON.stringify(apiVersion)} of the device interface, ` +
        `this is version ${deviceApiVersion}: install a version of the plugin that matches this weft`,
    );
  }
  if (typeof open !== 'function') return fail(`'open' is ${typeof open}, a function is expected`);
  return candidate as DevicePlugin;
}

const deviceMethods = ['allocate', 'write', 'read', 'supports', 'compile', 'synchronize'] as const;

/** Opens a plugin's devices; whatever goes wrong is a DeviceError naming it. */
export async function openPlugin(plugin: DevicePlugin, options: DeviceOptions): Promise<Device[]> {
  let devices: Device[];
  try {
    devices = await plugin.open(options);
  } catch (cause) {
    if (cause instanceof DeviceError) throw cause;
    throw new DeviceError(`device '${plugin.type}' cannot be opened: ${messageOf(cause)}`, undefined, {
      cause,
    });
  }
  if (!Array.isArray(devices) || devices.length === 0) {
    throw new DeviceError(`device '${plugin.type}' opened no device: its plugin must throw and say why`);
  }
  return devices.map((device) => {
    const missing = deviceMethods.filter((name) => typeof device[name] !== 'function');
    if (missing.length > 0 || typeof device.info !== 'object') {
      throw new DeviceError(
        `a device of plugin '${plugin.type}' lacks ${missing.join(', ') || 'info'}, which every device has`,
      );
    }
    return new WatchedDevice(plugin.type, device);
  });
}

/** A plugin's device whose compile errors say which plugin and which node. */
class WatchedDevice implements Device {
  constructor(
    private readonly plugin: string,
    private readonly device: Device,
  ) {}

  get info(): DeviceInfo {
    return this.device.info;
  }
  allocate(bytes: number, isOverwritten?: boolean): DeviceBuffer {
    return this.device.allocate(bytes, isOverwritten);
  }
  write(to: DeviceBuffer, offset: number, from: Uint8Array): void {
    this.device.write(to, offset, from);
  }
  read(from: DeviceBuffer, offset: number, to: Uint8Array): void | Promise<void> {
    return this.device.read(from, offset, to);
  }
  supports(node: Node): boolean {
    return this.device.supports(node);
  }
  synchronize(): Promise<void> {
    return this.device.synchronize();
  }
  compile(graph: Graph, options: CompileOptions): Executable {
    try {
      return this.device.compile(graph, options);
    } catch (cause) {
      if (cause instanceof WeftError && !(cause instanceof UnsupportedError)) throw cause;
      const culprit = findCulprit(this.device, graph);
      const where = culprit === undefined ? '' : ` at ${describeNode(culprit)}`;
      const message = `device '${this.plugin}' failed to compile the graph${where}: ${messageOf(cause)}`;
      const ErrorClass = cause instanceof UnsupportedError ? UnsupportedError : DeviceError;
      throw new ErrorClass(message, culprit?.source, { cause });
    }
  }
}

/** The first node that the device does not compile on its own. */
function findCulprit(device: Device, graph: Graph): Node | undefined {
  for (const node of graph.nodes()) {
    if (node.kind === 'core::constant' || capturesValues(node)) continue;
    try {
      device.compile(graphOf(node), {});
    } catch {
      return node;
    }
  }
  return undefined;
}

const capturesValues = (node: Node): boolean =>
  node.blocks.some((block) =>
    [...block.nodes()].some((inner) => inner.inputs.some((input) => !block.encloses(input.node.block!))),
  );

/** A graph of one node, its operands as inputs. */
function graphOf(node: Node): Graph {
  const graph = new CoreGraph();
  const map = new Map<Value, Value>();
  for (const input of node.inputs) {
    if (!map.has(input)) map.set(input, graph.addInput(input.type as TensorSpec));
  }
  const copy = cloneNode(graph, node, map);
  graph.insertNode(copy);
  for (const output of copy.outputs) graph.addOutput(output);
  return graph;
}
