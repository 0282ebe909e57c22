// Tensors as text, as PyTorch prints them (torch/_tensor_str.py with its default options).
import type { DType } from '@weft/ir';
import { Complex, dtypes, numel } from '@weft/ir';
import type { Element } from './elements.ts';
import { elementAt } from './elements.ts';
import type { Tensor } from './tensor.ts';

const lineWidth = 80;
/** Tensors with more elements are summarised by `edgeItems` at each end of every dimension. */
const threshold = 1000;
const edgeItems = 3;
const precision = 4;

const defaultDTypes: readonly DType[] = ['float32', 'int64', 'bool', 'complex64'];

/** `tensor([1., 2.], requires_grad=True)`. */
export function printTensor(tensor: Tensor): string {
  const suffixes: string[] = [];
  const count = numel(tensor.sizes);
  let text = 'tensor(';
  if (tensor.device !== 'cpu') suffixes.push(`device='${tensor.device}'`);
  if (count === 0) {
    if (tensor.ndim !== 1) suffixes.push(`size=(${tensor.sizes.join(', ')})`);
    if (tensor.dtype !== 'float32') suffixes.push(`dtype=torch.${tensor.dtype}`);
    text += '[]';
  } else {
    if (!defaultDTypes.includes(tensor.dtype)) suffixes.push(`dtype=torch.${tensor.dtype}`);
    text += new Layout(tensor, count > threshold).print();
  }
  const { gradFn } = tensor;
  if (gradFn !== null) suffixes.push(`grad_fn=<${gradFn.name}>`);
  else if (tensor.requiresGrad) suffixes.push('requires_grad=True');
  return addSuffixes(text, suffixes);
}

function addSuffixes(text: string, suffixes: readonly string[]): string {
  let result = text;
  const indent = 'tensor('.length;
  let last = text.length - text.lastIndexOf('\n') + 1;
  for (const suffix of suffixes) {
    if (last + suffix.length + 2 > lineWidth) {
      result += `,\n${' '.repeat(indent)}${suffix}`;
      last = indent + suffix.length;
    } else {
      result += `, ${suffix}`;
      last += suffix.length + 2;
    }
  }
  return `${result})`;
}

/** The nested brackets of one tensor. */
class Layout {
  private readonly data: Tensor['data'];
  private readonly real: NumberFormat;
  private readonly imaginary: NumberFormat | null;

  constructor(
    private readonly tensor: Tensor,
    private readonly summarised: boolean,
  ) {
    this.data = tensor.data;
    const shown = [...this.shownElements(0, 0)];
    const isComplex = dtypes[tensor.dtype].category === 'complex';
    const parts = (part: 're' | 'im'): Element[] => shown.map((value) => (value as Complex)[part]);
    const isFloat = isComplex || dtypes[tensor.dtype].category === 'float';
    this.real = new NumberFormat(isComplex ? parts('re') : shown, isFloat);
    this.imaginary = isComplex ? new NumberFormat(parts('im'), true) : null;
  }

  print(): string {
    return this.block(0, 0, 'tensor('.length);
  }

  /** Positions shown of a dimension; null stands for those left out. */
  private positions(dim: number): (number | null)[] {
    const size = this.tensor.sizes[dim];
    const all = Array.from({ length: size }, (_, index) => index);
    if (!this.summarised || size <= 2 * edgeItems) return all;
    return [...all.slice(0, edgeItems), null, ...all.slice(-edgeItems)];
  }

  private *shownElements(dim: number, at: number): Generator<Element> {
    if (dim === this.tensor.ndim) {
      yield elementAt(this.tensor.dtype, this.data, at);
      return;
    }
    for (const position of this.positions(dim)) {
      if (position !== null) yield* this.shownElements(dim + 1, at * this.tensor.sizes[dim] + position);
    }
  }

  private block(dim: number, at: number, indent: number): string {
    const { ndim, sizes } = this.tensor;
    if (dim === ndim) return this.element(at);
    const positions = this.positions(dim);
    if (dim === ndim - 1) {
      const items = positions.map((position) =>
        position === null ? ' ...' : this.element(at * sizes[dim] + position),
      );
      return `[${this.lines(items, indent)}]`;
    }
    const blocks = positions.map((position) =>
      position === null ? '...' : this.block(dim + 1, at * sizes[dim] + position, indent + 1),
    );
    return `[${blocks.join(`,${'\n'.repeat(ndim - dim - 1)}${' '.repeat(indent + 1)}`)}]`;
  }

  private lines(items: readonly string[], indent: number): string {
    const width = this.real.width + 2 + (this.imaginary === null ? 0 : this.imaginary.width + 1);
    const perLine = Math.max(1, Math.floor((lineWidth - indent) / width));
    const lines: string[] = [];
    for (let start = 0; start < items.length; start += perLine) {
      lines.push(items.slice(start, start + perLine).join(', '));
    }
    return lines.join(`,\n${' '.repeat(indent + 1)}`);
  }

  private element(at: number): string {
    const value = elementAt(this.tensor.dtype, this.data, at);
    if (!(value instanceof Complex) || this.imaginary === null) return this.real.format(value);
    const imaginary = `${this.imaginary.format(value.im)}j`.trimStart();
    return `${this.real.format(value.re)}${/^[+-]/.test(imaginary) ? '' : '+'}${imaginary}`;
  }
}

/** One format for all numbers shown: whole, with decimals, or with exponents. */
class NumberFormat {
  readonly width: number;
  private readonly style: 'plain' | 'whole' | 'fixed' | 'exponent';

  constructor(values: readonly Element[], isFloat: boolean) {
    this.style = isFloat ? styleOf(values as readonly number[]) : 'plain';
    if (this.style === 'plain') {
      this.width = Math.max(1, ...values.map((value) => this.text(value).length));
    } else {
      // Of infinities and NaN only the width that other numbers need is known.
      const finite = (values as readonly number[]).filter((value) => Number.isFinite(value) && value !== 0);
      this.width = Math.max(1, ...finite.map((value) => this.text(value).length));
    }
  }

  format(value: Element): string {
    return this.text(value).padStart(this.width);
  }

  private text(value: Element): string {
    if (typeof value === 'boolean') return value ? 'True' : 'False';
    if (typeof value !== 'number') return String(value);
    if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
    switch (this.style) {
      case 'plain':
        return String(value);
      case 'whole':
        return `${Object.is(value, -0) ? '-0' : value.toFixed(0)}.`;
      case 'fixed':
        return fixed(value);
      case 'exponent':
        return value.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
      default:
        return this.style satisfies never;
    }
  }
}

function styleOf(values: readonly number[]): 'whole' | 'fixed' | 'exponent' {
  const finite = values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const whole = values.every((value) => !Number.isFinite(value) || Number.isInteger(value));
  if (finite.length === 0) return whole ? 'whole' : 'fixed';
  const most = finite.reduce((a, b) => Math.max(a, b));
  const least = finite.reduce((a, b) => Math.min(a, b));
  if (most / least > 1000 || most > 1e8 || (!whole && least < 1e-4)) return 'exponent';
  return whole ? 'whole' : 'fixed';
}

/** Four decimals, halves to even as Python rounds them. A half is exact only in multiples of 1/32. */
function fixed(value: number): string {
  const text = value.toFixed(precision);
  const isHalf = Number.isInteger(value * 32) && !Number.isInteger(value * 16);
  if (isHalf && Number(text.at(-1)) % 2 === 1) {
    return (value - Math.sign(value) * 1e-5).toFixed(precision);
  }
  return Object.is(value, -0) ? `-${text}` : text;
}
