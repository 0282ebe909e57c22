// What operators are told besides their operands: the options of the builder's methods, and plain values as attributes of nodes.
import { InternalError } from '../errors.ts';
import type { Attribute, AttributeKind } from '../graph/attribute.ts';
import type { TensorLiteral } from '../types/ivalue.ts';

export type AttributeInput =
  | number
  | bigint
  | boolean
  | string
  | TensorLiteral
  | readonly number[]
  | readonly boolean[]
  | readonly string[]
  | readonly (readonly number[])[];

export type ComparisonDirection = 'EQ' | 'NE' | 'GE' | 'GT' | 'LE' | 'LT';
export type CollectiveReduction = 'sum' | 'max' | 'min' | 'prod';

export interface DotDimensionNumbers {
  readonly lhsBatching?: readonly number[];
  readonly rhsBatching?: readonly number[];
  readonly lhsContracting: readonly number[];
  readonly rhsContracting: readonly number[];
}

export interface ConvolutionOptions {
  readonly windowStrides: readonly number[];
  /** Low and high padding of each spatial dimension; may be negative. */
  readonly padding: readonly (readonly number[])[];
  readonly lhsDilation?: readonly number[];
  readonly rhsDilation?: readonly number[];
  readonly windowReversal?: readonly boolean[];
  /** Positions of (batch, feature, spatial…) in the input; default 0, 1, 2…. */
  readonly inputDimensions?: readonly number[];
  /** Positions of (output feature, input feature, spatial…) in the kernel; default 0, 1, 2…. */
  readonly kernelDimensions?: readonly number[];
  /** Positions of (batch, feature, spatial…) in the output; default 0, 1, 2…. */
  readonly outputDimensions?: readonly number[];
  readonly featureGroupCount?: number;
  readonly batchGroupCount?: number;
}

export interface WindowOptions {
  readonly windowDimensions: readonly number[];
  readonly windowStrides?: readonly number[];
  readonly baseDilations?: readonly number[];
  readonly windowDilations?: readonly number[];
  readonly padding?: readonly (readonly number[])[];
}

export interface GatherDimensionNumbers {
  readonly offsetDims: readonly number[];
  readonly collapsedSliceDims: readonly number[];
  readonly operandBatchingDims?: readonly number[];
  readonly startIndicesBatchingDims?: readonly number[];
  readonly startIndexMap: readonly number[];
  readonly indexVectorDim: number;
  readonly sliceSizes: readonly number[];
  readonly indicesAreSorted?: boolean;
}

export interface ScatterDimensionNumbers {
  readonly updateWindowDims: readonly number[];
  readonly insertedWindowDims: readonly number[];
  readonly inputBatchingDims?: readonly number[];
  readonly scatterIndicesBatchingDims?: readonly number[];
  readonly scatterDimsToOperandDims: readonly number[];
  readonly indexVectorDim: number;
  readonly indicesAreSorted?: boolean;
  readonly uniqueIndices?: boolean;
}

/** The attributes of a window operator, what was left out as ones and zeros. */
export function windowAttributes(o: WindowOptions) {
  const ones = o.windowDimensions.map(() => 1);
  return {
    window_dimensions: o.windowDimensions,
    window_strides: o.windowStrides ?? ones,
    base_dilations: o.baseDilations ?? ones,
    window_dilations: o.windowDilations ?? ones,
    padding: o.padding ?? ones.map(() => [0, 0]),
  };
}

/** A plain value as an attribute of the kind that the operator declares. */
export function toAttribute(kind: AttributeKind, value: AttributeInput): Attribute {
  switch (kind) {
    case 'i':
      return { kind, value: BigInt(value as number | bigint) };
    case 'is':
      return { kind, value: (value as readonly number[]).map(BigInt) };
    case 'iss':
      return { kind, value: (value as readonly (readonly number[])[]).map((row) => row.map(BigInt)) };
    case 'f':
      return { kind, value: value as number };
    case 'fs':
      return { kind, value: value as readonly number[] };
    case 'b':
      return { kind, value: value as boolean };
    case 'bs':
      return { kind, value: value as readonly boolean[] };
    case 's':
      return { kind, value: value as string };
    case 'ss':
      return { kind, value: value as readonly string[] };
    case 't':
      return { kind, value: value as TensorLiteral };
    case 'ts':
    case 'g':
    case 'ty':
    case 'tys':
    case 'ival':
      throw new InternalError(`core operators have no attribute of kind ${kind}`);
    default:
      return kind satisfies never;
  }
}
