// What jit.script and jit.trace make of a module: a module with the same parameters, whose methods run compiled code. It can be
// called, trained, saved, and be part of other modules, eager, scripted or traced.
import type { Graph, ObjectValue, ScriptFunction } from '@weft/ir';
import { ObjectValue as ObjectValueClass, WeftError, isTensorLike } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { nn } from '@weft/tensor';
import { compiledThing, livePrograms } from './frontend/typescript/live-programs.ts';
import { inlined } from './inlined.ts';
import { printFunctionCode } from './print-code.ts';
import { callCompiled } from './script-function.ts';
import { Conversion } from './values.ts';

export class ScriptModule extends nn.Module {
  /** @internal Marks this as compiled, for the front ends. */
  readonly [compiledThing]!: { readonly module: ObjectValue };
  private readonly failures!: ReadonlyMap<string, Error>;

  /**
   * @param object the script object; it may come from a live module or from an archive
   * @param failures methods that could not be compiled, with why
   */
  constructor(
    readonly object: ObjectValue,
    failures: ReadonlyMap<string, Error> = new Map(),
  ) {
    super();
    const hidden = { value: undefined as unknown, enumerable: false, writable: false };
    Object.defineProperty(this, 'object', { ...hidden, value: object });
    Object.defineProperty(this, compiledThing, { ...hidden, value: { module: object } });
    Object.defineProperty(this, 'failures', { ...hidden, value: failures });
    for (const [index, attribute] of object.type.attributes.entries()) this.expose(index, attribute.name);
    for (const name of new Set([...object.type.methods.keys(), ...failures.keys()])) {
      if (!(name in this) && !name.startsWith('_')) {
        Object.defineProperty(this, name, {
          ...hidden,
          value: (...given: unknown[]) => this.callMethod(name, given),
        });
      }
    }
  }

  /** An attribute as a property: tensors and submodules as module members, everything else read from the object. */
  private expose(index: number, name: string): void {
    const { object } = this;
    const attribute = object.type.attributes[index];
    const value = object.slots[index];
    if (value instanceof ObjectValueClass && value.type.isModule) {
      Object.defineProperty(this, name, { value: scriptModuleOf(value), enumerable: true, writable: true });
      return;
    }
    if (attribute.isBuffer === true) this.registerBuffer(name, value as Tensor | null);
    Object.defineProperty(this, name, {
      enumerable: isTensorLike(value),
      configurable: true,
      get: () => new Conversion(livePrograms()).out(object.slots[index], attribute.type),
      set: (given: unknown) => {
        const conversion = new Conversion(livePrograms());
        object.put(index, conversion.into(given, attribute.type, `attribute '${name}'`));
      },
    });
  }

  /** Runs the compiled `forward`. */
  forward(...given: unknown[]): unknown {
    return this.callMethod('forward', given);
  }

  /** Runs a compiled method by name. */
  callMethod(name: string, given: readonly unknown[]): unknown {
    return callCompiled(this.method(name), given, this.object);
  }

  /** The compiled method; throws what went wrong when it did not compile. */
  method(name: string): ScriptFunction {
    const failure = this.failures.get(name);
    if (failure !== undefined) throw failure;
    const { methods } = this.object.type;
    if (!methods.has(name)) {
      const programs = livePrograms();
      programs.compiling(() => programs.modules.ensureMember(this.object.type, name));
    }
    const method = methods.get(name);
    if (method === undefined) throw new WeftError(`${this.object.type.name} has no method '${name}'`);
    return method as ScriptFunction;
  }

  get graph(): Graph {
    return this.method('forward').graph;
  }
  get inlinedGraph(): Graph {
    return inlined(this.graph);
  }
  /** TorchScript source of `forward`. */
  get code(): string {
    return printFunctionCode(this.method('forward'));
  }
}

const wrappers = new WeakMap<ObjectValue, ScriptModule>();

/** The module of a script object, one an object. */
export function scriptModuleOf(object: ObjectValue, failures?: ReadonlyMap<string, Error>): ScriptModule {
  let module = wrappers.get(object);
  if (module === undefined) {
    module = new ScriptModule(object, failures);
    wrappers.set(object, module);
  }
  return module;
}

/** A scripted module: has the methods of the original. */
export type Scripted<M extends nn.Module> = ScriptModule &
  Omit<M, keyof ScriptModule> &
  Pick<M, Extract<'forward', keyof M>>;

/** Compiles a live module: `forward` and what it calls, then the other methods where they can be scripted. */
export function scriptModule<M extends nn.Module>(module: M): Scripted<M> {
  const programs = livePrograms();
  return programs.compiling(() => {
    const { modules } = programs;
    const object = modules.objectOf(module);
    const failures = new Map<string, Error>();
    const names = modules.methodNames(module);
    if (names.includes('forward')) programs.compiling(() => modules.ensureMember(object.type, 'forward'));
    for (const name of names.filter((candidate) => candidate !== 'forward')) {
      try {
        programs.compiling(() => modules.ensureMember(object.type, name));
      } catch (error) {
        // Not every method is meant for scripting; the error is told when the method is used.
        if (!(error instanceof WeftError)) throw error;
        failures.set(name, error);
      }
    }
    return scriptModuleOf(object, failures) as unknown as Scripted<M>;
  });
}
