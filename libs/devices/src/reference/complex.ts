// Elementwise operators on complex tensors, and those between complex and real: one plain loop each.
import type { DType } from '@weft/ir';
import { isComplex } from '@weft/ir';
import { complexFunctions, result } from './complex-functions.ts';
import { halfEncoder, halfValues, isHalf } from './half.ts';
import type { Emitter, Kernel, Site } from './program.ts';
import { unsupported } from './program.ts';
import type { BigArray, NumberArray, TypedArray } from './typed-array.ts';
import { isBig } from './typed-array.ts';

type Floats = Float32Array | Float64Array;

function complexKernel(site: Site, name: string): Kernel {
  const call = complexFunctions[name];
  if (call === undefined) throw unsupported(site.node, 'complex elements are not defined for it');
  const [a, b = a] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const x = registers[a] as Floats;
    const y = registers[b] as Floats;
    const target = registers[to] as Floats;
    for (let index = 0; index < target.length; index += 2) {
      call(x[index], x[index + 1], y[index], y[index + 1]);
      target[index] = result[0];
      target[index + 1] = result[1];
    }
  };
}

/** Element by element from a complex operand to a real result. */
function partKernel(site: Site, part: (re: number, im: number) => number): Kernel {
  const [from] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const source = registers[from] as Floats;
    const target = registers[to] as Floats;
    for (let index = 0; index < target.length; index++) {
      target[index] = part(source[2 * index], source[2 * index + 1]);
    }
  };
}

const parts: Readonly<Record<string, (re: number, im: number) => number>> = {
  real: (re) => re,
  imag: (_, im) => im,
  abs: (re, im) => Math.hypot(re, im),
};

const makeComplex: Emitter = (site) => {
  const [re, im] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const reals = registers[re] as Floats;
    const imaginaries = registers[im] as Floats;
    const target = registers[to] as Floats;
    for (let index = 0; index < reals.length; index++) {
      target[2 * index] = reals[index];
      target[2 * index + 1] = imaginaries[index];
    }
  };
};

const compare: Emitter = (site) => {
  const equal = site.node.get('s', 'comparison_direction') === 'EQ' ? 1 : 0;
  const [a, b] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const x = registers[a] as Floats;
    const y = registers[b] as Floats;
    const target = registers[to] as Uint8Array;
    for (let index = 0; index < target.length; index++) {
      const same = x[2 * index] === y[2 * index] && x[2 * index + 1] === y[2 * index + 1];
      target[index] = same ? equal : 1 - equal;
    }
  };
};

const select: Emitter = (site) => {
  const [predicate, onTrue, onFalse] = site.operands;
  const [to] = site.results;
  const scalar = site.inSpecs[0].sizes.length === 0;
  return (registers) => {
    const chosen = registers[predicate] as Uint8Array;
    const [yes, no] = [registers[onTrue] as Floats, registers[onFalse] as Floats];
    const target = registers[to] as Floats;
    for (let index = 0; index < target.length; index++) {
      target[index] = (chosen[scalar ? 0 : index >> 1] !== 0 ? yes : no)[index];
    }
  };
};

/** Complex to real drops the imaginary part, real to complex has none; to bool means not zero. */
const convert: Emitter = (site) => {
  const from = site.inSpecs[0].dtype;
  const to = site.outSpecs[0].dtype;
  const [source] = site.operands;
  const [target] = site.results;
  const read = elementReader(from);
  const write = elementWriter(to);
  const toBool = to === 'bool' && isComplex(from);
  return (registers) => {
    const input = registers[source];
    const output = registers[target];
    const count = output.length / (isComplex(to) ? 2 : 1);
    for (let index = 0; index < count; index++) {
      if (toBool) {
        const nonzero = input[2 * index] !== 0 || input[2 * index + 1] !== 0;
        (output as Uint8Array)[index] = nonzero ? 1 : 0;
      } else write(output, index, read(input, index), isComplex(from) ? Number(input[2 * index + 1]) : 0);
    }
  };
};

function elementReader(dtype: DType): (array: TypedArray, index: number) => number {
  if (isComplex(dtype)) return (array, index) => array[2 * index] as number;
  if (isHalf(dtype)) {
    const values = halfValues(dtype);
    return (array, index) => values[array[index] as number];
  }
  return (array, index) => Number(array[index]);
}

function elementWriter(dtype: DType): (array: TypedArray, index: number, re: number, im: number) => void {
  if (isComplex(dtype)) {
    return (array, index, re, im) => {
      (array as Floats)[2 * index] = re;
      (array as Floats)[2 * index + 1] = im;
    };
  }
  if (isBig(dtype)) {
    return (array, index, re) => {
      const whole = Math.abs(re) < 2 ** 63 ? BigInt(Math.trunc(re)) : -(2n ** 63n);
      (array as BigArray)[index] = whole;
    };
  }
  if (isHalf(dtype)) {
    const encode = halfEncoder(dtype);
    return (array, index, re) => {
      (array as Uint16Array)[index] = encode(re);
    };
  }
  return (array, index, re) => {
    (array as NumberArray)[index] = Math.abs(re) < 2 ** 31 || dtype.startsWith('float') ? re : -(2 ** 31);
  };
}

/** The bytes of the operand, read as another dtype. */
const bitcast: Emitter = (site) => {
  const [from] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const source = registers[from];
    const target = registers[to];
    new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(
      new Uint8Array(source.buffer, source.byteOffset, source.byteLength),
    );
  };
};

const special: Readonly<Record<string, Emitter>> = {
  complex: makeComplex,
  compare,
  select,
  convert,
};

/** Reached only with complex operands or results: everything else is fused by elementwise.ts. */
export const complexEmitters: Readonly<Record<string, Emitter>> = {
  ...Object.fromEntries(
    Object.keys(complexFunctions).map((name): [string, Emitter] => [
      name,
      (site) => complexKernel(site, name),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(parts).map(([name, part]): [string, Emitter] => [name, (site) => partKernel(site, part)]),
  ),
  ...special,
  bitcast_convert: bitcast,
};
