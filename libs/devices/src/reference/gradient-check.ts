// The harness of vjp.test.ts: derivative rules against central differences, in float64 on the reference device; first and
// second derivatives, as one joint graph and split into forward and backward.
import { expect, test } from '@jest/globals';
import type { DType, SavedValue, Value, Graph } from '@weft/ir';
import {
  CoreBuilder,
  TensorLiteral,
  differentiate,
  isComplex,
  jointGraph,
  numel,
  specOf,
  tensorSpec,
} from '@weft/ir';
import { executeOnHost } from '../host.ts';

/** A differentiable operand: shape, dtype (float64 or complex128), and the interval its parts are drawn from. */
export interface Operand {
  readonly sizes: readonly number[];
  readonly dtype?: DType;
  readonly low?: number;
  readonly high?: number;
  readonly values?: readonly number[];
}
export interface Case {
  readonly operands: readonly Operand[];
  readonly build: (b: CoreBuilder, ...x: Value[]) => Value;
  /** Derivatives of the derivative are checked unless false. */
  readonly second?: boolean;
  readonly tolerance?: number;
}

let seed = 1;
const uniform = (low: number, high: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return low + ((high - low) * seed) / 2 ** 32;
};
const components = (dtype: DType): number => (isComplex(dtype) ? 2 : 1);
const literal = (dtype: DType, sizes: readonly number[], values: Float64Array): TensorLiteral =>
  new TensorLiteral(dtype, sizes, new Uint8Array(values.slice().buffer));
const numbers = (value: TensorLiteral): Float64Array => new Float64Array(value.bytes.slice().buffer);

function drawOperand({ sizes, dtype = 'float64', low = -1, high = 1, values }: Operand): Float64Array {
  return Float64Array.from(
    { length: numel(sizes) * components(dtype) },
    (_, at) => values?.[at] ?? uniform(low, high),
  );
}

/** A scalar that gives every component of `y` a weight of its own: Σ wᵣ·re y + wᵢ·im y. */
function weigh(b: CoreBuilder, y: Value): Value {
  const { dtype, sizes } = specOf(y);
  const weights = () =>
    b.constant(
      literal(
        'float64',
        sizes,
        Float64Array.from({ length: numel(sizes) }, () => uniform(0.5, 1.5)),
      ),
    );
  const all = sizes.map((_, at) => at);
  const sum = (part: Value) => b.reduceSum(b.multiply(part, weights()), all);
  return isComplex(dtype) ? b.add(sum(b.real(y)), sum(b.imag(y))) : sum(y);
}

/** The graph of a case: operands → weighted sum. */
function graphOf({ operands, build }: Case): Graph {
  const b = new CoreBuilder();
  const inputs = operands.map(({ dtype = 'float64', sizes }) => b.input(tensorSpec(dtype, sizes)));
  b.graph.addOutput(weigh(b, build(b, ...inputs)));
  return b.graph;
}

function differences(graph: Graph, operands: readonly Operand[], data: readonly Float64Array[]): number[][] {
  const run = () =>
    numbers(
      executeOnHost(
        graph,
        operands.map(({ dtype = 'float64', sizes }, i) => literal(dtype, sizes, data[i])),
      )[0],
    )[0];
  const step = 1e-5;
  return data.map((values) =>
    Array.from(values, (value, at) => {
      values[at] = value + step;
      const above = run();
      values[at] = value - step;
      const below = run();
      values[at] = value;
      return (above - below) / (2 * step);
    }),
  );
}

function expectClose(found: readonly number[], expected: readonly number[], tolerance: number): void {
  const worst = expected.findIndex(
    (value, at) => !(Math.abs(found[at] - value) <= tolerance * (1 + Math.abs(value))),
  );
  if (worst >= 0) {
    throw new Error(
      `element ${worst}: rule ${found[worst]}, differences ${expected[worst]}; all: ${found.join(', ')} against ${expected.join(', ')}`,
    );
  }
  expect(found.length).toBe(expected.length);
}

/** Forward, then backward on what it saved. */
function runSplit(graph: Graph, inputs: readonly TensorLiteral[]): TensorLiteral[] {
  const { forward, backward, saved } = differentiate(graph, { wrt: inputs.map((_, index) => index) });
  const outputs = executeOnHost(forward, inputs);
  const kept = saved.map(({ kind, index }: SavedValue) =>
    kind === 'input' ? inputs[index] : outputs[index],
  );
  return executeOnHost(backward, [...kept, literal('float64', [], Float64Array.of(1))]);
}

/** The gradient's weighted sum as a graph, to be differentiated again. */
function gradientGraph(graph: Graph, count: number): Graph {
  const { graph: joint, gradients } = jointGraph(graph, {
    wrt: Array.from({ length: count }, (_, i) => i),
    loss: 0,
  });
  const b = new CoreBuilder(joint);
  const sum = gradients.map((at) => weigh(b, joint.outputs[at])).reduce((p, q) => b.add(p, q));
  while (joint.outputs.length > 0) joint.block.removeOutput(joint.outputs.length - 1);
  joint.addOutput(sum);
  return joint;
}

export function check(name: string, given: Case): void {
  test(name, () => {
    seed = 7;
    const { operands, second = true, tolerance = 1e-6 } = given;
    const wrt = operands.map((_, index) => index);
    const data = operands.map(drawOperand);
    const inputs = operands.map(({ dtype = 'float64', sizes }, i) => literal(dtype, sizes, data[i]));
    const graph = graphOf(given);
    const expected = differences(graph, operands, data);
    const joint = jointGraph(graph, { wrt, loss: 0 });
    const results = executeOnHost(joint.graph, inputs);
    joint.gradients.forEach((at, index) =>
      expectClose([...numbers(results[at])], expected[index], tolerance),
    );
    runSplit(graph, inputs).forEach((value, index) =>
      expectClose([...numbers(value)], expected[index], tolerance),
    );
    if (!second) return;
    const gradient = gradientGraph(graph, operands.length);
    const again = jointGraph(gradient, { wrt, loss: 0 });
    const twice = executeOnHost(again.graph, inputs);
    const differed = differences(gradient, operands, data);
    again.gradients.forEach((at, index) =>
      expectClose([...numbers(twice[at])], differed[index], 10 * tolerance),
    );
  });
}
