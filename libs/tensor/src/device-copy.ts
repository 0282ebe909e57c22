// Copies of strided tensors made by the device that they are on, as programs that only move elements; kept for the ways in
// which tensors were seen to lie.
import type { BufferView, Device, Executable } from '@weft/devices';
import type { TensorSpec } from '@weft/ir';
import { CoreBuilder, Graph, dtypes, memoryOf, numel, relayout, tensorSpec } from '@weft/ir';
import type { Strided } from '@weft/ops';
import { lieOf } from './layout.ts';
import type { Storage } from './storage.ts';

/** Elements below which the host is done before a program is compiled. */
const fewest = 1 << 14;
const capacity = 256;
const programs = new WeakMap<Device, Map<string, Executable>>();

/**
 * Copies the elements at `source` of a storage to the beginning of another one on the same device, row-major; false when that is the
 * host's to do.
 */
export function copyOnDevice(
  from: Storage,
  source: Strided,
  dtype: TensorSpec['dtype'],
  to: Storage,
): boolean {
  const { sizes, offset } = source;
  if (numel(sizes) < fewest) return false;
  const width = dtypes[dtype].bytes;
  const lie = lieOf(source, Math.floor(from.byteLength / width));
  if (lie === null) return false;
  const { layout, before } = lie;
  const given = tensorSpec(dtype, memoryOf(layout));
  const made = tensorSpec(dtype, sizes);
  const part = layout.part === undefined ? '' : `${layout.part.start.join()};${layout.sizes.join()}`;
  const key = `${dtype};${given.sizes.join()};${part};${layout.dimensions.join()};${sizes.join()}`;
  let known = programs.get(from.device);
  if (known === undefined) programs.set(from.device, (known = new Map<string, Executable>()));
  let program = known.get(key);
  if (program === undefined) {
    const graph = new Graph();
    graph.addOutput(new CoreBuilder(graph).input(made));
    if (known.size >= capacity) known.clear();
    known.set(key, (program = from.device.compile(relayout(graph, [layout], [null]), {})));
  }
  const view = ({ buffer, byteOffset, contents }: Storage, at: number, spec: TensorSpec): BufferView => ({
    buffer,
    byteOffset: byteOffset + at * width,
    spec,
    version: contents,
  });
  program.run([view(from, offset - before, given)], [view(to, 0, made)]);
  return true;
}
