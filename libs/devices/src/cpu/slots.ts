// Where a program's values are: a slot for each that is in memory, those of temporaries in one arena that is laid out ahead, and
// how operands are read from there.
import type { DType, TensorLiteral, TensorSpec, Value } from '@weft/ir';
import { InternalError, dtypes, numel, specOf } from '@weft/ir';
import { ArenaPlan } from '../reference/arena.ts';
import type { RegisterPlan } from '../reference/compile.ts';
import { rootOf } from '../reference/schedule.ts';
import type { TypedArray } from '../reference/typed-array.ts';
import { arrayOfLiteral, viewOf } from '../reference/typed-array.ts';
import type { Access } from './access.ts';
import type { Operand, Word } from './step.ts';

/** An input whose contents are watched, and the slot of the number that changes with them. */
export interface Stamp {
  readonly input: number;
  readonly slot: number;
}

export class Slots {
  readonly plans: RegisterPlan[] = [];
  readonly stamps: Stamp[] = [];
  /** Inputs in whose memory outputs may be, by the slot of the output. */
  readonly overwritten = new Map<number, Value>();
  /** Slots of results that have the place of the product or convolution they are computed from. */
  readonly shared = new Set<number>();
  /** Values that are inside of a chain, and need no memory. */
  readonly inside = new Set<Value>();
  private readonly arena = new ArenaPlan();
  private readonly slotOf = new Map<Value, number>();
  private readonly offsets = new Map<number, number>();

  /**
   * @param inputs of the program; they get the first slots
   * @param constants those of them that never change
   * @param written those of them that the program writes over
   */
  constructor(
    private readonly accessOf: (value: Value) => Access | undefined,
    private readonly inputs: readonly Value[],
    private readonly constants: ReadonlySet<Value>,
    private readonly written: ReadonlySet<Value>,
  ) {
    inputs.forEach((input, index) => {
      this.slotOf.set(input, this.add({ kind: 'input', index, ...shapeOf(specOf(input)) }));
    });
  }

  /** Bytes of the arena. */
  get scratch(): number {
    return this.arena.size;
  }

  add(plan: RegisterPlan): number {
    return this.plans.push(plan) - 1;
  }
  /** A slot for a result of the program. */
  addOutput(output: Value, index: number): number {
    return this.add({ kind: 'output', index, ...shapeOf(specOf(output)) });
  }
  allocate(dtype: DType, count: number): number {
    const offset = this.arena.allocate(count * dtypes[dtype].bytes);
    const slot = this.add({ kind: 'scratch', offset, dtype, count });
    this.offsets.set(slot, offset);
    return slot;
  }
  /** Gives the memory of a temporary back; other slots have none. */
  release(slot: number): void {
    const offset = this.offsets.get(slot);
    if (offset === undefined) return;
    this.offsets.delete(slot);
    this.arena.free(offset);
  }

  set(value: Value, slot: number): void {
    this.slotOf.set(value, slot);
  }
  /** The slot of a value itself, if it has one. */
  get(value: Value): number | undefined {
    return this.slotOf.get(value);
  }
  /** The slot of the memory that a computed value, parameter or constant is in. */
  for(value: Value): number {
    const root = rootOf(value);
    let slot = this.slotOf.get(root);
    if (slot === undefined) {
      if (root.node.kind !== 'core::constant') {
        throw new InternalError(`%${root.name} (${root.node.kind}) is read before it is computed`);
      }
      slot = this.add({ kind: 'constant', array: constantArray(root.node.get('t', 'value')) });
      this.slotOf.set(root, slot);
    }
    return slot;
  }

  /** The word of native/kept.h for what is made of a value's contents. */
  constancyOf(value: Value): Word {
    const { source } = this.operandOf(value);
    if (source.node.kind === 'core::constant' || this.constants.has(source)) return 1;
    const input = this.inputs.indexOf(source);
    if (input < 0 || this.written.has(source)) return 0;
    let stamp = this.stamps.find((each) => each.input === input);
    if (stamp === undefined) {
      stamp = { input, slot: this.add({ kind: 'input', index: input, ...shapeOf(specOf(source)) }) };
      this.stamps.push(stamp);
    }
    return 2 + stamp.slot;
  }

  /** As a value is walked in memory, with memory for constants too. */
  storedOperandOf(value: Value): Operand {
    return this.inMemory(this.operandOf(value));
  }

  /** An operand of an elementwise group, without memory for a constant of one value. */
  groupOperandOf(value: Value): Operand {
    const operand = this.operandOf(value);
    const { node } = operand.source;
    const literal = node.kind === 'core::constant' ? node.get('t', 'value') : undefined;
    const isScalar = literal !== undefined && (literal.splat || numel(literal.shape) === 1);
    return isScalar ? operand : this.inMemory(operand);
  }

  private operandOf(value: Value): Operand {
    const { dtype } = specOf(value);
    const access = this.accessOf(value);
    if (access === undefined)
      throw new InternalError(`%${value.name} is not written out, and not to be walked`);
    const { source, sizes, strides, offset } = access;
    const hasSlot = source.node.kind !== 'core::constant' && !this.inside.has(source);
    return { source, sizes, strides, offset, slot: hasSlot ? this.for(source) : -1, dtype };
  }

  private inMemory(operand: Operand): Operand {
    const { source, sizes, strides, offset, slot, dtype } = operand;
    if (slot >= 0 || this.inside.has(source)) return operand;
    return { source, sizes, strides, offset, slot: this.for(source), dtype };
  }
}

const shapeOf = (spec: TensorSpec) => ({ dtype: spec.dtype, count: numel(spec.sizes) });

/** Bytes from which the literal's own memory is read. */
const largeBytes = 1 << 12;

/** The elements of a literal, which do not change: large ones, such as weights of frozen modules, where they are. */
function constantArray(literal: TensorLiteral): TypedArray {
  const { dtype, shape, bytes, splat } = literal;
  const isHere = !splat && bytes.byteLength >= largeBytes && bytes.byteOffset % Math.min(dtypes[dtype].bytes, 8) === 0; // prettier-ignore
  return isHere ? viewOf(dtype, bytes.buffer, bytes.byteOffset, numel(shape)) : arrayOfLiteral(literal);
}
