// From a lowered module (a whole scripted method as one core graph) to the description that a job carries, and its values.
import type { IValue, TensorLiteral } from '@weft/ir';
import {
  InternalError,
  TensorLiteral as Literal,
  isTensorLike,
  printGraph,
  specOf,
  splatLiteral,
} from '@weft/ir';
import type { LoweredModule, LoweredTensor, OutputStructure } from '@weft/jit';
import { Tensor } from '@weft/tensor';
import type { OptimizerDescription, ServingDescription, TrainingDescription } from './description.ts';
import { initialState } from './description.ts';
import type { MeshShape } from './mesh.ts';
import { PlanError } from './mesh.ts';

export interface TrainingSettings {
  readonly optimizer: OptimizerDescription;
  readonly clipGradNorm?: number;
  readonly mesh: MeshShape;
  readonly microBatches?: number;
  readonly schedule?: 'gpipe' | '1f1b';
}

/** Values of persistent slots by name: parameters, buffers, optimizer state that does not begin at zero. */
export type StateValues = ReadonlyMap<string, TensorLiteral>;

export interface DescribedTraining {
  readonly description: TrainingDescription;
  readonly values: StateValues;
  /** Names of state that begins at zero. */
  readonly zeros: readonly string[];
}

/** Describes training a method that returns its loss, lowered for one micro-batch. */
export function describeTraining(lowered: LoweredModule, settings: TrainingSettings): DescribedTraining {
  if (lowered.outputs.kind !== 'tensor') {
    throw new PlanError('the method that is trained has to return its loss: one scalar tensor');
  }
  const description: TrainingDescription = {
    kind: 'train',
    graph: printGraph(lowered.graph),
    parameters: lowered.parameters.map((parameter) => ({
      name: parameter.name,
      input: parameter.input,
      trained: isTrained(parameter),
    })),
    buffers: lowered.buffers.map(({ name, input, output }) => ({ name, input, output })),
    batch: lowered.inputs.map(({ path, input }) => ({ name: path, input })),
    random: lowered.randomState === undefined ? undefined : { input: lowered.randomState.input },
    loss: lowered.outputs.output,
    optimizer: settings.optimizer,
    clipGradNorm: settings.clipGradNorm,
    mesh: settings.mesh,
    microBatches: settings.microBatches ?? 1,
    schedule: settings.schedule ?? '1f1b',
  };
  const { zeros, filled } = initialState(description);
  const values = new Map(stateValues(lowered));
  for (const { name, parameter, value, isScalar } of filled) {
    const { dtype, sizes } = specOf(
      lowered.graph.inputs[lowered.parameters.find((one) => one.name === parameter)!.input],
    );
    const literal = isScalar ? splatLiteral(value, 'float32', []) : splatLiteral(value, dtype, sizes);
    values.set(name, dense(literal));
  }
  return { description, values, zeros };
}

/** Describes serving a method; tensors of its result are named by their way in it: `output`, `output.0`, `output.logits`. */
export function describeServing(
  lowered: LoweredModule,
  mesh: MeshShape,
): { description: ServingDescription; values: StateValues } {
  const results: { name: string; output: number }[] = [];
  collectResults(lowered.outputs, 'output', results);
  return {
    description: {
      kind: 'serve',
      graph: printGraph(lowered.graph),
      parameters: lowered.parameters.map(({ name, input }) => ({ name, input })),
      buffers: lowered.buffers.map(({ name, input, output }) => ({ name, input, output })),
      batch: lowered.inputs.map(({ path, input }) => ({ name: path, input })),
      random: lowered.randomState === undefined ? undefined : { input: lowered.randomState.input },
      results,
      mesh,
    },
    values: stateValues(lowered),
  };
}

function collectResults(
  structure: OutputStructure,
  name: string,
  into: { name: string; output: number }[],
): void {
  switch (structure.kind) {
    case 'tensor':
    case 'number':
      into.push({ name, output: structure.output });
      return;
    case 'constant':
      return;
    case 'list':
    case 'tuple':
      structure.items.forEach((item, index) => collectResults(item, `${name}.${index}`, into));
      return;
    case 'dict':
      for (const [key, item] of structure.entries) collectResults(item, `${name}.${String(key)}`, into);
      return;
    default:
      structure satisfies never;
  }
}

function stateValues(lowered: LoweredModule): Map<string, TensorLiteral> {
  return new Map(
    [...lowered.parameters, ...lowered.buffers].map(({ name, tensor }) => [name, literalOf(tensor, name)]),
  );
}

function literalOf(value: IValue, name: string): TensorLiteral {
  if (value instanceof Tensor) return value.toLiteral();
  if (value instanceof Literal) return dense(value);
  throw new InternalError(`'${name}' holds ${isTensorLike(value) ? 'a foreign tensor' : 'no tensor'}`);
}

function dense(literal: TensorLiteral): TensorLiteral {
  if (!literal.splat) return literal;
  const count = literal.shape.reduce((product, size) => product * size, 1);
  const bytes = new Uint8Array(count * literal.bytes.length);
  for (let at = 0; at < bytes.length; at += literal.bytes.length) bytes.set(literal.bytes, at);
  return new Literal(literal.dtype, literal.shape, bytes);
}

/** Floating-point parameters are trained unless their `requiresGrad` was switched off. */
function isTrained({ tensor, spec }: LoweredTensor): boolean {
  if (!spec.dtype.includes('float')) return false;
  return tensor instanceof Tensor ? tensor.requiresGrad : true;
}
