// Jest runs our TypeScript through esbuild: fast, and with a source map, which `jit.script` reads to find the user's source of a
// live function. The map is a file of its own: V8 tells the inspector the maps of all scripts again whenever a function is
// scripted, and with their contents in them that took most of the time of these tests.
// Packages are ES modules; under Jest they run as CommonJS.
const { transformSync } = require('esbuild');
const { createHash } = require('node:crypto');
const { mkdirSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const options = {
  format: 'cjs',
  target: 'node20',
  sourcemap: 'external',
  sourcesContent: true,
  define: { 'import.meta.url': '__import_meta_url' },
  banner: "const __import_meta_url = require('node:url').pathToFileURL(__filename).href;",
};

const keyOf = (source, path) =>
  createHash('sha1').update(source).update(path).update(JSON.stringify(options)).digest('hex');

/** Keeps a map beside what Jest keeps of the code; several processes may do so at once. */
function keepMap(folder, name, map) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.map`);
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, map);
  renameSync(fresh, path);
  return pathToFileURL(path).href;
}

module.exports = {
  getCacheKey: keyOf,
  process: (source, path, { config }) => {
    const loader = path.endsWith('.ts') ? 'ts' : 'js';
    const { code, map } = transformSync(source, { ...options, loader, sourcefile: path });
    const url = keepMap(join(config.cacheDirectory, 'source-maps'), keyOf(source, path), map);
    return { code: `${code}//# sourceMappingURL=${url}\n`, map };
  },
};
