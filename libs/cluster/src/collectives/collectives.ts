// Collectives over a Transport, made of pulls between neighbours of a ring. Every element is combined at one place in one
// fixed order and then copied, so all members get bit-equal results. Buffers given are not changed by others; those that
// are offered live until they have been pulled. `group` lists the members in rank order and must be the same everywhere.
import type { DType } from '@weft/ir';
import { InternalError, dtypes } from '@weft/ir';
import type { Transport } from '../transport/transport.ts';
import type { Reduction } from './reduce.ts';
import { reduceInto } from './reduce.ts';

/** Zeroed memory that other threads can be handed without a copy. */
export const sharedBytes = (size: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(size));

interface Member {
  readonly transport: Transport;
  readonly rank: number;
  readonly size: number;
  readonly next: number;
  readonly previous: number;
}

function memberOf(transport: Transport, group: readonly number[]): Member {
  const rank = group.indexOf(transport.device);
  if (rank < 0)
    throw new InternalError(`device ${transport.device} takes part in a collective of [${group.join(', ')}]`);
  const size = group.length;
  return { transport, rank, size, next: group[(rank + 1) % size], previous: group[(rank + size - 1) % size] };
}

/** Offers under way; the first failure of one is the failure of all. */
class Offers {
  private readonly pending: Promise<void>[] = [];
  add(offer: Promise<void>): void {
    offer.catch(() => {});
    this.pending.push(offer);
  }
  async settled(): Promise<void> {
    await Promise.all(this.pending);
  }
}

const modulo = (value: number, size: number): number => ((value % size) + size) % size;

/** Reduces `bytes` (whole elements of `dtype`, in shared memory) over the group, in place on every member. */
export async function allReduce(
  transport: Transport,
  group: readonly number[],
  dtype: DType,
  reduction: Reduction,
  bytes: Uint8Array,
  key: string,
): Promise<void> {
  const member = memberOf(transport, group);
  const { size } = member;
  if (size === 1) return;
  const blocks = splitEvenly(bytes, size, dtypes[dtype].bytes);
  const offers = new Offers();
  // After this, the member holds the finished block of its own rank; a block is written again only after it has gone
  // round the ring, that is after it was pulled from here.
  await ringReduceScatter(member, dtype, reduction, blocks, `${key}/reduce`, offers);
  await ringAllGather(member, blocks, `${key}/gather`, offers);
  await offers.settled();
}

async function ringReduceScatter(
  { transport, rank, size, next, previous }: Member,
  dtype: DType,
  reduction: Reduction,
  blocks: readonly Uint8Array[],
  key: string,
  offers: Offers,
): Promise<void> {
  const largest = Math.max(...blocks.map((block) => block.byteLength));
  const incoming = sharedBytes(largest);
  for (let round = 0; round < size - 1; round++) {
    const outgoing = blocks[modulo(rank - round - 1, size)];
    const target = blocks[modulo(rank - round - 2, size)];
    if (outgoing.byteLength > 0) offers.add(transport.offer(next, `${key}/${round}`, outgoing));
    if (target.byteLength === 0) continue;
    const received = incoming.subarray(0, target.byteLength);
    await transport.pull(previous, `${key}/${round}`, received);
    reduceInto(dtype, reduction, target, received);
  }
}

async function ringAllGather(
  { transport, rank, size, next, previous }: Member,
  blocks: readonly Uint8Array[],
  key: string,
  offers: Offers,
): Promise<void> {
  for (let round = 0; round < size - 1; round++) {
    const outgoing = blocks[modulo(rank - round, size)];
    const target = blocks[modulo(rank - round - 1, size)];
    if (outgoing.byteLength > 0) offers.add(transport.offer(next, `${key}/${round}`, outgoing));
    if (target.byteLength > 0) await transport.pull(previous, `${key}/${round}`, target);
  }
}

/** Cuts whole elements into `parts` consecutive blocks whose lengths differ by at most one element. */
function splitEvenly(bytes: Uint8Array, parts: number, elementSize: number): Uint8Array[] {
  const elements = bytes.byteLength / elementSize;
  return Array.from({ length: parts }, (_, part) =>
    bytes.subarray(
      Math.floor((elements * part) / parts) * elementSize,
      Math.floor((elements * (part + 1)) / parts) * elementSize,
    ),
  );
}

/** Concatenates the members' tensors of shape `sizes` along `dimension`, in rank order. */
export async function allGather(
  transport: Transport,
  group: readonly number[],
  dtype: DType,
  sizes: readonly number[],
  dimension: number,
  bytes: Uint8Array,
  output: Uint8Array,
  key: string,
): Promise<void> {
  const member = memberOf(transport, group);
  const gathered = sharedBytes(bytes.byteLength * member.size);
  const blocks = Array.from({ length: member.size }, (_, rank) =>
    gathered.subarray(rank * bytes.byteLength, (rank + 1) * bytes.byteLength),
  );
  blocks[member.rank].set(bytes);
  const offers = new Offers();
  await ringAllGather(member, blocks, key, offers);
  await offers.settled();
  const { outer, inner } = rowsAround(sizes, dimension, dtype);
  blocks.forEach((block, rank) => {
    for (let row = 0; row < outer; row++) {
      output.set(block.subarray(row * inner, (row + 1) * inner), (row * member.size + rank) * inner);
    }
  });
}

/**
 * Reduces the members' tensors of shape `sizes` and leaves each with its part of `dimension`, whose size is a multiple of
 * the group's.
 */
export async function reduceScatter(
  transport: Transport,
  group: readonly number[],
  dtype: DType,
  sizes: readonly number[],
  dimension: number,
  reduction: Reduction,
  bytes: Uint8Array,
  output: Uint8Array,
  key: string,
): Promise<void> {
  const member = memberOf(transport, group);
  const part = bytes.byteLength / member.size;
  const packed = sharedBytes(bytes.byteLength);
  const blocks = Array.from({ length: member.size }, (_, rank) =>
    packed.subarray(rank * part, (rank + 1) * part),
  );
  const { outer, inner } = rowsAround(sizes, dimension, dtype);
  const slice = inner / member.size;
  blocks.forEach((block, rank) => {
    for (let row = 0; row < outer; row++) {
      const from = row * inner + rank * slice;
      block.set(bytes.subarray(from, from + slice), row * slice);
    }
  });
  const offers = new Offers();
  await ringReduceScatter(member, dtype, reduction, blocks, key, offers);
  await offers.settled();
  output.set(blocks[member.rank]);
}

/** Gives every member the bytes of `root`, down a binomial tree. */
export async function broadcast(
  transport: Transport,
  group: readonly number[],
  root: number,
  bytes: Uint8Array,
  key: string,
): Promise<void> {
  const { rank, size } = memberOf(transport, group);
  const origin = group.indexOf(root);
  const relative = modulo(rank - origin, size);
  const device = (position: number) => group[(position + origin) % size];
  let distance = 1;
  while (distance < size && (relative & distance) === 0) distance *= 2;
  if (relative !== 0) await transport.pull(device(relative - distance), key, bytes);
  const offers = new Offers();
  for (let step = distance / 2; step >= 1; step /= 2) {
    if (relative + step < size) offers.add(transport.offer(device(relative + step), `${key}`, bytes));
  }
  await offers.settled();
}

/** How often rows repeat before `dimension`, and the bytes of one row of it with all that follows. */
function rowsAround(sizes: readonly number[], dimension: number, dtype: DType) {
  const product = (values: readonly number[]) => values.reduce((result, size) => result * size, 1);
  return {
    outer: product(sizes.slice(0, dimension)),
    inner: product(sizes.slice(dimension)) * dtypes[dtype].bytes,
  };
}
