// Jest runs our TypeScript through esbuild: fast, and with an inline source map, which `jit.script` reads to find
// the user's source of a live function. Packages are ES modules; under Jest they run as CommonJS.
const { transformSync } = require('esbuild');
const { createHash } = require('node:crypto');

const options = {
  format: 'cjs',
  target: 'node20',
  sourcemap: 'inline',
  sourcesContent: true,
  define: { 'import.meta.url': '__import_meta_url' },
  banner: "const __import_meta_url = require('node:url').pathToFileURL(__filename).href;",
};

module.exports = {
  getCacheKey: (source, path) =>
    createHash('sha1').update(source).update(path).update(JSON.stringify(options)).digest('hex'),
  process: (source, path) => {
    const loader = path.endsWith('.ts') ? 'ts' : 'js';
    return { code: transformSync(source, { ...options, loader, sourcefile: path }).code };
  },
};
