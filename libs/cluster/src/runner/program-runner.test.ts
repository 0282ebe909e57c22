import { describe, expect, test } from '@jest/globals';
import type { Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, printGraph, tensorSpec } from '@weft/ir';
import { referenceDevice } from '@weft/devices';
import type { Program } from '../plan/program.ts';
import { InMemoryNetwork } from '../transport/in-memory.ts';
import { ProgramRunner, floatsOf } from './program-runner.ts';
import { dataParallelPlan, pipelinePlan, f32 } from './example-plans.ts';

const specText = (sizes: number[]) => tensorSpec('float32', sizes);

function graphText(inputs: number[][], body: (b: CoreBuilder, ...inputs: Value[]) => Value[]): string {
  const b = new CoreBuilder();
  for (const value of body(b, ...inputs.map((sizes) => b.input(specText(sizes))))) b.graph.addOutput(value);
  return printGraph(b.graph);
}

function program(part: Partial<Program>): Program {
  return {
    device: 0,
    coordinate: {},
    graphs: {},
    persistent: [],
    batchInputs: [],
    actions: [],
    results: [],
    memory: { persistent: 0, peak: 0 },
    ...part,
  };
}

async function runPlan(plan: { programs: readonly Program[] }, steps: number) {
  const network = new InMemoryNetwork();
  const runners = plan.programs.map(
    (one) => new ProgramRunner(one, referenceDevice(), network.transport(one.device)),
  );
  for (const runner of runners)
    await runner.load(({ whole }) => f32(whole.sizes, (i) => Math.sin(i + 1) / 2).bytes);
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const batch = new Map([
      ['x', f32([8, 3], (i) => Math.cos(i * step))],
      ['y', f32([8, 2], (i) => Math.sin(i + step))],
    ]);
    const results = await Promise.all(runners.map((runner) => runner.run(step, batch)));
    losses.push(...results.flatMap((result) => [...result.values()].map((value) => floatsOf(value)[0])));
  }
  expect(network.rendezvous.size).toEqual({ offers: 0, takers: 0 });
  const state = new Map<string, number[]>();
  for (const runner of runners) {
    for (const { slot, name, spec } of runner.program.persistent) {
      const bytes = (await runner.read(slot)).slice();
      const values = floatsOf(new TensorLiteral('float32', spec.sizes, bytes));
      if (state.has(name)) expect(values).toEqual(state.get(name));
      state.set(name, values);
    }
  }
  return { losses, state };
}

describe('ProgramRunner', () => {
  test('data parallel and pipelined programs train as the whole one does', async () => {
    const whole = await runPlan(dataParallelPlan(1), 20);
    expect(whole.losses[19]).toBeLessThan(whole.losses[0]);
    for (const plan of [dataParallelPlan(2), dataParallelPlan(4), pipelinePlan(1), pipelinePlan(4)]) {
      const split = await runPlan(plan, 20);
      split.losses.forEach((loss, step) => expect(loss).toBeCloseTo(whole.losses[step], 5));
      for (const [name, values] of whole.state) {
        split.state.get(name)!.forEach((value, i) => expect(value).toBeCloseTo(values[i], 5));
      }
    }
  });

  test('frees values at their last use and reuses the memory in the next step', async () => {
    const device = referenceDevice();
    let allocated = 0;
    const counting = { ...bind(device), allocate: (bytes: number) => (allocated++, device.allocate(bytes)) };
    const double = graphText([[1000]], (b, x) => [b.add(x, x)]);
    const runner = new ProgramRunner(
      program({
        graphs: { double },
        batchInputs: [{ slot: 'x', input: 'x', microBatch: 0, spec: specText([1000]), start: 0 }],
        actions: Array.from({ length: 10 }, (_, i) => ({
          kind: 'run' as const,
          graph: 'double',
          inputs: [i === 0 ? 'x' : `v${i}`],
          outputs: [`v${i + 1}`],
        })),
        results: [{ slot: 'v10', name: 'out', spec: specText([1000]) }],
      }),
      counting,
      new InMemoryNetwork().transport(0),
    );
    await runner.load(() => new Uint8Array());
    const batch = new Map([['x', f32([1000], () => 1)]]);
    const result = await runner.run(1, batch);
    expect(floatsOf(result.get('out')!)[999]).toBe(1024);
    expect(allocated).toBe(2);
    await runner.run(2, batch);
    expect(allocated).toBe(2);
  });

  test('a loss that is not finite names the step and the device, and the state is refused afterwards', async () => {
    const runner = new ProgramRunner(
      program({
        graphs: { log: graphText([[]], (b, x) => [b.log(x)]) },
        batchInputs: [{ slot: 'x', input: 'x', microBatch: 0, spec: specText([]), start: 0 }],
        actions: [{ kind: 'run', graph: 'log', inputs: ['x'], outputs: ['loss'] }],
        results: [{ slot: 'loss', name: 'loss', spec: specText([]) }],
      }),
      referenceDevice(),
      new InMemoryNetwork().transport(0),
      { worker: 'worker-7' },
    );
    const batch = new Map([['x', f32([], () => -1)]]);
    await expect(runner.run(3, batch)).rejects.toThrow(/has no valid state: load it before step 3/);
    await runner.load(() => new Uint8Array());
    await expect(runner.run(3, batch)).rejects.toMatchObject({
      name: 'NonFiniteLossError',
      step: 3,
      message: expect.stringMatching(/'loss' is NaN in step 3 on device 0 \(worker-7\)/),
    });
    await expect(runner.run(4, batch)).rejects.toThrow(/no valid state/);
  });

  test('errors say where: a graph that the device refuses, a failing action, a batch that does not fit', async () => {
    const device = referenceDevice();
    const broken = {
      ...bind(device),
      compile: () => {
        throw new Error('the plugin broke');
      },
    };
    const one = program({
      graphs: { double: graphText([[2]], (b, x) => [b.add(x, x)]) },
      batchInputs: [{ slot: 'x', input: 'x', microBatch: 0, spec: specText([2]), start: 2 }],
      actions: [{ kind: 'run', graph: 'double', inputs: ['x'], outputs: ['y'], label: 'forward' }],
    });
    const transport = new InMemoryNetwork().transport(0);
    expect(() => new ProgramRunner(one, broken, transport)).toThrow(
      /graph 'double' cannot be compiled for .* as device 0: the plugin broke/,
    );
    const runner = new ProgramRunner(one, device, transport);
    await runner.load(() => new Uint8Array());
    await expect(runner.run(5, new Map([['x', f32([3], () => 0)]]))).rejects.toThrow(
      /step 5, action 0 \(run forward\) on device 0: batch input 'x' is float32\[3\]; the plan reads rows from 2 as float32\[2\]/,
    );
  });

  test('tells what it is doing and for whom it waits; cancelling ends the wait', async () => {
    const transport = new InMemoryNetwork().transport(0);
    const runner = new ProgramRunner(
      program({
        actions: [{ kind: 'recv', slot: 'x', peer: 3, key: 'act@0', spec: specText([2]) }],
      }),
      referenceDevice(),
      transport,
    );
    await runner.load(() => new Uint8Array());
    expect(runner.describeProgress()).toMatchObject({ doing: 'waiting for the first step' });
    const running = runner.run(1, new Map());
    expect(runner.describeProgress()).toMatchObject({
      step: 1,
      action: 0,
      doing: "recv 'act@0' from device 3",
      waitingFor: 3,
    });
    transport.cancel(new Error('the job was cancelled'));
    await expect(running).rejects.toThrow(
      /step 1, action 0 \(recv 'act@0' from device 3\).*the job was cancelled/,
    );
  });
});

/** A device's methods as own properties, so that some can be replaced. */
function bind(device: ReturnType<typeof referenceDevice>) {
  return {
    info: device.info,
    allocate: device.allocate.bind(device),
    write: device.write.bind(device),
    read: device.read.bind(device),
    supports: device.supports.bind(device),
    compile: device.compile.bind(device),
    synchronize: device.synchronize.bind(device),
  };
}
