// Training in one process against the same run over a worker.
import { afterEach, expect, test } from '@jest/globals';
import type { Tensor } from '@weft/tensor';
import { F, manualSeed, nn } from '@weft/tensor';
import { startLocalCluster } from '../client/local-cluster.ts';
import type { LocalCluster } from '../client/local-cluster.ts';
import type { TrainingDefinition } from './definition.ts';
import { prepareTraining } from './definition.ts';
import { LocalTraining, localRefusal } from './local.ts';
import { submitTraining } from './submit.ts';

let cluster: LocalCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

class Bigram extends nn.Module {
  readonly tokens = new nn.Embedding(16, 8);
  readonly head = new nn.Linear(8, 16);
  loss(input: Tensor, target: Tensor): Tensor {
    const logits = this.head.forward(F.gelu(this.tokens.forward(input)));
    return F.crossEntropy(logits.view([-1, 16]), target.view([-1]));
  }
}

class Dropping extends Bigram {
  readonly drop = new nn.Dropout(0.5);
  override loss(input: Tensor, target: Tensor): Tensor {
    const logits = this.drop.forward(this.head.forward(this.tokens.forward(input)));
    return F.crossEntropy(logits.view([-1, 16]), target.view([-1]));
  }
}

function defined(module: nn.Module, more: Partial<TrainingDefinition> = {}): TrainingDefinition {
  return {
    name: 'bigram',
    module,
    data: {
      tokens: Uint8Array.from({ length: 400 }, (_, index) => (index * index) % 16),
      batch: 4,
      length: 6,
      inputs: [
        { name: 'input', offset: 0 },
        { name: 'target', offset: 1 },
      ],
    },
    optimizer: { name: 'adamw', hyperparameters: { weightDecay: 0.1 } },
    learningRate: { base: 0.05, warmup: 2, decay: 'cosine', total: 8, minimum: 0.01 },
    clipGradNorm: 0.5,
    steps: 8,
    seed: 3,
    ...more,
  };
}

const made = (): Bigram => {
  manualSeed(5);
  return new Bigram();
};

test.each([1, 2])(
  'the losses and parameters are those of a worker, with %s micro-batches',
  async (microBatches) => {
    const here = defined(made(), { microBatches });
    const training = new LocalTraining(here, prepareTraining(here));
    const losses = Array.from({ length: here.steps }, () => training.next().loss);
    expect(training.state).toBe('compiled');
    training.close();

    const prepared = prepareTraining(defined(made(), { microBatches }));
    cluster = await startLocalCluster({ workers: 1 });
    const { client } = cluster;
    const job = await submitTraining(client, prepared);
    const wanted: number[] = [];
    await client.finished(job, ({ report, results }) => {
      if (report.kind === 'step') wanted[report.step - 1] = new Float32Array(results.get('loss')!.bytes.slice().buffer)[0]; // prettier-ignore
    });
    losses.forEach((loss, step) => expect(loss).toBeCloseTo(wanted[step], 5));
    const state = await client.state(job);
    for (const [name, tensor] of here.module.stateDict()) {
      const there = new Float32Array(state.get(name)!.bytes.slice().buffer);
      (tensor.reshape([-1]).tolist() as number[]).forEach((value, index) =>
        expect(value).toBeCloseTo(there[index], 4),
      );
    }
  },
  60_000,
);

test('what one process cannot do alike is refused', () => {
  const several = prepareTraining(defined(made(), { mesh: { data: 2 }, microBatches: 2 }));
  expect(localRefusal(several)).toBe('its mesh has several devices');
  const definition = defined(new Dropping());
  const random = prepareTraining(definition);
  expect(localRefusal(random)).toMatch(/draws random numbers/);
  expect(() => new LocalTraining(definition, random)).toThrow(
    /the run cannot be made in this process: the module draws random numbers/,
  );
});
