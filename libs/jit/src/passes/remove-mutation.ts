// Writes in place that nobody else can see become new values (functionalisation): `y.add_(1)` on a tensor that the block has just
// made is `y2 = y.add(1)`, with y2 read from there on; a list that was just put together and is then appended to is put
// together with the item. What may be reached through another name by then stays: a view, an item of a container, an operand,
// an attribute. An in-place operator that refuses its result's dtype or shape may become one that does not.
import type { Block, Graph, Node, Schema, Value } from '@weft/ir';
import { isMutating, isNondeterministic, qualifiedName, schemaOfNode, schemasOf, typesEqual } from '@weft/ir';
import { operatorMeaning } from '@weft/ops';
import { constantValue, insertConstant } from '../emit/constants.ts';
import type { Pass } from './pass.ts';

/** Tensors. Returns whether the graph changed. */
export const removeTensorMutation = (graph: Graph): boolean => visit(graph.block, replaceTensorWrite);

/** Lists. Returns whether the graph changed. */
export const removeListMutation = (graph: Graph): boolean => visit(graph.block, replaceListWrite);

/** Makes the value that the written one is from there on, in front of the node; undefined when it has to stay. */
type Replace = (node: Node) => Value | undefined;

function visit(block: Block, replace: Replace): boolean {
  let changed = false;
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) changed = visit(inner, replace) || changed;
    const [target] = node.inputs;
    if (target === undefined || target.node.block !== block || target.isParameter) continue;
    const schema = schemaOfNode(node);
    if (schema === undefined || !writesFirstOnly(schema) || !isPrivateBefore(target, node)) continue;
    const replacement = node.graph.withInsertPoint(node, () => replace(node));
    if (replacement === undefined) continue;
    replacement.node.source = node.source;
    for (const { user, index } of [...target.uses]) {
      const at = ancestorIn(user, block);
      if (user !== node && at !== replacement.node && node.isBefore(at))
        user.replaceInput(index, replacement);
    }
    node.outputs.forEach((output) => output.replaceAllUsesWith(replacement));
    node.destroy();
    changed = true;
  }
  return changed;
}

/** Whether the first argument is written to, nothing else is, and what comes back (if anything does) is that argument. */
function writesFirstOnly(schema: Schema): boolean {
  const [first, ...others] = schema.arguments;
  if (schema.isVararg || first?.alias?.isWrite !== true || isMutating({ ...schema, arguments: others }))
    return false;
  if (schema.returns.length === 0) return true;
  const [returned] = schema.returns;
  return schema.returns.length === 1 && returned.alias?.isWrite === true && returned.alias.before.join() === first.alias.before.join(); // prettier-ignore
}

/** Whether the value is made new by its node, and nothing that runs before `point` could have kept it. */
function isPrivateBefore(value: Value, point: Node): boolean {
  if (!isFresh(value)) return false;
  return value.uses.every(({ user, index }) => {
    const at = ancestorIn(user, point.block!);
    return user === point && index === 0
      ? true
      : (at !== point && point.isBefore(at)) || onlyReads(user, index);
  });
}

function isFresh({ node, index }: Value): boolean {
  if (node.kind === 'prim::ListConstruct') return true;
  const schema = schemaOfNode(node);
  return schema !== undefined && !schema.isVarret && schema.returns[index].alias === undefined && !keepsOperands(schema); // prettier-ignore
}

/** An operator that returns the same tensor where there is nothing to do, whatever its schema says. */
const keepsOperands = ({ name, returns }: Schema): boolean =>
  name === 'aten::type_as' || name.startsWith('prim::') || returns.some(({ type }) => type.kind === 'List');

/** Whether the node keeps no way to the operand after it has run. */
function onlyReads(user: Node, index: number): boolean {
  const schema = schemaOfNode(user);
  const argument = schema?.arguments[index];
  return schema !== undefined && argument !== undefined && argument.alias === undefined && !keepsOperands(schema); // prettier-ignore
}

/** The node of the block that is the node or holds it. */
function ancestorIn(node: Node, block: Block): Node {
  let at = node;
  while (at.block !== block) at = at.block!.owner!;
  return at;
}

// ---- tensors ------------------------------------------------------------------------------------------------------

function replaceTensorWrite(node: Node): Value | undefined {
  const { graph } = node;
  const [target, ...rest] = node.inputs;
  const schema = schemaOfNode(node)!;
  if (target.type.kind !== 'Tensor' || isNondeterministic(node) || node.outputs.length !== 1)
    return undefined;
  if (!node.kind.endsWith('_') || node.kind.endsWith('__')) return undefined;
  if (node.kind === 'aten::zero_') {
    const zero = insertConstant(graph, 0n);
    return insert(node, 'aten::fill', 'Scalar', [target, zero]);
  }
  const kind = node.kind.slice(0, -1);
  const pure = schemasOf(kind).find(
    (each) =>
      each.overload === schema.overload &&
      each.arguments.length === schema.arguments.length &&
      each.arguments.every(
        ({ type, alias }, index) => alias === undefined && typesEqual(type, schema.arguments[index].type),
      ) && // prettier-ignore
      each.returns.length === 1 &&
      each.returns[0].alias === undefined,
  );
  if (pure === undefined || operatorMeaning(qualifiedName(pure)) === undefined) return undefined;
  const result = insert(node, kind, pure.overload, [target, ...rest]);
  // With other tensors the result may have another dtype, which is converted when it is written.
  const isOwn = kind === 'aten::copy' || !pure.arguments.some(({ type }, index) => index > 0 && mayBeTensor(type.kind)); // prettier-ignore
  if (isOwn) return result;
  const nonBlocking = insertConstant(graph, false);
  return insert(node, 'aten::copy', '', [target, result, nonBlocking]);
}

const mayBeTensor = (kind: string): boolean => kind === 'Tensor' || kind === 'Optional' || kind === 'List';

function insert(node: Node, kind: string, overload: string, inputs: readonly Value[]): Value {
  const made = node.graph.insert(kind, inputs, [node.inputs[0].type]);
  made.overload = overload;
  made.source = node.source;
  return made.output;
}

// ---- lists --------------------------------------------------------------------------------------------------------

function replaceListWrite(node: Node): Value | undefined {
  const [target, ...rest] = node.inputs;
  const { node: construct } = target;
  if (construct.kind !== 'prim::ListConstruct') return undefined;
  const items = writtenItems(node, construct.inputs, rest);
  return items && node.graph.insert('prim::ListConstruct', items, [target.type]).output;
}

/** The items of the list after the write, where it is known which. */
function writtenItems(
  node: Node,
  items: readonly Value[],
  operands: readonly Value[],
): readonly Value[] | undefined {
  const [first, second] = operands;
  switch (node.kind) {
    case 'aten::append':
      return [...items, first];
    case 'aten::extend': {
      const other = first.node;
      return other.kind === 'prim::ListConstruct' && !wasWritten(first)
        ? [...items, ...other.inputs]
        : undefined;
    }
    case 'aten::insert': {
      const at = constantValue(first);
      if (typeof at !== 'bigint') return undefined;
      const place = at < 0n ? BigInt(items.length) + at : at;
      return items.toSpliced(Math.min(Math.max(Number(place), 0), items.length), 0, second);
    }
    case 'aten::_set_item': {
      const at = constantValue(first);
      if (typeof at !== 'bigint') return undefined;
      const place = Number(at < 0n ? BigInt(items.length) + at : at);
      return place >= 0 && place < items.length ? items.with(place, second) : undefined;
    }
    case 'aten::clear':
      return [];
    default:
      return undefined;
  }
}

/** Whether something may change the list: it is written to, or something keeps it that might. */
const wasWritten = (list: Value): boolean => list.uses.some(({ user, index }) => !onlyReads(user, index));

export const removeTensorMutationPass: Pass = {
  name: 'remove-tensor-mutation',
  level: 'torch',
  summary: 'Makes new tensors of writes in place that nobody else can see.',
  run: removeTensorMutation,
};

export const removeListMutationPass: Pass = {
  name: 'remove-list-mutation',
  level: 'torch',
  summary: 'Puts lists together as they are after appending and assigning to them.',
  run: removeListMutation,
};
