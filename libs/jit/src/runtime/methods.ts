// Methods of run-time objects, looked up when they are called: that is how calls through interfaces find theirs.
import type { IValue, ScriptFunction } from '@weft/ir';
import { ObjectValue } from '@weft/ir';
import { HostError } from '@weft/ops';

/** The method of a value that a script class or interface promises to have. */
export function methodOf(value: IValue, name: string): ScriptFunction {
  if (!(value instanceof ObjectValue))
    throw new HostError(`'${name}' is called on something that is no object`);
  const method = value.type.methods.get(name);
  if (method === undefined) throw new HostError(`'${value.type.name}' has no method '${name}'`);
  return method as ScriptFunction;
}
