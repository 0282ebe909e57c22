// What a conformance case is: a small core graph, inputs, and the outputs that the StableHLO specification gives for them.
// Expected values are written down or closed formulas; nothing here calls a device to find out what is right.
import type { AttributeInput, CoreBuilder, DType, Region, TensorSpec, Value } from '@weft/ir';
import { TensorLiteral, dtypes, encodeElement, isComplex, numel, tensorSpec } from '@weft/ir';

/** A number of any dtype: complex ones as [real, imaginary]. */
export type Element = number | bigint | boolean | readonly [number, number];

export interface ConformanceCase {
  /** `add float32 [2, 3]`: operator first, then what is special. */
  readonly name: string;
  readonly operator: string;
  readonly inputs: readonly TensorLiteral[];
  /** Emits the graph's body for values of the inputs' specs and returns its outputs. */
  build(b: CoreBuilder, ...inputs: Value[]): readonly Value[];
  readonly expected: readonly TensorLiteral[];
  /** Largest relative error (absolute below one); default: by dtype, none for integers. Zero also tells -0 from 0. */
  readonly tolerance?: number;
}

/** A literal from elements; one element stands for all of them. */
export function tensor(dtype: DType, shape: readonly number[], elements: readonly Element[]): TensorLiteral {
  const { bytes } = dtypes[dtype];
  const count = numel(shape);
  if (elements.length !== count && elements.length !== 1 && count !== 0) {
    throw new RangeError(`${elements.length} elements are given for a tensor of ${count}`);
  }
  const data = new Uint8Array(count * bytes);
  const view = new DataView(data.buffer);
  const part: DType = dtype === 'complex64' ? 'float32' : dtype === 'complex128' ? 'float64' : dtype;
  for (let index = 0; index < count; index++) {
    const element = elements.length === 1 ? elements[0] : elements[index];
    if (typeof element === 'object') {
      encodeElement(view, index * bytes, part, element[0]);
      encodeElement(view, index * bytes + bytes / 2, part, element[1]);
    } else {
      encodeElement(view, index * bytes, part, element);
      if (isComplex(dtype)) encodeElement(view, index * bytes + bytes / 2, part, 0);
    }
  }
  return new TensorLiteral(dtype, shape, data);
}

export const vector = (dtype: DType, elements: readonly Element[]): TensorLiteral =>
  tensor(dtype, [elements.length], elements);
export const scalar = (dtype: DType, element: Element): TensorLiteral => tensor(dtype, [], [element]);
/** 0, 1, 2, … in row-major order. */
export const counting = (dtype: DType, shape: readonly number[], start = 0): TensorLiteral =>
  tensor(
    dtype,
    shape,
    Array.from({ length: numel(shape) }, (_, index) => index + start),
  );

export const specOfLiteral = (literal: TensorLiteral): TensorSpec => tensorSpec(literal.dtype, literal.shape);

/** A case of a single operator. */
export function operatorCase(
  operator: string,
  what: string,
  inputs: readonly TensorLiteral[],
  expected: readonly TensorLiteral[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
  regions: readonly { readonly parameters: readonly TensorSpec[]; readonly body: Region }[] = [],
  tolerance?: number,
): ConformanceCase {
  return {
    name: `${operator} ${what}`,
    operator,
    inputs,
    expected,
    build: (b, ...values) => b.emit(operator, values, attributes, regions),
    tolerance,
  };
}

/** A case that is written with the builder's methods. */
export function graphCase(
  operator: string,
  what: string,
  inputs: readonly TensorLiteral[],
  build: ConformanceCase['build'],
  expected: readonly TensorLiteral[],
  tolerance?: number,
): ConformanceCase {
  return { name: `${operator} ${what}`, operator, inputs, build, expected, tolerance };
}

export const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];
export const signedIntegers: readonly DType[] = ['int8', 'int16', 'int32', 'int64'];
export const unsignedIntegers: readonly DType[] = ['uint8', 'uint16', 'uint32', 'uint64'];
export const integers: readonly DType[] = [...signedIntegers, ...unsignedIntegers];
export const complexes: readonly DType[] = ['complex64', 'complex128'];
export const numbers: readonly DType[] = [...floats, ...integers];
export const everything: readonly DType[] = [...numbers, ...complexes, 'bool'];
