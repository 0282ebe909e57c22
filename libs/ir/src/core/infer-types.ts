// What core nodes and values are known to be: dtype and shape, given or inferred from operands, attributes and regions.
import { OperatorError } from '../errors.ts';
import type { Node, Value } from '../graph/graph.ts';
import type { TensorSpec } from '../types/types.ts';
import { asTensorSpec } from '../types/types.ts';
import { coreOperator, declaredAttributes } from './operator.ts';

/** The dtype and shape of a core value; throws OperatorError when they are not known. */
export function specOf(value: Value): TensorSpec {
  const spec = asTensorSpec(value.type);
  if (spec === undefined) throw new OperatorError(`%${value.name} has no known dtype and shape`);
  return spec;
}

/** Result types of a core node from its operands, attributes and regions; what the builder, parser and verifier use. */
export function inferTypes(node: Node): TensorSpec[] {
  const operator = coreOperator(node.operator);
  const fail = (reason: string): never => {
    const operands = node.inputs.map((input) => {
      const spec = asTensorSpec(input.type);
      return spec === undefined ? '?' : `${spec.dtype}[${spec.sizes.join(', ')}]`;
    });
    throw new OperatorError(`core::${operator.name}(${operands.join(', ')}): ${reason}`, node.source);
  };
  for (const { name, kind, isOptional } of declaredAttributes(operator)) {
    const attribute = node.attributes.get(name);
    if (attribute === undefined && !isOptional) fail(`attribute '${name}' is missing`);
    if (attribute !== undefined && attribute.kind !== kind)
      fail(`attribute '${name}' is of kind ${attribute.kind}, ${kind} is expected`);
  }
  const regions = operator.regions ?? 0;
  if (regions >= 0 && node.blocks.length !== regions) {
    fail(`${regions} regions are expected, ${node.blocks.length} given`);
  }
  const operands = node.inputs.map(
    (input) => asTensorSpec(input.type) ?? fail(`%${input.name} has no known dtype and shape`),
  );
  return operator.infer({ operator: operator.name, operands, node, regions: node.blocks, fail });
}
