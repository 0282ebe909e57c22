// Evaluates a torch graph while it is lowered: whatever is known now (numbers, lists, shapes, modules) is computed by the
// host operators, tensor operators are emitted into one core graph. Control flow on known values is followed; control flow
// on data becomes core `if` and `while` (data-branches.ts, data-loops.ts).
import type {
  Block,
  CoreBuilder,
  Graph,
  IValue,
  Node,
  Schema,
  ScriptFunction,
  SourceRange,
  Type,
  Value,
  EnumValue,
} from '@weft/ir';
import {
  DeviceValue,
  ObjectValue,
  TensorLiteral,
  TupleValue,
  UnsupportedError,
  WeftError,
  constantValue,
  containerType,
  hasSideEffects,
  isTensorLike,
  qualifiedName,
  schemaOfNode,
  tagContainer,
} from '@weft/ir';
import { HostError, operatorMeaning } from '@weft/ops';
import type { Tensor } from '@weft/tensor';
import { executable } from '../passes/executable.ts';
import { isInstance } from '../runtime/is-instance.ts';
import { methodOf } from '../runtime/methods.ts';
import '../runtime/tensor-values.ts';
import { evaluateIf } from './data-branches.ts';
import { evaluateLoop } from './data-loops.ts';
import type { HostStep } from './host-steps.ts';
import { hostValue } from './host-steps.ts';
import { Journal } from './journal.ts';
import type { Mutable } from './journal.ts';
import { evaluateNumbers } from './numbers.ts';
import { queries } from './queries.ts';
import type { Requirements } from './requirements.ts';
import { SymbolicTensor, isSymbolicNumber } from './symbolic.ts';
import { evaluateTensorOperator, literalTensor } from './tensor-operators.ts';
import { valueOperators } from './value-operators.ts';

/** The program raises an exception on this way. */
export class RaisedError extends HostError {
  constructor(message: string, exceptionClass: string | null) {
    super(exceptionClass === null ? message : `${exceptionClass}: ${message}`);
  }
}

/** The values of a graph that is being evaluated. */
export type Environment = Map<Value, IValue>;

/** What `prim::Uninitialized` makes: never read by a right program. */
export const uninitialized: IValue = new DeviceValue('uninitialized');

export class Evaluator {
  readonly journal = new Journal();
  gradEnabled = true;
  /** Values that live besides those of the running graphs: the generator's state. */
  readonly roots: IValue[] = [];
  private path = new CallPath(undefined, undefined);
  private readonly operators = new Map<Node, KnownOperator>();
  private readonly environments: Environment[] = [];

  constructor(
    readonly b: CoreBuilder,
    /** Loops with a known count above this become core loops. */
    readonly unrollLimit: number,
    /** Set when nothing that the program does may be left out of the graph. */
    readonly requirements?: Requirements,
    /** Receives what is computed with known values. */
    private readonly steps?: HostStep[],
  ) {}

  /** Runs a graph on values and returns its outputs. */
  run(written: Graph, inputs: readonly IValue[]): IValue[] {
    const graph = executable(written);
    if (graph.inputs.length !== inputs.length) {
      throw new UnsupportedError(
        `the graph takes ${graph.inputs.length} values, but ${inputs.length} are given`,
      );
    }
    const env: Environment = new Map();
    graph.inputs.forEach((input, index) => env.set(input, inputs[index]));
    this.environments.push(env);
    try {
      this.block(graph.block, env);
    } finally {
      this.environments.pop();
    }
    return graph.outputs.map((output) => this.lookUp(env, output));
  }

  /** Every list, dict, object and storage that the program can reach now. */
  reachable(): Set<Mutable> {
    const found = new Set<Mutable>();
    const visit = (value: IValue): void => {
      if (value instanceof SymbolicTensor) found.add(value.storage);
      else if (value instanceof TupleValue) value.items.forEach(visit);
      else if (Array.isArray(value) || value instanceof Map || value instanceof ObjectValue) {
        if (found.has(value)) return;
        found.add(value);
        for (const item of value instanceof ObjectValue ? value.slots : value.values()) visit(item);
      }
    };
    this.roots.forEach(visit);
    for (const env of this.environments) for (const value of env.values()) visit(value);
    return found;
  }

  call(callee: ScriptFunction, args: readonly IValue[], source?: SourceRange): IValue {
    if (this.path.depth > 1000) throw new UnsupportedError(`${callee.name} calls itself without end`, source);
    if (callee.graph === undefined)
      throw new UnsupportedError(`the body of ${callee.name} is not known`, source);
    const outer = this.path;
    this.path = outer.into(source);
    try {
      return this.run(callee.graph, args)[0] ?? null;
    } finally {
      this.path = outer;
    }
  }

  lookUp(env: Environment, value: Value): IValue {
    const found = env.get(value);
    return found === undefined ? null : found;
  }

  block(block: Block, env: Environment): void {
    for (const node of block.nodes()) {
      const source = this.path.locate(node.source);
      this.b.graph.currentSource = source;
      try {
        this.node(node, env);
      } catch (error) {
        throw located(error, source);
      }
    }
  }

  /** Tells the journal of a list, dict, object or storage that is about to change. */
  touch(value: IValue): void {
    if (value instanceof SymbolicTensor) this.journal.touch(value.storage);
    else if (Array.isArray(value)) {
      this.journal.touch(value);
      for (const item of value) if (item instanceof SymbolicTensor) this.journal.touch(item.storage);
    } else if (value instanceof Map || value instanceof ObjectValue) this.journal.touch(value as Mutable);
  }

  private node(node: Node, env: Environment): void {
    const { outputs } = node;
    const args = node.inputs.map((input) => this.lookUp(env, input));
    const one = (value: IValue): void => {
      env.set(node.output, value);
    };
    switch (node.kind) {
      case 'prim::Constant':
        return one(this.constant(constantValue(node) ?? null));
      case 'prim::If':
        return evaluateIf(this, node, env);
      case 'prim::Loop':
        return evaluateLoop(this, node, env);
      case 'prim::Uninitialized':
        return one(uninitialized);
      case 'prim::GetAttr':
        return one((args[0] as ObjectValue).get(node.get('s', 'name')));
      case 'prim::SetAttr':
        this.journal.touch(args[0] as ObjectValue);
        (args[0] as ObjectValue).set(node.get('s', 'name'), args[1]);
        return;
      case 'prim::CreateObject': {
        const { type } = node.output;
        if (type.kind !== 'Class') throw new UnsupportedError('an object of an unknown class is created');
        return one(
          new ObjectValue(
            type,
            type.attributes.map(() => null),
          ),
        );
      }
      case 'prim::CallMethod':
        return one(this.call(methodOf(args[0], node.get('s', 'name')), args, node.source));
      case 'prim::CallFunction': {
        const { type } = node.inputs[0];
        if (type.kind !== 'Function') throw new UnsupportedError('a call of something that is no function');
        return one(this.call(type.function as ScriptFunction, args.slice(1), node.source));
      }
      case 'prim::ListConstruct':
        return one(tagContainer(args, node.output.type));
      case 'prim::TupleConstruct':
        return one(
          new TupleValue(
            args,
            node.output.type.kind === 'Tuple' && node.output.type.fields ? node.output.type : undefined,
          ),
        );
      case 'prim::DictConstruct': {
        const dict = new Map<IValue, IValue>();
        for (let index = 0; index < args.length; index += 2) dict.set(args[index], args[index + 1]);
        return one(tagContainer(dict, node.output.type));
      }
      case 'prim::TupleUnpack':
      case 'prim::ListUnpack': {
        const items = args[0] instanceof TupleValue ? args[0].items : (args[0] as IValue[]);
        if (items.length !== outputs.length) {
          throw new HostError(`Expected ${outputs.length} elements in a list but found ${items.length}`);
        }
        outputs.forEach((output, index) => env.set(output, items[index]));
        return;
      }
      case 'prim::TupleSlice':
        return one(new TupleValue((args[0] as TupleValue).items.slice(node.int('beg'), node.int('end'))));
      case 'prim::isinstance':
        return one(node.get('tys', 'types').some((type) => this.isInstance(args[0], type)));
      case 'prim::EnumName':
        return one((args[0] as EnumValue).name);
      case 'prim::RaiseException':
        throw new RaisedError(args[0] as string, (args[1] ?? null) as string | null);
      case 'prim::Print':
      case 'aten::warn':
        // A compiled graph does not talk.
        this.requirements?.refuse('the program prints or warns');
        return;
      case 'prim::Enter':
        return one(this.call(methodOf(args[0], '__enter__'), [args[0]], node.source));
      case 'prim::Exit': {
        const result = this.call(methodOf(args[0], '__exit__'), [args[0], null, null, null], node.source);
        if (outputs.length > 0) one(result);
        return;
      }
      case 'prim::fork':
        return one({
          isFuture: true,
          wait: constantly(this.run(node.get('g', 'Subgraph'), args)[0] ?? null),
        });
      default:
        return this.operator(node, args, env);
    }
  }

  private isInstance(value: IValue, type: Parameters<typeof isInstance>[1]): boolean {
    if (isSymbolicNumber(value)) {
      return (
        type.kind === value.numberKind || (type.kind === 'Optional' && this.isInstance(value, type.element))
      );
    }
    return isInstance(value, type);
  }

  private operator(node: Node, given: readonly IValue[], env: Environment): void {
    const { outputs } = node;
    let known = this.operators.get(node);
    if (known === undefined) this.operators.set(node, (known = knownOperator(node)));
    const { schema } = known;
    const args = [...given];
    for (let index = args.length; schema !== undefined && index < schema.arguments.length; index++) {
      args.push(schema.arguments[index].default ?? null);
    }
    const before = this.steps === undefined || !computesOnHost(known) ? undefined : args.map(hostValue);
    const result = this.evaluateOperator(node, known, args);
    if (before !== undefined)
      this.steps?.push({ operator: known.name, args: before, result: hostValue(result as IValue) });
    if (outputs.length === 1) env.set(outputs[0], result as IValue);
    else if (outputs.length > 1) {
      outputs.forEach((output, index) => env.set(output, (result as readonly IValue[])[index]));
    }
  }

  private evaluateOperator(
    node: Node,
    { schema, name, own, query, meaning }: KnownOperator,
    args: readonly IValue[],
  ): IValue | readonly IValue[] {
    if (own !== undefined) return own(this, args, node);
    const [self] = args;
    if (query !== undefined && self instanceof SymbolicTensor) return query(self, ...args.slice(1));
    if (meaning?.kind === 'host') {
      if (hasSideEffects(node)) this.requirements?.refuse(`${name} has an effect beyond its operands`);
      const isOnNumbers = args.some(
        (value, index) => isSymbolicNumber(value) && takesNumber(schema?.arguments[index]?.type),
      );
      if (isOnNumbers) return evaluateNumbers(this.b, node.kind, args);
      const isInside = args.some(
        (value, index) =>
          Array.isArray(value) &&
          value.some(isSymbolicNumber) &&
          takesNumber(elementOf(schema?.arguments[index]?.type)),
      );
      // What makes text reads its operand, whatever its type; others only move one of a variable type, and what returns
      // anything picks it from what it is given (the item of a tuple).
      const returned = schema?.returns[0]?.type.kind;
      const makesText = returned === 'str';
      const isOpen = args.some((value, index) => {
        const type = schema?.arguments[index]?.type;
        const isRead = type === undefined || makesText || (type.kind === 'Any' && returned !== 'Any');
        return isRead && holdsSymbolic(value);
      });
      if (isOpen) throw new UnsupportedError(`${name} of what depends on tensor data cannot be compiled`);
      if (isInside) {
        throw new UnsupportedError(
          `${name} of a list with numbers that depend on tensor data cannot be compiled`,
        );
      }
      schema?.arguments.forEach((argument, index) => {
        if (argument.alias?.isWrite) this.touch(args[index]);
      });
      return meaning.run(...args);
    }
    return evaluateTensorOperator(this, name, args);
  }

  /** A constant with its tensors as constants of the core graph. */
  constant(value: IValue): IValue {
    if (value instanceof TensorLiteral) return literalTensor(this.b, value);
    if (Array.isArray(value)) {
      const list = value.map((item) => this.constant(item));
      const type = containerType(value);
      return type === undefined ? list : tagContainer(list, type);
    }
    if (value instanceof TupleValue) {
      return new TupleValue(
        value.items.map((item) => this.constant(item)),
        value.type,
      );
    }
    // The object of a class written in C++; nothing changes it.
    if (value instanceof ObjectValue)
      return new ObjectValue(
        value.type,
        value.slots.map((slot) =>
          this.constant(isTensorLike(slot) && 'toLiteral' in slot ? (slot as Tensor).toLiteral() : slot),
        ),
      );
    return value;
  }
}

/** What there is to know of the operator of a node, which loops and calls evaluate again and again. */
interface KnownOperator {
  readonly schema: Schema | undefined;
  readonly name: string;
  readonly own: (typeof valueOperators)[string] | undefined;
  readonly query: (typeof queries)[string] | undefined;
  readonly meaning: ReturnType<typeof operatorMeaning>;
}

function knownOperator(node: Node): KnownOperator {
  const schema = schemaOfNode(node);
  const name = schema === undefined ? node.kind : qualifiedName(schema);
  return { schema, name, own: valueOperators[name], query: queries[name], meaning: operatorMeaning(name) };
}

/** Whether the operator is one of values that need not be tensors. */
const computesOnHost = ({ own, meaning }: KnownOperator): boolean =>
  own !== undefined || meaning?.kind === 'host';

/** The calls that an evaluation is in. Places reached on the same way are the same objects. */
class CallPath {
  readonly depth: number;
  /** The calls that are known, innermost first, as callers of one another. */
  private readonly chain: SourceRange | undefined;
  /** The innermost of them by itself. */
  private readonly innermost: SourceRange | undefined;
  private readonly inner = new Map<SourceRange | undefined, CallPath>();
  private readonly places = new Map<SourceRange, SourceRange>();

  constructor(outer: CallPath | undefined, call: SourceRange | undefined) {
    this.depth = outer === undefined ? 0 : outer.depth + 1;
    const above = outer?.chain;
    this.innermost = call ?? outer?.innermost;
    this.chain = call === undefined || above === undefined ? (call ?? above) : call.calledFrom(above);
  }

  into(call: SourceRange | undefined): CallPath {
    let path = this.inner.get(call);
    if (path === undefined) this.inner.set(call, (path = new CallPath(this, call)));
    return path;
  }

  /** Where a node is, and through which calls; of one without a place, the innermost call. */
  locate(source: SourceRange | undefined): SourceRange | undefined {
    if (source === undefined) return this.innermost;
    if (this.chain === undefined) return source;
    let place = this.places.get(source);
    if (place === undefined) this.places.set(source, (place = source.calledFrom(this.chain)));
    return place;
  }
}

/** Whether an argument of this type is computed with; one of a variable type is only moved. */
function takesNumber(type: Type | undefined): boolean {
  if (type?.kind === 'Optional') return takesNumber(type.element);
  return type !== undefined && ['int', 'float', 'bool', 'complex', 'number'].includes(type.kind);
}

function holdsSymbolic(value: IValue): boolean {
  if (value instanceof SymbolicTensor) return true;
  if (Array.isArray(value)) return value.some(holdsSymbolic);
  if (value instanceof TupleValue) return value.items.some(holdsSymbolic);
  return value instanceof Map && [...value.values()].some(holdsSymbolic);
}

const elementOf = (type: Type | undefined): Type | undefined =>
  type?.kind === 'List' ? type.element : undefined;

const constantly = (value: IValue) => (): IValue => value;

/** The error with the line of the program, when it has none yet. */
function located(error: unknown, source: SourceRange | undefined): unknown {
  if (
    !(error instanceof WeftError) ||
    error instanceof RaisedError ||
    error.source !== undefined ||
    source === undefined
  )
    return error;
  const Class = error.constructor as new (message: string, source: SourceRange) => WeftError;
  return new Class(error.message, source);
}
