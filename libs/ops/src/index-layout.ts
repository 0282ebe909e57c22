// How the result of indexing with tensors lies: TensorIterator walks over the indexed tensor, whose indexed dimensions do not
// move, and the indices side by side (at::native::make_info).
import { broadcastShapes, range } from './broadcast.ts';
import type { ResultLayout } from './result-layout.ts';
import { geometryOf } from './result-layout.ts';
import type { Geometry } from './strides.ts';
import { contiguousStrides, iteratorStrides } from './strides.ts';

export const indexedLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) => {
    const self = geometryOf(site, 0);
    const rank = self.sizes.length;
    const given = site.args[1] as readonly (Geometry | null)[];
    const indices = range(rank).map((dim) => given[dim] ?? null);
    const indexed = range(rank).filter((dim) => indices[dim] !== null);
    if (indexed.length === 0) return contiguousStrides(sizes);
    const adjacent = indexed.length === indexed[indexed.length - 1] - indexed[0] + 1;
    // Where they are apart, the indexed dimensions come first.
    const order = adjacent
      ? range(rank)
      : [...indexed, ...range(rank).filter((dim) => indices[dim] === null)];
    const before = order.findIndex((dim) => indices[dim] !== null);
    const after = order.slice(before + indexed.length);
    const shape = broadcastShapes(...indexed.map((dim) => indices[dim]!.sizes));
    const lead = order.slice(0, before);
    const source: Geometry = {
      sizes,
      strides: [
        ...lead.map((dim) => self.strides[dim]),
        ...shape.map(() => 0),
        ...after.map((dim) => self.strides[dim]),
      ],
    };
    const moved = indexed.map((dim): Geometry => {
      const { sizes: own, strides } = indices[dim]!;
      const missing = shape.length - own.length;
      const spread = shape.map((size, at) =>
        at < missing || (own[at - missing] === 1 && size !== 1) ? 0 : strides[at - missing],
      );
      return {
        sizes: [...lead.map(() => 1), ...shape, ...after.map(() => 1)],
        strides: [...lead.map(() => 1), ...spread, ...after.map(() => 1)],
      };
    });
    return iteratorStrides(sizes, [source, ...moved]);
  },
};
