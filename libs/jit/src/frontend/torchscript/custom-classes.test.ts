// An archive that PyTorch optimised for mobile: convolutions and linear layers are objects of classes written in C++.
// tools/check-models makes it (mixed_mobile-script).
import { describe, expect, test } from '@jest/globals';
import { tensor } from '@weft/tensor';
import { join } from 'node:path';
import { load, runCase, saveToBytes } from '../../archive/index.ts';
import { lowerModule } from '../../lower/index.ts';

const fixture = join(__dirname, '../../archive/fixtures/mobile');

describe('classes that PyTorch implements in C++', () => {
  test('an archive optimised for mobile gives what PyTorch recorded', () => {
    expect(runCase(fixture).failures).toEqual([]);
  });

  test('also when it was saved again', () => {
    expect(runCase(fixture, { open: (path) => load(saveToBytes(load(path))) }).failures).toEqual([]);
  });

  test('its code keeps the operators and its constants the objects', () => {
    expect(load(join(fixture, 'model.pt')).code).toContain('ops.prepacked.conv2d_clamp_run(x, CONSTANTS.c0)');
  });

  test('it lowers to core operators', () => {
    const module = load(join(fixture, 'model.pt'));
    const x = tensor([0]).expand([1, 3, 12, 12]).to('float32');
    const { graph } = lowerModule(module.object, 'forward', [x]);
    expect([...graph.block.nodes()].map((node) => node.kind)).toContain('core::convolution');
  });
});
