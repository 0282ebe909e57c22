// Hands prepared work to a cluster: data and initial values as blobs, the rest as a job.
import type { TensorLiteral } from '@weft/ir';
import type { ClusterClient } from '../client/client.ts';
import type { StateValues } from '../plan/describe-module.ts';
import type { ServingDescription } from '../plan/description.ts';
import { Mesh } from '../plan/mesh.ts';
import type { JobSpec } from '../scheduler/job.ts';
import type { PreparedTraining } from './definition.ts';

export interface SubmitOptions {
  readonly checkpointDirectory?: string;
  /** How many checkpoints are kept. */
  readonly keep?: number;
}

/** Submits a training run; returns the job's id. */
export async function submitTraining(
  client: ClusterClient,
  prepared: PreparedTraining,
  options: SubmitOptions = {},
): Promise<string> {
  const data = await client.putBlob(prepared.data);
  const blob = await client.putTensors(prepared.values as Map<string, TensorLiteral>);
  const job: Omit<JobSpec, 'id'> = {
    name: prepared.name,
    kind: 'train',
    model: prepared.description,
    state: { blob, zeros: prepared.zeros },
    devices: { minimum: 1, wanted: new Mesh(prepared.description.mesh).size },
    steps: prepared.steps,
    source: prepared.source(data),
    checkpoint: {
      ...(options.checkpointDirectory === undefined ? {} : { directory: options.checkpointDirectory }),
      ...(prepared.checkpointEvery === undefined ? {} : { every: prepared.checkpointEvery }),
      ...(options.keep === undefined ? {} : { keep: options.keep }),
    },
  };
  return client.submit(job);
}

/** Submits a model to be served; `client.run(job, inputs)` then runs it. */
export async function submitServing(
  client: ClusterClient,
  name: string,
  described: { readonly description: ServingDescription; readonly values: StateValues },
): Promise<string> {
  const blob = await client.putTensors(described.values as Map<string, TensorLiteral>);
  const wanted = new Mesh(described.description.mesh).size;
  return client.submit({
    name,
    kind: 'serve',
    model: described.description,
    state: { blob },
    devices: { minimum: wanted, wanted },
  });
}
