// Every operator that is not elementwise, by name.
import { dotEmitters } from './dot.ts';
import type { Emitter } from './program.ts';
import { reduceEmitters } from './reduce.ts';
import { shapeEmitters } from './shape.ts';

export const emitters: ReadonlyMap<string, Emitter> = new Map(
  [shapeEmitters, dotEmitters, reduceEmitters].flatMap((family) => Object.entries(family)),
);
