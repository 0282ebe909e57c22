// Files that appear whole or not at all: what is written goes to another file beside the path, is flushed to disk, and takes the
// name at the end. A file that is read or mapped meanwhile under that name stays as it was.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

type Write = (bytes: Uint8Array) => void;

/** What one write of the system can take. */
const largestWrite = 1 << 30;

class AtomicFile {
  private readonly temporary: string;
  private readonly descriptor: number;
  size = 0;

  constructor(private readonly path: string) {
    this.temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
    this.descriptor = openSync(this.temporary, 'wx');
  }

  readonly write: Write = (bytes) => {
    for (let done = 0; done < bytes.byteLength;) {
      const length = Math.min(bytes.byteLength - done, largestWrite);
      done += writeSync(this.descriptor, bytes, done, length);
    }
    this.size += bytes.byteLength;
  };

  commit(): number {
    try {
      fsyncSync(this.descriptor);
    } catch (error) {
      this.discard();
      throw error;
    }
    closeSync(this.descriptor);
    try {
      renameSync(this.temporary, this.path);
    } catch (error) {
      rmSync(this.temporary, { force: true });
      throw error;
    }
    syncFolder(dirname(this.path));
    return this.size;
  }

  discard(): void {
    closeSync(this.descriptor);
    rmSync(this.temporary, { force: true });
  }
}

/** Makes the file of what `fill` writes, and returns its size. Throws what `fill` or the system throws; nothing is left then. */
export function writeAtomically(path: string, fill: (write: Write) => void): number {
  const file = new AtomicFile(path);
  try {
    fill(file.write);
  } catch (error) {
    file.discard();
    throw error;
  }
  return file.commit();
}

/** As `writeAtomically`, for contents that come later. */
export async function writeAtomicallyAsync(
  path: string,
  fill: (write: Write) => void | Promise<void>,
): Promise<number> {
  const file = new AtomicFile(path);
  try {
    await fill(file.write);
  } catch (error) {
    file.discard();
    throw error;
  }
  return file.commit();
}

/** Makes a rename in the folder survive a crash of the machine, where the system can. */
export function syncFolder(folder: string): void {
  try {
    const handle = openSync(folder, 'r');
    fsyncSync(handle);
    closeSync(handle);
  } catch {
    // Windows does not open folders; the rename is as durable as the system makes it.
  }
}
