// Runs a lowered method: on devices of this process, or split over the workers of a cluster. What comes back is put
// together to the value that the method returns.
import { Tensor, devices as dev, hostDevice, ir } from 'weft';
import type { jit } from 'weft';
import { tensorsOf } from './values.ts';

/** The tensors among the arguments, in the order of the lowered inputs. */
export function inputTensors(
  lowered: jit.LoweredModule,
  values: readonly ir.IValue[],
): Map<string, ir.TensorLiteral> {
  const found = [...values].flatMap((value, index) => [...tensorsOf(value, String(index)).values()]);
  return new Map(lowered.inputs.map(({ path }, index) => [path, found[index]]));
}

/** The method's result from the graph's outputs. */
export function assemble(
  structure: jit.OutputStructure,
  path: string,
  outputOf: (output: number, path: string) => ir.TensorLiteral,
): ir.IValue {
  switch (structure.kind) {
    case 'tensor':
      return Tensor.fromLiteral(outputOf(structure.output, path), hostDevice());
    case 'number': {
      const value = Tensor.fromLiteral(outputOf(structure.output, path), hostDevice()).element();
      return structure.type === 'int' ? BigInt(value as number) : (value as ir.IValue);
    }
    case 'constant':
      return structure.value;
    case 'list':
      return structure.items.map((item, index) => assemble(item, `${path}.${index}`, outputOf));
    case 'tuple':
      return new ir.TupleValue(
        structure.items.map((item, index) => assemble(item, `${path}.${index}`, outputOf)),
      );
    case 'dict':
      return new Map(
        structure.entries.map(([key, item]) => [key, assemble(item, `${path}.${String(key)}`, outputOf)]),
      );
    default:
      return structure satisfies never;
  }
}

/** Compiles the graph for the devices, first choice first, and runs it once. */
export async function runOnDevices(
  lowered: jit.LoweredModule,
  values: readonly ir.IValue[],
  devices: readonly dev.Device[],
  seed: number,
): Promise<ir.IValue> {
  const { graph } = lowered;
  const [home] = devices;
  const literals: ir.TensorLiteral[] = [];
  for (const { input, tensor } of [...lowered.parameters, ...lowered.buffers])
    literals[input] = (tensor as Tensor).toLiteral();
  const given = inputTensors(lowered, values);
  for (const { input, path } of lowered.inputs) literals[input] = given.get(path)!;
  if (lowered.randomState !== undefined) literals[lowered.randomState.input] = randomState(seed);
  const executable = dev.compileForDevices(graph, devices);
  const inputs = literals.map((literal) => dev.uploadLiteral(home, literal));
  const outputs = graph.outputs.map((output) => dev.allocateTensor(home, ir.specOf(output)));
  try {
    if (executable instanceof dev.HeterogeneousExecutable) await executable.runAsync(inputs, outputs);
    else executable.run(inputs, outputs);
    const results: ir.TensorLiteral[] = [];
    for (const view of outputs) results.push(await dev.downloadLiteral(home, view));
    return assemble(lowered.outputs, 'output', (output) => results[output]);
  } finally {
    for (const view of [...inputs, ...outputs]) view.buffer.free();
  }
}

/** Key and counter of the generator of lowered graphs. */
function randomState(seed: number): ir.TensorLiteral {
  return new ir.TensorLiteral('uint64', [2], new Uint8Array(new BigUint64Array([BigInt(seed), 0n]).buffer));
}
