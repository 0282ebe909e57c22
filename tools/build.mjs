// Builds packages into their dist/: `node tools/build.mjs [package folder …]`, all packages without arguments.
// esbuild bundles each entry point of a package (package.json "weft.entries", default src/index.ts) with source maps
// that carry the sources, so that `jit.script` finds the TypeScript of library modules too. Types come from src/.
import { build } from 'esbuild';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function packageFolders() {
  return ['libs', 'apps', 'examples'].flatMap((group) => {
    const folder = join(root, group);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => existsSync(join(path, 'package.json')));
  });
}

async function buildPackage(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const entries = manifest.weft?.entries ?? ['src/index.ts'];
  if (entries.length === 0) return;
  const outdir = join(folder, 'dist');
  rmSync(outdir, { recursive: true, force: true });
  await build({
    absWorkingDir: folder,
    entryPoints: entries,
    outdir,
    outbase: join(folder, 'src'),
    bundle: true,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    sourcesContent: true,
    logLevel: 'warning',
  });
}

const folders =
  process.argv.length > 2 ? process.argv.slice(2).map((path) => resolve(path)) : packageFolders();
await Promise.all(folders.map(buildPackage));
