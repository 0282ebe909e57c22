// Tells that a trace froze something: the recording holds for the example inputs and may be wrong for others.
import type { SourceRange } from '@weft/ir';

export class TracerWarning extends Error {
  /**
   * @param reason what was frozen
   * @param source where in the user's program, when it is known
   */
  constructor(
    readonly reason: string,
    readonly source: SourceRange | undefined,
  ) {
    super(source === undefined ? reason : `${reason}\n${source.highlight()}`);
    this.name = 'TracerWarning';
  }
}
