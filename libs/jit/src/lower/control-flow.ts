// Control flow while a program is lowered. On values that are known it is simply followed: one branch is taken, a loop of
// known count is unrolled. On data, both branches are evaluated from the same state and merged in a core `if`; a loop
// becomes a core `while` whose state is what one round of the body changes.
import type { IValue, Node, TensorSpec, Value } from '@weft/ir';
import {
  ObjectValue,
  TupleValue,
  UnsupportedError,
  containerType,
  inferTypes,
  specOf,
  tagContainer,
  tensorSpec,
} from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import type { Environment, Evaluator } from './evaluator.ts';
import { RaisedError, uninitialized } from './evaluator.ts';
import type { Contents, Mutable, Scope } from './journal.ts';
import { contentsOf, restore } from './journal.ts';
import { numberKindOf, numberValue } from './numbers.ts';
import type { NumberKind } from './symbolic.ts';
import {
  SymbolicStorage,
  SymbolicTensor,
  isInScope,
  isSymbolic,
  isSymbolicNumber,
  numberDType,
} from './symbolic.ts';

// ---- branches -----------------------------------------------------------------------------------------------------

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
        `the branches of a condition on tensor data give tensors of different kinds: ${describe(first)} and ${describe(second)}; a compiled graph needs the same`,
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
      requireAlike(this.evaluator, onTrue, onFalse);
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

/** Of tensors of which data chooses one, the strides have to be known nevertheless. */
function requireAlike({ requirements }: Evaluator, a: SymbolicTensor, b: SymbolicTensor): void {
  if (requirements !== undefined && String(a.strides) !== String(b.strides))
    requirements.refuse('tensors that lie differently in memory come out of a branch or loop on tensor data');
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

const describe = (spec: TensorSpec): string => `${spec.dtype}[${spec.sizes.join(', ')}]`;

// ---- loops --------------------------------------------------------------------------------------------------------

export function evaluateLoop(evaluator: Evaluator, node: Node, env: Environment): void {
  const [trip, initial, ...carried] = node.inputs.map((input) => evaluator.lookUp(env, input));
  const [body] = node.blocks;
  const isCounted = !isSymbolic(trip);
  const count = isCounted ? Number(trip as bigint) : Infinity;
  let condition = initial;
  let state: readonly IValue[] = carried;
  let round = 0;
  const limit =
    count <= evaluator.unrollLimit ? count : isSymbolic(initial) || !isCounted ? 0 : evaluator.unrollLimit;
  while (round < limit && condition === true) {
    env.set(body.inputs[0], BigInt(round));
    state.forEach((value, index) => env.set(body.inputs[index + 1], value));
    evaluator.block(body, env);
    [condition, ...state] = body.outputs.map((output) => evaluator.lookUp(env, output));
    round++;
  }
  if (round < count && condition !== false) {
    const rest = { trip: isCounted ? (count > 2 ** 53 ? undefined : trip) : trip, condition, round };
    state = new DataLoop(evaluator, node, env, rest).run(state);
  }
  node.outputs.forEach((output, index) => env.set(output, state[index]));
}

interface LoopStart {
  /** The number of rounds; undefined when only the condition ends the loop. */
  readonly trip: IValue | undefined;
  readonly condition: IValue;
  /** Rounds that are done already. */
  readonly round: number;
}

/** Where a value stands in the state of a loop: `carried.1.0`, `touched.3.0`. */
type Path = string;

/** A loop as a core `while`: which parts of the state vary is found by trying the body until nothing new does. */
class DataLoop {
  private readonly varying = new Set<Path>();
  private readonly fills = new Map<
    Path,
    { readonly spec: TensorSpec; readonly kind: NumberKind | undefined }
  >();
  /** Tensors from before the loop that the body puts in a varying place. */
  private readonly reassigned = new Map<Path, Set<SymbolicStorage>>();
  /** Everything that the body writes to, in the order found. */
  private readonly targets: Mutable[] = [];
  /** What there was before the loop: things that the body makes for itself are no state. */
  private readonly known: ReadonlySet<Mutable>;

  constructor(
    private readonly evaluator: Evaluator,
    private readonly node: Node,
    private readonly env: Environment,
    private readonly start: LoopStart,
  ) {
    this.known = evaluator.reachable();
  }

  run(carried: readonly IValue[]): readonly IValue[] {
    for (let attempt = 0; attempt < 32; attempt++) {
      if (!this.build(carried, true)) return this.build(carried, false) as readonly IValue[];
    }
    throw new UnsupportedError('the state of a loop on tensor data changes its kind in every round');
  }

  /**
   * Builds the loop. As a trial it is taken away again, and the result says whether more of the state varies than was
   * assumed; for good, the result is the carried values after the loop.
   */
  private build(carried: readonly IValue[], isTrial: boolean): boolean | readonly IValue[] {
    const { evaluator, node, env, start } = this;
    const { b, journal } = evaluator;
    const outer = isTrial ? journal.begin() : undefined;
    const before = this.leaves(carried);
    const counter = b.full(start.round, 'int64');
    const condition = numberValue(b, start.condition, 'bool');
    const values = before.map((leaf) => leaf.value());
    const operands = [counter, condition, ...values];
    const specs = operands.map(specOf);
    const core = b.graph.insertNode(b.graph.create('core::while', operands, 0));
    const [test, region] = [core.addBlock(), core.addBlock()];
    const trip = start.trip === undefined ? undefined : numberValueBefore(evaluator, core, start.trip);
    b.graph.withInsertPoint(test, () => {
      const [at, go] = specs.map((spec) => test.addInput(spec));
      test.addOutput(trip === undefined ? go : b.and(go, b.compare(at, trip, 'LT')));
    });
    const inner = journal.begin();
    const grew = b.graph.withInsertPoint(region, () => {
      const [at, , ...parameters] = specs.map((spec) => region.addInput(spec));
      const [body] = node.blocks;
      const given = this.substitute(carried, before, parameters);
      env.set(body.inputs[0], SymbolicTensor.of(at, 'int'));
      given.forEach((value, index) => env.set(body.inputs[index + 1], value));
      const storages = this.targets.map((target) =>
        target instanceof SymbolicStorage ? target.value : undefined,
      );
      const held = this.targets.map((target) =>
        target instanceof SymbolicStorage ? undefined : contentsList(target),
      );
      evaluator.block(body, env);
      const [next, ...after] = body.outputs.map((output) => evaluator.lookUp(env, output));
      let isMore = this.compare('carried', given, after);
      this.targets.forEach((target, index) => {
        if (target instanceof SymbolicStorage)
          isMore = this.compareStorage(target, index, storages[index]!) || isMore;
        else isMore = this.compare(`touched.${index}`, held[index]!, contentsList(target)) || isMore;
      });
      isMore = this.discover(inner) || isMore;
      if (isMore) return true;
      const results = this.leaves(after).map((leaf) => leaf.value());
      region.addOutput(b.add(at, b.fullLike(at, 1)));
      region.addOutput(numberValue(b, next, 'bool'));
      results.forEach((value, index) => {
        if (describe(specOf(value)) !== describe(specs[index + 2])) {
          throw new UnsupportedError(
            `a loop on tensor data changes a tensor from ${describe(specs[index + 2])} to ${describe(specOf(value))}; a compiled graph needs the same in every round`,
          );
        }
        region.addOutput(value);
      });
      return false;
    });
    journal.rollback(inner);
    if (isTrial) {
      journal.rollback(outer!);
      core.destroy();
      return grew;
    }
    for (const spec of inferTypes(core)) core.addOutput(spec);
    return this.substitute(carried, before, core.outputs.slice(2));
  }

  /** Adds the things that the body touched for the first time; true when there are any. */
  private discover(scope: Scope): boolean {
    let isMore = false;
    for (const target of scope.keys()) {
      if (this.targets.includes(target) || !this.known.has(target)) continue;
      this.targets.push(target);
      isMore = true;
    }
    return isMore;
  }

  private compareStorage(target: SymbolicStorage, index: number, before: Value): boolean {
    const path = `touched.${index}`;
    if (target.value === before || this.varying.has(path)) return false;
    this.varying.add(path);
    return true;
  }

  /** Marks the paths whose value is not the one given; true when any is new. */
  private compare(
    path: Path,
    before: IValue | readonly IValue[],
    after: IValue | readonly IValue[],
  ): boolean {
    const first = itemsOf(before);
    const second = itemsOf(after);
    if (first !== undefined && second !== undefined) {
      if (first.length !== second.length) {
        throw new UnsupportedError('a list grows or shrinks in a loop whose end depends on tensor data');
      }
      let isMore = false;
      first.forEach((item, index) => {
        isMore = this.compare(`${path}.${index}`, item, second[index]) || isMore;
      });
      return isMore;
    }
    const [x, y] = [before as IValue, after as IValue];
    if (x === y || this.varying.has(path)) return false;
    if (x === uninitialized || y === uninitialized) return this.fill(path, x === uninitialized ? y : x);
    if (!isSymbolic(x) && !isSymbolic(y)) {
      if (valuesEqual(x, y)) return false;
      if (numberKindOf(x) === undefined || numberKindOf(y) === undefined) {
        throw new UnsupportedError(
          'a value that is no tensor or number changes in a loop whose end depends on tensor data',
        );
      }
    } else if (isSymbolic(x) && isSymbolic(y)) {
      requireAlike(this.evaluator, x, y);
      if (this.known.has(y.storage)) {
        const before = this.reassigned.get(path) ?? new Set();
        this.reassigned.set(path, before.add(y.storage));
      }
    } else if (isSymbolic(x) !== isSymbolic(y) && !(isSymbolicNumber(x) || isSymbolicNumber(y))) {
      throw new UnsupportedError('a value becomes a tensor in a loop whose end depends on tensor data');
    }
    this.varying.add(path);
    return true;
  }

  /** A part of the state that is not set on every way: before that it is zeros of the kind that it gets. */
  private fill(path: Path, value: IValue): boolean {
    const kind = numberKindOf(value);
    if (kind === undefined && !isSymbolic(value)) {
      throw new UnsupportedError('a value that is no tensor or number is set within a loop on tensor data');
    }
    const spec = kind === undefined ? (value as SymbolicTensor).spec : tensorSpec(numberDType[kind], []);
    this.fills.set(path, { spec, kind });
    this.varying.add(path);
    return true;
  }

  /** The varying parts of the state, in a fixed order, with what they hold now. */
  private leaves(carried: readonly IValue[]): Leaf[] {
    const { b } = this.evaluator;
    const found: Leaf[] = [];
    const visit = (path: Path, value: IValue | readonly IValue[]): void => {
      const items = itemsOf(value);
      if (items !== undefined) return items.forEach((item, index) => visit(`${path}.${index}`, item));
      if (!this.varying.has(path)) return;
      const fill = this.fills.get(path);
      if (fill !== undefined && value === uninitialized) {
        const { dtype, sizes } = fill.spec;
        found.push({
          path,
          kind: fill.kind,
          value: () => b.full(dtype === 'bool' ? false : 0, dtype, sizes),
        });
        return;
      }
      const kind = numberKindOf(value as IValue);
      found.push({
        path,
        kind,
        value: () =>
          kind === undefined ? (value as SymbolicTensor).read(b) : numberValue(b, value as IValue, kind),
      });
    };
    visit('carried', carried);
    this.targets.forEach((target, index) => {
      const path = `touched.${index}`;
      if (!(target instanceof SymbolicStorage)) visit(path, contentsList(target));
      else if (this.varying.has(path)) found.push({ path, kind: undefined, value: () => target.value });
    });
    return found;
  }

  /** The state with other core values in its varying parts: touched things are changed, carried values are returned. */
  private substitute(
    carried: readonly IValue[],
    leaves: readonly Leaf[],
    values: readonly Value[],
  ): readonly IValue[] {
    const { journal } = this.evaluator;
    const byPath = new Map(
      leaves.map((leaf, index) => [leaf.path, { kind: leaf.kind, value: values[index] }]),
    );
    const replace = (path: Path, value: IValue): IValue => {
      const leaf = byPath.get(path);
      if (leaf !== undefined) {
        const tensor =
          leaf.kind === undefined
            ? SymbolicTensor.placed(leaf.value, isSymbolic(value) ? value.strides : undefined)
            : SymbolicTensor.of(leaf.value, leaf.kind);
        if (isSymbolic(value)) {
          tensor.requiresGrad = value.requiresGrad;
          // Before the first round, and after none, it is what it was.
          if (value.numberKind === undefined) tensor.storage.choose(value.storage);
          for (const each of this.reassigned.get(path) ?? []) tensor.storage.choose(each);
        }
        return tensor;
      }
      const items = itemsOf(value);
      if (items === undefined) return value;
      const replaced = items.map((item, index) => replace(`${path}.${index}`, item));
      if (replaced.every((item, index) => item === items[index])) return value;
      return value instanceof TupleValue ? new TupleValue(replaced, value.type) : replaced;
    };
    this.targets.forEach((target, index) => {
      const path = `touched.${index}`;
      journal.touch(target);
      if (target instanceof SymbolicStorage) {
        const leaf = byPath.get(path);
        if (leaf !== undefined) target.replace(leaf.value);
        return;
      }
      const items = contentsList(target).map((item, at) => replace(`${path}.${at}`, item));
      if (target instanceof Map) {
        [...target.keys()].forEach((key, at) => target.set(key, items[at]));
      } else restore(target, { kind: 'items', items });
    });
    return carried.map((value, index) => replace(`carried.${index}`, value));
  }
}

interface Leaf {
  readonly path: Path;
  readonly kind: NumberKind | undefined;
  value(): Value;
}

function itemsOf(value: IValue | readonly IValue[]): readonly IValue[] | undefined {
  if (value instanceof TupleValue) return value.items;
  return Array.isArray(value) ? (value as readonly IValue[]) : undefined;
}

const contentsList = (target: Exclude<Mutable, SymbolicStorage>): readonly IValue[] =>
  target instanceof Map
    ? [...target.values()]
    : (target instanceof ObjectValue ? target.slots : target).slice();

/** A trip count as an int64 scalar that stands before the loop. */
function numberValueBefore({ b }: Evaluator, loop: Node, trip: IValue): Value {
  return b.graph.withInsertPoint(loop, () => numberValue(b, trip, 'int'));
}
