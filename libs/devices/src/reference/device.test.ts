import { expect, test } from '@jest/globals';
import { CoreBuilder, Graph, TensorLiteral, tensorSpec } from '@weft/ir';
import { executeOnHost } from '../index.ts';

const f32 = (shape: number[], values: number[]) =>
  new TensorLiteral('float32', shape, new Uint8Array(new Float32Array(values).buffer));
const run = (build: (b: CoreBuilder, g: Graph) => void, ...inputs: TensorLiteral[]) => {
  const graph = new Graph();
  build(new CoreBuilder(graph), graph);
  return executeOnHost(graph, inputs).map((o) => [...new Float32Array(o.bytes.buffer)]);
};
test('a graph with a broadcast, a reduction, a transpose and a product', () => {
  const [a, s, t, d] = run(
    (b, g) => {
      const x = b.input(tensorSpec('float32', [2, 3]));
      const y = b.input(tensorSpec('float32', [3]));
      const z = b.add(b.multiply(x, b.full(2, 'float32', [2, 3])), b.broadcastTo(y, [2, 3]));
      g.addOutput(z);
      g.addOutput(b.reduceSum(z, [1]));
      g.addOutput(b.transpose(z, [1, 0]));
      g.addOutput(b.dotGeneral(z, x, { lhsContracting: [1], rhsContracting: [1] }));
    },
    f32([2, 3], [1, 2, 3, 4, 5, 6]),
    f32([3], [10, 20, 30]),
  );
  expect(a).toEqual([12, 24, 36, 18, 30, 42]);
  expect(s).toEqual([72, 90]);
  expect(t).toEqual([12, 18, 24, 30, 36, 42]);
  expect(d).toEqual([12 + 48 + 108, 48 + 120 + 216, 18 + 60 + 126, 72 + 150 + 252]);
});
