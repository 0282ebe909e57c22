// Turns exits into data. prim::LoopContinuation leaves for the end of its loop's body, prim::ReturnStmt for the end of the
// function; on the way every block says whether it has exited (a bool) and with which values, and what follows a
// possible exit runs under a prim::If. After TorchScript's exit_transforms.
import type { Block, Graph, Node, Type, Value } from '@weft/ir';
import { BoolType, typesEqual, unifyTypes } from '@weft/ir';
import { constantValue, insertConstant } from './constants.ts';
import { cloneInto } from './convert-to-ssa.ts';

export function transformExits(graph: Graph): void {
  enterWithBlocks(graph.block);
  new ExitTransformer(graph, 'prim::LoopContinuation').run();
  new ExitTransformer(graph, 'prim::ReturnStmt').run();
  inlineConsecutiveIfs(graph.block);
  leaveWithBlocks(graph.block);
}

/** Whether an exit has been taken, and the values it leaves with. */
interface Exit {
  readonly taken: Value;
  readonly values: readonly Value[];
}

/** Of a block: it exits always, perhaps, never, or it throws. */
type Status = 'will' | 'might' | 'wont' | 'throws';

class ExitTransformer {
  private readonly yes: Value;
  private readonly no: Value;
  /** Never read: what throws does not go on. */
  private readonly thrown: Value;
  private readonly units: { type: Type; value: Value }[] = [];
  private target: Block | undefined;

  constructor(
    private readonly graph: Graph,
    private readonly exitKind: string,
  ) {
    const first = graph.block.paramNode.next!;
    [this.yes, this.no] = graph.withInsertPoint(first, () => [
      insertConstant(graph, true),
      insertConstant(graph, false),
    ]);
    this.thrown = this.unit(BoolType);
  }

  run(): void {
    this.transform(this.graph.block);
  }

  /** One uninitialised value a type, at the head of the graph. */
  private unit(type: Type): Value {
    const found = this.units.find((candidate) => typesEqual(candidate.type, type));
    if (found !== undefined) return found.value;
    const node = this.graph.create('prim::Uninitialized', [], [type]).insertAfter(this.graph.block.paramNode);
    this.units.push({ type, value: node.output });
    return node.output;
  }

  private status({ taken }: Exit): Status {
    if (taken === this.yes) return 'will';
    if (taken === this.no) return 'wont';
    return taken === this.thrown ? 'throws' : 'might';
  }

  private get none(): Exit {
    return { taken: this.no, values: [] };
  }

  private transform(block: Block): Exit {
    const outer = this.target;
    if (this.isTarget(block)) this.target = block;
    let exit = this.none;
    const rest = [...block.nodes()];
    while (rest.length > 0) {
      const node = rest.shift()!;
      switch (node.kind) {
        case 'prim::RaiseException':
          exit = { taken: this.thrown, values: [] };
          break;
        case 'prim::ReturnStmt':
        case 'prim::LoopContinuation':
          if (node.kind === this.exitKind) {
            exit = { taken: this.yes, values: [...node.inputs] };
            node.destroy();
          }
          break;
        case 'prim::If':
          exit = this.transformIf(node);
          break;
        case 'prim::With':
          exit = this.transform(node.blocks[0]);
          break;
        case 'prim::Closure':
          this.transform(node.blocks[0]);
          break;
        case 'prim::Loop':
          exit = this.transformLoop(node);
          break;
        default:
      }
      const status = this.status(exit);
      if (status === 'will' || status === 'throws') {
        this.deleteUnreachable(rest);
        break;
      }
      if (status === 'might') {
        if (rest.length > 0) exit = this.guard(block, exit, rest);
        break;
      }
    }
    if (this.target === block) {
      const status = this.status(exit);
      if (status === 'might') {
        const choice = this.graph.create('prim::If', [exit.taken], 0).insertBefore(block.returnNode);
        choice.addBlock();
        choice.addBlock();
        this.addIfOutputs(choice, exit.values, [...block.outputs]);
        this.replaceOutputs(block, choice.outputs);
      } else if (status === 'will') {
        this.replaceOutputs(block, exit.values);
      }
      // An exit goes no further than its target.
      exit = this.none;
    }
    this.target = outer;
    return exit;
  }

  private isTarget(block: Block): boolean {
    const owner = block.owner?.kind;
    return this.exitKind === 'prim::LoopContinuation'
      ? owner === 'prim::Loop'
      : owner === undefined || owner === 'prim::Closure';
  }

  private replaceOutputs(block: Block, values: readonly Value[]): void {
    while (block.outputs.length > 0) block.removeOutput(block.outputs.length - 1);
    for (const value of values) block.addOutput(value);
  }

  private addIfOutputs(node: Node, then: readonly Value[], otherwise: readonly Value[]): Value[] {
    return then.map((value, index) => {
      const other = otherwise[index];
      node.blocks[0].addOutput(value);
      node.blocks[1].addOutput(other);
      return node.addOutput(unifyTypes(value.type, other.type, true) ?? value.type);
    });
  }

  private transformIf(node: Node): Exit {
    const exits = node.blocks.map((block) => this.transform(block));
    const [then, otherwise] = exits.map((exit) => this.status(exit));
    const status: Status =
      then === 'throws' ? otherwise : otherwise === 'throws' ? then : then === otherwise ? then : 'might';
    if (status === 'throws') return { taken: this.thrown, values: [] };
    if (status === 'wont') return this.none;
    // The branch that does not exit gives values that nobody reads.
    for (const [index, own] of [then, otherwise].entries()) {
      if (own !== 'wont' && own !== 'throws') continue;
      const values = exits[1 - index].values.map((value) => this.unit(value.type));
      exits[index] = { taken: exits[index].taken, values };
      break;
    }
    const taken =
      status === 'will' ? this.yes : this.addIfOutputs(node, [exits[0].taken], [exits[1].taken])[0];
    return { taken, values: this.addIfOutputs(node, exits[0].values, exits[1].values) };
  }

  private transformLoop(node: Node): Exit {
    const { graph } = this;
    const [body] = node.blocks;
    const exit = this.transform(body);
    const status = this.status(exit);
    if (status === 'wont' || status === 'throws') return this.none;
    // The loop ends when an exit has been taken, and hands it on.
    const choice = graph.create('prim::If', [exit.taken], 0).insertBefore(body.returnNode);
    choice.addBlock().addOutput(this.no);
    choice.addBlock().addOutput(body.outputs[0]);
    body.replaceOutput(0, choice.addOutput(BoolType));
    const carry = (start: Value, value: Value): Value => {
      node.addInput(start);
      body.addInput(value.type);
      body.addOutput(value);
      return node.addOutput(value.type);
    };
    const taken = carry(this.no, exit.taken);
    taken.setType(BoolType);
    return { taken, values: exit.values.map((value) => carry(this.unit(value.type), value)) };
  }

  /** What follows a possible exit runs only if it was not taken. */
  private guard(block: Block, exit: Exit, rest: readonly Node[]): Exit {
    const { graph } = this;
    const choice = graph.create('prim::If', [exit.taken], 0).insertBefore(rest[0]);
    const exited = choice.addBlock();
    const guarded = choice.addBlock();
    for (const node of rest) node.moveBefore(guarded.returnNode);
    const outputs = [...block.outputs].map((output) => {
      exited.addOutput(this.unit(output.type));
      guarded.addOutput(output);
      return choice.addOutput(output.type);
    });
    this.replaceOutputs(block, outputs);
    graph.create(this.exitKind, exit.values, 0).insertBefore(exited.returnNode);
    return this.transformIf(choice);
  }

  private deleteUnreachable(rest: readonly Node[]): void {
    for (const node of [...rest].reverse()) {
      for (const output of node.outputs) {
        if (output.hasUses) output.replaceAllUsesWith(this.unit(output.type));
      }
      node.destroy();
    }
  }
}

/**
 * `if x: return 1` followed by the rest is, so far, an If that says whether it exited and a second If on that. Where both
 * branches of the first say so by constants, the second's branches move into the first's.
 */
function inlineConsecutiveIfs(block: Block): void {
  for (let node = block.paramNode.next!; node !== block.returnNode;) {
    for (const inner of node.blocks) inlineConsecutiveIfs(inner);
    if (!inlineFollowingIf(node)) node = node.next!;
  }
}

function inlineFollowingIf(first: Node): boolean {
  const second = first.next!;
  if (first.kind !== 'prim::If' || second.kind !== 'prim::If') return false;
  const condition = second.inputs[0];
  if (condition.node !== first) return false;
  const position = first.outputs.indexOf(condition);
  const known = first.blocks.map((block) => constantValue(block.outputs[position]));
  if (typeof known[0] !== 'boolean' || typeof known[1] !== 'boolean' || known[0] === known[1]) return false;
  for (const [index, block] of first.blocks.entries()) {
    const own = [...block.outputs];
    cloneInto(block, second.blocks[known[index] === true ? 0 : 1], (value) =>
      value.node === first ? own[first.outputs.indexOf(value)] : value,
    );
  }
  for (const output of second.outputs) {
    const merged = first.addOutput(output.type);
    const name = output.hasName ? output.name : undefined;
    output.setName(undefined);
    merged.setName(name);
    output.replaceAllUsesWith(merged);
  }
  second.destroy();
  return true;
}

// ---- with statements ------------------------------------------------------------------------------------------------

/** Between prim::Enter and prim::Exit an exit must not skip the latter: while exits are transformed it stands apart. */
function enterWithBlocks(top: Block): void {
  const pairs: [Node, Node][] = [];
  const open: Node[] = [];
  const visit = (block: Block): void => {
    for (const node of block.nodes()) {
      if (node.kind === 'prim::Enter') open.push(node);
      else if (node.kind === 'prim::Exit') pairs.push([open.pop()!, node]);
      for (const inner of node.blocks) visit(inner);
    }
  };
  visit(top);
  for (const [enter, exit] of pairs) {
    const { graph } = enter;
    const scope = graph.create('prim::With', [], 0);
    const body = scope.addBlock();
    const end = scope.addBlock();
    for (let node = enter.next!; node !== exit;) {
      const next = node.next!;
      node.moveBefore(body.returnNode);
      node = next;
    }
    exit.moveBefore(end.returnNode);
    scope.insertAfter(enter);
  }
}

function leaveWithBlocks(block: Block): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) leaveWithBlocks(inner);
    if (node.kind !== 'prim::With') continue;
    for (const inner of node.blocks) for (const moved of [...inner.nodes()]) moved.moveBefore(node);
    node.destroy();
  }
}
