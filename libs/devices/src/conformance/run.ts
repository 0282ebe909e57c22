// Runs conformance cases on a device: first what the specification gives, then random programs against the reference
// device, then small models. A case whose nodes the device does not claim is skipped, and said so.
import type { Block, Node, TensorSpec, Value } from '@weft/ir';
import { CoreBuilder, Graph } from '@weft/ir';
import type { Device } from '../device.ts';
import { executeOnDevice } from '../host.ts';
import { algorithmCases } from './algorithm-cases.ts';
import type { ConformanceCase } from './case.ts';
import { specOfLiteral } from './case.ts';
import { difference } from './compare.ts';
import { contractionCases } from './contraction-cases.ts';
import { elementwiseCases } from './elementwise-cases.ts';
import { modelCases } from './models.ts';
import { randomCases } from './random-cases.ts';
import { structureCases } from './structure-cases.ts';

export interface Failure {
  readonly name: string;
  readonly operator: string;
  readonly reason: string;
}
export interface ConformanceReport {
  readonly device: string;
  readonly passed: number;
  readonly failed: readonly Failure[];
  /** Cases with a node or dtype that the device does not claim: they run on the next device. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** Operators of which at least one case ran, and none failed. */
  readonly operators: readonly string[];
}
export interface ConformanceOptions {
  /** Runs only cases whose name contains this. */
  readonly filter?: string;
  /** Called after every case, for progress. */
  readonly onCase?: (name: string, done: number, total: number) => void;
}

/** Every case with an expectation of its own. */
export function conformanceCases(): ConformanceCase[] {
  return [...elementwiseCases(), ...structureCases(), ...contractionCases(), ...algorithmCases()];
}

/** The graph of a case. */
export function graphOfCase(test: ConformanceCase): Graph {
  const graph = new Graph();
  const b = new CoreBuilder(graph);
  const inputs = test.inputs.map((literal) => b.input(specOfLiteral(literal)));
  for (const output of test.build(b, ...inputs)) graph.addOutput(output);
  return graph;
}

/** Runs the whole kit. Cases run one after the other; the device is left as it was. */
export async function runConformance(
  device: Device,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const { filter = '' } = options;
  const all = [...conformanceCases(), ...randomCases(), ...modelCases()];
  const cases = all.filter(({ name }) => name.includes(filter));
  const failed: Failure[] = [];
  const skipped: { name: string; reason: string }[] = [];
  const ran = new Set<string>();
  let passed = 0;
  for (const [index, test] of cases.entries()) {
    const outcome = await runCase(device, test);
    if (outcome === undefined) passed++;
    else if (outcome.skipped) skipped.push({ name: test.name, reason: outcome.reason });
    else failed.push({ name: test.name, operator: test.operator, reason: outcome.reason });
    if (outcome?.skipped !== true) ran.add(test.operator);
    options.onCase?.(test.name, index + 1, cases.length);
  }
  for (const { operator } of failed) ran.delete(operator);
  const name = `${device.info.type}:${device.info.index}`;
  return { device: name, passed, failed, skipped, operators: [...ran].sort() };
}

/** What the memory of results is full of: a run writes all of it, whatever was there. */
const leftover = 0xa5;

/** Undefined when the case passes. */
export async function runCase(
  device: Device,
  test: ConformanceCase,
): Promise<{ skipped: boolean; reason: string } | undefined> {
  try {
    const graph = graphOfCase(test);
    const missing = firstUnsupported(device, graph);
    if (missing !== undefined) return { skipped: true, reason: missing };
    const outputs = await executeOnDevice(graph, test.inputs, device, leftover);
    for (const [index, expected] of test.expected.entries()) {
      const reason = difference(outputs[index], expected, test.tolerance);
      if (reason !== undefined) return { skipped: false, reason: `output ${index} ${reason}` };
    }
    return undefined;
  } catch (error) {
    return { skipped: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Why the device is not to be tried with a graph: a dtype it does not have, or a node it does not claim. */
function firstUnsupported(device: Device, graph: Graph): string | undefined {
  const foreign = (values: readonly Value[]): string | undefined => {
    for (const value of values) {
      const { dtype } = value.type as TensorSpec;
      if (!device.info.dtypes.includes(dtype)) return `${dtype} is not among the device's dtypes`;
    }
    return undefined;
  };
  const visitAll = (block: Block): string | undefined => {
    let reason = foreign([...block.inputs, ...block.outputs]);
    for (const node of block.nodes()) reason ??= visit(node);
    return reason;
  };
  const visit = (node: Node): string | undefined => {
    const reason = foreign([...node.inputs, ...node.outputs]);
    if (reason !== undefined || node.kind === 'core::constant') return reason;
    if (!device.supports(node)) return `${node.kind} is not claimed`;
    if (node.kind === 'core::composite') return undefined;
    for (const block of node.blocks) {
      const inside = visitAll(block);
      if (inside !== undefined) return inside;
    }
    return undefined;
  };
  return visitAll(graph.block);
}
