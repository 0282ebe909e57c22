// Loops while a program is lowered. One of known count is unrolled; on data, it becomes a core `while` whose state is what one
// round of the body changes.
import type { IValue, Node, TensorSpec, Value } from '@weft/ir';
import { ObjectValue, TupleValue, UnsupportedError, inferTypes, specOf, tensorSpec } from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import type { Environment, Evaluator } from './evaluator.ts';
import { uninitialized } from './evaluator.ts';
import type { Mutable, Scope } from './journal.ts';
import { restore } from './journal.ts';
import { numberKindOf, numberValue } from './numbers.ts';
import { requireAlike } from './requirements.ts';
import type { NumberKind } from './symbolic.ts';
import {
  SymbolicStorage,
  SymbolicTensor,
  describeSpec,
  isSymbolic,
  isSymbolicNumber,
  numberDType,
} from './symbolic.ts';

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
        if (describeSpec(specOf(value)) !== describeSpec(specs[index + 2])) {
          throw new UnsupportedError(
            `a loop on tensor data changes a tensor from ${describeSpec(specs[index + 2])} to ${describeSpec(specOf(value))}; a compiled graph needs the same in every round`,
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
      requireAlike(this.evaluator.requirements, x, y);
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
