// Data sets and loaders: examples by number, in batches, shuffled as PyTorch shuffles.
import { OperatorError } from '@weft/ir';
import { tensor } from '../creation.ts';
import { stack } from '../functions.generated.ts';
import type { Generator } from '../random/generator.ts';
import { Generator as RandomGenerator, defaultGenerator } from '../random/generator.ts';
import { fillRequest } from '../random/requests.ts';
import { typedArrayOf } from '../elements.ts';
import { Tensor } from '../tensor.ts';

export interface Dataset<T> {
  readonly length: number;
  get(index: number): T;
}

/** Examples that are the rows of tensors with the same first size. */
export class TensorDataset implements Dataset<Tensor[]> {
  private readonly tensors: readonly Tensor[];

  constructor(...tensors: Tensor[]) {
    if (tensors.some((each) => each.sizes[0] !== tensors[0].sizes[0])) {
      throw new OperatorError(
        `Size mismatch between tensors: first sizes are ${tensors.map((each) => each.sizes[0]).join(', ')}`,
      );
    }
    this.tensors = tensors;
  }
  get length(): number {
    return this.tensors[0].sizes[0];
  }
  get(index: number): Tensor[] {
    return this.tensors.map((each) => each.select(0, index));
  }
}

export interface DataLoaderOptions<T, B> {
  readonly batchSize?: number;
  readonly shuffle?: boolean;
  readonly dropLast?: boolean;
  /** Draws the order; default: one seeded from the default generator, as PyTorch's sampler does. */
  readonly generator?: Generator;
  /** Makes a batch of examples; default: tensors stacked, numbers a tensor, lists and objects by their parts. */
  readonly collate?: (examples: readonly T[]) => B;
}

/** Goes through a data set in batches; each iteration shuffles anew. */
export class DataLoader<T, B = T> {
  private readonly batchSize: number;

  constructor(
    readonly dataset: Dataset<T>,
    private readonly options: DataLoaderOptions<T, B> = {},
  ) {
    this.batchSize = options.batchSize ?? 1;
    if (!Number.isInteger(this.batchSize) || this.batchSize < 1) {
      throw new OperatorError(
        `batchSize should be a positive integer value, but got batchSize=${this.batchSize}`,
      );
    }
  }

  /** Batches an iteration gives. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.options.dropLast === true ? Math.floor(batches) : Math.ceil(batches);
  }

  *[Symbol.iterator](): globalThis.Generator<B, void, undefined> {
    // PyTorch's iterator draws a base seed for its workers first, whether or not there are any.
    (this.options.generator ?? defaultGenerator).random64();
    const order = this.order();
    const collate = this.options.collate ?? (collateExamples as (examples: readonly T[]) => B);
    for (let batch = 0; batch < this.length; batch++) {
      const indices = order.slice(batch * this.batchSize, (batch + 1) * this.batchSize);
      yield collate(indices.map((index) => this.dataset.get(index)));
    }
  }

  private order(): number[] {
    const { length } = this.dataset;
    if (this.options.shuffle !== true) return Array.from({ length }, (_, index) => index);
    // Without a generator PyTorch's RandomSampler seeds one of its own with an int64 of the default generator.
    const generator =
      this.options.generator ?? new RandomGenerator(defaultGenerator.random64() & (2n ** 63n - 1n));
    const request = { distribution: 'randperm', dtype: 'int64', sizes: [length], parameters: [] } as const;
    const { bytes } = fillRequest(generator, request, null);
    return Array.from(typedArrayOf('int64', bytes) as BigInt64Array, Number);
  }
}

/** A batch of examples: tensors stacked, numbers as a tensor, lists and objects part by part, the rest as a list. */
export function collateExamples(examples: readonly unknown[]): unknown {
  const [first] = examples;
  if (first instanceof Tensor) return stack(examples as Tensor[]);
  if (typeof first === 'number') {
    const whole = examples.every((each) => Number.isInteger(each));
    return tensor(examples as number[], { dtype: whole ? 'int64' : 'float32' });
  }
  if (Array.isArray(first)) {
    return first.map((_, index) => collateExamples(examples.map((each) => (each as unknown[])[index])));
  }
  if (typeof first === 'object' && first !== null && Object.getPrototypeOf(first) === Object.prototype) {
    return Object.fromEntries(
      Object.keys(first).map((key) => [
        key,
        collateExamples(examples.map((each) => (each as Record<string, unknown>)[key])),
      ]),
    );
  }
  return [...examples];
}
