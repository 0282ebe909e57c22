// Element types of tensors, shared by both levels of the IR: their names, sizes, and PyTorch's numbers and print names.

/** An element type. Complex numbers are stored as (real, imaginary) pairs; bool is one byte, 0 or 1. */
export type DType = keyof typeof dtypes;

export interface DTypeInfo {
  /** Bytes of one element. */
  readonly bytes: number;
  readonly category: 'bool' | 'uint' | 'int' | 'float' | 'complex';
  /** PyTorch's `c10::ScalarType` number: what an `int` argument named dtype holds in a graph. */
  readonly scalarType: number;
  /** What PyTorch prints in a tensor type: `Float(2, 3)`. */
  readonly printName: string;
}

export const dtypes = {
  uint8: { bytes: 1, category: 'uint', scalarType: 0, printName: 'Byte' },
  int8: { bytes: 1, category: 'int', scalarType: 1, printName: 'Char' },
  int16: { bytes: 2, category: 'int', scalarType: 2, printName: 'Short' },
  int32: { bytes: 4, category: 'int', scalarType: 3, printName: 'Int' },
  int64: { bytes: 8, category: 'int', scalarType: 4, printName: 'Long' },
  float16: { bytes: 2, category: 'float', scalarType: 5, printName: 'Half' },
  float32: { bytes: 4, category: 'float', scalarType: 6, printName: 'Float' },
  float64: { bytes: 8, category: 'float', scalarType: 7, printName: 'Double' },
  complex64: { bytes: 8, category: 'complex', scalarType: 9, printName: 'ComplexFloat' },
  complex128: { bytes: 16, category: 'complex', scalarType: 10, printName: 'ComplexDouble' },
  bool: { bytes: 1, category: 'bool', scalarType: 11, printName: 'Bool' },
  bfloat16: { bytes: 2, category: 'float', scalarType: 15, printName: 'BFloat16' },
  uint16: { bytes: 2, category: 'uint', scalarType: 27, printName: 'UInt16' },
  uint32: { bytes: 4, category: 'uint', scalarType: 28, printName: 'UInt32' },
  uint64: { bytes: 8, category: 'uint', scalarType: 29, printName: 'UInt64' },
} as const satisfies Record<string, DTypeInfo>;

export const dtypeNames = Object.keys(dtypes) as DType[];

export const isFloatingPoint = (dtype: DType): boolean => dtypes[dtype].category === 'float';
export const isComplex = (dtype: DType): boolean => dtypes[dtype].category === 'complex';
/** True for signed and unsigned integers; bool is not an integer here. */
export const isInteger = (dtype: DType): boolean =>
  dtypes[dtype].category === 'int' || dtypes[dtype].category === 'uint';

/** The dtype with PyTorch's number, or undefined (quantised and unknown numbers). */
export function dtypeOfScalarType(scalarType: number): DType | undefined {
  return dtypeNames.find((name) => dtypes[name].scalarType === scalarType);
}

export function dtypeOfPrintName(printName: string): DType | undefined {
  return dtypeNames.find((name) => dtypes[name].printName === printName);
}

/** The dtype of the real and imaginary parts of a complex dtype; any other dtype unchanged. */
export function realDType(dtype: DType): DType {
  return dtype === 'complex64' ? 'float32' : dtype === 'complex128' ? 'float64' : dtype;
}
