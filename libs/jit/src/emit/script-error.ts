// What a program that cannot be scripted is told: the user's file, line and text, what is wrong, and what to write instead.
import type { SourceRange } from '@weft/ir';
import { WeftError } from '@weft/ir';

/** A mistake in, or something unsupported by, a scripted program. `source` is the offending text. */
export class ScriptError extends WeftError {
  declare readonly source: SourceRange | undefined;
}

export function fail(range: SourceRange | undefined, message: string): never {
  throw new ScriptError(message, range);
}
