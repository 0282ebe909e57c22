// A cheapest division of points into two sides: what Dinic's algorithm finds, a minimum cut of a network (E. A. Dinic, 1970). Choices
// of one of two ways for each of many nodes, where neighbours that choose differently cost something, are such a division.
/** Points are numbers from `add`; `source` is on the one side, `sink` on the other. */
export class Network {
  readonly source = 0;
  readonly sink = 1;
  private readonly edgesOf: number[][] = [[], []];
  /** Edges in pairs, each beside its reverse: where they lead, and what they can still carry. */
  private readonly to: number[] = [];
  private readonly left: number[] = [];

  add(): number {
    return this.edgesOf.push([]) - 1;
  }
  /** It costs so much (it may be Infinity) to have `from` on the side of the source and `to` on that of the sink. */
  connect(from: number, to: number, cost: number): void {
    if (cost <= 0 || from === to) return;
    this.edgesOf[from].push(this.to.length);
    this.to.push(to);
    this.left.push(cost);
    this.edgesOf[to].push(this.to.length);
    this.to.push(from);
    this.left.push(0);
  }

  /** For each point whether it is on the side of the source, in a division that costs least. */
  divide(): boolean[] {
    for (;;) {
      const levels = this.levels();
      if (levels[this.sink] < 0) return levels.map((level) => level >= 0);
      const next = this.edgesOf.map(() => 0);
      while (this.push(levels, next) > 0);
    }
  }

  /** Edges from the source that can carry more, to each point; -1 where none lead. */
  private levels(): number[] {
    const levels = this.edgesOf.map(() => -1);
    levels[this.source] = 0;
    const queue = [this.source];
    for (const point of queue) {
      for (const edge of this.edgesOf[point]) {
        const other = this.to[edge];
        if (this.left[edge] <= tiny || levels[other] >= 0) continue;
        levels[other] = levels[point] + 1;
        queue.push(other);
      }
    }
    return levels;
  }

  /** Sends as much as it can along one path of rising levels; `next` is the edge of each point to try next. */
  private push(levels: readonly number[], next: number[]): number {
    const path: number[] = [];
    for (let point = this.source; point !== this.sink;) {
      const edge = this.edgesOf[point][next[point]];
      if (edge === undefined) {
        // A dead end: back to the point before.
        const last = path.pop();
        if (last === undefined) return 0;
        point = this.to[last ^ 1];
        next[point]++;
      } else if (this.left[edge] > tiny && levels[this.to[edge]] === levels[point] + 1) {
        path.push(edge);
        point = this.to[edge];
      } else next[point]++;
    }
    const amount = Math.min(...path.map((edge) => this.left[edge]));
    for (const edge of path) {
      this.left[edge] -= amount;
      this.left[edge ^ 1] += amount;
    }
    return amount;
  }
}

/** What rounding may leave of an edge. */
const tiny = 1e-6;
