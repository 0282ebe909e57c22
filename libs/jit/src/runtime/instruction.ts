// The instructions of the interpreter. Registers are numbers; every value of a graph has one, constants have theirs filled
// before a run begins.
import type { IValue, Node, Schema, Type } from '@weft/ir';
import type { RunContext } from './frame.ts';

/** Operation codes: small integers, so that the interpreter's switch is a table. */
export const Op = {
  /** outputs ← inputs, all read before any is written. */
  Move: 0,
  Jump: 1,
  /** Jumps when inputs[0] is false. */
  BranchFalse: 2,
  /** Counter `slot` ← 0. */
  LoopStart: 3,
  /** Jumps to the end when the trip count (inputs[0]) is reached or the condition (inputs[1]) false; else the index. */
  LoopNext: 4,
  Return: 5,
  /** One return; the number is that of operands. */
  Call1: 6,
  Call2: 7,
  Call3: 8,
  CallN: 9,
  /** No return. */
  CallVoid: 10,
  /** Several returns, which the function gives as an array. */
  CallMulti: 11,
  /** As CallN, with the context of the run. */
  CallContext: 12,
  Script: 13,
  Method: 14,
  GetAttr: 15,
  SetAttr: 16,
  Create: 17,
  List: 18,
  Tuple: 19,
  Dict: 20,
  UnpackTuple: 21,
  UnpackList: 22,
  TupleSlice: 23,
  IsInstance: 24,
  Raise: 25,
  Fork: 26,
  Enter: 27,
  Exit: 28,
  /** Does nothing but free registers. */
  Free: 29,
} as const;
export type OpCode = (typeof Op)[keyof typeof Op];

export type Callee = (...args: IValue[]) => IValue;
export type MultiCallee = (...args: IValue[]) => readonly IValue[];
export type ContextCallee = (context: RunContext, args: IValue[]) => IValue;

/** All fields are there on all instructions, so that the interpreter's loop stays monomorphic. */
export interface Instruction {
  readonly op: OpCode;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Registers that are not read any more after this instruction. */
  readonly frees: readonly number[];
  /** Where a jump goes, the counter of a loop, the slot of an attribute, the first element of a slice. */
  target: number;
  readonly slot: number;
  /** The function, name, type or code that the operation is about. */
  readonly payload: unknown;
  /** For the stack of an error; undefined for the few instructions that stand for no node. */
  readonly node: Node | undefined;
  readonly schema: Schema | undefined;
  readonly type: Type | undefined;
}
