// The wire: the options that every channel and server here uses, and tensors as messages. Message sizes are unlimited: memory is the limit; tensors between workers are chunked anyway.
import type * as grpc from '@grpc/grpc-js';
import { TensorLiteral } from '@weft/ir';
import type { DType } from '@weft/ir';
import { ConnectionError, ListenError } from '../errors.ts';
import { grpcLibrary } from './grpc-library.ts';
import type { Tensor, Tensor__Output } from '../proto/weft/v1/Tensor.generated.ts';

/** Bytes of a piece of a tensor or blob on the wire. */
export const chunkBytes = 512 * 1024;
const windowBytes = 16 * 1024 * 1024;

export const channelOptions: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc-node.flow_control_window': windowBytes,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.enable_retries': 0,
  // A dead peer is found by its missing answers, not by a pool that hands out old connections.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
};

export const channelCredentials = (): grpc.ChannelCredentials => grpcLibrary().credentials.createInsecure();

/**
 * Starts `server` on `host:port` (port 0: any free one) and returns the port. Throws ListenError with the address, the
 * cause and the remedy.
 */
export async function listen(
  server: grpc.Server,
  host: string,
  port: number,
  option = '--port',
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, grpcLibrary().ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) return resolve(bound);
      const cause = /EADDRINUSE/.test(error.message) || /address already in use/i.test(error.message);
      const remedy = `give another with ${option}, or ${option} 0 for any free one`;
      reject(
        new ListenError(
          cause || /No address added/.test(error.message)
            ? `cannot listen on ${host}:${port}: the port is in use or not allowed (${error.message}); stop the process that has it, ${remedy}`
            : `cannot listen on ${host}:${port}: ${error.message}; ${remedy}`,
        ),
      );
    });
  });
}

/** Waits until the client's channel is connected. Throws ConnectionError naming the address and how long was tried. */
export async function connected(
  client: grpc.Client,
  address: string,
  timeoutMs: number,
  what: string,
  remedy: string,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + timeoutMs, (error) => {
      if (error === undefined) return resolve();
      reject(
        new ConnectionError(
          `cannot reach ${what} at ${address}: no connection within ${(timeoutMs / 1000).toFixed(1)} s; ${remedy}`,
        ),
      );
    });
  });
}

/** A tensor as a message; its bytes are read when the message is sent, which calls and streams do at once. */
export function tensorToWire(name: string, value: TensorLiteral): Tensor {
  const { buffer, byteOffset, byteLength } = expanded(value);
  return {
    name,
    dtype: value.dtype,
    shape: [...value.shape],
    data: Buffer.from(buffer, byteOffset, byteLength),
  };
}

/** The tensor of a message, whose bytes it shares: they may begin at any address. */
export function tensorFromWire({ dtype, shape, data }: Tensor__Output): TensorLiteral {
  return new TensorLiteral(
    dtype as DType,
    shape,
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );
}

export const tensorsToWire = (tensors: ReadonlyMap<string, TensorLiteral>): Tensor[] =>
  [...tensors].map(([name, value]) => tensorToWire(name, value));

export const tensorsFromWire = (tensors: readonly Tensor__Output[]): Map<string, TensorLiteral> =>
  new Map(tensors.map((tensor) => [tensor.name, tensorFromWire(tensor)]));

/** Tensors of a message with bytes of their own, as programs get them. */
export const ownTensorsFromWire = (tensors: readonly Tensor__Output[]): Map<string, TensorLiteral> =>
  new Map(
    tensors.map(({ name, dtype, shape, data }) => [
      name,
      new TensorLiteral(dtype as DType, shape, new Uint8Array(data)),
    ]),
  );

/** The bytes of every element, also of a splat. */
export function expanded(value: TensorLiteral): Uint8Array {
  if (!value.splat) return value.bytes;
  const count = value.shape.reduce((product, size) => product * size, 1);
  const bytes = new Uint8Array(count * value.bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += value.bytes.byteLength) bytes.set(value.bytes, at);
  return bytes;
}

/** Cuts bytes into messages of `chunkBytes`. An empty value is no message at all. */
export function* chunksOf(bytes: Uint8Array): Generator<Buffer, void> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    const end = Math.min(at + chunkBytes, bytes.byteLength);
    yield Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at);
  }
}

/** Writes every message, waiting when the stream is full; ends it. Stops early when the stream is destroyed. */
export async function writeAll<T>(
  stream: {
    write(message: T): boolean;
    once(event: 'drain' | 'close' | 'cancelled', then: () => void): unknown;
    end(): void;
  },
  messages: Iterable<T> | AsyncIterable<T>,
  cancelled: () => boolean = () => false,
): Promise<void> {
  for await (const message of messages) {
    if (cancelled()) return;
    if (!stream.write(message)) {
      await new Promise<void>((resolve) => {
        stream.once('drain', resolve);
        stream.once('close', resolve);
        stream.once('cancelled', resolve);
      });
    }
  }
  stream.end();
}
