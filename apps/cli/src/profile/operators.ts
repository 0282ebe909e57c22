// A profile of the interpreter's spans: operator by operator.
import { jit } from 'weft';
import type { TraceSpan } from './trace.ts';
import { placeOf } from './trace.ts';

/** What one operator took at one place of the source, in all. */
export interface OperatorLine {
  readonly operator: string;
  readonly source: string;
  readonly code: string;
  calls: number;
  /** Milliseconds. */
  total: number;
  self: number;
}

/** Runs the method interpreted, once for warming up, and gives the spans of the second run. */
export async function operatorSpans(
  run: (tracer: jit.SpanRecorder) => Promise<void>,
): Promise<jit.SpanRecorder> {
  await run(new jit.SpanRecorder());
  const tracer = new jit.SpanRecorder();
  await run(tracer);
  return tracer;
}

/** The slowest first. */
export function operatorLines(spans: readonly jit.Span[]): OperatorLine[] {
  const lines = new Map<string, OperatorLine>();
  for (const { name, node, duration, inside } of spans) {
    if (node === undefined) continue;
    const { source, code } = placeOf(node.source);
    const key = `${name} ${source}`;
    let line = lines.get(key);
    if (line === undefined)
      lines.set(key, (line = { operator: name, source, code, calls: 0, total: 0, self: 0 }));
    line.calls++;
    line.total += duration;
    line.self += duration - inside;
  }
  return [...lines.values()].sort((a, b) => b.self - a.self);
}

export const operatorTrace = (spans: readonly jit.Span[]): TraceSpan[] =>
  spans.map(({ name, node, start, duration }) => ({
    ...{ name, start, duration, category: node === undefined ? 'function' : 'operator' },
    args:
      node === undefined
        ? undefined
        : { source: node.source?.toString() ?? '', code: placeOf(node.source).code },
  }));
