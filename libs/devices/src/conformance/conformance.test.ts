import { expect, test } from '@jest/globals';
import type { Block } from '@weft/ir';
import { coreOperators } from '@weft/ir';
import type { Device } from '../device.ts';
import { referenceDevice } from '../reference/device.ts';
import { allowCodeGeneration } from '../reference/code-generation.ts';
import { conformanceCases, graphOfCase, runConformance } from './run.ts';

test('the reference device conforms', async () => {
  const report = await runConformance(referenceDevice());
  expect(report.failed.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([]);
  expect(report.skipped).toEqual([]);
});

test('the kit passes where code generation is forbidden', async () => {
  allowCodeGeneration(false);
  try {
    const report = await runConformance(referenceDevice());
    expect(report.failed.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([]);
  } finally {
    allowCodeGeneration(true);
  }
});

test('every core operator that a device evaluates has a case', () => {
  const covered = new Set<string>();
  const visit = (block: Block) => {
    for (const node of block.nodes()) {
      covered.add(node.operator);
      node.blocks.forEach(visit);
    }
  };
  for (const test of conformanceCases()) visit(graphOfCase(test).block);
  const names = coreOperators().map(({ name }) => name);
  expect(names.filter((name) => !covered.has(name) && !betweenDevices.includes(name))).toEqual([]);
});

/** Plans cut graphs at these: they never reach a device. */
const betweenDevices = [
  'all_reduce',
  'all_gather',
  'reduce_scatter',
  'all_to_all',
  'collective_permute',
  'collective_broadcast',
  'partition_id',
  'replica_id',
  'send',
  'recv',
];

/** A device that gets one operator wrong must be found out. */
test('a wrong device fails, and the report says where', async () => {
  const right = referenceDevice();
  const wrong: Device = {
    info: right.info,
    allocate: (bytes) => right.allocate(bytes),
    write: (to, offset, from) => right.write(to, offset, from),
    read: (from, offset, to) => right.read(from, offset, to),
    supports: (node) => node.kind !== 'core::cosine',
    synchronize: () => right.synchronize(),
    compile: (graph, options) => {
      const copy = graph.clone();
      for (const node of copy.nodes()) {
        if (node.kind !== 'core::sine') continue;
        const cosine = copy.create('core::cosine', node.inputs, [node.output.type]).insertBefore(node);
        node.replaceWith([cosine.output]);
      }
      return right.compile(copy, options);
    },
  };
  const report = await runConformance(wrong, { filter: 'sine float32' });
  expect(report.failed).toEqual([
    { name: 'sine float32', operator: 'sine', reason: 'output 0 is 1 at element 0 where 0 is expected' },
  ]);
  expect(report.skipped).toEqual([{ name: 'cosine float32', reason: 'core::cosine is not claimed' }]);
});
