// Writes zip files as PyTorch does: entries are stored, their data begins at multiples of 64 bytes (an extra field `FB` fills
// the gap), so that tensors can be used where they lie; code is compressed. Sizes and offsets beyond 4 GiB are written as zip64.
import { crc32, deflateRawSync } from 'node:zlib';

export const recordAlignment = 64;
const noDate = 0x21; // 1 January 1980, the first day that zip knows
const largest32 = 0xffffffff;

interface Written {
  readonly name: Buffer;
  readonly crc: number;
  readonly method: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly header: number;
}

/** Collects entries; `write` gets the file's bytes piece by piece, in order. */
export class ZipWriter {
  private readonly entries: Written[] = [];
  private at = 0;

  constructor(private readonly write: (bytes: Uint8Array) => void) {}

  private emit(bytes: Uint8Array): void {
    this.write(bytes);
    this.at += bytes.length;
  }

  add(name: string, bytes: Uint8Array, { deflate = false } = {}): void {
    const contents = deflate ? deflateRawSync(bytes) : bytes;
    const entry: Written = {
      name: Buffer.from(name),
      crc: crc32(bytes),
      method: deflate ? 8 : 0,
      compressedSize: contents.length,
      size: bytes.length,
      header: this.at,
    };
    const wide = entry.size >= largest32;
    const zip64 = wide ? zip64Field([entry.size, entry.compressedSize]) : Buffer.alloc(0);
    const start = this.at + 30 + entry.name.length + zip64.length + 4;
    const padding = (recordAlignment - (start % recordAlignment)) % recordAlignment;
    const fill = Buffer.alloc(4 + padding, 'Z');
    fill.write('FB', 0, 'latin1');
    fill.writeUInt16LE(padding, 2);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    this.common(header.subarray(4), entry, wide);
    header.writeUInt16LE(entry.name.length, 26);
    header.writeUInt16LE(zip64.length + fill.length, 28);
    this.emit(Buffer.concat([header, entry.name, zip64, fill]));
    if (contents.length > 0) this.emit(contents);
    this.entries.push(entry);
  }

  /** What both headers of an entry have: version, flags, method, date, checksum, sizes. */
  private common(header: Buffer, { crc, method, compressedSize, size }: Written, wide: boolean): void {
    header.writeUInt16LE(wide ? 45 : 20, 0);
    header.writeUInt16LE(0x0800, 2);
    header.writeUInt16LE(method, 4);
    header.writeUInt16LE(0, 6);
    header.writeUInt16LE(noDate, 8);
    header.writeUInt32LE(crc, 10);
    header.writeUInt32LE(wide ? largest32 : compressedSize, 14);
    header.writeUInt32LE(wide ? largest32 : size, 18);
  }

  /** Writes the directory. Nothing can be added afterwards. */
  finish(): void {
    const directory = this.at;
    for (const entry of this.entries) this.emit(this.centralHeader(entry));
    const size = this.at - directory;
    const count = this.entries.length;
    const wide = count >= 0xffff || size >= largest32 || directory >= largest32;
    if (wide) this.emit(end64(this.at, count, size, directory));
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50, 0);
    end.writeUInt16LE(Math.min(count, 0xffff), 8);
    end.writeUInt16LE(Math.min(count, 0xffff), 10);
    end.writeUInt32LE(Math.min(size, largest32), 12);
    end.writeUInt32LE(Math.min(directory, largest32), 16);
    this.emit(end);
  }

  private centralHeader(entry: Written): Buffer {
    const wideSize = entry.size >= largest32;
    const wideOffset = entry.header >= largest32;
    const wide = [
      ...(wideSize ? [entry.size, entry.compressedSize] : []),
      ...(wideOffset ? [entry.header] : []),
    ];
    const zip64 = wide.length > 0 ? zip64Field(wide) : Buffer.alloc(0);
    const header = Buffer.alloc(46);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt16LE(wide.length > 0 ? 45 : 20, 4);
    this.common(header.subarray(6), entry, wideSize);
    header.writeUInt16LE(entry.name.length, 28);
    header.writeUInt16LE(zip64.length, 30);
    header.writeUInt32LE(wideOffset ? largest32 : entry.header, 42);
    return Buffer.concat([header, entry.name, zip64]);
  }
}

function zip64Field(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, index) => field.writeBigUInt64LE(BigInt(value), 4 + 8 * index));
  return field;
}

function end64(at: number, count: number, size: number, directory: number): Buffer {
  const record = Buffer.alloc(76);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(45, 12);
  record.writeUInt16LE(45, 14);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(directory), 48);
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(at), 64);
  record.writeUInt32LE(1, 72);
  return record;
}
