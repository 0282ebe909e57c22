// The scheduler and its workers in virtual time: first single transitions, then whole clusters with failures.
import { describe, expect, test } from '@jest/globals';
import type { Plan } from '../plan/program.ts';
import { dataParallelPlan } from '../runner/example-plans.ts';
import type { JobReport, JobSpec } from './job.ts';
import type { Instruction } from './machine.ts';
import { SchedulerMachine, defaultLimits } from './machine.ts';
import { Simulation } from './simulation.ts';

const blob = '0'.repeat(64);
const training = (part: Partial<JobSpec> = {}): JobSpec => ({
  id: 'job-1',
  name: 'test',
  kind: 'train',
  model: {},
  state: { blob },
  steps: 20,
  checkpoint: { every: 5 },
  ...part,
});

/** A plan for any number of devices; nothing runs it here. */
const planFor = (devices: number, memory = 1000): Plan => ({
  mesh: { data: devices },
  microBatches: 1,
  schedule: 'gpipe',
  inputs: [],
  programs: Array.from({ length: devices }, (_, device) => ({
    ...dataParallelPlan(1).programs[0],
    device,
    memory: { persistent: memory, peak: memory },
  })),
});

const simulate = (seed: number) => new Simulation(seed, (_, devices) => planFor(devices));
const stepsOf = (simulation: Simulation, job = 'job-1'): number[] =>
  simulation.reports.flatMap(({ job: of, report }) =>
    of === job && report.kind === 'step' ? [report.step] : [],
  );
const lastReport = (simulation: Simulation): JobReport => simulation.reports.at(-1)!.report;
const oneTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('one job', () => {
  test('trains, keeps checkpoints, ends; each step is committed once and in order', () => {
    const simulation = simulate(1);
    for (const name of ['a', 'b', 'c']) simulation.addWorker(name);
    simulation.tell({ kind: 'submit', job: training({ devices: { wanted: 3 } }) });
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 60_000);
    expect(stepsOf(simulation)).toEqual(oneTo(20));
    expect(
      simulation.reports.flatMap(({ report }) => (report.kind === 'checkpoint' ? [report.step] : [])),
    ).toEqual([5, 10, 15, 20]);
    expect(lastReport(simulation)).toEqual({
      kind: 'done',
      step: 20,
      checkpoint: 'checkpoints/job-1/step-0000000020',
    });
    expect(simulation.scheduler.freeDevices()).toHaveLength(3);
  });

  test('waits for the devices it wants, then takes what is there', () => {
    const simulation = simulate(2);
    simulation.addWorker('a');
    simulation.tell({ kind: 'submit', job: training({ devices: { minimum: 1, wanted: 2 } }) });
    simulation.runUntil(() => simulation.now > 2_500, 10_000);
    expect(simulation.scheduler.jobs.get('job-1')!.phase).toBe('waiting');
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 60_000);
    expect(simulation.now).toBeGreaterThan(3_000);
  });

  test('with fewer than the minimum it goes on waiting, and starts when one more joins', () => {
    const simulation = simulate(3);
    simulation.addWorker('a');
    simulation.tell({ kind: 'submit', job: training({ devices: { minimum: 2 } }) });
    simulation.runUntil(() => simulation.now > 50_000, 60_000);
    expect(stepsOf(simulation)).toEqual([]);
    simulation.addWorker('b');
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 60_000);
    expect(stepsOf(simulation)).toEqual(oneTo(20));
  });

  test('jobs queue for devices', () => {
    const simulation = simulate(4);
    simulation.addWorker('a', 2);
    simulation.tell({ kind: 'submit', job: training() });
    simulation.tell({ kind: 'submit', job: training({ id: 'job-2' }) });
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-2')!.phase === 'done', 60_000);
    const firstDone = simulation.reports.findIndex(({ report }) => report.kind === 'done');
    const secondPlaced = simulation.reports.findIndex(
      ({ job, report }) => job === 'job-2' && report.kind === 'placed',
    );
    expect(secondPlaced).toBeGreaterThan(firstDone);
  });

  test('a cancelled job frees its devices', () => {
    const simulation = simulate(5);
    simulation.addWorker('a');
    simulation.tell({ kind: 'submit', job: training({ steps: 100_000 }) });
    simulation.runUntil(() => stepsOf(simulation).length > 3, 10_000);
    simulation.tell({ kind: 'cancel', job: 'job-1' });
    simulation.runUntil(() => simulation.workers.get('a')!.machine.sessions.size === 0, 10_000);
    expect(lastReport(simulation)).toEqual({ kind: 'cancelled' });
    expect(simulation.scheduler.freeDevices()).toHaveLength(1);
  });

  test('serving runs requests in order and survives the loss of a worker', () => {
    const simulation = simulate(6);
    const [a] = ['a', 'b'].map((name) => simulation.addWorker(name));
    simulation.tell({ kind: 'submit', job: training({ kind: 'serve', devices: { minimum: 2 } }) });
    for (let request = 1; request <= 5; request++)
      simulation.tell({ kind: 'run', job: 'job-1', request, inputs: new Map() });
    simulation.runUntil(() => simulation.runs.size === 2, 10_000);
    simulation.kill(a);
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'waiting', 10_000);
    simulation.addWorker('c');
    simulation.runUntil(() => simulation.runs.size === 5, 20_000);
    expect([...simulation.runs]).toEqual(oneTo(5).map((request) => [request, 'done']));
    simulation.tell({ kind: 'run', job: 'none', request: 9, inputs: new Map() });
    expect(simulation.runs.get(9)).toBe("there is no job 'none'");
  });
});

describe('failures', () => {
  test('a killed worker: the job goes on from the last checkpoint on those that remain', () => {
    const simulation = simulate(7);
    const [a] = ['a', 'b', 'c'].map((name) => simulation.addWorker(name));
    simulation.tell({ kind: 'submit', job: training({ devices: { wanted: 3 } }) });
    simulation.runUntil(() => stepsOf(simulation).includes(13), 60_000);
    simulation.kill(a);
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 60_000);
    expect(stepsOf(simulation)).toEqual(oneTo(20));
    const placements = simulation.reports.flatMap(({ report }) => (report.kind === 'placed' ? [report] : []));
    expect(placements.map(({ fromStep, devices }) => [fromStep, devices.length])).toEqual([
      [0, 3],
      [10, 2],
    ]);
  });

  test('a worker that hangs is given up after the time limit, with the reason', () => {
    const simulation = simulate(8);
    const [a] = ['a', 'b'].map((name) => simulation.addWorker(name));
    simulation.tell({ kind: 'submit', job: training({ devices: { wanted: 2 } }) });
    simulation.runUntil(() => stepsOf(simulation).includes(3), 60_000);
    a.hung = true;
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 60_000);
    expect(simulation.reports.map(({ report }) => report)).toContainEqual({
      kind: 'worker-lost',
      worker: 'a',
      reason: expect.stringMatching(/nothing was heard from it for 5\.\d s/),
    });
  });

  test('stuck is not dead: a live worker without progress is reported with what it does', () => {
    const machine = new SchedulerMachine(1, 'd', defaultLimits);
    const plan = planFor(2);
    const join = (worker: string, connection: number) =>
      machine.handle({ kind: 'worker-joined', connection, description: describeWorker(worker) }, 0);
    join('a', 1);
    join('b', 2);
    machine.handle({ kind: 'submit', job: training() }, 0);
    let instructions = machine.handle({ kind: 'planned', job: 'job-1', generation: 1, plan }, 1);
    for (const kind of ['registered', 'loaded'] as const)
      instructions = answerAll(machine, instructions, kind, 2);
    expect(commandsIn(instructions)).toEqual(['run-step', 'run-step']);
    const reports: JobReport[] = [];
    for (let at = 0; at <= 40_000; at += 500) {
      for (const [worker, connection, waitingFor] of [
        ['a', 1, 1],
        ['b', 2, undefined],
      ] as const) {
        const device = connection - 1;
        machine.handle(
          {
            kind: 'heartbeat',
            worker,
            connection,
            progress: [
              {
                job: 'job-1',
                device,
                step: 1,
                action: 4,
                doing: waitingFor === undefined ? 'run backward 0' : "recv 'd@0' from device 1",
                // Device 1 works on; device 0 waits.
                ticks: waitingFor === undefined ? at : 7,
                ...(waitingFor === undefined ? {} : { waitingFor }),
              },
            ],
          },
          at,
        );
      }
      for (const instruction of machine.handle({ kind: 'tick' }, at))
        if (instruction.kind === 'report') reports.push(instruction.report);
    }
    expect(reports).toEqual([
      {
        kind: 'stuck',
        worker: 'a',
        device: 0,
        step: 1,
        doing: "recv 'd@0' from device 1",
        seconds: expect.any(Number),
        waitingFor: { device: 1, worker: 'b', doing: 'step 1: run backward 0' },
      },
    ]);
  });

  test('an error of the job itself fails it, with the worker that says so', () => {
    const machine = new SchedulerMachine(1, 'd', defaultLimits);
    machine.handle({ kind: 'worker-joined', connection: 1, description: describeWorker('a') }, 0);
    machine.handle({ kind: 'submit', job: training() }, 0);
    const [register] = machine
      .handle({ kind: 'planned', job: 'job-1', generation: 1, plan: planFor(1) }, 1)
      .filter((one) => one.kind === 'send');
    const after = machine.handle(
      {
        kind: 'answer',
        worker: 'a',
        connection: 1,
        command: register.id,
        answer: {
          kind: 'failed',
          errorKind: 'Error',
          error: "graph 'f' cannot be compiled: the plugin broke",
        },
      },
      2,
    );
    expect(after.find((one) => one.kind === 'report' && one.report.kind === 'failed')).toMatchObject({
      report: { error: "a: graph 'f' cannot be compiled: the plugin broke", errorKind: 'Error' },
    });
    expect(commandsIn(after)).toEqual(['release']);
    // The log leads from the failure back to the event that sent the command.
    const entry = machine.log.find(({ text }) => text.includes('answers command'))!;
    expect(machine.log.find(({ id }) => id === entry.cause)!.text).toBe('planned of job job-1');
  });

  test('a plan that does not fit is refused with what is too big', () => {
    const machine = new SchedulerMachine(1, 'd', defaultLimits);
    machine.handle({ kind: 'worker-joined', connection: 1, description: describeWorker('a') }, 0);
    machine.handle({ kind: 'submit', job: training() }, 0);
    const after = machine.handle(
      { kind: 'planned', job: 'job-1', generation: 1, plan: planFor(1, 700_000_000) },
      1,
    );
    const failed = after.find((one) => one.kind === 'report' && one.report.kind === 'failed');
    expect(failed).toMatchObject({
      report: {
        errorKind: 'AdmissionError',
        error: expect.stringMatching(
          /the plan does not fit: device 0 \(simulated of a\) needs 1\.3 GiB .* Biggest values: input x float32\[8, 3\] 96 bytes, .*More pipeline stages/,
        ),
      },
    });
    const many = new SchedulerMachine(1, 'd', defaultLimits);
    many.handle({ kind: 'worker-joined', connection: 1, description: describeWorker('a') }, 0);
    many.handle({ kind: 'submit', job: training() }, 0);
    const refused = many.handle({ kind: 'planned', job: 'job-1', generation: 1, plan: planFor(3) }, 1);
    expect(refused.find((one) => one.kind === 'report' && one.report.kind === 'failed')).toMatchObject({
      report: { error: expect.stringMatching(/the plan is for 3 devices \(data 3\); 1 are free/) },
    });
  });

  test('a job that can never get through a step gives up', () => {
    const simulation = simulate(9);
    simulation.tell({ kind: 'submit', job: training() });
    let count = 0;
    simulation.every(1_000, () => {
      if (simulation.scheduler.jobs.get('job-1')!.phase === 'failed') return;
      const worker = simulation.addWorker(`w${count++}`);
      // Dies while it registers, before any step.
      simulation.after(15, () => simulation.kill(worker));
    });
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'failed', 120_000);
    expect(lastReport(simulation)).toMatchObject({
      kind: 'failed',
      error: expect.stringMatching(
        /it was started 11 times without completing a step; the last time: worker w\d+ is lost/,
      ),
    });
  });

  test('a restarted scheduler goes on where the store says, as a new leader', () => {
    const simulation = simulate(10);
    for (const name of ['a', 'b']) simulation.addWorker(name);
    simulation.tell({ kind: 'submit', job: training({ devices: { wanted: 2 } }) });
    simulation.runUntil(() => stepsOf(simulation).includes(12), 60_000);
    simulation.restartScheduler();
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 60_000);
    expect(stepsOf(simulation)).toEqual(oneTo(20));
    const again = new SchedulerMachine(9, 'd', defaultLimits, simulation.scheduler.snapshot());
    expect(again.jobs.get('job-1')).toMatchObject({ phase: 'done', committed: 20 });
    expect(again.snapshot()).toEqual(simulation.scheduler.snapshot());
  });

  test.each(oneTo(25))(
    'random kills, hangs, cuts and restarts: every step committed once (seed %d)',
    (seed) => {
      const simulation = simulate(seed * 7919);
      const { random } = simulation;
      let started = 0;
      const start = () => simulation.addWorker(`w${started++}`, 1 + Math.floor(random() * 2));
      for (let i = 0; i < 4; i++) start();
      simulation.tell({ kind: 'submit', job: training({ steps: 60, devices: { minimum: 1, wanted: 4 } }) });
      simulation.every(900, () => {
        const alive = [...simulation.workers.values()].filter((worker) => worker.alive && !worker.hung);
        const victim = alive[Math.floor(random() * alive.length)];
        const chance = random();
        if (victim !== undefined && chance < 0.15) simulation.kill(victim);
        else if (victim !== undefined && chance < 0.2) victim.hung = true;
        else if (victim !== undefined && chance < 0.3) simulation.cutOff(victim);
        else if (chance < 0.35) simulation.restartScheduler();
        if (alive.length < 3) start();
      });
      simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 3_600_000);
      expect(stepsOf(simulation)).toEqual(oneTo(60));
    },
  );

  test('hundreds of workers, some dying all the time', () => {
    const simulation = simulate(4242);
    const { random } = simulation;
    for (let i = 0; i < 300; i++) simulation.addWorker(`w${i}`);
    simulation.tell({
      kind: 'submit',
      job: training({ steps: 30, checkpoint: { every: 2 }, devices: { minimum: 50, wanted: 250 } }),
    });
    let killed = 0;
    simulation.every(2_500, () => {
      const alive = [...simulation.workers.values()].filter((worker) => worker.alive);
      if (alive.length <= 200) return;
      simulation.kill(alive[Math.floor(random() * alive.length)]);
      killed++;
    });
    simulation.runUntil(() => simulation.scheduler.jobs.get('job-1')!.phase === 'done', 300_000);
    expect(killed).toBeGreaterThan(2);
    expect(stepsOf(simulation)).toEqual(oneTo(30));
  });
});

const describeWorker = (worker: string) => ({
  worker,
  version: '0',
  bulkAddress: `${worker}:1`,
  pid: 1,
  host: 'h',
  devices: [
    { type: 's', index: 0, name: 'simulated', memory: 1e9, flops: 1, bandwidth: 1, dtypes: ['float32'] },
  ],
});

const commandsIn = (instructions: readonly Instruction[]): string[] =>
  instructions.flatMap((one) => (one.kind === 'send' ? [one.command.kind] : []));

function answerAll(
  machine: SchedulerMachine,
  instructions: readonly Instruction[],
  kind: 'registered' | 'loaded',
  at: number,
): Instruction[] {
  return instructions.flatMap((one) =>
    one.kind === 'send'
      ? machine.handle(
          {
            kind: 'answer',
            worker: one.worker,
            connection: one.connection,
            command: one.id,
            answer: { kind },
          },
          at,
        )
      : [],
  );
}
