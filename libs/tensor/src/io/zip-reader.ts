// Reads zip files as archives use them: stored or deflated entries, zip64. Opening reads the directory at the file's end and
// nothing else. What the file says about itself is not believed before it is checked: sizes and places lie inside the file,
// entries do not overlap, names do not leave their folder.
import type { FilePart } from '@weft/devices';
import { DeviceError } from '@weft/devices';
import { crc32, inflateRawSync } from 'node:zlib';
import { hostDevice } from '../devices.ts';
import { ArchiveError } from './archive-error.ts';
import type { ByteSource } from './byte-source.ts';

export interface ZipEntry {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc32: number;
  /** Where the entry's own header is in the file; its data follows. */
  readonly header: number;
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
/** What all inflated entries together may take: this, or this many times the file. */
const inflatedBytes = 256 << 20;
const inflatedRatio = 64;
/** How much is checked at a time, so that checking a large entry needs little memory. */
const pieceSize = 4 << 20;

export class ZipFile {
  private readonly entries = new Map<string, ZipEntry>();
  /** Where the next entry or the directory begins, by the header of an entry. */
  private readonly ends = new Map<number, number>();
  private inflated = 0;

  /** @param file names the file in errors */
  constructor(
    private readonly source: ByteSource,
    readonly file: string,
  ) {
    this.guarded(undefined, () => this.readDirectory());
  }

  /** Names of the entries that are no folders. */
  get names(): string[] {
    return [...this.entries.keys()].filter((name) => !name.endsWith('/'));
  }
  has(name: string): boolean {
    return this.entries.has(name);
  }
  entry(name: string): ZipEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new ArchiveError(this.file, name, 'the archive has no such entry');
    return entry;
  }

  /** The contents, to look at. Checks the checksum. */
  read(name: string): Uint8Array {
    const entry = this.entry(name);
    const bytes = this.guarded(name, () => this.contents(entry));
    this.compare(entry, crc32(bytes));
    return bytes;
  }

  /** The contents as memory to keep and change. Without the checksum, so that a mapped tensor need not be touched. */
  part(name: string): FilePart {
    const entry = this.entry(name);
    return this.guarded(name, () => {
      if (entry.method === 'stored') return this.source.part(this.dataOffset(entry), entry.size);
      const buffer = hostDevice().allocate(entry.size);
      hostDevice().write(buffer, 0, this.contents(entry));
      return { buffer, byteOffset: 0, byteLength: entry.size };
    });
  }

  /** Compares an entry with its checksum. Throws ArchiveError when it is damaged. */
  check(name: string): void {
    const entry = this.entry(name);
    if (entry.method === 'deflated') return void this.read(name);
    const crc = this.guarded(name, () => {
      const offset = this.dataOffset(entry);
      let value = 0;
      for (let at = 0; at < entry.size; at += pieceSize) {
        value = crc32(this.source.read(offset + at, Math.min(pieceSize, entry.size - at)), value);
      }
      return value;
    });
    this.compare(entry, crc);
  }

  private compare({ name, crc32: expected }: ZipEntry, found: number): void {
    // PyTorch writes zero when it is told to compute no checksums.
    if (found !== expected && expected !== 0)
      this.refuse(name, `its checksum is ${hex(found)}, not ${hex(expected)}: the file is damaged`);
  }

  /** The bytes of an entry, inflated. */
  private contents(entry: ZipEntry): Uint8Array {
    const { name, method, compressedSize, size } = entry;
    const stored = this.source.read(this.dataOffset(entry), compressedSize);
    if (method === 'stored') return stored;
    const limit = Math.max(inflatedBytes, inflatedRatio * this.source.size);
    this.inflated += size;
    if (this.inflated > limit)
      this.refuse(
        name,
        `the compressed entries take more than ${limit} bytes, ${inflatedRatio} times the file`,
      );
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

  /** Where an entry's data begins: after its own header, which is checked against the directory. */
  private dataOffset({ name, header, compressedSize }: ZipEntry): number {
    const nameBytes = Buffer.from(name);
    const end = this.ends.get(header)!;
    const bytes = Buffer.from(
      this.source.read(header, Math.min(30 + nameBytes.length, this.source.size - header)),
    );
    if (bytes.length < 30 || bytes.readUInt32LE(0) !== localSignature)
      this.refuse(name, 'its header is not where the directory says');
    if (bytes.readUInt16LE(26) !== nameBytes.length || !bytes.subarray(30).equals(nameBytes))
      this.refuse(name, 'its header has another name');
    const offset = header + 30 + nameBytes.length + bytes.readUInt16LE(28);
    if (offset + compressedSize > end) this.refuse(name, 'it overlaps what comes after it');
    return offset;
  }

  // ---- Directory --------------------------------------------------------------------------------------------------

  private refuse(entry: string | undefined, reason: string): never {
    throw new ArchiveError(this.file, entry, reason);
  }

  /** Reports what the file itself does wrong, such as becoming shorter, as its error. */
  private guarded<T>(entry: string | undefined, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      if (cause instanceof DeviceError) throw new ArchiveError(this.file, entry, cause.message, { cause });
      throw cause;
    }
  }

  private readDirectory(): void {
    const { size: fileSize } = this.source;
    const tailStart = Math.max(0, fileSize - (22 + largestComment + 20));
    const tail = viewOf(this.source.read(tailStart, fileSize - tailStart));
    const end = this.findEnd(tail);
    let count = tail.getUint16(end + 10, true);
    let size = tail.getUint32(end + 12, true);
    let offset = tail.getUint32(end + 16, true);
    let limit = tailStart + end;
    const disks = tail.getUint16(end + 4, true) + tail.getUint16(end + 6, true);
    if (end >= 20 && tail.getUint32(end - 20, true) === locator64Signature) {
      const at = this.integer(tail, end - 12, 'the zip64 end record');
      if (at + 56 > tailStart + end - 20)
        this.refuse(undefined, 'its zip64 end record is not where it is said to be');
      const record = viewOf(this.source.read(at, 56));
      if (record.getUint32(0, true) !== end64Signature)
        this.refuse(undefined, 'its zip64 end record is not where it is said to be');
      count = this.integer(record, 32, 'the number of entries');
      size = this.integer(record, 40, 'the size of the directory');
      offset = this.integer(record, 48, 'the place of the directory');
      limit = at;
    } else if (disks !== 0 && disks !== 2 * 0xffff) this.refuse(undefined, 'it is split over several files');
    if (offset + size > limit) this.refuse(undefined, 'its directory does not lie inside the file');
    if (count * 46 > size) this.refuse(undefined, `its directory is too small for ${count} entries`);
    const directory = this.source.read(offset, size);
    let at = 0;
    for (let index = 0; index < count; index++) at = this.readEntry(directory, at, offset);
    this.refuseOverlaps(offset);
  }

  /** Where the end record is: the last one whose comment reaches exactly to the end of the file. */
  private findEnd(tail: DataView): number {
    for (let at = tail.byteLength - 22; at >= 0; at--) {
      if (
        tail.getUint32(at, true) === endSignature &&
        at + 22 + tail.getUint16(at + 20, true) === tail.byteLength
      )
        return at;
    }
    return this.refuse(undefined, 'this is no zip file, or its end is missing');
  }

  private integer(view: DataView, at: number, what: string): number {
    const value = view.getBigUint64(at, true);
    if (value > BigInt(this.source.size))
      this.refuse(undefined, `${what} (${value}) is beyond the end of the file`);
    return Number(value);
  }

  /** Reads the entry at `at` of the directory, which begins at `start` of the file; gives where the next one is. */
  private readEntry(bytes: Uint8Array, at: number, start: number): number {
    const view = viewOf(bytes);
    const damaged = (): never => this.refuse(undefined, `its directory is damaged at byte ${start + at}`);
    if (at + 46 > bytes.length || view.getUint32(at, true) !== centralSignature) damaged();
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.length) damaged();
    const name = this.checkedName(bytes.subarray(at + 46, at + 46 + nameLength));
    if (view.getUint16(at + 8, true) & 1) this.refuse(name, 'it is encrypted');
    const method = view.getUint16(at + 10, true);
    if (method !== 0 && method !== 8)
      this.refuse(name, `it is packed by method ${method}; stored and deflated are read`);
    const sizes = {
      size: view.getUint32(at + 24, true),
      compressedSize: view.getUint32(at + 20, true),
      header: view.getUint32(at + 42, true),
    };
    this.applyZip64(name, sizes, view, at + 46 + nameLength, extraLength);
    const { size, compressedSize } = sizes;
    if (method === 0 ? size !== compressedSize : size > compressedSize * largestRatio + 1024) {
      this.refuse(name, `it cannot have ${size} bytes from ${compressedSize} in the file`);
    }
    if (this.entries.has(name)) this.refuse(name, 'it is there twice');
    const entry: ZipEntry = {
      ...sizes,
      name,
      method: method === 0 ? 'stored' : 'deflated',
      crc32: view.getUint32(at + 16, true),
    };
    this.entries.set(name, entry);
    return next;
  }

  private applyZip64(
    name: string,
    sizes: { size: number; compressedSize: number; header: number },
    view: DataView,
    start: number,
    length: number,
  ): void {
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

  private checkedName(bytes: Uint8Array): string {
    let name: string;
    try {
      name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
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

  /** Entries lie one after the other before the directory; an entry's own header takes at least 30 bytes and its name. */
  private refuseOverlaps(directory: number): void {
    const sorted = [...this.entries.values()].sort((a, b) => a.header - b.header);
    for (const [index, { name, header, compressedSize }] of sorted.entries()) {
      const end = sorted[index + 1]?.header ?? directory;
      const least = header + 30 + Buffer.byteLength(name) + compressedSize;
      if (least > this.source.size)
        this.refuse(
          name,
          `its ${compressedSize} bytes reach beyond the end of the file, which is cut off or damaged`,
        );
      if (least > end) this.refuse(name, 'it overlaps what comes after it');
      this.ends.set(header, end);
    }
  }
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const hex = (value: number): string => value.toString(16).padStart(8, '0');
