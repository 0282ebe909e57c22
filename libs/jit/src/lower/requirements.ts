// What an exact lowering (exact.ts) has to hold on to where an ordinary one may let go: errors that depend on data become
// conditions of the graph, and what no condition can express is refused.
import type { CoreBuilder, RandomRequest, TensorLike, Value } from '@weft/ir';
import { TensorLiteral, UnsupportedError, isInteger, specOf } from '@weft/ir';
import type { IndexRange } from '@weft/ops';
import { foldNumber } from './constant-folding.ts';
import type { SymbolicTensor } from './symbolic.ts';
import { isSymbolic } from './symbolic.ts';

export class Requirements {
  private readonly conditions: Value[] = [];
  /** The random numbers that were drawn, in order. */
  readonly requests: RandomRequest[] = [];

  /** Demands that a boolean scalar is true when the graph runs; where it is not, its results are not to be used. */
  demand(b: CoreBuilder, condition: Value): void {
    const known = foldNumber(condition);
    if (known === true) return;
    if (known === false) throw new UnsupportedError('the program raises an error for these arguments');
    if (condition.node.block !== b.graph.block) {
      throw new UnsupportedError(
        'an error may be raised in a branch or a loop that depends on tensor data; a compiled graph cannot stop there',
      );
    }
    this.conditions.push(condition);
  }

  /** Demands that all integers of an index are in range. */
  demandRange(b: CoreBuilder, { index, low, high, excluded, ignored }: IndexRange): void {
    const value = valueOf(b, index);
    const { dtype, sizes } = specOf(value);
    if (!isInteger(dtype)) return;
    const wide = b.convert(value, 'int64');
    const at = (limit: number): Value => b.full(limit, 'int64', sizes);
    const bounds = [
      low === undefined ? undefined : b.compare(wide, at(low), 'GE'),
      high === undefined ? undefined : b.compare(wide, at(high), 'LT'),
      excluded === undefined ? undefined : b.compare(wide, at(excluded), 'NE'),
    ].filter((bound) => bound !== undefined);
    let fits = bounds.reduce((all, bound) => b.and(all, bound));
    if (ignored !== undefined) fits = b.or(fits, b.compare(wide, at(ignored), 'EQ'));
    this.demand(
      b,
      b.reduceAnd(
        fits,
        sizes.map((_, dim) => dim),
      ),
    );
  }

  /** The conjunction of all conditions; undefined when there are none. */
  conjunction(b: CoreBuilder): Value | undefined {
    return this.conditions.length === 0
      ? undefined
      : this.conditions.reduce((all, condition) => b.and(all, condition));
  }

  /** For what a compiled graph would leave out. */
  refuse(what: string): never {
    throw new UnsupportedError(`${what}, which a compiled graph cannot do`);
  }
}

function valueOf(b: CoreBuilder, index: TensorLike): Value {
  if (index instanceof TensorLiteral) return b.constant(index);
  if (isSymbolic(index)) return index.read(b);
  throw new UnsupportedError('an index of an unknown kind cannot be checked in a compiled graph');
}

/** Of tensors of which data chooses one, the strides have to be known nevertheless. */
export function requireAlike(
  requirements: Requirements | undefined,
  a: SymbolicTensor,
  b: SymbolicTensor,
): void {
  if (requirements !== undefined && String(a.strides) !== String(b.strides))
    requirements.refuse('tensors that lie differently in memory come out of a branch or loop on tensor data');
}
