// Times the same workloads with weft, PyTorch and, where it is installed here, ONNX Runtime, one after the other, and prints how
// many times as long as the fastest of the others weft takes: `node benchmarks/compare.mjs --help`.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const weft = join(here, '..', 'apps', 'cli', 'bin', 'weft.mjs');
const script = join(here, 'workloads.py');

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string', default: join(here, '..', 'tmp', 'benchmarks') },
    python: { type: 'string', default: 'python3' },
    cases: { type: 'string' },
    filter: { type: 'string', default: '' },
    threads: { type: 'string', default: '1' },
    runs: { type: 'string', default: '30' },
    device: { type: 'string', default: 'cpu' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (flags.help) {
  console.log(`Usage: node benchmarks/compare.mjs [options]

  --folder <folder>   where the workloads are, or are made (default: tmp/benchmarks)
  --python <command>  a Python that has PyTorch (default: python3)
  --cases <folder>    time these recorded cases (model.pt, io.json, tensors.bin, each in a folder) instead
  --filter <text>     only workloads whose name contains this
  --threads <count>   threads for each program (default: 1)
  --runs <count>      timed runs of each (default: 30)
  --device <name>     weft's device (default: cpu)
  --json <file>       write the figures`);
  process.exit(0);
}

// PyTorch's BLAS has threads of its own, which torch.set_num_threads does not bind.
const blas = ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'];
const environment = { ...process.env, ...Object.fromEntries(blas.map((name) => [name, flags.threads])) };

function python(...args) {
  try {
    return execFileSync(flags.python, [script, ...args], {
      encoding: 'utf8',
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const last = String(error.stderr ?? error.message).trim().split('\n').at(-1); // prettier-ignore
    console.error(
      `${flags.python} failed: ${last}\nA Python with PyTorch is needed; name one with --python, such as --python /usr/bin/python3`,
    );
    process.exit(1);
  }
}

function timeWithWeft(folder) {
  const args = ['bench', folder, '--runs', flags.runs, '--threads', flags.threads, '--device', flags.device];
  try {
    const text = execFileSync(process.execPath, [weft, ...args, '--json'], { encoding: 'utf8' });
    return JSON.parse(text).workloads[0];
  } catch (error) {
    return { error: error.stdout ? JSON.parse(error.stdout).workloads[0].error : error.message };
  }
}

function isRight(folder) {
  try {
    execFileSync(process.execPath, [weft, 'verify', folder, '--jobs', '1', '--timeout', '300'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

/** A process of its own, as for the others; no figures where there is no runtime or no exported model. */
function timeWithOnnx(folder) {
  const path = join(folder, 'model.onnx');
  if (!hasOnnx || !existsSync(path)) return {};
  try {
    const args = [join(here, 'time-onnx.mjs'), folder, flags.threads, flags.runs];
    return JSON.parse(
      execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    );
  } catch (error) {
    console.error(
      `${folder}: ONNX Runtime failed: ${String(error.stderr ?? error.message)
        .trim()
        .split('\n')
        .at(-1)}`,
    );
    return {};
  }
}

/** PyTorch's figures: the archive as it is, and frozen. */
const timeWithTorch = (folder, how) =>
  JSON.parse(python('time', folder, '--how', how, '--threads', flags.threads, '--runs', flags.runs));

const hasOnnx = await import('onnxruntime-node').then(
  () => true,
  () => false,
);

const digits = (value) =>
  value === undefined ? '-' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
const megabytes = (bytes) => (bytes === undefined ? '-' : (bytes / 1e6).toFixed(0));
const leastOf = (...values) => {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
};
const columns = [['workload', 22], ['right', 6], ['weft ms', 10], ['script ms', 10], ['frozen ms', 10], ['onnx ms', 10], ['weft / best', 11], ['weft MB', 8], ['torch MB', 8], ['onnx MB', 8]]; // prettier-ignore
const line = (cells) =>
  cells
    .map((cell, index) => (index < 2 ? cell.padEnd(columns[index][1]) : cell.padStart(columns[index][1])))
    .join(' ');

const known =
  flags.cases === undefined
    ? python('list').trim().split('\n')
    : readdirSync(flags.cases).filter((name) => existsSync(join(flags.cases, name, 'io.json')));
const names = known.filter((name) => name.includes(flags.filter));
if (names.length === 0) {
  console.error(`no workload is named like '${flags.filter}'`);
  process.exit(1);
}
mkdirSync(flags.folder, { recursive: true });
const rows = [];
console.log(line(columns.map(([title]) => title)));
for (const name of names) {
  const folder = join(flags.cases ?? flags.folder, name);
  if (!existsSync(join(folder, 'tensors.bin'))) python('make', flags.folder, name);
  if (hasOnnx && !existsSync(join(folder, 'model.onnx'))) python('export', folder);
  const right = isRight(folder);
  const ours = timeWithWeft(folder);
  const torch = { script: timeWithTorch(folder, 'script'), frozen: timeWithTorch(folder, 'frozen') };
  const onnx = timeWithOnnx(folder);
  const others = [torch.script, torch.frozen, onnx].filter(({ median }) => median !== undefined);
  const ratio =
    ours.median === undefined ? undefined : ours.median / Math.min(...others.map(({ median }) => median));
  rows.push({ name, right, weft: ours, torch, onnx, ratio });
  console.log(
    line([
      name,
      right ? 'yes' : 'NO',
      digits(ours.median),
      digits(torch.script.median),
      digits(torch.frozen.median),
      digits(onnx.median),
      digits(ratio),
      megabytes(ours.peakMemory),
      megabytes(leastOf(torch.script.memory, torch.frozen.memory)),
      megabytes(onnx.memory),
    ]),
  );
}
const ratios = rows.map(({ ratio }) => ratio).filter((ratio) => ratio !== undefined);
const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
console.log(
  `\nweft / best: the median of weft over the least of the others'; geometric mean ${digits(mean)} of ${ratios.length} workloads, ${flags.threads} threads\nMB: the most that a process held, with all that it had loaded; of PyTorch's two ways the one that held less`,
);
if (!hasOnnx)
  console.log(
    'ONNX Runtime is not installed here: ONNXRUNTIME_NODE_INSTALL_CUDA=skip npm install --prefix benchmarks --no-save onnxruntime-node',
  );
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ flags, rows })}\n`);
