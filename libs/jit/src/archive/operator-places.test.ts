import { expect, test } from '@jest/globals';
import type { Graph } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { F, nn } from '@weft/tensor';
import { script } from '../script.ts';
import type { OperatorPlace } from './operator-places.ts';
import { placeOf } from './operator-places.ts';
import { operatorsUsed } from './unsupported.ts';

class Net extends nn.Module {
  convolution = new nn.Conv2d(12, 24, 3, { groups: 12 });
  norm = new nn.LayerNorm([24]);
  words = new nn.Embedding(7, 24);
  forward(x: Tensor, at: Tensor): Tensor {
    const image = F.relu(this.convolution.forward(x)).mean([2, 3]);
    const sorted = this.norm.forward(image.add(this.words.forward(at))).sort(1)[0];
    return sorted.reshape([-1, x.size(0)]).transpose(0, 1);
  }
}

const kinds = (graph: Graph): string[] => [...graph.nodes()].map(({ kind }) => kind);

test('operators run on the host, as views, or as the core graphs that their lowerings make', () => {
  const places = new Map<string, OperatorPlace>();
  for (const used of operatorsUsed(script(new Net()).object.type)) {
    const place = placeOf(used);
    if (place !== undefined) places.set(used.name, place);
  }
  const sampleOf = (name: string): string[] => {
    const place = places.get(name)!;
    if (place.kind !== 'device' || place.sample === null) throw new Error(`${name} has no sample`);
    return kinds(place.sample);
  };
  const kindOf = (name: string): string => places.get(name)!.kind;
  expect(kindOf('aten::transpose.int')).toBe('view');
  expect(kindOf('aten::size.int')).toBe('host');
  // Groups and normalised shapes fix what the sample's tensors have to be.
  expect(sampleOf('aten::conv2d')).toContain('core::convolution');
  expect(sampleOf('aten::layer_norm')).toContain('core::composite');
  expect(sampleOf('aten::embedding').length).toBeGreaterThan(0);
});

test('an operator that nothing defines runs nowhere', () => {
  const [used] = operatorsUsed(script(new Net()).object.type);
  expect(placeOf({ ...used, isSupported: false })).toBeUndefined();
});
