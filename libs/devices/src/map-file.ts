// Maps parts of files into memory through the C library, since Node cannot: private copy-on-write mappings, so that writing to
// them never reaches the file. A mapping goes when its ArrayBuffer is collected.
//
// An ArrayBuffer over a mapping must not be moved to another thread, which would outlive it here: Node copies memory that is not
// V8's or refuses to move it. (Marking it untransferable besides ends the process when its thread ends, from Node 21 on; so
// `ArrayBuffer.prototype.transfer` must not be called on it.) A worker thread that ends leaves its mappings to the process: unmapping
// them while something of the thread may still run would be worse. Child processes do not inherit mappings; each maps for itself.
//
// When a file becomes shorter while it is mapped, touching what is gone ends the process (SIGBUS), as in every program that
// maps files. weft's own writers never do that to a file: they write another one and rename it.
import type * as Koffi from 'koffi';
import { createRequire } from 'node:module';

/** Mappings begin at multiples of this, which every system accepts. */
export const mappingAlignment = 1 << 16;

interface Mapper {
  /** The address of the mapping, or undefined when the system refuses. */
  map(
    file: { readonly path: string; readonly descriptor: number },
    offset: number,
    length: number,
  ): bigint | undefined;
  unmap(address: bigint, length: number): void;
}

/** Architectures whose file offsets and sizes have 64 bits. */
const wide: ReadonlySet<string> = new Set(['x64', 'arm64', 'riscv64', 'loong64', 'ppc64', 's390x']);

function posixMapper(koffi: typeof Koffi): Mapper {
  const library = koffi.load(null);
  const mmap = library.func(
    'void *mmap(void *address, size_t length, int protection, int flags, int file, int64_t offset)',
  );
  const munmap = library.func('int munmap(void *address, size_t length)');
  const readAndWrite = 1 | 2;
  const isPrivate = 2;
  // Pages that are never written need no memory to be set aside for them.
  const noReserve = process.platform === 'linux' ? 0x4000 : 0;
  const failed = BigInt.asUintN(64, -1n);
  return {
    map({ descriptor }, offset, length) {
      const address = mmap(null, length, readAndWrite, isPrivate | noReserve, descriptor, offset) as
        bigint | null;
      return address === null || address === failed ? undefined : address;
    },
    unmap: (address, length) => void munmap(address, length),
  };
}

function windowsMapper(koffi: typeof Koffi): Mapper {
  const kernel = koffi.load('kernel32.dll');
  const createFile = kernel.func(
    'void *__stdcall CreateFileW(str16 path, uint32_t access, uint32_t share, void *security, uint32_t how, uint32_t flags, void *template)',
  );
  const createMapping = kernel.func(
    'void *__stdcall CreateFileMappingW(void *file, void *security, uint32_t protection, uint32_t sizeHigh, uint32_t sizeLow, void *name)',
  );
  const mapView = kernel.func(
    'void *__stdcall MapViewOfFile(void *mapping, uint32_t access, uint32_t offsetHigh, uint32_t offsetLow, size_t length)',
  );
  const unmapView = kernel.func('bool __stdcall UnmapViewOfFile(void *address)');
  const close = kernel.func('bool __stdcall CloseHandle(void *handle)');
  const [genericRead, shareAll, openExisting, writeCopy, mapCopy] = [0x80000000, 7, 3, 8, 1];
  const invalid = BigInt.asUintN(64, -1n);
  return {
    map({ path }, offset, length) {
      const file = createFile(path, genericRead, shareAll, null, openExisting, 0, null) as bigint | null;
      if (file === null || file === invalid) return undefined;
      try {
        const mapping = createMapping(file, null, writeCopy, 0, 0, null) as bigint | null;
        if (mapping === null) return undefined;
        try {
          const high = Math.floor(offset / 2 ** 32);
          return (mapView(mapping, mapCopy, high, offset % 2 ** 32, length) as bigint | null) ?? undefined;
        } finally {
          close(mapping);
        }
      } finally {
        close(file);
      }
    },
    unmap: (address) => void unmapView(address),
  };
}

interface Mapping {
  readonly koffi: typeof Koffi;
  readonly mapper: Mapper;
}
let mapping: Mapping | null | undefined;

/** The system's way to map files, or null where there is none or koffi cannot be loaded. */
function systemMapping(): Mapping | null {
  if (mapping !== undefined) return mapping;
  mapping = null;
  if (!wide.has(process.arch)) return null;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    mapping = { koffi, mapper: process.platform === 'win32' ? windowsMapper(koffi) : posixMapper(koffi) };
  } catch {
    // Without the library files are read instead.
  }
  return mapping;
}

const collected = new FinalizationRegistry<{ address: bigint; length: number }>(({ address, length }) =>
  mapping?.mapper.unmap(address, length),
);

/**
 * Maps part of an open file, or gives undefined where that cannot be done: read it then.
 * @param offset a multiple of `mappingAlignment`
 * @param length at least 1; the part lies inside the file
 */
export function mapFile(
  file: { readonly path: string; readonly descriptor: number },
  offset: number,
  length: number,
): Uint8Array | undefined {
  const system = systemMapping();
  const address = system?.mapper.map(file, offset, length);
  if (system === null || address === undefined) return undefined;
  let memory: ArrayBuffer;
  try {
    memory = system.koffi.view(address, length);
  } catch {
    // Some hosts, such as Electron, have no ArrayBuffers over memory that is not theirs.
    system.mapper.unmap(address, length);
    return undefined;
  }
  collected.register(memory, { address, length });
  return new Uint8Array(memory);
}
