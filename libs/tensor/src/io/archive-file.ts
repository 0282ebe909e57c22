// PyTorch's zip archives, of torch.jit.save and torch.save, as sets of named records under one folder: their version, their
// byte order, their records.
import type { FilePart, MappedFileOptions } from '@weft/devices';
import { DeviceError, MappedFile } from '@weft/devices';
import { ArchiveError } from './archive-error.ts';
import type { ByteSource } from './byte-source.ts';
import { MemorySource } from './byte-source.ts';
import { ZipFile } from './zip-reader.ts';

/** The newest archive version (operator set) that is read. PyTorch 2.7 writes 10. */
const newestVersion = 10n;
const oldestVersion = 1n;
/** The code and the pickles of an archive are text and structure; what is larger than this is none. */
const largestRecord = 256 << 20;

export class ArchiveFile {
  /** The folder that all records are in, with a slash at its end. */
  readonly folder: string;
  readonly version: number;
  readonly bigEndian: boolean;

  private constructor(
    readonly zip: ZipFile,
    private readonly source: ByteSource,
  ) {
    const root = zip.names.find((name) =>
      /^[^/]+\/(constants\.pkl|data\.pkl|version|\.data\/version)$/.test(name),
    );
    if (root === undefined) {
      const advice = zip.names.some((name) => /(^|\/)model\.json$/.test(name))
        ? 'it was written by PyTorch 1.0, whose format is not read; load and save it with PyTorch 1.4 or newer'
        : 'it is a zip file, but no archive of PyTorch';
      throw new ArchiveError(zip.file, undefined, advice);
    }
    this.folder = root.slice(0, root.indexOf('/') + 1);
    this.version = this.readVersion();
    const order = this.has('byteorder') ? this.text('byteorder').trim() : 'little';
    if (order !== 'little' && order !== 'big') {
      throw new ArchiveError(
        zip.file,
        `${this.folder}byteorder`,
        `'${order.slice(0, 40)}' is no byte order (little or big)`,
      );
    }
    this.bigEndian = order === 'big';
  }

  /** Opens a file; `close` it when everything that is wanted was read. Its tensors stay. */
  static open(path: string, options?: MappedFileOptions): ArchiveFile {
    let source: ByteSource;
    try {
      source = MappedFile.open(path, options);
    } catch (cause) {
      if (cause instanceof DeviceError) throw new ArchiveError(path, undefined, 'it is no file', { cause });
      const { code = '' } = cause as NodeJS.ErrnoException;
      const reason = code === 'ENOENT' ? 'there is no such file' : `cannot be opened (${code})`;
      throw new ArchiveError(path, undefined, reason, { cause });
    }
    try {
      return new ArchiveFile(zipIn(source, path), source);
    } catch (error) {
      source.close();
      throw error;
    }
  }
  /** An archive in memory; `name` stands for its path in errors. */
  static from(bytes: Uint8Array, name: string): ArchiveFile {
    const source = new MemorySource(bytes);
    return new ArchiveFile(zipIn(source, name), source);
  }
  close(): void {
    this.source.close();
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
    return this.decoded(record, this.bytes(record));
  }
  /** The text of a record whose bytes were read. */
  decoded(record: string, bytes: Uint8Array): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw new ArchiveError(this.file, this.folder + record, 'it is no UTF-8 text', { cause });
    }
  }
  /** A record as memory of a device: a tensor's. */
  part(record: string): FilePart {
    return this.zip.part(this.folder + record);
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

/** Throws ArchiveError, with the remedy for files that torch.save wrote before PyTorch 1.6. */
function zipIn(source: ByteSource, file: string): ZipFile {
  const [first, protocol] = source.size < 2 ? [] : source.read(0, 2);
  if (first === 0x80 && protocol <= 5) {
    throw new ArchiveError(
      file,
      undefined,
      'it is a bare pickle, as torch.save wrote before PyTorch 1.6, whose form is not read; load it with PyTorch and torch.save it again',
    );
  }
  return new ZipFile(source, file);
}
