// How much memory a program needs on its device: what it keeps between steps, and the most it holds within one.
import type { Graph, TensorSpec, Value } from '@weft/ir';
import { asTensorSpec, dtypes, numel, parseGraph } from '@weft/ir';
import { slotsRead, slotsWritten } from './check.ts';
import type { Program } from './program.ts';

export const bytesOfSpec = (spec: TensorSpec): number => numel(spec.sizes) * dtypes[spec.dtype].bytes;

/** Bytes of all values of a graph (inputs and outputs left out) that are alive at once, at most. */
export function temporaryBytes(graph: Graph): number {
  const outside = new Set<Value>([...graph.inputs, ...graph.outputs]);
  const nodes = [...graph.nodes()];
  const position = new Map(nodes.map((node, index) => [node, index]));
  const change = Array.from({ length: nodes.length + 2 }, () => 0);
  nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      const spec = asTensorSpec(output.type);
      if (spec === undefined || outside.has(output)) continue;
      const last = Math.max(index, ...output.uses.map((use) => position.get(use.user) ?? nodes.length - 1));
      change[index] += bytesOfSpec(spec);
      change[last + 1] -= bytesOfSpec(spec);
    }
  });
  let live = 0;
  return change.reduce((peak, delta) => Math.max(peak, (live += delta)), 0);
}

/** Bytes of the persistent slots, and the peak of everything else during a step. */
export function programMemory(program: Omit<Program, 'memory'>): { persistent: number; peak: number } {
  const graphs = new Map(Object.entries(program.graphs).map(([name, text]) => [name, parseGraph(text)]));
  const temporary = new Map([...graphs].map(([name, graph]) => [name, temporaryBytes(graph)]));
  const persistent = new Set(program.persistent.map(({ slot }) => slot));
  const kept = new Set(program.results.map(({ slot }) => slot));

  const lastRead = new Map<string, number>();
  program.actions.forEach((action, index) => slotsRead(action).forEach((slot) => lastRead.set(slot, index)));
  const held = new Map<string, number>(
    program.batchInputs.map(({ slot, spec }) => [slot, bytesOfSpec(spec)]),
  );
  let peak = 0;
  program.actions.forEach((action, index) => {
    slotsWritten(action).forEach((slot, output) => {
      if (persistent.has(slot)) return;
      const bytes =
        action.kind === 'recv'
          ? bytesOfSpec(action.spec)
          : action.kind === 'run'
            ? bytesOfSpec(asTensorSpec(graphs.get(action.graph)!.outputs[output].type)!)
            : (held.get(slotsRead(action)[output] ?? slotsRead(action)[0]) ?? 0);
      held.set(slot, bytes);
    });
    const now = [...held.values()].reduce((sum, bytes) => sum + bytes, 0);
    peak = Math.max(peak, now + (action.kind === 'run' ? temporary.get(action.graph)! : 0));
    for (const slot of [...held.keys()]) {
      if (!kept.has(slot) && (lastRead.get(slot) ?? -1) <= index) held.delete(slot);
    }
  });
  return { persistent: program.persistent.reduce((sum, { spec }) => sum + bytesOfSpec(spec), 0), peak };
}
