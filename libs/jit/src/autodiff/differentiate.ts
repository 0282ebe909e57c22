// Reverse-mode derivatives of torch graphs, as torch graphs: a forward graph that returns what backward needs, and a backward
// graph. A tensor operator differentiates to one `weft::vjp` node (vjp-operator.ts), which follows from the operator's
// lowering; `prim::If` to an If, `prim::Loop` to a Loop over the rounds in reverse. Inside branches and loop bodies the forward
// work is done again in the backward pass from what goes in (the carried values of each round are kept in lists), so nothing
// that a block makes has to leave it.
import type { Block, IValue, Node, Type, Value } from '@weft/ir';
import {
  AnyTensorType,
  BoolType,
  FloatType,
  Graph,
  IntType,
  NoneType,
  OperatorError,
  UnsupportedError,
  cloneNode,
  constantValue,
  hasSideEffects,
  insertConstant,
  isMutating,
  isNondeterministic,
  listOf,
  schemaOfNode,
} from '@weft/ir';
import { eliminateDeadCode, inlineCalls } from '../passes/index.ts';
import './schemas.ts';

export interface TorchDerivative {
  /** The graph's inputs → its outputs, then the saved values. */
  readonly forward: Graph;
  /** The saved values, then a cotangent for each output in `cotangents` → a gradient for each of `wrt`. */
  readonly backward: Graph;
  /** How many values the forward graph saves. */
  readonly saved: number;
  /** Outputs (by index) that have cotangents: those that are tensors. */
  readonly cotangents: readonly number[];
  /** Inputs (by index) that have gradients. */
  readonly wrt: readonly number[];
}

export interface TorchDerivativeOptions {
  /** Inputs (by index) whose gradients are wanted. Default: all tensors. */
  readonly wrt?: readonly number[];
}

/**
 * The derivative of a graph without mutation. Calls are inlined first.
 * Throws UnsupportedError naming the node and line for what mutates, draws random numbers or has effects: lower such a
 * program to a core graph and differentiate that.
 */
export function differentiateTorchGraph(graph: Graph, options: TorchDerivativeOptions = {}): TorchDerivative {
  const source = graph.clone();
  inlineCalls(source);
  const wrt =
    options.wrt ?? source.inputs.flatMap((input, index) => (input.type.kind === 'Tensor' ? [index] : []));
  for (const index of wrt) {
    if (source.inputs[index]?.type.kind !== 'Tensor') {
      throw new OperatorError(`a gradient is asked for input ${index}, which is no tensor`);
    }
  }
  return new Joint(source, wrt).split();
}

/** A node that ran forward, as it stands in the joint graph, with what its reversal needs. */
interface Step {
  readonly node: Node;
  /** The original node, whose blocks are copied again for the backward pass. */
  readonly source: Node;
  /** What the values that the original's blocks read from outside are here. */
  readonly outer: ReadonlyMap<Value, Value>;
  /** For loops: lists of the trip index and the carried values at the beginning of each round. */
  readonly rounds?: readonly Value[];
}

/** Cotangents by the value that they belong to. */
type Cotangents = Map<Value, Value>;

/** Kinds through which a derivative passes without an operator. */
const aliases = new Set([
  'prim::unchecked_cast',
  'prim::unchecked_unwrap_optional',
  'aten::_unwrap_optional',
]);
/** Operators whose result does not depend differentiably on anything. */
const constants = new Set([
  'aten::detach',
  'aten::zeros_like',
  'aten::ones_like',
  'aten::size',
  'aten::full_like',
]);

class Joint {
  private readonly graph = new Graph();
  private readonly forwardNodes: ReadonlySet<Node>;
  private readonly seeds: Value[] = [];
  private readonly cotangentsOf: number[] = [];
  private readonly gradients: Value[];
  private readonly outputs: Value[];
  /** Values through which a gradient may flow to what is wanted. */
  private readonly active = new Set<Value>();

  constructor(
    source: Graph,
    private readonly wrt: readonly number[],
  ) {
    const { graph } = this;
    const map = new Map<Value, Value>();
    for (const input of source.inputs) map.set(input, graph.addInput(input.type).copyMetadata(input));
    const wanted = wrt.map((index) => graph.inputs[index]);
    for (const value of wanted) this.active.add(value);
    const steps = this.emit(source.block, map);
    this.outputs = source.outputs.map((output) => map.get(output)!);
    this.forwardNodes = new Set(graph.nodes());
    const cotangents: Cotangents = new Map();
    this.outputs.forEach((output, index) => {
      if (output.type.kind !== 'Tensor') return;
      const seed = graph.addInput(AnyTensorType);
      this.seeds.push(seed);
      this.cotangentsOf.push(index);
      this.accumulate(cotangents, output, seed);
    });
    this.reverse(steps, cotangents);
    this.gradients = wanted.map((value) => cotangents.get(value) ?? this.zerosLike(value));
  }

  // ---- forward --------------------------------------------------------------------------------------------------

  /** Copies the nodes of a block to the insertion point; loops keep what each round begins with. */
  private emit(block: Block, map: Map<Value, Value>): Step[] {
    const steps: Step[] = [];
    for (const source of block.nodes()) {
      this.check(source, block);
      const outer = new Map(captured(source).map((value) => [value, map.get(value)!]));
      if (source.kind === 'prim::Loop') steps.push({ ...this.emitLoop(source, map), outer });
      else if (drawsMask(source)) steps.push({ node: this.emitDropout(source, map), source, outer });
      else if (source.kind === 'prim::If') {
        const node = this.graph.create('prim::If', this.mapped(source.inputs, map), 0);
        this.graph.insertNode(node);
        for (const inner of source.blocks) this.emitInto(node.addBlock(), inner, map);
        this.addOutputs(node, source, map);
        steps.push({ node, source, outer });
      } else {
        const node = this.graph.insertNode(cloneNode(this.graph, source, map));
        steps.push({ node, source, outer });
      }
      this.spread(steps.at(-1)!.node);
    }
    return steps;
  }

  private emitInto(target: Block, source: Block, map: Map<Value, Value>): void {
    this.graph.withInsertPoint(target, () => this.emit(source, map));
    for (const output of source.outputs) target.addOutput(map.get(output)!);
  }

  private emitLoop(source: Node, map: Map<Value, Value>): Omit<Step, 'outer'> {
    const { graph } = this;
    const [body] = source.blocks;
    const types = [IntType, ...source.outputs.map((output) => output.type)];
    const rounds = types.map((type) => graph.insert('prim::ListConstruct', [], [listOf(type)]).output);
    const node = graph.insertNode(graph.create('prim::Loop', this.mapped(source.inputs, map), 0));
    node.source = source.source;
    const copy = node.addBlock();
    for (const input of body.inputs) map.set(input, copy.addInput(input.type).copyMetadata(input));
    graph.withInsertPoint(copy, () => {
      copy.inputs.forEach((input, index) => {
        graph.insert('aten::append', [rounds[index], input], [rounds[index].type]);
      });
    });
    this.activateLoop(source, map, copy);
    graph.withInsertPoint(copy, () => this.emit(body, map));
    for (const output of body.outputs) copy.addOutput(map.get(output)!);
    this.addOutputs(node, source, map);
    return { node, source, rounds };
  }

  /** Dropout that returns its mask, which the backward pass needs. */
  private emitDropout(source: Node, map: Map<Value, Value>): Node {
    const node = this.graph.create('aten::native_dropout', this.mapped(source.inputs, map), 2);
    node.source = source.source;
    map.set(source.output, node.outputs[0]);
    return this.graph.insertNode(node);
  }

  /** Carried values are active when what goes in is, or when the body brings in something active. */
  private activateLoop(source: Node, map: Map<Value, Value>, copy: Block): void {
    const reads = [...source.inputs, ...captured(source)].map((value) => map.get(value)!);
    if (!reads.some((value) => this.active.has(value))) return;
    for (const input of copy.inputs.slice(1)) if (isDifferentiable(input.type)) this.active.add(input);
  }

  private addOutputs(node: Node, source: Node, map: Map<Value, Value>): void {
    node.source = source.source;
    for (const output of source.outputs) map.set(output, node.addOutput(output.type).copyMetadata(output));
  }

  private mapped(values: readonly Value[], map: Map<Value, Value>): Value[] {
    return values.map((value) => map.get(value)!);
  }

  /** Results of a node that reads something active are active. */
  private spread(node: Node): void {
    if (constants.has(node.kind)) return;
    const reads = node.blocks.length === 0 ? node.inputs : [...node.inputs, ...captured(node)];
    if (!reads.some((value) => this.active.has(value))) return;
    for (const output of node.outputs) if (isDifferentiable(output.type)) this.active.add(output);
  }

  private check(node: Node, block: Block): void {
    if (node.blocks.length > 0 || node.kind === 'prim::RaiseException') return;
    // Outside of branches and loops nothing is done twice, so a mask that is kept is the one that was drawn.
    if (drawsNothing(node) || (drawsMask(node) && block.owner === undefined)) return;
    const schema = schemaOfNode(node);
    const what =
      schema !== undefined && isMutating(schema)
        ? 'changes a value in place'
        : isNondeterministic(node)
          ? 'draws random numbers'
          : hasSideEffects(node)
            ? 'has an effect'
            : undefined;
    if (what === undefined) return;
    throw new UnsupportedError(
      `${node.kind} ${what}, so the graph cannot be differentiated as it is; lower the program to a core graph and differentiate that`,
      node.source,
    );
  }

  // ---- backward -------------------------------------------------------------------------------------------------

  /** Emits the reversal of the steps, last first. */
  private reverse(steps: readonly Step[], cotangents: Cotangents): void {
    for (const step of steps.toReversed()) {
      const { node } = step;
      if (!node.outputs.some((output) => cotangents.has(output))) continue;
      this.graph.currentSource = node.source;
      if (node.kind === 'prim::If') this.reverseIf(step, cotangents);
      else if (node.kind === 'prim::Loop') this.reverseLoop(step, cotangents);
      else this.reverseNode(node, cotangents);
    }
  }

  private reverseNode(node: Node, cotangents: Cotangents): void {
    const { graph } = this;
    const first = cotangents.get(node.outputs[0]);
    switch (node.kind) {
      case 'prim::Constant':
      case 'prim::Uninitialized':
        return;
      case 'aten::native_dropout':
        if (first !== undefined) this.reverseDropout(node, first, cotangents);
        return;
      case 'prim::ListConstruct': {
        if (first === undefined) return;
        const types = node.inputs.map((input) => input.type);
        const parts = graph.insert('prim::ListUnpack', [first], types).outputs;
        return node.inputs.forEach((input, index) => this.accumulate(cotangents, input, parts[index]));
      }
      case 'prim::TupleConstruct': {
        if (first === undefined) return;
        const types = node.inputs.map((input) => input.type);
        const parts = graph.insert('prim::TupleUnpack', [first], types).outputs;
        return node.inputs.forEach((input, index) => this.accumulate(cotangents, input, parts[index]));
      }
      case 'prim::ListUnpack':
      case 'prim::TupleUnpack': {
        const parts = node.outputs.map((output) => cotangents.get(output) ?? this.zerosLike(output));
        const kind = node.kind === 'prim::ListUnpack' ? 'prim::ListConstruct' : 'prim::TupleConstruct';
        const whole = graph.insert(kind, parts, [node.inputs[0].type]).output;
        return this.accumulate(cotangents, node.inputs[0], whole);
      }
      case 'prim::TupleIndex':
      case 'aten::__getitem__': {
        if (first === undefined) return;
        const [container, index] = node.inputs;
        const whole = graph.insert('weft::place', [container, index, first], [container.type]).output;
        return this.accumulate(cotangents, container, whole);
      }
      default:
    }
    if (aliases.has(node.kind)) {
      if (first !== undefined) this.accumulate(cotangents, node.inputs[0], first);
      return;
    }
    this.reverseOperator(node, cotangents);
  }

  /** The cotangent where the mask let through, scaled by 1 / (1 - p). */
  private reverseDropout(node: Node, cotangent: Value, cotangents: Cotangents): void {
    const { graph } = this;
    const [input, p] = node.inputs;
    const one = this.constant(1, FloatType);
    const kept = graph.insert('aten::sub', [one, p], [FloatType]).output;
    const scale = graph.insert('aten::div', [one, kept], [FloatType]).output;
    const operands = [cotangent, node.outputs[1], scale];
    this.accumulate(cotangents, input, graph.insert('aten::native_dropout_backward', operands).output);
  }

  /** `weft::vjp[operator, wrt](operands…, cotangents…)`: a cotangent for each operand in `wrt`; None stands for zero. */
  private reverseOperator(node: Node, cotangents: Cotangents): void {
    const schema = schemaOfNode(node);
    const wrt = node.inputs.flatMap((input, index) =>
      this.active.has(input) && isDifferentiable(input.type) ? [index] : [],
    );
    if (wrt.length === 0 || constants.has(node.kind)) return;
    if (schema === undefined) {
      throw new UnsupportedError(`${node.kind} has no derivative`, node.source);
    }
    const given = node.outputs.map((output) => cotangents.get(output) ?? this.none());
    const vjp = this.graph.insert(
      'weft::vjp',
      [...node.inputs, ...given],
      wrt.map((index) => node.inputs[index].type),
    );
    vjp.set('operator', { kind: 's', value: node.kind });
    vjp.set('overload', { kind: 's', value: schema.overload });
    vjp.set('wrt', { kind: 'is', value: wrt.map(BigInt) });
    wrt.forEach((index, at) => this.accumulate(cotangents, node.inputs[index], vjp.outputs[at]));
  }

  /** The same branch, done again forward and then reversed, gives cotangents for what it reads from outside. */
  private reverseIf({ node, source, outer }: Step, cotangents: Cotangents): void {
    const reads = this.activeCaptures(node);
    if (reads.length === 0) return;
    const result = this.graph.insertNode(this.graph.create('prim::If', [node.inputs[0]], 0));
    source.blocks.forEach((block) => {
      const copy = result.addBlock();
      this.graph.withInsertPoint(copy, () => {
        const map = new Map(outer);
        const steps = this.emit(block, map);
        const inner: Cotangents = new Map();
        block.outputs.forEach((output, at) => {
          const cotangent = cotangents.get(node.outputs[at]);
          if (cotangent !== undefined && isDifferentiable(output.type)) {
            this.accumulate(inner, map.get(output)!, cotangent);
          }
        });
        this.reverse(steps, inner);
        for (const value of reads) copy.addOutput(inner.get(value) ?? this.zerosLike(value));
      });
    });
    for (const value of reads) this.accumulate(cotangents, value, result.addOutput(value.type));
  }

  private reverseLoop({ node, source, outer, rounds }: Step, cotangents: Cotangents): void {
    const { graph } = this;
    const [body] = source.blocks;
    const differentiable = node.outputs.flatMap((output, index) =>
      isDifferentiable(output.type) ? [index] : [],
    );
    const reads = this.activeCaptures(node);
    const count = graph.insert('aten::len', [rounds![0]], [IntType]).output;
    const carried = differentiable.map(
      (index) => cotangents.get(node.outputs[index]) ?? this.zerosLike(node.outputs[index]),
    );
    const sums = reads.map((value) => this.zerosLike(value));
    const go = this.constant(true, BoolType);
    const one = this.constant(1n, IntType);
    const loop = graph.insertNode(graph.create('prim::Loop', [count, go, ...carried, ...sums], 0));
    const copy = loop.addBlock();
    graph.withInsertPoint(copy, () => {
      const step = copy.addInput(IntType);
      const given = differentiable.map((index) => copy.addInput(node.outputs[index].type));
      const before = reads.map((value) => copy.addInput(value.type));
      const last = graph.insert('aten::sub', [count, one], [IntType]).output;
      const at = graph.insert('aten::sub', [last, step], [IntType]).output;
      const map = new Map(outer);
      body.inputs.forEach((input, index) => {
        const held = graph.insert('aten::__getitem__', [rounds![index], at], [input.type]).output;
        if (index > 0 && isDifferentiable(input.type)) this.active.add(held);
        map.set(input, held);
      });
      const steps = this.emit(body, map);
      const inner: Cotangents = new Map();
      differentiable.forEach((index, position) => {
        this.accumulate(inner, map.get(body.outputs[index + 1])!, given[position]);
      });
      this.reverse(steps, inner);
      copy.addOutput(go);
      for (const index of differentiable) {
        const held = map.get(body.inputs[index + 1])!;
        copy.addOutput(inner.get(held) ?? this.zerosLike(held));
      }
      reads.forEach((value, index) => {
        const more = inner.get(value);
        copy.addOutput(more === undefined ? before[index] : this.add(before[index], more));
      });
    });
    const results = [...carried, ...sums].map((value) => loop.addOutput(value.type));
    differentiable.forEach((index, position) => {
      this.accumulate(cotangents, node.inputs[index + 2], results[position]);
    });
    reads.forEach((value, index) =>
      this.accumulate(cotangents, value, results[differentiable.length + index]),
    );
  }

  /** Values from outside that the blocks of a node read and that are active. */
  private activeCaptures(node: Node): Value[] {
    return captured(node).filter((value) => this.active.has(value) && isDifferentiable(value.type));
  }

  // ---- cotangents -----------------------------------------------------------------------------------------------

  private accumulate(cotangents: Cotangents, value: Value, cotangent: Value): void {
    if (!this.active.has(value)) return;
    const before = cotangents.get(value);
    cotangents.set(value, before === undefined ? cotangent : this.add(before, cotangent));
  }

  private add(a: Value, b: Value): Value {
    if (a.type.kind === 'Tensor') {
      return this.graph.insert('aten::add', [a, b, this.constant(1n, IntType)], [AnyTensorType]).output;
    }
    return this.graph.insert('weft::add', [a, b], [a.type]).output;
  }

  private zerosLike(value: Value): Value {
    if (value.type.kind !== 'Tensor') return this.graph.insert('weft::zeros', [value], [value.type]).output;
    const none = Array.from({ length: 5 }, () => this.none());
    return this.graph.insert('aten::zeros_like', [value, ...none], [AnyTensorType]).output;
  }

  private none(): Value {
    return this.constant(null, NoneType);
  }

  private constant(value: IValue, type: Type): Value {
    return insertConstant(this.graph, value, type);
  }

  // ---- the cut --------------------------------------------------------------------------------------------------

  /** Cuts the joint graph between what ran forward and the rest. */
  split(): TorchDerivative {
    const { graph } = this;
    const backwardNodes = [...graph.nodes()].filter((node) => !this.forwardNodes.has(node));
    const forward = new Graph();
    const forwardMap = new Map<Value, Value>();
    const seeds = new Set(this.seeds);
    for (const input of graph.inputs) {
      if (!seeds.has(input)) forwardMap.set(input, forward.addInput(input.type).copyMetadata(input));
    }
    for (const node of this.forwardNodes) forward.insertNode(cloneNode(forward, node, forwardMap));
    for (const output of this.outputs) forward.addOutput(forwardMap.get(output)!);

    const backward = new Graph();
    const map = new Map<Value, Value>();
    let saved = 0;
    const need = (value: Value): void => {
      if (map.has(value) || seeds.has(value) || value.node.block !== graph.block) return;
      if (!value.isParameter && !this.forwardNodes.has(value.node)) return;
      if (value.node.kind === 'prim::Constant') {
        backward.insertNode(cloneNode(backward, value.node, map));
        return;
      }
      map.set(value, backward.addInput(value.type).copyMetadata(value));
      forward.addOutput(forwardMap.get(value)!);
      saved++;
    };
    const used = [...backwardNodes.flatMap(operandsOf), ...this.gradients];
    for (const value of used) need(value);
    for (const seed of this.seeds) map.set(seed, backward.addInput(seed.type));
    for (const node of backwardNodes) backward.insertNode(cloneNode(backward, node, map));
    for (const gradient of this.gradients) backward.addOutput(map.get(gradient)!);
    eliminateDeadCode(backward);
    return { forward, backward, saved, cotangents: this.cotangentsOf, wrt: this.wrt };
  }
}

/** Every value that a node and its blocks read. */
function operandsOf(node: Node): Value[] {
  const inside = node.blocks.flatMap((block) => [
    ...[...block.nodes()].flatMap(operandsOf),
    ...block.outputs,
  ]);
  return [...node.inputs, ...inside];
}

/** Values from outside that the blocks of a node read, each once. */
function captured(node: Node): Value[] {
  const found = new Set<Value>();
  const isInside = (value: Value): boolean => node.blocks.some((block) => block.encloses(value.node.block!));
  for (const block of node.blocks) {
    for (const value of [...[...block.nodes()].flatMap(operandsOf), ...block.outputs]) {
      if (!isInside(value)) found.add(value);
    }
  }
  return [...found];
}

/** Dropout in training, which draws a mask. */
const drawsMask = (node: Node): boolean => node.kind === 'aten::dropout' && !drawsNothing(node);

/** Whether an operator that may draw random numbers is told not to: it is not training, or drops nothing. */
function drawsNothing(node: Node): boolean {
  const schema = schemaOfNode(node);
  if (schema === undefined || !isNondeterministic(node)) return false;
  return schema.arguments.some(({ name }, index) => {
    const value = node.inputs[index] && constantValue(node.inputs[index]);
    if (name === 'train' || name === 'training') return value === false;
    return name === 'dropout_p' && value === 0;
  });
}

/** Types that cotangents have: tensors, and lists and tuples of them. */
function isDifferentiable(type: Type): boolean {
  if (type.kind === 'List') return isDifferentiable(type.element);
  if (type.kind === 'Tuple') return type.elements.some(isDifferentiable);
  return type.kind === 'Tensor';
}
