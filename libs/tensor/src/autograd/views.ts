// Views and in-place operators on the tape. A view remembers its base and the operators that lead to it; when the base's
// history changes, the view's node is made again by replaying them. Writing into a view gives the base a new history.
import type { IValue } from '@weft/ir';
import { OperatorError } from '@weft/ir';
import type { Operator } from '../dispatch/operator.ts';
import { invoke } from '../dispatch/call.ts';
import { withDispatchHook } from '../dispatch/hook.ts';
import type { GradMeta } from '../tensor.ts';
import type { Tensor } from '../tensor.ts';
import { viewCotangent } from './function-node.ts';
import { enableGrad, isGradEnabled, noGrad } from './grad-mode.ts';
import type { Edge } from './node.ts';
import { GradNode } from './node.ts';
import { placed } from './placed.ts';

/** One view operator on the way from the base: its call, and which of its outputs the view is. */
export interface ViewStep {
  readonly operator: Operator;
  readonly args: readonly IValue[];
  readonly output: number;
  /** Whether the operator makes several views at once. */
  readonly several: boolean;
}

export interface ViewOf {
  readonly base: Tensor;
  /** The strides of the base, by identity: others when it was given another shape since. */
  readonly baseStrides: readonly number[];
  readonly steps: readonly ViewStep[];
  /** The version of the storage for which the view's node was made. */
  version: number;
  readonly madeInNoGrad: boolean;
}

/** Makes `view` a view of `parent`, recorded when gradients are on and the parent requires one. */
export function trackView(view: Tensor, parent: Tensor, step: ViewStep): void {
  const outer = parent.meta?.view;
  view.gradMeta.view = {
    base: outer?.base ?? parent,
    baseStrides: outer?.baseStrides ?? parent.strides,
    steps: outer ? [...outer.steps, step] : [step],
    version: view.storage.version,
    madeInNoGrad: !isGradEnabled(),
  };
  const { meaning } = step.operator;
  const isConstant = meaning?.kind === 'view' && meaning.constant === true;
  if (isGradEnabled() && parent.requiresGrad && !isConstant) recordView(view, parent, step);
}

/**
 * Records that `target` was given another shape in place.
 * @param before the tensor as it was, with the history that it had
 * @param step the view operator that leads from there to what it is now
 */
export function trackReshaped(target: Tensor, before: Tensor, step: ViewStep): void {
  const outer = target.meta?.view;
  if (outer) {
    const { version } = target.storage;
    target.gradMeta.view = { ...outer, steps: [...outer.steps, step], version };
  }
  if (before.meta?.edge) recordView(target, before, step);
}

function recordView(view: Tensor, parent: Tensor, step: ViewStep): void {
  view.gradMeta.edge = {
    node: new ViewNode(parent, step, view),
    index: 0,
  };
}

/** The derivative of a view: the cotangent goes to the viewed elements, all others are zero. */
class ViewNode extends GradNode {
  private readonly parent: Tensor;

  constructor(
    parent: Tensor,
    private readonly step: ViewStep,
    view: Tensor,
  ) {
    super(nodeName(step.operator.name), [parent.gradEdge], [view.spec]);
    // Only dtype, shape and strides of the parent are needed.
    this.parent = parent.onStorage(parent);
  }

  override apply([cotangent]: readonly (Tensor | null)[], createGraph: boolean): (Tensor | null)[] {
    return [viewCotangent(this.parent, this.step, cotangent!, createGraph)];
  }
}

const nodeNames = new Map<string, string>();

/** `AddBackward0` for `aten::add.Tensor`, `MulBackward0` for `aten::mul_.Tensor`, `ForwardBackward0` for a method. */
export function nodeName(operator: string): string {
  let made = nodeNames.get(operator);
  if (made === undefined) {
    const name = operator.replace(/^.*::/, '').replace(/\..*$|^_+|_+$/g, '');
    made = `${name.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())}Backward0`;
    nodeNames.set(operator, made);
  }
  return made;
}

/** The view made again. */
function remake({ base, baseStrides, steps }: ViewOf): Tensor {
  if (base.strides !== baseStrides) {
    throw new OperatorError(
      'a view is used after its base was given another shape in place and then changed: take the view again',
    );
  }
  return enableGrad(() => replay(base, steps));
}

/** The view that the steps lead to from `base`. */
function replay(base: Tensor, steps: readonly ViewStep[]): Tensor {
  return withDispatchHook(null, () =>
    steps.reduce((parent, { operator, args, output }) => {
      const result = invoke(operator, [parent, ...args.slice(1)]);
      return (Array.isArray(result) ? result[output] : result) as unknown as Tensor;
    }, base),
  );
}

/** Makes the view's node again when its storage changed since it was made and the base has a history. */
export function regenerateViewNode(view: Tensor, meta: GradMeta, info: ViewOf): void {
  if (info.version === view.storage.version) return;
  if (meta.edge === null && !info.base.requiresGrad) return;
  info.version = view.storage.version;
  if (!info.base.requiresGrad) return;
  meta.edge = remake(info).edge;
}

/** Throws OperatorError when `target` is a leaf that requires a gradient, which no operator may change. */
export function checkLeaf(target: Tensor): void {
  if (isGradEnabled() && target.requiresGrad && target.isLeaf) {
    throw new OperatorError('a leaf Variable that requires grad is being used in an in-place operation.');
  }
}

/** Throws OperatorError when `target` may not be changed in place. */
export function checkInPlace(target: Tensor, recorded: boolean): void {
  if (hasInternalOverlap(target)) {
    throw new OperatorError(
      'unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.',
    );
  }
  const meta = target.meta;
  if (meta === null || !isGradEnabled()) return;
  const { view } = meta;
  if (view === null) return checkLeaf(target);
  if (!recorded) return;
  const last = view.steps[view.steps.length - 1];
  if (view.base.requiresGrad && view.base.isLeaf) {
    throw new OperatorError(
      'a view of a leaf Variable that requires grad is being used in an in-place operation.',
    );
  }
  if (last.several) {
    throw new OperatorError(
      `Output ${last.output} of ${nodeName(last.operator.name)} is a view and is being modified inplace. This view is the output of a function that returns multiple views. Such functions do not allow the output views to be modified inplace. You should replace the inplace operation by an out-of-place one.`,
    );
  }
  if (view.madeInNoGrad) {
    throw new OperatorError(
      "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked).",
    );
  }
}

function hasInternalOverlap({ sizes, strides }: Tensor): boolean {
  return strides.some((stride, dim) => stride === 0 && sizes[dim] > 1);
}

/** Gives `target`, which was just overwritten, the history of its new contents; its base too when it is a view. */
export function rebaseHistory(target: Tensor, contents: Edge | null): void {
  const meta = target.gradMeta;
  if (meta.view === null) {
    meta.edge = contents;
    return;
  }
  const { base, steps } = meta.view;
  const node = new CopySlices(base, base.gradEdge, steps, contents);
  base.gradMeta.edge = { node, index: 0 };
  meta.view.version = target.storage.version;
  meta.edge = remake(meta.view).edge;
}

/** A base after some of its elements were overwritten through a view. */
class CopySlices extends GradNode {
  private readonly base: Tensor;

  constructor(
    base: Tensor,
    old: Edge | null,
    private readonly steps: readonly ViewStep[],
    contents: Edge | null,
  ) {
    super('CopySlices', [old, contents], [base.spec]);
    this.base = base.onStorage(base);
  }

  override apply([cotangent]: readonly (Tensor | null)[], createGraph: boolean): (Tensor | null)[] {
    const compute = (): (Tensor | null)[] => {
      const [old, contents] = this.next;
      // The steps are views of what lies as the base does.
      const rest = placed(cotangent!, this.base.strides);
      const toContents = contents === null ? null : replay(rest, this.steps).clone();
      if (old === null) return [null, toContents];
      replay(rest, this.steps).zero_();
      return [rest, toContents];
    };
    return createGraph ? enableGrad(compute) : noGrad(compute);
  }
}
