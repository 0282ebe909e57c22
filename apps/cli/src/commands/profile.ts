// weft profile: where the time of a method goes, kernel by kernel as it runs compiled, or operator by operator as the interpreter
// runs it.
import { statSync } from 'node:fs';
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
import type { KernelProfile } from '../profile/kernels.ts';
import { kernelProfile } from '../profile/kernels.ts';
import { operatorLines, operatorSpans, operatorTrace } from '../profile/operators.ts';
import { writeTrace } from '../profile/trace.ts';
import { stateOf } from '../workload-state.ts';

interface Flags extends DeviceFlags, ImageFlags {
  readonly input?: readonly string[];
  readonly inputSpec?: readonly string[];
  readonly method: string;
  readonly interpreted?: boolean;
  readonly runs: number;
  readonly seed?: number;
  readonly trace: string;
  readonly top: number;
  readonly json?: boolean;
}

export function profileCommand(program: Command): void {
  const command = program
    .command('profile')
    .description('show where the time of a method goes: a span for each kernel, with its line of the source')
    .argument('<path>', 'a .pt file, or the folder of a recorded case (inference or training)')
    .option(
      '--input <[name=]file>',
      'an argument: .json, .npy, .safetensors or a picture (repeatable)',
      collect,
    )
    .option('--input-spec <[name=]spec>', 'or arguments of zeros, such as float32[1,3,224,224]', collect)
    .option('--method <name>', 'the method', 'forward')
    .option('--interpreted', 'operators as the interpreter runs them, not kernels of the compiled method')
    .option('--runs <count>', 'runs whose kernels are timed', positive, 10)
    .option('--seed <number>', 'seed of the random numbers', count)
    .option('--trace <file>', 'where the trace goes, for Perfetto or chrome://tracing', 'trace.json')
    .option('--top <count>', 'lines of the table', positive, 20);
  addImageOptions(command);
  addDeviceOptions(command, 'the device that tensors are on (cpu when not given)')
    .option('--json', 'one JSON object instead of the table')
    .addHelpText(
      'after',
      `
The method is compiled for the arguments and run: three times for warming up, then as many times as --runs says, then as often with
each kernel between two readings of the clock. A line of the table is one kernel of the compiled graph, with the core operators that
it computes and the place of the source that the first of them comes from; times are medians of a run. A method that cannot be
compiled is profiled as --interpreted does: one run, operator by operator; self is the time without that of called functions.

Examples:
  weft profile model.pt --input image.npy --trace trace.json
  weft profile cases/train-mlp --threads 1`,
    )
    .action(profile);
}

async function profile(path: string, flags: Flags): Promise<void> {
  if (flags.input !== undefined && flags.inputSpec !== undefined)
    throw new WeftError('arguments are given by --input or by --input-spec, not by both');
  const output = new Output(flags);
  const devices = await openDevices({ ...flags, device: flags.device ?? ['cpu'] });
  if (devices.length !== 1) throw new WeftError('--device: a profile is of one device');
  useHostDevice(devices[0]);
  // Compiled at once, without the interpreter's runs before that.
  jit.setExecutor({ profileRuns: 0 });
  const isCase = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isCase) profileCase(path, flags, output);
  else await profileArchive(path, flags, output);
}

/** A recorded case has its own arguments; a training case is one step: forward, backward, update. */
function profileCase(folder: string, flags: Flags, output: Output): void {
  if (flags.input !== undefined || flags.inputSpec !== undefined || flags.interpreted === true)
    throw new WeftError(`${folder} is a recorded case, profiled compiled and with the arguments that it records: leave out --input, --input-spec and --interpreted`); // prettier-ignore
  const workload = jit.openWorkload(folder);
  const profiled = kernelProfile(workload.run, flags.runs);
  const state = stateOf(workload);
  if (state !== 'compiled') throw new WeftError(`${folder} has no kernels to show: ${state}`);
  showKernels(profiled, basename(folder), flags, output);
}

async function profileArchive(archive: string, flags: Flags, output: Output): Promise<void> {
  const module = jit.load(archive);
  const callee = calleeOf(module, flags.method);
  const given = async (): ReturnType<typeof argumentsFromFiles> =>
    flags.inputSpec === undefined
      ? argumentsFromFiles(callee, flags.input ?? [], flags)
      : argumentsFromSpecs(callee, flags.inputSpec);
  const run = (values: Awaited<ReturnType<typeof given>>, tracer?: jit.SpanRecorder): void => {
    if (flags.seed !== undefined) manualSeed(flags.seed);
    noGrad(() => jit.runMethod(module.object, flags.method, values, { print: () => undefined, tracer }));
  };
  if (flags.interpreted !== true) {
    const inputs = await given();
    const profiled = kernelProfile(() => run(inputs), flags.runs);
    const state = stateOf({ module, calls: [{ method: flags.method, inputs }] });
    if (state === 'compiled' && profiled.lines.length > 0)
      return showKernels(profiled, basename(archive), flags, output);
    const why = state === 'compiled' ? 'the device tells of no kernels' : state;
    output.line(`${flags.method}: ${why}; operators as the interpreter runs them\n`);
  }
  const recorded = await operatorSpans(async (tracer) => run(await given(), tracer));
  showOperators(recorded, basename(archive), flags, output);
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

function showKernels(profiled: KernelProfile, name: string, { trace, top }: Flags, output: Output): void {
  const { lines, spans, recorded, unrecorded, dropped } = profiled;
  writeTrace(trace, name, 'kernels', spans);
  output.record('profile', { kind: 'kernels', milliseconds: unrecorded, recorded, trace, dropped, lines });
  const total = lines.reduce((sum, { median }) => sum + median, 0);
  output.table(
    ['kernel', 'operators', 'result', 'calls', 'ms', 'share', 'GFLOP/s', 'source', 'called from'],
    lines
      .slice(0, top)
      .map(({ kernel, operators, result, calls, median, flops, source, code }) => [
        ...[kernel, operators, result, calls, median.toFixed(3), percent(median, total)],
        ...[flops === undefined ? '-' : (flops / 1e9).toFixed(1), source, code],
      ]),
  );
  output.line(
    `\n${unrecorded.toFixed(3)} ms a run, ${recorded.toFixed(3)} with ${lines.length} kernels timed one by one; the trace is in ${trace}`,
  );
  if (dropped > 0) output.line(`${dropped} more spans were not kept`);
}

function showOperators(
  recorder: jit.SpanRecorder,
  name: string,
  { trace, top }: Flags,
  output: Output,
): void {
  const { spans, dropped } = recorder;
  writeTrace(trace, name, 'interpreter', operatorTrace(spans));
  const lines = operatorLines(spans);
  const total = spans[0].duration;
  output.record('profile', { kind: 'operators', milliseconds: total, trace, dropped, lines });
  output.table(
    ['operator', 'calls', 'self ms', 'share', 'total ms', 'source', 'code'],
    lines
      .slice(0, top)
      .map(({ operator, calls, self, total: whole, source, code }) => [
        ...[operator, calls, self.toFixed(3), percent(self, total), whole.toFixed(3), source, code],
      ]),
  );
  output.line(`\n${total.toFixed(3)} ms in all, ${spans.length} spans; the trace is in ${trace}`);
  if (dropped > 0) output.line(`${dropped} more spans were not kept`);
}
