import { describe, expect, test } from '@jest/globals';
import { dataParallelPlan } from '../runner/example-plans.ts';
import type { JobCommand } from '../scheduler/protocol.ts';
import type { WorkerInstruction } from './machine.ts';
import { WorkerMachine } from './machine.ts';

const program = dataParallelPlan(1).programs[0];
const target = (leader: number, generation: number, device = 0, job = 'job') => ({
  job,
  epoch: { leader, generation },
  device,
});
const register = (leader: number, generation: number, device = 0, job = 'job'): JobCommand => ({
  ...target(leader, generation, device, job),
  kind: 'register',
  deviceIndex: 0,
  program,
  peers: [],
  checkFinite: true,
});

class Driver {
  readonly machine = new WorkerMachine('host:1', { orphanMs: 30_000, cancelMs: 5_000 });
  private command = 0;
  at = 0;
  constructor() {
    this.machine.handle({ kind: 'connected' }, 0);
    this.machine.handle(
      { kind: 'command', id: 0, cause: 'e0', command: { kind: 'welcome', leader: 1, heartbeatMs: 500 } },
      0,
    );
  }
  tell(command: JobCommand): WorkerInstruction[] {
    return this.machine.handle({ kind: 'command', id: ++this.command, cause: 'e1', command }, this.at);
  }
  answer(session: number, kind: 'registered' | 'loaded' | 'checkpoint-done'): WorkerInstruction[] {
    return this.machine.handle({ kind: 'session', session, answer: { kind } }, this.at);
  }
  tick(at: number): WorkerInstruction[] {
    this.at = at;
    return this.machine.handle({ kind: 'tick' }, at);
  }
  ready(): this {
    this.tell(register(1, 1));
    this.answer(1, 'registered');
    this.tell({ ...target(1, 1), kind: 'load', from: { kind: 'blob', hash: '', zeros: [] } });
    this.answer(1, 'loaded');
    return this;
  }
}

const step: JobCommand = { ...target(1, 1), kind: 'run-step', step: 1 };
const failedWith = (kind: string, text: RegExp) => [
  expect.objectContaining({
    kind: 'answer',
    answer: { kind: 'failed', errorKind: kind, error: expect.stringMatching(text) },
  }),
];

describe('WorkerMachine', () => {
  test('registers, loads, runs steps; each answer goes to its command', () => {
    const driver = new Driver();
    expect(driver.tell(register(1, 1))).toMatchObject([{ kind: 'start', session: 1 }]);
    expect(driver.answer(1, 'registered')).toMatchObject([{ kind: 'answer', command: 1 }]);
    driver.tell({ ...target(1, 1), kind: 'load', from: { kind: 'blob', hash: '', zeros: [] } });
    driver.answer(1, 'loaded');
    expect(driver.tell(step)).toMatchObject([{ kind: 'tell', session: 1, command: step }]);
    const done = { kind: 'step-done', results: new Map(), milliseconds: 1 } as const;
    expect(driver.machine.handle({ kind: 'session', session: 1, answer: done }, 1)).toMatchObject([
      { kind: 'answer', command: 3, answer: done },
    ]);
  });

  test('commands out of order are refused', () => {
    const driver = new Driver();
    expect(driver.tell(step)).toEqual(
      failedWith('StaleEpochError', /device 0 of job 'job' is not registered here/),
    );
    driver.tell(register(1, 1));
    expect(driver.tell(step)).toEqual(failedWith('InternalError', /is registering when told to run-step/));
    const busy = driver.tell(register(1, 1, 0, 'other'));
    expect(busy).toEqual(
      failedWith('InternalError', /device number 0 of this worker runs job 'job' when job 'other' comes/),
    );
  });

  test('commands of an epoch that is over are refused, whoever sends them', () => {
    const driver = new Driver();
    driver.tell(register(2, 1));
    expect(driver.tell(register(1, 9))).toEqual(
      failedWith('StaleEpochError', /of epoch 1\.9, which is over \(newest: 2\.1\)/),
    );
    driver.machine.handle(
      { kind: 'command', id: 9, cause: 'e', command: { kind: 'welcome', leader: 3, heartbeatMs: 1 } },
      0,
    );
    expect(driver.tell(register(2, 2, 1, 'new'))).toEqual(failedWith('StaleEpochError', /newest: leader 3/));
  });

  test('a newer epoch ends what the older began, and its late answers are not passed on', () => {
    const driver = new Driver().ready();
    driver.tell(step);
    expect(driver.tell(register(1, 2))).toMatchObject([
      { kind: 'end', session: 1, reason: "epoch 1.2 of job 'job' has begun" },
      { kind: 'start', session: 2 },
    ]);
    const done = { kind: 'step-done', results: new Map(), milliseconds: 1 } as const;
    expect(driver.machine.handle({ kind: 'session', session: 1, answer: done }, 1)).toEqual([]);
    expect(driver.machine.handle({ kind: 'session-ended', session: 1 }, 1)).toEqual([]);
  });

  test('release is answered when the thread is free', () => {
    const driver = new Driver().ready();
    expect(driver.tell({ ...target(1, 1), kind: 'release' })).toMatchObject([{ kind: 'end', session: 1 }]);
    expect(driver.machine.handle({ kind: 'session-ended', session: 1 }, 1)).toMatchObject([
      { kind: 'answer', answer: { kind: 'released' } },
    ]);
  });

  test('a session that fails is ended and its command answered with the error', () => {
    const driver = new Driver().ready();
    driver.tell(step);
    const answer = { kind: 'failed', errorKind: 'NonFiniteLossError', error: 'NaN' } as const;
    expect(driver.machine.handle({ kind: 'session', session: 1, answer }, 1)).toMatchObject([
      { kind: 'end', session: 1 },
      { kind: 'answer', command: 3, answer },
    ]);
  });

  test('a thread that does not stop in time takes the process with it', () => {
    const driver = new Driver().ready();
    driver.tell({ ...target(1, 1), kind: 'release' });
    expect(driver.tick(4_000)).toEqual([]);
    expect(driver.tick(6_000)).toMatchObject([
      {
        kind: 'exit',
        failed: true,
        reason: expect.stringMatching(/device 0 of job 'job' did not stop within 5 s/),
      },
    ]);
  });

  test('without its scheduler it ends its sessions at once and itself after the time limit', () => {
    const driver = new Driver().ready();
    driver.at = 1_000;
    expect(driver.machine.handle({ kind: 'disconnected', reason: 'reset' }, 1_000)).toMatchObject([
      { kind: 'end', session: 1, reason: 'the scheduler is gone: reset' },
    ]);
    driver.machine.handle({ kind: 'session-ended', session: 1 }, 1_001);
    // Further failed attempts do not prolong the time.
    driver.machine.handle({ kind: 'disconnected', reason: 'refused' }, 20_000);
    expect(driver.tick(30_000)).toEqual([]);
    expect(driver.tick(31_001)).toMatchObject([
      {
        kind: 'exit',
        failed: true,
        reason: expect.stringMatching(
          /cannot reach the scheduler at host:1: tried for 30 s; check the address/,
        ),
      },
    ]);
  });

  test('shutdown ends the sessions, then the process', () => {
    const driver = new Driver().ready();
    const shutdown = { kind: 'shutdown', reason: 'weft up ends' } as const;
    expect(driver.machine.handle({ kind: 'command', id: 9, cause: 'e', command: shutdown }, 1)).toMatchObject(
      [{ kind: 'end' }],
    );
    expect(driver.machine.handle({ kind: 'session-ended', session: 1 }, 2)).toMatchObject([
      { kind: 'exit', failed: false, reason: 'weft up ends' },
    ]);
  });

  test('the log leads from a command to what came of it', () => {
    const driver = new Driver();
    driver.tell(register(1, 1));
    const entry = driver.machine.log.find(({ text }) => text === 'command 1: register')!;
    expect(entry.cause).toBe('e1');
  });
});
