// Numbers as C++ streams print them (`%g` with a precision) and as PyTorch's IValues do.

/** C's `%.{precision}g`. */
export function formatGeneral(value: number, precision: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa, exponentText] = value.toExponential(precision - 1).split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= precision) {
    return `${trimZeros(mantissa)}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return trimZeros(value.toFixed(Math.max(0, precision - 1 - exponent)));
}

/** A float with all its digits: whole numbers below `wholeLimit` as `2.`, the rest as `%.17g`. */
export function formatFloat(value: number, wholeLimit = 1e10): string {
  if (Number.isInteger(value) && Math.abs(value) < wholeLimit) {
    return `${Object.is(value, -0) ? '-0' : value.toFixed(0)}.`;
  }
  return formatGeneral(value, 17);
}

/** As `formatFloat`, but never to be mistaken for an integer. */
export function formatExactFloat(value: number): string {
  const text = formatFloat(value);
  return /[.en]/.test(text) ? text : `${text}.`;
}

/** The parts as floats, joined by the sign of the imaginary one: `1.+2.j`. PyTorch drops the signs of zeros. */
export function formatComplex(re: number, im: number): string {
  const part = (value: number): string => formatFloat(value + 0, 2 ** 63);
  return `${part(re)}${im >= 0 ? '+' : '-'}${part(Math.abs(im))}j`;
}

const trimZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** Parses what the functions above print. */
export function parseFloatText(text: string): number {
  const unsigned = text.replace(/^[+-]/, '');
  const magnitude = unsigned === 'inf' ? Infinity : unsigned === 'nan' ? NaN : Number(unsigned);
  return text.startsWith('-') ? -magnitude : magnitude;
}
