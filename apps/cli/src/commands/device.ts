// weft device: which devices there are, and whether a plugin does what devices must do.
import type { Command } from 'commander';
import type { DeviceFlags } from '@weft/worker';
import { addDeviceOptions, collectSetting, count } from '@weft/worker';
import { devices } from 'weft';
import { openDevices } from '../open-devices.ts';
import { Output, formatBytes } from '../output.ts';

interface ListFlags extends DeviceFlags {
  readonly json?: boolean;
}

interface TestFlags extends ListFlags {
  readonly filter?: string;
}

export function deviceCommand(program: Command): void {
  const command = program.command('device').description('list devices, test device plugins');
  const lister = command.command('list').description('show the devices of this machine');
  addDeviceOptions(lister, 'also devices of these plugins').option('--json', 'one JSON object').action(list);
  command
    .command('test')
    .description('run the conformance kit on a device: every core operator, random programs, models')
    .argument('<plugin>', 'type, npm package or path')
    .option('--filter <text>', 'only cases whose name contains this')
    .option('--device-option <name=value>', 'a setting of the device plugin (repeatable)', collectSetting)
    .option('--threads <count>', 'threads that the device may use for itself', count)
    .option('--json', 'one JSON object a device')
    .addHelpText(
      'after',
      '\nThe exit status is 1 when a case fails. Cases that the device does not claim are skipped.',
    )
    .action(test);
}

async function list(flags: ListFlags): Promise<void> {
  const output = new Output(flags);
  const named = flags.device ?? [];
  const names = [...devices.deviceRegistry.types.filter((type) => !named.includes(type)), ...named];
  const infos = (await openDevices({ ...flags, device: names })).map(({ info }) => info);
  output.record('devices', { devices: infos });
  output.table(
    ['device', 'name', 'memory', 'speed', 'bandwidth', 'dtypes'],
    infos.map(({ type, index, name, memory, flops, bandwidth, dtypes }) => [
      `${type}:${index}`,
      name,
      formatBytes(memory),
      `${(flops / 1e9).toPrecision(3)} Gflop/s`,
      `${formatBytes(bandwidth)}/s`,
      dtypes.length,
    ]),
  );
}

async function test(plugin: string, flags: TestFlags): Promise<void> {
  const output = new Output(flags);
  for (const device of await openDevices({ ...flags, device: [plugin] })) {
    const report = await runKit(device, flags, output);
    output.record('conformance', report);
    if (!output.isJson) print(output, report);
    if (report.failed.length > 0) process.exitCode = 1;
    if (report.passed === 0 && report.failed.length === 0) {
      output.line(
        `no case ran: ${flags.filter === undefined ? 'the device claims nothing' : 'none matches --filter'}`,
      );
      process.exitCode = 1;
    }
  }
}

async function runKit(
  device: devices.Device,
  { filter }: TestFlags,
  output: Output,
): Promise<devices.ConformanceReport> {
  let progress: ReturnType<Output['progress']> | undefined;
  try {
    return await devices.runConformance(device, {
      ...(filter === undefined ? {} : { filter }),
      onCase: (name, done, total) => {
        if (output.isLive) (progress ??= output.progress(total, 'case')).update(done, name);
      },
    });
  } finally {
    progress?.stop();
  }
}

function print(
  output: Output,
  { device, passed, failed, skipped, operators }: devices.ConformanceReport,
): void {
  for (const { name, reason } of failed) output.line(`FAILED ${name}: ${reason}`);
  const reasons = new Map<string, number>();
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  if (reasons.size > 0) {
    output.table(
      ['skipped', 'because'],
      [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, number]) => [number, reason]),
    );
    output.line();
  }
  output.table(
    ['device', 'passed', 'failed', 'skipped', 'operators that pass'],
    [[device, passed, failed.length, skipped.length, operators.length]],
  );
}
