// The parts of a text between separators, one after the other, as keys of a dict: a part that was met before is found by its
// characters where they stand, so that no string is made of it. What was met is remembered here; the dict itself is told only of
// keys that are new.
import type { IValue } from '@weft/ir';

export type TextCase = 'as it is' | 'lower' | 'upper';

/** Where the 26 letters begin that a case changes, and which characters it leaves to the operator. */
const cases: Readonly<Record<TextCase, { readonly first: number; readonly limit: number }>> = {
  'as it is': { first: 1 << 16, limit: 1 << 16 },
  lower: { first: 0x41, limit: 0x80 },
  upper: { first: 0x61, limit: 0x80 },
};

/** The characters of longer texts are not copied. */
const longest = 1 << 22;
/** Slots of four numbers: which cell (0: none), the hash of its key, where that stands in the text, and how long it is. */
const slotSize = 4;

/** @typeParam Cell what stands in the dict under a key */
export class TextKeys<Cell> {
  /** The text's characters in the case asked for as far as it is read, and a separator; null when parts are taken as strings. */
  private readonly codes: Uint16Array | null;
  private readonly separatorCode: number;
  private readonly first: number;
  private readonly limit: number;
  private from = 0;
  private to = -1;
  private hash = 0;
  /** Whether the current part can be found by its characters. */
  private isPlain = false;
  private slots = new Int32Array(64 * slotSize);
  private mask = 63;
  private readonly cells: (Cell | undefined)[] = [undefined];
  /** The turn, and the parts, of a text that is taken apart beforehand. */
  private turn = -1;

  /**
   * @param separator a single character, no part of a surrogate pair
   * @param change to the case asked for
   * @param list the parts, where the text has parts of characters, which may make whole ones of neighbours
   */
  constructor(
    private readonly text: string,
    private readonly separator: string,
    textCase: TextCase,
    private readonly change: (part: string) => IValue,
    private readonly list: readonly string[] | null,
  ) {
    this.separatorCode = separator.charCodeAt(0);
    this.first = cases[textCase].first;
    this.limit = cases[textCase].limit;
    this.codes = list !== null || text.length > longest ? null : codesOf(text, this.separatorCode);
  }

  /** Goes to the next part; false behind the last. */
  next(): boolean {
    const { codes, separatorCode, first } = this;
    if (codes === null) return this.nextString();
    let at = this.to + 1;
    if (at >= codes.length) return false;
    this.from = at;
    let hash = -0x7ee3623b;
    let all = 0;
    for (; ; at++) {
      let code = codes[at];
      if (code === separatorCode) break;
      all |= code;
      if ((code - first) >>> 0 < 26) codes[at] = code ^= 0x20;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    this.to = at;
    this.hash = hash ^ (hash >>> 15);
    this.isPlain = all < this.limit;
    return true;
  }

  private nextString(): boolean {
    const { list, text } = this;
    if (list !== null) return ++this.turn < list.length;
    if (this.to >= text.length) return false;
    this.from = this.to + 1;
    const to = text.indexOf(this.separator, this.from);
    this.to = to < 0 ? text.length : to;
    return true;
  }

  /** The part. */
  part(): string {
    return this.list === null ? this.text.slice(this.from, this.to) : this.list[this.turn];
  }

  /** The part in the case asked for. */
  key(): IValue {
    return this.change(this.part());
  }

  /** The cell of the part's key, when it is remembered. */
  find(): Cell | undefined {
    if (!this.isPlain) return undefined;
    const { slots, mask, hash, from } = this;
    const codes = this.codes!;
    const length = this.to - from;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = slotSize * slot;
      const cell = slots[at];
      if (cell === 0) return undefined;
      if (slots[at + 1] !== hash || slots[at + 3] !== length) continue;
      const start = slots[at + 2];
      let same = 0;
      while (same < length && codes[from + same] === codes[start + same]) same++;
      if (same === length) return this.cells[cell];
    }
  }

  /** Remembers the cell of the part's key, which was not. */
  learn(cell: Cell): void {
    if (!this.isPlain) return;
    if (2 * this.cells.length > this.mask) this.grow();
    const number = this.cells.push(cell) - 1;
    this.put(number, this.hash, this.from, this.to - this.from);
  }

  private put(cell: number, hash: number, from: number, length: number): void {
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[slotSize * slot] !== 0) slot = (slot + 1) & mask;
    slots[slotSize * slot] = cell;
    slots[slotSize * slot + 1] = hash;
    slots[slotSize * slot + 2] = from;
    slots[slotSize * slot + 3] = length;
  }

  private grow(): void {
    const { slots } = this;
    this.slots = new Int32Array(4 * slots.length);
    this.mask = 4 * (this.mask + 1) - 1;
    for (let at = 0; at < slots.length; at += slotSize) {
      if (slots[at] !== 0) this.put(slots[at], slots[at + 1], slots[at + 2], slots[at + 3]);
    }
  }
}

function codesOf(text: string, end: number): Uint16Array {
  const codes = new Uint16Array(text.length + 1);
  for (let at = 0; at < Math.min(text.length, shortText); at++) codes[at] = text.charCodeAt(at);
  if (text.length > shortText) Buffer.from(codes.buffer).write(text, 'utf16le');
  codes[text.length] = end;
  return codes;
}

/** Up to here, reading characters one by one is faster than a call. */
const shortText = 32;
