// weft run: calls a method of an archive: interpreted here, compiled for devices, or split over workers.
import { writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { Command } from 'commander';
import type { DeviceFlags } from '@weft/worker';
import { addDeviceOptions, collect, count, deviceNamesOf, deviceOptionsOf } from '@weft/worker';
import type { ClusterClient, LocalCluster, ir } from 'weft';
import {
  ClusterClient as Client,
  WeftError,
  describeServing,
  jit,
  manualSeed,
  noGrad,
  parseMesh,
  startLocalCluster,
  submitServing,
  writeSafetensors,
} from 'weft';
import { argumentsFromFiles, calleeOf } from '../arguments.ts';
import type { ImageFlags } from '../images.ts';
import { addImageOptions } from '../images.ts';
import { assemble, inputTensors, runOnDevices } from '../lowered-run.ts';
import { writeNpy } from '../npy.ts';
import { openDevices } from '../open-devices.ts';
import { Output } from '../output.ts';
import { onSignal } from '../signals.ts';
import { pythonText, tensorsOf, toJson } from '../values.ts';

interface Flags extends DeviceFlags, ImageFlags {
  readonly input?: readonly string[];
  readonly method: string;
  readonly output?: string;
  readonly seed?: number;
  readonly mesh?: string;
  readonly workers?: number;
  readonly scheduler?: string;
  readonly json?: boolean;
}

export function runCommand(program: Command): void {
  const command = program
    .command('run')
    .description('call a method of a TorchScript archive')
    .argument('<archive>', 'a .pt file')
    .option(
      '--input <[name=]file>',
      'an argument: .json, .npy, .safetensors or a picture (repeatable, in the order of the parameters or by name)',
      collect,
    )
    .option('--method <name>', 'the method', 'forward')
    .option('--output <file>', 'write the result as .json, .npy (one tensor) or .safetensors')
    .option('--seed <number>', 'seed of the random numbers', count)
    .option('--mesh <axes>', 'split over worker processes, such as pipeline=2')
    .option(
      '--workers <count>',
      'worker processes to start (default: as many as the mesh has devices)',
      count,
    )
    .option('--scheduler <host:port>', 'use the cluster of this scheduler instead of starting one');
  addImageOptions(command);
  addDeviceOptions(command, 'compile for these devices, in order of preference')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `
A tensor in a .json file is nested lists (int64 when all numbers are whole, float32 when any has a point or an exponent) or
{"dtype": "float32", "shape": [2], "data": [1, 2]}. Other arguments are JSON of the kind that the parameter has.

A picture (.png, .jpg, .webp, ...) becomes float32 [1, 3, height, width] from 0 to 1, RGB; where a list of tensors is expected, a list of
one [3, height, width].

Without --device and --mesh the method is interpreted. With them it is compiled as a whole for the shapes given.

Examples:
  weft run model.pt --input cat.jpg --image-size 224 --image-normalize imagenet
  weft run model.pt --input ids=tokens.json --method generate --output out.safetensors
  weft run model.pt --input x.npy --mesh pipeline=2`,
    )
    .action(run);
}

async function run(archive: string, flags: Flags): Promise<void> {
  if (flags.output !== undefined && !['.json', '.npy', '.safetensors'].includes(extname(flags.output)))
    throw new WeftError(`${flags.output}: the result is written as .json, .npy or .safetensors`);
  const output = new Output(flags);
  const module = jit.load(archive);
  const callee = calleeOf(module, flags.method);
  const values = await argumentsFromFiles(callee, flags.input ?? [], flags);
  const result = await call(module, values, flags);
  if (flags.output !== undefined) {
    write(flags.output, result);
    output.line(`wrote ${flags.output}`);
    output.record('wrote', { file: flags.output });
  } else {
    output.line(pythonText(result));
    output.record('result', { result: toJson(result) });
  }
}

async function call(
  module: jit.ScriptModule,
  values: readonly ir.IValue[],
  flags: Flags,
): Promise<ir.IValue> {
  const { method, seed } = flags;
  const isSplit = flags.mesh !== undefined || flags.workers !== undefined || flags.scheduler !== undefined;
  if (!isSplit && flags.device === undefined) {
    if (seed !== undefined) manualSeed(seed);
    return noGrad(() => jit.runMethod(module.object, method, values));
  }
  const devices = await openDevices(flags);
  const lowered = jit.lowerModule(module.object, method, values);
  if (!isSplit) return runOnDevices(lowered, values, devices, seed ?? 0);
  const mesh = parseMesh(flags.mesh ?? `pipeline=${flags.workers ?? 1}`);
  const described = describeServing(lowered, mesh.shape);
  return withCluster(flags, mesh.size, async (client) => {
    const job = await submitServing(client, `run ${method}`, described);
    try {
      const results = await client.run(job, inputTensors(lowered, values));
      return assemble(lowered.outputs, 'output', (_, path) => results.get(path)!);
    } finally {
      await client.cancel(job);
    }
  });
}

/** Gives `body` a cluster, started here unless one is named, and ends what was started. */
async function withCluster<T>(
  flags: Flags,
  size: number,
  body: (client: ClusterClient) => Promise<T>,
): Promise<T> {
  if (flags.scheduler !== undefined) {
    const client = await Client.connect(flags.scheduler);
    try {
      return await body(client);
    } finally {
      client.close();
    }
  }
  let cluster: LocalCluster | undefined;
  const removeHandlers = onSignal((_, status) => {
    void (cluster?.close() ?? Promise.resolve()).then(() => process.exit(status));
  });
  try {
    cluster = await startLocalCluster({
      workers: flags.workers ?? size,
      devices: deviceNamesOf(flags),
      deviceOptions: deviceOptionsOf(flags),
    });
    return await body(cluster.client);
  } finally {
    await cluster?.close();
    removeHandlers();
  }
}

function write(path: string, result: ir.IValue): void {
  const bytes = encode(path, result);
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw new WeftError(
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
    );
  }
}

function encode(path: string, result: ir.IValue): string | Uint8Array {
  if (extname(path) === '.json') return `${JSON.stringify(toJson(result))}\n`;
  const tensors = tensorsOf(result, 'output');
  if (extname(path) === '.safetensors') return writeSafetensors(tensors);
  const only = tensors.get('output');
  if (only === undefined)
    throw new WeftError(
      `${path}: a .npy file holds one tensor, but the method returns something else; write .safetensors or .json`,
    );
  return writeNpy(only);
}
