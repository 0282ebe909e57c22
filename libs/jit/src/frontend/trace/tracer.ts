// Records a run of eager code: every operator through the dispatch hook, every call of a submodule's forward, every call of
// compiled code. Numbers that leave tensors are gone from the recording, which is what warnings are for.
import type { IValue, ObjectValue, Schema, ScriptFunction, SourceRange, TensorType } from '@weft/ir';
import { TupleValue, isMutating } from '@weft/ir';
import type { nn } from '@weft/tensor';
import { Tensor, userLine, withDispatchHook } from '@weft/tensor';
import { isModule } from '../typescript/module-access.ts';
import { compiledThing } from '../typescript/live-programs.ts';
import type { Scope, TraceArgument, TraceResult, TraceValue } from './trace-record.ts';
import { TracerWarning } from './tracer-warning.ts';

/** Observes calls of compiled code while a trace is recorded; undefined otherwise. */
let current: Tracer | undefined;
export const activeTracer = (): Tracer | undefined => current;

function recordedBy<T>(tracer: Tracer | undefined, body: () => T): T {
  const outer = current;
  current = tracer;
  try {
    return body();
  } finally {
    current = outer;
  }
}

/** Runs `body` without recording. */
export const untraced = <T>(body: () => T): T => recordedBy(undefined, () => withDispatchHook(null, body));

/** Operators that only look at a tensor: their results are numbers, which become constants. */
const sizeQueries: ReadonlySet<string> = new Set([
  'aten::size',
  'aten::numel',
  'aten::dim',
  'aten::len',
  'aten::stride',
  'prim::shape',
  'aten::sym_size',
]);
const readings: ReadonlySet<string> = new Set([
  'aten::item',
  'aten::Bool',
  'aten::Int',
  'aten::Float',
  'aten::is_nonzero',
  'aten::equal',
  'aten::allclose',
  'aten::_local_scalar_dense',
]);

export class Tracer {
  readonly root: Scope;
  readonly warnings: TracerWarning[] = [];
  private scope: Scope;
  private count = 0;
  private readonly values = new WeakMap<object, TraceValue>();
  /** Places of parameters, buffers and other tensors of the traced module. */
  private readonly attributes = new Map<object, readonly string[]>();
  private readonly modulePaths = new Map<object, readonly string[]>();
  private readonly restores: (() => void)[] = [];

  constructor(private readonly module: nn.Module | undefined) {
    this.root = { kind: 'scope', module, path: [], parent: undefined, events: [] };
    this.scope = this.root;
    if (module !== undefined) this.visitModule(module, []);
  }

  private visitModule(module: nn.Module, path: readonly string[]): void {
    if (this.modulePaths.has(module)) return;
    this.modulePaths.set(module, path);
    const thing = (module as { [compiledThing]?: { module?: ObjectValue } })[compiledThing];
    if (thing?.module !== undefined) this.modulePaths.set(thing.module, path);
    for (const [name, value] of Object.entries(module)) {
      if (value instanceof Tensor && !this.attributes.has(value)) this.attributes.set(value, [...path, name]);
      else if (isModule(value)) this.visitModule(value, [...path, name]);
    }
  }

  /** The value that stands for an input of the trace. */
  input(tensor: Tensor): TraceValue {
    const value = this.fresh(tensorType(tensor), undefined);
    this.values.set(tensor, value);
    return value;
  }

  valueOf(tensor: Tensor): TraceValue | undefined {
    return this.values.get(tensor);
  }

  private fresh(type: TensorType | undefined, scope: Scope | undefined): TraceValue {
    return { id: this.count++, type, scope };
  }

  /** Runs the body with everything recorded. */
  record<T>(body: () => T): T {
    if (this.module !== undefined) this.watchModules(this.module);
    try {
      return recordedBy(this, () =>
        withDispatchHook((schema, args, result) => this.operator(schema, args, result), body),
      );
    } finally {
      for (const restore of this.restores.splice(0)) restore();
    }
  }

  // ---- Modules ----------------------------------------------------------------------------------------------------

  /** Calls of submodules' forward are seen through a method of their own, put in for the time of the trace. */
  private watchModules(root: nn.Module): void {
    for (const [module, path] of this.modulePaths) {
      if (module === root || !isModule(module)) continue;
      if ((module as { [compiledThing]?: unknown })[compiledThing] !== undefined) continue;
      const { forward } = module as unknown as { forward?: (...given: unknown[]) => unknown };
      if (typeof forward !== 'function') continue;
      const own = Object.getOwnPropertyDescriptor(module, 'forward');
      Object.defineProperty(module, 'forward', {
        configurable: true,
        enumerable: false,
        value: (...given: unknown[]) => this.within(module, path, () => forward.apply(module, given)),
      });
      this.restores.push(() => {
        if (own === undefined) delete (module as unknown as { forward?: unknown }).forward;
        else Object.defineProperty(module, 'forward', own);
      });
    }
  }

  private within<T>(module: nn.Module, path: readonly string[], body: () => T): T {
    if (current !== this) return body();
    const outer = this.scope;
    const scope: Scope = { kind: 'scope', module, path, parent: outer, events: [] };
    outer.events.push(scope);
    this.scope = scope;
    try {
      return body();
    } finally {
      this.scope = outer;
    }
  }

  // ---- Events -----------------------------------------------------------------------------------------------------

  private operator(schema: Schema, args: readonly IValue[], result: IValue): void {
    const results = schema.returns.length === 1 ? [result] : Array.isArray(result) ? result : [];
    if (!results.some(holdsTensor)) {
      this.warnOfReading(schema);
      if (!isMutating(schema)) return;
    }
    const given = args.map((arg) => this.argument(arg));
    const source = userLine(new Error().stack);
    this.scope.events.push({
      kind: 'operator',
      schema,
      args: given,
      results: results.map((one) => this.bind(one)),
      source,
    });
  }

  private warnOfReading({ name }: Schema): void {
    const source = userLine(new Error().stack);
    if (readings.has(name)) {
      this.warn(
        `a number was read from a tensor (${name.replace('aten::', '')}): the trace keeps the value it has for these inputs, and with it every branch that depends on it`,
        source,
      );
    } else if (sizeQueries.has(name)) {
      this.warn(
        `a size was read as a number: the trace keeps it as a constant, so it may not hold for other shapes`,
        source,
      );
    }
  }

  warn(reason: string, source: SourceRange | undefined): void {
    const known = this.warnings.some(
      (warning) => warning.reason === reason && warning.source?.toString() === source?.toString(),
    );
    if (!known) this.warnings.push(new TracerWarning(reason, source));
  }

  private argument(value: IValue): TraceArgument {
    if (value instanceof Tensor) {
      const known = this.values.get(value);
      if (known !== undefined) return { kind: 'value', value: known };
      const path = this.attributes.get(value);
      return path === undefined ? { kind: 'literal', tensor: value } : { kind: 'attribute', path };
    }
    if (Array.isArray(value) && value.some((item) => item instanceof Tensor)) {
      return { kind: 'list', items: value.map((item) => this.argument(item)) };
    }
    return { kind: 'constant', value };
  }

  private bind(result: IValue): TraceResult {
    if (result instanceof Tensor) return { kind: 'value', value: this.bindTensor(result) };
    if (Array.isArray(result)) {
      return {
        kind: 'list',
        items: result.filter((item) => item instanceof Tensor).map((item) => this.bindTensor(item)),
      };
    }
    return { kind: 'none' };
  }

  private bindTensor(tensor: Tensor): TraceValue {
    const value = this.fresh(tensorType(tensor), this.scope);
    this.values.set(tensor, value);
    return value;
  }

  /** Records a call of compiled code, which has been run with recording off. */
  compiledCall(
    callee: ScriptFunction,
    self: ObjectValue | undefined,
    inputs: readonly IValue[],
    result: IValue,
  ): void {
    const args = inputs.map((input) => this.argument(input));
    const value = this.fresh(undefined, this.scope);
    const parts: { path: readonly number[]; value: TraceValue }[] = [];
    const visit = (part: IValue, path: readonly number[]): void => {
      if (part instanceof Tensor) {
        const own = path.length === 0 ? value : this.fresh(undefined, this.scope);
        this.values.set(part, own);
        if (path.length > 0) parts.push({ path, value: own });
      } else if (part instanceof TupleValue)
        part.items.forEach((item, index) => visit(item, [...path, index]));
      else if (Array.isArray(part)) part.forEach((item, index) => visit(item, [...path, index]));
    };
    visit(result, []);
    const path = self === undefined ? undefined : (this.modulePaths.get(self) ?? []);
    this.scope.events.push({
      kind: 'compiled',
      callee,
      self: self === undefined || path === undefined ? undefined : { object: self, path },
      args,
      result: value,
      parts,
      source: userLine(new Error().stack),
    });
  }

  /** What a result of the traced code is in the recording. */
  output(tensor: Tensor): TraceArgument {
    return this.argument(tensor);
  }
}

const holdsTensor = (value: IValue): boolean =>
  value instanceof Tensor || (Array.isArray(value) && value.some((item) => item instanceof Tensor));

/** All that was seen of a tensor, as PyTorch's tracer notes it. */
export const tensorType = (tensor: Tensor): TensorType => ({
  kind: 'Tensor',
  dtype: tensor.dtype,
  sizes: [...tensor.sizes],
  strides: [...tensor.strides],
  requiresGrad: tensor.requiresGrad,
  device: tensor.device,
});
