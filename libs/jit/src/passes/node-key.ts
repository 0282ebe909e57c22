// Text that is equal for nodes that compute the same: kind, operands, attributes and output types. Nodes with blocks or
// subgraphs have none.
import type { Attribute, Node } from '@weft/ir';
import { ivalueToString, typeToString } from '@weft/ir';

const objectIds = new WeakMap<object, number>();
let objectCount = 0;
/** A number for an object that is compared by identity. */
function idOf(object: object): number {
  let id = objectIds.get(object);
  if (id === undefined) objectIds.set(object, (id = objectCount++));
  return id;
}

/** Tensor data up to this many bytes is compared, larger by identity. */
const comparedBytes = 4096;

const sorted = (attributes: ReadonlyMap<string, Attribute>): Iterable<[string, Attribute]> =>
  attributes.size < 2 ? attributes : [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));

/** Undefined when the node cannot be compared. */
export function keyOf(node: Node): string | undefined {
  if (node.blocks.length > 0) return undefined;
  let attributes = '';
  if (node.attributes.size > 0) {
    for (const [name, attribute] of sorted(node.attributes)) {
      const key = attributeKey(attribute);
      if (key === undefined) return undefined;
      attributes += `${name}=${key};`;
    }
  }
  let operands = '';
  for (const { id } of node.inputs) operands += `${id},`;
  // Operands, attributes and regions decide what a core node's results are.
  if (node.kind.startsWith('core::')) return `${node.operator}(${operands})[${attributes}]`;
  const types = node.outputs.map((output) =>
    output.type.kind === 'Class' || output.type.kind === 'Function'
      ? `#${idOf(output.type.kind === 'Class' ? output.type : output.type.function)}`
      : typeToString(output.type),
  );
  return `${node.kind}.${node.overload ?? ''}(${operands})[${attributes}]:${types.join(',')}`;
}

export function attributeKey(attribute: Attribute): string | undefined {
  switch (attribute.kind) {
    case 'g':
      return undefined;
    case 'ty':
      return typeToString(attribute.value);
    case 'tys':
      return attribute.value.map((type) => typeToString(type)).join();
    case 't': {
      const { value } = attribute;
      if (value.bytes.byteLength > comparedBytes) return `#${idOf(value)}`;
      return ivalueToString(value, undefined, true);
    }
    case 'ts':
      return attribute.value.map((value) => `#${idOf(value)}`).join();
    case 'ival': {
      const { value } = attribute;
      const isObject = typeof value === 'object' && value !== null;
      return isObject ? `#${idOf(value)}` : ivalueToString(value, undefined, true);
    }
    case 'i':
    case 'b':
      return `${attribute.kind}${String(attribute.value)}`;
    case 'f':
      return Object.is(attribute.value, -0) ? 'f-0' : `f${attribute.value}`;
    case 's':
      return JSON.stringify(attribute.value);
    case 'is':
    case 'fs':
    case 'bs':
      return `${attribute.kind}${attribute.value.join()}`;
    case 'ss':
      return JSON.stringify(attribute.value);
    case 'iss':
      return attribute.value.map((row) => `[${row.join()}]`).join();
    default:
      return attribute satisfies never;
  }
}
