// Memory planning: offsets in one arena for values with nested or overlapping lifetimes. Values are allocated and freed
// in the order in which the program will run; free space is reused first-fit and the arena's size is the high-water mark.

const alignment = 64;

interface Gap {
  start: number;
  end: number;
}

export class ArenaPlan {
  /** Bytes the arena must have. */
  size = 0;
  private gaps: Gap[] = [];
  private readonly taken = new Map<number, number>();

  /** Offset of `bytes` free bytes. */
  allocate(bytes: number): number {
    const wanted = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    let offset = -1;
    for (let index = 0; index < this.gaps.length; index++) {
      const gap = this.gaps[index];
      if (gap.end - gap.start < wanted) continue;
      offset = gap.start;
      gap.start += wanted;
      if (gap.start === gap.end) this.gaps.splice(index, 1);
      break;
    }
    if (offset < 0) {
      // A gap at the very end of the arena grows.
      const last = this.gaps.at(-1);
      offset = last !== undefined && last.end === this.size ? last.start : this.size;
      if (offset !== this.size) this.gaps.pop();
      this.size = offset + wanted;
    }
    this.taken.set(offset, wanted);
    return offset;
  }

  /** Gives back what `allocate` gave at `offset`. */
  free(offset: number): void {
    const bytes = this.taken.get(offset)!;
    this.taken.delete(offset);
    const end = offset + bytes;
    let index = this.gaps.findIndex((gap) => gap.start > offset);
    if (index < 0) index = this.gaps.length;
    const before = this.gaps[index - 1];
    const after = this.gaps[index];
    if (before !== undefined && before.end === offset) {
      before.end = end;
      if (after !== undefined && after.start === end) {
        before.end = after.end;
        this.gaps.splice(index, 1);
      }
    } else if (after !== undefined && after.start === end) after.start = offset;
    else this.gaps.splice(index, 0, { start: offset, end });
  }
}
