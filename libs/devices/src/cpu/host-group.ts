// Elementwise groups that have no native kernel, as a loop of the reference device.
import type { Node, Value } from '@weft/ir';
import { numel, specOf } from '@weft/ir';
import { scalarOf, storedOutputs } from '../reference/compile.ts';
import type { Argument, Load, Step, Store } from '../reference/elementwise.ts';
import { elementwiseKernel, elementwiseStep } from '../reference/elementwise.ts';
import type { Kernel } from '../reference/program.ts';
import { rootOf } from '../reference/schedule.ts';
import { stridesOf } from '../reference/typed-array.ts';

/** @param slotFor the register in which a value is dense */
export function hostGroup(nodes: readonly Node[], slotFor: (value: Value) => number): Kernel {
  const { sizes } = specOf(nodes[0].output);
  const loads: Load[] = [];
  const stepOf = new Map<Value, number>();
  const steps: Step[] = nodes.map((node, index) => {
    const given = node.inputs.map((value): Argument => {
      const inside = stepOf.get(value);
      if (inside !== undefined) return { kind: 'step', index: inside };
      const root = rootOf(value);
      const literal = root.node.kind === 'core::constant' ? root.node.get('t', 'value') : undefined;
      if (literal !== undefined && (literal.splat || numel(literal.shape) === 1)) {
        return { kind: 'constant', value: scalarOf(literal) };
      }
      const spec = specOf(value);
      // A scalar predicate of select, or bound of clamp.
      const strides = spec.sizes.length < sizes.length ? sizes.map(() => 0) : stridesOf(sizes);
      loads.push({ register: slotFor(value), dtype: spec.dtype, strides });
      return { kind: 'load', index: loads.length - 1 };
    });
    stepOf.set(node.output, index);
    return { ...elementwiseStep(node)!, arguments: given };
  });
  const stores = storedOutputs(nodes).map((node): Store => ({
    register: slotFor(node.output),
    dtype: specOf(node.output).dtype,
    step: stepOf.get(node.output)!,
  }));
  return elementwiseKernel({ sizes, loads, steps, stores });
}
