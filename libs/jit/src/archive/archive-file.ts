// A TorchScript archive as a set of named records under one folder: its version, its byte order, its code and its extra files.
import type { DeviceBuffer } from '@weft/devices';
import { hostDevice } from '@weft/tensor';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ArchiveError } from './archive-error.ts';
import { ZipFile } from './zip-reader.ts';

/** The newest archive version (operator set) that is read. PyTorch 2.7 writes 10. */
const newestVersion = 10n;
const oldestVersion = 1n;
/** The code and the pickles of an archive are text and structure; what is larger than this is none. */
const largestRecord = 256 << 20;
const pieceSize = 1 << 30;

export class ArchiveFile {
  readonly folder: string;
  readonly version: number;
  readonly bigEndian: boolean;

  private constructor(
    readonly zip: ZipFile,
    readonly buffer: DeviceBuffer | undefined,
  ) {
    const root = zip.names.find((name) =>
      /^[^/]+\/(constants\.pkl|data\.pkl|version|\.data\/version)$/.test(name),
    );
    if (root === undefined) {
      const advice = zip.names.some((name) => /(^|\/)model\.json$/.test(name))
        ? 'it was written by PyTorch 1.0, whose format is not read; load and save it with PyTorch 1.4 or newer'
        : 'it is a zip file, but no TorchScript archive';
      throw new ArchiveError(zip.file, undefined, advice);
    }
    this.folder = root.slice(0, root.indexOf('/') + 1);
    this.version = this.readVersion();
    const order = this.has('byteorder') ? this.text('byteorder').trim() : 'little';
    if (order !== 'little' && order !== 'big') {
      throw new ArchiveError(
        zip.file,
        `${this.folder}byteorder`,
        `'${order}' is no byte order (little or big)`,
      );
    }
    this.bigEndian = order === 'big';
  }

  /** Reads a file into memory that its tensors then share. */
  static open(path: string): ArchiveFile {
    const { bytes, buffer } = readFile(path);
    return new ArchiveFile(new ZipFile(bytes, path), buffer);
  }
  /** An archive in memory; `name` stands for its path in errors. */
  static from(bytes: Uint8Array, name: string): ArchiveFile {
    return new ArchiveFile(new ZipFile(bytes, name), undefined);
  }

  get file(): string {
    return this.zip.file;
  }
  has(record: string): boolean {
    return this.zip.has(this.folder + record);
  }
  /** Names of the records below `folder`, without it. */
  records(folder: string): string[] {
    const prefix = this.folder + folder;
    return this.zip.names.flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
  }
  bytes(record: string): Uint8Array {
    const name = this.folder + record;
    const { size } = this.zip.entry(name);
    if (size > largestRecord)
      throw new ArchiveError(this.file, name, `${size} bytes are too many for such a record`);
    return this.zip.read(name);
  }
  text(record: string): string {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.bytes(record));
    } catch (cause) {
      if (cause instanceof ArchiveError) throw cause;
      throw new ArchiveError(this.file, this.folder + record, 'it is no UTF-8 text', { cause });
    }
  }

  private readVersion(): number {
    const record = ['.data/version', 'version'].find((name) => this.has(name));
    if (record === undefined)
      throw new ArchiveError(this.file, undefined, 'it does not say which version it has');
    const text = this.text(record).trim();
    if (!/^\d{1,18}$/.test(text)) {
      throw new ArchiveError(this.file, this.folder + record, `'${text.slice(0, 40)}' is no version`);
    }
    const version = BigInt(text);
    if (version < oldestVersion || version > newestVersion) {
      const limits = `versions ${oldestVersion} to ${newestVersion} are read`;
      throw new ArchiveError(
        this.file,
        this.folder + record,
        `the archive has version ${version}; ${limits}`,
      );
    }
    return Number(version);
  }
}

function readFile(path: string): { bytes: Uint8Array; buffer: DeviceBuffer | undefined } {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    throw new ArchiveError(
      path,
      undefined,
      code === 'ENOENT' ? 'there is no such file' : `cannot be opened (${code})`,
      {
        cause,
      },
    );
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw new ArchiveError(path, undefined, 'it is no file');
    const { size } = status;
    const shared = hostDevice().allocate(size);
    const bytes = shared.bytes ?? new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const count = readSync(descriptor, bytes, at, Math.min(size - at, pieceSize), at);
      if (count === 0) throw new ArchiveError(path, undefined, 'it became shorter while it was read');
      at += count;
    }
    return { bytes, buffer: shared.bytes === undefined ? undefined : shared };
  } finally {
    closeSync(descriptor);
  }
}
