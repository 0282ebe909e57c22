// Every operator that is not elementwise, by name.
import { complexEmitters } from './complex.ts';
import { controlEmitters } from './control.ts';
import { dotEmitters } from './dot.ts';
import { indexingEmitters } from './indexing.ts';
import type { Emitter } from './program.ts';
import { reduceEmitters } from './reduce.ts';
import { shapeEmitters } from './shape.ts';

export const emitters: ReadonlyMap<string, Emitter> = new Map(
  [complexEmitters, shapeEmitters, dotEmitters, reduceEmitters, indexingEmitters, controlEmitters].flatMap(
    (family) => Object.entries(family),
  ),
);
