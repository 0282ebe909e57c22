// Which values are in memory: every computed one, and those views that some reader cannot walk over where they are.
import type { Node, Value } from '@weft/ir';
import { isAlias } from '../reference/schedule.ts';
import type { Access } from './access.ts';
import { accessOf, isView } from './access.ts';
import { nativeFamilyOf } from './families.ts';
import type { NativeLibrary } from './library.ts';
import { isPointwise } from './pointwise.ts';

export class Views {
  private readonly viewNeedsMemory = new Map<Value, boolean>();
  private readonly native = new Map<Node, boolean>();
  private readonly accesses = new Map<Value, Access | undefined>();

  constructor(private readonly library: NativeLibrary) {}

  /** Whether a node has a native kernel of its own. */
  readonly isNative = (node: Node): boolean => {
    let native = this.native.get(node);
    if (native === undefined) {
      native = nativeFamilyOf(node)?.accepts(node, this.library) ?? false;
      this.native.set(node, native);
    }
    return native;
  };

  readonly isInMemory = (value: Value): boolean => !isView(value) || this.needsMemory(value);

  /** How a value is read from the nearest one in memory; undefined where a reshape breaks the walk. */
  readonly accessOf = (value: Value): Access | undefined => {
    let access = this.accesses.get(value);
    if (access === undefined && !this.accesses.has(value)) {
      access = accessOf(value, this.isInMemory);
      this.accesses.set(value, access);
    }
    return access;
  };

  /** Whether a view has to be written out: for a reader in another block, one that takes no strides, or a reshape that breaks it. */
  readonly needsMemory = (view: Value): boolean => {
    let needs = this.viewNeedsMemory.get(view);
    if (needs === undefined) {
      this.viewNeedsMemory.set(view, false);
      needs = this.hasDenseReader(view, view);
      this.viewNeedsMemory.set(view, needs);
    }
    return needs;
  };

  private hasDenseReader(value: Value, view: Value): boolean {
    return value.uses.some(({ user, index }) => {
      if (user.block !== view.node.block) return true;
      if (isAlias(user)) {
        const alias = user.outputs[index];
        const access = accessOf(alias, (other) => other !== view && this.isInMemory(other));
        return access === undefined || this.hasDenseReader(alias, view);
      }
      return !isPointwise(user, this.library) && !this.isNative(user);
    });
  }
}
