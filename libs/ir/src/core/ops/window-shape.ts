// The one formula for how often a window fits, which convolution, reduce_window and select_and_scatter share.

/** The size of a dimension with `dilation − 1` elements put between each two. */
export const dilated = (size: number, dilation: number): number =>
  size === 0 ? 0 : (size - 1) * dilation + 1;

/** Positions of a window along one dimension; undefined when negative padding takes more than there is. */
export function windowOutput(
  size: number,
  window: number,
  stride: number,
  [low, high]: readonly number[],
  baseDilation: number,
  windowDilation: number,
): number | undefined {
  const padded = low + dilated(size, baseDilation) + high;
  if (padded < 0) return undefined;
  const reach = dilated(window, windowDilation);
  return padded === 0 || reach > padded ? 0 : Math.floor((padded - reach) / stride) + 1;
}
