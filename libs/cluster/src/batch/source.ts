// What a training step is fed with, as data: a file that every worker has a copy of, a seed, and the step number decide the
// whole batch, so that a job that resumes anywhere sees the batches it would have seen. Rows are drawn by counter-based
// random numbers: step 1000 costs no more than step 1. Steps are numbered from 1.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { DType } from '@weft/ir';
import { InternalError, TensorLiteral, dtypes, encodeElement } from '@weft/ir';
import { SafetensorsFile } from '@weft/tensor';
import { ClusterError } from '../errors.ts';
import { stepInputs } from '../plan/program.ts';
import type { Batch } from '../runner/program-runner.ts';

export interface LearningRate {
  readonly base: number;
  /** Steps of linear warm-up from zero. Default 0. */
  readonly warmup?: number;
  /** What follows: default constant. The others end at `minimum` in step `total`. */
  readonly decay?: 'constant' | 'linear' | 'cosine';
  readonly total?: number;
  readonly minimum?: number;
}

/** Random windows of a file of tokens: `offset` tells an input of its neighbour (targets are inputs one token later). */
export interface WindowSource {
  readonly kind: 'windows';
  /** SHA-256 of the blob: little-endian tokens without a header. */
  readonly data: string;
  readonly tokenType: 'uint8' | 'uint16' | 'int32';
  readonly batch: number;
  readonly length: number;
  readonly inputs: readonly { readonly name: string; readonly offset: number; readonly dtype: DType }[];
}

/** Rows of tensors in a safetensors file, in a new order every epoch; the rows left over at its end are not used. */
export interface RowSource {
  readonly kind: 'rows';
  /** SHA-256 of the blob. */
  readonly data: string;
  readonly batch: number;
  readonly shuffle: boolean;
  /** Names of the batch inputs and of the tensors they are rows of. */
  readonly inputs: readonly { readonly name: string; readonly tensor: string }[];
}

export interface BatchSource {
  readonly seed: number;
  readonly batches: WindowSource | RowSource;
  readonly learningRate?: LearningRate;
  /** How many random states (`rng`) a step takes: the plan's micro-batches. Default 1. */
  readonly microBatches?: number;
}

/** Computes batches; one for each thread, since it keeps a file open. */
export class BatchReader {
  private readonly fill: (step: number, batch: Map<string, TensorLiteral>) => void;
  private readonly release: () => void;

  /** @param path where the blob that the source names is. Throws ClusterError when it does not fit the source. */
  constructor(
    readonly source: BatchSource,
    path: string,
  ) {
    const { batches, seed } = source;
    switch (batches.kind) {
      case 'windows': {
        const file = openSync(path, 'r');
        this.release = () => closeSync(file);
        this.fill = windowReader(batches, seed, file);
        break;
      }
      case 'rows': {
        const file = SafetensorsFile.open(path);
        this.release = () => file.close();
        this.fill = rowReader(batches, seed, file);
        break;
      }
      default:
        throw new InternalError(
          `unknown batch source '${(batches satisfies never as { kind: string }).kind}'`,
        );
    }
  }

  /** Whole inputs of a step: the batch, and lr, step and rng. */
  batch(step: number): Batch {
    const batch = new Map<string, TensorLiteral>();
    this.fill(step, batch);
    for (const [name, value] of stepValues(this.source, step)) batch.set(name, value);
    return batch;
  }

  close(): void {
    this.release();
  }
}

/** The inputs of a step that are no rows of the batch. */
export function stepValues(
  source: Pick<BatchSource, 'seed' | 'learningRate' | 'microBatches'>,
  step: number,
): Batch {
  const rate = learningRateAt(source.learningRate ?? { base: 0 }, step);
  const states = Array.from({ length: source.microBatches ?? 1 }, (_, micro) => [
    // A key for the step and micro-batch, a counter that begins at zero.
    (BigInt(randomWord(source.seed, step, micro, 1)) << 32n) |
      BigInt(randomWord(source.seed, step, micro, 2)),
    0n,
  ]).flat();
  return new Map([
    [stepInputs.learningRate, literal('float64', [], [rate])],
    [stepInputs.step, literal('float64', [], [step])],
    [stepInputs.random, literal('uint64', [states.length], states)],
  ]);
}

export function learningRateAt(schedule: LearningRate, step: number): number {
  const { base, warmup = 0, decay = 'constant', total = 0, minimum = 0 } = schedule;
  if (step <= warmup) return (base * step) / warmup;
  if (decay === 'constant') return base;
  const progress = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
  const factor = decay === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return minimum + (base - minimum) * factor;
}

function windowReader(source: WindowSource, seed: number, file: number) {
  const size = dtypes[source.tokenType].bytes;
  const span = source.length + Math.max(...source.inputs.map(({ offset }) => offset));
  const tokens = Math.floor(fstatSync(file).size / size);
  if (tokens < span)
    throw new ClusterError(
      `the data has ${tokens} tokens; windows of ${source.length} need at least ${span}: give more data or a shorter length`,
    );
  const window = Buffer.alloc(span * size);
  const token =
    source.tokenType === 'uint8'
      ? (at: number) => window[at]
      : source.tokenType === 'uint16'
        ? (at: number) => window.readUInt16LE(at * 2)
        : (at: number) => window.readInt32LE(at * 4);
  return (step: number, batch: Map<string, TensorLiteral>) => {
    const views = source.inputs.map(({ name, dtype, offset }) => {
      const bytes = new Uint8Array(source.batch * source.length * dtypes[dtype].bytes);
      batch.set(name, new TensorLiteral(dtype, [source.batch, source.length], bytes));
      return { view: new DataView(bytes.buffer), dtype, offset };
    });
    for (let row = 0; row < source.batch; row++) {
      const start = randomBelow(tokens - span + 1, seed, step, row);
      readSync(file, window, 0, window.byteLength, start * size);
      for (const { view, dtype, offset } of views) {
        const width = dtypes[dtype].bytes;
        for (let i = 0; i < source.length; i++)
          encodeElement(view, (row * source.length + i) * width, dtype, token(i + offset));
      }
    }
  };
}

function rowReader(source: RowSource, seed: number, file: SafetensorsFile) {
  const columns = source.inputs.map(({ name, tensor }) => ({ name, entry: file.entry(tensor) }));
  const [rows] = columns.map(({ entry }) => entry.shape[0] ?? 0);
  if (columns.some(({ entry }) => entry.shape[0] !== rows) || rows < source.batch)
    throw new ClusterError(
      `a batch of ${source.batch} rows cannot be made of ${columns
        .map(({ name, entry }) => `'${name}' [${entry.shape.join(', ')}]`)
        .join(', ')}: all need the same number of rows, and at least a batch`,
    );
  const perEpoch = Math.floor(rows / source.batch);
  let epoch = -1;
  let order: Uint32Array = new Uint32Array();
  return (step: number, batch: Map<string, TensorLiteral>) => {
    const wanted = Math.floor((step - 1) / perEpoch);
    if (wanted !== epoch) {
      epoch = wanted;
      order = source.shuffle
        ? permutation(rows, seed, epoch)
        : Uint32Array.from({ length: rows }, (_, i) => i);
    }
    const first = ((step - 1) % perEpoch) * source.batch;
    for (const { name, entry } of columns) {
      const rowBytes = entry.byteLength / rows;
      const bytes = new Uint8Array(rowBytes * source.batch);
      for (let row = 0; row < source.batch; row++)
        file.readInto(
          entry,
          order[first + row] * rowBytes,
          bytes.subarray(row * rowBytes, (row + 1) * rowBytes),
        );
      batch.set(name, new TensorLiteral(entry.dtype, [source.batch, ...entry.shape.slice(1)], bytes));
    }
  };
}

function permutation(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, index) => index);
  for (let i = length - 1; i > 0; i--) {
    const j = randomBelow(i + 1, seed, -1 - epoch, i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** A whole number in 0 … limit - 1, the same for the same arguments everywhere. */
export function randomBelow(limit: number, seed: number, step: number, index: number): number {
  const high = randomWord(seed, step, index, 3) >>> 5;
  const low = randomWord(seed, step, index, 4) >>> 6;
  return Math.floor(((high * 67108864 + low) / 9007199254740992) * limit);
}

/** 32 random bits for a position in four dimensions: a chain of Wellons' lowbias32 mixers. */
function randomWord(seed: number, step: number, index: number, stream: number): number {
  let word = mix(Math.floor(seed / 4294967296) ^ 0x9e3779b9);
  for (const part of [seed, step, index, stream]) word = mix(word ^ (part | 0)) + 0x6d2b79f5;
  return mix(word);
}

function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  word = Math.imul(word ^ (word >>> 15), 0x846ca68b);
  return (word ^ (word >>> 16)) >>> 0;
}

function literal(
  dtype: DType,
  shape: readonly number[],
  values: readonly (number | bigint)[],
): TensorLiteral {
  const width = dtypes[dtype].bytes;
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => encodeElement(view, index * width, dtype, value));
  return new TensorLiteral(dtype, shape, bytes);
}
