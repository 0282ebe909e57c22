// How long calls take, and what is typical of many.

/** Milliseconds that a call takes. */
export function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

/** The value at `part` (0 to 1) of the values in order; between the values beside the place, as most do. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const low = Math.floor(place);
  const high = Math.ceil(place);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
