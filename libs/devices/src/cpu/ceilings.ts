// What the machine can do at most, measured by native loops: figures of programs are told beside these.
import { nativeLibrary } from './library.ts';

export interface Ceilings {
  /** Threads that the figures are of. */
  readonly threads: number;
  /** float32 operations a second; a multiply-add is two. */
  readonly flops: number;
  /** Bytes a second read from memory. */
  readonly read: number;
  /** Bytes a second of a = b + s·c, two arrays read and one written. */
  readonly triad: number;
}

/** Larger than the caches of the processor. */
const arrayBytes = 1 << 28;

/** Measures for about a second; undefined without the native library. `threads`: default, those of the cpu device. */
export function measureCeilings(threads?: number): Ceilings | undefined {
  const found = nativeLibrary();
  if ('reason' in found) return undefined;
  const { library } = found;
  const before = library.threads(0);
  if (threads !== undefined) library.threads(threads);
  try {
    return {
      threads: library.threads(0),
      flops: library.ceiling(0, 0),
      read: library.ceiling(1, arrayBytes),
      triad: library.ceiling(2, arrayBytes / 2),
    };
  } finally {
    library.threads(before);
  }
}
