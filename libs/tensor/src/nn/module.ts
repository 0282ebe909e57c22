// The base of all modules: finds parameters, buffers and submodules among an instance's properties, names them as PyTorch
// does, saves and loads their state. A subclass assigns them as plain properties and defines `forward`.
import type { DType } from '@weft/ir';
import { WeftError } from '@weft/ir';
import { noGrad } from '../autograd/grad-mode.ts';
import { expectDType } from '../dtype-names.ts';
import { Tensor } from '../tensor.ts';
import { Parameter } from './parameter.ts';

/** A state dict that does not fit its module: lists every missing, unexpected and misshapen entry. */
export class StateDictError extends WeftError {}

export interface NamedOptions {
  /** Put before every name, with a point after it. */
  readonly prefix?: string;
  /** Whether submodules are entered (default: yes). */
  readonly recurse?: boolean;
}

export type StateDict = Map<string, Tensor>;

export abstract class Module {
  training = true;
  /** Names of the properties that are buffers, and whether the state dict has them. */
  private readonly _buffers = new Map<string, boolean>();

  /** Makes a property a buffer: state that is saved but not trained. `null` keeps the name free. */
  registerBuffer(name: string, value: Tensor | null, options: { readonly persistent?: boolean } = {}): void {
    this._buffers.set(name, options.persistent ?? true);
    (this as Record<string, unknown>)[name] = value;
  }

  // ---- members --------------------------------------------------------------------------------------------------

  /** Direct submodules with their names, in the order of the properties. */
  *namedChildren(): Generator<[name: string, module: Module]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Module) yield [name, value];
  }

  *children(): Generator<Module> {
    for (const [, module] of this.namedChildren()) yield module;
  }

  /** This module and all below it, each once, depth first; this one's name is the prefix. */
  *namedModules(prefix = '', seen = new Set<Module>()): Generator<[name: string, module: Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, module] of this.namedChildren()) yield* module.namedModules(join(prefix, name), seen);
  }

  *modules(): Generator<Module> {
    for (const [, module] of this.namedModules()) yield module;
  }

  /** Parameters with their names; one that several modules share appears once. */
  *namedParameters(options: NamedOptions = {}): Generator<[name: string, parameter: Parameter]> {
    yield* this.members(options, (module) => module.ownParameters());
  }

  *parameters(options: NamedOptions = {}): Generator<Parameter> {
    for (const [, parameter] of this.namedParameters(options)) yield parameter;
  }

  *namedBuffers(options: NamedOptions = {}): Generator<[name: string, buffer: Tensor]> {
    yield* this.members(options, (module) => module.ownBuffers());
  }

  *buffers(options: NamedOptions = {}): Generator<Tensor> {
    for (const [, buffer] of this.namedBuffers(options)) yield buffer;
  }

  private *members<T extends Tensor>(
    options: NamedOptions,
    own: (module: Module) => Iterable<[string, T]>,
  ): Generator<[string, T]> {
    const seen = new Set<Tensor>();
    const { prefix = '', recurse = true } = options;
    const modules: Iterable<[string, Module]> = recurse ? this.namedModules(prefix) : [[prefix, this]];
    for (const [path, module] of modules) {
      for (const [name, value] of own(module)) {
        if (seen.has(value)) continue;
        seen.add(value);
        yield [join(path, name), value];
      }
    }
  }

  private *ownParameters(): Generator<[string, Parameter]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Parameter) yield [name, value];
  }

  private *ownBuffers(persistentOnly = false): Generator<[string, Tensor]> {
    for (const [name, persistent] of this._buffers) {
      const value = (this as Record<string, unknown>)[name];
      if (value instanceof Tensor && (persistent || !persistentOnly)) yield [name, value];
    }
  }

  // ---- modes ----------------------------------------------------------------------------------------------------

  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  requiresGrad_(on = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = on;
    return this;
  }

  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null;
  }

  /** Calls `visit` for every submodule, then for this one. */
  apply(visit: (module: Module) => void): this {
    for (const module of this.children()) module.apply(visit);
    visit(this);
    return this;
  }

  /** Converts floating-point parameters and buffers in place. */
  to(dtype: DType): this {
    expectDType('Module.to()', dtype);
    noGrad(() => {
      for (const tensor of [...this.parameters(), ...this.buffers()]) {
        if (!tensor.dtype.includes('float')) continue;
        const { storage, sizes, strides, offset } = tensor.to(dtype);
        tensor.dtype = dtype;
        tensor.setGeometry(storage, sizes, strides, offset);
      }
    });
    return this;
  }

  // ---- state ----------------------------------------------------------------------------------------------------

  /** Parameters and persistent buffers by name, in PyTorch's order. The tensors are the module's own. */
  stateDict(prefix = ''): StateDict {
    const state: StateDict = new Map();
    for (const [name, value] of this.ownParameters()) state.set(join(prefix, name), value);
    for (const [name, value] of this.ownBuffers(true)) state.set(join(prefix, name), value);
    for (const [name, module] of this.namedChildren()) {
      for (const [key, value] of module.stateDict(join(prefix, name))) state.set(key, value);
    }
    return state;
  }

  /**
   * Copies the state in. Throws StateDictError listing everything that does not fit, before anything is changed.
   * @param options strict: whether missing and unexpected keys are errors (default: yes)
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>, options: { readonly strict?: boolean } = {}): void {
    const own = this.stateDict();
    const problems: string[] = [];
    if (options.strict ?? true) {
      const missing = [...own.keys()].filter((key) => !state.has(key));
      const unexpected = [...state.keys()].filter((key) => !own.has(key));
      const list = (keys: readonly string[]) => keys.map((key) => `"${key}"`).join(', ');
      if (unexpected.length > 0) problems.push(`Unexpected key(s) in state_dict: ${list(unexpected)}.`);
      if (missing.length > 0) problems.push(`Missing key(s) in state_dict: ${list(missing)}.`);
    }
    for (const [key, value] of own) {
      const given = state.get(key);
      if (given !== undefined && String(given.sizes) !== String(value.sizes)) {
        const shape = (tensor: Tensor) => `torch.Size([${tensor.sizes.join(', ')}])`;
        problems.push(
          `size mismatch for ${key}: copying a param with shape ${shape(given)} from checkpoint, the shape in current model is ${shape(value)}.`,
        );
      }
    }
    if (problems.length > 0) {
      throw new StateDictError(
        `Error(s) in loading state_dict for ${this.constructor.name}:\n\t${problems.join('\n\t')}`,
      );
    }
    noGrad(() => {
      for (const [key, value] of own) {
        const given = state.get(key);
        if (given !== undefined) value.copy_(given);
      }
    });
  }

  // ---- print ----------------------------------------------------------------------------------------------------

  /** What a subclass shows between its parentheses. */
  extraRepr(): string {
    return '';
  }

  toString(): string {
    const lines = [...this.namedChildren()].map(
      ([name, module]) => `(${name}): ${module.toString().replaceAll('\n', '\n  ')}`,
    );
    if (lines.length === 0) return `${this.constructor.name}(${this.extraRepr()})`;
    return `${this.constructor.name}(\n  ${[this.extraRepr(), ...lines].filter((line) => line !== '').join('\n  ')}\n)`;
  }
}

const join = (prefix: string, name: string): string => (prefix === '' ? name : `${prefix}.${name}`);
