import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PlanError } from './mesh.ts';
import { activationsInFlight, makeSchedule, printSchedule, scheduleNamed } from './schedule.ts';

describe('schedules', () => {
  test('GPipe, 3 stages, 4 micro-batches', () => {
    expect(printSchedule(makeSchedule('gpipe', 3, 4))).toBe(
      [
        'stage 0 | F0 F1 F2 F3 .  .  .  .  B3 B2 B1 B0',
        'stage 1 | .  F0 F1 F2 F3 .  .  B3 B2 B1 B0 .',
        'stage 2 | .  .  F0 F1 F2 F3 B3 B2 B1 B0 .  .',
      ].join('\n'),
    );
  });

  test('1F1B, 3 stages, 4 micro-batches', () => {
    expect(printSchedule(makeSchedule('1f1b', 3, 4))).toBe(
      [
        'stage 0 | F0 F1 F2 .  .  B0 F3 B1 .  B2 .  B3',
        'stage 1 | .  F0 F1 .  B0 F2 B1 F3 B2 .  B3 .',
        'stage 2 | .  .  F0 B0 F1 B1 F2 B2 F3 B3 .  .',
      ].join('\n'),
    );
  });

  test('every schedule runs each phase of each micro-batch once, and never deadlocks', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('gpipe' as const, '1f1b' as const),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 12 }),
        (name, stages, microBatches) => {
          const schedule = makeSchedule(name, stages, microBatches);
          for (const steps of schedule) {
            expect(new Set(steps.map(({ phase, microBatch }) => `${phase}${microBatch}`)).size).toBe(
              2 * microBatches,
            );
            expect(steps).toHaveLength(2 * microBatches);
          }
          printSchedule(schedule);
        },
      ),
    );
  });

  test('1F1B keeps fewer activations than GPipe', () => {
    expect(makeSchedule('gpipe', 4, 8).map(activationsInFlight)).toEqual([8, 8, 8, 8]);
    expect(makeSchedule('1f1b', 4, 8).map(activationsInFlight)).toEqual([4, 3, 2, 1]);
  });

  test('an unknown schedule is refused by name, with the known ones', () => {
    expect(() => scheduleNamed('zigzag')).toThrow(
      new PlanError("there is no schedule 'zigzag'; known: gpipe, 1f1b"),
    );
  });

  test('steps that wait for each other are found', () => {
    const circle = [
      [
        { phase: 'backward' as const, microBatch: 0 },
        { phase: 'forward' as const, microBatch: 0 },
      ],
      [
        { phase: 'forward' as const, microBatch: 0 },
        { phase: 'backward' as const, microBatch: 0 },
      ],
    ];
    expect(() => printSchedule(circle)).toThrow(/deadlocks/);
  });
});
