// Tensors between the main thread and a session's: their memory goes along and is not copied, since the main thread must not be
// held up by bytes, nor by the collection of what copies leave.
import type { MessagePort } from 'node:worker_threads';
import type { SessionAnswer, SessionCommand, WireTensor } from './session.ts';

/** Posts a message. The sender gives up the tensors in it. */
export function handOver(port: MessagePort, message: SessionCommand | SessionAnswer): void {
  const tensors = tensorsOf(message);
  if (tensors.length === 0) return port.postMessage(message);
  const used = new Map<ArrayBufferLike, number>();
  for (const { bytes } of tensors) used.set(bytes.buffer, (used.get(bytes.buffer) ?? 0) + bytes.byteLength);
  // Memory that holds much else (Node's pool of small buffers) stays, and a message with a part of it would carry it whole.
  const goes = new Set(
    [...used]
      .filter(([memory, bytes]) => 2 * bytes >= memory.byteLength && bytes > pooled)
      .map(([memory]) => memory),
  );
  const own = tensors.map((tensor) =>
    goes.has(tensor.bytes.buffer) ? tensor : { ...tensor, bytes: tensor.bytes.slice() },
  );
  port.postMessage(withTensors(message, own), [...goes] as ArrayBuffer[]);
}

/** The size of the memory from which Node cuts small buffers, which cannot go. */
const pooled = Buffer.poolSize;

function tensorsOf(message: SessionCommand | SessionAnswer): readonly WireTensor[] {
  if (message.kind === 'run-step') return message.inputs ?? [];
  return message.kind === 'answer' && message.answer.kind === 'step-done' ? message.answer.results : [];
}

function withTensors(
  message: SessionCommand | SessionAnswer,
  tensors: readonly WireTensor[],
): SessionCommand | SessionAnswer {
  if (message.kind === 'run-step') return { ...message, inputs: tensors };
  if (message.kind === 'answer' && message.answer.kind === 'step-done')
    return { ...message, answer: { ...message.answer, results: tensors } };
  return message;
}
