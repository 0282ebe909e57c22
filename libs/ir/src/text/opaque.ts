// Stand-ins for things that text only names: a function whose body is elsewhere.
import type { FunctionRef } from '../types/types.ts';

/** A function of which only the name is known: it takes and returns anything. */
export const createFloatingName = (name: string): FunctionRef => ({
  name,
  schema: { name, overload: '', arguments: [], returns: [], isVararg: true, isVarret: true },
});
