// jit.script: functions, classes and modules of live TypeScript become compiled ones.
import type { nn } from '@weft/tensor';
import { isModule } from './frontend/typescript/module-access.ts';
import { livePrograms } from './frontend/typescript/live-programs.ts';
import type { ScriptedFunction } from './script-function.ts';
import { scriptFunction } from './script-function.ts';
import type { Scripted } from './script-module.ts';
import { ScriptModule, scriptModule } from './script-module.ts';

type AnyFunction = (...given: never[]) => unknown;
type AnyClass = abstract new (...given: never[]) => unknown;

/**
 * Compiles a module (its `forward` and whatever that uses), a function, or a class. Nothing else is needed: the source is found
 * through the running program. Throws ScriptError with the place of what cannot be compiled.
 */
export function script<M extends nn.Module>(target: M): Scripted<M>;
export function script<F extends AnyFunction>(target: F): ScriptedFunction<F>;
export function script<C extends AnyClass>(target: C): C;
export function script(target: nn.Module | AnyFunction | AnyClass): unknown {
  if (isModule(target)) return target instanceof ScriptModule ? target : scriptModule(target);
  if (typeof target === 'function' && /^class\b/.test(Function.prototype.toString.call(target))) {
    const programs = livePrograms();
    programs.compiling(() => programs.classOf(target as unknown as AnyFunction));
    return target;
  }
  return scriptFunction(target as AnyFunction);
}
