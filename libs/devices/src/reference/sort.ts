// sort and top_k: each line along the dimension is sorted as a list of positions, then every operand is permuted by it.
import { numel } from '@weft/ir';
import type { Emitter } from './program.ts';
import type { Scalar } from './region.ts';
import { regionFunction, scalarReader, scalarWriter } from './region.ts';
import { lanes, stridesOf } from './typed-array.ts';

const sort: Emitter = (site) => {
  const dimension = site.node.int('dimension');
  const { sizes } = site.inSpecs[0];
  const length = sizes[dimension];
  const stride = stridesOf(sizes)[dimension];
  const lines = numel(sizes) / Math.max(length, 1);
  const comesFirst = regionFunction(site, site.node.blocks[0]);
  let width = 0;
  const operands = site.inSpecs.map(({ dtype }, index) => {
    const operand = {
      from: site.operands[index],
      to: site.results[index],
      // The comparator takes both elements of the first operand, then both of the second, and so on.
      at: width,
      lanes: lanes(dtype),
      read: scalarReader(dtype),
      write: scalarWriter(dtype),
    };
    width += 2 * lanes(dtype);
    return operand;
  });
  const given: Scalar[] = new Array<Scalar>(width).fill(0);
  const answer: Scalar[] = [0];
  return (registers) => {
    let start = 0;
    const precedes = (a: number, b: number): boolean => {
      for (const { from, at, lanes: count, read } of operands) {
        read(registers[from], start + a * stride, given, at);
        read(registers[from], start + b * stride, given, at + count);
      }
      comesFirst(registers, given, answer);
      return answer[0] !== 0;
    };
    // Array.prototype.sort is stable, so equal elements keep their order whether or not that is asked for.
    const compare = (a: number, b: number): number => (precedes(a, b) ? -1 : precedes(b, a) ? 1 : 0);
    for (let line = 0; line < lines; line++) {
      start = Math.floor(line / stride) * stride * length + (line % stride);
      const order = Array.from({ length }, (_, position) => position).sort(compare);
      for (const { from, to, read, write } of operands) {
        order.forEach((position, index) => {
          read(registers[from], start + position * stride, given, 0);
          write(registers[to], start + index * stride, given, 0);
        });
      }
    }
  };
};

/** The larger first, NaN before everything, of equal ones the earlier. */
function descending(a: Scalar, b: Scalar): number {
  if (a === b) return 0;
  const [aIsNaN, bIsNaN] = [a !== a, b !== b];
  if (aIsNaN || bIsNaN) return aIsNaN === bIsNaN ? 0 : aIsNaN ? -1 : 1;
  return a > b ? -1 : 1;
}

const topK: Emitter = (site) => {
  const { dtype, sizes } = site.inSpecs[0];
  const k = site.node.int('k');
  const length = sizes.at(-1)!;
  const lines = numel(sizes.slice(0, -1));
  const [from] = site.operands;
  const [values, indices] = site.results;
  const read = scalarReader(dtype);
  const write = scalarWriter(dtype);
  const line: Scalar[] = new Array<Scalar>(length).fill(0);
  return (registers) => {
    for (let row = 0; row < lines; row++) {
      for (let column = 0; column < length; column++) {
        read(registers[from], row * length + column, line, column);
      }
      const order = Array.from(line, (_, position) => position).sort((a, b) => descending(line[a], line[b]));
      for (let rank = 0; rank < k; rank++) {
        write(registers[values], row * k + rank, line, order[rank]);
        (registers[indices] as Int32Array)[row * k + rank] = order[rank];
      }
    }
  };
};

export const sortEmitters: Readonly<Record<string, Emitter>> = { sort, top_k: topK };
