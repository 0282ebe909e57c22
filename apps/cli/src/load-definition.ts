// Loads a user's training file: TypeScript or JavaScript whose default export is a training definition, or a function from
// settings (`--set name=value`) to one.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { register } from 'tsx/esm/api';
import type { TrainingDefinition } from 'weft';
import { WeftError } from 'weft';

export { collectSetting } from '@weft/worker';

export type Settings = Readonly<Record<string, string>>;

/** Throws WeftError when the file is not there or exports no definition. */
export async function loadDefinition(path: string, settings: Settings): Promise<TrainingDefinition> {
  const file = resolve(path);
  if (!existsSync(file))
    throw new WeftError(
      `there is no file ${path}: give a .ts or .js file that exports a training definition`,
    );
  const unregister = register();
  try {
    const loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
    // A CommonJS view of the module may be between.
    const exported = (loaded.default as { default?: unknown } | undefined)?.default ?? loaded.default;
    const definition =
      typeof exported === 'function' ? await (exported as (given: Settings) => unknown)(settings) : exported;
    if (!isDefinition(definition)) {
      throw new WeftError(
        `${path} has no default export that defineTraining made; write: export default defineTraining({ … })`,
      );
    }
    return definition;
  } finally {
    await unregister();
  }
}

const isDefinition = (value: unknown): value is TrainingDefinition =>
  typeof value === 'object' && value !== null && 'module' in value && 'data' in value && 'optimizer' in value;
