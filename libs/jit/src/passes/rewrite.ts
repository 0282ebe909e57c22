// Pattern rewriting: a pattern and a replacement, both as IR text, after PyTorch's SubgraphRewriter. Works at both levels.
//
//   graph(%x, %w, %b, %one : int):            graph(%x, %w, %b, %one):
//     %wt = aten::t(%w)                          %r = aten::linear(%x, %w, %b)
//     %p = aten::mm(%x, %wt)                     return (%r)
//     %r = aten::add(%p, %b, %one)
//     return (%r)
//
// Parameters of the pattern capture any value (of the type given, if one is); its nodes match nodes of one block by kind, operands
// and the attributes that it writes. An attribute written "$name" captures the attribute; the replacement may use it. Values inside
// the pattern must not be read outside it, and nothing between the matched nodes may write to what they read, so that they can
// all be run at the place of the last one.
import type { Attribute, Block, Graph, Node, Value } from '@weft/ir';
import {
  AliasAnalysis,
  OperatorError,
  cloneNode,
  hasSideEffects,
  inferTypes,
  isMutating,
  isSubtype,
  parseGraph,
  schemaOfNode,
} from '@weft/ir';
import { attributeKey } from './node-key.ts';
import type { Level, Pass, PassPosition } from './pass.ts';
import { registerPass } from './pass.ts';

/** What a pattern was found to stand for. */
export interface Match {
  /** The value for each parameter of the pattern, by the parameter's name. */
  readonly values: ReadonlyMap<string, Value>;
  /** Attributes captured with `"$name"`, by the name without `$`. */
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** The matched nodes, in order. */
  readonly nodes: readonly Node[];
  /** The values that the pattern returns. */
  readonly outputs: readonly Value[];
}

export interface RewriteRule {
  /** IR text. Types left out match anything. */
  readonly pattern: string;
  /** IR text with the pattern's parameters, in any order, and as many outputs of the same types. */
  readonly replacement: string;
  /** Says no to a match that the text cannot tell apart. */
  readonly where?: (match: Match) => boolean;
}

/** A rule whose texts are parsed and checked. Throws ParseError or OperatorError. */
export class Rewriter {
  private readonly pattern: Graph;
  private readonly replacement: Graph;
  /** The pattern's last node; matching starts there. */
  private readonly anchor: Node;

  constructor(private readonly rule: RewriteRule) {
    this.pattern = parseGraph(rule.pattern, { file: 'pattern' });
    this.replacement = parseGraph(rule.replacement, { file: 'replacement' });
    const nodes = [...this.pattern.nodes()];
    const complain = (reason: string): never => {
      throw new OperatorError(`the rewrite rule does not work: ${reason}\n${rule.pattern}`);
    };
    if (nodes.length === 0) complain('the pattern has no nodes');
    if (nodes.some((node) => node.blocks.length > 0)) complain('the pattern has nodes with blocks');
    this.anchor = nodes[nodes.length - 1];
    if (!this.pattern.outputs.some((output) => output.node === this.anchor)) {
      complain('the last node of the pattern makes none of its outputs');
    }
    if (this.pattern.outputs.some((output) => output.isParameter))
      complain('an output of the pattern is a parameter');
    if (this.pattern.outputs.length !== this.replacement.outputs.length) {
      complain(
        `the pattern has ${this.pattern.outputs.length} outputs, the replacement ${this.replacement.outputs.length}`,
      );
    }
    const names = new Set(this.pattern.inputs.map((input) => input.name));
    for (const input of this.replacement.inputs) {
      if (!names.has(input.name))
        complain(`the replacement's parameter %${input.name} is none of the pattern`);
    }
  }

  /** Replaces every match in the graph. Returns how many there were. */
  run(graph: Graph): number {
    let count = 0;
    const isCore = this.anchor.namespace === 'core';
    let analysis: AliasAnalysis | undefined;
    const alias = isCore ? undefined : () => (analysis ??= new AliasAnalysis(graph));
    const visit = (block: Block): void => {
      for (const node of [...block.nodes()]) {
        for (const inner of node.blocks) visit(inner);
        const match = node.block === block ? this.match(node, alias) : undefined;
        if (match === undefined) continue;
        this.replace(match, node);
        count++;
        analysis = undefined;
      }
    };
    visit(graph.block);
    return count;
  }

  /** The match whose last node is `node`. */
  match(node: Node, alias?: () => AliasAnalysis): Match | undefined {
    if (node.kind !== this.anchor.kind) return undefined;
    const state = new Matching(node.block!);
    if (!state.node(this.anchor, node)) return undefined;
    // Nodes that the anchor does not depend on (of patterns with several outputs) are looked for through captured values.
    for (const wanted of this.pattern.nodes()) {
      if (!state.nodes.has(wanted) && !state.search(wanted)) return undefined;
    }
    const nodes = [...state.nodes.values()].sort((a, b) => (a.isBefore(b) ? -1 : 1));
    if (nodes[nodes.length - 1] !== node || !this.isClosed(state, nodes)) return undefined;
    if (alias !== undefined && !canGather(nodes, alias)) return undefined;
    const match: Match = {
      values: new Map(this.pattern.inputs.map((input) => [input.name, state.values.get(input)!])),
      attributes: state.attributes,
      nodes,
      outputs: this.pattern.outputs.map((output) => state.values.get(output)!),
    };
    // A parameter that no node of the pattern reads captures nothing.
    if ([...match.values.values()].includes(undefined as never)) return undefined;
    return this.rule.where?.(match) === false ? undefined : match;
  }

  /** Nothing outside reads what the pattern does not return. Constants may have other readers: they stay. */
  private isClosed(state: Matching, nodes: readonly Node[]): boolean {
    const matched = new Set(nodes);
    for (const [wanted, found] of state.values) {
      if (wanted.isParameter || this.pattern.outputs.includes(wanted)) continue;
      if (found.node.kind === 'prim::Constant' || found.node.kind === 'core::constant') continue;
      if (found.uses.some((use) => !matched.has(use.user))) return false;
    }
    // An output that is read before the last node would be defined too late.
    return this.pattern.outputs.every((output) =>
      state.values
        .get(output)!
        .uses.every((use) => matched.has(use.user) || isAfter(use.user, nodes[nodes.length - 1])),
    );
  }

  private replace(match: Match, anchor: Node): void {
    const { graph } = anchor;
    const map = new Map<Value, Value>(
      this.replacement.inputs.map((input) => [input, match.values.get(input.name)!]),
    );
    for (const node of this.replacement.nodes()) {
      const copy = cloneNode(graph, node, map);
      copy.source = anchor.source;
      for (const output of copy.outputs) output.setName(undefined);
      fillAttributes(copy, match.attributes);
      copy.insertBefore(anchor);
      if (copy.namespace === 'core')
        inferTypes(copy).forEach((type, index) => copy.outputs[index].setType(type));
    }
    match.outputs.forEach((old, index) => {
      const original = this.replacement.outputs[index];
      const replacement = map.get(original)!;
      // What the replacement makes has the type that its readers know; a parameter keeps its own.
      if (!original.isParameter) replacement.setType(old.type);
      old.replaceAllUsesWith(replacement);
      if (!original.isParameter && old.hasName) moveName(old, replacement);
    });
    for (const node of [...match.nodes].reverse()) {
      if (node.outputs.every((output) => !output.hasUses)) node.destroy();
    }
  }
}

/** One attempt: what the pattern's values and nodes stand for so far. */
class Matching {
  readonly values = new Map<Value, Value>();
  readonly nodes = new Map<Node, Node>();
  readonly attributes = new Map<string, Attribute>();

  constructor(private readonly block: Block) {}

  node(wanted: Node, found: Node): boolean {
    const known = this.nodes.get(wanted);
    if (known !== undefined) return known === found;
    const isConstant = found.kind === 'prim::Constant' || found.kind === 'core::constant';
    if (wanted.kind !== found.kind || (found.block !== this.block && !isConstant)) return false;
    if (wanted.overload !== undefined && wanted.overload !== found.overload) return false;
    if (wanted.inputs.length !== found.inputs.length || wanted.outputs.length !== found.outputs.length)
      return false;
    if (!this.matchAttributes(wanted, found)) return false;
    // A constant of the pattern stands for any equal one, so it is no node that could be replaced.
    if (!isConstant) this.nodes.set(wanted, found);
    return (
      wanted.outputs.every((output, index) => this.bind(output, found.outputs[index])) &&
      wanted.inputs.every((input, index) => this.value(input, found.inputs[index]))
    );
  }

  value(wanted: Value, found: Value): boolean {
    const known = this.values.get(wanted);
    if (known !== undefined) return known === found || equalConstants(known, found);
    if (wanted.isParameter) return this.bind(wanted, found);
    return found.node.outputs[wanted.index] === found && this.node(wanted.node, found.node);
  }

  /** Looks for a node among the readers of what is matched already. */
  search(wanted: Node): boolean {
    for (const input of wanted.inputs) {
      const value = this.values.get(input);
      if (value === undefined) continue;
      const index = wanted.inputs.indexOf(input);
      for (const use of value.uses) {
        if (use.index !== index || [...this.nodes.values()].includes(use.user)) continue;
        const saved = [new Map(this.values), new Map(this.nodes), new Map(this.attributes)] as const;
        if (this.node(wanted, use.user)) return true;
        restore(this.values, saved[0]);
        restore(this.nodes, saved[1]);
        restore(this.attributes, saved[2]);
      }
    }
    // Constants that nothing else of the pattern reads need no match.
    return wanted.kind === 'prim::Constant' || wanted.kind === 'core::constant';
  }

  private bind(wanted: Value, found: Value): boolean {
    const { type } = wanted;
    const isAny = type.kind === 'Tensor' && type.dtype === undefined && type.sizes === undefined;
    // A type left out reads as Tensor, which stands for any type here.
    if (!isAny && !isSubtype(found.type, type)) return false;
    this.values.set(wanted, found);
    return true;
  }

  private matchAttributes(wanted: Node, found: Node): boolean {
    for (const [name, attribute] of wanted.attributes) {
      const own = found.attributes.get(name);
      if (own === undefined) return false;
      const capture = captureName(attribute);
      if (capture === undefined) {
        if (attributeKey(attribute) !== attributeKey(own)) return false;
        continue;
      }
      const earlier = this.attributes.get(capture);
      if (earlier !== undefined && attributeKey(earlier) !== attributeKey(own)) return false;
      this.attributes.set(capture, own);
    }
    // None is a constant without attribute.
    return wanted.kind !== 'prim::Constant' || wanted.attributes.size === found.attributes.size;
  }
}

const captureName = (attribute: Attribute): string | undefined =>
  attribute.kind === 's' && attribute.value.startsWith('$') ? attribute.value.slice(1) : undefined;

function restore<K, V>(map: Map<K, V>, saved: ReadonlyMap<K, V>): void {
  map.clear();
  for (const [key, value] of saved) map.set(key, value);
}

function equalConstants(a: Value, b: Value): boolean {
  if (a.node.kind !== 'prim::Constant' || b.node.kind !== 'prim::Constant') return false;
  const [first, second] = [a.node.attributes.get('value'), b.node.attributes.get('value')];
  if (a.type.kind !== b.type.kind) return false;
  if (first === undefined || second === undefined) return first === second;
  return attributeKey(first) === attributeKey(second);
}

function fillAttributes(node: Node, captured: ReadonlyMap<string, Attribute>): void {
  for (const [name, attribute] of node.attributes) {
    const capture = captureName(attribute);
    if (capture === undefined) continue;
    const value = captured.get(capture);
    if (value === undefined) throw new OperatorError(`the pattern captures no attribute '$${capture}'`);
    node.set(name, value);
  }
}

function moveName(from: Value, to: Value): void {
  const { name } = from;
  from.setName(undefined);
  to.setName(name);
}

/** Whether the nodes can all be run where the last of them stands. */
function canGather(nodes: readonly Node[], alias: () => AliasAnalysis): boolean {
  const last = nodes[nodes.length - 1];
  const matched = new Set(nodes);
  if (nodes.some((node) => node !== last && hasSideEffects(node))) return false;
  for (const node of nodes) {
    for (let other = node.next!; other !== last.next; other = other.next!) {
      if (matched.has(other) || (isPure(node) && isPure(other))) continue;
      if (alias().conflicts(node, other)) return false;
    }
  }
  return true;
}

/** Whether the node writes to nothing and has no effect, which its schema tells without alias analysis. */
function isPure(node: Node): boolean {
  if (hasSideEffects(node)) return false;
  const schema = schemaOfNode(node);
  if (schema !== undefined && isMutating(schema)) return false;
  return node.blocks.every((block) => [...block.nodes()].every(isPure));
}

/** Whether `user`, or the node of the same block that holds it, stands after `node`. */
function isAfter(user: Node, node: Node): boolean {
  let at: Node | undefined = user;
  while (at !== undefined && at.block !== node.block) at = at.block?.owner;
  return at !== undefined && node.isBefore(at);
}

/** Applies rules in order, each to every place where it fits. Returns how many replacements were made. */
export function rewrite(graph: Graph, rules: readonly (RewriteRule | Rewriter)[]): number {
  let count = 0;
  for (const rule of rules) count += (rule instanceof Rewriter ? rule : new Rewriter(rule)).run(graph);
  return count;
}

/** Makes a rewrite rule a pass of the pipeline. Throws when the texts do not parse or the name is taken. */
export function registerRewrite(
  pass: { readonly name: string; readonly level: Level; readonly summary: string } & RewriteRule,
  position?: PassPosition,
): Pass {
  const rewriter = new Rewriter(pass);
  const registered: Pass = {
    name: pass.name,
    level: pass.level,
    summary: pass.summary,
    run: (graph) => rewriter.run(graph) > 0,
  };
  registerPass(registered, position);
  return registered;
}
