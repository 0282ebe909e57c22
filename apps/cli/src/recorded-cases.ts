// Finds recorded cases: folders with an io.json.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The folders of cases in a folder, at any depth, in the order of their names. */
export function casesIn(folder: string): string[] {
  if (existsSync(join(folder, 'io.json'))) return [folder];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((name) => casesIn(join(folder, name)));
}
