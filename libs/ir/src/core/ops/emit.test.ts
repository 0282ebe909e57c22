import { expect, test } from '@jest/globals';
import { CoreBuilder, specOf, tensorSpec, coreOperators, OperatorError } from '../../index.ts';

const f = (...sizes: number[]) => tensorSpec('float32', sizes);

test('smoke', () => {
  const b = new CoreBuilder();
  const x = b.input(f(2, 3, 8, 8));
  const w = b.input(f(6, 3, 3, 3));
  const y = b.convolution(x, w, {
    windowStrides: [2, 2],
    padding: [
      [1, 1],
      [1, 1],
    ],
  });
  expect(specOf(y).sizes).toEqual([2, 6, 4, 4]);
  const s = b.reduceMax(y, [1]);
  expect(specOf(s).sizes).toEqual([2, 4, 4]);
  const [v] = b.topK(s, 2);
  expect(specOf(v).sizes).toEqual([2, 4, 2]);
  expect(() => b.add(x, w)).toThrow(OperatorError);
  const g = b.gather(b.input(f(10, 4)), b.input(tensorSpec('int64', [5, 7])), {
    offsetDims: [2],
    collapsedSliceDims: [0],
    startIndexMap: [0],
    indexVectorDim: 2,
    sliceSizes: [1, 4],
  });
  expect(specOf(g).sizes).toEqual([5, 7, 4]);
  const c = b.composite('softmax', [s], { dim: 1 }, (b, s) => [b.exponential(s)]);
  expect(specOf(c[0]).sizes).toEqual([2, 4, 4]);
  expect(coreOperators().length).toBeGreaterThan(80);
});
