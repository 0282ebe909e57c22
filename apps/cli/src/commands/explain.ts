// weft explain: what would run where, without running it.
import type { Command } from 'commander';
import { explainPlan, parseMesh, planDescription, prepareTraining } from 'weft';
import type { PlanExplanation } from 'weft';
import { collectSetting, loadDefinition } from '../load-definition.ts';
import { Output, formatBytes } from '../output.ts';

export function explainCommand(program: Command): void {
  program
    .command('explain')
    .description('show the plan of a training file: stages, placements, bytes moved, memory, schedule')
    .argument('<file>', 'a .ts or .js file that exports a training definition')
    .option('--mesh <axes>', 'logical devices by axis, such as pipeline=2,data=2')
    .option('--micro-batches <count>', 'micro-batches a step', Number)
    .option('--schedule <name>', 'gpipe or 1f1b')
    .option('--set <name=value>', 'a setting for the training file (repeatable)', collectSetting, {})
    .option('--actions', 'list every action of every device')
    .option('--json', 'one JSON object')
    .action(async (file: string, options) => {
      const output = new Output(options);
      const definition = await loadDefinition(file, options.set);
      const mesh = options.mesh === undefined ? (definition.mesh ?? {}) : parseMesh(options.mesh).shape;
      const prepared = prepareTraining({
        ...definition,
        mesh,
        microBatches: options.microBatches ?? definition.microBatches,
        schedule: options.schedule ?? definition.schedule,
      });
      const explanation = explainPlan(planDescription(prepared.description, Infinity));
      if (output.isJson) process.stdout.write(`${JSON.stringify(explanation)}\n`);
      else printExplanation(output, explanation, options.actions === true);
    });
}

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
