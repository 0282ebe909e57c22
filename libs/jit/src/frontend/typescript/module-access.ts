// What the scripting front end needs to know of live modules: which objects are modules, and what they hold.
import type { TensorLike } from '@weft/ir';
import { isTensorLike } from '@weft/ir';
import { nn } from '@weft/tensor';

export type LiveModule = nn.Module;

export const isModule = (value: unknown): value is LiveModule => value instanceof nn.Module;
export const isModuleClass = (value: unknown): boolean =>
  typeof value === 'function' && (value === nn.Module || value.prototype instanceof nn.Module);
/** The classes whose methods are the machinery of modules and are not compiled. */
export const isModuleBase = (prototype: object): boolean => prototype === nn.Module.prototype;

/** Modules that hold a list: a loop over them is unrolled. */
export const isModuleList = (value: LiveModule): value is nn.ModuleList | nn.Sequential =>
  value instanceof nn.ModuleList || value instanceof nn.Sequential;

export const isModuleDict = (value: LiveModule): value is nn.ModuleDict => value instanceof nn.ModuleDict;

export interface ModuleMembers {
  readonly parameters: readonly [name: string, value: TensorLike | null][];
  readonly buffers: readonly [name: string, value: TensorLike | null][];
  readonly modules: readonly [name: string, value: LiveModule][];
  /** Everything else that is stored in the object. */
  readonly others: readonly [name: string, value: unknown][];
}

/** The members of a module by what they are. */
export function membersOf(module: LiveModule): ModuleMembers {
  const members = {
    parameters: [...module.namedParameters({ recurse: false })] as [string, TensorLike | null][],
    buffers: [...module.namedBuffers({ recurse: false })] as [string, TensorLike | null][],
    modules: [...module.namedChildren()] as [string, LiveModule][],
    others: [] as [string, unknown][],
  };
  const known = new Set(
    [...members.parameters, ...members.buffers, ...members.modules].map(([name]) => name),
  );
  for (const [name, value] of Object.entries(module)) {
    if (known.has(name) || name.startsWith('_')) continue;
    if (isTensorLike(value)) members.buffers.push([name, value]);
    else if (name !== 'training') members.others.push([name, value]);
  }
  return members;
}
