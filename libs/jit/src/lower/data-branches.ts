// Branches while a program is lowered. On a condition that is known one branch is followed; on data, both are evaluated from the
// same state and merged in a core `if`.
import type { IValue, Node, Value } from '@weft/ir';
import {
  ObjectValue,
  TupleValue,
  UnsupportedError,
  containerType,
  inferTypes,
  specOf,
  tagContainer,
} from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import type { Environment, Evaluator } from './evaluator.ts';
import { RaisedError, uninitialized } from './evaluator.ts';
import type { Contents, Mutable } from './journal.ts';
import { contentsOf, restore } from './journal.ts';
import { numberKindOf, numberValue } from './numbers.ts';
import { requireAlike } from './requirements.ts';
import type { NumberKind } from './symbolic.ts';
import { SymbolicStorage, SymbolicTensor, describeSpec, isInScope, isSymbolic } from './symbolic.ts';

export function evaluateIf(evaluator: Evaluator, node: Node, env: Environment): void {
  const condition = evaluator.lookUp(env, node.inputs[0]);
  if (!isSymbolic(condition)) {
    const block = node.blocks[condition === true ? 0 : 1];
    evaluator.block(block, env);
    node.outputs.forEach((output, index) => env.set(output, evaluator.lookUp(env, block.outputs[index])));
    return;
  }
  evaluateDataIf(evaluator, node, env, condition);
}

/** What a branch made: its results, what the things it touched hold, and the core values of all tensors in them. */
interface Branch {
  readonly results: readonly IValue[];
  readonly touched: Map<Mutable, Contents>;
  readonly reads: Map<SymbolicTensor, Value>;
  /** The scope in which constants for this branch are made. */
  readonly inside: <T>(body: () => T) => T;
}

function evaluateDataIf(evaluator: Evaluator, node: Node, env: Environment, condition: SymbolicTensor): void {
  const { b, journal } = evaluator;
  const predicate = b.convert(b.reshape(condition.read(b), []), 'bool');
  const core = b.graph.insertNode(b.graph.create('core::if', [predicate], 0));
  const known = evaluator.reachable();
  const branches = node.blocks.map((block): Branch | undefined => {
    const region = core.addBlock();
    const inside = <T>(body: () => T): T => b.graph.withInsertPoint(region, body);
    return inside(() => {
      const scope = journal.begin();
      try {
        evaluator.block(block, env);
      } catch (error) {
        journal.rollback(scope);
        if (error instanceof RaisedError) return undefined;
        throw error;
      }
      const results = block.outputs.map((output) => evaluator.lookUp(env, output));
      const reads = new Map<SymbolicTensor, Value>();
      for (const result of results) readAll(evaluator, result, reads);
      for (const target of scope.keys()) if (known.has(target)) readContents(evaluator, target, reads);
      const touched = new Map([...journal.rollback(scope)].filter(([target]) => known.has(target)));
      return { results, touched, reads, inside };
    });
  });
  const [onTrue, onFalse] = branches;
  if (onTrue === undefined || onFalse === undefined) {
    // A compiled graph does not raise: the branch that does is taken never, as if the check held.
    core.destroy();
    evaluator.requirements?.demand(b, onTrue === undefined ? b.not(predicate) : predicate);
    const taken = node.blocks[onTrue === undefined ? 1 : 0];
    evaluator.block(taken, env);
    node.outputs.forEach((output, index) => env.set(output, evaluator.lookUp(env, taken.outputs[index])));
    return;
  }
  const merge = new Merge(evaluator, core, [onTrue, onFalse], known);
  const results = node.outputs.map((_, index) => merge.values(onTrue.results[index], onFalse.results[index]));
  const updates = merge.touched();
  merge.finish();
  node.outputs.forEach((output, index) => env.set(output, results[index]));
  for (const update of updates) update();
}

function readAll(evaluator: Evaluator, value: IValue, into: Map<SymbolicTensor, Value>): void {
  if (isSymbolic(value)) into.set(value, value.read(evaluator.b));
  else if (Array.isArray(value)) for (const item of value) readAll(evaluator, item, into);
  else if (value instanceof TupleValue) for (const item of value.items) readAll(evaluator, item, into);
  else if (value instanceof Map) for (const item of value.values()) readAll(evaluator, item, into);
}

function readContents(evaluator: Evaluator, target: Mutable, into: Map<SymbolicTensor, Value>): void {
  if (target instanceof SymbolicStorage) return;
  if (target instanceof ObjectValue) for (const slot of target.slots) readAll(evaluator, slot, into);
  else readAll(evaluator, target, into);
}

/** Joins the results of two branches: what differs becomes a result of the core node. */
class Merge {
  private readonly assignments: ((result: Value) => void)[] = [];
  /** Storages that are one of two. */
  private readonly chosen: { readonly result: SymbolicStorage; readonly from: readonly SymbolicStorage[] }[] =
    [];

  constructor(
    private readonly evaluator: Evaluator,
    private readonly core: Node,
    private readonly branches: readonly Branch[],
    /** What there was before the branches. */
    private readonly known: ReadonlySet<Mutable>,
  ) {}

  /** A result of the core node; `assign` receives it once the node is complete. */
  private output(values: readonly Value[], assign: (result: Value) => void): void {
    const [first, second] = values.map(specOf);
    if (first.dtype !== second.dtype || first.sizes.join() !== second.sizes.join()) {
      throw new UnsupportedError(
        `the branches of a condition on tensor data give tensors of different kinds: ${describeSpec(first)} and ${describeSpec(second)}; a compiled graph needs the same`,
      );
    }
    values.forEach((value, index) => this.core.blocks[index].addOutput(value));
    this.assignments.push(assign);
  }

  /** What a tensor holds at the end of a branch. One that the branch neither returns nor touches is read there now. */
  private readIn(index: number, tensor: SymbolicTensor): Value {
    const { reads, touched, inside } = this.branches[index];
    const known = reads.get(tensor);
    if (known !== undefined) return known;
    const before = [...touched.keys()].map((target) => [target, contentsOf(target)] as const);
    for (const [target, after] of touched) restore(target, after);
    const value = inside(() => tensor.read(this.evaluator.b));
    for (const [target, held] of before) restore(target, held);
    reads.set(tensor, value);
    return value;
  }

  values(onTrue: IValue, onFalse: IValue): IValue {
    if (onTrue === onFalse) return onTrue;
    if (onFalse === uninitialized) return this.only(onTrue, 0);
    if (onTrue === uninitialized) return this.only(onFalse, 1);
    const kind = commonKind(onTrue, onFalse);
    if (kind !== undefined) {
      if (!isSymbolic(onTrue) && !isSymbolic(onFalse) && valuesEqual(onTrue, onFalse)) return onTrue;
      const values = [onTrue, onFalse].map((value, index) =>
        this.branches[index].inside(() => numberValue(this.evaluator.b, value, kind)),
      );
      return this.fresh(values, kind);
    }
    if (isSymbolic(onTrue) && isSymbolic(onFalse)) {
      const values = [onTrue, onFalse].map((tensor, index) => this.readIn(index, tensor));
      requireAlike(this.evaluator.requirements, onTrue, onFalse);
      const result = this.fresh(values, undefined, onTrue.strides);
      this.chosen.push({ result: result.storage, from: [onTrue.storage, onFalse.storage] });
      result.requiresGrad = onTrue.requiresGrad || onFalse.requiresGrad;
      return result;
    }
    if (
      onTrue instanceof TupleValue &&
      onFalse instanceof TupleValue &&
      onTrue.items.length === onFalse.items.length
    ) {
      const items = onTrue.items.map((item, index) => this.values(item, onFalse.items[index]));
      return new TupleValue(items, onTrue.type);
    }
    if (Array.isArray(onTrue) && Array.isArray(onFalse) && onTrue.length === onFalse.length) {
      const items = onTrue.map((item, index) => this.values(item, onFalse[index]));
      const type = containerType(onTrue);
      return type === undefined ? items : tagContainer(items, type);
    }
    if (
      onTrue instanceof Map &&
      onFalse instanceof Map &&
      sameKeys([...onTrue.keys()], [...onFalse.keys()])
    ) {
      return new Map([...onTrue].map(([key, value]) => [key, this.values(value, onFalse.get(key)!)]));
    }
    if (!isSymbolic(onTrue) && !isSymbolic(onFalse) && valuesEqual(onTrue, onFalse)) return onTrue;
    throw new UnsupportedError(
      'the branches of a condition on tensor data give values that a compiled graph cannot choose between (strings, None, lists of different lengths or objects)',
    );
  }

  /** A value that only one branch makes; the other, where it is never read, gives zeros. */
  private only(value: IValue, branch: number): IValue {
    const { b } = this.evaluator;
    if (isSymbolic(value)) {
      const own = this.readIn(branch, value);
      if (isInScope(b, own) && value.view === undefined) return value;
      const { dtype, sizes } = specOf(own);
      const other = this.branches[1 - branch].inside(() =>
        b.full(dtype === 'bool' ? false : 0, dtype, sizes),
      );
      return this.fresh(branch === 0 ? [own, other] : [other, own], value.numberKind);
    }
    if (value instanceof TupleValue) {
      return new TupleValue(
        value.items.map((item) => this.only(item, branch)),
        value.type,
      );
    }
    if (Array.isArray(value)) return value.map((item) => this.only(item, branch));
    return value;
  }

  private fresh(values: readonly Value[], kind?: NumberKind, strides?: readonly number[]): SymbolicTensor {
    const storage = new SymbolicStorage(values[0], strides);
    this.output(values, (result) => storage.replace(result));
    return new SymbolicTensor(storage, specOf(values[0]), undefined, undefined, kind);
  }

  /** Merges the contents of everything that either branch touched; the functions returned put them in place. */
  touched(): (() => void)[] {
    const { journal } = this.evaluator;
    const targets = new Set(this.branches.flatMap((branch) => [...branch.touched.keys()]));
    const updates: (() => void)[] = [];
    for (const target of targets) {
      const [first, second] = this.branches.map((branch) => branch.touched.get(target) ?? contentsOf(target));
      if (target instanceof SymbolicStorage && first.kind === 'storage' && second.kind === 'storage') {
        if (first.value === second.value) continue;
        this.output([first.value, second.value], (result) => {
          journal.touch(target);
          target.replace(result);
        });
        continue;
      }
      const merged = this.mergeContents(first, second);
      updates.push(() => {
        journal.touch(target);
        restore(target, merged);
      });
    }
    return updates;
  }

  private mergeContents(first: Contents, second: Contents): Contents {
    if (first.kind === 'items' && second.kind === 'items' && first.items.length === second.items.length) {
      return {
        kind: 'items',
        items: first.items.map((item, index) => this.values(item, second.items[index])),
      };
    }
    if (
      first.kind === 'entries' &&
      second.kind === 'entries' &&
      sameKeys(
        first.entries.map(([key]) => key),
        second.entries.map(([key]) => key),
      )
    ) {
      const entries = first.entries.map(
        ([key, value], index) => [key, this.values(value, second.entries[index][1])] as const,
      );
      return { kind: 'entries', entries };
    }
    throw new UnsupportedError(
      'a list or dict gets different lengths or keys in the branches of a condition on tensor data',
    );
  }

  /** Gives the core node its results and hands them out. */
  finish(): void {
    for (const spec of inferTypes(this.core)) this.core.addOutput(spec);
    this.assignments.forEach((assign, index) => assign(this.core.outputs[index]));
    // What a branch makes and gives away once is nothing but the result.
    const uses = new Map<SymbolicStorage, number>();
    for (const storage of this.chosen.flatMap(({ from }) => from))
      uses.set(storage, (uses.get(storage) ?? 0) + 1);
    for (const { result, from } of this.chosen) {
      for (const storage of from)
        if (this.known.has(storage) || uses.get(storage)! > 1) result.choose(storage);
    }
  }
}

/** The kind of number that both are or become, or undefined when one is no number. */
function commonKind(a: IValue, b: IValue): NumberKind | undefined {
  const [first, second] = [numberKindOf(a), numberKindOf(b)];
  if (first === undefined || second === undefined) return undefined;
  if (first === second) return first;
  return [first, second].includes('complex')
    ? 'complex'
    : [first, second].includes('float')
      ? 'float'
      : 'int';
}

const sameKeys = (a: readonly IValue[], b: readonly IValue[]): boolean =>
  a.length === b.length && a.every((key, index) => valuesEqual(key, b[index]));
