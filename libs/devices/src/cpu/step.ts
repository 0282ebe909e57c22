// Steps of native programs as TypeScript writes them: lists of words, read by native/program.h. Families of operators (one file
// each) say which nodes they have a kernel for and write the steps.
import type { DType, Node, TensorSpec } from '@weft/ir';
import { InternalError } from '@weft/ir';
import type { Access } from './access.ts';
import type { NativeLibrary } from './library.ts';

/** A word is 64 bits: a whole number up to 2^53 either way, or bits. */
export type Word = number | bigint;

/** The bits of a double, for fields that native code reads as one. */
export function doubleWord(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigInt64(0);
}
const scratch = new DataView(new ArrayBuffer(8));

/** The words of a program: how many steps, then the steps. */
export function packWords(steps: readonly (readonly Word[])[]): BigInt64Array {
  const count = steps.reduce((sum, words) => sum + words.length, 1);
  const packed = new BigInt64Array(count);
  const halves = new Int32Array(packed.buffer);
  packed[0] = BigInt(steps.length);
  let at = 1;
  for (const words of steps) {
    for (const word of words) {
      if (typeof word === 'bigint') packed[at] = word;
      else {
        if (!Number.isSafeInteger(word)) throw new InternalError(`${word} cannot be a word of a step`);
        halves[2 * at] = word | 0;
        halves[2 * at + 1] = Math.floor(word / 4294967296);
      }
      at++;
    }
  }
  return packed;
}

/** An operand where it is in memory. */
export interface Operand extends Access {
  readonly slot: number;
  readonly dtype: DType;
}

/** A node to be compiled natively. Slots are the program's registers. */
export interface NativeSite {
  readonly library: NativeLibrary;
  readonly node: Node;
  readonly inSpecs: readonly TensorSpec[];
  readonly outSpecs: readonly TensorSpec[];
  readonly results: readonly number[];
  /** An operand as it is walked, or, where the walk is broken by a reshape, a copy. */
  operand(index: number): Operand;
  /** An operand in row-major order, copied when it is not. */
  dense(index: number): number;
  /** The word that says whether an operand changes from run to run (Constancy in native/kept.h). */
  constancy(index: number): Word;
  /** A slot for `count` elements that lives while this node runs. */
  scratch(dtype: DType, count: number): number;
  /** Appends a step of this kind. */
  push(kind: string, ...words: readonly Word[]): void;
  /**
   * For families that take an epilogue: 0 for none; 1 and a pointwise step over the elements of result 0; 2 and a formula
   * (affine-epilogue.ts), whose result takes the place of result 0.
   */
  epilogue(): readonly Word[];
}

/** The kernels of some operators. */
export interface NativeFamily {
  readonly operators: readonly string[];
  /** Whether there is a kernel for this node of one of the operators. */
  accepts(node: Node, library: NativeLibrary): boolean;
  emit(site: NativeSite): void;
  /** Whether the kernel of a node it accepts computes elementwise operators on its dense result as it goes. */
  takesEpilogue?(node: Node): boolean;
  /**
   * The dimensions of its result that are features, if the kernel of a node it accepts computes affine formulas on it; more than one
   * number the features together, the first the outermost.
   */
  affineFeatures?(node: Node): readonly number[] | undefined;
}
