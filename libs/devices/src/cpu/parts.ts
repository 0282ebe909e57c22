// Equal parts of tensors: a row, a channel, a matrix of a batch. Elements of a value of `before` · parts · `after` elements are
// numbered (b, part, a); a step that reads, of such a value, only the part that it computes can run part by part.
import type { Access } from './access.ts';

/** How a value falls into parts: elements outside and inside of the dimensions that count the parts. */
export interface Split {
  readonly before: number;
  readonly after: number;
}

/** A dimension or a factor of one: `step` is its stride in units of the dimension's. */
export interface Piece {
  readonly dimension: number;
  readonly size: number;
  readonly step: number;
}

/** Dimensions in the order in which a chain computes them. */
export interface Pieces {
  readonly parts: readonly Piece[];
  readonly before: readonly Piece[];
  readonly after: readonly Piece[];
}

export const ordered = ({ parts, before, after }: Pieces): readonly Piece[] => [
  ...parts,
  ...before,
  ...after,
];

export const stridesAlong = (pieces: readonly Piece[], strides: readonly number[]): number[] =>
  pieces.map(({ dimension, step }) => strides[dimension] * step);

/** The dimensions of a shape as those of a split; undefined when none of their factors do. */
export function piecesOf(
  sizes: readonly number[],
  parts: number,
  { before, after }: Split,
): Pieces | undefined {
  const lists: Piece[][] = [[], [], []];
  const wanted = [before, parts, after];
  let at = 0;
  for (let dimension = 0; dimension < sizes.length; dimension++) {
    let rest = sizes[dimension];
    while (rest > 1) {
      while (at < 3 && wanted[at] === 1) at++;
      if (at === 3) return undefined;
      const size = wanted[at] % rest === 0 ? rest : rest % wanted[at] === 0 ? wanted[at] : 0;
      if (size === 0) return undefined;
      rest /= size;
      wanted[at] /= size;
      lists[at].push({ dimension, size, step: rest });
    }
  }
  if (wanted.some((each) => each !== 1)) return undefined;
  return { before: lists[0], parts: lists[1], after: lists[2] };
}

/** Whether a walk over a value with this split stays, part by part, in the part of the value. */
export function readsOwnPart(access: Access, pieces: Pieces, parts: number, split: Split): boolean {
  const whole = parts * split.after;
  let expected = split.after;
  for (const { dimension, size, step } of pieces.parts.toReversed()) {
    if (access.strides[dimension] * step !== expected) return false;
    expected *= size;
  }
  let least = access.offset % whole;
  let most = least;
  for (const { dimension, size, step } of [...pieces.before, ...pieces.after]) {
    const stride = access.strides[dimension] * step;
    if (stride % whole === 0) continue;
    if (stride < 0) least += stride * (size - 1);
    else most += stride * (size - 1);
  }
  return least >= 0 && most < split.after;
}

/**
 * The walk over the same elements in memory of one part after the other, each (before, after), of a value that is otherwise
 * (before, part, after), in the order of the pieces.
 */
export function walkOfParts(
  access: Access,
  pieces: Pieces,
  parts: number,
  split: Split,
): { strides: number[]; offset: number } {
  const whole = parts * split.after;
  const turned = (distance: number): number => {
    const over = Math.trunc(distance / whole);
    return over * split.after + (distance - over * whole);
  };
  return {
    strides: [
      ...stridesAlong(pieces.parts, access.strides).map((stride) => stride * split.before),
      ...stridesAlong([...pieces.before, ...pieces.after], access.strides).map(turned),
    ],
    offset: turned(access.offset),
  };
}
