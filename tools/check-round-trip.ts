// Everything goes back to PyTorch: loads every recorded archive of PyTorch, saves it, and lets PyTorch compare; and the same for
// a module of every class of weft's library, scripted and traced.
//
//     npx tsx tools/check-round-trip.ts [--cases FOLDER] [--filter TEXT] [--sample N] [--keep FOLDER]
//
// --sample takes N of the cases and of the modules each, evenly spread.
//
// Needs PyTorch (Debian: python3-torch; another Python: WEFT_PYTHON) and weft built (npm run build).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { hasPyTorch } from '../libs/jit/src/archive/ask-pytorch.ts';
import { moduleCases } from '../libs/jit/src/nn-module-cases.ts';
import type { Differences } from '../libs/jit/src/archive/pytorch-checks.ts';
import { compareInPyTorch, savedAgain, savedModules } from '../libs/jit/src/archive/pytorch-checks.ts';

const root = resolve(import.meta.dirname, '..');
const { values: flags } = parseArgs({
  options: {
    cases: { type: 'string', default: resolve(root, '../shared/torchscript/cases') },
    filter: { type: 'string', default: '' },
    sample: { type: 'string' },
    keep: { type: 'string' },
  },
});

/** Names of the cases below a folder that have an archive. */
async function recordedCases(folder: string): Promise<string[]> {
  const names: string[] = [];
  const visit = async (path: string): Promise<void> => {
    if (existsSync(join(folder, path, 'io.json'))) {
      const { kind } = JSON.parse(await readFile(join(folder, path, 'io.json'), 'utf8')) as { kind: string };
      if (kind === 'script' || kind === 'trace') names.push(path);
      return;
    }
    const entries = readdirSync(join(folder, path), { withFileTypes: true });
    for (const entry of entries)
      if (entry.isDirectory()) await visit(path === '' ? entry.name : `${path}/${entry.name}`);
  };
  await visit('');
  return names.sort();
}

/** As many as --sample says, evenly spread; all of them without it. */
function sampled<T>(all: readonly T[]): readonly T[] {
  const most = Number(flags.sample ?? all.length);
  if (!Number.isInteger(most) || most < 0)
    throw new Error(`--sample takes how many, a whole number, not '${flags.sample}'`);
  const count = Math.min(all.length, most);
  return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)]);
}

async function main(): Promise<void> {
  if (!hasPyTorch())
    throw new Error(
      'PyTorch is not there: apt-get install python3-torch, or name a Python that has it in WEFT_PYTHON',
    );
  const folder = flags.keep ?? mkdtempSync(join(tmpdir(), 'weft-round-trip-'));
  mkdirSync(folder, { recursive: true });
  try {
    const failed: Differences = new Map();
    const hasCases = existsSync(flags.cases);
    if (!hasCases)
      console.log(`no recorded cases in ${flags.cases}: only the modules of the library are checked`);
    const names = hasCases
      ? sampled((await recordedCases(flags.cases)).filter((name) => name.includes(flags.filter)))
      : [];
    const again = savedAgain(flags.cases, names, folder, failed);
    const classes = sampled([...moduleCases.keys()].filter((name) => name.includes(flags.filter)));
    const modules = savedModules(folder, failed, classes);
    const program = join(root, 'tools/check-round-trip.py');
    const differences = new Map([...failed, ...compareInPyTorch(program, [...again, ...modules], folder)]);
    for (const [name, reasons] of differences) {
      console.log(`FAILED ${name}`);
      for (const reason of reasons.slice(0, 5))
        console.log(`  ${reason.slice(0, 400).replaceAll('\n', '\n  ')}`);
    }
    const count = names.length + modules.length;
    console.log(`${count - differences.size} of ${count} archives go back to PyTorch`);
    if (differences.size > 0) process.exitCode = 1;
  } finally {
    if (flags.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
