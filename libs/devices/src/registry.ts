// Finding a device by what the user wrote: the type of a registered plugin (`cpu`, or `cpu:1` for its second device), the name of an
// npm package, or a path to a package or module. The reference device and the cpu device are always registered.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Device, DeviceOptions, DevicePlugin } from './device.ts';
import { DeviceError } from './errors.ts';
import { cpuPlugin } from './cpu/device.ts';
import { checkPlugin, openPlugin } from './plugin.ts';
import { referencePlugin } from './reference/device.ts';

/** Loads a module; `import` unless a host (a test, a bundler) has its own way. */
export type ModuleLoader = (specifier: string) => Promise<unknown>;

/** The device that runs where no other is named. */
export const defaultDevice = 'cpu';

const howToAdd =
  "install its package (npm install …) and name the package, give a path ('./my-device'), or register the plugin object";

export class DeviceRegistry {
  private readonly plugins = new Map<string, DevicePlugin>();
  private readonly loaded = new Map<string, Promise<DevicePlugin>>();

  /** @param from the folder that package names and paths are resolved from; default: where the process was started. */
  constructor(
    private readonly load: ModuleLoader = (specifier) => import(specifier),
    private readonly from: string = process.cwd(),
  ) {
    this.register(referencePlugin);
    this.register(cpuPlugin);
  }

  /** Adds a plugin under its type. Throws DeviceError when it is no plugin, or its type is taken by another. */
  register(candidate: unknown, origin = 'the given object'): DevicePlugin {
    const plugin = checkPlugin(candidate, origin);
    const known = this.plugins.get(plugin.type);
    if (known !== undefined && known !== plugin) {
      throw new DeviceError(
        `${origin} is a device plugin of type '${plugin.type}', which is registered already: use one of them only`,
      );
    }
    this.plugins.set(plugin.type, plugin);
    return plugin;
  }

  /** Types of the plugins registered so far. */
  get types(): string[] {
    return [...this.plugins.keys()];
  }

  /** The plugin of a type, package name or path, loaded and registered when it is not yet. */
  async find(name: string): Promise<DevicePlugin> {
    const known = this.plugins.get(name);
    if (known !== undefined) return known;
    let loading = this.loaded.get(name);
    if (loading === undefined) {
      loading = this.loadPlugin(name);
      this.loaded.set(name, loading);
      // A failure is not remembered: the package may be installed meanwhile.
      loading.catch(() => this.loaded.delete(name));
    }
    return loading;
  }

  /** Opens all devices of a plugin, or the one of `name:index`. */
  async open(name: string, options: DeviceOptions = {}): Promise<Device[]> {
    const numbered = /^(.+):(\d+)$/.exec(name);
    const plugin = await this.find(numbered?.[1] ?? name);
    const devices = await openPlugin(plugin, options);
    if (numbered === null) return devices;
    const device = devices[Number(numbered[2])];
    if (device === undefined) {
      throw new DeviceError(
        `there is no device '${name}': '${plugin.type}' has ${devices.length}, numbered from 0`,
      );
    }
    return [device];
  }

  private async loadPlugin(name: string): Promise<DevicePlugin> {
    const specifier = this.resolve(name);
    if (specifier === undefined) throw this.unknown(name);
    let module: unknown;
    try {
      module = await this.load(specifier);
    } catch (cause) {
      if (isNotFound(cause, name)) throw this.unknown(name, cause);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceError(`device plugin '${name}' cannot be loaded: ${reason}`, undefined, { cause });
    }
    return this.register(pluginOf(module), `'${name}'`);
  }

  /** What to import for a path or package name; undefined for a path where nothing is. */
  private resolve(name: string): string | undefined {
    if (/^\.{0,2}[/\\]/.test(name) || /^[A-Za-z]:[/\\]/.test(name)) {
      const path = resolve(this.from, name);
      const entry = entryOf(path);
      return entry === undefined ? undefined : pathToFileURL(entry).href;
    }
    try {
      return pathToFileURL(createRequire(join(this.from, 'package.json')).resolve(name)).href;
    } catch {
      // Not installed where the user is, or for `import` only: the loader has the last word.
      return name;
    }
  }

  private unknown(name: string, cause?: unknown): DeviceError {
    return new DeviceError(
      `unknown device '${name}'; known devices: ${this.types.join(', ')}. To add one, ${howToAdd} (docs/add-a-device.md)`,
      undefined,
      { cause },
    );
  }
}

function isNotFound(error: unknown, name: string): boolean {
  const { code, message } = error as { code?: string; message?: string };
  const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  // A plugin that is there but lacks a dependency of its own is another matter.
  return missing && (message ?? '').includes(`'${name}'`);
}

/** The module file of a path: itself, or the entry point of the package in that folder. */
function entryOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  if (!statSync(path).isDirectory()) return path;
  const manifestPath = join(path, 'package.json');
  if (!existsSync(manifestPath)) return join(path, 'index.js');
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as { exports?: unknown; main?: string };
  return join(path, entryPoint(manifest.exports) ?? manifest.main ?? 'index.js');
}

/** The file that the `exports` of a package.json name for `import` of the package itself. */
function entryPoint(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  const table = exports as Record<string, unknown>;
  for (const key of ['.', 'node', 'import', 'default']) {
    const entry = entryPoint(table[key]);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** A module's plugin: its default export, an export named `plugin`, or the module itself. */
function pluginOf(module: unknown): unknown {
  if (typeof module !== 'object' || module === null) return module;
  const exports = module as Record<string, unknown>;
  const candidate = exports.default ?? exports.plugin ?? module;
  const inner = candidate as Record<string, unknown>;
  // A CommonJS module seen through `import` has its exports, with a default of their own, as default.
  return typeof inner === 'object' && inner.open === undefined && inner.default !== undefined
    ? inner.default
    : candidate;
}

/** The registry of this process. */
export const deviceRegistry = new DeviceRegistry();

/** Registers a plugin object under its type. */
export const registerDevice = (plugin: DevicePlugin): DevicePlugin => deviceRegistry.register(plugin);

/**
 * Opens a device by type (`reference`), type and number (`cpu:1`), npm package name, or path. Throws DeviceError: unknown (with the
 * known ones), not a plugin, made for another version, or not to be opened.
 */
export async function openDevice(name: string, options: DeviceOptions = {}): Promise<Device> {
  const [device] = await deviceRegistry.open(name, options);
  return device;
}
