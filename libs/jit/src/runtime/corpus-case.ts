// Reads cases of the TorchScript corpus for tests: inputs, results and graphs as text. Classes are known by what the graph
// says of them, so a case whose methods or enum members would be called needs its archive, not its text.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Block, DType, Graph, IValue } from '@weft/ir';
import { Complex, DeviceValue, TensorLiteral, TupleValue, dtypes, numel, parseGraph } from '@weft/ir';
import { numbersOf, valuesEqual } from '@weft/ops';

export const corpus = join(__dirname, '../../../../../shared/torchscript/cases');

type Encoded = Record<string, unknown> | null;
export interface CorpusCall {
  readonly method: string;
  readonly inputs: readonly IValue[];
  readonly output?: IValue;
  readonly error?: { readonly type: string; readonly message: string };
  readonly printed?: string;
  readonly graph: () => Graph;
}
export interface CorpusCase {
  readonly name: string;
  readonly calls: readonly CorpusCall[];
  readonly tolerance: { readonly rtol: number; readonly atol: number };
}

const number = (value: unknown): number =>
  value === 'inf' ? Infinity : value === '-inf' ? -Infinity : value === 'nan' ? NaN : (value as number);

function decode(encoded: Encoded, bytes: Uint8Array): IValue {
  if (encoded === null) return null;
  const [[kind, value]] = Object.entries(encoded);
  const list = (items: unknown): IValue[] => (items as Encoded[]).map((item) => decode(item, bytes));
  switch (kind) {
    case 'bool':
    case 'str':
      return value as boolean | string;
    case 'int':
      return BigInt(value as string | number);
    case 'float':
      return number(value);
    case 'complex':
      return new Complex(number((value as unknown[])[0]), number((value as unknown[])[1]));
    case 'device':
      return new DeviceValue(value as string);
    case 'list':
      return list(value);
    case 'tuple':
      return new TupleValue(list(value));
    case 'namedtuple':
      return new TupleValue(list((value as { fields: [string, Encoded][] }).fields.map(([, item]) => item)));
    case 'dict':
      return new Map(
        (value as [Encoded, Encoded][]).map(([key, item]) => [decode(key, bytes), decode(item, bytes)]),
      );
    case 'tensor': {
      const { dtype, shape, offset } = value as { dtype: DType; shape: number[]; offset: number };
      return new TensorLiteral(
        dtype,
        shape,
        bytes.slice(offset, offset + numel(shape) * dtypes[dtype].bytes),
      );
    }
    default:
      throw new Error(`a value of kind ${kind}`);
  }
}

/** The cases of a group that take and return plain values and whose graph needs nothing but its text. */
export function casesOf(group: string): CorpusCase[] {
  return readdirSync(join(corpus, group)).flatMap((name) => {
    const folder = join(corpus, group, name);
    if (!existsSync(join(folder, 'inlined_graph.txt'))) return [];
    const record = JSON.parse(readFileSync(join(folder, 'io.json'), 'utf8')) as {
      calls?: {
        method: string;
        inputs: Encoded[];
        kwargs?: object;
        output?: Encoded;
        error?: CorpusCall['error'];
        printed?: string;
      }[];
      tolerance?: CorpusCase['tolerance'];
    };
    const file = join(folder, 'tensors.bin');
    const bytes = existsSync(file) ? new Uint8Array(readFileSync(file)) : new Uint8Array();
    const read = (method: string): string => {
      const own = join(folder, `inlined_graph.${method}.txt`);
      return readFileSync(existsSync(own) ? own : join(folder, 'inlined_graph.txt'), 'utf8');
    };
    const calls = (record.calls ?? []).map((call): CorpusCall | undefined => {
      const text = read(call.method);
      if (!isSelfContained(parseGraph(text), call.inputs.length)) return undefined;
      if (Object.keys(call.kwargs ?? {}).length > 0) return undefined;
      return {
        ...call,
        inputs: call.inputs.map((input) => decode(input, bytes)),
        output: call.output === undefined ? undefined : decode(call.output, bytes),
        graph: () => parseGraph(text),
      };
    });
    if (calls.length === 0 || calls.includes(undefined)) return [];
    return [
      { name, calls: calls as CorpusCall[], tolerance: record.tolerance ?? { rtol: 1e-5, atol: 1e-6 } },
    ];
  });
}

/** Whether the graph can run without attributes, methods and members that only the archive has. */
function isSelfContained(graph: Graph, inputs: number): boolean {
  if (graph.inputs.length !== inputs) return false;
  const needs = (block: Block): boolean => {
    for (const node of block.nodes()) {
      const kinds = ['Class', 'Interface', 'Enum', 'Function'];
      if (node.kind !== 'prim::Constant' && node.inputs.some((input) => kinds.includes(input.type.kind)))
        return true;
      if (node.outputs.some((output) => output.type.kind === 'Enum' || output.type.kind === 'Class'))
        return true;
      if (node.kind === 'prim::fork' || JSON.stringify(node.outputs.map((o) => o.type)).includes('"Class"'))
        return true;
      if (node.blocks.some(needs)) return true;
    }
    return false;
  };
  return !needs(graph.block);
}

/** Why `actual` is not `expected`, or null. Tensors are compared as literals. */
export function difference(
  actual: IValue,
  expected: IValue,
  tolerance: CorpusCase['tolerance'],
): string | null {
  if (expected instanceof TensorLiteral) {
    if (!(actual instanceof TensorLiteral)) return 'a tensor is expected';
    const show = (tensor: TensorLiteral): string => `${tensor.dtype}[${tensor.shape.join(', ')}]`;
    if (show(actual) !== show(expected)) return `${show(actual)} instead of ${show(expected)}`;
    const [found, wanted] = [numbersOf(actual), numbersOf(expected)];
    const wrong = found.findIndex((value, index) => !isClose(value, wanted[index], tolerance));
    return wrong < 0 ? null : `${found[wrong]} instead of ${wanted[wrong]} at ${wrong}`;
  }
  if (typeof expected === 'number' && typeof actual === 'number') {
    return isClose(actual, expected, { rtol: 1e-6, atol: 1e-12 }) ? null : `${actual} instead of ${expected}`;
  }
  if (expected instanceof Complex && actual instanceof Complex) {
    return difference([actual.re, actual.im], [expected.re, expected.im], tolerance);
  }
  const items = (value: IValue): readonly IValue[] | undefined =>
    value instanceof TupleValue
      ? value.items
      : Array.isArray(value)
        ? value
        : value instanceof Map
          ? [...value].flat()
          : undefined;
  const [found, wanted] = [items(actual), items(expected)];
  if (wanted !== undefined && found !== undefined) {
    if (found.length !== wanted.length) return `${found.length} items instead of ${wanted.length}`;
    for (let index = 0; index < found.length; index++) {
      const why = difference(found[index], wanted[index], tolerance);
      if (why !== null) return why;
    }
    return null;
  }
  return valuesEqual(actual, expected) ? null : `${String(actual)} instead of ${String(expected)}`;
}

const isClose = (a: number, b: number, { rtol, atol }: CorpusCase['tolerance']): boolean =>
  a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= atol + rtol * Math.abs(b);
