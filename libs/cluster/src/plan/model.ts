// What the planner is given: a core graph, what each of its inputs and outputs is, and how it is to be trained. Made from a
// scripted module by lowering (client/…), or by hand in tests.
import type { CoreBuilder, Graph, TensorSpec, Value } from '@weft/ir';
import type { StateSlot } from '@weft/ops';

/** A forward pass over one whole micro-batch (all data shards together). */
export interface TrainingModel {
  readonly graph: Graph;
  /** Trained or frozen parameters: name as in the state dict, index of the graph input. */
  readonly parameters: readonly {
    readonly name: string;
    readonly input: number;
    readonly trained: boolean;
  }[];
  /** State that a run may replace: index of the input, and of the output that replaces it. */
  readonly buffers: readonly { readonly name: string; readonly input: number; readonly output?: number }[];
  /** Inputs whose dimension 0 is the batch. */
  readonly batch: readonly { readonly name: string; readonly input: number }[];
  /** The input with the generator's state (uint64[2]), if the graph draws random numbers. */
  readonly random?: { readonly input: number };
  /** Index of the scalar output to minimise; the mean over the micro-batch. */
  readonly loss: number;
}

/** The update of one parameter as core operators; what `optimizerUpdate` of @weft/ops gives. */
export interface UpdateRule {
  readonly name: string;
  /** The state kept for each parameter, such as `exp_avg`. */
  readonly slots: readonly StateSlot[];
  /** Emits the new parameter and the new state, in the order of `slots`. `learningRate` and `step` are float64 scalars. */
  emit(
    b: CoreBuilder,
    site: {
      readonly parameter: Value;
      readonly gradient: Value;
      readonly state: readonly Value[];
      readonly learningRate: Value;
      readonly step: Value;
    },
  ): { readonly parameter: Value; readonly state: readonly Value[] };
}

export interface InferenceModel {
  readonly graph: Graph;
  readonly parameters: readonly { readonly name: string; readonly input: number }[];
  readonly buffers: readonly { readonly name: string; readonly input: number; readonly output?: number }[];
  readonly batch: readonly { readonly name: string; readonly input: number }[];
  readonly random?: { readonly input: number };
  readonly results: readonly { readonly name: string; readonly output: number }[];
}

export type InputRole =
  | { readonly kind: 'persistent'; readonly name: string; readonly output?: number }
  | { readonly kind: 'batch'; readonly name: string }
  | { readonly kind: 'random' };

export interface NamedSpec {
  readonly name: string;
  readonly spec: TensorSpec;
}
