// When the interpreter was at which operator: a tracer that keeps a span for every instruction that stands for a node, and for
// every function.
import type { Node } from '@weft/ir';
import type { Tracer } from './frame.ts';

export interface Span {
  /** The operator, or the function's name. */
  readonly name: string;
  /** The operator's node; undefined for a function. */
  readonly node: Node | undefined;
  /** Milliseconds on the clock of `performance.now()`. */
  readonly start: number;
  duration: number;
  /** Of the duration, what spans inside took. */
  inside: number;
}

/** A running function, and the operator that it is at. */
interface Level {
  readonly span: Span;
  operator: Span | undefined;
}

export class SpanRecorder implements Tracer {
  /** In the order in which they began. */
  readonly spans: Span[] = [];
  /** Spans that were not kept, since there were too many. */
  dropped = 0;
  private readonly levels: Level[] = [];

  constructor(private readonly limit = 1_000_000) {}

  enter(name: string): void {
    this.levels.push({ span: this.open(name, undefined, performance.now()), operator: undefined });
  }

  leave(): void {
    const level = this.levels.pop();
    if (level === undefined) return;
    const now = performance.now();
    this.endOperator(level, now);
    this.close(level.span, this.levels.at(-1)?.operator, now);
  }

  step(node: Node | undefined): void {
    const level = this.levels[this.levels.length - 1];
    const now = performance.now();
    this.endOperator(level, now);
    if (node !== undefined) level.operator = this.open(node.kind, node, now);
  }

  private endOperator(level: Level, now: number): void {
    if (level.operator !== undefined) this.close(level.operator, level.span, now);
    level.operator = undefined;
  }

  private open(name: string, node: Node | undefined, start: number): Span {
    const span: Span = { name, node, start, duration: 0, inside: 0 };
    if (this.spans.length < this.limit) this.spans.push(span);
    else this.dropped++;
    return span;
  }

  private close(span: Span, outer: Span | undefined, now: number): void {
    span.duration = now - span.start;
    if (outer !== undefined) outer.inside += span.duration;
  }
}
