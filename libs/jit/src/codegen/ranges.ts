// Which integers a value can be, for generated code: where an interval of exactly representable numbers is proven, plain
// arithmetic takes the place of the functions of integers.ts. Intervals go through blocks from the front; those of loops
// grow until they hold, at last in steps that end at once.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { qualifiedName, schemaOfNode } from '@weft/ir';
import { runtimeConstant } from '../runtime/constants.ts';

/** From `low` to `high`, both among the safe integers. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** Integers without an entry may be anything, bigints included. */
export type Ranges = ReadonlyMap<Value, Range>;

const safe = Number.MAX_SAFE_INTEGER;
/** More turns than a loop can make: at a nanosecond each they take 13 days. */
const mostTurns = 2 ** 50;
/** The longest array, string or Map. */
const longest = 2 ** 32;
/** Visits of a loop before its intervals grow to the next constant of the program, and before they grow without bound. */
const patience = 3;
const stubbornness = 16;

export const isInt32 = (range: Range | undefined): range is Range =>
  range !== undefined && range.low >= -(2 ** 31) && range.high < 2 ** 31;

/** The intervals of a graph's integers. */
export function integerRanges(graph: Graph): Ranges {
  const analysis = new Analysis(graph);
  analysis.block(graph.block);
  return analysis.known;
}

const between = (low: number, high: number): Range | undefined =>
  low >= -safe && high <= safe ? { low, high } : undefined;

const join = (a: Range | undefined, b: Range | undefined): Range | undefined =>
  a && b && { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };

const isSame = (a: Range | undefined, b: Range | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.low === b.low && a.high === b.high);

type Operands = readonly (Range | undefined)[];

/** The interval of a result from those of the operands. */
const rules: Readonly<Record<string, (...operands: Operands) => Range | undefined>> = {
  'aten::add.int': (a, b) => a && b && between(a.low + b.low, a.high + b.high),
  'aten::sub.int': (a, b) => a && b && between(a.low - b.high, a.high - b.low),
  'aten::neg.int': (a) => a && between(-a.high + 0, -a.low + 0),
  'aten::mul.int': (a, b) => a && b && ofCorners(a, b, (x, y) => x * y),
  'aten::remainder.int'(a, b) {
    if (b === undefined || b.low <= 0) return undefined;
    const isWithin = a !== undefined && a.low >= 0;
    return between(0, isWithin ? Math.min(a.high, b.high - 1) : b.high - 1);
  },
  'aten::floordiv.int': (a, b) =>
    a && b && b.low > 0 ? ofCorners(a, b, (x, y) => Math.floor(x / y)) : undefined,
  'aten::__and__.int': (a, b) => ofBits(a, b),
  'aten::__or__.int': (a, b) => ofBits(a, b),
  'aten::__xor__.int': (a, b) => ofBits(a, b),
  'aten::Int.bool': () => between(0, 1),
  'aten::ord': () => between(0, 255),
};

function ofCorners(a: Range, b: Range, compute: (x: number, y: number) => number): Range | undefined {
  const corners = [a.low, a.high].flatMap((x) => [compute(x, b.low) + 0, compute(x, b.high) + 0]);
  return between(Math.min(...corners), Math.max(...corners));
}

/** Bitwise operators stay within the bits of their operands. */
function ofBits(a: Range | undefined, b: Range | undefined): Range | undefined {
  if (!isInt32(a) || !isInt32(b)) return undefined;
  return a.low >= 0 && b.low >= 0
    ? between(0, 2 ** (32 - Math.clz32(Math.max(a.high, b.high))) - 1)
    : between(-(2 ** 31), 2 ** 31 - 1);
}

class Analysis {
  readonly known = new Map<Value, Range>();
  /** Where intervals of loops may stop growing, in ascending order. */
  private readonly landings: readonly number[];

  constructor(graph: Graph) {
    const landings = new Set([-safe, -(2 ** 31), 0, 2 ** 31 - 1, safe]);
    const visit = (block: Block): void => {
      for (const node of block.nodes()) {
        const { low } = node.kind === 'prim::Constant' ? (constantRange(node) ?? {}) : {};
        if (low !== undefined) for (const near of [low - 1, low, low + 1]) landings.add(near);
        node.blocks.forEach(visit);
      }
    };
    visit(graph.block);
    this.landings = [...landings].sort((a, b) => a - b);
  }

  block(block: Block): void {
    for (const node of block.nodes()) this.node(node);
  }

  private set(value: Value, range: Range | undefined): void {
    if (range === undefined) this.known.delete(value);
    else this.known.set(value, range);
  }

  private node(node: Node): void {
    switch (node.kind) {
      case 'prim::Constant':
        return this.set(node.output, constantRange(node));
      case 'prim::Uninitialized':
        return node.output.type.kind === 'int' ? this.set(node.output, { low: 0, high: 0 }) : undefined;
      case 'prim::If':
        node.blocks.forEach((each) => this.block(each));
        return node.outputs.forEach((output, at) => {
          const [a, b] = node.blocks.map((each) => this.known.get(each.outputs[at]));
          this.set(output, output.type.kind === 'int' ? join(a, b) : undefined);
        });
      case 'prim::Loop':
        return this.loop(node);
      default: {
        if (node.outputs.length !== 1 || node.output.type.kind !== 'int') return;
        const schema = schemaOfNode(node);
        if (schema === undefined) return;
        const name = qualifiedName(schema);
        if (name.startsWith('aten::len.')) return this.set(node.output, { low: 0, high: longest });
        const operands = node.inputs.map((input) => this.known.get(input));
        return this.set(node.output, rules[name]?.(...operands));
      }
    }
  }

  private loop(node: Node): void {
    const [body] = node.blocks;
    const [index, ...parameters] = body.inputs;
    const [trip, , ...carried] = node.inputs;
    const turns = Math.min(this.known.get(trip)?.high ?? mostTurns, mostTurns);
    this.set(index, { low: 0, high: Math.max(0, turns - 1) });
    parameters.forEach((parameter, at) =>
      this.set(parameter, parameter.type.kind === 'int' ? this.known.get(carried[at]) : undefined),
    );
    for (let visit = 0, changed = true; changed; visit++) {
      changed = false;
      this.block(body);
      parameters.forEach((parameter, at) => {
        const before = this.known.get(parameter);
        const after = join(before, this.known.get(body.outputs[at + 1]));
        if (isSame(before, after)) return;
        changed = true;
        this.set(
          parameter,
          visit < patience ? after : visit < stubbornness ? this.grown(before, after) : undefined,
        );
      });
    }
    node.outputs.forEach((output, at) => this.set(output, this.known.get(parameters[at])));
  }

  /** A bound that moved goes on to the next landing. */
  private grown(before: Range | undefined, after: Range | undefined): Range | undefined {
    if (before === undefined || after === undefined) return undefined;
    const { landings } = this;
    const low = after.low === before.low ? after.low : landings.findLast((each) => each <= after.low);
    const high = after.high === before.high ? after.high : landings.find((each) => each >= after.high);
    return low === undefined || high === undefined ? undefined : { low, high };
  }
}

function constantRange(node: Node): Range | undefined {
  if (node.output.type.kind !== 'int') return undefined;
  const value = Number(runtimeConstant(node));
  return Number.isSafeInteger(value) ? { low: value, high: value } : undefined;
}
