// Times the same workloads with weft, PyTorch and, where it is installed here, ONNX Runtime, one after the other, and prints how
// many times as long as the fastest of the others weft takes: `node benchmarks/compare.mjs --help`.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
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

function python(...args) {
  try {
    return execFileSync(flags.python, [script, ...args], {
      encoding: 'utf8',
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

const onnx = await import('onnxruntime-node').catch(() => undefined);

/** Milliseconds, or undefined where there is no runtime or no exported model. */
async function timeWithOnnx(folder) {
  const path = join(folder, 'model.onnx');
  if (onnx === undefined || !existsSync(path)) return undefined;
  const record = JSON.parse(readFileSync(join(folder, 'io.json'), 'utf8'));
  const { buffer, byteOffset } = readFileSync(join(folder, 'tensors.bin'));
  const session = await onnx.InferenceSession.create(path, { intraOpNumThreads: Number(flags.threads) });
  const inputs = record.calls[0].inputs.map(({ tensor: { dtype, shape, offset } }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const Elements = dtype === 'int64' ? BigInt64Array : Float32Array;
    const start = byteOffset + offset;
    const bytes = buffer.slice(start, start + count * Elements.BYTES_PER_ELEMENT);
    return new onnx.Tensor(dtype, new Elements(bytes), shape);
  });
  const feeds = Object.fromEntries(session.inputNames.map((name, index) => [name, inputs[index]]));
  // The warm-up that the others have.
  const until = performance.now() + 2000;
  for (let run = 0; run < 4 || (run < 10_000 && performance.now() < until); run++) await session.run(feeds);
  const times = [];
  for (let run = 0; run < Number(flags.runs); run++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}

const digits = (value) =>
  value === undefined ? '-' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
const columns = [['workload', 22], ['right', 6], ['weft ms', 10], ['script ms', 10], ['frozen ms', 10], ['onnx ms', 10], ['weft / best', 11]]; // prettier-ignore
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
  if (onnx !== undefined && !existsSync(join(folder, 'model.onnx'))) python('export', folder);
  const right = isRight(folder);
  const ours = timeWithWeft(folder);
  const torch = JSON.parse(python('time', folder, '--threads', flags.threads, '--runs', flags.runs));
  const other = await timeWithOnnx(folder);
  const best = Math.min(...[torch.script, torch.frozen, other].filter((value) => value !== undefined));
  const ratio = ours.median === undefined ? undefined : ours.median / best;
  rows.push({ name, right, weft: ours, torch, onnx: other, ratio });
  console.log(
    line([
      name,
      right ? 'yes' : 'NO',
      digits(ours.median),
      digits(torch.script),
      digits(torch.frozen),
      digits(other),
      digits(ratio),
    ]),
  );
}
const ratios = rows.map(({ ratio }) => ratio).filter((ratio) => ratio !== undefined);
const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
console.log(
  `\nweft / best: the median of weft over the least of the others'; geometric mean ${digits(mean)} of ${ratios.length} workloads, ${flags.threads} threads`,
);
if (onnx === undefined)
  console.log(
    'ONNX Runtime is not installed here: ONNXRUNTIME_NODE_INSTALL_CUDA=skip npm install --prefix benchmarks --no-save onnxruntime-node',
  );
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ flags, rows })}\n`);
