// Tensor literals as text. In torch graphs they print as PyTorch prints them, for reading: `{0.5}`, ` 1  2 [ CPULongType{2} ]`, `<Tensor>`
// when there are more than ten elements. The exact form, `tensor<float32, [2, 3], 0x…>`, holds every bit (and `splat<…>` the
// one element of a splat); core graphs always use it.
import type { DType } from '../types/dtype.ts';
import { dtypeOfPrintName, dtypes } from '../types/dtype.ts';
import { Complex, TensorLiteral } from '../types/ivalue.ts';
import { numel } from '../types/types.ts';
import type { TensorType } from '../types/types.ts';
import { literalElements, literalOf } from '../types/literal.ts';
import { formatGeneral, parseFloatText } from './number-text.ts';
import type { Scanner } from './scanner.ts';

const mostShown = 10;
const lineWidth = 80;

// ---- exact ------------------------------------------------------------------------------------------------------

export function exactTensorText(literal: TensorLiteral): string {
  const { bytes, dtype, shape, splat } = literal;
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return `${splat ? 'splat' : 'tensor'}<${dtype}, [${shape.join(', ')}], 0x${hex}>`;
}

const exactHead = /(tensor|splat)</y;

/** Reads the exact form if it comes next. */
export function scanExactTensor(scanner: Scanner): TensorLiteral | undefined {
  scanner.skip();
  const head = scanner.match(exactHead);
  if (head === undefined) return undefined;
  const dtype = scanner.identifier() as DType;
  if (!(dtype in dtypes)) scanner.fail(`'${dtype}' is no element type`);
  scanner.expect(',');
  scanner.expect('[');
  const shape = scanner.list(']', () => scanner.integer());
  scanner.expect(',');
  scanner.expect('0x');
  const end = scanner.text.indexOf('>', scanner.position);
  if (end < 0) scanner.fail("expected '>'");
  const splat = head === 'splat<';
  const length = (splat ? 1 : numel(shape)) * dtypes[dtype].bytes;
  const digits = end - scanner.position;
  if (digits !== length * 2) scanner.fail(`expected ${length * 2} hexadecimal digits instead of ${digits}`);
  // A copy of its own: Buffer.from may give a view of a shared pool.
  const bytes = new Uint8Array(length);
  const decoded = Buffer.from(scanner.text.slice(scanner.position, end), 'hex');
  if (decoded.length !== length) scanner.fail('expected hexadecimal digits');
  bytes.set(decoded);
  scanner.position = end + 1;
  return new TensorLiteral(dtype, shape, bytes, splat);
}

// ---- as PyTorch prints ------------------------------------------------------------------------------------------

/** The literal as a graph of PyTorch shows it; not all of it for most. */
export function tensorText(literal: TensorLiteral): string {
  const count = numel(literal.shape);
  if (count === 1) return `{${scalarText(literalElements(literal)[0])}}`;
  if (count > mostShown) return '<Tensor>';
  const values = literalElements(literal).map((element) =>
    element instanceof Complex ? element.re : Number(element),
  );
  const { printName } = dtypes[literal.dtype];
  return `${tensorLines(values, literal.shape)}[ CPU${printName}Type{${literal.shape.join(',')}} ]`.replaceAll(
    '\n',
    ' ',
  );
}

function scalarText(value: number | bigint | boolean | Complex): string {
  if (typeof value === 'number') return formatGeneral(value, 6);
  if (value instanceof Complex) return `(${formatGeneral(value.re, 6)},${formatGeneral(value.im, 6)})`;
  return String(Number(value) === 0 || typeof value === 'boolean' ? Number(value) : value);
}

/** After at::print (ATen/core/Formatting.cpp). */
function tensorLines(values: readonly number[], shape: readonly number[]): string {
  if (values.length === 0) return '';
  if (shape.length === 1) {
    const { width, scale, print } = chooseFormat(values);
    const head = scale === 1 ? '' : `${formatGeneral(scale, 6)} *\n`;
    return head + values.map((value) => `${print(value / scale).padStart(width)}\n`).join('');
  }
  if (shape.length === 2) return matrixLines(values, shape[0], shape[1], 0);
  const [rows, columns] = shape.slice(-2);
  const outer = shape.slice(0, -2);
  const pages: string[] = [];
  const page = outer.map(() => 0);
  for (let count = numel(outer); count > 0; count--) {
    const index = page.reduce((total, position, dimension) => total * outer[dimension] + position, 0);
    const start = index * rows * columns;
    const lines = matrixLines(values.slice(start, start + rows * columns), rows, columns, 1);
    pages.push(`(${page.map((position) => `${position + 1},`).join('')}.,.) = \n${lines}`);
    // The first dimension runs fastest.
    for (let dimension = 0; dimension < page.length && ++page[dimension] === outer[dimension]; dimension++) {
      page[dimension] = 0;
    }
  }
  return pages.join('\n');
}

function matrixLines(values: readonly number[], rows: number, columns: number, indent: number): string {
  const { width, scale, print } = chooseFormat(values);
  const space = ' '.repeat(indent);
  const perLine = Math.floor((lineWidth - indent) / (width + 1));
  let text = space;
  for (let first = 0; first < columns; first += perLine) {
    const last = Math.min(first + perLine, columns) - 1;
    if (perLine < columns) text += `${first === 0 ? '' : '\n'}Columns ${first + 1} to ${last + 1}${space}`;
    if (scale !== 1) text += `${formatGeneral(scale, 6)} *\n${space}`;
    for (let row = 0; row < rows; row++) {
      const items = values.slice(row * columns + first, row * columns + last + 1);
      text += items.map((value) => print(value / scale).padStart(width)).join(' ') + '\n';
      if (row !== rows - 1) text += scale === 1 ? space : `${space} `;
    }
  }
  return text;
}

function chooseFormat(values: readonly number[]): {
  width: number;
  scale: number;
  print: (value: number) => string;
} {
  const general = (value: number): string => formatGeneral(value, 6);
  const fixed = (value: number): string => (Number.isFinite(value) ? value.toFixed(4) : general(value));
  const scientific = (value: number): string => {
    if (!Number.isFinite(value)) return general(value);
    const [mantissa, exponent] = value.toExponential(4).split('e');
    return `${mantissa}e${exponent.charAt(0)}${exponent.slice(1).padStart(2, '0')}`;
  };
  const finite = values.filter((value) => Number.isFinite(value));
  let smallest = 1;
  let largest = 1;
  if (finite.length > 0) {
    smallest = largest = Math.abs(finite[0]);
    for (const value of finite) {
      smallest = Math.min(smallest, Math.abs(value));
      // Signed, as in PyTorch: a large negative number counts only when it comes first.
      if (value > largest) largest = Math.abs(value);
    }
    smallest = smallest === 0 ? 1 : Math.floor(Math.log10(smallest)) + 1;
    largest = largest === 0 ? 1 : Math.floor(Math.log10(largest)) + 1;
  }
  if (finite.every((value) => Number.isInteger(value))) {
    return largest > 9
      ? { width: 11, scale: 1, print: scientific }
      : { width: largest + 1, scale: 1, print: general };
  }
  if (largest - smallest > 4) {
    return {
      width: Math.abs(largest) > 99 || Math.abs(smallest) > 99 ? 12 : 11,
      scale: 1,
      print: scientific,
    };
  }
  if (largest > 5 || largest < 0) return { width: 7, scale: 10 ** (largest - 1), print: fixed };
  return { width: largest === 0 ? 7 : largest + 6, scale: 1, print: fixed };
}

const shownTail = /\[ CPU([A-Za-z0-9]+)Type\{([\d,]*)\} \]/y;
const shownNumber = /[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)/y;
const page = /\([\d,]+\.,\.\) = /y;
const columnRange = /Columns \d+ to \d+/y;

/** Whether PyTorch's form comes next: `{`, `<Tensor>`, or numbers up to `[ CPU…Type{…} ]`. */
export const seesShownTensor = (scanner: Scanner): boolean =>
  scanner.sees('{') ||
  scanner.sees('<Tensor>') ||
  /^[^\]"]*\[ CPU\w+Type\{/.test(scanner.text.slice(scanner.position, scanner.position + 400));

/**
 * Reads PyTorch's form: what it shows, in the precision that it shows. `<Tensor>` shows nothing and reads as zeros.
 * @param type the type of the value, for the dtype and shape that the form leaves out
 */
export function scanShownTensor(scanner: Scanner, type: TensorType | undefined): TensorLiteral {
  const sizes = type?.sizes;
  const shape = sizes?.includes(null) ? undefined : (sizes as readonly number[] | undefined);
  if (scanner.accept('<Tensor>')) {
    if (type?.dtype === undefined || shape === undefined) {
      scanner.fail('<Tensor> needs a type with dtype and shape; print exactly to keep the data');
    }
    return new TensorLiteral(type.dtype, shape, new Uint8Array(dtypes[type.dtype].bytes), true);
  }
  if (scanner.accept('{')) {
    const value = scanScalar(scanner);
    scanner.expect('}');
    if (shape !== undefined && numel(shape) !== 1)
      scanner.fail('one number is shown for a type of other sizes');
    const dtype =
      type?.dtype ??
      (value instanceof Complex ? 'complex64' : typeof value === 'bigint' ? 'int64' : 'float32');
    return literalOf(dtype, shape ?? [], [value]);
  }
  const values: number[] = [];
  let scale = 1;
  for (;;) {
    scanner.skip();
    const tail = scanner.match(shownTail);
    if (tail !== undefined) {
      const [, name, dimensions] = /Type|^\[ CPU(.*)Type\{(.*)\}/.exec(tail) ?? [];
      const dtype = dtypeOfPrintName(name) ?? scanner.fail(`'${name}' is no element type`);
      const sizes = dimensions === '' ? [] : dimensions.split(',').map(Number);
      if (numel(sizes) !== values.length)
        scanner.fail(`expected ${numel(sizes)} numbers instead of ${values.length}`);
      return literalOf(
        dtype,
        sizes,
        values.map((value) => value * scale),
      );
    }
    if (scanner.match(page) !== undefined || scanner.match(columnRange) !== undefined) continue;
    const number = scanner.match(shownNumber) ?? scanner.fail('expected a number');
    if (scanner.accept('*')) scale = parseFloatText(number);
    else values.push(parseFloatText(number));
  }
}

function scanScalar(scanner: Scanner): number | bigint | Complex {
  if (scanner.accept('(')) {
    const [re, im] = scanner.list(')', () =>
      parseFloatText(scanner.acceptNumber() ?? scanner.fail('expected a number')),
    );
    return new Complex(re, im);
  }
  const number = scanner.acceptNumber() ?? scanner.fail('expected a number');
  return /^[+-]?\d+$/.test(number) ? (number === '-0' ? -0 : BigInt(number)) : parseFloatText(number);
}
