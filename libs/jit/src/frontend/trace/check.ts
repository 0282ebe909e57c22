// Data for checking a trace, and comparison of results.
import { dtypes, isFloatingPoint } from '@weft/ir';
import { Tensor, tensor } from '@weft/tensor';

/** A copy of an input; with a seed of 0 or more, floating-point tensors get other numbers. */
export function otherData(value: unknown, seed: number): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => otherData(item, seed < 0 ? seed : seed * 31 + index));
  if (!(value instanceof Tensor)) return value;
  const { dtype, sizes } = value;
  if (seed < 0 || !isFloatingPoint(dtype)) return value.detach().clone();
  // A small generator of its own: the user's random stream must not move.
  let state = (seed + 1) * 0x9e3779b9;
  const next = (): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    return ((state >>> 8) / 2 ** 24) * 4 - 2;
  };
  const flat = Array.from({ length: sizes.reduce((product, size) => product * size, 1) }, next);
  if (flat.length === 0) return value.detach().clone();
  return tensor(flat, { dtype }).reshape([...sizes]);
}

/** How two results differ, or undefined when they agree. */
export function sameResult(expected: unknown, found: unknown, place = 'the result'): string | undefined {
  if (expected instanceof Tensor && found instanceof Tensor) return sameTensor(expected, found, place);
  if (Array.isArray(expected) && Array.isArray(found)) {
    if (expected.length !== found.length) return `${place} has ${found.length} parts, not ${expected.length}`;
    for (const [index, item] of expected.entries()) {
      const difference = sameResult(item, found[index], `${place}[${index}]`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (typeof expected === 'object' && expected !== null && typeof found === 'object' && found !== null) {
    const entries =
      expected instanceof Map ? [...(expected as Map<unknown, unknown>)] : Object.entries(expected);
    for (const [key, entry] of entries) {
      const other: unknown =
        found instanceof Map ? found.get(key) : (found as Record<string, unknown>)[String(key)];
      const difference = sameResult(entry, other, `${place}['${String(key)}']`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return (expected ?? null) === (found ?? null) ? undefined : `${place} is not the same kind of value`;
}

function sameTensor(expected: Tensor, found: Tensor, place: string): string | undefined {
  if (expected.dtype !== found.dtype || String(expected.sizes) !== String(found.sizes)) {
    const show = (value: Tensor): string => `${value.dtype}[${value.sizes.join(', ')}]`;
    return `${place} is ${show(found)}, not ${show(expected)}`;
  }
  const [a, b] = [numbers(expected), numbers(found)];
  const tolerance = dtypes[expected.dtype].bytes >= 8 ? 1e-7 : 1e-5;
  const index = a.findIndex((value, at) => !close(value, b[at], tolerance));
  return index < 0 ? undefined : `${place} is ${b[index]} at element ${index}, not ${a[index]}`;
}

const close = (a: number, b: number, tolerance: number): boolean =>
  Object.is(a, b) ||
  (Number.isNaN(a) && Number.isNaN(b)) ||
  Math.abs(a - b) <= tolerance + tolerance * Math.abs(a);

function numbers(value: Tensor): number[] {
  const wide = value.dtype.startsWith('complex') ? value : value.to('float64');
  return Array.from(wide.data as ArrayLike<number>, Number);
}
