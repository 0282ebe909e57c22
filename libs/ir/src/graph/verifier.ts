// Whether a graph is one. The invariants, by the names that errors give them:
//
//  list       A block's nodes form one doubly linked list between its parameter and return node; each knows its block and its
//             graph, and positions rise along it.
//  uses       A value's list of uses holds each operand that reads it exactly once, and nothing else.
//  scope      An operand is defined before it is used: by an earlier node of the same block or of an enclosing one, or as a
//             parameter of one of those blocks. (What a nested block defines leaves it only as an output of its owner.)
//  names      No two values of a graph print the same name.
//  arity      prim::If has one bool operand and two blocks without parameters; each block and the node have equally many
//             outputs. prim::Loop has operands (int trips, bool condition, carried…), one block with parameters (int trip,
//             carried…) and results (bool condition, carried…), and the carried values as outputs. Other prim:: structure
//             has the operand and output counts of the table below.
//  types      What flows from one place to another (block result to output of the node, carried value to parameter, item to
//             list) is of a subtype of what is declared there.
//  schema     Operands of an operator with schemas fit the overload that the node names, or one of them when it names none;
//             its outputs are as many as the schema returns.
//  inference  At the core level every type has dtype and sizes and nothing else, and a node's output types are what the
//             operator infers from its operands, attributes and regions.
import { VerifyError, WeftError } from '../errors.ts';
import { inferTypes } from '../core/infer-types.ts';
import { schemaOfNode, schemasOf } from '../schema/registry.ts';
import { schemaToString } from '../schema/parse.ts';
import { printNode } from '../text/printer.ts';
import { typeToString } from '../text/type-text.ts';
import { eraseRefinements, isSubtype, matchType, typesEqual } from '../types/lattice.ts';
import type { Type } from '../types/types.ts';
import { BoolType, IntType, asTensorSpec } from '../types/types.ts';
import type { Block, Graph, Node, Value } from './graph.ts';

/** Throws VerifyError naming the node, the invariant and the source line; does nothing when the graph is well formed. */
export function verifyGraph(graph: Graph): void {
  new Verifier(graph).run();
}

type Invariant = 'list' | 'uses' | 'scope' | 'names' | 'arity' | 'types' | 'schema' | 'inference';

class Verifier {
  private readonly visible = new Set<Value>();
  private readonly names = new Map<string, Value>();
  /** How many operands were seen to read each value, against which its uses are counted. */
  private readonly reads = new Map<Value, number>();

  constructor(private readonly graph: Graph) {}

  run(): void {
    this.block(this.graph.block);
    for (const [value, count] of this.reads) {
      if (value.uses.length !== count) {
        fail(value.node, 'uses', `%${value.name} lists ${value.uses.length} uses but is read ${count} times`);
      }
    }
  }

  private block(block: Block): void {
    const defined: Value[] = [];
    this.define(block.paramNode, defined);
    let previous = block.paramNode;
    for (let node = previous.next; ; node = node.next) {
      if (node === undefined) fail(previous, 'list', 'no node follows although the block has not ended');
      if (node.prev !== previous || node.block !== block || node.graph !== this.graph) {
        fail(node, 'list', 'it is not linked to the node before it, its block and its graph');
      }
      if (!previous.isBefore(node))
        fail(node, 'list', 'its position is not after that of the node before it');
      this.operands(node);
      if (node === block.returnNode) break;
      this.node(node);
      this.define(node, defined);
      previous = node;
    }
    for (const value of defined) this.visible.delete(value);
  }

  private define(node: Node, defined: Value[]): void {
    node.outputs.forEach((value) => {
      if (value.node !== node) fail(node, 'list', `%${value.name} says that another node makes it`);
      const namesake = this.names.get(value.name);
      if (namesake !== undefined) fail(node, 'names', `%${value.name} is the name of two values`);
      this.names.set(value.name, value);
      this.visible.add(value);
      this.reads.set(value, this.reads.get(value) ?? 0);
      defined.push(value);
    });
  }

  private operands(node: Node): void {
    node.inputs.forEach((value, index) => {
      if (!this.visible.has(value)) fail(node, 'scope', `%${value.name} is not defined where it is used`);
      if (!value.uses.some((use) => use.user === node && use.index === index)) {
        fail(node, 'uses', `operand ${index} is not among the uses of %${value.name}`);
      }
      this.reads.set(value, (this.reads.get(value) ?? 0) + 1);
    });
  }

  private node(node: Node): void {
    for (const block of node.blocks) {
      if (block.owner !== node) fail(node, 'list', 'one of its blocks has another owner');
      this.block(block);
    }
    if (node.namespace === 'core') this.core(node);
    else if (node.kind === 'prim::If') verifyIf(node);
    else if (node.kind === 'prim::Loop') verifyLoop(node);
    else {
      const rule = structure[node.kind];
      if (rule !== undefined) rule(node);
      else verifySchema(node);
    }
  }

  private core(node: Node): void {
    for (const value of [...node.inputs, ...node.outputs]) {
      if (!isPlainSpec(value.type)) {
        fail(
          node,
          'inference',
          `%${value.name} : ${typeToString(value.type)} is not a type with dtype and sizes only`,
        );
      }
    }
    let inferred: readonly Type[];
    try {
      inferred = inferTypes(node);
    } catch (error) {
      if (error instanceof WeftError) fail(node, 'inference', error.message.split('\n')[0]);
      throw error;
    }
    const agrees =
      inferred.length === node.outputs.length &&
      inferred.every((type, index) => typesEqual(type, node.outputs[index].type));
    if (!agrees)
      fail(
        node,
        'inference',
        `the operator gives (${inferred.map((type) => typeToString(type)).join(', ')})`,
      );
  }
}

function fail(node: Node, invariant: Invariant, reason: string): never {
  const text =
    node.kind === 'prim::Param' || node.kind === 'prim::Return' ? blockText(node) : printNode(node);
  throw new VerifyError(`${text.split('\n')[0].trim()}\n  ${reason} (invariant '${invariant}')`, node.source);
}

const blockText = (node: Node): string =>
  `the ${node.kind === 'prim::Param' ? 'parameters' : 'results'} of ${node.block?.owner?.kind ?? 'the graph'}`;

const isPlainSpec = (type: Type): boolean => {
  const spec = asTensorSpec(type);
  return (
    spec !== undefined &&
    spec.strides === undefined &&
    spec.device === undefined &&
    spec.requiresGrad === undefined
  );
};

/** Refinements of tensor types are what a trace saw, not declarations: they may be lost or differ along the way. */
function expectFlow(node: Node, from: Value, to: Type, what: string): void {
  if (!isSubtype(from.type, eraseRefinements(to))) {
    fail(node, 'types', `${what}: %${from.name} is ${typeToString(from.type)}, expected ${typeToString(to)}`);
  }
}

function verifyIf(node: Node): void {
  if (node.inputs.length !== 1 || node.blocks.length !== 2)
    fail(node, 'arity', 'prim::If has one operand and two blocks');
  expectFlow(node, node.inputs[0], BoolType, 'condition');
  node.blocks.forEach((block, index) => {
    if (block.inputs.length !== 0) fail(node, 'arity', 'blocks of prim::If have no parameters');
    if (block.outputs.length !== node.outputs.length) {
      fail(
        node,
        'arity',
        `block${index} returns ${block.outputs.length} values for ${node.outputs.length} outputs`,
      );
    }
    block.outputs.forEach((value, position) => {
      expectFlow(node, value, node.outputs[position].type, `result ${position} of block${index}`);
    });
  });
}

function verifyLoop(node: Node): void {
  const carried = node.inputs.length - 2;
  const [body] = node.blocks;
  if (carried < 0 || node.blocks.length !== 1 || node.outputs.length !== carried) {
    fail(
      node,
      'arity',
      'prim::Loop has operands (trips, condition, carried…), one block, and the carried values as outputs',
    );
  }
  if (body.inputs.length !== carried + 1 || body.outputs.length !== carried + 1) {
    fail(
      node,
      'arity',
      `the block takes (trip, ${carried} carried) and returns (condition, ${carried} carried)`,
    );
  }
  expectFlow(node, node.inputs[0], IntType, 'trip count');
  expectFlow(node, node.inputs[1], BoolType, 'condition');
  expectFlow(node, body.outputs[0], BoolType, 'condition of the next trip');
  for (let index = 0; index < carried; index++) {
    expectFlow(
      node,
      node.inputs[index + 2],
      body.inputs[index + 1].type,
      `carried value ${index} at the start`,
    );
    expectFlow(
      node,
      body.outputs[index + 1],
      body.inputs[index + 1].type,
      `carried value ${index} of the next trip`,
    );
    expectFlow(node, body.outputs[index + 1], node.outputs[index].type, `carried value ${index} at the end`);
  }
}

const countOperands = (node: Node, inputs: number, outputs: number): void => {
  if (node.inputs.length !== inputs || node.outputs.length !== outputs) {
    fail(node, 'arity', `${node.kind} has ${inputs} operands and ${outputs} outputs`);
  }
};

/** Operators without schema whose form is fixed. */
const structure: Readonly<Record<string, (node: Node) => void>> = {
  'prim::Constant': (node) => countOperands(node, 0, 1),
  'prim::GetAttr': (node) => countOperands(node, 1, 1),
  'prim::SetAttr': (node) => countOperands(node, 2, 0),
  'prim::CreateObject': (node) => countOperands(node, 0, 1),
  'prim::isinstance': (node) => countOperands(node, 1, 1),
  'prim::ListConstruct': (node) => {
    const { type } = node.output;
    if (type.kind !== 'List') return fail(node, 'types', 'the output is no list');
    node.inputs.forEach((input, index) => expectFlow(node, input, type.element, `item ${index}`));
  },
  'prim::DictConstruct': (node) => {
    const { type } = node.output;
    if (type.kind !== 'Dict' || node.inputs.length % 2 !== 0) {
      return fail(node, 'types', 'a dict is made of pairs of key and value');
    }
    node.inputs.forEach((input, index) => {
      expectFlow(
        node,
        input,
        index % 2 === 0 ? type.key : type.value,
        `${index % 2 === 0 ? 'key' : 'value'}`,
      );
    });
  },
  'prim::TupleConstruct': (node) => {
    const { type } = node.output;
    if (type.kind !== 'Tuple' || type.elements.length !== node.inputs.length) {
      return fail(node, 'types', 'the output is no tuple of as many elements as there are operands');
    }
    node.inputs.forEach((input, index) => expectFlow(node, input, type.elements[index], `element ${index}`));
  },
  'prim::TupleUnpack': (node) => {
    const type = node.inputs.length === 1 ? node.inputs[0].type : undefined;
    if (type?.kind !== 'Tuple' || type.elements.length !== node.outputs.length) {
      fail(node, 'types', 'the operand is no tuple of as many elements as there are outputs');
    }
  },
  'prim::ListUnpack': (node) => {
    if (node.inputs.length !== 1 || node.inputs[0].type.kind !== 'List')
      fail(node, 'types', 'the operand is no list');
  },
};

function verifySchema(node: Node): void {
  const known = schemasOf(node.kind);
  if (known.length === 0) {
    // Operators of other namespaces, and prim:: structure of later passes, have none.
    if (node.namespace === 'aten') fail(node, 'schema', `there is no operator ${node.kind}`);
    return;
  }
  const schema = schemaOfNode(node);
  if (schema === undefined) {
    const types = node.inputs.map((input) => typeToString(input.type)).join(', ');
    const shown = known.map((candidate) => `    ${schemaToString(candidate)}`).join('\n');
    fail(node, 'schema', `no overload takes (${types}); there are\n${shown}`);
  }
  const bindings = new Map<string, Type>();
  schema.arguments.forEach((argument, index) => {
    const operand = node.inputs[index];
    if (operand === undefined || !matchType(argument.type, operand.type, bindings)) {
      const given = operand === undefined ? 'nothing' : typeToString(operand.type);
      fail(node, 'schema', `argument ${argument.name} of ${schemaToString(schema)} is given ${given}`);
    }
  });
  if (node.inputs.length > schema.arguments.length && !schema.isVararg) {
    fail(node, 'schema', `${node.inputs.length} operands for ${schemaToString(schema)}`);
  }
  if (node.outputs.length !== schema.returns.length && !schema.isVarret) {
    fail(node, 'schema', `${node.outputs.length} outputs for ${schemaToString(schema)}`);
  }
}
