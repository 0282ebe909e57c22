// What a stretch of a program changes: lists, dicts, objects and storages, with what they held before. A branch whose
// predicate is data is evaluated, looked at and undone, so that the other branch starts from the same state.
import type { IValue, Value } from '@weft/ir';
import { ObjectValue } from '@weft/ir';
import { SymbolicStorage } from './symbolic.ts';

export type Mutable = IValue[] | Map<IValue, IValue> | ObjectValue | SymbolicStorage;

/** The contents of a mutable thing at one time. */
export type Contents =
  | { readonly kind: 'items'; readonly items: readonly IValue[] }
  | { readonly kind: 'entries'; readonly entries: readonly (readonly [IValue, IValue])[] }
  | { readonly kind: 'storage'; readonly value: Value; readonly version: object };

export function contentsOf(target: Mutable): Contents {
  if (target instanceof SymbolicStorage) {
    return { kind: 'storage', value: target.value, version: target.version };
  }
  if (target instanceof Map) return { kind: 'entries', entries: [...target] };
  return { kind: 'items', items: (target instanceof ObjectValue ? target.slots : target).slice() };
}

export function restore(target: Mutable, contents: Contents): void {
  if (target instanceof SymbolicStorage) {
    if (contents.kind !== 'storage') return;
    target.value = contents.value;
    target.version = contents.version;
  } else if (target instanceof Map) {
    if (contents.kind !== 'entries') return;
    target.clear();
    for (const [key, value] of contents.entries) target.set(key, value);
  } else if (contents.kind === 'items') {
    const { items } = contents;
    if (target instanceof ObjectValue) items.forEach((item, slot) => target.put(slot, item));
    else {
      target.length = 0;
      for (const item of items) target.push(item);
    }
  }
}

/** The contents before, by what was touched. */
export type Scope = Map<Mutable, Contents>;

export class Journal {
  private readonly scopes: Scope[] = [];

  /** Says that `target` is about to change. */
  touch(target: Mutable): void {
    for (const scope of this.scopes) if (!scope.has(target)) scope.set(target, contentsOf(target));
  }

  begin(): Scope {
    const scope: Scope = new Map();
    this.scopes.push(scope);
    return scope;
  }

  /** Ends the innermost scope and puts back what was there. Result: what each touched thing held at the end. */
  rollback(scope: Scope): Map<Mutable, Contents> {
    this.scopes.splice(this.scopes.indexOf(scope), 1);
    const after = new Map<Mutable, Contents>();
    for (const [target, before] of scope) {
      after.set(target, contentsOf(target));
      restore(target, before);
    }
    return after;
  }
}
