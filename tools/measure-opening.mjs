// How long opening a large archive takes and how much memory it needs: writes an archive of many layers, opens it in fresh
// processes, reads one parameter, and prints medians. Use `npm run build` first. Linux only: peaks are from /proc/self/status.
//
//     node tools/measure-opening.mjs [--mib 1024] [--runs 7] [--archive FILE]
//
// With --archive, that file is opened; it is made, and kept, when it is not there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { jit, nn, noGrad } from '../libs/weft/dist/index.js';

const megabyte = 1 << 20;
/** A square layer of this width has 16 MiB of weights. */
const width = 2048;

/** Layers one after the other. */
class Layers extends nn.Module {
  constructor(count) {
    super();
    this.layers = new nn.Sequential(
      ...Array.from({ length: count }, () => new nn.Linear(width, width, { bias: false })),
    );
  }
  forward(x) {
    return this.layers.forward(x);
  }
}

function make(path, mib) {
  const model = new Layers(Math.max(1, Math.round(mib / 16)));
  jit.save(jit.script(model), path);
}

/** Peak resident memory of this process so far, and what of it now is memory of its own, in MiB. */
function memory() {
  const status = readFileSync('/proc/self/status', 'utf8');
  const value = (name) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)[1]) / 1024);
  return { peak: value('VmHWM'), own: value('RssAnon') };
}

/** What one fresh process does: opens the archive, then adds up one parameter. */
function open(path) {
  const before = memory();
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  const module = jit.load(path);
  const milliseconds = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const opened = memory();
  const [parameter] = module.parameters();
  const sum = noGrad(() => parameter.sum().item());
  if (!Number.isFinite(sum)) throw new Error(`the sum of a parameter is ${sum}`);
  console.log(JSON.stringify({ milliseconds, cpu: (user + system) / 1000, before, opened, read: memory() }));
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

function main() {
  const { values: flags } = parseArgs({
    options: {
      mib: { type: 'string', default: '1024' },
      runs: { type: 'string', default: '7' },
      archive: { type: 'string' },
      open: { type: 'string' },
    },
  });
  const self = fileURLToPath(import.meta.url);
  if (flags.open !== undefined) return open(flags.open);
  const folder = mkdtempSync(join(tmpdir(), 'weft-opening-'));
  try {
    const path = flags.archive ?? join(folder, 'large.pt');
    if (!existsSync(path)) make(path, Number(flags.mib));
    const runs = Array.from({ length: Number(flags.runs) }, () =>
      JSON.parse(execFileSync(process.execPath, [self, '--open', path], { encoding: 'utf8' })),
    );
    const of = (pick) => median(runs.map(pick));
    const line = (what, pick) =>
      console.log(
        `${what}: peak ${of((run) => pick(run).peak)} MiB, of its own ${of((run) => pick(run).own)} MiB`,
      );
    console.log(`${(statSync(path).size / megabyte).toFixed(0)} MiB, median of ${runs.length} processes`);
    console.log(
      `open: ${of((run) => run.milliseconds).toFixed(1)} ms, of processors ${of((run) => run.cpu).toFixed(1)} ms`,
    );
    line('memory before', (run) => run.before);
    line('memory opened', (run) => run.opened);
    line('memory after reading one parameter', (run) => run.read);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main();
