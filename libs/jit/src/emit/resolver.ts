// Where names that are no local variables come from: the live program for TypeScript, the archive for TorchScript.
import type { SourceRange, Type } from '@weft/ir';
import type { SugaredValue } from './sugared-value.ts';

export interface Resolver {
  /** What a free name denotes, or undefined. */
  value(name: string, range: SourceRange): SugaredValue | undefined;
  /** The class, enum, named tuple or interface that a name in a type denotes (dotted for qualified names), or undefined. */
  type(name: string, range: SourceRange): Type | undefined;
  /** The archive version whose operators the code was written for; today's when it is not given. */
  readonly operatorVersion?: number;
}
