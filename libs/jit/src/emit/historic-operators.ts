// Operators that meant something else once. Code of an archive is compiled with the operators of the archive's version: a call
// is matched with the schema of that time, and a graph of today's operators that does the same takes the place of the node.
// What changed, and since which version, is PyTorch's record (torch/csrc/jit/operator_upgraders/version_map.cpp).
import type { Graph, Schema, SourceRange, Value } from '@weft/ir';
import { cloneNode, parseGraph, parseSchema, qualifiedName } from '@weft/ir';

/** A form that an operator had up to some archive version. */
export interface HistoricOperator {
  readonly schema: Schema;
  /** Puts today's operators for one call into the graph and gives the result. */
  insert(graph: Graph, range: SourceRange, inputs: readonly Value[]): Value;
}

interface Entry {
  /** The last archive version that has it. */
  readonly until: number;
  readonly schema: string;
  /** Today's form: takes the arguments of the schema, in order. Values have no names, so that code shows none. */
  readonly graph: string;
}

/** Division of what has no floating point was truncated; a result with floating point made it a true one as well. */
function truncatedDivision(name: string, other: 'Tensor' | 'Scalar', out = false): string {
  const isFloat = [
    'aten::is_floating_point(%0)',
    other === 'Tensor' ? 'aten::is_floating_point(%1)' : 'prim::isinstance[types=[float]](%1)',
    ...(out ? ['aten::is_floating_point(%2)'] : []),
  ];
  const tests = isFloat.map((test, index) => `  %${index + 10} : bool = ${test}\n`);
  const joined = isFloat
    .slice(1)
    .map(
      (_, index) =>
        `  %${index + 20} : bool = aten::__or__(%${index === 0 ? 10 : index + 19}, %${index + 11})\n`,
    );
  return `graph(%0 : Tensor, %1 : ${other}${out ? ', %2 : Tensor' : ''}):
  %3 : str = prim::Constant[value="trunc"]()
${tests.join('')}${joined.join('')}  %30 : Tensor = prim::If(%${18 + isFloat.length})
    block0():
      %31 : Tensor = aten::${name}(%0, %1${out ? ', %2' : ''})
      -> (%31)
    block1():
      %32 : Tensor = aten::${name}(%0, %1, %3${out ? ', %2' : ''})
      -> (%32)
  return (%30)`;
}

/** A rounding mode was not there before version 4, so what has one means what it means today. */
const unchanged = (name: string, parameters: readonly string[]): string => {
  const inputs = parameters.map((type, index) => `%${index} : ${type}`).join(', ');
  const given = parameters.map((_, index) => `%${index}`).join(', ');
  const result = `%${parameters.length}`;
  return `graph(${inputs}):\n  ${result} : Tensor = aten::${name}(${given})\n  return (${result})`;
};

/** The number of steps could be left out and was 100 then. `rest` are the parameters after it. */
const hundredSteps = (name: string, rest: readonly string[]): string => {
  const parameters = ['Scalar', 'Scalar', 'int?', ...rest];
  const inputs = parameters.map((type, index) => `%${index} : ${type}`).join(', ');
  const after = rest.map((_, index) => `, %${index + 3}`).join('');
  return `graph(${inputs}):
  %20 : NoneType = prim::Constant()
  %21 : int = prim::Constant[value=100]()
  %22 : bool = aten::__is__(%2, %20)
  %23 : int = prim::If(%22)
    block0():
      -> (%21)
    block1():
      %24 : int = prim::unchecked_cast(%2)
      -> (%24)
  %25 : Tensor = aten::${name}(%0, %1, %23${after})
  return (%25)`;
};

const factory = ['int?', 'int?', 'Device?', 'bool?'];
const factoryOptions =
  'ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None';

const entries: readonly Entry[] = [
  {
    until: 2,
    schema: 'aten::_test_serialization_subcmul(Tensor self, Tensor other, Scalar alpha=2) -> Tensor',
    graph: `graph(%0 : Tensor, %1 : Tensor, %2 : Scalar):
  %3 : int = prim::Constant[value=1]()
  %4 : Tensor = aten::mul(%0, %2)
  %5 : Tensor = aten::sub(%1, %4, %3)
  return (%5)`,
  },
  {
    until: 3,
    schema: 'aten::div.Tensor(Tensor self, Tensor other) -> Tensor',
    graph: truncatedDivision('div', 'Tensor'),
  },
  {
    until: 3,
    schema: 'aten::div.Scalar(Tensor self, Scalar other) -> Tensor',
    graph: truncatedDivision('div', 'Scalar'),
  },
  {
    until: 3,
    schema: 'aten::div_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)',
    graph: truncatedDivision('div_', 'Tensor'),
  },
  {
    until: 3,
    schema: 'aten::div_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)',
    graph: truncatedDivision('div_', 'Scalar'),
  },
  {
    until: 3,
    schema: 'aten::div.out(Tensor self, Tensor other, *, Tensor(a!) out) -> Tensor(a!)',
    graph: truncatedDivision('div', 'Tensor', true),
  },
  {
    until: 3,
    schema: 'aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor',
    graph: unchanged('div', ['Tensor', 'Tensor', 'str?']),
  },
  {
    until: 3,
    schema: 'aten::div.Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor',
    graph: unchanged('div', ['Tensor', 'Scalar', 'str?']),
  },
  {
    until: 3,
    schema: 'aten::div_.Tensor_mode(Tensor(a!) self, Tensor other, *, str? rounding_mode) -> Tensor(a!)',
    graph: unchanged('div_', ['Tensor', 'Tensor', 'str?']),
  },
  {
    until: 3,
    schema: 'aten::div_.Scalar_mode(Tensor(a!) self, Scalar other, *, str? rounding_mode) -> Tensor(a!)',
    graph: unchanged('div_', ['Tensor', 'Scalar', 'str?']),
  },
  {
    until: 3,
    schema:
      'aten::div.out_mode(Tensor self, Tensor other, *, str? rounding_mode, Tensor(a!) out) -> Tensor(a!)',
    graph: unchanged('div', ['Tensor', 'Tensor', 'str?', 'Tensor']),
  },
  {
    // The result was of floating point whatever the value was, unless a dtype was given.
    until: 4,
    schema: `aten::full(int[] size, Scalar fill_value, *, ${factoryOptions}) -> Tensor`,
    graph: `graph(%0 : int[], %1 : Scalar, %2 : int?, %3 : int?, %4 : Device?, %5 : bool?):
  %6 : NoneType = prim::Constant()
  %7 : bool = aten::__is__(%2, %6)
  %8 : Scalar = prim::If(%7)
    block0():
      %9 : float = aten::Float(%1)
      -> (%9)
    block1():
      -> (%1)
  %10 : Tensor = aten::full(%0, %8, %2, %3, %4, %5)
  return (%10)`,
  },
  {
    until: 4,
    schema: `aten::full.names(int[] size, Scalar fill_value, *, str[]? names, ${factoryOptions}) -> Tensor`,
    graph: unchanged('full', ['int[]', 'Scalar', 'str[]?', ...factory]),
  },
  {
    until: 4,
    schema: 'aten::full.out(int[] size, Scalar fill_value, *, Tensor(a!) out) -> Tensor(a!)',
    graph: unchanged('full', ['int[]', 'Scalar', 'Tensor']),
  },
  {
    until: 7,
    schema: `aten::linspace(Scalar start, Scalar end, int? steps=None, *, ${factoryOptions}) -> Tensor`,
    graph: hundredSteps('linspace', factory),
  },
  {
    until: 7,
    schema: 'aten::linspace.out(Scalar start, Scalar end, int? steps=None, *, Tensor(a!) out) -> Tensor(a!)',
    graph: hundredSteps('linspace', ['Tensor']),
  },
  {
    until: 8,
    schema: `aten::logspace(Scalar start, Scalar end, int? steps=None, float base=10.0, *, ${factoryOptions}) -> Tensor`,
    graph: hundredSteps('logspace', ['float', ...factory]),
  },
  {
    until: 8,
    schema:
      'aten::logspace.out(Scalar start, Scalar end, int? steps=None, float base=10.0, *, Tensor(a!) out) -> Tensor(a!)',
    graph: hundredSteps('logspace', ['float', 'Tensor']),
  },
  {
    until: 9,
    schema: 'aten::gelu(Tensor self) -> Tensor',
    graph: `graph(%0 : Tensor):
  %1 : str = prim::Constant[value="none"]()
  %2 : Tensor = aten::gelu(%0, %1)
  return (%2)`,
  },
  {
    until: 9,
    schema: 'aten::gelu.out(Tensor self, *, Tensor(a!) out) -> Tensor(a!)',
    graph: `graph(%0 : Tensor, %1 : Tensor):
  %2 : str = prim::Constant[value="none"]()
  %3 : Tensor = aten::gelu(%0, %2, %1)
  return (%3)`,
  },
];

class Historic implements HistoricOperator {
  readonly schema: Schema;
  private parsed: Graph | undefined;
  constructor(private readonly entry: Entry) {
    this.schema = parseSchema(entry.schema);
  }

  get until(): number {
    return this.entry.until;
  }

  insert(graph: Graph, range: SourceRange, inputs: readonly Value[]): Value {
    const body = (this.parsed ??= parseGraph(this.entry.graph));
    const map = new Map<Value, Value>(body.inputs.map((input, index) => [input, inputs[index]]));
    for (const node of body.nodes()) {
      const copy = graph.insertNode(cloneNode(graph, node, map));
      copy.source = range;
      for (const block of copy.blocks) for (const inner of block.nodes()) inner.source = range;
    }
    return map.get(body.outputs[0])!;
  }
}

let byName: ReadonlyMap<string, readonly Historic[]> | undefined;
function table(): ReadonlyMap<string, readonly Historic[]> {
  if (byName === undefined) {
    const made = new Map<string, Historic[]>();
    for (const entry of entries) {
      const historic = new Historic(entry);
      made.set(historic.schema.name, [...(made.get(historic.schema.name) ?? []), historic]);
    }
    byName = made;
  }
  return byName;
}

/** The forms of an operator (`aten::div`) that archives of that version have instead of today's, by qualified name. */
export function historicOperators(name: string, version: number): ReadonlyMap<string, HistoricOperator> {
  const forms = (table().get(name) ?? []).filter(({ until }) => version <= until);
  return new Map(forms.map((form) => [qualifiedName(form.schema), form]));
}

/** The first archive version in which an operator (`aten::div.Tensor`) means what it means today; 0 when it never changed. */
export function meaningSince(qualified: string): number {
  const forms = table().get(qualified.replace(/\..*$/, '')) ?? [];
  return Math.max(
    0,
    ...forms.filter(({ schema }) => qualifiedName(schema) === qualified).map(({ until }) => until + 1),
  );
}
