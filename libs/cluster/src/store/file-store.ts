// The embedded store: an append-only log and a snapshot in a folder, and blobs by their hash. A record is one line with its
// checksum; a torn last line (the process was killed while writing) is cut off on opening, any other damage is an error. What
// append has returned for survives the kill of the process; what sync was asked for survives the machine as well. One process
// at a time: the leader number grows with every opening and fences whoever had it before.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { io } from '@weft/tensor';
import { ClusterError, CorruptFileError, messageOf } from '../errors.ts';
import { isRunning } from './temporary-folder.ts';

/** What a scheduler keeps: records in order, and blobs. */
export interface Store {
  /** Number of this opening; larger than that of any before. */
  readonly leader: number;
  /** All records since the beginning, in order, as the last snapshot left them. */
  readonly records: readonly unknown[];
  /** Keeps a record. With `sync` it is on disk when this returns. */
  append(record: unknown, sync: boolean): void;
  /** Replaces all records by fewer that mean the same. */
  compact(records: readonly unknown[]): Promise<void>;
  readonly blobs: BlobStore;
  close(): void;
}

export class FileStore implements Store {
  readonly leader: number;
  readonly records: unknown[];
  readonly blobs: BlobStore;
  private log: number;

  private constructor(
    readonly directory: string,
    leader: number,
    records: unknown[],
    log: number,
  ) {
    this.leader = leader;
    this.records = records;
    this.log = log;
    this.blobs = new BlobStore(join(directory, 'blobs'));
  }

  /** Throws ClusterError when another process has the store, CorruptFileError when it is damaged. */
  static async open(directory: string): Promise<FileStore> {
    mkdirSync(directory, { recursive: true });
    lock(directory);
    try {
      const leaderPath = join(directory, 'leader');
      const leader = existsSync(leaderPath) ? Number(readFileSync(leaderPath, 'utf8')) + 1 : 1;
      if (!Number.isSafeInteger(leader)) throw new CorruptFileError(`${leaderPath} holds no number`);
      io.writeAtomically(leaderPath, (write) => write(Buffer.from(String(leader))));
      const path = join(directory, 'log');
      const fresh = !existsSync(path);
      const log = openSync(path, 'a+');
      if (fresh) io.syncFolder(directory);
      const { records, validBytes } = readLog(path);
      if (statSync(path).size > validBytes) ftruncateSync(log, validBytes);
      return new FileStore(directory, leader, records, log);
    } catch (error) {
      unlock(directory);
      throw error;
    }
  }

  append(record: unknown, sync: boolean): void {
    const line = encodeRecord(record);
    for (let done = 0; done < line.byteLength;) done += writeSync(this.log, line, done);
    if (sync) fsyncSync(this.log);
    this.records.push(record);
  }

  async compact(records: readonly unknown[]): Promise<void> {
    const path = join(this.directory, 'log');
    // Written beside and renamed over: a reader finds the old log or the new one, never a mixture.
    const next = `${path}.next`;
    rmSync(next, { force: true });
    const file = openSync(next, 'a+');
    for (const record of records) {
      const line = encodeRecord(record);
      for (let done = 0; done < line.byteLength;) done += writeSync(file, line, done);
    }
    fsyncSync(file);
    renameSync(next, path);
    io.syncFolder(this.directory);
    closeSync(this.log);
    this.log = file;
    this.records.splice(0, this.records.length, ...records);
  }

  close(): void {
    fsyncSync(this.log);
    closeSync(this.log);
    unlock(this.directory);
  }
}

/** `checksum json\n`. */
function encodeRecord(record: unknown): Buffer {
  const text = JSON.stringify(record);
  return Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}\n`);
}

function readLog(path: string): { records: unknown[]; validBytes: number } {
  const content = readFileSync(path);
  const records: unknown[] = [];
  let at = 0;
  while (at < content.byteLength) {
    const end = content.indexOf(10, at);
    if (end < 0) break;
    const line = content.toString('utf8', at, end);
    const text = line.slice(9);
    if (line.slice(0, 8) !== crc32(text).toString(16).padStart(8, '0')) {
      if (end === content.byteLength - 1) break;
      throw new CorruptFileError(
        `record ${records.length + 1} of ${path} (byte ${at}) is damaged: restore the file from a copy, or move it away to begin anew`,
      );
    }
    records.push(JSON.parse(text));
    at = end + 1;
  }
  return { records, validBytes: at };
}

/** A file with the process's number; one left by a process that is gone is taken over. */
function lock(directory: string): void {
  const path = join(directory, 'lock');
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      held.add(path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(readIfThere(path));
    if (owner !== process.pid && isRunning(owner))
      throw new ClusterError(
        `the store in ${directory} is in use by process ${owner}: stop that scheduler or give another folder with --store`,
      );
    if (owner === process.pid && held.has(path))
      throw new ClusterError(`the store in ${directory} is open in this process already`);
    rmSync(path, { force: true });
  }
  throw new ClusterError(`the store in ${directory} is being opened by several processes`);
}

const held = new Set<string>();

function unlock(directory: string): void {
  rmSync(join(directory, 'lock'), { force: true });
  held.delete(join(directory, 'lock'));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Files named by the SHA-256 of their content: data, initial states, models. */
export class BlobStore {
  constructor(readonly directory: string) {
    mkdirSync(directory, { recursive: true });
    for (const name of readdirSync(directory)) if (name.endsWith('.tmp')) rmSync(join(directory, name));
  }

  /** Where a blob is, or undefined. */
  find(hash: string): string | undefined {
    if (!/^[0-9a-f]{64}$/.test(hash)) return undefined;
    const path = join(this.directory, hash);
    return existsSync(path) ? path : undefined;
  }

  /** Keeps what the chunks hold and returns its hash. With `expected`, another content is refused. */
  async put(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, expected?: string): Promise<string> {
    const hash = createHash('sha256');
    const temporary = join(this.directory, `incoming-${process.pid}-${Math.random().toString(36).slice(2)}`);
    let name = '';
    try {
      await io.writeAtomicallyAsync(temporary, async (write) => {
        for await (const chunk of chunks) {
          hash.update(chunk);
          write(chunk);
        }
        name = hash.digest('hex');
        if (expected !== undefined && name !== expected)
          throw new CorruptFileError(`a blob arrived as ${name} where ${expected} was asked for`);
      });
      renameSync(temporary, join(this.directory, name));
      return name;
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error instanceof CorruptFileError
        ? error
        : new ClusterError(`a blob cannot be kept: ${messageOf(error)}`);
    }
  }

  /** The content in pieces. */
  *read(hash: string, pieceBytes: number): Generator<Buffer, void> {
    const path = this.find(hash);
    if (path === undefined) throw new ClusterError(`there is no blob ${hash}`);
    const file = openSync(path, 'r');
    try {
      for (;;) {
        const piece = Buffer.alloc(pieceBytes);
        const count = readSync(file, piece);
        if (count > 0) yield piece.subarray(0, count);
        if (count === 0) return;
      }
    } finally {
      closeSync(file);
    }
  }
}
