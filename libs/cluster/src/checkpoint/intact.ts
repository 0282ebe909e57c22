// Files of checkpoints that should be whole.
import { SafetensorsError } from '@weft/tensor';
import { CorruptFileError } from '../errors.ts';

/** Reads from a file that a checkpoint consists of; what is wrong with the file is wrong with the checkpoint. */
export function intact<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof SafetensorsError) throw new CorruptFileError(cause.message, undefined, { cause });
    throw cause;
  }
}
