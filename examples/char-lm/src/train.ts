// Trains the character language model: `weft train examples/char-lm/src/train.ts --mesh data=2`.
// Settings (`--set name=value`): data (a file or folder of documentation), steps, width, layers, context, batch.
import { defineTraining, manualSeed } from 'weft';
import { CharLm } from './model.ts';
import { Vocabulary, readText } from './text.ts';

export interface CharLmSettings {
  readonly data?: string;
  readonly steps?: string;
  readonly width?: string;
  readonly layers?: string;
  readonly context?: string;
  readonly batch?: string;
}

export default function train(settings: CharLmSettings = {}) {
  const text = readText(settings.data ?? '.');
  const vocabulary = Vocabulary.of(text);
  const context = Number(settings.context ?? 32);
  const steps = Number(settings.steps ?? 300);
  manualSeed(1);
  const module = new CharLm({
    vocabulary: vocabulary.size,
    context,
    width: Number(settings.width ?? 64),
    heads: 4,
    layers: Number(settings.layers ?? 2),
  });
  return defineTraining({
    name: 'char-lm',
    module,
    data: {
      tokens: vocabulary.encode(text),
      batch: Number(settings.batch ?? 16),
      length: context,
      inputs: [
        { name: 'input', offset: 0 },
        { name: 'target', offset: 1 },
      ],
    },
    optimizer: { name: 'adamw', hyperparameters: { weightDecay: 0.01 } },
    learningRate: { base: 3e-3, warmup: 20, decay: 'cosine', total: steps, minimum: 3e-4 },
    clipGradNorm: 1,
    steps,
    seed: 1,
    checkpointEvery: 100,
  });
}
