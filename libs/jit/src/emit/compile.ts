// Compiled functions, made when they are first needed. A function whose return type is written can be called before its body
// is compiled, so such functions may call themselves and each other.
import type { Schema } from '@weft/ir';
import { ScriptFunction } from '@weft/ir';
import type { EmitRequest, EmittedFunction } from './emitter.ts';
import { declaredSchema, emitFunction } from './emitter.ts';
import { fail } from './script-error.ts';

export function compileFunction(request: EmitRequest): ScriptFunction {
  let emitted: EmittedFunction | undefined;
  let declared: Schema | undefined;
  let busy = false;
  const emit = (): EmittedFunction => {
    if (emitted !== undefined) return emitted;
    if (busy) {
      fail(
        request.def.range,
        `'${request.def.name}' calls itself, so its return type cannot be inferred; write the return type`,
      );
    }
    busy = true;
    try {
      emitted = emitFunction(request);
    } finally {
      busy = false;
    }
    return emitted;
  };
  const schema = (): Schema => {
    if (emitted !== undefined) return emitted.schema;
    declared ??= declaredSchema(request);
    return declared.returns.length > 0 ? declared : emit().schema;
  };
  return new ScriptFunction(request.qualifiedName, schema, () => emit().graph);
}
