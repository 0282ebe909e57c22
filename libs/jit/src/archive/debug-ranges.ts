// Where the code of an archive was printed from: the `debug_pkl` beside each file of code says, for places in that file, which
// range of which source text stands there. Read when a place is first asked for, since most programs never fail.
import type { PrintedText } from '@weft/ir';
import { SourceRange, WeftError } from '@weft/ir';
import { io } from '@weft/tensor';

/** The form in which source texts are lists of lines in a table that all share; before it each range had its text. */
export const stringTableFormat = 'FORMAT_WITH_STRING_TABLE';

/** All source texts together; one that is put together from shared lines can be much longer than the record. */
const mostCharacters = 64 << 20;

interface Source {
  readonly file: string;
  readonly text: string;
  readonly firstLine: number;
}

interface Records {
  /** Ascending: from this byte of the code on, … */
  readonly offsets: readonly number[];
  /** … it was printed from this. */
  readonly ranges: readonly io.PickledTuple[];
  /** The shared lines, in the form that has them. */
  readonly table: readonly io.Pickled[] | undefined;
}

export class DebugRanges implements PrintedText {
  private records: Records | undefined;
  private readonly sources = new Map<io.Pickled, Source | undefined>();
  private readonly found = new Map<number, SourceRange | undefined>();
  private characters = 0;

  /**
   * @param name the file of code, as tracebacks show it
   * @param code its text
   * @param bytes the `debug_pkl`; without it nothing is known
   */
  constructor(
    readonly name: string,
    private readonly code: string,
    private readonly bytes: Uint8Array | undefined,
  ) {}

  /** Damaged debug information is none: it must not hide the error that it is wanted for. */
  originalOf(range: SourceRange): SourceRange | undefined {
    const { offsets, ranges } = (this.records ??= this.read());
    const place = byteOffset(this.code, range.start);
    let low = 0;
    for (let high = offsets.length; low < high;) {
      const middle = (low + high) >> 1;
      if (offsets[middle] > place) high = middle;
      else low = middle + 1;
    }
    const index = low - 1;
    if (index < 0) return undefined;
    if (!this.found.has(index)) this.found.set(index, this.range(ranges[index]));
    return this.found.get(index);
  }

  private read(): Records {
    const none: Records = { offsets: [], ranges: [], table: undefined };
    if (this.bytes === undefined) return none;
    try {
      const items = itemsOf(io.readPickle(this.bytes, rules, this.name, 'debug_pkl'));
      const [format, table, shared] = items;
      const isShared = format === stringTableFormat;
      const entries = (isShared ? itemsOf(shared) : items).flatMap((entry) => {
        const [offset, range] = itemsOf(entry);
        return typeof offset === 'bigint' && range instanceof io.PickledTuple
          ? [{ offset: Number(offset), range }]
          : [];
      });
      entries.sort((a, b) => a.offset - b.offset);
      return {
        offsets: entries.map(({ offset }) => offset),
        ranges: entries.map(({ range }) => range),
        table: isShared ? itemsOf(table) : undefined,
      };
    } catch (error) {
      if (error instanceof WeftError) return none;
      throw error;
    }
  }

  private range({ items: [sourceTuple, start, end] }: io.PickledTuple): SourceRange | undefined {
    if (!this.sources.has(sourceTuple)) this.sources.set(sourceTuple, this.source(itemsOf(sourceTuple)));
    const source = this.sources.get(sourceTuple);
    if (source === undefined || typeof start !== 'bigint' || typeof end !== 'bigint') return undefined;
    const { file, text, firstLine } = source;
    const [from, to] = [characterOffset(text, Number(start)), characterOffset(text, Number(end))];
    return from <= to ? new SourceRange(file, text, from, to, firstLine) : undefined;
  }

  private source([written, file, firstLine]: readonly io.Pickled[]): Source | undefined {
    const { table } = this.records!;
    const name = table === undefined ? file : lineOf(table, file);
    const pieces = table === undefined ? [written] : itemsOf(written).map((index) => lineOf(table, index));
    let text = '';
    for (const piece of pieces) {
      if (typeof piece !== 'string') return undefined;
      this.characters += piece.length;
      if (this.characters > mostCharacters) return undefined;
      text += piece;
    }
    // PyTorch writes an empty text for what was made from nothing.
    if (text === '') return undefined;
    return { file: typeof name === 'string' ? name : '', text, firstLine: Number(firstLine ?? 0n) };
  }
}

const rules: io.PickleRules = {
  allows: (global) => global.module === 'torch.jit._pickle' && global.name === 'build_intlist',
  call: (_, given) => itemsOf(given)[0] ?? null,
  persistent: () => null,
};

function itemsOf(value: io.Pickled | undefined): readonly io.Pickled[] {
  if (value instanceof io.PickledTuple) return value.items;
  return Array.isArray(value) ? value : [];
}

const lineOf = (table: readonly io.Pickled[], index: io.Pickled): io.Pickled | undefined =>
  typeof index === 'bigint' ? table[Number(index)] : undefined;

const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length;

/** PyTorch counts bytes of UTF-8. */
export const byteOffset = (text: string, character: number): number =>
  isAscii(text) ? character : Buffer.byteLength(text.slice(0, character));

function characterOffset(text: string, bytes: number): number {
  if (isAscii(text)) return Math.max(0, Math.min(bytes, text.length));
  return Buffer.from(text).subarray(0, Math.max(0, bytes)).toString().length;
}
