// Groups of elementwise operators as one pointwise step: operators become instructions over tiles (native/pointwise.h), chosen
// by name and dtype from the library's table.
import type { DType, Node, Value } from '@weft/ir';
import { dtypes, isComplex, isFloatingPoint, specOf } from '@weft/ir';
import { scalarOf, storedOutputs } from '../reference/compile.ts';
import { isHalf } from '../reference/half.ts';
import { narrowing } from '../reference/scalar-functions.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { merged } from './access.ts';
import type { NativeLibrary } from './library.ts';
import type { Instruction } from './runs.ts';
import { withRuns } from './runs.ts';
import type { Operand, Word } from './step.ts';
import { doubleWord } from './step.ts';

/** Dimensions that a pointwise step can have (mostAxes in native/pointwise.h). */
export const mostAxes = 8;
/** Operators in one step: beyond this the tiles of their values leave the cache. */
export const largestPointwiseGroup = 48;

/** The dtype that elements of `dtype` have in tiles. */
const heldAs = (dtype: DType): DType => (isHalf(dtype) ? 'float32' : dtype);

/** An instruction to be: its name, and which operands of the node it takes (or the result so far). */
interface Line {
  readonly name: string;
  readonly operands: readonly (number | 'result')[];
}

/** The instructions of an elementwise node, or undefined when it is no such node or the library has none for it. */
function linesOf(node: Node, library: NativeLibrary): readonly Line[] | undefined {
  if (node.outputs.length !== 1 || node.blocks.length > 0 || node.inputs.length === 0) return undefined;
  const { operator } = node;
  const result = specOf(node.output);
  if (result.sizes.length > mostAxes) return undefined;
  const given = specOf(node.inputs[operator === 'select' || operator === 'clamp' ? 1 : 0]).dtype;
  if (isComplex(given) || isComplex(result.dtype)) return undefined;
  const held = heldAs(given);
  const lines: Line[] = [];
  const all = node.inputs.map((_, index) => index);
  switch (operator) {
    case 'select':
      lines.push({ name: `select.${dtypes[held].bytes}`, operands: all });
      break;
    case 'clamp':
      lines.push({ name: `maximum.${held}`, operands: [1, 0] });
      lines.push({ name: `minimum.${held}`, operands: ['result', 2] });
      break;
    case 'convert':
      // A float64 becomes a half through float32.
      if (held !== heldAs(result.dtype)) {
        lines.push({ name: `convert.${held}.${heldAs(result.dtype)}`, operands: [0] });
      }
      if (isHalf(result.dtype) && given !== result.dtype) {
        lines.push({ name: `round.${result.dtype}`, operands: [lines.length > 0 ? 'result' : 0] });
      }
      if (lines.length === 0) lines.push({ name: `copy.${dtypes[held].bytes}`, operands: [0] });
      break;
    case 'compare':
      lines.push({
        name: `compare_${node.get('s', 'comparison_direction')}.${held}`,
        operands: all,
      });
      break;
    default:
      lines.push({ name: `${operator}.${held}`, operands: all });
      if (isHalf(result.dtype) && narrowing(operator, result.dtype) !== undefined) {
        lines.push({ name: `round.${result.dtype}`, operands: ['result'] });
      }
  }
  for (const dtype of [...node.inputs.map((input) => specOf(input).dtype), result.dtype]) {
    if (isHalf(dtype) && !library.instructions.has(`decode.${dtype}`)) return undefined;
  }
  return lines.every(({ name }) => library.instructions.has(name)) ? lines : undefined;
}

export const isPointwise = (node: Node, library: NativeLibrary): boolean =>
  linesOf(node, library) !== undefined;

/** Operations that an element of these instructions costs, for deciding on threads; 1 unless listed. */
const work: Readonly<Record<string, number>> = {
  exponential: 6,
  exponential_minus_one: 8,
  log: 8,
  log_plus_one: 10,
  logistic: 8,
  tanh: 10,
  erf: 10,
  sine: 20,
  cosine: 20,
  divide: 2,
  sqrt: 2,
  rsqrt: 3,
  remainder: 20,
  power: 40,
  atan2: 40,
  cbrt: 30,
  tan: 30,
  asin: 30,
  acos: 30,
  atan: 30,
  sinh: 30,
  cosh: 30,
  asinh: 30,
  acosh: 30,
  atanh: 30,
  erfc: 30,
};

/** Operations that an element of a group costs. */
export const workOf = (nodes: readonly Node[]): number =>
  nodes.reduce((sum, node) => sum + (work[node.operator] ?? 1), 0);

/** What a group's step needs to know of the program around it. */
export interface GroupSite {
  readonly library: NativeLibrary;
  /** How an operand from outside is read. */
  access(value: Value): Operand;
  /** The slot that a value of the group is stored to. */
  slotOf(value: Value): number;
  /** The slot in whose memory a slot that is stored to may be. */
  overwrites?(slot: number): number | undefined;
  /** The order in which elements are computed, when it is not that of the group's shape; operands are given in it. */
  readonly sizes?: readonly number[];
  /** How `sizes` walk over a stored value. */
  storeStrides?(value: Value): readonly number[];
}

type Place = { readonly kind: 'load' | 'constant' | 'store' | 'temporary'; readonly index: number };

/** The words of a pointwise step for elementwise nodes of one shape, in order. */
export function pointwiseWords(nodes: readonly Node[], site: GroupSite): Word[] {
  const { library } = site;
  const sizes = site.sizes ?? specOf(nodes[0].output).sizes;
  const dense = stridesOf(sizes);
  const loads: Operand[] = [];
  const constants: { readonly bits: bigint; readonly bytes: number }[] = [];
  const stores: { readonly slot: number; readonly bytes: number; readonly strides: readonly number[] }[] = [];
  const temporaries: number[] = [];
  const written: Instruction<Place>[] = [];
  const known = new Map<string, Place>();
  const placeOf = new Map<Value, Place>();
  const stored = new Set(storedOutputs(nodes).map((node) => node.output));
  const temporary = (): Place => ({ kind: 'temporary', index: temporaries.push(0) - 1 });

  const fetch = (value: Value): Place => {
    const inside = placeOf.get(value);
    if (inside !== undefined) return inside;
    const { dtype } = specOf(value);
    const operand = site.access(value);
    const { node } = operand.source;
    const literal = node.kind === 'core::constant' ? node.get('t', 'value') : undefined;
    if (literal !== undefined && (literal.splat || literal.shape.every((size) => size === 1))) {
      const bits = elementBits(heldAs(dtype), scalarOf(literal));
      const key = `constant:${dtypes[heldAs(dtype)].bytes}:${bits}`;
      let place = known.get(key);
      if (place === undefined) {
        place = { kind: 'constant', index: constants.length };
        constants.push({ bits, bytes: dtypes[heldAs(dtype)].bytes });
        known.set(key, place);
      }
      return place;
    }
    // A scalar predicate of select, or bound of clamp.
    const strides = operand.sizes.length < sizes.length ? sizes.map(() => 0) : operand.strides;
    const key = `load:${operand.slot}:${operand.offset}:${strides.join()}:${dtype}`;
    let place = known.get(key);
    if (place === undefined) {
      place = { kind: 'load', index: loads.length };
      loads.push({ ...operand, strides });
      if (isHalf(dtype)) {
        const decoded = temporary();
        written.push({ name: `decode.${dtype}`, d: decoded, from: [place] });
        place = decoded;
      }
      known.set(key, place);
    }
    return place;
  };

  for (const node of nodes) {
    const { dtype } = specOf(node.output);
    const given = node.inputs.map(fetch);
    let result: Place | undefined;
    for (const { name, operands } of linesOf(node, library)!) {
      const from = operands.map((operand) => (operand === 'result' ? result! : given[operand]));
      result = temporary();
      written.push({ name, d: result, from });
    }
    placeOf.set(node.output, result!);
    if (!stored.has(node.output)) continue;
    const store: Place = { kind: 'store', index: stores.length };
    const strides = site.storeStrides?.(node.output) ?? dense;
    stores.push({ slot: site.slotOf(node.output), bytes: dtypes[dtype].bytes, strides });
    if (isHalf(dtype)) written.push({ name: `encode.${dtype}`, d: store, from: [result!] });
    else {
      // Written where it goes, and read from there by what follows.
      written[written.length - 1].d = store;
      placeOf.set(node.output, store);
    }
  }

  const lines = withRuns(written, library, ({ kind }) => kind === 'temporary');
  // What is stored over an operand waits until nothing reads the operand.
  stores.forEach(({ slot, bytes }, index) => {
    const isStore = (place: Place): boolean => place.kind === 'store' && place.index === index;
    const overwritten = site.overwrites?.(slot);
    const isRead = ({ kind, index: load }: Place): boolean =>
      kind === 'load' && loads[load].slot === overwritten;
    const at = lines.findIndex(({ d }) => isStore(d));
    if (!lines.some(({ from }, later) => later > at && from.some(isRead))) return;
    const held = temporary();
    for (const line of lines) {
      if (isStore(line.d)) line.d = held;
      line.from = line.from.map((place) => (isStore(place) ? held : place));
    }
    lines.push({ name: `copy.${bytes}`, d: { kind: 'store', index }, from: [held] });
  });

  const { assigned, bytes } = assignTiles(lines);
  const walks = merged(
    sizes,
    // The walk of elements in their order too, so that dimensions are merged only where tiles are dense.
    [...loads.map((load) => load.strides), ...stores.map((store) => store.strides), dense],
  );
  const base = {
    load: 0,
    constant: loads.length,
    store: loads.length + constants.length,
    temporary: loads.length + constants.length + stores.length,
  };
  const operandOf = (place: Place | undefined): number =>
    place === undefined
      ? -1
      : base[place.kind] + (place.kind === 'temporary' ? assigned[place.index] : place.index);
  return [
    walks.sizes.length,
    ...walks.sizes,
    loads.length,
    ...loads.flatMap((load, index) => [
      load.slot,
      dtypes[load.dtype].bytes,
      load.offset,
      ...walks.walks[index],
    ]),
    constants.length,
    ...constants.flatMap((constant): Word[] => [constant.bits, constant.bytes]),
    stores.length,
    ...stores.flatMap((store, index) => [store.slot, store.bytes, ...walks.walks[loads.length + index]]),
    bytes.length,
    ...bytes,
    lines.length,
    ...lines.flatMap(({ name, d, from }) => [
      library.instructions.get(name)!,
      operandOf(d),
      operandOf(from[0]),
      operandOf(from[1]),
      operandOf(from[2]),
      operandOf(from[3]),
    ]),
    doubleWord(workOf(nodes)),
  ];
}

/** Gives temporaries tiles, which are used again after the last reader. Result: a tile for each, and bytes of their elements. */
function assignTiles(lines: readonly Instruction<Place>[]): { assigned: number[]; bytes: number[] } {
  const last = new Map<number, number>();
  lines.forEach(({ from }, at) => {
    for (const place of from) if (place.kind === 'temporary') last.set(place.index, at);
  });
  const assigned: number[] = [];
  const bytes: number[] = [];
  const free: number[] = [];
  lines.forEach(({ name, d, from }, at) => {
    // An instruction may write over what it reads for the last time: it loads before it stores. But not where the result is
    // wider, since it would overtake the reading.
    const dying = new Set(
      from
        .filter((place) => place.kind === 'temporary' && last.get(place.index) === at)
        .map((place) => assigned[place.index]),
    );
    const width = resultBytes(name);
    const narrow = [...dying].filter((tile) => bytes[tile] === width);
    if (d.kind === 'temporary') {
      const reused = narrow[0];
      if (reused !== undefined) {
        dying.delete(reused);
        assigned[d.index] = reused;
      } else {
        const tile = free.findIndex((candidate) => bytes[candidate] === width);
        assigned[d.index] = tile >= 0 ? free.splice(tile, 1)[0] : bytes.push(width) - 1;
      }
      if (!last.has(d.index)) free.push(assigned[d.index]);
    }
    free.push(...dying);
  });
  return { assigned, bytes };
}

const knownBytes = new Map<string, number>();

/** Bytes of the elements that an instruction writes to a tile. */
function resultBytes(name: string): number {
  let bytes = knownBytes.get(name);
  if (bytes === undefined) knownBytes.set(name, (bytes = findBytes(name)));
  return bytes;
}

function findBytes(name: string): number {
  const parts = name.split('.');
  if (parts[0].startsWith('compare_') || parts[0] === 'is_finite') return 1;
  if (parts[0] === 'decode' || parts[0] === 'round') return 4;
  const suffix = parts[parts.length - 1];
  return /^\d+$/.test(suffix) ? Number(suffix) : dtypes[suffix as DType].bytes;
}

/** The bits of an element, sign-extended to a word. */
function elementBits(dtype: DType, value: number | bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  if (isFloatingPoint(dtype)) {
    if (dtype === 'float64') view.setFloat64(0, Number(value), true);
    else view.setFloat32(0, Number(value), true);
    return view.getBigInt64(0, true);
  }
  return BigInt.asIntN(64, BigInt(value));
}
