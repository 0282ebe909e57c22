// A training run as its user writes it: a live module, data, an optimizer. `prepareTraining` scripts and lowers the module and
// gives everything that a job needs, as data.
import type { DType } from '@weft/ir';
import { tensorSpec } from '@weft/ir';
import { lowerModule, script } from '@weft/jit';
import type { nn } from '@weft/tensor';
import type { BatchSource, LearningRate } from '../batch/source.ts';
import type { DescribedTraining } from '../plan/describe-module.ts';
import { describeTraining } from '../plan/describe-module.ts';
import type { OptimizerDescription } from '../plan/description.ts';
import type { MeshShape } from '../plan/mesh.ts';
import { PlanError } from '../plan/mesh.ts';

/** Random windows of one long row of tokens. */
export interface TokenData {
  /** One token an element. */
  readonly tokens: Uint8Array | Uint16Array | Int32Array;
  /** Windows a step, and tokens a window. */
  readonly batch: number;
  readonly length: number;
  /** Arguments of the trained method: each is the window moved by `offset` tokens. */
  readonly inputs: readonly { readonly name: string; readonly offset: number; readonly dtype?: DType }[];
}

export interface TrainingDefinition {
  readonly name: string;
  readonly module: nn.Module;
  /** The method that returns the loss. Default `loss`. */
  readonly method?: string;
  readonly data: TokenData;
  readonly optimizer: OptimizerDescription;
  readonly learningRate: LearningRate;
  readonly clipGradNorm?: number;
  readonly steps: number;
  /** Decides batches and random numbers. Default 0. */
  readonly seed?: number;
  readonly mesh?: MeshShape;
  readonly microBatches?: number;
  readonly schedule?: 'gpipe' | '1f1b';
  readonly checkpointEvery?: number;
}

/** Keeps the type of a definition; a training file exports it as its default. */
export const defineTraining = (definition: TrainingDefinition): TrainingDefinition => definition;

export interface PreparedTraining extends DescribedTraining {
  readonly name: string;
  readonly steps: number;
  readonly checkpointEvery?: number;
  /** The data as bytes, and the source of batches for its blob. */
  readonly data: Uint8Array;
  readonly source: (hash: string) => BatchSource;
}

const tokenTypes = { Uint8Array: 'uint8', Uint16Array: 'uint16', Int32Array: 'int32' } as const;

/** Throws ScriptError, OperatorError or PlanError with what is wrong in the module or the settings. */
export function prepareTraining(definition: TrainingDefinition): PreparedTraining {
  const { data, microBatches = 1, mesh = {}, method = 'loss' } = definition;
  if (data.batch % microBatches !== 0) {
    throw new PlanError(
      `a batch of ${data.batch} windows cannot be split into ${microBatches} micro-batches: use a divisor of ${data.batch}`,
    );
  }
  const module = script(definition.module);
  const argument = new Map(
    data.inputs.map(({ name, dtype }) => [
      name,
      tensorSpec(dtype ?? 'int64', [data.batch / microBatches, data.length]),
    ]),
  );
  const names = module
    .method(method)
    .schema.arguments.slice(1)
    .map(({ name }) => name);
  const missing = names.filter((name) => !argument.has(name));
  if (missing.length > 0) {
    throw new PlanError(
      `'${method}' takes ${names.join(', ')}, but the data gives ${[...argument.keys()].join(', ')}: name the inputs after its parameters`,
    );
  }
  const lowered = lowerModule(
    module.object,
    method,
    names.map((name) => argument.get(name)!),
  );
  const described = describeTraining(lowered, { ...definition, mesh, microBatches });
  const { tokens } = data;
  return {
    ...described,
    name: definition.name,
    steps: definition.steps,
    checkpointEvery: definition.checkpointEvery,
    data: new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength),
    source: (hash) => ({
      seed: definition.seed ?? 0,
      microBatches,
      learningRate: definition.learningRate,
      batches: {
        kind: 'windows',
        data: hash,
        tokenType: tokenTypes[tokens.constructor.name as keyof typeof tokenTypes],
        batch: data.batch,
        length: data.length,
        inputs: data.inputs.map(({ name, offset, dtype }) => ({ name, offset, dtype: dtype ?? 'int64' })),
      },
    }),
  };
}
