// Pictures as arguments: channels first, from 0 to 1, upright, and errors for what is no picture.
import { afterAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import sharp from 'sharp';
import type { Tensor } from 'weft';
import { ir } from 'weft';
import type { Callee } from './arguments.ts';
import { argumentsFromFiles } from './arguments.ts';
import type { ImageFlags } from './images.ts';
import { addImageOptions, readImage } from './images.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-images-'));
afterAll(() => rmSync(folder, { recursive: true }));

const picture = (pixels: readonly number[], width: number, height: number, channels: 1 | 3 | 4) =>
  sharp(Uint8Array.from(pixels), { raw: { width, height, channels } });
/** Two pixels beside each other: orange and blue. */
const two = [255, 102, 0, 0, 51, 255];
const valuesOf = ({ bytes, shape }: ir.TensorLiteral) => ({
  shape,
  values: [...new Float32Array(new Uint8Array(bytes).buffer)].map((value) => Math.round(value * 1e4) / 1e4),
});
const options = (...argv: string[]): ImageFlags =>
  addImageOptions(new Command().exitOverride().configureOutput({ writeErr: () => undefined }))
    .parse(argv, { from: 'user' })
    .opts<ImageFlags>();
const takes = (type: string): Callee => ({
  name: 'forward',
  parameters: [{ name: 'x', type: ir.parseType(type), hasDefault: false } as unknown as ir.Argument],
});

test('colours become planes from 0 to 1', async () => {
  const png = await picture(two, 2, 1, 3).png().toBuffer();
  expect(valuesOf(await readImage(png, 'a.png', {}))).toEqual({
    shape: [3, 1, 2],
    values: [1, 0, 0.4, 0.2, 0, 1],
  });
});

test('grey has three equal channels; what is transparent is on black', async () => {
  const grey = await picture([51, 255], 1, 2, 1).toColourspace('b-w').png().toBuffer();
  expect(valuesOf(await readImage(grey, 'a.png', {}))).toEqual({
    shape: [3, 2, 1],
    values: [0.2, 1, 0.2, 1, 0.2, 1],
  });
  const clear = await picture([255, 102, 0, 255, 255, 255, 255, 0], 2, 1, 4).png().toBuffer();
  expect(valuesOf(await readImage(clear, 'a.png', {})).values).toEqual([1, 0, 0.4, 0, 0, 0]);
});

test('a turned photograph stands upright', async () => {
  const turned = await picture(two, 2, 1, 3).withMetadata({ orientation: 6 }).png().toBuffer();
  expect(valuesOf(await readImage(turned, 'a.png', {}))).toEqual({
    shape: [3, 2, 1],
    values: [1, 0, 0.4, 0.2, 0, 1],
  });
});

test('size and normalization', async () => {
  const png = await picture(two, 2, 1, 3).png().toBuffer();
  const { shape } = await readImage(png, 'a.png', options('--image-size', '8x6'));
  expect(shape).toEqual([3, 8, 6]);
  const normalized = await readImage(png, 'a.png', options('--image-normalize', '0.5,0.4,0/0.5,0.2,2'));
  expect(valuesOf(normalized).values).toEqual([1, -1, 0, -1, 0, 0.5]);
  const { values } = valuesOf(await readImage(png, 'a.png', options('--image-normalize', 'imagenet')));
  expect(values[0]).toBeCloseTo((1 - 0.485) / 0.229, 3);
});

test.each([
  ['--image-size', 'big', /it is written as 224 or 224x320/],
  ['--image-size', '0', /it is written as 224 or 224x320/],
  ['--image-normalize', '1,2/3,4', /three means, a slash and three deviations/],
  ['--image-normalize', '0,0,0/1,0,1', /deviations that are not 0/],
])('%s %s is refused', (option, value, message) => {
  expect(() => options(option, value)).toThrow(message);
});

test('a tensor gets a batch of one, a list of tensors the picture', async () => {
  const path = join(folder, 'two.PNG');
  writeFileSync(path, await picture(two, 2, 1, 3).png().toBuffer());
  const [batch] = (await argumentsFromFiles(takes('Tensor'), [path])) as unknown as [Tensor];
  expect(batch.sizes).toEqual([1, 3, 1, 2]);
  const [list] = (await argumentsFromFiles(takes('List[Tensor]'), [`x=${path}`])) as unknown as [Tensor[]];
  expect(list.map(({ sizes }) => sizes)).toEqual([[3, 1, 2]]);
});

test('what is no picture is named', async () => {
  const broken = join(folder, 'broken.jpg');
  writeFileSync(broken, 'no picture');
  await expect(argumentsFromFiles(takes('Tensor'), [broken])).rejects.toThrow(
    /broken\.jpg is no picture that can be read/,
  );
  const png = await picture(Array(300).fill(7), 10, 10, 3).png().toBuffer();
  writeFileSync(broken, png.subarray(0, png.length - 30));
  await expect(argumentsFromFiles(takes('Tensor'), [broken])).rejects.toThrow(/broken\.jpg is no picture/);
  const other = join(folder, 'x.txt');
  writeFileSync(other, '1');
  await expect(argumentsFromFiles(takes('Tensor'), [other])).rejects.toThrow(
    /an input is a \.json, \.npy or \.safetensors file, or a picture \(\.png/,
  );
});
