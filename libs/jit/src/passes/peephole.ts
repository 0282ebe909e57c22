// Local simplifications of torch graphs: one node at a time, looking at what makes its operands. A rule returns the value that
// can stand for the node's only output, or undefined. Types of tensors are not consulted: what a trace saw of them is no promise.
import type { Block, Graph, IValue, Node, Value } from '@weft/ir';
import {
  AliasAnalysis,
  constantValue,
  hasSideEffects,
  insertConstant,
  isSubtype,
  schemaOfNode,
} from '@weft/ir';
import type { Pass } from './pass.ts';

interface Site {
  readonly graph: Graph;
  /** Made when a rule first asks for it. */
  readonly alias: () => AliasAnalysis;
}

type Rule = (node: Node, site: Site) => Value | undefined;

/** Returns whether something was simplified. */
export function simplifyPeepholes(graph: Graph): boolean {
  let analysis: AliasAnalysis | undefined;
  const site: Site = { graph, alias: () => (analysis ??= new AliasAnalysis(graph)) };
  return visit(graph.block, site);
}

function visit(block: Block, site: Site): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, site) || changed;
    const rule = rules[node.kind];
    if (rule === undefined || node.outputs.length === 0) continue;
    const unused = node.outputs.every((output) => !output.hasUses);
    if (unused) continue;
    const replacement = site.graph.withInsertPoint(node, () => rule(node, site));
    if (replacement === undefined || !isSubtype(replacement.type, node.output.type)) continue;
    node.output.replaceAllUsesWith(replacement);
    if (!hasSideEffects(node)) node.destroy();
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
function isNone(value: Value): boolean | undefined {
  const { type } = value;
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

const rules: Readonly<Record<string, Rule>> = {
  'aten::add': neutral(0n, true),
  'aten::sub': neutral(0n, false),
  'aten::mul': neutral(1n, true),
  'aten::floordiv': neutral(1n, false),
  'aten::pow': (node, site) => (node.output.type.kind === 'int' ? neutral(1n, false)(node, site) : undefined),
  'aten::Int': readBack,
  'aten::Float': readBack,
  'aten::Bool': readBack,
  'aten::IntImplicit': readBack,
  'aten::FloatImplicit': readBack,
  'aten::ScalarImplicit': readBack,
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
  'aten::__is__': identity(true),
  'aten::__isnot__': identity(false),
  'aten::_unwrap_optional': unwrap,
  'prim::unchecked_unwrap_optional': unwrap,
  'prim::unchecked_cast': (node) =>
    isSubtype(node.inputs[0].type, node.output.type) ? node.inputs[0] : undefined,
  'aten::len': (node, site) => {
    const list = items(node.inputs[0], site);
    return list && constant(node, BigInt(list.length));
  },
  'aten::__getitem__': itemAt,
  'prim::TupleIndex': itemAt,
  'prim::If': (node) => {
    if (node.outputs.length !== 1) return undefined;
    const [then, otherwise] = node.blocks.map((block) =>
      block.outputs.length === 1 && [...block.nodes()].every((inner) => inner.kind === 'prim::Constant')
        ? constantValue(block.outputs[0])
        : undefined,
    );
    if (then === true && otherwise === false) return node.inputs[0];
    if (then !== false || otherwise !== true) return undefined;
    const not = node.graph.insert('aten::__not__', [node.inputs[0]], [node.output.type]);
    not.source = node.source;
    return not.output;
  },
  'aten::t': (node, site) => {
    const maker = node.inputs[0].node;
    if (maker.kind !== 'aten::t' || site.alias().hasWriters(maker.output)) return undefined;
    return maker.inputs[0];
  },
};

export const peepholePass: Pass = {
  name: 'peephole',
  level: 'torch',
  summary:
    'Simplifies single nodes: neutral operands, double negations, items of known lists, tests for None.',
  run: simplifyPeepholes,
};
