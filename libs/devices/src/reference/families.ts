// Every operator that is not elementwise, by name.
import { complexEmitters } from './complex.ts';
import { controlEmitters } from './control.ts';
import { convolutionEmitters } from './convolution.ts';
import { dotEmitters } from './dot.ts';
import { fftEmitters } from './fft.ts';
import { indexingEmitters } from './indexing.ts';
import { linearAlgebraEmitters } from './linear-algebra.ts';
import { randomEmitters } from './philox.ts';
import type { Emitter } from './program.ts';
import { reduceEmitters } from './reduce.ts';
import { shapeEmitters } from './shape.ts';
import { sortEmitters } from './sort.ts';
import { windowEmitters } from './window.ts';

const families = [
  complexEmitters,
  shapeEmitters,
  dotEmitters,
  convolutionEmitters,
  reduceEmitters,
  windowEmitters,
  indexingEmitters,
  sortEmitters,
  fftEmitters,
  linearAlgebraEmitters,
  randomEmitters,
  controlEmitters,
];

export const emitters: ReadonlyMap<string, Emitter> = new Map(
  families.flatMap((family) => Object.entries(family)),
);
