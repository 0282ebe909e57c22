// Debug information for the code of an archive, as PyTorch writes it: from which byte on the code was printed from which range
// of which source. PyTorch shows the ranges when a saved program fails.
import type { SourceRange } from '@weft/ir';
import { io } from '@weft/tensor';
import type { RangedPiece } from '../ranged-text.ts';
import { byteOffset, stringTableFormat } from './debug-ranges.ts';

/** A source is stored in excerpts: ranges further apart than this many lines are in different ones. */
const furthest = 20;
/** Lines stored around the ranges, which errors show. */
const context = 2;

/** Lines of a source that ranges are in, and where they are in the whole. */
interface Excerpt {
  readonly file: string;
  readonly text: string;
  readonly firstLine: number;
  /** Where the text begins in the source, in characters. */
  readonly start: number;
}

/** @param printed the printed texts that make the file of code, in order */
export function debugInformation(
  printed: readonly { readonly text: string; readonly pieces: readonly RangedPiece[] }[],
): Uint8Array {
  const records: { offset: number; range: SourceRange | undefined }[] = [];
  let length = 0;
  for (const { text, pieces } of printed) {
    for (const { offset, range } of pieces) {
      const written = range?.written;
      records.push({
        offset: length + byteOffset(text, offset),
        range: written === undefined || isUnknown(written) ? undefined : written,
      });
    }
    length += Buffer.byteLength(text);
  }
  const excerpts = excerptsOf(new Set(records.flatMap(({ range }) => range ?? [])));
  const lines = new Map<string, bigint>([['', 0n]]);
  const lineNumber = (line: string): bigint => {
    let number = lines.get(line);
    if (number === undefined) lines.set(line, (number = BigInt(lines.size)));
    return number;
  };
  const stored = new Map<Excerpt, { lines: bigint[]; file: bigint }>();
  for (const excerpt of excerpts.values()) {
    if (stored.has(excerpt)) continue;
    const pieces = excerpt.text.split('\n').map((line) => `${line}\n`);
    stored.set(excerpt, { lines: pieces.map(lineNumber), file: lineNumber(excerpt.file) });
  }

  const pickle = new io.PickleWriter();
  /** Writes a tuple once and refers to it afterwards. */
  const once = (key: object, items: () => void): void => {
    if (pickle.reference(key)) return;
    pickle.tuple(items);
    pickle.defines(key);
  };
  const unknown = {};
  const tags = new Map<SourceRange | undefined, bigint>();
  pickle.tuple(() => {
    pickle.string(stringTableFormat);
    pickle.tuple(() => [...lines.keys()].forEach((line) => pickle.string(line)));
    pickle.tuple(() => {
      for (const { offset, range } of records) {
        let tag = tags.get(range);
        if (tag === undefined) tags.set(range, (tag = BigInt(tags.size)));
        const excerpt = range === undefined ? undefined : excerpts.get(range);
        pickle.tuple(() => {
          pickle.int(BigInt(offset));
          once(range ?? unknown, () => {
            once(excerpt ?? lines, () => {
              const source = excerpt === undefined ? { lines: [], file: 0n } : stored.get(excerpt)!;
              pickle.global('torch.jit._pickle', 'build_intlist');
              pickle.tuple(() => pickle.list(() => source.lines.forEach((line) => pickle.int(line))));
              pickle.reduce();
              pickle.int(source.file);
              pickle.int(BigInt(excerpt?.firstLine ?? 0));
            });
            for (const at of range === undefined ? [] : [range.start, range.end])
              pickle.int(BigInt(byteOffset(excerpt!.text, at - excerpt!.start)));
            if (range === undefined) [0n, 0n].forEach((at) => pickle.int(at));
          });
          pickle.int(tag);
        });
      }
    });
  });
  return pickle.finish();
}

/** Ranges of graphs that were read from text have the place, but not the line. */
const isUnknown = ({ text, start, end }: SourceRange): boolean => text.slice(start, end).trim() === '';

/** For each range the part of its source that is stored. */
function excerptsOf(ranges: ReadonlySet<SourceRange>): Map<SourceRange, Excerpt> {
  const bySource = new Map<string, Map<string, SourceRange[]>>();
  for (const range of ranges) {
    const key = `${range.firstLine}:${range.file}`;
    const texts = bySource.get(key) ?? new Map<string, SourceRange[]>();
    bySource.set(key, texts);
    const members = texts.get(range.text);
    if (members === undefined) texts.set(range.text, [range]);
    else members.push(range);
  }
  const excerpts = new Map<SourceRange, Excerpt>();
  for (const texts of bySource.values()) {
    for (const [text, members] of texts) {
      for (const [range, excerpt] of excerptsOfText(text, members)) excerpts.set(range, excerpt);
    }
  }
  return excerpts;
}

function excerptsOfText(text: string, ranges: SourceRange[]): [SourceRange, Excerpt][] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  const lineOf = (at: number): number => {
    let low = 0;
    for (let high = starts.length; high - low > 1;) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= at) low = middle;
      else high = middle;
    }
    return low;
  };
  ranges.sort((a, b) => a.start - b.start);
  const result: [SourceRange, Excerpt][] = [];
  for (let index = 0; index < ranges.length;) {
    const first = lineOf(ranges[index].start);
    let last = first;
    let next = index;
    for (; next < ranges.length && lineOf(ranges[next].start) <= last + furthest; next++)
      last = Math.max(last, lineOf(Math.min(ranges[next].end, text.length)));
    const from = Math.max(0, first - context);
    const start = starts[from];
    const end = (starts[last + context + 1] ?? text.length + 1) - 1;
    const excerpt: Excerpt = {
      file: ranges[index].file,
      text: text.slice(start, end),
      firstLine: ranges[index].firstLine + from,
      start,
    };
    for (; index < next; index++) result.push([ranges[index], excerpt]);
  }
  return result;
}
