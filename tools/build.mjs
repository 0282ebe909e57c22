// Builds packages into their dist/, and the cpu device's native library (libs/devices/native): `node tools/build.mjs [package folder …]`, all packages without arguments.
// esbuild turns each file of src/ into one file of dist/, with source maps that carry the sources. Files are not bundled:
// `jit.script` reads the variables that a live function sees by the names its source gives them, and bundling renames them.
import { build } from 'esbuild';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from '../libs/devices/native/build.mjs';

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

/** Imports stay as they are, except that our own `.ts` files are `.js` files there. */
const keepImports = {
  name: 'keep-imports',
  setup({ onResolve }) {
    onResolve({ filter: /.*/ }, ({ path, kind }) =>
      kind === 'entry-point' ? undefined : { path: path.replace(/^(\..*)\.ts$/, '$1.js'), external: true },
    );
  },
};

async function buildPackage(folder) {
  const source = join(folder, 'src');
  if (!existsSync(source)) return;
  const files = readdirSync(source, { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(source, name));
  // The new files take the place of the old ones at once, and only when all could be built.
  const fresh = mkdtempSync(join(folder, '.dist-'));
  const old = `${fresh}-old`;
  try {
    await build({
      absWorkingDir: folder,
      entryPoints: files,
      outdir: fresh,
      outbase: source,
      bundle: true,
      plugins: [keepImports],
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: true,
      sourcesContent: true,
      logLevel: 'warning',
    });
    // Renamed away first: a process that starts meanwhile finds one or the other, but for an instant.
    const target = join(folder, 'dist');
    if (existsSync(target)) renameSync(target, old);
    renameSync(fresh, target);
  } finally {
    rmSync(old, { recursive: true, force: true });
    rmSync(fresh, { recursive: true, force: true });
  }
}

const folders =
  process.argv.length > 2 ? process.argv.slice(2).map((path) => resolve(path)) : packageFolders();
await Promise.all(folders.map(buildPackage));
// The kernels of the cpu device, where there is a compiler; without one it runs on the reference kernels.
if (folders.some((folder) => folder === join(root, 'libs', 'devices'))) {
  const { reason } = await buildNative();
  if (reason !== undefined) console.warn(`the cpu device is built without native kernels: ${reason}`);
}
