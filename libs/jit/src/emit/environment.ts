// The variables that a function's statements see: one frame a block. First-class values go through `prim::Store` and
// `prim::Load` nodes, which convert-to-ssa.ts turns into SSA; other values (functions, modules, ranges) are held here.
import type { Block, SourceRange, Type } from '@weft/ir';
import { isSubtype } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import { annotationString } from '@weft/ir';
import { tryConvert } from './schema-matching.ts';
import { ScriptError, fail } from './script-error.ts';
import type { SugaredValue } from './sugared-value.ts';
import { SimpleValue } from './simple-value.ts';

/** Names that show in printed graphs: all but temporaries (`$…`) and `_0`, `_1`, …. */
export const isMeaningful = (name: string): boolean =>
  name !== '' && !name.startsWith('$') && !/^_\d*$/.test(name);

/** An int variable without annotation was given a float: the function is emitted again with the variable a float. */
export class WidenVariable extends Error {
  constructor(readonly variable: string) {
    super(variable);
  }
}

export class Environment {
  private readonly types = new Map<string, Type>();
  private readonly values = new Map<string, SugaredValue>();
  /** Why a variable is not defined here although it was assigned somewhere; kept in the outermost frame. */
  private readonly errors = new Map<string, string>();

  constructor(
    private readonly emitter: Emitter,
    readonly block: Block,
    readonly parent: Environment | undefined,
  ) {}

  /** Members (`self.bias`) that are known not to be None here, or (false) are not known any more. */
  private readonly present = new Map<string, boolean>();

  setPresent(path: string, isPresent: boolean): void {
    this.present.set(path, isPresent);
  }
  isPresent(path: string): boolean {
    return this.present.get(path) ?? this.parent?.isPresent(path) ?? false;
  }
  /** Takes over what a branch knows, when only that branch goes on. */
  adoptPresent(branch: Environment): void {
    for (const [path, isPresent] of branch.present) this.present.set(path, isPresent);
  }

  private get root(): Environment {
    return this.parent === undefined ? this : this.parent.root;
  }

  setError(name: string, message: string): void {
    this.root.errors.set(name, message);
  }
  errorOf(name: string): string | undefined {
    return this.root.errors.get(name);
  }

  private findHere(name: string): SugaredValue | undefined {
    const value = this.values.get(name);
    if (value !== undefined) return value;
    const type = this.types.get(name);
    if (type === undefined) return undefined;
    const { graph } = this.emitter;
    const load = graph.insert('prim::Load', [], [type]).set('name', { kind: 's', value: name });
    if (isMeaningful(name)) load.output.claimName(plainName(name));
    return new SimpleValue(load.output);
  }

  /** The variable's value; inserts a load when it is first-class. */
  find(name: string): SugaredValue | undefined {
    return this.findHere(name) ?? this.parent?.find(name);
  }
  findInParent(name: string): SugaredValue | undefined {
    return this.parent?.find(name);
  }

  /** Whether the variable exists, without inserting a load. */
  has(name: string): boolean {
    return this.values.has(name) || this.types.has(name) || (this.parent?.has(name) ?? false);
  }
  private typeOf(name: string): Type | undefined {
    return this.types.get(name) ?? this.parent?.typeOf(name);
  }

  setType(name: string, type: Type): void {
    this.types.set(name, type);
  }

  /** First-class variables that were assigned in this frame. */
  get assigned(): string[] {
    return [...this.types.keys()];
  }

  /**
   * Assigns. A variable of an enclosing frame keeps its type, since its value depends on control flow.
   * @param annotation the type written at the assignment
   */
  set(range: SourceRange, name: string, value: SugaredValue, annotation?: Type, widen = false): void {
    const { emitter } = this;
    let simple = value instanceof SimpleValue ? value.value : undefined;
    if (
      simple !== undefined &&
      !simple.hasName &&
      isMeaningful(name) &&
      simple.node.block === this.block &&
      simple.node.kind !== 'prim::Load'
    ) {
      simple.claimName(plainName(name));
    }
    if (this.parent?.has(name)) {
      if (annotation !== undefined) {
        fail(
          range,
          `variable '${name}' is declared with a type here, but it is defined in an outer block already`,
        );
      }
      const type = this.parent.typeOf(name);
      if (simple === undefined || type === undefined) {
        fail(
          range,
          `'${name}' cannot be assigned again: ${value.kind} is no first-class value, and which one it would be depends on control flow`,
        );
      }
      if (widen && type.kind === 'int' && (simple.type.kind === 'float' || simple.type.kind === 'number')) {
        throw new WidenVariable(name);
      }
      simple = tryConvert(emitter.graph, range, type, simple, { conversions: true, widen });
      if (!isSubtype(simple.type, type)) {
        const hint =
          type.kind === 'List' && simple.type.kind === 'List'
            ? '; an empty list holds tensors unless the variable is declared with its type'
            : '';
        fail(
          range,
          `variable '${name}' has type ${annotationString(type)}, but a ${annotationString(simple.type)} is assigned to it${hint}`,
        );
      }
    }
    if (simple === undefined) {
      this.values.set(name, value);
      return;
    }
    if (annotation !== undefined && !isSubtype(simple.type, annotation)) {
      fail(
        range,
        `variable '${name}' is declared as ${annotationString(annotation)}, but a ${annotationString(simple.type)} is assigned to it`,
      );
    }
    const store = emitter.graph.insert('prim::Store', [simple], 0).set('name', { kind: 's', value: name });
    store.source = range;
    // What other branches assign must find room in the annotated type.
    if (annotation?.kind === 'Union') store.set('types', { kind: 'tys', value: [annotation] });
    this.values.delete(name);
    this.types.set(name, annotation ?? simple.type);
  }

  remove(name: string): boolean {
    const here = this.values.delete(name) || this.types.delete(name);
    const above = this.parent?.remove(name) ?? false;
    return here || above;
  }

  notFound(range: SourceRange, name: string): never {
    const error = this.errorOf(name);
    throw new ScriptError(error ?? `'${name}' is not defined`, range);
  }
}

/** The name as the user wrote it: a renamed variable is `name$2`. */
const plainName = (name: string): string => name.replace(/(?<=.)\$.*$/, '');
