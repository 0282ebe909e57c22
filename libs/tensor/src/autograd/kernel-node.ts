// Kernel operators on the tape: a kernel that registers a derivative has it emitted as a core graph from operands,
// outputs and cotangents.
import type { Device } from '@weft/devices';
import type { IValue, Value } from '@weft/ir';
import { CoreBuilder, Graph, dtypes } from '@weft/ir';
import type { KernelVjp } from '@weft/ops';
import { CoreFunction } from '../core-function.ts';
import { callKey, loweringArguments, operandsOf } from '../dispatch/arguments.ts';
import type { Operator } from '../dispatch/operator.ts';
import type { Tensor } from '../tensor.ts';
import { runRecorded, zeros } from './function-node.ts';
import { enableGrad, isGradEnabled, noGrad } from './grad-mode.ts';
import { GradNode, SavedTensor, releasedError } from './node.ts';
import { nodeName } from './views.ts';

/** Records a kernel's call when it has a derivative, gradients are on and an operand requires one. */
export function attachKernelNode(
  operator: Operator,
  args: readonly IValue[],
  outputs: readonly Tensor[],
  device: Device,
): void {
  if (operator.meaning?.kind !== 'kernel' || operator.meaning.vjp === undefined || !isGradEnabled()) return;
  const operands = operandsOf(operator.kinds, args);
  if (!operands.some((operand) => operand.requiresGrad)) return;
  const node = new KernelNode(operator, operator.meaning.vjp, args, operands, outputs, device);
  outputs.forEach((output, index) => {
    if (['float', 'complex'].includes(dtypes[output.dtype].category)) output.gradMeta.edge = { node, index };
  });
  node.save(outputs);
}

class KernelNode extends GradNode {
  private operands: readonly SavedTensor[] | null;
  private results: readonly SavedTensor[] | null = null;

  constructor(
    private readonly operator: Operator,
    private readonly vjp: KernelVjp,
    private readonly args: readonly IValue[],
    operands: readonly Tensor[],
    outputs: readonly Tensor[],
    private readonly device: Device,
  ) {
    super(
      nodeName(operator.name),
      operands.map((operand) => operand.gradEdge),
      outputs.map((output) => output.spec),
    );
    this.operands = operands.map((operand) => new SavedTensor(operand, operand.gradEdge));
  }

  save(outputs: readonly Tensor[]): void {
    this.results = outputs.map((output) => new SavedTensor(output.onStorage(output), output.edge));
  }

  override apply(cotangents: readonly (Tensor | null)[], createGraph: boolean): (Tensor | null)[] {
    if (this.operands === null || this.results === null) throw releasedError();
    const unpack = (saved: SavedTensor): Tensor =>
      createGraph ? saved.unpackDifferentiable() : saved.unpack();
    const given = cotangents.map((each, index) => each ?? zeros(this.outputs[index], this.device));
    const inputs = [...this.operands.map(unpack), ...this.results.map(unpack), ...given];
    const { fn, wanted } = this.function();
    const compute = (): Tensor[] =>
      runRecorded(`aten::${this.name}`, fn, inputs, this.device, { mayAlias: true });
    const found = createGraph ? enableGrad(compute) : noGrad(compute);
    let at = 0;
    return wanted.map((is) => (is ? found[at++] : null));
  }

  override release(): void {
    this.operands = this.results = null;
  }

  private function(): { fn: CoreFunction; wanted: readonly boolean[] } {
    const required = this.next.map((edge) => (edge === null ? 0 : 1)).join('');
    const key = `${this.operator.id}${callKey(this.operator.kinds, this.args)}${required}`;
    let known = functions.get(key);
    if (known === undefined) functions.set(key, (known = this.build()));
    return known;
  }

  private build(): { fn: CoreFunction; wanted: readonly boolean[] } {
    const graph = new Graph();
    const b = new CoreBuilder(graph);
    const args = loweringArguments(this.operator.schema, this.operator.kinds, this.args, (tensor): Value =>
      b.input(tensor.spec),
    );
    const outputs = this.outputs.map((spec) => b.input(spec));
    const cotangents = this.outputs.map((spec) => b.input(spec));
    const required = this.next.map((edge) => edge !== null);
    const found = this.vjp(b, { args, outputs, cotangents, wanted: required });
    const wanted = required.map((is, index) => is && (found[index] ?? null) !== null);
    found.forEach((value, index) => {
      if (wanted[index] && value !== null) graph.addOutput(value);
    });
    return { fn: new CoreFunction(graph, { views: true }), wanted };
  }
}

const functions = new Map<string, { fn: CoreFunction; wanted: readonly boolean[] }>();
