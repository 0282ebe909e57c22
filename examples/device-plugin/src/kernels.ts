// What the device claims, and the loop for each: add and multiply, matrix products, and the composite `softmax` over the last
// dimension, which every model may use whole because its body serves where nobody claims it.
import type { Node, TensorSpec, Value } from '@weft/ir';

/** One step of a compiled graph over the arrays of its values. */
export type Step = (arrays: readonly Float32Array[]) => void;

const specOf = (value: Value): TensorSpec => value.type as TensorSpec;
const isFloat32 = (node: Node): boolean =>
  [...node.inputs, ...node.outputs].every((value) => specOf(value).dtype === 'float32');

interface Kernel {
  /** Whether this node, of the kernel's operator, is one that the kernel can run. */
  accepts(node: Node): boolean;
  make(node: Node, operands: readonly number[], result: number): Step;
}

const elementwise = (apply: (x: number, y: number) => number): Kernel => ({
  accepts: () => true,
  make:
    (_, [a, b], result) =>
    (arrays) => {
      const [x, y, out] = [arrays[a], arrays[b], arrays[result]];
      for (let index = 0; index < out.length; index++) out[index] = apply(x[index], y[index]);
    },
});

const kernels: Readonly<Record<string, Kernel>> = {
  add: elementwise((x, y) => x + y),
  multiply: elementwise((x, y) => x * y),
  dot_general: {
    // Plain matrix products only: [rows, depth] times [depth, columns].
    accepts: (node) =>
      node.inputs.every((input) => specOf(input).sizes.length === 2) &&
      node.ints('lhs_batching_dimensions').length === 0 &&
      String(node.ints('lhs_contracting_dimensions')) === '1' &&
      String(node.ints('rhs_contracting_dimensions')) === '0',
    make: (node, [a, b], result) => {
      const [rows, depth] = specOf(node.inputs[0]).sizes;
      const columns = specOf(node.inputs[1]).sizes[1];
      return (arrays) => {
        const [x, y, out] = [arrays[a], arrays[b], arrays[result]];
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            let sum = 0;
            for (let k = 0; k < depth; k++) sum += x[row * depth + k] * y[k * columns + column];
            out[row * columns + column] = sum;
          }
        }
      };
    },
  },
  softmax: {
    accepts: (node) => {
      const { dim } = JSON.parse(node.get('s', 'composite_attributes')) as { dim?: number };
      const rank = specOf(node.inputs[0]).sizes.length;
      return node.inputs.length === 1 && rank > 0 && (dim === rank - 1 || dim === -1);
    },
    make: (node, [a], result) => {
      const length = specOf(node.inputs[0]).sizes.at(-1)!;
      return (arrays) => {
        const [x, out] = [arrays[a], arrays[result]];
        for (let start = 0; start < out.length; start += length) {
          let largest = -Infinity;
          for (let index = 0; index < length; index++) largest = Math.max(largest, x[start + index]);
          let sum = 0;
          for (let index = 0; index < length; index++) sum += Math.exp(x[start + index] - largest);
          for (let index = 0; index < length; index++) {
            out[start + index] = Math.exp(x[start + index] - largest) / sum;
          }
        }
      };
    },
  },
};

/** A composite is known by its name, any other node by its operator. */
const kernelOf = (node: Node): Kernel | undefined =>
  kernels[node.kind === 'core::composite' ? node.get('s', 'name') : node.operator];

export const claims = (node: Node): boolean => isFloat32(node) && kernelOf(node)?.accepts(node) === true;

export function stepOf(node: Node, operands: readonly number[], result: number): Step {
  const kernel = kernelOf(node);
  if (kernel === undefined) throw new Error(`${node.kind} is not one of ${Object.keys(kernels).join(', ')}`);
  return kernel.make(node, operands, result);
}
