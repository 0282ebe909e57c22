// Modules that hold modules: lists, dicts, and the chain.
import type { Tensor } from '../tensor.ts';
import { Module } from './module.ts';

/** A module whose `forward` takes and gives one tensor. */
export interface Layer extends Module {
  forward(input: Tensor): Tensor;
}

/** An ordered list; submodules are named 0, 1, …. */
export class ModuleList<T extends Module = Module> extends Module implements Iterable<T> {
  static readonly torchName = '__torch__.torch.nn.modules.container.ModuleList';

  constructor(modules: Iterable<T> = []) {
    super();
    this.extend(modules);
  }

  get length(): number {
    return [...this.namedChildren()].length;
  }

  /** The module at `index`; negative from the end. Throws RangeError. */
  at(index: number): T {
    const modules = [...this];
    const module = modules.at(index);
    if (module === undefined)
      throw new RangeError(`index ${index} is out of range for ${modules.length} modules`);
    return module;
  }

  append(module: T): this {
    (this as Record<string, unknown>)[String(this.length)] = module;
    return this;
  }

  extend(modules: Iterable<T>): this {
    for (const module of modules) this.append(module);
    return this;
  }

  *[Symbol.iterator](): Iterator<T> {
    yield* this.children() as Generator<T>;
  }
}

/** Runs its modules one after the other. */
export class Sequential extends Module implements Iterable<Layer> {
  static readonly torchName = '__torch__.torch.nn.modules.container.Sequential';

  constructor(...modules: Layer[]) {
    super();
    for (const module of modules) this.append(module);
  }

  get length(): number {
    return [...this.namedChildren()].length;
  }

  append(module: Layer): this {
    (this as Record<string, unknown>)[String(this.length)] = module;
    return this;
  }

  *[Symbol.iterator](): Iterator<Layer> {
    yield* this.children() as Generator<Layer>;
  }

  forward(input: Tensor): Tensor {
    let result = input;
    for (const module of this) result = module.forward(result);
    return result;
  }
}

/** Modules by name, in the order they were given. */
export class ModuleDict<T extends Module = Module> extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.container.ModuleDict';

  constructor(modules: Readonly<Record<string, T>> = {}) {
    super();
    for (const [name, module] of Object.entries(modules)) this.set(name, module);
  }

  set(name: string, module: T): this {
    (this as Record<string, unknown>)[name] = module;
    return this;
  }

  get(name: string): T {
    const module = (this as Record<string, unknown>)[name];
    if (!(module instanceof Module)) throw new RangeError(`there is no module '${name}'`);
    return module as T;
  }

  has(name: string): boolean {
    return (this as Record<string, unknown>)[name] instanceof Module;
  }

  keys(): string[] {
    return [...this.namedChildren()].map(([name]) => name);
  }

  *[Symbol.iterator](): Iterator<[string, T]> {
    yield* this.namedChildren() as Generator<[string, T]>;
  }
}
