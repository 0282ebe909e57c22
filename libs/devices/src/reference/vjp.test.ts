// Derivative rules against finite differences, in float64 on the reference device; sharding rules against the whole.
import { expect, test } from '@jest/globals';
import type { DType, Value } from '@weft/ir';
import { CoreBuilder, Graph, TensorLiteral, differentiate, jointGraph, specOf, tensorSpec } from '@weft/ir';
import { executeOnHost } from '../index.ts';

test('smoke', () => {
  const b = new CoreBuilder();
  const x = b.input(tensorSpec('float64', [2, 3]));
  const w = b.input(tensorSpec('float64', [3, 2]));
  const y = b.tanh(b.dotGeneral(x, w, { lhsContracting: [1], rhsContracting: [0] }));
  b.graph.addOutput(b.reduceSum(y, [0, 1]));
  const j = jointGraph(b.graph, { wrt: [0, 1], loss: 0 });
  const d = differentiate(b.graph, { wrt: [0, 1] });
  const lit = (shape: number[], v: number[]) =>
    new TensorLiteral('float64', shape, new Uint8Array(new Float64Array(v).buffer));
  const out = executeOnHost(j.graph, [
    lit(
      [2, 3],
      [1, 2, 3, 4, 5, 6].map((v) => v / 10),
    ),
    lit(
      [3, 2],
      [1, 2, 3, 4, 5, 6].map((v) => v / 7),
    ),
  ]);
  console.log(
    out.map((o) => [...new Float64Array(o.bytes.slice().buffer)]),
    d.saved,
    [...d.forward.nodes()].map((n) => n.kind),
    [...d.backward.nodes()].map((n) => n.kind),
  );
});
