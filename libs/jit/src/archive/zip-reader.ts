// Reads zip files as archives use them: stored or deflated entries, zip64. Stored entries are views on the file's bytes.
// Nothing that the file says about itself is believed before it is checked: sizes and offsets lie inside the file, entries
// do not overlap, names do not leave their folder.
import { inflateRawSync } from 'node:zlib';
import { ArchiveError } from './archive-error.ts';
import { crc32 } from './crc32.ts';

export interface ZipEntry {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc32: number;
  /** Where the entry's data is in the file. */
  readonly offset: number;
  readonly compressedSize: number;
  readonly size: number;
}

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const largestComment = 0xffff;
/** Deflate cannot make anything more than this many times larger. */
const largestRatio = 1032;

/** A zip file in memory. */
export class ZipFile {
  private readonly view: DataView;
  private readonly entries = new Map<string, ZipEntry>();

  /** @param file names the file in errors */
  constructor(
    readonly bytes: Uint8Array,
    readonly file: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.readDirectory();
  }

  get names(): string[] {
    return [...this.entries.keys()];
  }
  has(name: string): boolean {
    return this.entries.has(name);
  }
  entry(name: string): ZipEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new ArchiveError(this.file, name, 'the archive has no such entry');
    return entry;
  }

  /** The contents; a view on the file when the entry is stored. Checks the checksum. */
  read(name: string): Uint8Array {
    const entry = this.entry(name);
    const bytes = this.readUnchecked(name);
    const found = crc32(bytes);
    if (found !== entry.crc32) {
      this.refuse(name, `its checksum is ${hex(found)}, not ${hex(entry.crc32)}: the file is damaged`);
    }
    return bytes;
  }

  /** As `read`, without the checksum: for tensors, whose data need not be touched to open a file. */
  readUnchecked(name: string): Uint8Array {
    const { method, offset, compressedSize, size } = this.entry(name);
    const stored = this.bytes.subarray(offset, offset + compressedSize);
    if (method === 'stored') return stored;
    let inflated: Uint8Array;
    try {
      inflated = inflateRawSync(stored, { maxOutputLength: Math.max(size, 1) });
    } catch (cause) {
      throw new ArchiveError(this.file, name, 'its compressed data is damaged', { cause });
    }
    if (inflated.length !== size)
      this.refuse(name, `it has ${inflated.length} bytes, not ${size} as declared`);
    return inflated;
  }

  // ---- Directory --------------------------------------------------------------------------------------------------

  private refuse(entry: string | undefined, reason: string): never {
    throw new ArchiveError(this.file, entry, reason);
  }

  /** Where the end record is: the last one whose comment reaches exactly to the end of the file. */
  private findEnd(): number {
    const { view } = this;
    for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - largestComment); at--) {
      if (
        view.getUint32(at, true) === endSignature &&
        at + 22 + view.getUint16(at + 20, true) === view.byteLength
      )
        return at;
    }
    return this.refuse(undefined, 'this is no zip file, or its end is missing');
  }

  private readDirectory(): void {
    const { view } = this;
    const end = this.findEnd();
    let count = view.getUint16(end + 10, true);
    let size = view.getUint32(end + 12, true);
    let offset = view.getUint32(end + 16, true);
    let limit = end;
    const disks = view.getUint16(end + 4, true) + view.getUint16(end + 6, true);
    if (end >= 20 && view.getUint32(end - 20, true) === locator64Signature) {
      const at = this.integer(end - 12, 'the zip64 end record');
      if (at + 56 > end - 20 || view.getUint32(at, true) !== end64Signature) {
        this.refuse(undefined, 'its zip64 end record is not where it is said to be');
      }
      count = this.integer(at + 32, 'the number of entries');
      size = this.integer(at + 40, 'the size of the directory');
      offset = this.integer(at + 48, 'the place of the directory');
      limit = at;
    } else if (disks !== 0 && disks !== 2 * 0xffff) this.refuse(undefined, 'it is split over several files');
    if (offset + size > limit) this.refuse(undefined, 'its directory does not lie inside the file');
    if (count * 46 > size) this.refuse(undefined, `its directory is too small for ${count} entries`);
    let at = offset;
    for (let index = 0; index < count; index++) at = this.readEntry(at, offset + size);
    this.refuseOverlaps(offset);
  }

  private integer(at: number, what: string): number {
    const value = this.view.getBigUint64(at, true);
    if (value > BigInt(this.view.byteLength))
      this.refuse(undefined, `${what} (${value}) is beyond the end of the file`);
    return Number(value);
  }

  private readEntry(at: number, limit: number): number {
    const { view } = this;
    if (at + 46 > limit || view.getUint32(at, true) !== centralSignature) {
      this.refuse(undefined, `its directory is damaged at byte ${at}`);
    }
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > limit) this.refuse(undefined, `its directory is damaged at byte ${at}`);
    const name = this.checkedName(this.bytes.subarray(at + 46, at + 46 + nameLength));
    if (view.getUint16(at + 8, true) & 1) this.refuse(name, 'it is encrypted');
    const method = view.getUint16(at + 10, true);
    if (method !== 0 && method !== 8)
      this.refuse(name, `it is packed by method ${method}; stored and deflated are read`);
    const sizes = {
      size: view.getUint32(at + 24, true),
      compressedSize: view.getUint32(at + 20, true),
      header: view.getUint32(at + 42, true),
    };
    this.applyZip64(name, sizes, at + 46 + nameLength, extraLength);
    const { size, compressedSize, header } = sizes;
    const offset = this.dataOffset(name, header);
    if (offset + compressedSize > view.byteLength) {
      this.refuse(
        name,
        `its ${compressedSize} bytes reach beyond the end of the file, which is cut off or damaged`,
      );
    }
    if (method === 0 ? size !== compressedSize : size > compressedSize * largestRatio + 1024) {
      this.refuse(name, `it cannot have ${size} bytes from ${compressedSize} in the file`);
    }
    if (this.entries.has(name)) this.refuse(name, 'it is there twice');
    const entry: ZipEntry = {
      name,
      method: method === 0 ? 'stored' : 'deflated',
      crc32: view.getUint32(at + 16, true),
      offset,
      compressedSize,
      size,
    };
    if (!name.endsWith('/')) this.entries.set(name, entry);
    return next;
  }

  private applyZip64(
    name: string,
    sizes: { size: number; compressedSize: number; header: number },
    start: number,
    length: number,
  ): void {
    const { view } = this;
    for (let at = start; at + 4 <= start + length;) {
      const fieldEnd = at + 4 + view.getUint16(at + 2, true);
      if (fieldEnd > start + length) this.refuse(name, 'its extra fields are damaged');
      if (view.getUint16(at, true) === 1) {
        let field = at + 4;
        for (const key of ['size', 'compressedSize', 'header'] as const) {
          if (sizes[key] !== 0xffffffff) continue;
          if (field + 8 > fieldEnd) this.refuse(name, 'its zip64 field is too short');
          const value = view.getBigUint64(field, true);
          if (value > BigInt(Number.MAX_SAFE_INTEGER))
            this.refuse(name, `a size of ${value} bytes is not possible`);
          sizes[key] = Number(value);
          field += 8;
        }
        return;
      }
      at = fieldEnd;
    }
  }

  private dataOffset(name: string, header: number): number {
    const { view } = this;
    if (header + 30 > view.byteLength || view.getUint32(header, true) !== localSignature) {
      this.refuse(name, 'its header is not where the directory says');
    }
    const nameLength = view.getUint16(header + 26, true);
    const own = this.bytes.subarray(header + 30, header + 30 + nameLength);
    if (new TextDecoder().decode(own) !== name) this.refuse(name, 'its header has another name');
    return header + 30 + nameLength + view.getUint16(header + 28, true);
  }

  private checkedName(bytes: Uint8Array): string {
    let name: string;
    try {
      name = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new ArchiveError(this.file, undefined, 'the name of an entry is no UTF-8', { cause });
    }
    const parts = name.split('/');

    if (
      name === '' ||
      /^\/|[\\\0-\x1f]|^[A-Za-z]:/.test(name) ||
      parts.some((part) => part === '..' || part === '.')
    ) {
      this.refuse(name, 'its name is no plain path inside the archive');
    }
    return name;
  }

  private refuseOverlaps(directory: number): void {
    const sorted = [...this.entries.values()].sort((a, b) => a.offset - b.offset);
    for (const [index, entry] of sorted.entries()) {
      const next = index + 1 < sorted.length ? this.headerEnd(sorted[index + 1]) : directory;
      if (entry.offset + entry.compressedSize > next)
        this.refuse(entry.name, 'it overlaps what comes after it');
    }
  }

  /** The latest place where the header of an entry can begin. */
  private headerEnd({ offset, name }: ZipEntry): number {
    return offset - 30 - Buffer.byteLength(name);
  }
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');
