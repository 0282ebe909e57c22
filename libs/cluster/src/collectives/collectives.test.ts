import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InMemoryNetwork } from '../transport/in-memory.ts';
import type { Transport } from '../transport/transport.ts';
import { allGather, allReduce, broadcast, reduceScatter, sharedBytes } from './collectives.ts';
import { bfloat16Value, float16Value, reduceInto } from './reduce.ts';

const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
const shared = (bytes: Uint8Array): Uint8Array => {
  const copy = sharedBytes(bytes.byteLength);
  copy.set(bytes);
  return copy;
};
const floats = (bytes: Uint8Array): number[] => [...new Float32Array(new Uint8Array(bytes).buffer)];

async function onRing<T>(group: readonly number[], body: (transport: Transport, rank: number) => Promise<T>) {
  const network = new InMemoryNetwork();
  const results = await Promise.all(group.map((device, rank) => body(network.transport(device), rank)));
  expect(network.rendezvous.size).toEqual({ offers: 0, takers: 0 });
  return results;
}

describe('all_reduce', () => {
  test('sums over any group and length; all members get the same bits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 23 }),
        async (size, length) => {
          const group = Array.from({ length: size }, (_, rank) => rank * 3 + 1);
          const data = group.map((_, rank) =>
            Float32Array.from({ length }, (_, i) => Math.sin(rank * 31 + i)),
          );
          const results = await onRing(group, async (transport, rank) => {
            const bytes = shared(bytesOf(data[rank]));
            await allReduce(transport, group, 'float32', 'sum', bytes, 'k');
            return Buffer.from(bytes).toString('hex');
          });
          expect(new Set(results).size).toBe(1);
          const sums = floats(Buffer.from(results[0], 'hex'));
          sums.forEach((value, i) => {
            expect(value).toBeCloseTo(
              data.reduce((sum, row) => sum + row[i], 0),
              5,
            );
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    ['max', [3, NaN, 9]],
    ['min', [1, NaN, 7]],
    ['prod', [3, NaN, 63]],
  ] as const)('%s', async (reduction, expected) => {
    const data = [Float32Array.of(1, NaN, 9), Float32Array.of(3, 2, 7)];
    const [a, b] = await onRing([0, 1], async (transport, rank) => {
      const bytes = shared(bytesOf(data[rank]));
      await allReduce(transport, [0, 1], 'float32', reduction, bytes, 'k');
      return floats(bytes);
    });
    expect(a).toEqual(expected);
    expect(b).toEqual(expected);
  });
});

describe('reduceInto, by dtype', () => {
  test.each([
    ['int8', Int8Array.of(100, -3), Int8Array.of(100, 5), 'sum', Int8Array.of(-56, 2)],
    ['uint8', Uint8Array.of(200, 3), Uint8Array.of(100, 5), 'sum', Uint8Array.of(44, 8)],
    ['int16', Int16Array.of(300), Int16Array.of(300), 'prod', Int16Array.of(24464)],
    ['int32', Int32Array.of(65537), Int32Array.of(65537), 'prod', Int32Array.of(131073)],
    ['uint32', Uint32Array.of(4294967295), Uint32Array.of(2), 'max', Uint32Array.of(4294967295)],
    [
      'int64',
      BigInt64Array.of(2n ** 62n, -1n),
      BigInt64Array.of(2n ** 62n, -5n),
      'sum',
      BigInt64Array.of(-(2n ** 63n), -6n),
    ],
    ['int64', BigInt64Array.of(4n, -1n), BigInt64Array.of(3n, -5n), 'min', BigInt64Array.of(3n, -5n)],
    ['uint64', BigUint64Array.of(2n ** 63n), BigUint64Array.of(3n), 'max', BigUint64Array.of(2n ** 63n)],
    ['float64', Float64Array.of(0.1), Float64Array.of(0.2), 'sum', Float64Array.of(0.1 + 0.2)],
    ['bool', Uint8Array.of(1, 0, 0), Uint8Array.of(1, 1, 0), 'sum', Uint8Array.of(1, 1, 0)],
    ['bool', Uint8Array.of(1, 0, 0), Uint8Array.of(1, 1, 0), 'prod', Uint8Array.of(1, 0, 0)],
    [
      'float16',
      Uint16Array.of(0x3c00, 0x0001),
      Uint16Array.of(0x4000, 0x0001),
      'sum',
      Uint16Array.of(0x4200, 0x0002),
    ],
    ['bfloat16', Uint16Array.of(0x3f80), Uint16Array.of(0x4000), 'prod', Uint16Array.of(0x4000)],
    ['complex64', Float32Array.of(1, 2), Float32Array.of(3, 4), 'prod', Float32Array.of(-5, 10)],
    ['complex128', Float64Array.of(1, 2), Float64Array.of(3, 4), 'sum', Float64Array.of(4, 6)],
  ] as const)('%s %#', (dtype, a, b, reduction, expected) => {
    const accumulator = bytesOf(a);
    reduceInto(dtype, reduction, accumulator, bytesOf(b));
    expect(accumulator).toEqual(bytesOf(expected));
  });

  test('complex numbers have no maximum', () => {
    expect(() => reduceInto('complex64', 'max', new Uint8Array(8), new Uint8Array(8))).toThrow(/no order/);
  });

  test('16-bit floats decode', () => {
    expect([0x3c00, 0xc000, 0x7c00, 0x0400, 0x0001].map(float16Value)).toEqual([
      1,
      -2,
      Infinity,
      2 ** -14,
      2 ** -24,
    ]);
    expect(float16Value(0x7e00)).toBeNaN();
    expect(bfloat16Value(0xbf80)).toBe(-1);
  });
});

test('all_gather concatenates along the dimension', async () => {
  for (const size of [1, 2, 3]) {
    const group = Array.from({ length: size }, (_, rank) => rank);
    const results = await onRing(group, async (transport, rank) => {
      const mine = Float32Array.of(rank * 10, rank * 10 + 1, rank * 10 + 2, rank * 10 + 3);
      const output = new Uint8Array(16 * size);
      await allGather(transport, group, 'float32', [2, 2], 1, bytesOf(mine), output, 'k');
      return floats(output);
    });
    const row = (first: number) => group.flatMap((rank) => [rank * 10 + first, rank * 10 + first + 1]);
    for (const result of results) expect(result).toEqual([...row(0), ...row(2)]);
  }
});

test('reduce_scatter leaves each member its part', async () => {
  for (const size of [1, 2, 3]) {
    const group = Array.from({ length: size }, (_, rank) => rank);
    const results = await onRing(group, async (transport, rank) => {
      const mine = Float32Array.from({ length: 2 * size }, (_, i) => i + rank * 100);
      const output = new Uint8Array(8);
      await reduceScatter(transport, group, 'float32', [2, size], 1, 'sum', bytesOf(mine), output, 'k');
      return floats(output);
    });
    const offset = (size * (size - 1) * 100) / 2;
    results.forEach((result, rank) => {
      expect(result).toEqual([rank * size + offset, (size + rank) * size + offset]);
    });
  }
});

test('broadcast reaches every member from any root', async () => {
  for (let size = 1; size <= 7; size++) {
    const group = Array.from({ length: size }, (_, rank) => rank + 5);
    for (const root of group) {
      const results = await onRing(group, async (transport) => {
        const bytes = sharedBytes(4);
        if (transport.device === root) bytes.fill(7);
        await broadcast(transport, group, root, bytes, 'k');
        return bytes[3];
      });
      expect(results).toEqual(group.map(() => 7));
    }
  }
});

test('a cancelled transport ends a collective that waits', async () => {
  const network = new InMemoryNetwork();
  const transport = network.transport(0);
  const waiting = allReduce(transport, [0, 1], 'float32', 'sum', sharedBytes(8), 'k');
  transport.cancel(new Error('the job was cancelled'));
  await expect(waiting).rejects.toThrow('the job was cancelled');
  expect(network.rendezvous.size).toEqual({ offers: 0, takers: 0 });
});
