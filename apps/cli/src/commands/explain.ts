// weft explain: what would run where, without running it: the plan of a training file or of a split archive, for each operator
// of an archive the device that takes it, or what the passes make of a method.
import { Option } from 'commander';
import type { Command } from 'commander';
import type { DeviceFlags } from '@weft/worker';
import { addDeviceOptions, collect } from '@weft/worker';
import {
  describeServing,
  devices as dev,
  explainPlan,
  jit,
  parseMesh,
  planDescription,
  prepareTraining,
} from 'weft';
import type { PlanExplanation } from 'weft';
import { argumentsFromSpecs, calleeOf } from '../arguments.ts';
import { collectSetting, loadDefinition } from '../load-definition.ts';
import { openDevices } from '../open-devices.ts';
import { Output, formatBytes } from '../output.ts';
import type { PassStage } from '../pass-stages.ts';
import { executorStages, torchStages, trainingStages } from '../pass-stages.ts';

interface Flags extends DeviceFlags {
  readonly mesh?: string;
  readonly microBatches?: number;
  readonly schedule?: 'gpipe' | '1f1b';
  readonly set: Record<string, string>;
  readonly actions?: boolean;
  readonly method: string;
  readonly inputSpec?: readonly string[];
  readonly nodes?: boolean;
  readonly passes?: 'executor' | 'training' | 'torch';
  readonly memoryLimit?: string;
  readonly without: readonly string[];
  readonly json?: boolean;
}

export function explainCommand(program: Command): void {
  const command = program
    .command('explain')
    .description('show what would run where: the plan of a training file, the devices of an archive')
    .argument('<file>', 'a .ts or .js file that exports a training definition, or a .pt archive')
    .option('--mesh <axes>', 'logical devices by axis, such as pipeline=2,data=2')
    .option('--micro-batches <count>', 'micro-batches a step', Number)
    .option('--schedule <name>', 'gpipe or 1f1b')
    .option('--set <name=value>', 'a setting for the training file (repeatable)', collectSetting, {})
    .option('--actions', 'list every action of every device')
    .option(
      '--input-spec <[name=]spec>',
      'archive: an argument, such as float32[1,3,224,224]; what is no tensor as JSON (repeatable)',
      collect,
    )
    .option('--method <name>', 'archive: the method', 'forward')
    .option('--nodes', 'archive: list every node instead of a line for each kind')
    .addOption(
      new Option(
        '--passes [pipeline]',
        'archive: print the graph after each pass, as the executor makes it for the inputs (executor), with the gradients of a loss (training), or of the torch level (torch)',
      )
        .choices(['executor', 'training', 'torch'])
        .preset('executor'),
    )
    .option(
      '--memory-limit <bytes>',
      'archive, with --passes training: what the graph may take, such as 512MB',
    )
    .option('--without <pass>', 'archive: a pass to leave out (repeatable)', collect, []);
  addDeviceOptions(command, 'archive: devices in order of preference')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  weft explain train.ts --mesh data=2
  weft explain model.pt --input-spec float32[1,3,224,224] --device ./my-device,reference
  weft explain model.pt --input-spec ids=int64[1,64] --mesh pipeline=2
  weft explain model.pt --input-spec float32[1,3,224,224] --passes
  weft explain loss.pt --input-spec float32[8,3,32,32] --input-spec int64[8] --passes training --memory-limit 64MB`,
    )
    .action(explain);
}

async function explain(file: string, flags: Flags): Promise<void> {
  const output = new Output(flags);
  if (file.endsWith('.pt')) return explainArchive(file, flags, output);
  const definition = await loadDefinition(file, flags.set);
  const mesh = flags.mesh === undefined ? (definition.mesh ?? {}) : parseMesh(flags.mesh).shape;
  const prepared = prepareTraining({
    ...definition,
    mesh,
    microBatches: flags.microBatches ?? definition.microBatches,
    schedule: flags.schedule ?? definition.schedule,
  });
  show(explainPlan(planDescription(prepared.description, Infinity)), flags, output);
}

function show(explanation: PlanExplanation, flags: Flags, output: Output): void {
  if (output.isJson) process.stdout.write(`${JSON.stringify(explanation)}\n`);
  else printExplanation(output, explanation, flags.actions === true);
}

async function explainArchive(file: string, flags: Flags, output: Output): Promise<void> {
  const module = jit.load(file);
  const callee = calleeOf(module, flags.method);
  if (flags.without.length > 0) jit.switchOffPasses(flags.without);
  if (flags.passes === 'torch') return printStages(torchStages(module, flags.method), output);
  const values = argumentsFromSpecs(callee, flags.inputSpec ?? []);
  if (flags.passes === 'training')
    return printStages(trainingStages(module, flags.method, values, flags.memoryLimit), output);
  if (flags.passes !== undefined) return printStages(executorStages(module, flags.method, values), output);
  const opened = await openDevices(flags);
  const lowered = jit.lowerModule(module.object, flags.method, values);
  if (flags.mesh !== undefined) {
    const { description } = describeServing(lowered, parseMesh(flags.mesh).shape);
    return show(explainPlan(planDescription(description, Infinity)), flags, output);
  }
  const placements = dev.explainPlacement(lowered.graph, opened);
  output.record('placement', { devices: opened.map(dev.deviceName), placements });
  if (flags.nodes === true) {
    output.table(
      ['node', 'device', 'why'],
      placements.map(({ node, device, why }) => [node, device, why]),
    );
    return;
  }
  const groups = new Map<string, { operator: string; device: string; why: string; count: number }>();
  for (const { node, device, why } of placements) {
    const operator = operatorIn(node);
    const key = `${operator} ${device} ${why}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { operator, device, why, count: 1 });
    else group.count++;
  }
  output.table(
    ['operator', 'nodes', 'device', 'why'],
    [...groups.values()].map(({ operator, count, device, why }) => [operator, count, device, why]),
  );
  output.line();
  const total = (device: string): number =>
    placements.filter((placement) => placement.device === device).length;
  for (const device of opened.map(dev.deviceName)) output.line(`${device}: ${total(device)} nodes`);
}

function printStages(stages: Iterable<PassStage>, output: Output): void {
  for (const stage of stages) {
    const { name, summary, outcome, graph } = stage;
    output.record('pass', stage);
    output.line(`== ${name} (${outcome}): ${summary}`);
    if (graph !== undefined) output.line(`${graph.trimEnd()}\n`);
  }
}

/** The operator in the description of a node, without its operands. */
const operatorIn = (node: string): string =>
  node.slice(0, node.includes('(') ? node.indexOf('(') : undefined);

export function printExplanation(output: Output, explanation: PlanExplanation, withActions: boolean): void {
  const { devices, traffic } = explanation;
  const axes = Object.entries(explanation.mesh).map(([axis, size]) => `${axis} ${size}`);
  output.line(`mesh ${axes.join(' × ') || '1 device'}, micro-batches ${explanation.microBatches}`);
  output.line();
  output.table(
    ['device', 'place', 'parameters', 'state', 'peak of a step', 'sends', 'all-reduces', 'operators'],
    devices.map((device) => [
      device.device,
      Object.entries(device.coordinate)
        .map(([axis, at]) => `${axis} ${at}`)
        .join(', ') || '-',
      device.parameters.length,
      formatBytes(device.persistentBytes),
      formatBytes(device.peakBytes),
      formatBytes(device.sentBytes),
      formatBytes(device.reducedBytes),
      Object.values(device.operators).reduce((sum, count) => sum + count, 0),
    ]),
  );
  output.line();
  output.line(explanation.schedule);
  output.line();
  output.line(
    `moved in one step: ${formatBytes(traffic.send)} between stages, ${formatBytes(traffic.allReduce)} reduced, ${formatBytes(traffic.gather)} gathered`,
  );
  if (!withActions) return;
  for (const device of devices) {
    output.line(`\ndevice ${device.device}`);
    for (const action of device.actions) output.line(`  ${action}`);
  }
}
