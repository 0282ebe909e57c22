// weft bench: how fast recorded cases and archives run here, told beside what the machine can do at most.
import { fork } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { DeviceFlags } from '@weft/worker';
import { addDeviceOptions, collect, deviceOptionsOf, positive } from '@weft/worker';
import { WeftError, devices as dev } from 'weft';
import type { BenchAnswer, BenchRequest, BenchResult } from '../bench-process.ts';
import { Output, formatBytes } from '../output.ts';
import { casesIn } from '../recorded-cases.ts';
import { onSignal } from '../signals.ts';

interface Flags extends DeviceFlags {
  readonly runs: number;
  readonly limit: number;
  readonly filter?: string;
  readonly method: string;
  readonly inputSpec?: readonly string[];
  readonly json?: string | true;
}

type Row = { readonly name: string; readonly device: string } & (
  (BenchResult & { readonly error?: undefined }) | { readonly error: string }
);

export function benchCommand(program: Command): void {
  const command = program
    .command('bench')
    .description('time recorded cases (inference and training) or an archive, beside what the machine can do')
    .argument('<paths...>', 'folders of cases (io.json, tensors.bin, model.pt, at any depth), or archives')
    .option('--runs <count>', 'timed runs of each', positive, 30)
    .option(
      '--limit <seconds>',
      'how long the runs of one may take; three are made in any case',
      positive,
      20,
    )
    .option('--filter <text>', 'only cases whose name contains this')
    .option('--method <name>', 'archive with specs: the method', 'forward')
    .option(
      '--input-spec <[name=]spec>',
      'archive: an argument of zeros, such as float32[1,3,224,224]; what is no tensor as JSON (repeatable)',
      collect,
    );
  addDeviceOptions(command, 'devices to time, one after the other (cpu when not given)')
    .option('--json [file]', 'one JSON object, on standard output or in a file')
    .addHelpText(
      'after',
      `
Milliseconds are of one run after warm-up: a call, or a training step (forward, backward, update). compile is what the first run took
beyond that; memory is the most that its process held. GFLOP/s counts matrix products and convolutions, GB/s what must move once;
in brackets, their part of what the machine reaches in multiply-adds and in reading memory. Each runs in a process of its own.

Examples:
  weft bench cases more-cases --filter mlp --threads 1
  weft bench model.pt --input-spec float32[1,3,224,224] --device cpu,reference --json figures.json`,
    )
    .action(bench);
}

async function bench(paths: readonly string[], flags: Flags): Promise<void> {
  const names = flags.device ?? ['cpu'];
  if (flags.threads === 0) throw new WeftError('--threads 0: a device needs 1 thread or more');
  const targets = distinct(paths.flatMap((path) => targetsIn(path, flags)));
  if (targets.length === 0)
    throw new WeftError(`${paths.join(', ')} holds no cases named like '${flags.filter}'`);
  const options = deviceOptionsOf(flags);
  for (const name of names) await refuseForeign(name, options);
  const output = new Output({ json: flags.json === true });
  const ceilings = dev.measureCeilings(flags.threads);
  const progress = output.isLive ? output.progress(targets.length * names.length, 'workload') : undefined;
  const rows: Row[] = [];
  try {
    for (const device of names) {
      for (const target of targets) {
        progress?.update(rows.length, target.name);
        const { runs, limit, method } = flags;
        const answer = await inProcess({ ...target, method, device, options, runs, limit });
        const place = { name: target.name, device };
        rows.push('error' in answer ? { ...place, error: answer.error } : { ...place, ...answer.result });
      }
    }
  } finally {
    progress?.stop();
  }
  const text = JSON.stringify({ machine: ceilings ?? null, workloads: rows.map(figuresOf) });
  if (flags.json === true) process.stdout.write(`${text}\n`);
  else if (flags.json !== undefined) writeFileSync(flags.json, `${text}\n`);
  print(output, rows, ceilings);
  if (rows.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

type Target = Pick<BenchRequest, 'path' | 'name' | 'specs'>;

/** Each target once; those of one name are told apart by their paths. */
function distinct(found: readonly Target[]): Target[] {
  const targets = [...new Map(found.map((target) => [resolve(target.path), target])).values()];
  const count = new Map<string, number>();
  for (const { name } of targets) count.set(name, (count.get(name) ?? 0) + 1);
  return targets.map((target) => (count.get(target.name) === 1 ? target : { ...target, name: target.path }));
}

function targetsIn(path: string, { filter = '', inputSpec }: Flags): Target[] {
  if (!existsSync(path)) throw new WeftError(`there is no folder or archive ${path}`);
  if (!statSync(path).isDirectory()) {
    if (inputSpec !== undefined) return [{ path, name: basename(path), specs: inputSpec }];
    const folder = dirname(path);
    if (existsSync(join(folder, 'io.json')) && basename(path) === 'model.pt')
      return [{ path: folder, name: basename(folder) }];
    throw new WeftError(
      `${path}: its arguments are not known; give each with --input-spec, such as --input-spec float32[1,3,224,224]`,
    );
  }
  const found = casesIn(path)
    .map((folder) => ({
      path: folder,
      name: relative(path, folder).split(sep).join('/') || basename(folder),
    }))
    .filter(({ path: folder }) => existsSync(join(folder, 'model.pt')));
  if (found.length === 0)
    throw new WeftError(`${path} holds no cases: folders with io.json and model.pt are expected`);
  return found.filter(({ name }) => name.includes(filter));
}

/** Throws DeviceError for a device that is not there, WeftError for one that the executor cannot use. */
async function refuseForeign(name: string, options: dev.DeviceOptions): Promise<void> {
  const [device] = await dev.deviceRegistry.open(name, options);
  const probe = device.allocate(8);
  const isHost = probe.bytes !== undefined;
  probe.free();
  if (!isHost)
    throw new WeftError(
      `device '${name}' has memory of its own; bench times devices on host memory, such as cpu or reference`,
    );
}

async function inProcess(request: BenchRequest): Promise<BenchAnswer> {
  const child = fork(fileURLToPath(new URL('./bench-process.js', import.meta.url)), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const removeHandlers = onSignal((_, status) => {
    child.kill('SIGKILL');
    process.exit(status);
  });
  try {
    return await new Promise<BenchAnswer>((resolve) => {
      child.once('message', (answer) => resolve(answer as BenchAnswer));
      child.once('error', (error) => resolve({ error: error.message }));
      child.once('exit', (code, signal) =>
        resolve({ error: `its process ended (${signal ?? `status ${code}`})` }),
      );
      child.send(request);
    });
  } finally {
    removeHandlers();
  }
}

/** A row with rates: GFLOP/s and GB/s where the work is known. */
function figuresOf(row: Row) {
  if (row.error !== undefined || row.work === undefined || row.median === 0) return row;
  const { median, work } = row;
  return { ...row, gflops: work.flops / median / 1e6, gbytes: work.bytes / median / 1e6 };
}

function print(output: Output, rows: readonly Row[], ceilings: dev.Ceilings | undefined): void {
  const severalDevices = new Set(rows.map(({ device }) => device)).size > 1;
  const share = (rate: number, most: number | undefined): string =>
    most === undefined ? '' : ` (${Math.round((100e9 * rate) / most)} %)`;
  const body = rows.map((row): string[] => {
    const title = severalDevices ? [row.name, row.device] : [row.name];
    if (row.error !== undefined) return [...title, 'failed', '-', '-', '-', '-', '-', '-', '-'];
    const { kind, state, median, p10, p90, compile, peakMemory } = row;
    const figures = figuresOf(row);
    const rates =
      'gflops' in figures
        ? [
            figures.work!.flops === 0
              ? '-'
              : `${digits(figures.gflops)}${share(figures.gflops, ceilings?.flops)}`,
            `${digits(figures.gbytes)}${share(figures.gbytes, ceilings?.read)}`,
          ]
        : ['-', '-'];
    const how = `${kind}, ${state.split(':')[0]}`;
    return [...title, how, ...[median, p10, p90, compile].map(digits), formatBytes(peakMemory), ...rates];
  });
  output.table(
    [
      'workload',
      ...(severalDevices ? ['device'] : []),
      'how',
      'median ms',
      'p10',
      'p90',
      'compile ms',
      'memory',
      'GFLOP/s',
      'GB/s',
    ],
    body,
  );
  output.line();
  const rate = (value: number): string => digits(value / 1e9);
  output.line(
    ceilings === undefined
      ? 'the machine: not measured, since the native kernels are not built here'
      : `the machine, ${ceilings.threads} threads: ${rate(ceilings.flops)} GFLOP/s in multiply-adds, ${rate(ceilings.read)} GB/s read, ${rate(ceilings.triad)} GB/s triad`,
  );
  for (const { name, error } of rows) if (error !== undefined) output.line(`FAILED ${name}: ${error}`);
}

/** Three significant digits, without an exponent. */
const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
