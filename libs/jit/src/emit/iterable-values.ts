// What loops walk over and only exists while it is emitted: tuples of sugared values, ranges, zips.
import type { SourceRange, Value } from '@weft/ir';
import { IntType, annotationString } from '@weft/ir';
import { constantValue, insertConstant } from './constants.ts';
import type { Emitter } from './emitter.ts';
import { emitOperator, insertList, insertTuple } from './schema-matching.ts';
import { fail } from './script-error.ts';
import { SugaredValue } from './sugared-value.ts';
import { SimpleValue } from './simple-value.ts';

/** Parts that are known one by one. A loop over them is unrolled. */
export class TupleOfSugared extends SugaredValue {
  readonly kind = 'a tuple';
  constructor(readonly parts: readonly SugaredValue[]) {
    super();
  }
  override asValue(e: Emitter, range: SourceRange): Value {
    return insertTuple(
      e.graph,
      this.parts.map((part) => part.asValue(e, range)),
    );
  }
  override asTuple(): SugaredValue[] {
    return [...this.parts];
  }
  override iterable(): SugaredValue {
    return this;
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    const position = constantValue(index);
    if (typeof position !== 'bigint') fail(range, 'the index must be a constant here');
    const part = this.parts.at(Number(position));
    if (part === undefined) fail(range, `there are ${this.parts.length} elements, none at ${position}`);
    return part;
  }
  override length(e: Emitter): Value {
    return insertConstant(e.graph, BigInt(this.parts.length));
  }
  override get unrolledLength(): number {
    return this.parts.length;
  }
}

/** `range(start, stop, step)`. */
export class RangeValue extends SugaredValue {
  readonly kind = 'a range';
  private readonly start: Value;
  private readonly stop: Value;
  private readonly step: Value;
  private readonly onlyStop: boolean;

  constructor(
    e: Emitter,
    range: SourceRange,
    inputs: readonly Value[],
    private readonly staticLength?: number,
  ) {
    super();
    for (const { type } of inputs) {
      if (type.kind !== 'int')
        fail(range, `the bounds of a range are ints, but a ${annotationString(type)} is given`);
    }
    if (inputs.length === 0 || inputs.length > 3) fail(range, 'a range takes 1 to 3 bounds');
    this.onlyStop = inputs.length === 1;
    this.start = this.onlyStop ? insertConstant(e.graph, 0n) : inputs[0];
    this.stop = this.onlyStop ? inputs[0] : inputs[1];
    this.step = inputs.length === 3 ? inputs[2] : insertConstant(e.graph, 1n);
  }
  override iterable(): SugaredValue {
    return this;
  }
  override length(e: Emitter, range: SourceRange): Value {
    if (this.staticLength !== undefined) return insertConstant(e.graph, BigInt(this.staticLength));
    if (this.onlyStop) return this.stop;
    return emitOperator(e.graph, range, 'aten::__range_length', [this.start, this.stop, this.step]);
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    if (this.onlyStop) return new SimpleValue(index);
    return new SimpleValue(
      emitOperator(e.graph, range, 'aten::__derive_index', [index, this.start, this.step]),
    );
  }
  override get unrolledLength(): number | undefined {
    return this.staticLength;
  }
}

/** `zip` and `enumerate`: iterables walked together. */
export class Zipped extends SugaredValue {
  readonly kind = 'zipped values';
  private readonly unrolled: number | undefined;
  constructor(
    range: SourceRange,
    private readonly children: readonly SugaredValue[],
  ) {
    super();
    const lengths = children.map((child) => child.unrolledLength);
    const known = lengths.filter((length) => length !== undefined);
    if (known.length > 0 && known.length < lengths.length) {
      fail(
        range,
        'a module list or tuple cannot be walked together with something whose length is not fixed',
      );
    }
    this.unrolled = known.length > 0 ? Math.min(...known) : undefined;
  }
  private leaves(): SugaredValue[] {
    return this.children.flatMap((child) => (child instanceof Zipped ? child.leaves() : [child]));
  }
  override iterable(): SugaredValue {
    return this;
  }
  override length(e: Emitter, range: SourceRange): Value {
    const lengths = this.leaves().map((leaf) => leaf.length(e, range));
    return emitOperator(e.graph, range, 'prim::min', [insertList(e.graph, IntType, lengths)]);
  }
  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    return new TupleOfSugared(this.children.map((child) => child.item(e, range, index)));
  }
  override get unrolledLength(): number | undefined {
    return this.unrolled;
  }
}
