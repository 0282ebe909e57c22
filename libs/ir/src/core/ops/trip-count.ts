// How often a `while` runs, where it shows from the outside: a counter that starts at a constant, changes by a constant and
// is compared with a constant.
import type { Node, Value } from '../../graph/graph.ts';
import { dtypes } from '../../types/dtype.ts';
import type { DType } from '../../types/dtype.ts';
import { specOf } from '../infer-types.ts';
import { constantOf } from './inference.ts';

/** Why no count is known. */
export interface UnknownTripCount {
  readonly reason: string;
}

export function tripCount(loop: Node): number | UnknownTripCount {
  const [condition, body] = loop.blocks;
  const test = condition.outputs[0].node;
  if (test.kind !== 'core::compare' || test.block !== condition) {
    return { reason: 'its condition is more than a comparison of a counter with a constant' };
  }
  const direction = test.get('s', 'comparison_direction');
  const [left, right] = test.inputs;
  const counter = condition.inputs.indexOf(left);
  if (counter >= 0) return count(loop, counter, right, direction);
  const turned = condition.inputs.indexOf(right);
  if (turned >= 0) return count(loop, turned, left, mirrored[direction]);
  return {
    reason: `its condition compares no value that the loop carries (${body.inputs.length} are carried)`,
  };
}

const mirrored: Readonly<Record<string, string>> = {
  LT: 'GT',
  GT: 'LT',
  LE: 'GE',
  GE: 'LE',
  EQ: 'EQ',
  NE: 'NE',
};

function count(loop: Node, counter: number, bound: Value, direction: string): number | UnknownTripCount {
  const start = integerOf(loop.inputs[counter]);
  if (start === undefined) return { reason: 'its counter starts at a value that is no integer constant' };
  const limit = integerOf(invariant(loop, loop.blocks[0].inputs.indexOf(bound)) ?? bound);
  if (limit === undefined)
    return { reason: 'its counter is compared with a value that is no integer constant' };
  const step = stepOf(loop, counter);
  if (step === undefined) return { reason: 'its counter does not change by a constant in each iteration' };
  const trips = iterations(start, limit, step, direction);
  return trips ?? { reason: `its counter, ${start} and then by ${step}, never ends ${direction} ${limit}` };
}

/** The operand of a carried value that the body hands on unchanged. */
function invariant(loop: Node, index: number): Value | undefined {
  if (index < 0) return undefined;
  const body = loop.blocks[1];
  return body.outputs[index] === body.inputs[index] ? loop.inputs[index] : undefined;
}

function stepOf(loop: Node, counter: number): bigint | undefined {
  const body = loop.blocks[1];
  const parameter = body.inputs[counter];
  const { node } = body.outputs[counter];
  const [first, second] = node.inputs;
  const known = (value: Value) => integerOf(invariant(loop, body.inputs.indexOf(value)) ?? value);
  if (node.kind === 'core::add') {
    return first === parameter ? known(second) : second === parameter ? known(first) : undefined;
  }
  if (node.kind !== 'core::subtract' || first !== parameter) return undefined;
  const step = known(second);
  return step === undefined ? undefined : -step;
}

function iterations(start: bigint, limit: bigint, step: bigint, direction: string): number | undefined {
  const distance = limit - start;
  const up = (to: bigint) => (to <= 0n ? 0 : step <= 0n ? undefined : Number((to + step - 1n) / step));
  const down = (to: bigint) => (to >= 0n ? 0 : step >= 0n ? undefined : Number((to + step + 1n) / step));
  switch (direction) {
    case 'LT':
      return up(distance);
    case 'LE':
      return up(distance + 1n);
    case 'GT':
      return down(distance);
    case 'GE':
      return down(distance - 1n);
    case 'NE':
      if (distance === 0n) return 0;
      return step !== 0n && distance % step === 0n && distance / step > 0n
        ? Number(distance / step)
        : undefined;
    default:
      return distance !== 0n ? 0 : step === 0n ? undefined : 1;
  }
}

/** The number in an integer scalar constant. */
function integerOf(value: Value): bigint | undefined {
  const literal = constantOf(value);
  const { sizes } = specOf(value);
  if (literal === undefined || sizes.length > 0) return undefined;
  return decodeInteger(literal.dtype, literal.bytes);
}

function decodeInteger(dtype: DType, bytes: Uint8Array): bigint | undefined {
  const { category, bytes: width } = dtypes[dtype];
  if (category !== 'int' && category !== 'uint') return undefined;
  let bits = 0n;
  for (let at = width - 1; at >= 0; at--) bits = (bits << 8n) | BigInt(bytes[at]);
  return category === 'int' ? BigInt.asIntN(8 * width, bits) : bits;
}
