// Code: a torch graph as a flat, immutable list of instructions over registers. Blocks become jumps. The last reader of a
// value is marked, so that the interpreter lets go of it there and memory is free at once (TorchScript's last-use moves).
// Any number of frames, on any number of threads, may run one Code.
import type { Block, Graph, IValue, Node, Type, Value } from '@weft/ir';
import { InternalError, UnsupportedError } from '@weft/ir';
import { executable } from '../passes/executable.ts';
import { runtimeConstant } from './constants.ts';
import type { Instruction, OpCode } from './instruction.ts';
import { Op } from './instruction.ts';
import { resolveOperator } from './operators.ts';

export class Code {
  private constructor(
    readonly name: string,
    readonly instructions: readonly Instruction[],
    /** The registers of a new frame: constants in place, the rest null. */
    readonly template: readonly IValue[],
    readonly inputs: readonly number[],
    readonly counters: number,
    readonly outputTypes: readonly Type[],
  ) {}

  /**
   * Compiles a graph. Throws UnsupportedError naming the operator and the line when a node has no meaning.
   * @param name the function's name in stacks of errors
   */
  static compile(written: Graph, name = 'forward'): Code {
    const graph = executable(written);
    const compiler = new Compiler(graph);
    compiler.compile();
    return new Code(
      name,
      compiler.instructions,
      compiler.template,
      graph.inputs.map((input) => compiler.register(input)),
      compiler.counters,
      graph.outputs.map((output) => output.type),
    );
  }
}

const compiled = new WeakMap<Graph, Code>();

/** The code of a graph, compiled when it is first asked for. The graph must not change afterwards. */
export function codeOf(graph: Graph, name?: string): Code {
  let code = compiled.get(graph);
  if (code === undefined) compiled.set(graph, (code = Code.compile(graph, name)));
  return code;
}

/** What an instruction is besides its operands. */
interface Extra {
  readonly payload?: unknown;
  readonly target?: number;
  readonly slot?: number;
  readonly type?: Type;
}

class Compiler {
  readonly instructions: Instruction[] = [];
  readonly template: IValue[] = [];
  counters = 0;
  private readonly registers = new Map<Value, number>();
  /** Registers to free after a node, or after the moves that end a block (under its return node). */
  private readonly lastUses = new Map<Node, number[]>();
  /** Registers to free when a block is entered: their last reader is in another branch. */
  private readonly unusedIn = new Map<Block, number[]>();

  constructor(private readonly graph: Graph) {}

  compile(): void {
    this.planFrees(this.graph.block);
    this.compileBlock(this.graph.block);
    const outputs = this.graph.outputs.map((output) => this.register(output));
    this.emit(Op.Return, outputs, [], this.graph.returnNode);
  }

  register(value: Value): number {
    let index = this.registers.get(value);
    if (index === undefined) {
      index = this.template.push(null) - 1;
      this.registers.set(value, index);
    }
    return index;
  }

  /** A register that holds a constant. */
  private constant(value: IValue): number {
    return this.template.push(value) - 1;
  }

  // ---- last uses ------------------------------------------------------------------------------------------------

  private planFrees(block: Block): void {
    for (const parameter of block.inputs) this.planValue(parameter, block);
    for (const node of block.nodes()) {
      if (node.kind !== 'prim::Constant') for (const output of node.outputs) this.planValue(output, block);
      for (const inner of node.blocks) this.planFrees(inner);
    }
  }

  private planValue(value: Value, block: Block): void {
    const register = this.register(value);
    const users = value.uses.map((use) => use.user);
    if (users.length === 0) {
      if (!value.isParameter) append(this.lastUses, value.node, register);
      return;
    }
    this.planIn(block, users, register, block.owner?.kind === 'prim::Loop' && value.isParameter);
  }

  /** Marks where a register with these readers dies in `block`. */
  private planIn(block: Block, users: readonly Node[], register: number, isCarried: boolean): void {
    const last = latest(block, users);
    if (last === block.returnNode) {
      // The parameters of a loop's block are written by the moves that end the block.
      if (!isCarried && block.owner !== undefined) append(this.lastUses, last, register);
      return;
    }
    if (last.kind !== 'prim::If' || last.inputs.some((input) => this.registers.get(input) === register)) {
      append(this.lastUses, last, register);
      return;
    }
    for (const branch of last.blocks) {
      const inside = users.filter((user) => branch.encloses(user.block!));
      if (inside.length === 0) append(this.unusedIn, branch, register);
      else this.planIn(branch, inside, register, false);
    }
  }

  // ---- instructions ---------------------------------------------------------------------------------------------

  private emit(
    op: OpCode,
    inputs: readonly number[],
    outputs: readonly number[],
    node: Node | undefined,
    { payload, target = -1, slot = -1, type }: Extra = {},
    frees?: readonly number[],
  ): Instruction {
    const instruction: Instruction = {
      op,
      inputs,
      outputs,
      frees: frees ?? (node === undefined ? [] : (this.lastUses.get(node) ?? [])),
      target,
      slot,
      payload,
      node,
      schema: undefined,
      type,
    };
    this.instructions.push(instruction);
    return instruction;
  }

  private get here(): number {
    return this.instructions.length;
  }

  private compileBlock(block: Block): void {
    for (const node of block.nodes()) this.compileNode(node);
  }

  private simple(op: OpCode, node: Node, extra?: Extra): void {
    const inputs = node.inputs.map((input) => this.register(input));
    const outputs = node.outputs.map((output) => this.register(output));
    this.emit(op, inputs, outputs, node, extra);
  }

  private compileNode(node: Node): void {
    switch (node.kind) {
      case 'prim::Constant':
        this.template[this.register(node.output)] = runtimeConstant(node);
        return;
      case 'prim::If':
        return this.compileIf(node);
      case 'prim::Loop':
        return this.compileLoop(node);
      case 'prim::Uninitialized':
        return;
      case 'prim::unchecked_cast':
      case 'prim::unchecked_unwrap_optional':
      case 'prim::profile':
      case 'prim::profile_ivalue':
      case 'prim::Guard':
      case 'prim::RequiresGradCheck':
        return this.simple(Op.Move, node);
      case 'prim::GetAttr':
        return this.simple(Op.GetAttr, node, this.attribute(node));
      case 'prim::SetAttr':
        return this.simple(Op.SetAttr, node, this.attribute(node));
      case 'prim::CreateObject':
        return this.simple(Op.Create, node, { type: node.output.type });
      case 'prim::CallMethod':
        return this.simple(Op.Method, node, { payload: node.get('s', 'name') });
      case 'prim::CallFunction':
        return this.compileCallFunction(node);
      case 'prim::ListConstruct':
        return this.simple(Op.List, node, { type: needsTag(node) ? node.output.type : undefined });
      case 'prim::DictConstruct':
        return this.simple(Op.Dict, node, { type: node.output.type });
      case 'prim::TupleConstruct': {
        const type = node.output.type;
        return this.simple(Op.Tuple, node, {
          type: type.kind === 'Tuple' && type.fields !== undefined ? type : undefined,
        });
      }
      case 'prim::TupleUnpack':
        return this.simple(Op.UnpackTuple, node);
      case 'prim::ListUnpack':
        return this.simple(Op.UnpackList, node);
      case 'prim::TupleSlice':
        return this.simple(Op.TupleSlice, node, { target: node.int('beg'), slot: node.int('end') });
      case 'prim::isinstance':
        return this.simple(Op.IsInstance, node, { payload: node.get('tys', 'types') });
      case 'prim::RaiseException':
        return this.simple(Op.Raise, node);
      case 'prim::fork':
        return this.simple(Op.Fork, node, { payload: codeOf(node.get('g', 'Subgraph'), 'fork') });
      case 'prim::Enter':
        return this.simple(Op.Enter, node);
      case 'prim::Exit':
        return this.simple(Op.Exit, node);
      default:
        return this.compileOperator(node);
    }
  }

  private compileIf(node: Node): void {
    const outputs = node.outputs.map((output) => this.register(output));
    const frees = this.lastUses.get(node) ?? [];
    const condition = this.register(node.inputs[0]);
    // What dies with the whole node is freed after it, but the condition is rarely needed in the branches.
    const { uses } = node.inputs[0];
    const isInside = (user: Node): boolean =>
      node.blocks.some((block) => user.block !== undefined && block.encloses(user.block));
    const early = uses.some(({ user }) => isInside(user)) ? [] : frees.filter((f) => f === condition);
    const branch = this.emit(Op.BranchFalse, [condition], [], node, {}, early);
    const ends: Instruction[] = [];
    node.blocks.forEach((block, index) => {
      if (index === 1) branch.target = this.here;
      this.freeNow(this.unusedIn.get(block));
      this.compileBlock(block);
      this.move(block, outputs);
      if (index === 0) ends.push(this.emit(Op.Jump, [], [], undefined));
    });
    for (const jump of ends) jump.target = this.here;
    this.freeNow(frees.filter((register) => !early.includes(register)));
  }

  /** The values that `block` returns go to `outputs`. */
  private move(block: Block, outputs: readonly number[], returned: readonly Value[] = block.outputs): void {
    const inputs = returned.map((value) => this.register(value));
    const frees = this.lastUses.get(block.returnNode) ?? [];
    if (inputs.length > 0 || frees.length > 0) this.emit(Op.Move, inputs, outputs, undefined, {}, frees);
  }

  private freeNow(registers: readonly number[] | undefined): void {
    if (registers !== undefined && registers.length > 0) this.emit(Op.Free, [], [], undefined, {}, registers);
  }

  private compileLoop(node: Node): void {
    const [body] = node.blocks;
    const slot = this.counters++;
    const trip = this.register(node.inputs[0]);
    const carried = body.inputs.slice(1).map((value) => this.register(value));
    const condition = this.constant(null);
    const initial = [node.inputs[1], ...node.inputs.slice(2)].map((value) => this.register(value));
    this.emit(Op.Move, initial, [condition, ...carried], undefined);
    this.emit(Op.LoopStart, [], [], undefined, { slot });
    const start = this.here;
    const index = body.inputs[0].hasUses ? [this.register(body.inputs[0])] : [];
    const next = this.emit(Op.LoopNext, [trip, condition], index, node, { slot }, []);
    this.compileBlock(body);
    this.move(body, [condition, ...carried]);
    this.emit(Op.Jump, [], [], undefined, { target: start });
    next.target = this.here;
    const outputs = node.outputs.map((output) => this.register(output));
    const frees = [...carried, ...(this.lastUses.get(node) ?? [])];
    this.emit(Op.Move, carried, outputs, undefined, {}, frees);
  }

  private attribute(node: Node): Extra {
    const name = node.get('s', 'name');
    const { type } = node.inputs[0];
    const slot =
      type.kind === 'Class' ? type.attributes.findIndex((attribute) => attribute.name === name) : -1;
    return { payload: name, slot };
  }

  private compileCallFunction(node: Node): void {
    const { type } = node.inputs[0];
    if (type.kind !== 'Function')
      throw new InternalError('prim::CallFunction calls something that is no function');
    const inputs = node.inputs.slice(1).map((input) => this.register(input));
    const outputs = node.outputs.map((output) => this.register(output));
    this.emit(Op.Script, inputs, outputs, node, { payload: type.function });
  }

  private compileOperator(node: Node): void {
    const operator = resolveOperator(node);
    if (operator === undefined) {
      const operands = node.inputs.map((input) => input.type.kind).join(', ');
      throw new UnsupportedError(
        `operator ${node.kind}${node.overload ? `.${node.overload}` : ''}(${operands}) has no meaning here`,
        node.source,
      );
    }
    const inputs = node.inputs.map((input) => this.register(input));
    for (const value of operator.defaults) inputs.push(this.constant(value));
    const outputs = node.outputs.map((output) => this.register(output));
    const op =
      operator.kind === 'context'
        ? Op.CallContext
        : outputs.length === 0
          ? Op.CallVoid
          : outputs.length > 1
            ? Op.CallMulti
            : inputs.length === 1
              ? Op.Call1
              : inputs.length === 2
                ? Op.Call2
                : inputs.length === 3
                  ? Op.Call3
                  : Op.CallN;
    this.emit(op, inputs, outputs, node, { payload: operator.run });
  }
}

function append<K>(map: Map<K, number[]>, key: K, item: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else if (!list.includes(item)) list.push(item);
}

/** The node of `block` itself that is, or holds, the last of `users`. */
function latest(block: Block, users: readonly Node[]): Node {
  let last: Node | undefined;
  for (const user of users) {
    let node = user;
    while (node.block !== block) node = node.block!.owner!;
    if (last === undefined || last.isBefore(node)) last = node;
  }
  return last!;
}

/** Whether a list could be taken for one of another type by its elements. */
export function needsTag(node: Node): boolean {
  const { type } = node.output;
  if (type.kind !== 'List' || node.inputs.length === 0) return true;
  return !['int', 'float', 'bool', 'str', 'Tensor', 'complex'].includes(type.element.kind);
}
