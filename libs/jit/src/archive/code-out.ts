// The code of a module as files: each class, enum, named tuple, interface and function in the file that its qualified name
// says (`__torch__.a.B` in `__torch__/a.py`), with everything it refers to; and for each file where its parts come from.
import type { ClassType, IValue, Node, ScriptFunction } from '@weft/ir';
import { UnsupportedError, qualifiedName, schemaOfNode, typesEqual } from '@weft/ir';
import { meaningSince } from '../emit/historic-operators.ts';
import { isCustomClass } from '../frontend/torchscript/custom-classes.ts';
import type { Dependency } from '../print-code.ts';
import { CodePrinter } from '../print-code.ts';
import { debugInformation } from './debug-ranges-out.ts';
import { graphsOf, reachable } from './unsupported.ts';

const plainVersion = 3;

export class CodeWriter {
  private readonly files = new Map<string, CodePrinter[]>();
  private readonly written = new Set<Dependency>();
  private readonly names = new Map<string, Dependency>();
  private readonly classNames: ReadonlySet<string>;
  /** Values without a literal, which the code takes from the table of constants. */
  readonly constants: IValue[] = [];

  constructor(private readonly root: ClassType) {
    this.classNames = new Set([...reachable(root).classes].map(({ name }) => name));
  }

  /** How a qualified name is written: a static method gets a name outside its class, where it can be found. */
  readonly nameOf = (qualified: string): string => {
    const dot = qualified.lastIndexOf('.');
    const owner = qualified.slice(0, dot);
    return this.classNames.has(owner) ? `${owner}__${qualified.slice(dot + 1)}` : qualified;
  };

  /** Writes a definition and, before it, what it needs. */
  add(definition: Dependency): void {
    if (this.written.has(definition) || isCustomClass(definition.name!)) return;
    this.written.add(definition);
    const isType = 'kind' in definition;
    const qualified = definition.name!;
    const name = isType ? qualified : this.nameOf(qualified);
    const other = this.names.get(name);
    if (other !== undefined) {
      // Named tuples are equal when their fields are.
      if (isType && 'kind' in other && typesEqual(definition, other)) return;
      throw new UnsupportedError(
        `two different things are called '${name}' in this module; modules loaded from different archives cannot be saved in one`,
      );
    }
    this.names.set(name, definition);
    const printer = new CodePrinter({ constants: this.constants, nameOf: this.nameOf });
    const dot = name.lastIndexOf('.');
    if (isType) printer.namedType(definition);
    else printer.function(definition as ScriptFunction, name.slice(dot + 1));
    for (const dependency of printer.dependencies) this.add(dependency);
    const file = `${name.slice(0, dot).replaceAll('.', '/')}.py`;
    const items = this.files.get(file) ?? [];
    this.files.set(file, items);
    items.push(printer);
  }

  /** Files below `code/`: the text of each, and its debug information. */
  *entries(): Generator<[path: string, contents: Uint8Array]> {
    for (const [path, items] of this.files) {
      yield [path, Buffer.from(items.map(({ text }) => text).join(''))];
      yield [`${path}.debug_pkl`, debugInformation(items)];
    }
  }

  /** The lowest archive version whose operators mean what the code means. */
  get version(): number {
    let version = plainVersion;
    const visit = (node: Node): void => {
      const schema = schemaOfNode(node);
      if (schema !== undefined) version = Math.max(version, meaningSince(qualifiedName(schema)));
      for (const block of node.blocks) for (const inner of block.nodes()) visit(inner);
    };
    for (const block of graphsOf(this.root)) for (const node of block.nodes()) visit(node);
    return version;
  }
}
