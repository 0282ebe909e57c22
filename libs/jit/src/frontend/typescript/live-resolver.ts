// Free names of a live function: what V8 says their values are, as the emitter sees them.
import type { SourceRange, Type } from '@weft/ir';
import { ts } from './typescript.ts';
import type { Resolver } from '../../emit/resolver.ts';
import type { SugaredValue } from '../../emit/sugared-value.ts';
import { EnumClassValue, SpecialForm } from '../../emit/callable-values.ts';
import { NamespaceValue, PrintFunction, libraryValue } from '../../emit/javascript/library.ts';
import { memberPlace } from './converter.ts';
import { declaredEnum } from './enums.ts';
import { freeVariable } from './inspector.ts';
import type { LivePrograms } from './live-programs.ts';
import type { FunctionSyntax } from './source-file.ts';
import { generatedName } from './source-file.ts';

export class LiveResolver implements Resolver {
  private readonly found = new Map<string, { value: unknown } | undefined>();

  /**
   * @param fn the live function whose scopes are asked
   * @param offsets where each free name is used, which leads to what a bundler calls it
   */
  constructor(
    private readonly programs: LivePrograms,
    private readonly fn: object,
    private readonly syntax: Pick<FunctionSyntax, 'file' | 'script'>,
    private readonly offsets: ReadonlyMap<string, number>,
  ) {}

  value(name: string, range: SourceRange): SugaredValue | undefined {
    if (name === '$isinstance') return new SpecialForm('isinstance');
    const members = declaredEnum(this.syntax.file, name);
    if (members !== undefined) return new EnumClassValue(this.programs.enumOf(members, name));
    const namespace = this.namespace(name);
    if (namespace !== undefined) return namespace;
    const live = this.live(name);
    if (live !== undefined) return this.programs.sugar(live.value, name, range);
    if (name === 'console') return PrintFunction.console();
    return libraryValue(name);
  }

  type(name: string, range: SourceRange): Type | undefined {
    const declared = declaredEnum(this.syntax.file, name);
    if (declared !== undefined) return this.programs.enumOf(declared, name);
    const [first, ...members] = name.split('.');
    const direct = members.length > 0 ? this.member(first, members[0]) : undefined;
    if (direct !== undefined && members.length === 1) return this.programs.typeOf(direct.value, members[0]);
    const live = this.live(first, range.start);
    if (live === undefined) return undefined;
    let { value } = live;
    for (const member of members) value = (value as Record<string, unknown> | undefined)?.[member];
    return this.programs.typeOf(value, members.at(-1) ?? first);
  }

  /** The value of a free name, with the name it has where it runs. */
  private live(name: string, offset?: number): { value: unknown } | undefined {
    if (!this.found.has(name)) this.found.set(name, this.lookUp(name, offset));
    return this.found.get(name);
  }

  private lookUp(name: string, offset = this.offsets.get(name)): { value: unknown } | undefined {
    const generated = offset === undefined ? undefined : generatedName(this.syntax, offset);
    if (generated !== undefined) {
      const [base, member] = generated.split('.');
      if (base !== name) {
        const found = freeVariable(this.fn, base);
        if (found !== undefined && !base.startsWith('import_')) return found;
        const imported = memberOf(found?.value, member);
        if (imported !== undefined) return imported;
      }
    }
    return freeVariable(this.fn, name) ?? this.imported(name);
  }

  /** `import * as F`: its members, each found where it is used. */
  private namespace(name: string): SugaredValue | undefined {
    const isNamespace = this.syntax.file.statements.some((statement) => {
      if (!ts.isImportDeclaration(statement)) return false;
      const bindings = statement.importClause?.namedBindings;
      return bindings !== undefined && ts.isNamespaceImport(bindings) && bindings.name.text === name;
    });
    if (!isNamespace) return undefined;
    return new NamespaceValue((member, range) => {
      const live = this.member(name, member);
      return live && this.programs.sugar(live.value, member, range);
    });
  }

  private member(name: string, member: string): { value: unknown } | undefined {
    for (const place of [`${name}.${member}`, memberPlace(name, member)]) {
      const offset = this.offsets.get(place);
      const generated = offset === undefined ? undefined : generatedName(this.syntax, offset);
      if (generated === undefined) continue;
      const [base, own] = generated.split('.');
      const found = freeVariable(this.fn, base);
      // Without a member, the bundler has put the function itself in place.
      const value = own === undefined ? found : memberOf(found?.value, own);
      if (value !== undefined) return value;
    }
    return memberOf(freeVariable(this.fn, name)?.value, member);
  }

  /** An import that is only used as a type is not in the running code; its module may still be there under another name. */
  private imported(name: string): { value: unknown } | undefined {
    for (const statement of this.syntax.file.statements) {
      const found = this.programs.importedBy(statement, name, this.fn);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

const memberOf = (holder: unknown, name: string | undefined): { value: unknown } | undefined =>
  name !== undefined && holder !== null && holder !== undefined && name in Object(holder)
    ? { value: (holder as Record<string, unknown>)[name] }
    : undefined;
