// The backward pass: runs the nodes behind some tensors in falling order of their making, adding up the cotangents that
// meet, into the `grad` of leaves (`backward`) or for chosen tensors (`grad`).
import { OperatorError, numel } from '@weft/ir';
import { contiguousStrides, isDense } from '@weft/ops';
import { copyToDevice } from '../core-function.ts';
import { callOperator } from '../dispatch/call.ts';
import { withDispatchHook } from '../dispatch/hook.ts';
import type { Tensor } from '../tensor.ts';

import { enableGrad, noGrad } from './grad-mode.ts';
import type { Edge, TensorHook, GradNode } from './node.ts';
import { AccumulateGrad } from './node.ts';
import { placed } from './placed.ts';

export interface BackwardOptions {
  /** Keeps what the graph saved, so that it can be gone through again; default: as `createGraph`. */
  retainGraph?: boolean | null;
  /** Records the computation of the gradients, for derivatives of derivatives. */
  createGraph?: boolean;
}

/** Accumulates gradients of `tensors` in the leaves that they depend on. */
export function backward(
  tensors: readonly Tensor[] | Tensor,
  gradients: readonly (Tensor | null)[] | Tensor | null = null,
  { retainGraph = null, createGraph = false }: BackwardOptions = {},
): void {
  const roots = [tensors].flat() as Tensor[];
  const seeds = seedsOf(roots, gradients === null ? [] : ([gradients].flat() as (Tensor | null)[]));
  withDispatchHook(null, () => run(seeds, retainGraph ?? createGraph, createGraph, null));
}

export interface GradOptions extends BackwardOptions {
  /** Gives null for inputs that the outputs do not depend on instead of an error. */
  allowUnused?: boolean;
}

/** Gradients of the sum of `outputs` (weighted by `gradOutputs`) with respect to each of `inputs`. */
export function grad(
  outputs: readonly Tensor[] | Tensor,
  inputs: readonly Tensor[] | Tensor,
  gradOutputs: readonly (Tensor | null)[] | Tensor | null = null,
  { retainGraph = null, createGraph = false, allowUnused = false }: GradOptions = {},
): (Tensor | null)[] {
  const roots = [outputs].flat() as Tensor[];
  const wanted = [inputs].flat() as Tensor[];
  const edges = wanted.map((input) => {
    const edge = input.gradEdge;
    if (edge === null) throw new OperatorError('One of the differentiated Tensors does not require grad');
    return edge;
  });
  const seeds = seedsOf(roots, gradOutputs === null ? [] : ([gradOutputs].flat() as (Tensor | null)[]));
  const captured = withDispatchHook(null, () => run(seeds, retainGraph ?? createGraph, createGraph, edges));
  return captured.map((value) => {
    if (value === null && !allowUnused) {
      throw new OperatorError(
        'One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior.',
      );
    }
    return value;
  });
}

interface Seed {
  readonly edge: Edge;
  readonly gradient: Tensor;
}

function seedsOf(roots: readonly Tensor[], gradients: readonly (Tensor | null)[]): Seed[] {
  return roots.map((root, index) => {
    const edge = root.gradEdge;
    if (edge === null) {
      throw new OperatorError(
        `element ${index} of tensors does not require grad and does not have a grad_fn`,
      );
    }
    const given = gradients[index] ?? null;
    if (given === null) {
      if (numel(root.sizes) !== 1) {
        throw new OperatorError('grad can be implicitly created only for scalar outputs');
      }
      return { edge, gradient: noGrad(() => callOperator('aten::ones_like', [root])) as unknown as Tensor };
    }
    if (given.sizes.join() !== root.sizes.join()) {
      throw new OperatorError(
        `Mismatch in shape: grad_output[${index}] has a shape of torch.Size([${given.sizes.join(', ')}]) and output[${index}] has a shape of torch.Size([${root.sizes.join(', ')}]).`,
      );
    }
    return { edge, gradient: given };
  });
}

const add = (a: Tensor, b: Tensor): Tensor =>
  callOperator('aten::add.Tensor', [a, b, 1n]) as unknown as Tensor;

const clone = (a: Tensor): Tensor => callOperator('aten::clone', [a]) as unknown as Tensor;

function run(
  seeds: readonly Seed[],
  retainGraph: boolean,
  createGraph: boolean,
  captures: readonly Edge[] | null,
): (Tensor | null)[] {
  const recording = createGraph ? enableGrad : noGrad;
  return recording(() => {
    const captured: (Tensor | null)[] = captures?.map(() => null) ?? [];
    const needed = captures === null ? null : nodesLeadingTo(seeds, captures);
    const arrived = new Map<GradNode, (Tensor | null)[]>();
    const queue = new NodeQueue();
    const deliver = (edge: Edge, value: Tensor): void => {
      if (needed !== null && !needed.has(edge.node)) return;
      let slots = arrived.get(edge.node);
      if (slots === undefined) {
        arrived.set(edge.node, (slots = edge.node.outputs.map(() => null)));
        queue.push(edge.node);
      }
      const old = slots[edge.index];
      slots[edge.index] = old === null ? value : add(old, value);
    };
    let arrivals: Map<GradNode, number> | undefined;
    const leavesOf = ({ next }: GradNode): (Tensor | null)[] | undefined => {
      if (!next.some((edge) => edge?.node instanceof AccumulateGrad)) return undefined;
      arrivals ??= countArrivals(seeds);
      return next.map((edge) => {
        const isAlone = edge?.node instanceof AccumulateGrad && arrivals!.get(edge.node) === 1;
        return isAlone && !isWatched(edge.node as AccumulateGrad)
          ? (edge.node as AccumulateGrad).variable
          : null;
      });
    };
    for (const { edge, gradient } of seeds) deliver(edge, gradient);
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
      const cotangents = hooked(node, arrived.get(node)!);
      arrived.delete(node);
      captures?.forEach((edge, index) => {
        if (edge.node === node) captured[index] = cotangents[edge.index];
      });
      if (node instanceof AccumulateGrad) {
        if (captures === null && cotangents[0] !== null)
          accumulate(node.variable, cotangents[0], createGraph);
        continue;
      }
      if (needed !== null && !node.next.some((edge) => edge !== null && needed.has(edge.node))) continue;
      const leaves = captures === null && !createGraph ? leavesOf(node) : undefined;
      const results = node.apply(cotangents, createGraph, leaves);
      if (!retainGraph) node.release();
      node.next.forEach((edge, index) => {
        const result = results[index] ?? null;
        if (edge !== null && result !== null) deliver(edge, result);
      });
    }
    return captured;
  });
}

/** How many edges lead to each leaf from the seeds and the nodes behind them. */
function countArrivals(seeds: readonly Seed[]): Map<GradNode, number> {
  const counts = new Map<GradNode, number>();
  const seen = new Set<GradNode>();
  const open: GradNode[] = [];
  const arrive = ({ node }: Edge): void => {
    if (node instanceof AccumulateGrad) counts.set(node, (counts.get(node) ?? 0) + 1);
    else if (!seen.has(node)) {
      seen.add(node);
      open.push(node);
    }
  };
  for (const { edge } of seeds) arrive(edge);
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const edge of node.next) if (edge !== null) arrive(edge);
  }
  return counts;
}

/** Whether somebody wants to see a leaf's gradient before it is added. */
const isWatched = ({ variable, hooks, retainers }: AccumulateGrad): boolean =>
  (variable.meta!.hooks?.size ?? 0) > 0 || hooks !== null || retainers !== null;

/** Runs the hooks of a node's outputs on their gradients and keeps the gradients that are asked for. */
function hooked(node: GradNode, cotangents: (Tensor | null)[]): (Tensor | null)[] {
  const hooks = node instanceof AccumulateGrad ? node.variable.meta!.hooks : null;
  if (hooks !== null && cotangents[0] !== null) cotangents[0] = applyHooks(hooks, cotangents[0]);
  node.hooks?.forEach((set, index) => {
    if (cotangents[index] !== null) cotangents[index] = applyHooks(set, cotangents[index]);
  });
  node.retainers?.forEach((tensor, index) => {
    const value = cotangents[index];
    if (value === null) return;
    const meta = tensor.gradMeta;
    meta.grad = meta.grad === null ? clone(value) : add(meta.grad, value);
  });
  return cotangents;
}

function applyHooks(hooks: ReadonlySet<TensorHook>, gradient: Tensor): Tensor {
  let current = gradient;
  for (const hook of hooks) current = hook(current) ?? current;
  return current;
}

function accumulate(variable: Tensor, gradient: Tensor, createGraph: boolean): void {
  const meta = variable.gradMeta;
  if (meta.grad === null) {
    // Owned by the leaf alone: later backward passes add to it in place of others' tensors. It lies as the leaf does.
    const { sizes, strides } = variable;
    const wanted = isDense(sizes, strides) ? strides : contiguousStrides(sizes);
    if (createGraph) meta.grad = placed(gradient, wanted);
    else meta.grad = copyToDevice(gradient, gradient.storage.device, wanted);
  } else if (createGraph) meta.grad = add(meta.grad, gradient);
  else callOperator('aten::add_.Tensor', [meta.grad, gradient, 1n]);
}

/** Nodes on a way from the seeds to a captured edge. */
function nodesLeadingTo(seeds: readonly Seed[], captures: readonly Edge[]): Set<GradNode> {
  const targets = new Set(captures.map((edge) => edge.node));
  const leads = new Map<GradNode, boolean>();
  for (const { edge } of seeds) {
    const stack: { node: GradNode; at: number }[] = [{ node: edge.node, at: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (leads.has(top.node)) {
        stack.pop();
        continue;
      }
      const next = top.node.next[top.at++];
      if (next === undefined) {
        const own =
          targets.has(top.node) ||
          top.node.next.some((each) => each !== null && leads.get(each.node) === true);
        leads.set(top.node, own);
        stack.pop();
      } else if (next !== null && !leads.has(next.node)) stack.push({ node: next.node, at: 0 });
    }
  }
  return new Set([...leads].filter(([, leading]) => leading).map(([node]) => node));
}

/** Nodes waiting to run, the last made first. Accumulation into leaves comes as soon as it can. */
class NodeQueue {
  private readonly heap: GradNode[] = [];

  push(node: GradNode): void {
    const { heap } = this;
    heap.push(node);
    for (let at = heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (order(heap[parent]) >= order(heap[at])) break;
      [heap[parent], heap[at]] = [heap[at], heap[parent]];
      at = parent;
    }
  }

  pop(): GradNode | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return top;
    heap[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      if (left >= heap.length) return top;
      const child = left + 1 < heap.length && order(heap[left + 1]) > order(heap[left]) ? left + 1 : left;
      if (order(heap[at]) >= order(heap[child])) return top;
      [heap[at], heap[child]] = [heap[child], heap[at]];
      at = child;
    }
  }
}

/** Leaves wait until everything that could still arrive has: their accumulation runs after all operators. */
const order = (node: GradNode): number =>
  node instanceof AccumulateGrad ? node.sequence - Number.MAX_SAFE_INTEGER : node.sequence;
