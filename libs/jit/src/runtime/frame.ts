// The interpreter: runs Code. Calls of script functions and methods push an activation instead of recursing, so a deep
// program needs no deep JavaScript stack. All state of a run is in its Frame.
import type { IValue, Node, ScriptFunction, Type } from '@weft/ir';
import { InternalError, ObjectValue, OperatorError, TupleValue, tagContainer } from '@weft/ir';
import { HostError } from '@weft/ops';
import type { Code } from './code.ts';
import { codeOf } from './code.ts';
import { RaisedException, withStack } from './errors.ts';
import { SettledFuture } from './future.ts';
import type { Callee, ContextCallee, Instruction, MultiCallee } from './instruction.ts';
import { Op } from './instruction.ts';
import { isInstance } from './is-instance.ts';
import { methodOf } from './methods.ts';

/** Told what the interpreter does while it does it. */
export interface Tracer {
  /** A function begins. */
  enter(name: string): void;
  /** The function that began last ends, by an error too. */
  leave(): void;
  /** The function goes to its next instruction, which stands for `node`; what went before is done. */
  step(node: Node | undefined): void;
}

export interface RunOptions {
  /** Receives what the program prints, newline included. Default: standard output. */
  readonly print?: (text: string) => void;
  /** Receives warnings. Default: standard error. */
  readonly warn?: (text: string) => void;
  /** Calls nested deeper fail. */
  readonly maxDepth?: number;
  /** A run of more calls and turns of loops fails. */
  readonly maxSteps?: number;
  /** Runs a call that the interpreter comes to in another way; undefined when it has to be interpreted. */
  readonly attempt?: (callee: ScriptFunction, args: readonly IValue[]) => IValue | undefined;
  /** Follows the run, all of which is interpreted then. */
  readonly tracer?: Tracer;
}

type Settings = Required<Omit<RunOptions, 'tracer'>> & Pick<RunOptions, 'tracer'>;

/** What operators that do more than compute may use. */
export interface RunContext extends Settings {
  /** Calls and turns of loops that are left to this run. */
  stepsLeft: number;
  /** Runs a function within this run. */
  call(callee: ScriptFunction, args: readonly IValue[]): IValue;
}

/** One running function. */
interface Activation {
  readonly code: Code;
  readonly registers: IValue[];
  readonly counters: number[];
  pc: number;
  /** Objects of `with` statements that were entered and not left. */
  entered: ObjectValue[] | undefined;
}

const defaults: Settings = {
  attempt: () => undefined,
  print: (text) => process.stdout.write(text),
  warn: (text) => process.stderr.write(text),
  maxDepth: 10_000,
  maxSteps: Infinity,
};

/** The context of a run with these options. */
export function contextOf(options: RunOptions): RunContext {
  const context: RunContext = {
    ...defaults,
    ...options,
    stepsLeft: options.maxSteps ?? Infinity,
    call: (callee, args) => new Frame(codeOf(callee.graph, shortName(callee.name)), context).run(args)[0],
  };
  return context;
}

export class Frame {
  private readonly stack: Activation[] = [];
  private readonly context: RunContext;

  constructor(
    private readonly code: Code,
    options: RunOptions | RunContext = {},
  ) {
    this.context = 'stepsLeft' in options ? options : contextOf(options);
  }

  /** Runs the code. A frame runs once. Throws ScriptRuntimeError with the stack of source lines. */
  run(inputs: readonly IValue[]): IValue[] {
    if (inputs.length !== this.code.inputs.length) {
      throw new OperatorError(
        `${this.code.name} takes ${this.code.inputs.length} values, but ${inputs.length} are given`,
      );
    }
    this.push(this.code, inputs);
    try {
      return this.interpret();
    } catch (error) {
      const failure = this.describe(error);
      this.leaveAll();
      throw failure;
    }
  }

  private push(code: Code, inputs: readonly IValue[]): Activation {
    if (this.stack.length >= this.context.maxDepth) {
      throw new OperatorError(`maximum recursion depth exceeded: ${this.context.maxDepth} calls are open`);
    }
    this.step();
    const registers = code.template.slice();
    for (let index = 0; index < code.inputs.length; index++) registers[code.inputs[index]] = inputs[index];
    const counters = code.counters === 0 ? none : new Array<number>(code.counters).fill(0);
    const activation: Activation = { code, registers, counters, pc: 0, entered: undefined };
    this.stack.push(activation);
    this.context.tracer?.enter(code.name);
    return activation;
  }

  private step(): void {
    if (--this.context.stepsLeft < 0) {
      throw new OperatorError(
        `the program takes more than ${this.context.maxSteps} steps, which it may not here`,
      );
    }
  }

  private interpret(): IValue[] {
    const { stack, context } = this;
    const { tracer } = context;
    let activation = stack[stack.length - 1];
    let instructions = activation.code.instructions;
    let registers = activation.registers;
    let pc = 0;
    for (;;) {
      const instruction: Instruction = instructions[pc++];
      const { inputs, outputs } = instruction;
      activation.pc = pc;
      if (tracer !== undefined) tracer.step(instruction.node);
      switch (instruction.op) {
        case Op.Move:
          if (inputs.length === 1) registers[outputs[0]] = registers[inputs[0]];
          else if (inputs.length > 1) moveAll(registers, inputs, outputs);
          break;
        case Op.Jump:
          pc = instruction.target;
          continue;
        case Op.BranchFalse:
          if (registers[inputs[0]] !== true) pc = instruction.target;
          break;
        case Op.LoopStart:
          activation.counters[instruction.slot] = 0;
          break;
        case Op.LoopNext: {
          const count = activation.counters[instruction.slot];
          if (registers[inputs[1]] !== true || (registers[inputs[0]] as bigint) <= count) {
            pc = instruction.target;
            continue;
          }
          this.step();
          if (outputs.length > 0) registers[outputs[0]] = BigInt(count);
          activation.counters[instruction.slot] = count + 1;
          break;
        }
        case Op.Call1:
          registers[outputs[0]] = (instruction.payload as Callee)(registers[inputs[0]]);
          break;
        case Op.Call2:
          registers[outputs[0]] = (instruction.payload as Callee)(registers[inputs[0]], registers[inputs[1]]);
          break;
        case Op.Call3:
          registers[outputs[0]] = (instruction.payload as Callee)(
            registers[inputs[0]],
            registers[inputs[1]],
            registers[inputs[2]],
          );
          break;
        case Op.CallN:
          registers[outputs[0]] = (instruction.payload as Callee)(...gather(registers, inputs));
          break;
        case Op.CallVoid:
          (instruction.payload as Callee)(...gather(registers, inputs));
          break;
        case Op.CallMulti: {
          const results = (instruction.payload as MultiCallee)(...gather(registers, inputs));
          for (let index = 0; index < outputs.length; index++) registers[outputs[index]] = results[index];
          break;
        }
        case Op.CallContext: {
          const result = (instruction.payload as ContextCallee)(context, gather(registers, inputs));
          if (outputs.length === 1) registers[outputs[0]] = result;
          else {
            for (let index = 0; index < outputs.length; index++) {
              registers[outputs[index]] = (result as readonly IValue[])[index];
            }
          }
          break;
        }
        case Op.GetAttr: {
          const object = registers[inputs[0]] as ObjectValue;
          registers[outputs[0]] =
            instruction.slot >= 0
              ? object.slots[instruction.slot]
              : object.get(instruction.payload as string);
          break;
        }
        case Op.SetAttr: {
          const object = registers[inputs[0]] as ObjectValue;
          if (instruction.slot >= 0) object.put(instruction.slot, registers[inputs[1]]);
          else object.set(instruction.payload as string, registers[inputs[1]]);
          break;
        }
        case Op.Create: {
          const type = instruction.type as Type;
          if (type.kind !== 'Class') throw new InternalError(`an object of type ${type.kind} is created`);
          registers[outputs[0]] = new ObjectValue(
            type,
            type.attributes.map(() => null),
          );
          break;
        }
        case Op.List: {
          const list = gather(registers, inputs);
          registers[outputs[0]] =
            instruction.type === undefined ? list : tagContainer(list, instruction.type);
          break;
        }
        case Op.Tuple:
          registers[outputs[0]] = new TupleValue(
            gather(registers, inputs),
            instruction.type?.kind === 'Tuple' ? instruction.type : undefined,
          );
          break;
        case Op.Dict: {
          const dict = new Map<IValue, IValue>();
          for (let index = 0; index < inputs.length; index += 2) {
            dict.set(registers[inputs[index]], registers[inputs[index + 1]]);
          }
          registers[outputs[0]] = tagContainer(dict, instruction.type!);
          break;
        }
        case Op.UnpackTuple: {
          const { items } = registers[inputs[0]] as TupleValue;
          for (let index = 0; index < outputs.length; index++) registers[outputs[index]] = items[index];
          break;
        }
        case Op.UnpackList: {
          const list = registers[inputs[0]] as IValue[];
          if (list.length !== outputs.length) {
            throw new HostError(`Expected ${outputs.length} elements in a list but found ${list.length}`);
          }
          for (let index = 0; index < outputs.length; index++) registers[outputs[index]] = list[index];
          break;
        }
        case Op.TupleSlice: {
          const { items } = registers[inputs[0]] as TupleValue;
          registers[outputs[0]] = new TupleValue(items.slice(instruction.target, instruction.slot));
          break;
        }
        case Op.IsInstance: {
          const value = registers[inputs[0]];
          registers[outputs[0]] = (instruction.payload as readonly Type[]).some((type) =>
            isInstance(value, type),
          );
          break;
        }
        case Op.Raise:
          throw new RaisedException(
            registers[inputs[0]] as string,
            inputs.length > 1 ? (registers[inputs[1]] as string | null) : null,
          );
        case Op.Fork: {
          const args = gather(registers, inputs);
          registers[outputs[0]] = SettledFuture.of(
            () => new Frame(instruction.payload as Code, context).run(args)[0],
          );
          break;
        }
        case Op.Enter: {
          const object = registers[inputs[0]] as ObjectValue;
          const result = context.call(methodOf(object, '__enter__'), [object]);
          (activation.entered ??= []).push(object);
          if (outputs.length > 0) registers[outputs[0]] = result;
          break;
        }
        case Op.Exit: {
          const object = registers[inputs[0]] as ObjectValue;
          activation.entered?.pop();
          const result = context.call(methodOf(object, '__exit__'), [object, null, null, null]);
          if (outputs.length > 0) registers[outputs[0]] = result;
          break;
        }
        case Op.Script:
        case Op.Method: {
          const args = gather(registers, inputs);
          const callee =
            instruction.op === Op.Script
              ? (instruction.payload as ScriptFunction)
              : methodOf(args[0], instruction.payload as string);
          if (callee.graph === undefined) throw new HostError(`the body of ${callee.name} is not known`);
          const result = context.attempt(callee, args);
          if (result !== undefined) {
            if (outputs.length > 0) registers[outputs[0]] = result;
            break;
          }
          free(registers, instruction.frees);
          activation = this.push(codeOf(callee.graph, shortName(callee.name)), args);
          ({ registers } = activation);
          ({ instructions } = activation.code);
          pc = 0;
          continue;
        }
        case Op.Return: {
          const results = gather(registers, inputs);
          stack.pop();
          tracer?.leave();
          if (stack.length === 0) return results;
          activation = stack[stack.length - 1];
          ({ registers, pc } = activation);
          ({ instructions } = activation.code);
          const call = instructions[pc - 1];
          for (let index = 0; index < call.outputs.length; index++)
            registers[call.outputs[index]] = results[index];
          // The result of a call that nobody reads dies at once.
          if (call.frees.length > 0) freeUnread(registers, call);
          continue;
        }
        case Op.Free:
          break;
        default:
          instruction.op satisfies never;
      }
      const { frees } = instruction;
      for (let index = 0; index < frees.length; index++) registers[frees[index]] = null;
    }
  }

  /** The error with the stack of this run. */
  private describe(error: unknown): unknown {
    return withStack(
      error,
      this.stack.map(({ code, pc }) => ({
        functionName: code.name,
        source: code.instructions[pc - 1]?.node?.source,
      })),
    );
  }

  /** Leaves the `with` statements that an error went through, innermost first. */
  private leaveAll(): void {
    for (let activation = this.stack.pop(); activation !== undefined; activation = this.stack.pop()) {
      while (activation.entered !== undefined && activation.entered.length > 0) {
        const object = activation.entered.pop()!;
        this.context.call(methodOf(object, '__exit__'), [object, null, null, null]);
      }
      this.context.tracer?.leave();
    }
  }
}

const none: number[] = [];

function gather(registers: readonly IValue[], inputs: readonly number[]): IValue[] {
  const values = new Array<IValue>(inputs.length);
  for (let index = 0; index < inputs.length; index++) values[index] = registers[inputs[index]];
  return values;
}

function moveAll(registers: IValue[], inputs: readonly number[], outputs: readonly number[]): void {
  const values = gather(registers, inputs);
  for (let index = 0; index < outputs.length; index++) registers[outputs[index]] = values[index];
}

function free(registers: IValue[], frees: readonly number[]): void {
  for (let index = 0; index < frees.length; index++) registers[frees[index]] = null;
}

function freeUnread(registers: IValue[], call: Instruction): void {
  for (const output of call.outputs) if (call.frees.includes(output)) registers[output] = null;
}

const shortName = (qualified: string): string => qualified.slice(qualified.lastIndexOf('.') + 1);
