// Which dimensions of operand, indices and slices correspond in a gather or scatter.
import type { Node } from '../../graph/graph.ts';
import { specOf } from '../infer-types.ts';
import { range } from './inference.ts';

/** Which dimensions of a gather or scatter correspond; shared by inference, sharding and derivatives. */
export interface IndexingPlan {
  /** Dimensions of the result (gather) or updates (scatter) that index within a slice, and the operand's they run over. */
  readonly windowDims: readonly number[];
  readonly operandWindowDims: readonly number[];
  /** Dimensions of the result or updates that go over the index vectors, and the dimensions of the indices they are. */
  readonly batchDims: readonly number[];
  readonly indicesBatchDims: readonly number[];
}

function planIndexing(
  operandRank: number,
  indicesRank: number,
  sliceRank: number,
  windowDims: readonly number[],
  removedDims: readonly number[],
  indexVectorDim: number,
): IndexingPlan {
  return {
    windowDims,
    operandWindowDims: range(operandRank).filter((dimension) => !removedDims.includes(dimension)),
    batchDims: range(sliceRank).filter((dimension) => !windowDims.includes(dimension)),
    indicesBatchDims: range(indicesRank).filter((dimension) => dimension !== indexVectorDim),
  };
}

/** The correspondence of dimensions in a gather node. */
export function gatherPlan(node: Node, resultRank: number): IndexingPlan {
  return planIndexing(
    specOf(node.inputs[0]).sizes.length,
    specOf(node.inputs[1]).sizes.length,
    resultRank,
    node.ints('offset_dims'),
    [...node.ints('collapsed_slice_dims'), ...node.ints('operand_batching_dims')],
    node.int('index_vector_dim'),
  );
}

/** The correspondence of dimensions in a scatter node; slices are the updates. */
export function scatterPlan(node: Node): IndexingPlan {
  return planIndexing(
    specOf(node.inputs[0]).sizes.length,
    specOf(node.inputs[1]).sizes.length,
    specOf(node.inputs[2]).sizes.length,
    node.ints('update_window_dims'),
    [...node.ints('inserted_window_dims'), ...node.ints('input_batching_dims')],
    node.int('index_vector_dim'),
  );
}
