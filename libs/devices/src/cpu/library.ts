// The native library: found, chosen for the machine's instruction set, loaded through koffi. Without a compiler at build time
// or without koffi there is none, and the cpu device runs on the reference kernels.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as Koffi from 'koffi';
import { InternalError } from '@weft/ir';
import { DeviceError } from '../errors.ts';

/** The address of memory or of a native object. */
export type Address = number;

/** What native/weft.cc exports. Addresses are numbers below 2^53. */
export interface NativeLibrary {
  readonly path: string;
  readonly instructionSet: string;
  /** Numbers of the kinds of steps by name; a kind that is not there has no kernel. */
  readonly operations: ReadonlyMap<string, number>;
  /** Numbers of the instructions of pointwise steps by name. */
  readonly instructions: ReadonlyMap<string, number>;
  addressOf(memory: ArrayBufferLike): Address;
  /** Reads the words during the call only; they are passed as memory, not by address, so that nothing frees them meanwhile. */
  create(words: Uint8Array, count: number, bindings: Address, slots: number, dynamicSlots: number): Address;
  destroy(program: Address): void;
  bind(program: Address): void;
  /** Runs steps `from` … `to - 1`; 0, or another number when it failed. */
  run(program: Address, from: number, to: number): number;
  runAll(program: Address): number;
  /** Why the last call of this thread failed. */
  error(): string;
  /** Sets how many threads share a job, unless 0; returns how many do. */
  threads(count: number): number;
  /** A figure of the machine a second: 0 multiply-adds (two operations each), 1 bytes read, 2 bytes of a triad. */
  ceiling(kind: number, bytes: number): number;
  /** Asks for large pages, where the system has them, for memory that nothing has touched yet. */
  largePages(memory: Address, bytes: number): void;
  /** Bytes that programs of all threads keep, such as packed weights. */
  kept(): number;
}

/** The package's folder of native sources and libraries: above this file in src/ as in dist/. */
function findNativeFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'native');
    if (existsSync(join(candidate, 'instruction-sets.json'))) return candidate;
    if (dirname(folder) === folder)
      throw new InternalError("the folder 'native' is not above the devices package");
  }
}
const extension = process.platform === 'darwin' ? 'dylib' : process.platform === 'win32' ? 'dll' : 'so';

type InstructionSets = Readonly<
  Record<string, Readonly<Record<string, { readonly needs: readonly string[] }>>>
>;

function featuresOfMachine(): ReadonlySet<string> {
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    return new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1].split(' ') ?? []);
  } catch {
    return new Set();
  }
}

/** The library of the best instruction set that is built and that this machine has. */
function findLibrary(forced: string | undefined): { path: string; instructionSet: string } | string {
  const nativeFolder = findNativeFolder();
  const sets = (JSON.parse(readFileSync(join(nativeFolder, 'instruction-sets.json'), 'utf8')) as InstructionSets)[process.arch] ?? {}; // prettier-ignore
  const pathOf = (name: string) => join(nativeFolder, 'lib', `weft-${name}.${extension}`);
  if (forced !== undefined) {
    if (!(forced in sets)) {
      throw new DeviceError(
        `instruction set '${forced}' is not known for ${process.arch}: ${Object.keys(sets).join(', ')} are`,
      );
    }
    if (!existsSync(pathOf(forced))) {
      throw new DeviceError(
        `the cpu device is not built for '${forced}': run 'node libs/devices/native/build.mjs --all'`,
      );
    }
    return { path: pathOf(forced), instructionSet: forced };
  }
  const features = featuresOfMachine();
  for (const [name, { needs }] of Object.entries(sets)) {
    const usable = process.platform === 'darwin' || needs.every((feature) => features.has(feature));
    if (usable && existsSync(pathOf(name))) return { path: pathOf(name), instructionSet: name };
  }
  return `no library is built for this machine (run 'node libs/devices/native/build.mjs'; it needs g++ or clang++)`;
}

function loadKoffi(): typeof Koffi.default | undefined {
  try {
    return createRequire(import.meta.url)('koffi') as typeof Koffi.default;
  } catch {
    return undefined;
  }
}

const numbered = (names: string): ReadonlyMap<string, number> =>
  new Map(
    names
      .split('\n')
      .filter((name) => name !== '')
      .map((name, index) => [name, index]),
  );

function load(path: string, instructionSet: string, koffi: typeof Koffi.default): NativeLibrary {
  const library = koffi.load(path);
  const get = <F>(name: string, result: string, ...parameters: string[]): F =>
    library.func(name, result, parameters) as unknown as F;
  const address = 'uintptr_t';
  const operations = get<() => string>('weft_operations', 'str')();
  const instructions = get<() => string>('weft_instructions', 'str')();
  // A view over the memory itself: small typed arrays of their own may live in V8's heap and move.
  const addressOf = (memory: ArrayBufferLike) => Number(koffi.address(new Uint8Array(memory)));
  return {
    path,
    instructionSet,
    operations: numbered(operations),
    instructions: numbered(instructions),
    addressOf,
    create: get('weft_create', address, 'const void *', 'int64_t', address, 'int64_t', 'int64_t'),
    destroy: get('weft_destroy', 'void', address),
    bind: get('weft_bind', 'void', address),
    run: get('weft_run', 'int', address, 'int', 'int'),
    runAll: get('weft_run_all', 'int', address),
    error: get('weft_error', 'str'),
    threads: get('weft_threads', 'int', 'int'),
    ceiling: get('weft_ceiling', 'double', 'int', 'int64_t'),
    largePages: get('weft_large_pages', 'void', address, 'int64_t'),
    kept: get('weft_kept', 'double'),
  };
}

let known: { readonly library: NativeLibrary } | { readonly reason: string } | undefined;

/**
 * The native library of this thread, or the reason why there is none. `forced` (or the environment variable
 * WEFT_CPU_ISA) names an instruction set; `none` means the reference kernels. Throws DeviceError for a name that is not known or not
 * built.
 */
export function nativeLibrary(
  forced = process.env.WEFT_CPU_ISA,
): { readonly library: NativeLibrary } | { readonly reason: string } {
  if (forced === 'none') return { reason: 'WEFT_CPU_ISA=none' };
  if (forced !== undefined && forced !== '') return open(forced);
  return (known ??= open(undefined));
}

function open(forced: string | undefined): { readonly library: NativeLibrary } | { readonly reason: string } {
  const found = findLibrary(forced);
  if (typeof found === 'string') return { reason: found };
  const koffi = loadKoffi();
  if (koffi === undefined) return { reason: 'the package koffi is not installed' };
  try {
    return { library: load(found.path, found.instructionSet, koffi) };
  } catch (cause) {
    return { reason: `${found.path} cannot be loaded: ${String(cause)}` };
  }
}
