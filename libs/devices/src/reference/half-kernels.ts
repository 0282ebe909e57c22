// Kernels that take whole registers between half precision and float32, for operators that compute in float32.
import { halfEncoder, halfValues } from './half.ts';
import type { Kernel } from './program.ts';

export function decodeKernel(dtype: 'float16' | 'bfloat16', from: number, to: number): Kernel {
  const values = halfValues(dtype);
  return (registers) => {
    const source = registers[from] as Uint16Array;
    const target = registers[to] as Float32Array;
    for (let index = 0; index < target.length; index++) target[index] = values[source[index]];
  };
}

export function encodeKernel(dtype: 'float16' | 'bfloat16', from: number, to: number): Kernel {
  const encode = halfEncoder(dtype);
  return (registers) => {
    const source = registers[from] as Float32Array;
    const target = registers[to] as Uint16Array;
    for (let index = 0; index < target.length; index++) target[index] = encode(source[index]);
  };
}
