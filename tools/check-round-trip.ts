// Everything goes back to PyTorch: loads every recorded archive of PyTorch, saves it, and lets PyTorch compare; and the same for
// a module of every class of weft's library, scripted and traced.
//
//     npx tsx tools/check-round-trip.ts [--cases FOLDER] [--filter TEXT] [--keep FOLDER]
//
// Needs PyTorch (Debian: python3-torch; another Python: WEFT_PYTHON) and weft built (npm run build).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { hasPyTorch } from '../libs/jit/src/archive/ask-pytorch.ts';
import type { Differences } from '../libs/jit/src/archive/pytorch-checks.ts';
import { compareInPyTorch, savedAgain, savedModules } from '../libs/jit/src/archive/pytorch-checks.ts';

const root = resolve(import.meta.dirname, '..');
const { values: flags } = parseArgs({
  options: {
    cases: { type: 'string', default: resolve(root, '../shared/torchscript/cases') },
    filter: { type: 'string', default: '' },
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
      ? (await recordedCases(flags.cases)).filter((name) => name.includes(flags.filter))
      : [];
    const again = savedAgain(flags.cases, names, folder, failed);
    const modules = savedModules(folder, failed).filter(({ name }) => name.includes(flags.filter));
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
