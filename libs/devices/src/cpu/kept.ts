// What the programs of the cpu device keep of operands that stay the same, such as packed weights.
import { nativeLibrary } from './library.ts';

/**
 * Bytes that programs of all threads of this process keep beside their operands: equal ones are there once, whatever the number of
 * threads. 0 without the native library.
 */
export function keptBytes(): number {
  const found = nativeLibrary();
  return 'reason' in found ? 0 : found.library.kept();
}
