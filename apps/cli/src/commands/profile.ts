// weft profile: where the time of a method goes, operator by operator, as the interpreter runs it.
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import type { DeviceFlags } from '@weft/worker';
import { addDeviceOptions, collect, count, positive } from '@weft/worker';
import { WeftError, jit, manualSeed, noGrad, useHostDevice } from 'weft';
import { argumentsFromFiles, argumentsFromSpecs, calleeOf } from '../arguments.ts';
import type { ImageFlags } from '../images.ts';
import { addImageOptions } from '../images.ts';
import { openDevices } from '../open-devices.ts';
import { Output } from '../output.ts';

interface Flags extends DeviceFlags, ImageFlags {
  readonly input?: readonly string[];
  readonly inputSpec?: readonly string[];
  readonly method: string;
  readonly seed?: number;
  readonly trace?: string;
  readonly top: number;
  readonly json?: boolean;
}

export function profileCommand(program: Command): void {
  const command = program
    .command('profile')
    .description(
      'show where the time of a method goes: a span for each operator, with its line of the source',
    )
    .argument('<archive>', 'a .pt file')
    .option(
      '--input <[name=]file>',
      'an argument: .json, .npy, .safetensors or a picture (repeatable)',
      collect,
    )
    .option('--input-spec <[name=]spec>', 'or arguments of zeros, such as float32[1,3,224,224]', collect)
    .option('--method <name>', 'the method', 'forward')
    .option('--seed <number>', 'seed of the random numbers', count)
    .option('--trace <file>', 'where the trace goes, for Perfetto or chrome://tracing', 'trace.json')
    .option('--top <count>', 'lines of the table', positive, 20);
  addImageOptions(command);
  addDeviceOptions(command, 'the device that tensors are on (cpu when not given)')
    .option('--json', 'one JSON object instead of the table')
    .addHelpText(
      'after',
      `
The method runs once for warming up and once for the profile, both times interpreted, so that each operator is seen by itself; a
compiled method (weft bench) merges them and is faster. self is the time without that of called functions.

Example:
  weft profile model.pt --input image.npy --trace trace.json`,
    )
    .action(profile);
}

/** What one operator took at one place of the source, in all. */
interface Line {
  readonly operator: string;
  readonly source: string;
  readonly code: string;
  calls: number;
  /** Milliseconds. */
  total: number;
  self: number;
}

async function profile(archive: string, flags: Flags): Promise<void> {
  if (flags.input !== undefined && flags.inputSpec !== undefined)
    throw new WeftError('arguments are given by --input or by --input-spec, not by both');
  const output = new Output(flags);
  const devices = await openDevices({ ...flags, device: flags.device ?? ['cpu'] });
  if (devices.length !== 1) throw new WeftError('--device: a profile is of one device');
  useHostDevice(devices[0]);
  const module = jit.load(archive);
  const callee = calleeOf(module, flags.method);
  const values = async (): ReturnType<typeof argumentsFromFiles> =>
    flags.inputSpec === undefined
      ? argumentsFromFiles(callee, flags.input ?? [], flags)
      : argumentsFromSpecs(callee, flags.inputSpec);
  const run = async (): Promise<jit.SpanRecorder> => {
    const tracer = new jit.SpanRecorder();
    const given = await values();
    if (flags.seed !== undefined) manualSeed(flags.seed);
    noGrad(() => jit.runMethod(module.object, flags.method, given, { print: () => undefined, tracer }));
    return tracer;
  };
  await run();
  const { spans, dropped } = await run();
  const path = flags.trace ?? 'trace.json';
  write(path, traceOf(spans, basename(archive)));
  const lines = linesOf(spans);
  const total = spans[0].duration;
  output.record('profile', { milliseconds: total, trace: path, dropped, lines });
  output.table(
    ['operator', 'calls', 'self ms', 'share', 'total ms', 'source', 'code'],
    lines
      .slice(0, flags.top)
      .map(({ operator, calls, self, total: whole, source, code }) => [
        operator,
        calls,
        self.toFixed(3),
        `${((100 * self) / total).toFixed(1)} %`,
        whole.toFixed(3),
        source,
        code,
      ]),
  );
  output.line(`\n${total.toFixed(3)} ms in all, ${spans.length} spans; the trace is in ${path}`);
  if (dropped > 0) output.line(`${dropped} more spans were not kept`);
}

/** The slowest first. */
function linesOf(spans: readonly jit.Span[]): Line[] {
  const lines = new Map<string, Line>();
  for (const { name, node, duration, inside } of spans) {
    if (node === undefined) continue;
    const { source, code } = placeOf(node.source);
    const key = `${name} ${source}`;
    let line = lines.get(key);
    if (line === undefined)
      lines.set(key, (line = { operator: name, source, code, calls: 0, total: 0, self: 0 }));
    line.calls++;
    line.total += duration;
    line.self += duration - inside;
  }
  return [...lines.values()].sort((a, b) => b.self - a.self);
}

type Source = NonNullable<jit.Span['node']>['source'];

/** `file:line`, and what stands there. */
function placeOf(source: Source): { source: string; code: string } {
  if (source === undefined) return { source: '-', code: '' };
  const { written } = source;
  const [text] = written.text.slice(written.start, written.end).split('\n');
  return {
    source: `${basename(written.file)}:${written.line}`,
    code: text.length > 48 ? `${text.slice(0, 47)}…` : text,
  };
}

/** The format of chrome://tracing and Perfetto: complete events, times in microseconds. */
function traceOf(spans: readonly jit.Span[], process: string): string {
  const origin = spans[0].start;
  const events: object[] = [
    { name: 'process_name', ph: 'M', pid: 1, args: { name: `weft profile ${process}` } },
    { name: 'thread_name', ph: 'M', pid: 1, tid: 1, args: { name: 'interpreter' } },
  ];
  for (const { name, node, start, duration } of spans) {
    const at = { ph: 'X', pid: 1, tid: 1, ts: 1000 * (start - origin), dur: 1000 * duration };
    if (node === undefined) events.push({ name, cat: 'function', ...at });
    else {
      const args = { source: node.source?.toString() ?? '', code: placeOf(node.source).code };
      events.push({ name, cat: 'operator', ...at, args });
    }
  }
  return `${JSON.stringify({ traceEvents: events, displayTimeUnit: 'ms' })}\n`;
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new WeftError(
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}); name another file with --trace`,
    );
  }
}
