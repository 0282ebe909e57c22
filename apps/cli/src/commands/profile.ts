// weft profile: where the time of a method goes, kernel by kernel as it runs compiled, or operator by operator as the interpreter
// runs it.
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
import { kernelProfile } from '../profile/kernels.ts';
import { operatorLines, operatorSpans, operatorTrace } from '../profile/operators.ts';
import { writeTrace } from '../profile/trace.ts';

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
    .argument('<archive>', 'a .pt file')
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

Example:
  weft profile model.pt --input image.npy --trace trace.json`,
    )
    .action(profile);
}

async function profile(archive: string, flags: Flags): Promise<void> {
  if (flags.input !== undefined && flags.inputSpec !== undefined)
    throw new WeftError('arguments are given by --input or by --input-spec, not by both');
  const output = new Output(flags);
  const devices = await openDevices({ ...flags, device: flags.device ?? ['cpu'] });
  if (devices.length !== 1) throw new WeftError('--device: a profile is of one device');
  useHostDevice(devices[0]);
  // Compiled at once, without the interpreter's runs before that.
  jit.setExecutor({ profileRuns: 0 });
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
  const name = basename(archive);
  if (flags.interpreted !== true) {
    const values = await given();
    const { lines, spans, recorded, unrecorded, dropped } = kernelProfile(() => run(values), flags.runs);
    const states = jit.executorState(module.method(flags.method), module.object);
    if (lines.length > 0 && states.some(({ state }) => state === 'compiled')) {
      writeTrace(flags.trace, name, 'kernels', spans);
      const total = lines.reduce((sum, { median }) => sum + median, 0);
      output.record('profile', {
        kind: 'kernels',
        milliseconds: unrecorded,
        recorded,
        trace: flags.trace,
        dropped,
        lines,
      });
      output.table(
        ['kernel', 'operators', 'result', 'calls', 'ms', 'share', 'GFLOP/s', 'source', 'called from'],
        lines
          .slice(0, flags.top)
          .map(({ kernel, operators, result, calls, median, flops, source, code }) => [
            kernel,
            operators,
            result,
            calls,
            median.toFixed(3),
            `${((100 * median) / total).toFixed(1)} %`,
            flops === undefined ? '-' : (flops / 1e9).toFixed(1),
            source,
            code,
          ]),
      );
      output.line(
        `\n${unrecorded.toFixed(3)} ms a run, ${recorded.toFixed(3)} with ${lines.length} kernels timed one by one; the trace is in ${flags.trace}`,
      );
      if (dropped > 0) output.line(`${dropped} more spans were not kept`);
      return;
    }
    const reason = states.find((state) => state.reason !== undefined)?.reason?.split('\n')[0];
    output.line(
      `${flags.method} is not compiled${reason === undefined ? '' : ` (${reason})`}, or the device tells of no kernels: operators as the interpreter runs them\n`,
    );
  }
  const { spans, dropped } = await operatorSpans(async (tracer) => run(await given(), tracer));
  writeTrace(flags.trace, name, 'interpreter', operatorTrace(spans));
  const lines = operatorLines(spans);
  const total = spans[0].duration;
  output.record('profile', { kind: 'operators', milliseconds: total, trace: flags.trace, dropped, lines });
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
  output.line(`\n${total.toFixed(3)} ms in all, ${spans.length} spans; the trace is in ${flags.trace}`);
  if (dropped > 0) output.line(`${dropped} more spans were not kept`);
}
