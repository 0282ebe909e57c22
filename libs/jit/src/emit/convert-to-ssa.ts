// From variables to SSA. Stores of enclosing variables become operands and results of prim::If and prim::Loop, break and
// continue become prim::LoopContinuation with the values that the next turn would start with, loop conditions move into
// the body, loads and stores go, and exits are turned into data by exit-transforms.ts. After TorchScript's convert_to_ssa.
import type { Block, Node, Type, Value, Graph } from '@weft/ir';
import { InternalError, IntType, unifyTypes } from '@weft/ir';
import { constantValue, insertConstant } from './constants.ts';
import { isMeaningful } from './environment.ts';
import { transformExits } from './exit-transforms.ts';
import { emitOperator } from './schema-matching.ts';

export function convertToSsa(graph: Graph): void {
  addControlFlowVariables(graph.block, undefined);
  new LoopExits(graph).run(graph.block);
  inlineLoopConditions(graph.block);
  eraseLoadsAndStores(graph.block, undefined);
  transformExits(graph);
  canonicalizeModifiedLoops(graph.block);
}

/** Values of an enclosing graph stand for themselves when a block is copied inside it. */
class OpenMap extends Map<Value, Value> {
  override get(key: Value): Value {
    return super.get(key) ?? key;
  }
}

/** A copy of `source`'s contents in `target`, which stands where the same outer values are visible. */
export function cloneInto(
  target: Block,
  source: Block,
  replace: (value: Value) => Value = (value) => value,
): void {
  const map = new (class extends OpenMap {
    override get(key: Value): Value {
      return this.has(key) ? super.get(key) : replace(key);
    }
  })();
  target.copyFrom(source, map);
}

export function moveNodesBefore(block: Block, before: Node): void {
  for (const node of [...block.nodes()]) node.moveBefore(before);
}

/** A chain of tables, one a block. */
class ScopeFrame<T> {
  private readonly table = new Map<string, T>();
  constructor(readonly parent: ScopeFrame<T> | undefined) {}
  get names(): string[] {
    return [...this.table.keys()].sort();
  }
  here(name: string): T | undefined {
    return this.table.get(name);
  }
  find(name: string): T | undefined {
    return this.table.get(name) ?? this.parent?.find(name);
  }
  set(name: string, value: T): void {
    this.table.set(name, value);
  }
}

// ---- 1. Variables that cross control flow ---------------------------------------------------------------------------

const createLoad = (graph: Graph, name: string, type: Type): Node =>
  graph.create('prim::Load', [], [type]).set('name', { kind: 's', value: name });
const createStore = (graph: Graph, name: string, value: Value): Node =>
  graph.create('prim::Store', [value], 0).set('name', { kind: 's', value: name });

/** The type of the variable: the annotated one where that is a union, else the value's. */
function storedType(store: Node): Type {
  const annotated = store.attributes.get('types');
  return annotated?.kind === 'tys' ? annotated.value[0] : store.inputs[0].type;
}

function addControlFlowVariables(block: Block, parent: ScopeFrame<Type> | undefined): ScopeFrame<Type> {
  const frame = new ScopeFrame(parent);
  for (const node of block.nodes()) {
    switch (node.kind) {
      case 'prim::If':
        addIfVariables(node, frame);
        break;
      case 'prim::Loop':
        addLoopVariables(node, frame);
        break;
      case 'prim::Closure':
        for (const inner of node.blocks) addControlFlowVariables(inner, frame);
        break;
      case 'prim::ComprehensionScope':
        addControlFlowVariables(node.blocks[0], frame);
        break;
      case 'prim::Store':
        frame.set(node.get('s', 'name'), storedType(node));
        break;
      default:
    }
  }
  return frame;
}

function addBlockOutput(block: Block, name: string, type: Type): void {
  block.addOutput(block.appendNode(createLoad(block.graph, name, type)).output);
}

function addNodeOutput(node: Node, name: string, type: Type): void {
  const output = node.addOutput(type);
  if (isMeaningful(name)) output.claimName(displayName(name));
  createStore(node.graph, name, output).insertAfter(node);
}

const displayName = (name: string): string => name.replace(/(?<=.)\$.*$/, '');

function addIfVariables(node: Node, parent: ScopeFrame<Type>): void {
  const frames = node.blocks.map((block) => addControlFlowVariables(block, parent));
  const names = new Set<string>();
  for (const [index, frame] of frames.entries()) {
    for (const name of frame.names) if (frames[1 - index].find(name) !== undefined) names.add(name);
  }
  for (const name of [...names].sort()) {
    const types = frames.map((frame) => frame.find(name)!);
    const unified = unifyTypes(types[0], types[1]);
    if (unified === undefined) continue;
    for (const [index, block] of node.blocks.entries()) addBlockOutput(block, name, types[index]);
    addNodeOutput(node, name, unified);
    parent.set(name, unified);
  }
}

function addLoopVariables(node: Node, parent: ScopeFrame<Type>): void {
  const [body] = node.blocks;
  const frame = addControlFlowVariables(body, parent);
  for (const name of frame.names) {
    // Variables of the body alone are not carried.
    const outer = parent.find(name);
    if (outer === undefined) continue;
    const inner = frame.here(name)!;
    const unified = unifyTypes(outer, inner);
    if (unified === undefined) throw new InternalError(`the types of loop variable '${name}' do not unify`);
    node.addInput(createLoad(node.graph, name, outer).insertBefore(node).output);
    const carried = body.addInput(unified);
    if (isMeaningful(name)) carried.claimName(displayName(name));
    createStore(node.graph, name, carried).insertAfter(body.paramNode);
    addBlockOutput(body, name, inner);
    addNodeOutput(node, name, unified);
    parent.set(name, unified);
  }
}

// ---- 2. break and continue ------------------------------------------------------------------------------------------

class LoopExits {
  private loop: Node | undefined;
  private falseValue!: Value;
  constructor(private readonly graph: Graph) {}

  run(block: Block): void {
    const first = block.paramNode.next!;
    this.falseValue = this.graph.withInsertPoint(first, () => insertConstant(this.graph, false));
    this.visit(block);
  }

  private visit(block: Block): void {
    for (const node of [...block.nodes()]) {
      switch (node.kind) {
        case 'prim::If':
        case 'prim::ComprehensionScope':
          for (const inner of node.blocks) this.visit(inner);
          break;
        case 'prim::Closure':
          new LoopExits(this.graph).run(node.blocks[0]);
          break;
        case 'prim::Loop': {
          const saved = this.loop;
          this.loop = node;
          this.visit(node.blocks[0]);
          this.loop = saved;
          break;
        }
        case 'prim::ContinueStmt': {
          const exit = this.graph.create('prim::LoopContinuation', [], 0).insertAfter(node);
          const header = exit.addBlock();
          cloneInto(header, this.loop!.blocks[1]);
          moveNodesBefore(header, node);
          const [condition] = header.outputs;
          exit.addInput(condition);
          exit.removeBlock(0);
          this.addCarried(exit);
          node.destroy();
          break;
        }
        case 'prim::BreakStmt': {
          const exit = this.graph.create('prim::LoopContinuation', [this.falseValue], 0).insertAfter(node);
          this.addCarried(exit);
          node.destroy();
          break;
        }
        default:
      }
    }
  }

  /** The variables that the loop carries, as they are at the exit. */
  private addCarried(exit: Node): void {
    for (const output of this.loop!.blocks[0].outputs) {
      if (output.node.kind !== 'prim::Load')
        throw new InternalError('a loop carries something that is no variable');
      const load = createLoad(this.graph, output.node.get('s', 'name'), output.type).insertBefore(exit);
      exit.addInput(load.output);
    }
  }
}

// ---- 3. Loop conditions ---------------------------------------------------------------------------------------------

/** The block of the condition is copied before the loop and moved to the end of the body. */
function inlineLoopConditions(block: Block): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) inlineLoopConditions(inner);
    if (node.kind !== 'prim::Loop') continue;
    const [body, condition] = node.blocks;
    const copy = node.addBlock();
    cloneInto(copy, condition);
    moveNodesBefore(copy, node);
    node.insertInput(1, copy.outputs[0]);
    node.removeBlock(2);
    moveNodesBefore(condition, body.returnNode);
    body.returnNode.insertInput(0, condition.outputs[0]);
    node.removeBlock(1);
  }
}

// ---- 4. Loads and stores --------------------------------------------------------------------------------------------

function eraseLoadsAndStores(block: Block, parent: ScopeFrame<Value> | undefined): void {
  const frame = new ScopeFrame(parent);
  for (const node of [...block.nodes()]) {
    switch (node.kind) {
      case 'prim::Store':
        frame.set(node.get('s', 'name'), node.inputs[0]);
        node.destroy();
        break;
      case 'prim::Load': {
        const value = frame.find(node.get('s', 'name'));
        if (value === undefined)
          throw new InternalError(`variable '${node.get('s', 'name')}' is read before it is set`);
        node.output.replaceAllUsesWith(value);
        node.destroy();
        break;
      }
      case 'prim::ComprehensionScope':
        eraseLoadsAndStores(node.blocks[0], frame);
        moveNodesBefore(node.blocks[0], node);
        node.destroy();
        break;
      default:
        for (const inner of node.blocks) eraseLoadsAndStores(inner, frame);
    }
  }
}

// ---- 5. Loops with both a trip count and a condition ----------------------------------------------------------------

/** Such a loop becomes a plain while that counts itself, so that it can be written as Python. */
function canonicalizeModifiedLoops(block: Block): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) canonicalizeModifiedLoops(inner);
    if (node.kind === 'prim::Loop') canonicalizeModifiedLoop(node);
  }
}

const endless = 2n ** 63n - 1n;

function canonicalizeModifiedLoop(loop: Node): void {
  const { graph } = loop;
  const [body] = loop.blocks;
  const [trips, start] = loop.inputs;
  const counts = constantValue(trips) !== endless;
  const startConstant = constantValue(start);
  const conditional = !(startConstant === true && constantValue(body.outputs[0]) === true);
  if (!counts || !conditional) return;
  const range = loop.source!;
  const [zero, one] = graph.withInsertPoint(loop, () => {
    const constants = [insertConstant(graph, 0n), insertConstant(graph, 1n)];
    let condition = emitOperator(graph, range, 'aten::gt', [trips, constants[0]]);
    loop.replaceInput(0, insertConstant(graph, endless));
    if (startConstant !== true) condition = emitOperator(graph, range, 'aten::__and__', [condition, start]);
    loop.replaceInput(1, condition);
    return constants;
  });
  loop.addOutput(IntType);
  loop.addInput(zero);
  const counter = body.addInput(IntType);
  body.inputs[0].setName(undefined).replaceAllUsesWith(counter);
  graph.withInsertPoint(body, () => {
    const next = emitOperator(graph, range, 'aten::add', [counter, one]);
    body.addOutput(next);
    const more = emitOperator(graph, range, 'aten::lt', [next, trips]);
    body.replaceOutput(0, emitOperator(graph, range, 'aten::__and__', [more, body.outputs[0]]));
  });
}
