// What a program pays for that only adds tensors: none of the packages for scripting and clusters.
import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const built = pathToFileURL(resolve(dirname(fileURLToPath(import.meta.url)), '../dist/index.js')).href;

test('the import loads no compiler, no gRPC and no pool of threads', () => {
  const program = `
import { createRequire } from 'node:module';
const { tensor, jit } = await import(${JSON.stringify(built)});
const nodes = process.moduleLoadList.map((name) => name.split(' ')[1]);
const sum = String(tensor([1, 2]).add(tensor([3, 4])));
const loaded = () => Object.keys(createRequire(${JSON.stringify(built)}).cache);
const before = loaded();
jit.script((x) => x.add(1));
console.log(JSON.stringify({ nodes, sum, before, after: loaded() }));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  const { nodes, sum, before, after } = JSON.parse(out) as { sum: string } & Record<
    'nodes' | 'before' | 'after',
    string[]
  >;
  expect(nodes).toContain('module');
  const waiting = ['crypto', 'zlib', 'worker_threads', 'child_process', 'inspector', 'stream', 'net'];
  expect(nodes.filter((name) => waiting.includes(name))).toEqual([]);
  expect(sum).toBe('tensor([4, 6])');
  const heavy = /node_modules\/(typescript|@grpc|protobufjs|piscina)\//;
  expect(before.filter((path) => heavy.test(path))).toEqual([]);
  // The list does tell what is loaded.
  expect(after.some((path) => /node_modules\/typescript\//.test(path))).toBe(true);
});

/** The modules that Node loads for an import of `path`: it and what is imported there, statically. */
function modulesOf(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, name] of readFileSync(path, 'utf8').matchAll(
    /^(?:import|export|\}) ?[^'"\n]*?["']([^"'\n]+)["'];$/gm,
  )) {
    if (isBuiltin(name)) continue;
    if (name.startsWith('.')) modulesOf(resolve(dirname(path), name), found);
    else if (/^(?:@weft\/|weft$)/.test(name))
      modulesOf(resolve(dirname(path), `../../${name.replace('@weft/', '')}/dist/index.js`), found);
    else found.add(createRequire(path).resolve(name));
  }
  return found;
}

test('the import is of few files, which is what it takes its time for', () => {
  const modules = [...modulesOf(fileURLToPath(built))];
  expect(modules.length).toBeGreaterThan(6);
  expect(
    modules.filter((path) => !/libs\/\w+\/dist\/(?:index|chunk-\w+)\.js$/.test(path)).length,
  ).toBeLessThan(10);
  expect(modules.length).toBeLessThan(30);
});
