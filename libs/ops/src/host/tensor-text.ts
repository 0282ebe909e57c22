// The text of a tensor in `print`, `str` and `format` of scripted programs: that of C++'s stream operator, which is not
// Python's. After aten/src/ATen/core/Formatting.cpp.
import type { TensorLiteral } from '@weft/ir';
import { dtypes, formatGeneral, isComplex } from '@weft/ir';
import { numbersOf } from '../literal.ts';

const LINE = 80;

/** Rows of values, a line each, and `[ CPUFloatType{2,3} ]`. */
export function formatTensor(literal: TensorLiteral): string {
  const all = numbersOf(literal);
  const values = isComplex(literal.dtype) ? all.filter((_, index) => index % 2 === 0) : all;
  const { shape } = literal;
  const name = `[ CPU${dtypes[literal.dtype].printName}Type{${shape.join(',')}} ]`;
  if (shape.length === 0) return `${formatGeneral(values[0], 6)}\n${name}`;
  if (values.length === 0) return name;
  if (shape.length === 1) {
    const { scale, print } = chooseFormat(values);
    const lines = Array.from(values, (value) => `${print(value / scale)}\n`).join('');
    return `${scaleLine(scale)}${lines}${name}`;
  }
  if (shape.length === 2) return `${matrix(values, shape[0], shape[1], 0)}${name}`;
  return `${slices(values, shape)}${name}`;
}

interface Format {
  readonly scale: number;
  readonly width: number;
  /** The value in its width. */
  print(value: number): string;
}

/** One format for all of the values: integers, fixed point (perhaps with a common scale) or scientific. */
function chooseFormat(values: ArrayLike<number>): Format {
  const finite = Array.from(values).filter(Number.isFinite);
  const magnitudes = finite.map(Math.abs);
  const digits = (value: number): number => (value === 0 ? 1 : Math.floor(Math.log10(value)) + 1);
  const least = magnitudes.length === 0 ? 1 : digits(magnitudes.reduce((a, b) => Math.min(a, b)));
  const most = magnitudes.length === 0 ? 1 : digits(magnitudes.reduce((a, b) => Math.max(a, b)));
  const make = (width: number, scale: number, text: (value: number) => string): Format => ({
    scale,
    width,
    print: (value) => (Number.isFinite(value) ? text(value) : special(value)).padStart(width),
  });
  if (finite.every(Number.isInteger)) {
    return most > 9 ? make(11, 1, scientific) : make(most + 1, 1, (value) => formatGeneral(value, 6));
  }
  if (most - least > 4) return make(Math.abs(most) > 99 || Math.abs(least) > 99 ? 12 : 11, 1, scientific);
  const fixed = (value: number): string => value.toFixed(4);
  if (most > 5 || most < 0) return make(7, 10 ** (most - 1), fixed);
  return make(most === 0 ? 7 : most + 6, 1, fixed);
}

const special = (value: number): string => (Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');
const scientific = (value: number): string => value.toExponential(4).replace(/e([+-])(\d)$/, 'e$10$2');
const scaleLine = (scale: number): string => (scale === 1 ? '' : `${formatGeneral(scale, 6)} *\n`);

function matrix(values: Float64Array, rows: number, columns: number, indent: number): string {
  const { scale, width, print } = chooseFormat(values);
  const margin = ' '.repeat(indent);
  const perLine = Math.floor((LINE - indent) / (width + 1));
  let text = margin;
  for (let first = 0; first < columns;) {
    const last = Math.min(first + perLine, columns) - 1;
    if (perLine < columns) text += `${first === 0 ? '' : '\n'}Columns ${first + 1} to ${last + 1}${margin}`;
    if (scale !== 1) text += scaleLine(scale) + margin;
    for (let row = 0; row < rows; row++) {
      const cells = Array.from(values.subarray(row * columns + first, row * columns + last + 1), (value) =>
        print(value / scale),
      );
      text += `${cells.join(' ')}\n`;
      if (row < rows - 1) text += scale === 1 ? margin : `${margin} `;
    }
    first = last + 1;
  }
  return text;
}

/** Matrices of a tensor of more dimensions, the first dimension fastest. */
function slices(values: Float64Array, shape: readonly number[]): string {
  const outer = shape.slice(0, -2);
  const [rows, columns] = shape.slice(-2);
  const size = rows * columns;
  const count = outer.reduce((product, extent) => product * extent, 1);
  const parts: string[] = [];
  for (let at = 0; at < count; at++) {
    let rest = at;
    const index = outer.map((extent) => {
      const here = rest % extent;
      rest = Math.floor(rest / extent);
      return here;
    });
    const offset = index.reduce((position, here, dim) => position * outer[dim] + here, 0) * size;
    const label = index.map((here) => `${here + 1},`).join('');
    parts.push(`(${label}.,.) = \n${matrix(values.subarray(offset, offset + size), rows, columns, 1)}`);
  }
  return parts.join('\n');
}
