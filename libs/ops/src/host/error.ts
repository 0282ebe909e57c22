// The error of host operators: a Python program's own mistake (a missing key, an index beyond the end), with the words
// that PyTorch uses for it.
import { WeftError } from '@weft/ir';

export class HostError extends WeftError {}

export function fail(message: string): never {
  throw new HostError(message);
}
