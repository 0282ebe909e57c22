// Builds packages into their dist/, and the cpu device's native library (libs/devices/native): `node tools/build.mjs [package folder …]`, all packages without arguments.
// A package that names its `entries` (package.json) becomes one file for each of them, and one for what several of them share: Node
// takes about a millisecond a module, so that hundreds of small ones are what a program would wait for. Other packages are
// never part of a bundle, so that every class and registry is there once. A package without entries is built file by file.
// Either way source maps carry the sources: `jit.script` finds there what its variables are called where they run.
import { build } from 'esbuild';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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

/**
 * Modules of Node's that take long to load wait for the first call into them: most programs call few, and an import of weft need
 * not wait for sockets, streams and cryptography. (Values that are no functions, where any are imported, load theirs at once.)
 */
const waitForCalls = {
  name: 'wait-for-calls',
  setup({ onResolve, onLoad }) {
    onResolve(
      { filter: /^node:(child_process|crypto|fs|fs\/promises|inspector|os|worker_threads|zlib)$/ },
      ({ path }) => ({
        path,
        namespace: 'node-module',
        sideEffects: false,
      }),
    );
    onLoad({ filter: /.*/, namespace: 'node-module' }, async ({ path }) => {
      const given = Object.entries(await import(path)).filter(([name]) => name !== 'default');
      const own = given.map(([name, value]) =>
        typeof value === 'function'
          ? `export function ${name}(...given) { return new.target ? new (module().${name})(...given) : module().${name}(...given); }`
          : `export const ${name} = /* @__PURE__ */ (() => module().${name})();`,
      );
      return {
        contents: [`const module = () => process.getBuiltinModule(${JSON.stringify(path)});`, ...own].join(
          '\n',
        ),
      };
    });
  },
};

const sourcesOf = (source) =>
  readdirSync(source, { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(source, name));

/** Throws where bundling gave a class that users see another name: the name is in what errors and modules print. */
function refuseRenamedClasses(folder, outputs) {
  for (const { path, text } of outputs) {
    if (!path.endsWith('.js')) continue;
    for (const [, given, name] of text.matchAll(/^ {2}(\w+) as (\w+),?$/gm)) {
      if (
        new RegExp(`^(?:var ${given} = )?class ${given}\\b|^var ${given} = class\\b`, 'm').test(text) &&
        given !== name &&
        name !== 'default'
      )
        throw new Error(
          `${folder}: several classes are called '${name}'; rename those that are not exported`,
        );
    }
  }
}

/** Comments in ASCII, each character in its place: V8 then keeps the text in bytes, and reads it faster. */
const withPlainComments = (text) =>
  text.replace(/^ +\/\*\*[^]*?\*\/$/gm, (comment) => comment.replace(/[^\x00-\x7f]/g, '.'));

/**
 * Classes that name themselves become `X = class _X`, whose name would be `_X`. What gives them theirs stands at the end, so that
 * places in source maps stay.
 */
function withClassNames(text) {
  const names = [...text.matchAll(/^var (\w+) = class _\1\b/gm)].map(([, name]) => name);
  if (names.length === 0) return text;
  const line = `for (const [name, own] of Object.entries({ ${names.join(', ')} })) if (own.name === "_" + name) Object.defineProperty(own, "name", { value: name });`;
  return text.replace(/(?=^\/\/# sourceMappingURL=.*\s*$)/m, () => `${line}\n`);
}

async function buildPackage(folder) {
  const source = join(folder, 'src');
  if (!existsSync(source)) return;
  const { entries } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  // The new files take the place of the old ones at once, and only when all could be built.
  const fresh = mkdtempSync(join(folder, '.dist-'));
  const old = `${fresh}-old`;
  try {
    const { outputFiles } = await build({
      absWorkingDir: folder,
      ...(entries === undefined
        ? { entryPoints: sourcesOf(source), plugins: [keepImports] }
        : { entryPoints: entries.map((name) => join(source, name)), packages: 'external', splitting: true, plugins: [waitForCalls] }), // prettier-ignore
      outdir: fresh,
      outbase: source,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: true,
      sourcesContent: true,
      write: false,
      logLevel: 'warning',
    });
    refuseRenamedClasses(folder, outputFiles);
    for (const { path, contents, text } of outputFiles) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, path.endsWith('.js') ? withClassNames(withPlainComments(text)) : contents);
    }
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
