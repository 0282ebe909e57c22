// Runs a core graph on tensors and records it on the tape. The node holds that same graph; its derivative, a forward graph
// that also returns what is to be saved and a backward graph, is made once per graph and set of differentiated operands.
import type { Device } from '@weft/devices';
import type { Block, Differentiated, Graph, TensorSpec, Value } from '@weft/ir';
import {
  CoreBuilder,
  Graph as CoreGraph,
  WeftError,
  differentiate,
  dtypes,
  isDifferentiable,
  specOf,
  vjpOfGraph,
} from '@weft/ir';
import type { ResultLayout } from '@weft/ops';
import { resultStrides, stopsGradient } from '@weft/ops';
import type { ResultStrides } from '../core-function.ts';
import { CoreFunction, copyToDevice } from '../core-function.ts';
import { compileCall } from '../dispatch/call.ts';
import { Placements, allRowMajor } from '../placements.ts';
import { Tensor } from '../tensor.ts';
import { enableGrad, isGradEnabled, noGrad } from './grad-mode.ts';
import { addToLeaves } from './leaves.ts';
import { GradNode, SavedTensor, releasedError } from './node.ts';
import type { RecordedRun } from './results.ts';
import { resultsOf } from './results.ts';
import type { ViewStep } from './views.ts';
import { nodeName } from './views.ts';

/** The derivative of a graph for a set of its inputs. */
interface Derivative {
  /** Inputs that an output depends on differentiably, among those asked for. */
  readonly wrt: readonly number[];
  /** Outputs that depend on them. */
  readonly outputs: readonly number[];
  readonly parts: Differentiated;
  readonly forward: CoreFunction;
  readonly backward: CoreFunction;
  /** Strides of the gradients. */
  readonly placements: Placements;
  /** Strides of the forward graph's outputs, and those of the results that they were made for. */
  placed?: { readonly results: ResultStrides; readonly all: ResultStrides };
  /** `backward` adding to tensors that are there, by which. */
  readonly accumulating: Map<string, CoreFunction>;
  /** Inputs, then a cotangent for each of `outputs` → gradients of `wrt`; for derivatives of derivatives. */
  joint?: CoreFunction;
}

/** A graph that depends on its inputs, but has no derivative: why, to be told when one is asked for. */
interface NoDerivative {
  readonly wrt: readonly number[];
  readonly outputs: readonly number[];
  readonly reason: WeftError;
}

const derivatives = new WeakMap<CoreFunction, Map<string, Derivative | NoDerivative | null>>();

/** The derivative for the inputs whose bit is set in `mask`; null when no output depends on them. */
function derivativeOf(fn: CoreFunction, wanted: readonly boolean[]): Derivative | NoDerivative | null {
  let byMask = derivatives.get(fn);
  if (byMask === undefined) {
    derivatives.set(fn, (byMask = new Map<string, Derivative | NoDerivative | null>()));
  }
  let key = '';
  for (const each of wanted) key += each ? '1' : '0';
  let found = byMask.get(key);
  if (found === undefined) byMask.set(key, (found = derive(fn, wanted)));
  return found;
}

/**
 * Makes the derivative that recording `fn` with these operands needs, before anything runs. Throws UnsupportedError where
 * there is none.
 */
export function prepareDerivative(fn: CoreFunction, operands: readonly Tensor[]): void {
  const wanted = operands.map((operand) => operand.requiresGrad);
  const derivative = wanted.includes(true) ? derivativeOf(fn, wanted) : null;
  if (derivative !== null && 'reason' in derivative) throw derivative.reason;
}

/** Whether a result of `fn` is a differentiable function of those operands that require gradients. */
export const hasDerivative = (fn: CoreFunction, operands: readonly Tensor[]): boolean => {
  const wanted = operands.map((operand) => operand.requiresGrad);
  return derivativeOf(fn, wanted) !== null;
};

function derive(
  { graph, options: { optimize, differentiate: own = differentiate } }: CoreFunction,
  wanted: readonly boolean[],
): Derivative | NoDerivative | null {
  const { wrt, outputs } = connections(graph, wanted);
  if (wrt.length === 0 || outputs.length === 0) return null;
  try {
    const parts = own(graph, { wrt, outputs });
    return {
      wrt,
      outputs,
      parts,
      forward: new CoreFunction(parts.forward.clone(), { optimize }),
      backward: new CoreFunction(parts.backward, { optimize, views: true }),
      placements: new Placements(),
      accumulating: new Map(),
    };
  } catch (error) {
    if (error instanceof WeftError) return { wrt, outputs, reason: error };
    throw error;
  }
}

/** Which of the wanted inputs reach a differentiable output, and which outputs they reach. */
function connections(graph: Graph, wanted: readonly boolean[]): { wrt: number[]; outputs: number[] } {
  const outputs = new Set<number>();
  const wrt = graph.inputs.flatMap((input, index) => {
    if (wanted[index] !== true || !isDifferentiable(input)) return [];
    const reached = reachable(graph.block, input);
    const hit = graph.outputs.flatMap((output, at) =>
      reached.has(output) && isDifferentiable(output) ? [at] : [],
    );
    hit.forEach((at) => outputs.add(at));
    return hit.length > 0 ? [index] : [];
  });
  return { wrt, outputs: [...outputs].sort((a, b) => a - b) };
}

/** Values that depend on `start`. A node with regions depends on all that they use. */
function reachable(block: Block, start: Value): Set<Value> {
  const seen = new Set<Value>([start]);
  const uses = (inner: Block): boolean =>
    [...inner.nodes()].some((node) => node.inputs.some((input) => seen.has(input)) || node.blocks.some(uses));
  for (const node of block.nodes()) {
    if (stopsGradient(node)) continue;
    if (node.inputs.some((input) => seen.has(input)) || node.blocks.some(uses)) {
      node.outputs.forEach((output) => seen.add(output));
    }
  }
  return seen;
}

/**
 * Computes the outputs of `fn` and, when gradients are on and an operand requires one, records it.
 * @param name the operator, for the node's name
 */
export function runRecorded(
  name: string,
  fn: CoreFunction,
  operands: readonly Tensor[],
  device: Device,
  run: RecordedRun = {},
): Tensor[] {
  if (isGradEnabled()) {
    let requiring = false;
    for (let index = 0; index < operands.length; index++) {
      if (operands[index].requiresGrad) requiring = true;
    }
    if (requiring) return record(name, fn, operands, device, run);
  }
  return resultsOf(fn, operands, device, run);
}

function record(
  name: string,
  fn: CoreFunction,
  operands: readonly Tensor[],
  device: Device,
  run: RecordedRun,
): Tensor[] {
  const derivative = derivativeOf(
    fn,
    operands.map((operand) => operand.requiresGrad),
  );
  const { overwritten = [] } = run;
  if (derivative === null || 'reason' in derivative) {
    const results = resultsOf(fn, operands, device, run);
    const node =
      derivative === null
        ? zeroNode(name, operands, overwritten)
        : new FailingNode(name, fn, derivative, operands);
    if (node !== null) attach(node, results, derivative?.outputs ?? results.keys(), operands);
    return results;
  }
  const count = fn.outputs.length;
  const { forward } = derivative;
  const strides = forwardStrides(derivative, count, run);
  const all = resultsOf(forward, operands, device, { ...run, into: undefined, strides });
  const results = all.slice(0, count);
  if (derivative.outputs.every((at) => operands.includes(results[at]))) return results;
  const node = new FunctionNode(name, fn, derivative, operands, device, overwritten, run.gradients);
  attach(node, results, derivative.outputs, operands);
  node.save(operands, all, count, overwritten);
  return results;
}

/** Makes the floating-point results outputs of the node; those that are operands keep their own history. */
function attach(
  node: GradNode,
  results: readonly Tensor[],
  outputs: Iterable<number>,
  operands: readonly Tensor[],
): void {
  for (const index of outputs) {
    const result = results[index];
    const { category } = dtypes[result.dtype];
    if ((category === 'float' || category === 'complex') && !operands.includes(result)) {
      result.gradMeta.edge = { node, index };
    }
  }
}

/** Tensors that are overwritten with no trace of what they were: their old contents get a gradient of zeros. */
const forgotten = (
  operands: readonly Tensor[],
  overwritten: readonly Tensor[],
  known: readonly number[],
): number[] =>
  operands.flatMap((operand, index) =>
    operand.requiresGrad && overwritten.includes(operand) && !known.includes(index) ? [index] : [],
  );

function zeroNode(
  name: string,
  operands: readonly Tensor[],
  overwritten: readonly Tensor[],
): GradNode | null {
  const wrt = forgotten(operands, overwritten, []);
  if (wrt.length === 0) return null;
  return new ZeroNode(
    name,
    wrt.map((index) => operands[index]),
  );
}

/** New contents that do not depend on the old ones, as `zero_` and `normal_` give. */
class ZeroNode extends GradNode {
  private readonly device: Device;

  constructor(operator: string, operands: readonly Tensor[]) {
    super(
      nodeName(operator),
      operands.map((operand) => operand.gradEdge),
      operands.map((operand) => operand.spec),
    );
    this.device = operands[0].storage.device;
  }

  override apply(): Tensor[] {
    return this.outputs.map((spec) => zeros(spec, this.device));
  }
}

/** Results whose derivative is not known: it is an error only when it is asked for. */
class FailingNode extends GradNode {
  private readonly reason: WeftError;

  constructor(
    operator: string,
    fn: CoreFunction,
    { wrt, reason }: NoDerivative,
    operands: readonly Tensor[],
  ) {
    super(
      nodeName(operator),
      wrt.map((index) => operands[index].gradEdge),
      fn.outputSpecs,
    );
    this.reason = reason;
  }

  override apply(): never {
    throw this.reason;
  }
}

/** What is saved besides the results lies as the first result of its shape. */
function forwardStrides(
  derivative: Derivative,
  count: number,
  { strides }: RecordedRun,
): ResultStrides | undefined {
  if (strides === undefined) return undefined;
  if (derivative.placed?.results !== strides) {
    const { outputSpecs } = derivative.forward;
    const sizes = outputSpecs.map((spec) => spec.sizes.join());
    const all = outputSpecs.map((_, index) => {
      const like = index < count ? index : sizes.indexOf(sizes[index]);
      return strides[like] ?? null;
    });
    derivative.placed = { results: strides, all };
  }
  return derivative.placed.all;
}

class FunctionNode extends GradNode {
  private saved: readonly SavedTensor[] | null = null;
  private operands: readonly (SavedTensor | null)[] | null = null;
  /** Operands after those of the derivative, which get zeros. */
  private readonly unused: readonly TensorSpec[];

  constructor(
    operator: string,
    private readonly fn: CoreFunction,
    private readonly derivative: Derivative,
    operands: readonly Tensor[],
    private readonly device: Device,
    overwritten: readonly Tensor[],
    private readonly layout: ResultLayout | undefined,
  ) {
    const unused = forgotten(operands, overwritten, derivative.wrt);
    super(
      nodeName(operator),
      [...derivative.wrt, ...unused].map((index) => operands[index].gradEdge),
      fn.outputSpecs,
    );
    this.unused = unused.map((index) => operands[index].spec);
  }

  save(
    operands: readonly Tensor[],
    outputs: readonly Tensor[],
    count: number,
    overwritten: readonly Tensor[],
  ): void {
    const kept = operands.map((operand) => {
      const survives = !overwritten.some((target) => target.storage === operand.storage);
      const tensor = survives ? operand : copyToDevice(operand, this.device);
      return { tensor, edge: operand.gradEdge, maker: makerOf(operand) };
    });
    this.saved = this.derivative.parts.saved.map(({ kind, index }) => {
      if (kind === 'input') {
        const { tensor, edge, maker } = kept[index];
        return new SavedTensor(tensor, edge, maker);
      }
      const maker = index < count ? { name: this.name, index } : undefined;
      // Aliases, so that a result that is overwritten later, and gets another history, is not followed there.
      const target = index < count ? overwritten[index] : undefined;
      if (target === undefined) return new SavedTensor(outputs[index].onStorage(outputs[index]), null, maker);
      return new SavedTensor(target.onStorage(target), null, maker, target.storage.version + 1);
    });
    const needed = this.jointFunction();
    this.operands = kept.map(({ tensor, edge }, index) =>
      needed.graph.inputs[index].hasUses ? new SavedTensor(tensor.onStorage(tensor), edge) : null,
    );
  }

  override apply(
    cotangents: readonly (Tensor | null)[],
    createGraph: boolean,
    leaves?: readonly (Tensor | null)[],
  ): (Tensor | null)[] {
    const found = this.cotangentsOf(cotangents, createGraph, leaves);
    return this.unused.length === 0
      ? found
      : [...found, ...this.unused.map((spec) => zeros(spec, this.device))];
  }

  private cotangentsOf(
    cotangents: readonly (Tensor | null)[],
    createGraph: boolean,
    leaves: readonly (Tensor | null)[] | undefined,
  ): (Tensor | null)[] {
    if (this.saved === null || this.operands === null) throw releasedError();
    const given = this.derivative.outputs.map(
      (index) => cotangents[index] ?? zeros(this.outputs[index], this.device),
    );
    if (!createGraph) {
      const saved = this.saved.map((each) => each.unpack());
      const { backward, accumulating } = this.derivative;
      const strides = this.gradientStrides(backward, [...given, ...saved], this.derivative.placements);
      const operands = [...saved, ...given];
      return noGrad(() =>
        leaves === undefined || strides !== undefined
          ? resultsOf(backward, operands, this.device, { mayAlias: true, strides })
          : addToLeaves(backward, accumulating, operands, this.device, leaves),
      );
    }
    const joint = this.jointFunction();
    const operands = this.operands.map(
      (saved, index) => saved?.unpackDifferentiable() ?? zeros(this.fn.inputs[index], this.device),
    );
    return enableGrad(() =>
      runRecorded(`aten::${this.name}`, joint, [...operands, ...given], this.device, {
        mayAlias: true,
        strides: this.gradientStrides(joint, [...given, ...operands], null),
        gradients: this.layout,
      }),
    );
  }

  /** Strides of gradients of the results' shape, computed from cotangents and what was saved. */
  private gradientStrides(
    backward: CoreFunction,
    from: readonly Tensor[],
    known: Placements | null,
  ): ResultStrides | undefined {
    const { layout } = this;
    if (layout === undefined || allRowMajor(from)) return undefined;
    const { sizes } = this.outputs[this.derivative.outputs[0]];
    const fits = (spec: TensorSpec): boolean =>
      layout.kind === 'suggested' ? spec.sizes.length === sizes.length : spec.sizes.join() === sizes.join();
    const compute = (): ResultStrides => {
      const site = { args: from, format: null };
      return backward.outputSpecs.map((spec) =>
        fits(spec) ? resultStrides(layout, site, spec.sizes) : null,
      );
    };
    return known === null ? compute() : known.find(from, compute);
  }

  override release(): void {
    this.saved = this.operands = null;
  }

  private jointFunction(): CoreFunction {
    return (this.derivative.joint ??= jointFunction(this.fn, this.derivative));
  }
}

function makerOf(tensor: Tensor): { name: string; index: number } | undefined {
  const edge = tensor.edge;
  return edge === null ? undefined : { name: edge.node.name, index: edge.index };
}

function jointFunction(fn: CoreFunction, { wrt, outputs }: Derivative): CoreFunction {
  const graph = new CoreGraph();
  const b = new CoreBuilder(graph);
  const inputs = fn.graph.inputs.map((input) => b.input(specOf(input)));
  const cotangents: (Value | null)[] = fn.graph.outputs.map(() => null);
  for (const index of outputs) cotangents[index] = b.input(specOf(fn.graph.outputs[index]));
  const found = vjpOfGraph(b, fn.graph, inputs, cotangents).cotangents;
  for (const index of wrt) graph.addOutput(found[index] ?? b.fullLike(inputs[index], 0));
  return new CoreFunction(graph, { views: true });
}

export function zeros(spec: TensorSpec, device: Device): Tensor {
  const result = Tensor.allocate(spec.dtype, spec.sizes, device);
  const bytes = result.storage.hostBytes;
  if (bytes !== undefined) bytes.fill(0);
  else result.storage.write(0, new Uint8Array(result.storage.byteLength));
  return result;
}

/** @internal The cotangent of a view's parent. */
export function viewCotangent(
  parent: Tensor,
  step: ViewStep,
  cotangent: Tensor,
  createGraph: boolean,
): Tensor {
  const { fn } = compileCall(step.operator, [parent, ...step.args.slice(1)]);
  const vjp = viewVjp(fn, step.output);
  const compute = (): Tensor =>
    runRecorded(`${step.operator.name}_backward`, vjp, [cotangent], parent.storage.device, {
      mayAlias: true,
    })[0];
  return createGraph ? enableGrad(compute) : noGrad(compute);
}

const viewVjps = new WeakMap<CoreFunction, CoreFunction[]>();

/** A cotangent of output `output` of a view's lowering → the cotangent of its operand. */
function viewVjp(fn: CoreFunction, output: number): CoreFunction {
  let made = viewVjps.get(fn);
  if (made === undefined) viewVjps.set(fn, (made = []));
  return (made[output] ??= makeViewVjp(fn, output));
}

function makeViewVjp(fn: CoreFunction, output: number): CoreFunction {
  const graph = new CoreGraph();
  const b = new CoreBuilder(graph);
  const cotangent = b.input(specOf(fn.graph.outputs[output]));
  // The view is linear: its operand's values do not matter. Of further operands (`view_as`) it takes the shape alone.
  const operands = fn.inputs.map(({ dtype, sizes }) => b.full(0, dtype, sizes));
  const cotangents = fn.graph.outputs.map((_, index) => (index === output ? cotangent : null));
  const [found] = vjpOfGraph(b, fn.graph, operands, cotangents).cotangents;
  graph.addOutput(found ?? b.fullLike(operands[0], 0));
  return new CoreFunction(graph, { views: true });
}
