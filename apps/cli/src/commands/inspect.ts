// weft inspect: what is in an archive: methods, parameters, code, graphs, and whether all of it can run here.
import type { Command } from 'commander';
import { devices as dev, ir, jit } from 'weft';
import { calleeOf } from '../arguments.ts';
import { Output, formatBytes } from '../output.ts';

interface Flags {
  readonly method: string;
  readonly code?: boolean;
  readonly graph?: boolean;
  readonly inline?: boolean;
  readonly operators?: boolean;
  readonly json?: boolean;
}

export function inspectCommand(program: Command): void {
  program
    .command('inspect')
    .description('show what is in a TorchScript archive')
    .argument('<archive>', 'a .pt file')
    .option('--code', "print a method's code")
    .option('--graph', "print a method's graph")
    .option('--inline', 'with --graph: put called methods in place')
    .option('--operators', 'list every operator with how often it is used')
    .option('--method <name>', 'the method whose code or graph is printed', 'forward')
    .option('--json', 'one JSON object')
    .action(inspect);
}

interface Held {
  readonly name: string;
  readonly kind: 'parameter' | 'buffer';
  readonly dtype: ir.DType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

function inspect(archive: string, flags: Flags): void {
  const output = new Output(flags);
  const module = jit.load(archive, { allowUnsupported: true });
  const { type } = module.object;
  const methods = [...type.methods.keys()].map((name) => {
    const { schema } = module.method(name);
    const shown = { ...schema, name, arguments: schema.arguments.slice(1) };
    return { name, schema: ir.schemaToString(shown) };
  });
  const tensors = tensorsOfModule(module);
  const operators = jit
    .operatorsUsed(type)
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
    .map((used) => ({ ...used, runsOn: placeText(jit.placeOf(used)) }));
  const texts = textsOf(module, flags);
  output.record('archive', {
    file: archive,
    class: type.name,
    methods,
    tensors,
    operators: operators.map(({ name, count, isSupported, runsOn }) => ({
      name,
      count,
      isSupported,
      runsOn,
    })),
    ...texts,
  });
  if (output.isJson) return;
  if (texts.code !== undefined || texts.graph !== undefined) {
    for (const text of [texts.code, texts.graph]) if (text !== undefined) output.line(text.trimEnd());
    return;
  }
  output.line(`${archive}: ${type.name}`);
  output.line('\nmethods');
  for (const { schema } of methods) output.line(`  ${schema}`);
  output.line();
  for (const kind of ['parameter', 'buffer'] as const) {
    const held = tensors.filter((tensor) => tensor.kind === kind);
    const count = held.reduce((sum, { shape }) => sum + ir.numel(shape), 0);
    const bytes = held.reduce((sum, tensor) => sum + tensor.bytes, 0);
    output.line(`${held.length} ${kind}s, ${count.toLocaleString('en')} elements, ${formatBytes(bytes)}`);
    if (held.length > 0)
      output.table(
        ['name', 'dtype', 'shape', 'size'],
        held.map(({ name, dtype, shape, bytes: size }) => [
          name,
          dtype,
          `[${shape.join(', ')}]`,
          formatBytes(size),
        ]),
      );
    output.line();
  }
  const missing = operators.filter(({ isSupported }) => !isSupported);
  output.line(
    `${operators.length} operators, ${missing.length === 0 ? 'all supported' : `${missing.length} not supported`}`,
  );
  const places = new Map<string, number>();
  for (const { runsOn } of operators) places.set(runsOn, (places.get(runsOn) ?? 0) + 1);
  for (const [place, count] of [...places].sort(([, a], [, b]) => b - a)) {
    if (place !== '') output.line(`  ${count} ${placeWords(place)}`);
  }
  const shown = flags.operators === true ? operators : missing;
  if (shown.length > 0)
    output.table(
      ['operator', 'used', 'supported', 'runs on'],
      shown.map(({ name, count, isSupported, runsOn }) => [name, count, isSupported ? 'yes' : 'no', runsOn]),
    );
}

/** What the column's words mean, for the summary. */
function placeWords(place: string): string {
  if (place === 'host') return 'on the host: JavaScript on values';
  if (place === 'cpu') return 'on cpu, by native kernels';
  if (place.startsWith('a ')) return place;
  return `on ${place}`;
}

/** The devices that compute an operator, as the graph of a sample call tells them. */
function placeText(place: jit.OperatorPlace | undefined): string {
  if (place === undefined) return '';
  if (place.kind === 'host') return 'host';
  if (place.kind === 'view') return 'a view, nothing to do';
  if (place.sample === null) return 'a device, by its shapes';
  const device = dev.cpuDevice();
  if (!(device instanceof dev.CpuDevice)) return 'reference';
  const onHost = device.explain(place.sample).map((node) => /^core::(\w+)/.exec(node)?.[1] ?? node);
  if (onHost.length === 0) return 'cpu';
  const computing = [...place.sample.nodes()].filter(({ kind }) => kind !== 'core::constant');
  const steps = [...new Set(onHost)].join(', ');
  return `${onHost.length < computing.length ? 'cpu and ' : ''}reference (${steps})`;
}

function textsOf(module: jit.ScriptModule, flags: Flags): { code?: string; graph?: string } {
  if (flags.code !== true && flags.graph !== true && flags.inline !== true) return {};
  calleeOf(module, flags.method);
  const method = module.method(flags.method);
  const graph = (): string => ir.printGraph(flags.inline === true ? jit.inlined(method.graph) : method.graph);
  return {
    ...(flags.code === true ? { code: jit.printFunctionCode(method) } : {}),
    ...(flags.graph === true || flags.inline === true ? { graph: graph() } : {}),
  };
}

/** Parameters and buffers, also of submodules; tied ones once. */
function tensorsOfModule(module: jit.ScriptModule): Held[] {
  const held: Held[] = [];
  const seen = new Set<unknown>();
  const visit = ({ type, slots }: ir.ObjectValue, prefix: string): void =>
    type.attributes.forEach(({ name, isParameter }, index) => {
      const value = slots[index];
      if (value instanceof ir.ObjectValue && value.type.isModule) visit(value, `${prefix}${name}.`);
      if (!ir.isTensorLike(value) || seen.has(value)) return;
      seen.add(value);
      const { dtype, shape } = value;
      held.push({
        name: `${prefix}${name}`,
        kind: isParameter === true ? 'parameter' : 'buffer',
        dtype,
        shape,
        bytes: ir.numel(shape) * ir.dtypes[dtype].bytes,
      });
    });
  visit(module.object, '');
  return held;
}
