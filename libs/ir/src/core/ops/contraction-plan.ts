// dot_general and convolution nodes in plain numbers: which dimension plays which part.
import type { Node } from '../../graph/graph.ts';
import { range } from './inference.ts';

/** The dimensions of a dot_general node by their part in it. Result: batching, lhs free, rhs free. */
export interface DotPlan {
  readonly lhsBatching: readonly number[];
  readonly rhsBatching: readonly number[];
  readonly lhsContracting: readonly number[];
  readonly rhsContracting: readonly number[];
  readonly lhsFree: readonly number[];
  readonly rhsFree: readonly number[];
}

export function dotPlan(node: Node, lhsRank: number, rhsRank: number): DotPlan {
  const lhsBatching = node.ints('lhs_batching_dimensions');
  const rhsBatching = node.ints('rhs_batching_dimensions');
  const lhsContracting = node.ints('lhs_contracting_dimensions');
  const rhsContracting = node.ints('rhs_contracting_dimensions');
  return {
    lhsBatching,
    rhsBatching,
    lhsContracting,
    rhsContracting,
    lhsFree: range(lhsRank).filter((at) => !lhsBatching.includes(at) && !lhsContracting.includes(at)),
    rhsFree: range(rhsRank).filter((at) => !rhsBatching.includes(at) && !rhsContracting.includes(at)),
  };
}

/** The attributes of a convolution node in plain numbers. */
export interface ConvolutionPlan {
  readonly strides: readonly number[];
  readonly padding: readonly (readonly number[])[];
  readonly lhsDilation: readonly number[];
  readonly rhsDilation: readonly number[];
  readonly reversal: readonly boolean[];
  /** Positions of (batch, feature, spatial…), (output feature, input feature, spatial…), (batch, feature, spatial…). */
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
  readonly featureGroups: number;
  readonly batchGroups: number;
}

export function convolutionPlan(node: Node): ConvolutionPlan {
  return {
    strides: node.ints('window_strides'),
    padding: node.intPairs('padding'),
    lhsDilation: node.ints('lhs_dilation'),
    rhsDilation: node.ints('rhs_dilation'),
    reversal: node.get('bs', 'window_reversal'),
    input: node.ints('input_dimensions'),
    kernel: node.ints('kernel_dimensions'),
    output: node.ints('output_dimensions'),
    featureGroups: node.int('feature_group_count'),
    batchGroups: node.int('batch_group_count'),
  };
}
