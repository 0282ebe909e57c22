// One suite for every transport, then what only the gRPC one can get wrong.
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as grpc from '@grpc/grpc-js';
import { allReduce, sharedBytes } from '../collectives/collectives.ts';
import type { BulkHandlers } from '../proto/weft/v1/Bulk.generated.ts';
import { BulkExchange } from './grpc.ts';
import { InMemoryNetwork } from './in-memory.ts';
import type { Transport } from './transport.ts';
import { wire } from './grpc-library.ts';
import { connected, listen } from './wire.ts';

interface Pair {
  readonly transports: readonly Transport[];
  /** Offers and pulls still waiting anywhere. */
  waiting(): number;
  close(): Promise<void>;
}

const epoch = { leader: 1, generation: 1 };
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function startExchange(): Promise<{ exchange: BulkExchange; address: string }> {
  const server = new grpc.Server();
  const holder: { exchange?: BulkExchange } = {};
  const handlers: BulkHandlers = { Pull: (call) => holder.exchange!.handlers.Pull(call) };
  server.addService(wire().Bulk.service, handlers);
  const address = `127.0.0.1:${await listen(server, '127.0.0.1', 0)}`;
  const exchange = (holder.exchange = new BulkExchange({ address, connectTimeoutMs: 500 }));
  closers.push(async () => {
    exchange.close();
    server.forceShutdown();
  });
  return { exchange, address };
}

async function grpcPair(count: number): Promise<Pair & { exchanges: BulkExchange[] }> {
  const workers = await Promise.all(Array.from({ length: count }, startExchange));
  const peers = new Map(workers.map(({ address }, device) => [device, address]));
  return {
    exchanges: workers.map(({ exchange }) => exchange),
    transports: workers.map(({ exchange }, device) => exchange.transport('job', epoch, device, peers)),
    waiting: () =>
      workers.reduce(
        (sum, { exchange }) => sum + exchange.rendezvous.size.offers + exchange.rendezvous.size.takers,
        0,
      ),
    close: async () => {},
  };
}

async function memoryPair(count: number): Promise<Pair> {
  const network = new InMemoryNetwork();
  return {
    transports: Array.from({ length: count }, (_, device) => network.transport(device, epoch)),
    waiting: () => network.rendezvous.size.offers + network.rendezvous.size.takers,
    close: async () => {},
  };
}

const pattern = (size: number, seed: number): Uint8Array => {
  const bytes = sharedBytes(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + seed + (i >> 8)) & 255;
  return bytes;
};

describe.each([
  ['in memory', memoryPair],
  ['gRPC', grpcPair],
] as const)('%s transport', (_name, make) => {
  test.each([0, 1, 1000, 512 * 1024, 5_000_001])('moves %d bytes', async (size) => {
    const { transports, waiting } = await make(2);
    const sent = pattern(size, 7);
    const into = sharedBytes(size);
    await Promise.all([transports[0].offer(1, 'k', sent), transports[1].pull(0, 'k', into)]);
    expect(Buffer.compare(Buffer.from(into), Buffer.from(sent))).toBe(0);
    expect(waiting()).toBe(0);
  });

  test('a pull may come before its offer', async () => {
    const { transports } = await make(2);
    const into = sharedBytes(4);
    const pulled = transports[1].pull(0, 'k', into);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await transports[0].offer(1, 'k', pattern(4, 1));
    await pulled;
    expect(into).toEqual(pattern(4, 1));
  });

  test('the same key goes both ways, and many keys at once', async () => {
    const { transports } = await make(2);
    const results = await Promise.all(
      [0, 1].flatMap((device) =>
        Array.from({ length: 40 }, async (_, i) => {
          const other = 1 - device;
          const into = sharedBytes(100);
          await Promise.all([
            transports[device].offer(other, `k${i}`, pattern(100, i + device)),
            transports[device].pull(other, `k${i}`, into),
          ]);
          return Buffer.compare(Buffer.from(into), Buffer.from(pattern(100, i + other)));
        }),
      ),
    );
    expect(results.every((result) => result === 0)).toBe(true);
  });

  test('sizes that differ are an error that names the key', async () => {
    const { transports } = await make(2);
    transports[0].offer(1, 'k', pattern(8, 0)).catch(() => {});
    await expect(transports[1].pull(0, 'k', sharedBytes(4))).rejects.toThrow(
      /offers 8 bytes under 'k' where 4 are expected/,
    );
    for (const transport of transports) transport.cancel(new Error('over'));
  });

  test('cancelling rejects offers and pulls under way and leaves nothing', async () => {
    const { transports, waiting } = await make(2);
    const waits = [
      transports[0].offer(1, 'a', sharedBytes(4)),
      transports[1].pull(0, 'b', sharedBytes(4)),
      transports[0].pull(1, 'c', sharedBytes(4)),
    ];
    const settled = Promise.allSettled(waits);
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (const transport of transports) transport.cancel(new Error('the job was cancelled'));
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'TransferError' } });
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(waiting()).toBe(0);
    await expect(transports[0].offer(1, 'd', sharedBytes(4))).rejects.toThrow('the job was cancelled');
  });

  test('an all_reduce over four', async () => {
    const { transports } = await make(4);
    const group = [0, 1, 2, 3];
    const results = await Promise.all(
      transports.map(async (transport) => {
        const bytes = sharedBytes(40_000);
        new Float32Array(bytes.buffer).fill(transport.device + 1);
        await allReduce(transport, group, 'float32', 'sum', bytes, 'g');
        return new Float32Array(bytes.buffer).every((value) => value === 10);
      }),
    );
    expect(results).toEqual([true, true, true, true]);
  });
});

describe('gRPC transport', () => {
  test('a pull of an epoch that is over is refused by the peer', async () => {
    const { exchanges, transports } = await grpcPair(2);
    exchanges[0].transport('job', { leader: 1, generation: 2 }, 0, new Map());
    await expect(transports[1].pull(0, 'k', sharedBytes(4))).rejects.toThrow(
      /epoch 1\.1 of job 'job' has no device 0 here \(newest: 1\.2\)/,
    );
    expect(() => exchanges[0].transport('job', epoch, 0, new Map())).toThrow(/is over: 1\.2 has begun/);
  });

  test('a newer epoch cancels what waits in the older', async () => {
    const { exchanges, transports } = await grpcPair(2);
    const waiting = transports[1].pull(0, 'k', sharedBytes(4));
    const failed = expect(waiting).rejects.toThrow(/epoch 1\.1 of job 'job' is over/);
    exchanges[1].transport('job', { leader: 2, generation: 1 }, 1, new Map());
    await failed;
  });

  test('a receiver that goes away leaves the offer standing for its successor', async () => {
    const { exchanges, transports } = await grpcPair(2);
    const offered = transports[0].offer(1, 'k', pattern(4, 3));
    // The first receiver gives up before the offer's bytes are read: the server sees the cancellation.
    const early = transports[1].pull(0, 'other', sharedBytes(4)).catch(() => 'gave up');
    transports[1].cancel(new Error('restart'));
    expect(await early).toBe('gave up');
    const peers = new Map([[0, exchanges[0].options.address]]);
    const successor = exchanges[1].transport('job', epoch, 1, peers);
    const into = sharedBytes(4);
    await Promise.all([offered, successor.pull(0, 'k', into)]);
    expect(into).toEqual(pattern(4, 3));
  });

  test('a peer that is not there is named with the time that was tried', async () => {
    const { exchange } = await startExchange();
    const transport = exchange.transport('job', epoch, 0, new Map([[1, '127.0.0.1:1']]));
    await expect(transport.pull(1, 'k', sharedBytes(4))).rejects.toThrow(
      /cannot reach another worker at 127\.0\.0\.1:1: no connection within 0\.5 s/,
    );
  });

  test('a peer that accepts and stays silent is found by the watchdog', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const client = new (wire().Bulk)(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    await expect(connected(client, `127.0.0.1:${port}`, 300, 'a peer', 'x')).rejects.toThrow(/0\.3 s/);
    client.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  test('a port in use is an error with a remedy', async () => {
    const { address } = await startExchange();
    const port = Number(address.split(':')[1]);
    await expect(listen(new grpc.Server(), '127.0.0.1', port)).rejects.toThrow(
      /cannot listen on 127\.0\.0\.1:\d+: .*--port 0 for any free one/,
    );
  });
});
