// Names that every file of an archive knows: torch, ops, Python's builtin functions and the special forms of printed code.
import type { SourceRange, Type } from '@weft/ir';
import { BoolType, Complex, ComplexType, FloatType, IntType, StringType, typesEqual } from '@weft/ir';
import { insertConstant } from '../../emit/constants.ts';
import type { Emitter } from '../../emit/emitter.ts';
import { NamespaceValue } from '../../emit/javascript/library.ts';
import type { NamedValue } from '../../emit/schema-matching.ts';
import { SpecialForm } from '../../emit/callable-values.ts';
import { BuiltinFunction, LiveConstant, SimpleValue } from '../../emit/simple-value.ts';
import { SugaredValue } from '../../emit/sugared-value.ts';

/** `int(x)`, `float(x)`, …: the value itself when it has that type already. */
class CastFunction extends SugaredValue {
  readonly kind = 'a cast';
  constructor(
    private readonly type: Type,
    private readonly operator: string,
  ) {
    super();
  }
  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    const [only] = positional;
    if (positional.length === 1 && keywords.length === 0 && typesEqual(only.value.type, this.type)) {
      return new SimpleValue(only.value);
    }
    if (only?.value.type.kind === 'Class') {
      const method = new SimpleValue(only.value).attr(e, range, `__${magicNames[this.type.kind]}__`);
      return method.call(e, range, [], []);
    }
    return new BuiltinFunction(this.operator).call(e, range, positional, keywords);
  }
}
const magicNames: Readonly<Record<string, string>> = {
  int: 'int',
  float: 'float',
  complex: 'complex',
  bool: 'bool',
  str: 'str',
};

/** `print(…)`: prim::Print of the values as they are. */
class PrintValues extends SugaredValue {
  readonly kind = 'print';
  override call(e: Emitter, range: SourceRange, positional: readonly NamedValue[]): SugaredValue {
    const node = e.graph.insert(
      'prim::Print',
      positional.map(({ value }) => value),
      0,
    );
    node.source = range;
    return new SimpleValue(insertConstant(e.graph, null));
  }
}

/** `torch.x` is `aten::x`; inner namespaces hold operators too. */
const torch = new NamespaceValue((name) =>
  name === 'autograd' || name === '_C' || name === 'jit'
    ? new NamespaceValue((inner) => new BuiltinFunction(`aten::${inner}`))
    : new BuiltinFunction(`aten::${name}`),
);

/** `ops.prim.x`, `ops.torchvision.nms`. */
const ops = new NamespaceValue(
  (namespace) => new NamespaceValue((name) => new BuiltinFunction(`${namespace}::${name}`)),
);

const specialForms =
  'annotate unchecked_cast uninitialized isinstance hasattr getattr tuple range enumerate zip list dict fork'.split(
    ' ',
  );

const functions: Readonly<Record<string, string>> = {
  sorted: 'aten::sorted',
  min: 'prim::min',
  max: 'prim::max',
  abs: 'prim::abs',
  all: 'aten::all',
  any: 'aten::any',
  divmod: 'aten::divmod',
  sum: 'aten::sum',
  len: 'aten::len',
  hex: 'aten::hex',
  oct: 'aten::oct',
  round: 'aten::round',
  hash: 'aten::hash',
  id: 'prim::id',
  bin: 'aten::bin',
  ord: 'aten::ord',
  chr: 'aten::chr',
  pow: 'aten::pow',
  rangelist: 'prim::rangelist',
};

const names = new Map<string, SugaredValue>([
  ['torch', torch],
  ['ops', ops],
  ['inf', new LiveConstant(Infinity)],
  ['nan', new LiveConstant(NaN)],
  ['infj', new LiveConstant(new Complex(0, Infinity))],
  ['nanj', new LiveConstant(new Complex(0, NaN))],
  ['print', new PrintValues()],
  ['int', new CastFunction(IntType, 'aten::Int')],
  ['float', new CastFunction(FloatType, 'aten::Float')],
  ['complex', new CastFunction(ComplexType, 'aten::Complex')],
  ['bool', new CastFunction(BoolType, 'aten::Bool')],
  ['str', new CastFunction(StringType, 'aten::str')],
  ...specialForms.map((name): [string, SugaredValue] => [name, new SpecialForm(name)]),
  ...Object.entries(functions).map(([name, operator]): [string, SugaredValue] => [
    name,
    new BuiltinFunction(operator),
  ]),
]);

export const pythonBuiltin = (name: string): SugaredValue | undefined => names.get(name);
