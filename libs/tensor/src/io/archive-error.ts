// What is wrong with an archive: the file, the entry in it, the reason.
import { WeftError } from '@weft/ir';

/** A file that is no TorchScript archive, is damaged, or holds something that may not be loaded. */
export class ArchiveError extends WeftError {
  constructor(
    /** The archive's path. */
    readonly file: string,
    /** The entry that is wrong, when it is one. */
    readonly entry: string | undefined,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`${file}${entry === undefined ? '' : `, entry '${entry}'`}: ${reason}`, undefined, options);
  }
}
