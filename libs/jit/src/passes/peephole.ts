// Local simplifications of torch graphs: one node at a time, looking at what makes its operands. A rule returns the value that
// can stand for the node's output, or undefined. Types of tensors are not consulted: what a trace saw of them is no promise.
import type { Block, Graph, IValue, Node, Type, Value } from '@weft/ir';
import {
  AliasAnalysis,
  constantValue,
  hasSideEffects,
  insertConstant,
  isSubtype,
  schemaOfNode,
  unifyTypes,
} from '@weft/ir';
import type { Pass } from './pass.ts';

interface Site {
  readonly graph: Graph;
  /** Made when a rule first asks for it. */
  readonly alias: () => AliasAnalysis;
}

/** What can stand for the node's output, or for each of them. */
type Rule = (node: Node, site: Site) => Value | readonly (Value | undefined)[] | undefined;

type Rules = Readonly<Record<string, Rule>>;

/**
 * Returns whether something was simplified.
 * @param rules by default all; `torchRules` does what PyTorch does with the body of every function before it runs
 */
export function simplifyPeepholes(graph: Graph, rules: Rules = allRules): boolean {
  let analysis: AliasAnalysis | undefined;
  const site: Site = { graph, alias: () => (analysis ??= new AliasAnalysis(graph)) };
  return visit(graph.block, site, rules);
}

function visit(block: Block, site: Site, rules: Rules): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, site, rules) || changed;
    changed = simplifyNode(node, site, rules) || changed;
  }
  return changed;
}

function simplifyNode(node: Node, site: Site, rules: Rules): boolean {
  const rule = rules[node.kind];
  const isRead = node.outputs.some((output) => output.hasUses);
  if (!isRead || node.kind === 'prim::Constant') return false;
  const refined = node.kind === 'prim::If' && refineOptionals(node);
  const found = site.graph.withInsertPoint(node, () => rule?.(node, site));
  const replacements = Array.isArray(found) ? (found as readonly (Value | undefined)[]) : [found as Value];
  let changed = refined;
  for (const [index, output] of node.outputs.entries()) {
    if (!output.hasUses) continue;
    // What has the type of None is None.
    const replacement =
      output.type.kind === 'None'
        ? site.graph.withInsertPoint(node, () => constant(node, null))
        : replacements[index];
    if (replacement === undefined || !isSubtype(replacement.type, output.type)) continue;
    output.replaceAllUsesWith(replacement);
    changed = true;
  }
  if (changed && !node.outputs.some((output) => output.hasUses) && holdsConstantsOnly(node)) {
    if (!hasSideEffects(node)) node.destroy();
  }
  return changed;
}

const holdsConstantsOnly = (node: Node): boolean =>
  node.blocks.every((block) => [...block.nodes()].every((inner) => inner.kind === 'prim::Constant'));

/** A result that is None in neither branch is no optional. */
function refineOptionals(node: Node): boolean {
  let changed = false;
  for (const [index, output] of node.outputs.entries()) {
    const types = node.blocks.map((block) => block.outputs[index].type);
    const type = output.type.kind === 'Optional' ? unifyTypes(types[0], types[1]) : undefined;
    if (type === undefined || isNoneType(type) !== false) continue;
    output.setType(type);
    changed = true;
  }
  return changed;
}

const constant = (node: Node, value: IValue): Value => {
  const inserted = insertConstant(node.graph, value);
  inserted.node.source = node.source;
  return inserted;
};

const isInt = (value: Value, wanted: bigint): boolean => constantValue(value) === wanted;

/** Both operands are ints, so that no dtype or sign of zero is at stake. */
const areInts = (node: Node): boolean => node.inputs.every((input) => input.type.kind === 'int');

/** `x op neutral` is x. */
const neutral =
  (value: bigint, commutes: boolean): Rule =>
  (node) => {
    if (node.inputs.length !== 2 || !areInts(node)) return undefined;
    const [a, b] = node.inputs;
    if (isInt(b, value)) return a;
    return commutes && isInt(a, value) ? b : undefined;
  };

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Constants added to an int, one after the other, are added up; of an operand and a constant the constant comes second. */
const sumOfInts: Rule = (node, site) => {
  if (node.inputs.length !== 2 || !areInts(node)) return undefined;
  const [a, b] = node.inputs;
  const second = constantValue(b);
  if (typeof second !== 'bigint') return constantSecond(node, site);
  if (second === 0n) return a;
  const { kind, inputs } = a.node;
  const inner = inputs.length === 2 && areInts(a.node) ? constantValue(inputs[1]) : undefined;
  if ((kind !== 'aten::add' && kind !== 'aten::sub') || typeof inner !== 'bigint') return undefined;
  const sum = wrap(kind === node.kind ? second + inner : second - inner);
  return sum === 0n ? inputs[0] : sameKind(node, [inputs[0], constant(node, sum)]);
};

const constantSecond: Rule = (node) => {
  const [a, b] = node.inputs;
  const isFirst = constantValue(a) !== undefined && constantValue(b) === undefined;
  return isFirst && node.kind !== 'aten::sub' ? sameKind(node, [b, a]) : undefined;
};

const productOfInts: Rule = (node, site) =>
  neutral(1n, true)(node, site) ??
  (node.inputs.length === 2 && areInts(node) ? constantSecond(node, site) : undefined);

function sameKind(node: Node, inputs: readonly Value[]): Value {
  const made = node.graph.insert(node.kind, inputs, [node.output.type]);
  made.overload = node.overload;
  made.source = node.source;
  return made.output;
}

/** The operand, when the conversion changes nothing about its type. */
const toOwnType: Rule = (node) => {
  const [x] = node.inputs;
  return x.type.kind === node.output.type.kind && x.type.kind !== 'Tensor' ? x : undefined;
};

/** A number that was made a tensor only to be read again. */
const readBack: Rule = (node, site) => {
  const own = toOwnType(node, site);
  if (own !== undefined) return own;
  const maker = node.inputs[0].node;
  const isNumber = maker.kind === 'prim::NumToTensor' && !site.alias().hasWriters(maker.output);
  return isNumber && maker.inputs[0].type.kind === node.output.type.kind ? maker.inputs[0] : undefined;
};

/** Whether a value is None: true, false, or unknown. */
const isNone = (value: Value): boolean | undefined => isNoneType(value.type);

function isNoneType(type: Type): boolean | undefined {
  if (type.kind === 'None') return true;
  const mayBeNone = ['Optional', 'Union', 'Any', 'Var', 'Interface'].includes(type.kind);
  return mayBeNone ? undefined : false;
}

const identity =
  (isPositive: boolean): Rule =>
  (node) => {
    const [a, b] = node.inputs.map(isNone);
    if (a === undefined || b === undefined || (!a && !b)) return undefined;
    return constant(node, (a && b) === isPositive);
  };

const opposite: Readonly<Record<string, string>> = {
  'aten::eq': 'aten::ne',
  'aten::ne': 'aten::eq',
  'aten::lt': 'aten::ge',
  'aten::ge': 'aten::lt',
  'aten::gt': 'aten::le',
  'aten::le': 'aten::gt',
  'aten::__is__': 'aten::__isnot__',
  'aten::__isnot__': 'aten::__is__',
  'aten::__contains__': '',
};

/** The operands of a list or tuple that nothing changes after it is made; undefined when that is not known. */
function items(container: Value, site: Site): readonly Value[] | undefined {
  const { kind, inputs } = container.node;
  if (kind === 'prim::TupleConstruct') return inputs;
  return kind === 'prim::ListConstruct' && !site.alias().hasWriters(container) ? inputs : undefined;
}

const itemAt: Rule = (node, site) => {
  const list = items(node.inputs[0], site);
  const index = node.inputs[1] && constantValue(node.inputs[1]);
  if (list === undefined || typeof index !== 'bigint') return undefined;
  return list.at(Number(index));
};

const unwrap: Rule = (node) => (isNone(node.inputs[0]) === false ? node.inputs[0] : undefined);

/** A number compared with itself: as PyTorch, which holds that NaN too equals itself where it is the same value. */
const comparesItself =
  (result: boolean): Rule =>
  (node) => {
    const [a, b] = node.inputs;
    const kind = a.type.kind === 'List' ? a.type.element.kind : a.type.kind;
    return a === b && ['int', 'float', 'bool'].includes(kind) ? constant(node, result) : undefined;
  };

export const selfComparisons: Rules = { 'aten::eq': comparesItself(true), 'aten::ne': comparesItself(false) };

/** Bools that say what the condition said. */
const repeatsCondition: Rule = (node) => {
  const [then, otherwise] = node.blocks;
  return node.outputs.map((output, index) =>
    output.type.kind === 'bool' &&
    constantValue(then.outputs[index]) === true &&
    constantValue(otherwise.outputs[index]) === false
      ? node.inputs[0]
      : undefined,
  );
};

/** What convolutions give has their own number of dimensions (where an input without a batch has one less, this is wrong). */
const dimensionsOf: Rule = (node, site) => {
  const [x] = node.inputs;
  const dims = { 'aten::conv1d': 3n, 'aten::conv2d': 4n, 'aten::conv3d': 5n }[x.node.kind];
  return dims === undefined || site.alias().hasWriters(x) ? undefined : constant(node, dims);
};

/** What PyTorch simplifies in the body of a function before it runs. */
export const torchRules: Rules = {
  'aten::add': sumOfInts,
  'aten::sub': sumOfInts,
  'aten::mul': productOfInts,
  'aten::floordiv': neutral(1n, false),
  ...selfComparisons,
  'aten::Int': readBack,
  'aten::Float': readBack,
  'aten::IntImplicit': readBack,
  'aten::FloatImplicit': readBack,
  'aten::ScalarImplicit': readBack,
  'aten::__is__': identity(true),
  'aten::__isnot__': identity(false),
  'aten::_unwrap_optional': unwrap,
  'prim::unchecked_unwrap_optional': unwrap,
  'prim::unchecked_cast': (node) =>
    isSubtype(node.inputs[0].type, node.output.type) ? node.inputs[0] : undefined,
  'prim::ListUnpack': (node, site) => {
    const list = items(node.inputs[0], site);
    return list?.length === node.outputs.length ? list : undefined;
  },
  'aten::len': (node, site) => {
    const list = items(node.inputs[0], site);
    return list && constant(node, BigInt(list.length));
  },
  'aten::__getitem__': itemAt,
  'aten::dim': dimensionsOf,
  'prim::If': repeatsCondition,
  'aten::t': (node, site) => {
    const maker = node.inputs[0].node;
    if (maker.kind !== 'aten::t' || site.alias().hasWriters(maker.output)) return undefined;
    return maker.inputs[0];
  },
};

const { 'aten::dim': _wrong, ...soundRules } = torchRules;

const allRules: Rules = {
  ...soundRules,
  'aten::pow': (node, site) => (node.output.type.kind === 'int' ? neutral(1n, false)(node, site) : undefined),
  'aten::Bool': readBack,
  'aten::str': toOwnType,
  'aten::neg': (node) =>
    areInts(node) && node.inputs[0].node.kind === 'aten::neg' ? node.inputs[0].node.inputs[0] : undefined,
  'aten::__not__': (node) => {
    const maker = node.inputs[0].node;
    if (maker.kind === 'aten::__not__') return maker.inputs[0];
    const kind = opposite[maker.kind];
    // NaN is neither less nor greater: only ints and identity have opposites.
    const isExact = areInts(maker) || maker.kind.startsWith('aten::__is');
    if (!kind || !isExact || maker.inputs.length !== 2) return undefined;
    const flipped = node.graph.insert(kind, maker.inputs, [node.output.type]);
    flipped.source = node.source;
    return schemaOfNode(flipped) === undefined ? undefined : flipped.output;
  },
  'prim::TupleIndex': itemAt,
  'prim::If': (node, site) => {
    const [then, otherwise] = node.blocks;
    const repeated = repeatsCondition(node, site) as readonly (Value | undefined)[];
    return repeated.map((value, index) => {
      const isOpposite =
        constantValue(then.outputs[index]) === false && constantValue(otherwise.outputs[index]) === true;
      if (value !== undefined || !isOpposite) return value;
      const not = node.graph.insert('aten::__not__', [node.inputs[0]], [node.outputs[index].type]);
      not.source = node.source;
      return not.output;
    });
  },
};

export const peepholePass: Pass = {
  name: 'peephole',
  level: 'torch',
  summary:
    'Simplifies single nodes: neutral operands, double negations, items of known lists, tests for None.',
  run: (graph) => simplifyPeepholes(graph),
};
