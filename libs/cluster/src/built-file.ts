// Where this package's built entries are, whether this file runs from src/ (tests) or from dist/.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClusterError } from './errors.ts';

/** The path of an entry of dist/. Throws ClusterError when the package is not built. */
export function builtFile(entry: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) {
      const path = join(folder, 'dist', entry);
      if (existsSync(path)) return path;
      throw new ClusterError(`${path} is not there: build the package first (npm run build)`);
    }
    if (dirname(folder) === folder) throw new ClusterError(`no package is above ${import.meta.url}`);
  }
}
