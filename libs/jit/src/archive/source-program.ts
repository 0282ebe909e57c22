// Functions of Python's TorchScript language in one text, by the names that they have there, as `torch.jit.script` compiles
// them: what a function calls is compiled before it, so none can call itself. Classes are Python's own here (their
// attributes come into being when `__init__` runs) and are not compiled.
import type { ScriptFunction, SourceRange, Type } from '@weft/ir';
import { compileFunction } from '../emit/compile.ts';
import type { Resolver } from '../emit/resolver.ts';
import { fail } from '../emit/script-error.ts';
import type { SugaredValue } from '../emit/sugared-value.ts';
import { FunctionValue } from '../emit/callable-values.ts';
import { pythonBuiltin } from '../frontend/torchscript/builtins.ts';
import { parseTorchScript } from '../frontend/torchscript/parser.ts';
import type * as tree from '../frontend/tree.ts';

export class SourceProgram implements Resolver {
  private readonly definitions = new Map<string, tree.Def>();
  private readonly variables = new Set<string>();
  private readonly compiled = new Map<string, ScriptFunction>();
  private readonly compiling = new Set<string>();
  /** Names of classes that the text defines. */
  readonly classes: readonly string[];

  /** Throws ScriptError where the text is no TorchScript. */
  constructor(text: string, file: string) {
    const { body } = parseTorchScript(text, file);
    for (const item of body) {
      if (item.kind === 'Def') this.definitions.set(item.name, item);
      else if (item.kind === 'Assign')
        for (const target of item.targets) if (target.kind === 'Name') this.variables.add(target.name);
    }
    this.classes = body.flatMap((item) => (item.kind === 'ClassDef' ? [item.name] : []));
  }

  /** The compiled function. Throws ScriptError where it, or what it calls, does not compile. */
  function(name: string, range?: SourceRange): ScriptFunction {
    const known = this.compiled.get(name);
    if (known !== undefined) return known;
    const def = this.definitions.get(name) ?? fail(range, `there is no function '${name}'`);
    if (this.compiling.has(name))
      fail(range, `function '${name}' is called recursively. Recursive calls are not supported`);
    this.compiling.add(name);
    try {
      const made = compileFunction({ def, resolver: this, qualifiedName: `__torch__.${name}` });
      void made.graph;
      this.compiled.set(name, made);
      return made;
    } finally {
      this.compiling.delete(name);
    }
  }

  value(name: string, range: SourceRange): SugaredValue | undefined {
    if (this.definitions.has(name)) return new FunctionValue(this.function(name, range));
    if (this.variables.has(name))
      fail(
        range,
        `'${name}' is a global variable of Python and cannot be used as a value; pass it as an argument`,
      );
    return pythonBuiltin(name);
  }

  type(): Type | undefined {
    return undefined;
  }
}
