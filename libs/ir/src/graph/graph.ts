// Graph, Block, Node, Value: the SSA structure that both levels of the IR share. It knows nothing of what operators
// mean. After TorchScript's ir.h: a Graph owns one top Block; a Block has parameters, a list of Nodes, and outputs; a Node
// has a kind, attributes, operands, outputs and nested Blocks; every Value knows its uses. Values of enclosing blocks may be
// used inside nested ones, never the other way. The invariants are written out in verifier.ts.
import { InternalError } from '../errors.ts';
import type { Type } from '../types/types.ts';
import { AnyTensorType } from '../types/types.ts';
import type { Attribute, AttributeKind, AttributeValue } from './attribute.ts';
import { kindOf } from './kinds.ts';
import { NodesInOrder, NodesInReverse } from './node-iterators.ts';
import type { SourceRange } from './source-range.ts';

/** One place where a value is read: operand `index` of `user`, or output `index` of the block that `user` returns. */
export interface Use {
  readonly user: Node;
  readonly index: number;
}

// Graphs have tens of thousands of nodes: lists are as long as they need to be, empty ones are one object, and copies of a node
// have one map of attributes until one of them is changed.
const noUses: readonly Use[] = [];
const noValues: readonly Value[] = [];
const noBlocks: readonly Block[] = [];
const noAttributes: ReadonlyMap<string, Attribute> = new Map();

/** The list with an item more: itself, or the first of its own. */
function withItem<T>(list: readonly T[], item: T): readonly T[] {
  if (list.length === 0) return [item];
  (list as T[]).push(item);
  return list;
}

/** An SSA value: a parameter of a block or an output of a node. */
export class Value {
  /** @internal Set by nodes. */
  uses: readonly Use[] = noUses;
  private debugName: string | undefined = undefined;

  /** @internal Values are made by blocks and nodes. */
  constructor(
    public id: number,
    readonly node: Node,
    public type: Type,
  ) {}

  get graph(): Graph {
    return this.node.graph;
  }
  get index(): number {
    return this.node.outputs.indexOf(this);
  }
  /** Whether this is a parameter of a block. */
  get isParameter(): boolean {
    return this.node.kind === 'prim::Param';
  }
  get hasUses(): boolean {
    return this.uses.length > 0;
  }
  /** The printed name without `%`: the one given, else the number. */
  get name(): string {
    return this.debugName ?? String(this.id);
  }
  get hasName(): boolean {
    return this.debugName !== undefined;
  }

  /**
   * Names the value; when the name is taken in the graph, `.1`, `.2`, … is appended as PyTorch does. Characters that
   * the printed form needs for itself become `_`, and a number (the name of unnamed values) gets one in front.
   */
  setName(name: string | undefined): this {
    if (this.debugName !== undefined) this.graph.releaseName(this.debugName);
    this.debugName = name === undefined ? undefined : this.graph.uniqueName(printableName(name), this);
    return this;
  }

  setType(type: Type): this {
    this.type = type;
    return this;
  }

  /** Takes the name as PyTorch's front end does: a value that has it already gets a numeric suffix instead. */
  claimName(name: string): this {
    const owner = this.graph.valueNamed(name);
    if (owner === this) return this;
    owner?.setName(undefined);
    this.setName(name);
    owner?.setName(name.replace(/\.\d+$/, ''));
    return this;
  }

  /** Gives `this` the type and, if it has one, the name of `other`. */
  copyMetadata(other: Value): this {
    this.type = other.type;
    if (other.debugName === undefined) return this;
    if (this.debugName !== undefined) this.graph.releaseName(this.debugName);
    this.debugName = this.graph.uniqueName(other.debugName, this);
    return this;
  }

  /** Every use of this value becomes a use of `replacement`. Result: this value has no uses. */
  replaceAllUsesWith(replacement: Value): void {
    if (replacement === this) return;
    const { uses } = this;
    this.uses = noUses;
    for (const use of uses) {
      (use.user.inputs as Value[])[use.index] = replacement;
      replacement.addUse(use);
    }
  }

  /** @internal */
  addUse(use: Use): void {
    this.uses = withItem(this.uses, use);
  }

  /** @internal */
  dropUse(user: Node, index: number): void {
    const { uses } = this;
    // The last ones are the first to go where a block is taken apart.
    const at = uses.findLastIndex((use) => use.user === user && use.index === index);
    if (at < 0) throw new InternalError(`use ${index} of %${this.name} in ${user.kind} is not recorded`);
    if (uses.length === 1) this.uses = noUses;
    else (uses as Use[]).splice(at, 1);
  }
}

/** An operation. Kinds are namespaced: `aten::add`, `prim::If`, `core::dot_general`. */
export class Node {
  readonly kind: string;
  /** The part of the kind after `::`. */
  readonly operator: string;
  /** Changed by the methods below alone, as are `outputs`, `blocks` and `attributes`. */
  inputs: readonly Value[] = noValues;
  outputs: readonly Value[] = noValues;
  blocks: readonly Block[] = noBlocks;
  attributes: ReadonlyMap<string, Attribute> = noAttributes;
  /** Whether `attributes` is another node's too. */
  private sharesAttributes = true;
  source: SourceRange | undefined = undefined;
  /** The path of modules that a trace was in: `__module.layers/__module.layers.0`. */
  scope: string | undefined = undefined;
  /** The block this node stands in; undefined while it is not inserted. */
  block: Block | undefined = undefined;
  /** @internal Neighbours in the block's list. */
  prev: Node | undefined = undefined;
  /** @internal */
  next: Node | undefined = undefined;
  /** @internal Position in the block, for `isBefore`. */
  position = 0;
  /**
   * Name of the schema's overload once it is resolved ('' is one too). The printed form does not show it; the
   * parser and the emitters resolve it.
   */
  overload: string | undefined = undefined;

  /** @internal Nodes are made by `Graph.create`. */
  constructor(
    readonly graph: Graph,
    kind: string,
  ) {
    const parts = kindOf(kind);
    this.kind = parts.kind;
    this.operator = parts.operator;
  }

  get output(): Value {
    if (this.outputs.length !== 1) {
      throw new InternalError(`${this.kind} has ${this.outputs.length} outputs where one is expected`);
    }
    return this.outputs[0];
  }

  get namespace(): string {
    return kindOf(this.kind).namespace;
  }

  /** The value of attribute `name`; throws InternalError when it is absent or of another kind. */
  get<K extends AttributeKind>(kind: K, name: string): AttributeValue<K> {
    const attribute = this.attributes.get(name);
    if (attribute?.kind !== kind) {
      throw new InternalError(`${this.kind} has no attribute '${name}' of kind ${kind}`);
    }
    return attribute.value as AttributeValue<K>;
  }

  /** As `get`, or undefined when the attribute is absent. */
  find<K extends AttributeKind>(kind: K, name: string): AttributeValue<K> | undefined {
    return this.attributes.has(name) ? this.get(kind, name) : undefined;
  }

  set(name: string, attribute: Attribute): this {
    if (this.sharesAttributes) {
      this.attributes = new Map(this.attributes);
      this.sharesAttributes = false;
    }
    (this.attributes as Map<string, Attribute>).set(name, attribute);
    return this;
  }

  /** Gives `this` the attributes of `other`, in the place of its own. */
  copyAttributes(other: Node): this {
    this.attributes = other.attributes;
    this.sharesAttributes = other.sharesAttributes = true;
    return this;
  }

  /** An int attribute as a number. */
  int(name: string): number {
    return Number(this.get('i', name));
  }
  /** A list-of-ints attribute as numbers. */
  ints(name: string): number[] {
    return this.get('is', name).map(Number);
  }
  intPairs(name: string): number[][] {
    return this.get('iss', name).map((row) => row.map(Number));
  }

  addInput(value: Value): this {
    value.addUse({ user: this, index: this.inputs.length });
    this.inputs = withItem(this.inputs, value);
    return this;
  }

  /** @internal All inputs of a node that has none yet. */
  setInputs(values: readonly Value[]): void {
    if (values.length === 0) return;
    this.inputs = values.slice();
    for (let index = 0; index < values.length; index++) values[index].addUse({ user: this, index });
  }

  insertInput(index: number, value: Value): this {
    const tail = this.inputs.slice(index);
    this.truncateInputs(index);
    this.addInput(value);
    for (const input of tail) this.addInput(input);
    return this;
  }

  /** Operand `index` becomes `value`. Returns the old operand. */
  replaceInput(index: number, value: Value): Value {
    const old = this.inputs[index];
    old.dropUse(this, index);
    (this.inputs as Value[])[index] = value;
    value.addUse({ user: this, index });
    return old;
  }

  removeInput(index: number): void {
    const tail = this.inputs.slice(index + 1);
    this.truncateInputs(index);
    for (const input of tail) this.addInput(input);
  }

  removeAllInputs(): void {
    this.truncateInputs(0);
  }

  private truncateInputs(length: number): void {
    const { inputs } = this;
    for (let index = length; index < inputs.length; index++) inputs[index].dropUse(this, index);
    if (length === 0) this.inputs = noValues;
    else (inputs as Value[]).length = length;
  }

  addOutput(type: Type = AnyTensorType): Value {
    const value = new Value(this.graph.nextValueId(), this, type);
    this.outputs = withItem(this.outputs, value);
    return value;
  }

  /** Removes output `index`, which must have no uses. */
  removeOutput(index: number): void {
    const value = this.outputs[index];
    if (value.hasUses)
      throw new InternalError(`output %${value.name} of ${this.kind} is removed while it is used`);
    value.setName(undefined);
    if (this.outputs.length === 1) this.outputs = noValues;
    else (this.outputs as Value[]).splice(index, 1);
  }

  addBlock(): Block {
    const block = new Block(this.graph, this);
    this.blocks = withItem(this.blocks, block);
    return block;
  }

  removeBlock(index: number): void {
    this.blocks[index].clear();
    if (this.blocks.length === 1) this.blocks = noBlocks;
    else (this.blocks as Block[]).splice(index, 1);
  }

  /** Inserts this node, which stands nowhere, before `other`. */
  insertBefore(other: Node): this {
    if (this.block !== undefined) throw new InternalError(`${this.kind} is inserted twice`);
    if (other.block === undefined) throw new InternalError(`${other.kind} stands in no block`);
    this.block = other.block;
    this.prev = other.prev;
    this.next = other;
    if (other.prev !== undefined) other.prev.next = this;
    other.prev = this;
    this.block.nodeInserted(this);
    return this;
  }

  insertAfter(other: Node): this {
    if (other.next === undefined) throw new InternalError('nothing can stand after the return of a block');
    return this.insertBefore(other.next);
  }

  moveBefore(other: Node): this {
    this.unlink();
    return this.insertBefore(other);
  }

  moveAfter(other: Node): this {
    this.unlink();
    return this.insertAfter(other);
  }

  private unlink(): void {
    if (this.block === undefined) return;
    if (this.prev !== undefined) this.prev.next = this.next;
    if (this.next !== undefined) this.next.prev = this.prev;
    this.block.nodeRemoved(this);
    this.block = this.prev = this.next = undefined;
  }

  /** Whether this node stands before `other` of the same block. */
  isBefore(other: Node): boolean {
    this.block?.number();
    return this.position < other.position;
  }

  /** Removes the node with its blocks. Its outputs must have no uses. */
  destroy(): void {
    while (this.outputs.length > 0) this.removeOutput(this.outputs.length - 1);
    while (this.blocks.length > 0) this.removeBlock(this.blocks.length - 1);
    this.removeAllInputs();
    this.unlink();
  }

  /** Outputs of this node are replaced, one to one, by `values`; then the node is destroyed. */
  replaceWith(values: readonly Value[]): void {
    this.outputs.forEach((output, index) => output.replaceAllUsesWith(values[index]));
    this.destroy();
  }
}

/** Between the positions of neighbours; a block of 8 million nodes has positions of 31 bits. */
const spacing = 256;

/** A list of nodes with parameters and outputs. `paramNode` and `returnNode` bracket the list and are not part of it. */
export class Block {
  readonly paramNode: Node;
  readonly returnNode: Node;

  /** @internal Blocks are made by `Node.addBlock` and by `Graph`. */
  constructor(
    readonly graph: Graph,
    readonly owner: Node | undefined,
  ) {
    this.paramNode = new Node(graph, 'prim::Param');
    this.returnNode = new Node(graph, 'prim::Return');
    this.paramNode.block = this.returnNode.block = this;
    this.paramNode.next = this.returnNode;
    this.returnNode.prev = this.paramNode;
    this.paramNode.position = -(2 ** 31);
    this.returnNode.position = 2 ** 31 - 1;
  }

  get inputs(): readonly Value[] {
    return this.paramNode.outputs;
  }
  get outputs(): readonly Value[] {
    return this.returnNode.inputs;
  }

  addInput(type: Type = AnyTensorType, name?: string): Value {
    return this.paramNode.addOutput(type).setName(name);
  }
  removeInput(index: number): void {
    this.paramNode.removeOutput(index);
  }
  addOutput(value: Value): void {
    this.returnNode.addInput(value);
  }
  removeOutput(index: number): void {
    this.returnNode.removeInput(index);
  }
  replaceOutput(index: number, value: Value): void {
    this.returnNode.replaceInput(index, value);
  }

  /** The nodes in order. The current node may be destroyed or moved while iterating. */
  nodes(): IterableIterator<Node> {
    return new NodesInOrder(this);
  }

  /** The nodes from last to first. The current node may be destroyed. */
  reverseNodes(): IterableIterator<Node> {
    return new NodesInReverse(this);
  }

  appendNode(node: Node): Node {
    return node.insertBefore(this.returnNode);
  }
  prependNode(node: Node): Node {
    return node.insertAfter(this.paramNode);
  }

  /** Destroys every node and output. The outputs of its nodes must not be used outside. */
  clear(): void {
    this.returnNode.removeAllInputs();
    for (const node of this.reverseNodes()) node.destroy();
  }

  /**
   * Appends copies of `source`'s parameters, nodes and outputs to this block. `map` takes values of the source's
   * graph to values of this one: captured values must be in it beforehand; all copied ones are added.
   */
  copyFrom(source: Block, map: Map<Value, Value>): void {
    for (const input of source.inputs) map.set(input, this.addInput(input.type).copyMetadata(input));
    for (const node of source.nodes()) this.appendNode(cloneNode(this.graph, node, map));
    for (const output of source.outputs) this.addOutput(lookUp(map, output));
  }

  /** The block that encloses this one's owner, or undefined for the top block. */
  get parent(): Block | undefined {
    return this.owner?.block;
  }

  /** Whether this block is `other` or encloses it. */
  encloses(other: Block): boolean {
    for (let block: Block | undefined = other; block !== undefined; block = block.parent) {
      if (block === this) return true;
    }
    return false;
  }

  /** @internal */
  nodeInserted(node: Node): void {
    const before = node.prev === this.paramNode ? undefined : node.prev!.position;
    const after = node.next === this.returnNode ? undefined : node.next!.position;
    if (before === undefined && after === undefined) node.position = 0;
    else if (after === undefined) node.position = before! + spacing;
    else if (before === undefined) node.position = after - spacing;
    else {
      node.position = before + Math.floor((after - before) / 2);
      if (node.position === before) this.isNumbered = false;
    }
  }
  /** Whether positions are in order: they get so again when somebody asks. */
  private isNumbered = true;

  /** @internal */
  nodeRemoved(_node: Node): void {}

  /** @internal Puts positions in order. */
  number(): void {
    if (this.isNumbered) return;
    this.isNumbered = true;
    let position = 0;
    for (let node = this.paramNode.next; node !== undefined && node !== this.returnNode; node = node.next) {
      node.position = position += spacing;
    }
  }
}

/** A whole graph, and the place to make nodes and values. */
export class Graph {
  readonly block: Block;
  private valueCount = 0;
  private readonly names = new Map<string, Value>();
  private readonly suffixes = new Map<string, number>();
  private insertPoint: Node;
  /** Source range given to nodes created from now on. */
  currentSource: SourceRange | undefined;
  /** While code of an archive is compiled: the version whose operators it was written for. */
  operatorVersion: number | undefined;

  constructor() {
    this.block = new Block(this, undefined);
    this.insertPoint = this.block.returnNode;
  }

  get inputs(): readonly Value[] {
    return this.block.inputs;
  }
  get outputs(): readonly Value[] {
    return this.block.outputs;
  }
  get returnNode(): Node {
    return this.block.returnNode;
  }
  nodes(): IterableIterator<Node> {
    return this.block.nodes();
  }
  addInput(type?: Type, name?: string): Value {
    return this.block.addInput(type, name);
  }
  addOutput(value: Value): void {
    this.block.addOutput(value);
  }

  /** A node that stands nowhere yet, with `outputs` outputs of unknown tensor type (or of the types given). */
  create(kind: string, inputs: readonly Value[] = [], outputs: number | readonly Type[] = 1): Node {
    const node = new Node(this, kind);
    node.source = this.currentSource;
    node.setInputs(inputs);
    if (typeof outputs !== 'number') for (const type of outputs) node.addOutput(type);
    else for (let index = 0; index < outputs; index++) node.addOutput(AnyTensorType);
    return node;
  }

  /** Creates a node and inserts it at the insertion point. */
  insert(kind: string, inputs: readonly Value[] = [], outputs: number | readonly Type[] = 1): Node {
    return this.insertNode(this.create(kind, inputs, outputs));
  }

  insertNode(node: Node): Node {
    return node.insertBefore(this.insertPoint);
  }

  /** Nodes are inserted before `point`: a node, or the end of a block. */
  setInsertPoint(point: Node | Block): void {
    this.insertPoint = point instanceof Block ? point.returnNode : point;
  }
  getInsertPoint(): Node {
    return this.insertPoint;
  }

  /** Runs `body` with another insertion point and restores the old one, also when it throws. */
  withInsertPoint<T>(point: Node | Block, body: () => T): T {
    const saved = this.insertPoint;
    this.setInsertPoint(point);
    try {
      return body();
    } finally {
      this.insertPoint = saved;
    }
  }

  /** @internal */
  nextValueId(): number {
    return this.valueCount++;
  }

  /** @internal Values made from now on have ids from `id`, so that those below it can be given by a parser. */
  startIdsAt(id: number): void {
    this.valueCount = Math.max(this.valueCount, id);
  }

  /** @internal PyTorch's rule: a taken name gets the next free numeric suffix. */
  uniqueName(wanted: string, value: Value): string {
    let name = wanted;
    if (this.names.has(name)) {
      const base = wanted.replace(/\.\d+$/, '');
      let suffix = this.suffixes.get(base) ?? 1;
      do name = `${base}.${suffix++}`;
      while (this.names.has(name));
      this.suffixes.set(base, suffix);
    }
    this.names.set(name, value);
    return name;
  }
  /** The value that is printed as `%name`, if any has been named so. */
  valueNamed(name: string): Value | undefined {
    return this.names.get(name);
  }
  /** @internal */
  releaseName(name: string): void {
    this.names.delete(name);
  }

  /** A copy: equal structure, types, names, attributes (subgraphs shared) and sources. */
  clone(): Graph {
    const copy = new Graph();
    copy.block.copyFrom(this.block, new Map());
    return copy;
  }
}

const printableName = (name: string): string => {
  const printable = name.replace(/[\s,():=%#]/g, '_');
  return /^\d*$/.test(printable) ? `_${printable}` : printable;
};

/** A copy of `node` for `graph`, standing nowhere; operands go through `map`, and its outputs are added to `map`. */
export function cloneNode(graph: Graph, node: Node, map: Map<Value, Value>): Node {
  const copy = graph.create(
    node.kind,
    node.inputs.map((input) => lookUp(map, input)),
    0,
  );
  copy.source = node.source;
  copy.scope = node.scope;
  copy.overload = node.overload;
  copy.copyAttributes(node);
  for (const block of node.blocks) copy.addBlock().copyFrom(block, map);
  for (const output of node.outputs) map.set(output, copy.addOutput(output.type).copyMetadata(output));
  return copy;
}

function lookUp(map: Map<Value, Value>, value: Value): Value {
  const copy = map.get(value);
  if (copy === undefined) throw new InternalError(`%${value.name} is copied from but not mapped`);
  return copy;
}
