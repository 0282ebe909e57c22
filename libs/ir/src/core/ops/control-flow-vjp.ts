// Derivatives of branches and loops. A branch differentiates to a branch that runs the taken side again and goes back
// through it. A loop whose number of iterations is known keeps what each iteration's backward needs, stacked, and
// differentiates to a loop that runs through the stacks from the end.
import type { Node, Value } from '../../graph/graph.ts';
import { UnsupportedError } from '../../errors.ts';
import type { TensorSpec } from '../../types/types.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator, CotangentScope } from '../operator.ts';
import { isDifferentiable, zerosLike } from '../cotangent.ts';
import { differentiate } from '../differentiate.ts';
import type { Differentiated, SavedValue } from '../differentiate.ts';
import { capturesOf, graphOfRegion, inlineGraph, inlineRegion } from '../region.ts';
import { reverseAccumulate } from '../reverse.ts';
import { tripCount } from './trip-count.ts';

/** `if` and `case`. The cotangents belong to what the branches use from outside. */
export const branchVjp: CoreOperator['vjp'] = (b, node, cotangents, scope) => {
  const wrt = [...new Set(node.blocks.flatMap((block) => capturesOf(block)))].filter((value) =>
    scope.wants(value),
  );
  if (wrt.length === 0) return [null];
  const branches = node.blocks.map((block) => (b: CoreBuilder): Value[] => {
    const { nodes, outputs } = inlineRegion(b, block, []);
    const seeds = outputs.map((output, index) => [output, cotangents[index]] as const);
    return reverseAccumulate(b, { nodes, seeds, wrt }).map(
      (found, index) => found ?? zerosLike(b, wrt[index]),
    );
  });
  const results =
    node.operator === 'if'
      ? b.if(node.inputs[0], branches[0], branches[1])
      : b.case(node.inputs[0], branches);
  results.forEach((cotangent, index) => scope.add(wrt[index], cotangent));
  return [null];
};

export const barrierVjp: CoreOperator['vjp'] = (_b, _node, cotangents) => [...cotangents];

// ---- while --------------------------------------------------------------------------------------------------------

export const whileVjp: CoreOperator['vjp'] = (b, node, cotangents, scope) => {
  const trips = tripCount(node);
  if (typeof trips !== 'number') {
    throw new UnsupportedError(
      `this loop has no derivative: ${trips.reason}. Loops that count from one constant to another have one`,
      node.source,
    );
  }
  const operands = [...node.inputs];
  if (trips === 0) return [...cotangents];
  return new LoopDerivative(b, node, trips, scope).emit(operands, cotangents);
};

class LoopDerivative {
  /** What the body uses from outside. */
  private readonly captures: readonly Value[];
  /** The body: carried values and captures → next carried values, kept values. */
  private readonly body: Differentiated;
  private readonly carried: number;
  /** Carried values whose cotangents go from iteration to iteration. */
  private readonly slots: readonly number[];
  /** Captures whose cotangents add up over the iterations. */
  private readonly shared: readonly number[];

  constructor(
    private readonly b: CoreBuilder,
    private readonly loop: Node,
    private readonly trips: number,
    private readonly scope: CotangentScope,
  ) {
    this.captures = capturesOf(loop.blocks[1]);
    this.carried = loop.inputs.length;
    this.slots = loop.outputs.flatMap((output, index) => (isDifferentiable(output) ? [index] : []));
    this.shared = this.captures.flatMap((capture, index) => (scope.wants(capture) ? [index] : []));
    this.body = differentiate(graphOfRegion(loop.blocks[1], this.captures), {
      wrt: [...this.slots, ...this.shared.map((index) => this.carried + index)],
      outputs: this.slots,
    });
  }

  emit(operands: readonly Value[], cotangents: readonly (Value | null)[]): (Value | null)[] {
    const stacks = this.emitForward(operands);
    const results = this.emitBackward(operands, stacks, cotangents);
    this.shared.forEach((capture, at) =>
      this.scope.add(this.captures[capture], results[this.slots.length + at]),
    );
    return operands.map((_, index) => {
      const slot = this.slots.indexOf(index);
      return slot < 0 ? null : results[slot];
    });
  }

  /** Whether a kept value is the same in all iterations: a capture, or a carried value that the body passes on. */
  private constantValue(saved: SavedValue, operands: readonly Value[]): Value | undefined {
    if (saved.kind === 'output') return undefined;
    if (saved.index >= this.carried) return this.captures[saved.index - this.carried];
    const body = this.loop.blocks[1];
    return body.outputs[saved.index] === body.inputs[saved.index] ? operands[saved.index] : undefined;
  }

  private keptSpec({ kind, index }: SavedValue): TensorSpec {
    const { forward } = this.body;
    return specOf(kind === 'input' ? forward.inputs[index] : forward.outputs[index]);
  }

  /**
   * Puts a loop that also fills stacks in front of the original, which it replaces. Returns, for each kept value, its
   * stack, or undefined where it is the same in all iterations.
   */
  private emitForward(operands: readonly Value[]): (Value | undefined)[] {
    const { b, loop, carried, trips } = this;
    const kept = this.body.saved.filter((saved) => this.constantValue(saved, operands) === undefined);
    const [condition] = loop.blocks;
    const results = b.graph.withInsertPoint(loop, () => {
      const stacks = kept.map((saved) => {
        const { dtype, sizes } = this.keptSpec(saved);
        return b.full(0, dtype, [trips, ...sizes]);
      });
      return b.while(
        [...operands, b.full(0, 'int32'), ...stacks],
        (b, ...values) => inlineRegion(b, condition, values.slice(0, carried)).outputs,
        (b, ...values) => {
          const inputs = [...values.slice(0, carried), ...this.captures];
          const { outputs } = inlineGraph(b, this.body.forward, inputs);
          const count = values[carried];
          const filled = kept.map(({ kind, index }, at) => {
            const value = kind === 'input' ? inputs[index] : outputs[index];
            const row = b.reshape(value, [1, ...specOf(value).sizes]);
            return b.dynamicUpdateSlice(values[carried + 1 + at], row, rowStart(b, count, value));
          });
          return [...outputs.slice(0, carried), b.add(count, b.full(1, 'int32')), ...filled];
        },
      );
    });
    loop.outputs.forEach((output, index) => output.replaceAllUsesWith(results[index]));
    return this.body.saved.map((saved) => {
      const at = kept.indexOf(saved);
      return at < 0 ? undefined : results[carried + 1 + at];
    });
  }

  /** The loop from the last iteration to the first. Returns the cotangents of the slots, then of the shared captures. */
  private emitBackward(
    operands: readonly Value[],
    stacks: readonly (Value | undefined)[],
    cotangents: readonly (Value | null)[],
  ): Value[] {
    const { b, slots, body } = this;
    const initial = [
      ...slots.map((slot) => cotangents[slot] ?? zerosLike(b, operands[slot])),
      ...this.shared.map((capture) => zerosLike(b, this.captures[capture])),
    ];
    const results = b.while(
      [b.full(this.trips - 1, 'int32'), ...initial],
      (b, count) => [b.compare(count, b.full(0, 'int32'), 'GE')],
      (b, count, ...sums) => {
        const saved = body.saved.map((value, at) => {
          const stack = stacks[at];
          if (stack === undefined) return this.constantValue(value, operands)!;
          const { sizes } = this.keptSpec(value);
          const row = b.dynamicSlice(stack, [count, ...sizes.map(() => b.full(0, 'int32'))], [1, ...sizes]);
          return b.reshape(row, sizes);
        });
        const { outputs } = inlineGraph(b, body.backward, [...saved, ...sums.slice(0, slots.length)]);
        const next = outputs.map((found, at) => (at < slots.length ? found : b.add(sums[at], found)));
        return [b.subtract(count, b.full(1, 'int32')), ...next];
      },
    );
    return results.slice(1);
  }
}

const rowStart = (b: CoreBuilder, count: Value, value: Value): Value[] => [
  count,
  ...specOf(value).sizes.map(() => b.full(0, 'int32')),
];
