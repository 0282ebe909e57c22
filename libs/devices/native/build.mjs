// Builds the native library of the cpu device: `node libs/devices/native/build.mjs [--all] [--force] [--quiet]`, for this machine's
// instruction set or for all of its architecture. Needs g++ or clang++; without one the cpu device runs on the reference
// kernels. Objects and libraries are kept in the user's cache folder by the hash of what they are made of, so that a change
// compiles only the files that see it; the library is copied to lib/.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const folder = dirname(fileURLToPath(import.meta.url));
const extension = process.platform === 'darwin' ? 'dylib' : process.platform === 'win32' ? 'dll' : 'so';

/** Compiler flags, and the CPU features (names of /proc/cpuinfo) that they need, by architecture; the best first. */
const instructionSets = JSON.parse(readFileSync(join(folder, 'instruction-sets.json'), 'utf8'));

function featuresOfMachine() {
  if (process.platform === 'linux') {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    return new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1].split(' ') ?? []);
  }
  if (process.platform === 'darwin' && process.arch === 'x64') {
    const text = execFileSync('sysctl', ['-n', 'machdep.cpu.features', 'machdep.cpu.leaf7_features'], { encoding: 'utf8' }); // prettier-ignore
    return new Set(text.toLowerCase().split(/\s+/));
  }
  return new Set();
}

/** The names of the sets this machine runs, the best first. */
export function usableInstructionSets() {
  const features = featuresOfMachine();
  return Object.entries(instructionSets[process.arch] ?? {})
    .filter(([, { needs }]) => needs.every((feature) => features.has(feature)))
    .map(([name]) => name);
}

function compilerCommand() {
  for (const name of [process.env.CXX, 'g++', 'clang++'].filter(Boolean)) {
    try {
      const version = execFileSync(name, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }); // prettier-ignore
      return { name, version };
    } catch {
      // The next one.
    }
  }
  return undefined;
}

function hashOf(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 24);
}

/** The texts of a file and of all headers that it includes, by name. */
function textsOf(name, texts = new Map()) {
  if (texts.has(name)) return texts;
  const text = readFileSync(join(folder, name), 'utf8');
  texts.set(name, text);
  for (const [, header] of text.matchAll(/^#include "(.+)"$/gm)) textsOf(header, texts);
  return texts;
}

/** Makes a file under a name of its own and renames it into place, so that nobody sees half of it. */
async function make(path, compiler, options) {
  const fresh = `${path}.${process.pid}`;
  try {
    await promisify(execFile)(compiler, [...options, '-o', fresh], { maxBuffer: 1 << 26 });
    renameSync(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** Runs `work` on each of the items, on as many at once as there are cores. */
async function forEachAtOnce(items, work) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

/**
 * Builds what is missing. Returns the paths of the libraries by instruction set, or the reason why there are none.
 * @param {{ all?: boolean; force?: boolean }} options
 */
export async function buildNative({ all = false, force = false } = {}) {
  const sets = instructionSets[process.arch];
  if (sets === undefined) return { reason: `there are no native kernels for ${process.arch}` };
  const wanted = all ? Object.keys(sets) : usableInstructionSets().slice(0, 1);
  const units = readdirSync(folder).filter((name) => name.endsWith('.cc')).sort(); // prettier-ignore
  const texts = new Map(units.map((unit) => [unit, [...textsOf(unit)].flat()]));
  const target = join(folder, 'lib');
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'weft', 'native');
  const built = {};
  let compiler;
  for (const set of wanted) {
    const flags = ['-std=c++20', '-O3', '-fPIC', '-pthread', '-fno-math-errno', '-fno-trapping-math', '-Wall', '-Wextra', '-Wno-psabi', ...sets[set].flags]; // prettier-ignore
    const path = join(target, `weft-${set}.${extension}`);
    const stamp = `${path}.hash`;
    const hash = hashOf([...[...texts.values()].flat(), ...flags]);
    built[set] = path;
    if (!force && existsSync(path) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) continue;
    compiler ??= compilerCommand();
    const kept = join(cache, `${hash}-${hashOf([compiler?.version ?? ''])}.${extension}`);
    if (force || !existsSync(kept)) {
      if (compiler === undefined)
        return { reason: 'there is no C++ compiler: install g++ or clang++ (or set CXX)' };
      mkdirSync(cache, { recursive: true });
      const objectOf = (unit) => join(cache, `${hashOf([...texts.get(unit), ...flags, compiler.version])}.o`);
      try {
        await forEachAtOnce(units, async (unit) => {
          if (force || !existsSync(objectOf(unit)))
            await make(objectOf(unit), compiler.name, [...flags, '-c', join(folder, unit)]);
        });
        await make(kept, compiler.name, [...flags, '-shared', ...units.map(objectOf)]);
      } catch (error) {
        return { reason: `${compiler.name} failed:\n${error.stderr ?? error.message}` };
      }
    }
    mkdirSync(target, { recursive: true });
    // Renamed into place: a process that has the old file loaded keeps it.
    copyFileSync(kept, `${path}.${process.pid}`);
    renameSync(`${path}.${process.pid}`, path);
    writeFileSync(stamp, hash);
  }
  return { built };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const has = (flag) => process.argv.includes(flag);
  const { built, reason } = await buildNative({ all: has('--all'), force: has('--force') });
  if (reason !== undefined) {
    console.error(`the cpu device runs on the reference kernels: ${reason}`);
    // A machine without a compiler is no failure of an installation.
    if (has('--force')) process.exitCode = 1;
  } else if (!has('--quiet')) console.log(Object.values(built).join('\n'));
}
