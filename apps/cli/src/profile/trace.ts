// Traces for Perfetto and chrome://tracing, and places of the source as tables show them.
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { ir } from 'weft';
import { WeftError } from 'weft';

/** A complete event; times in milliseconds. */
export interface TraceSpan {
  readonly name: string;
  readonly category: 'run' | 'function' | 'operator' | 'kernel';
  readonly start: number;
  readonly duration: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

/** `file:line`, and what stands there. */
export function placeOf(source: ir.SourceRange | undefined): { source: string; code: string } {
  if (source === undefined) return { source: '-', code: '' };
  const { written } = source;
  const [text] = written.text.slice(written.start, written.end).split('\n');
  return {
    source: `${basename(written.file)}:${written.line}`,
    code: text.length > 48 ? `${text.slice(0, 47)}…` : text,
  };
}

/** Writes the format of both viewers, times in microseconds from the first span on. */
export function writeTrace(path: string, process: string, thread: string, spans: readonly TraceSpan[]): void {
  const origin = Math.min(...spans.slice(0, 1).map(({ start }) => start));
  const events: object[] = [
    { name: 'process_name', ph: 'M', pid: 1, args: { name: `weft profile ${process}` } },
    { name: 'thread_name', ph: 'M', pid: 1, tid: 1, args: { name: thread } },
    ...spans.map(({ name, category, start, duration, args }) => ({
      ...{ name, cat: category, ph: 'X', pid: 1, tid: 1 },
      ...{ ts: 1000 * (start - origin), dur: 1000 * duration, args },
    })),
  ];
  try {
    writeFileSync(path, `${JSON.stringify({ traceEvents: events, displayTimeUnit: 'ms' })}\n`);
  } catch (error) {
    throw new WeftError(
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}); name another file with --trace`,
    );
  }
}
