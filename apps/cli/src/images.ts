// Pictures as arguments: decoded by sharp, turned upright, RGB, and scaled as torchvision's ToTensor, Resize with CenterCrop, and
// Normalize have it.
import { createRequire } from 'node:module';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type Sharp from 'sharp';
import { WeftError, ir } from 'weft';

/** File name extensions that are read as pictures. */
export const imageExtensions: readonly string[] = [
  '.png',
  '.jpg',
  '.jpeg',
  '.webp',
  '.gif',
  '.avif',
  '.tif',
  '.tiff',
];

export interface ImageFlags {
  /** Height and width. Not given: as the picture is. */
  readonly imageSize?: readonly [height: number, width: number];
  readonly imageNormalize?: Normalization;
}

/** What is taken off each channel, and what the rest is divided by. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The statistics that torchvision's classification weights expect. */
const imagenet: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** Adds the options that say how pictures become tensors. */
export function addImageOptions(command: Command): Command {
  return command
    .option(
      '--image-size <size>',
      'scale pictures to cover 224 or 224x320 (height x width) and crop their middle',
      sizeOf,
    )
    .option(
      '--image-normalize <values>',
      "'imagenet', or means/deviations such as 0.5,0.5,0.5/0.5,0.5,0.5",
      normalizationOf,
    );
}

function sizeOf(text: string): [number, number] {
  const match = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError('it is written as 224 or 224x320');
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

function normalizationOf(text: string): Normalization {
  if (text === 'imagenet') return imagenet;
  const parts = text
    .split('/')
    .map((part) => part.split(',').map((value) => (value.trim() === '' ? NaN : Number(value))));
  const isWhole =
    parts.length === 2 && parts.every((part) => part.length === 3 && part.every(Number.isFinite));
  if (!isWhole || parts[1].includes(0))
    throw new InvalidArgumentError(
      "it is 'imagenet', or three means, a slash and three deviations that are not 0",
    );
  return { mean: parts[0], std: parts[1] };
}

/**
 * The picture as float32 [3, height, width], from 0 to 1 before normalization. What is transparent is shown on black. Throws
 * WeftError naming `path` when it is no picture.
 */
export async function readImage(
  bytes: Uint8Array,
  path: string,
  flags: ImageFlags,
): Promise<ir.TensorLiteral> {
  // Loaded when there is a picture: it takes longer to load than most commands to run.
  const sharp = createRequire(import.meta.url)('sharp') as typeof Sharp;
  const { imageSize: size, imageNormalize: normalization } = flags;
  let picture = sharp(bytes, { failOn: 'error' }).rotate().flatten().toColourspace('srgb');
  if (size !== undefined)
    picture = picture.resize({ height: size[0], width: size[1], fit: 'cover', kernel: 'linear' });
  const { data, info } = await picture
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw new WeftError(`${path} is no picture that can be read: ${error.message}`);
    });
  const { width, height, channels } = info;
  const plane = width * height;
  const values = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const mean = normalization?.mean[channel] ?? 0;
    const std = normalization?.std[channel] ?? 1;
    // A grey picture gives its one channel three times.
    const from = channels === 3 ? channel : 0;
    for (let at = 0; at < plane; at++) {
      values[channel * plane + at] = (Math.fround(data[at * channels + from] / 255) - mean) / std;
    }
  }
  return new ir.TensorLiteral('float32', [3, height, width], new Uint8Array(values.buffer));
}

/** The picture for a parameter: a batch of one for a tensor, a list of one for a list of tensors. */
export function imageArgument<T>(image: T, batch: (image: T) => T, type: ir.Type): T | T[] {
  return type.kind === 'List' ? [image] : batch(image);
}
