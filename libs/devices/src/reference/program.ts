// What a graph becomes: registers (typed arrays, bound to memory before a run) and a flat list of kernels over them.
// Operator families (one file each) are functions from a Site, what is known of one node, to its kernel.
import type { Block, Node, TensorSpec } from '@weft/ir';
import { UnsupportedError, asTensorSpec } from '@weft/ir';
import type { DType } from '@weft/ir';
import type { TypedArray } from './typed-array.ts';

/** The arrays of a running program, indexed by register number. */
export type Registers = TypedArray[];
/** One step of a program. */
export type Kernel = (registers: Registers) => void;
/** A nested block, compiled: its parameters' registers (to be written before it runs) and its results'. */
export interface Region {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly kernels: readonly Kernel[];
}

/** A node to be compiled, with registers for its operands and results. */
export interface Site {
  readonly node: Node;
  readonly operands: readonly number[];
  readonly results: readonly number[];
  /** Dtypes and shapes of operands and results. */
  readonly inSpecs: readonly TensorSpec[];
  readonly outSpecs: readonly TensorSpec[];
  /** A register for `count` elements that lives while this node runs. */
  scratch(dtype: DType, count: number): number;
  /**
   * Compiles a nested block. Its parameters are the registers given, or fresh ones of their specs; its results are
   * written to the registers given, or stay where they were computed.
   */
  region(block: Block, parameters?: readonly number[], results?: readonly number[]): Region;
}

/** Makes the kernel of a node, or several that run one after the other. */
export type Emitter = (site: Site) => Kernel | readonly Kernel[];

export function runKernels(kernels: readonly Kernel[], registers: Registers): void {
  for (let index = 0; index < kernels.length; index++) kernels[index](registers);
}

/** `float32[2, 3]`. */
export const describeSpec = (spec: TensorSpec): string => `${spec.dtype}[${spec.sizes.join(', ')}]`;

/** The node as error messages name it: operator and operand types. */
export function describeNode(node: Node): string {
  const operands = node.inputs.map((input) => {
    const spec = asTensorSpec(input.type);
    return spec === undefined ? '?' : describeSpec(spec);
  });
  const name = node.operator === 'composite' ? `composite '${node.get('s', 'name')}'` : node.kind;
  return `${name}(${operands.join(', ')})`;
}

/** The error for a node (or a dtype of it) that the device does not evaluate. */
export const unsupported = (node: Node, reason: string): UnsupportedError =>
  new UnsupportedError(`the reference device cannot run ${describeNode(node)}: ${reason}`, node.source);
