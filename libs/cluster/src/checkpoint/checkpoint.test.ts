import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { TensorLiteral, tensorSpec } from '@weft/ir';
import type { PersistentSlot, Program } from '../plan/program.ts';
import { dataParallelPlan } from '../runner/example-plans.ts';
import {
  checkpointFolder,
  latestCheckpoint,
  openCheckpoint,
  openWholeState,
  retainCheckpoints,
  shardWriters,
  writeManifest,
  writeShards,
} from './manifest.ts';
import { writeSafetensors } from '@weft/tensor';
import { CorruptFileError } from '../errors.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const epoch = { leader: 1, generation: 1 };

/** A part of a matrix whose element (i, j) is 100 i + j. */
function part(start: [number, number], sizes: [number, number], whole: [number, number]): PersistentSlot {
  return {
    slot: `w@${start.join()}`,
    name: 'w',
    spec: tensorSpec('float32', sizes),
    whole: tensorSpec('float32', whole),
    start,
  };
}

function bytesOf({ start, spec }: Pick<PersistentSlot, 'start' | 'spec'>): Uint8Array {
  const [rows, columns] = spec.sizes;
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => (start[0] + Math.floor(i / columns)) * 100 + start[1] + (i % columns),
  );
  return new Uint8Array(values.buffer);
}

async function write(step: number, parts: readonly PersistentSlot[][]): Promise<string> {
  const target = checkpointFolder(folder, step);
  const files = await Promise.all(
    parts.map((slots, device) => writeShards(target, device, epoch, slots, bytesOf)),
  );
  await writeManifest(target, {
    version: 1,
    job: 'j',
    step,
    epoch,
    files: files.filter((file) => file !== undefined),
  });
  return target;
}

describe('checkpoints', () => {
  test('any cut of a value loads into any other', async () => {
    let step = 0;
    const cuts = (size: number) =>
      fc.subarray(Array.from({ length: size - 1 }, (_, i) => i + 1)).map((at) => [0, ...at, size]);
    await fc.assert(
      fc.asyncProperty(
        cuts(5),
        cuts(7),
        cuts(5),
        cuts(7),
        async (rows, columns, wantedRows, wantedColumns) => {
          const boxes = (down: number[], across: number[]) =>
            down
              .slice(0, -1)
              .flatMap((top, i) =>
                across
                  .slice(0, -1)
                  .map((left, j) => part([top, left], [down[i + 1] - top, across[j + 1] - left], [5, 7])),
              );
          const target = await write(
            ++step,
            boxes(rows, columns).map((box) => [box]),
          );
          const state = openCheckpoint(target);
          for (const box of boxes(wantedRows, wantedColumns)) expect(state.read(box)).toEqual(bytesOf(box));
          state.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  test('without its manifest there is no checkpoint; the newest with one is found; old ones go', async () => {
    const whole = part([0, 0], [2, 2], [2, 2]);
    for (const step of [5, 10, 15]) await write(step, [[whole]]);
    await writeShards(checkpointFolder(folder, 20), 0, epoch, [whole], bytesOf);
    mkdirSync(checkpointFolder(folder, 7));
    expect(latestCheckpoint(folder)).toEqual({ folder: checkpointFolder(folder, 15), step: 15 });
    expect(() => openCheckpoint(checkpointFolder(folder, 20))).toThrow(/there is no checkpoint in/);
    retainCheckpoints(folder, 2);
    expect(readdirSync(folder).map((name) => Number(name.slice(5)))).toEqual([10, 15, 20]);
    expect(latestCheckpoint(join(folder, 'none'))).toBeUndefined();
  });

  test('a changed byte, a missing part, another shape, a missing value: each is named', async () => {
    const target = await write(1, [[part([0, 0], [1, 4], [2, 4])], [part([1, 0], [1, 4], [2, 4])]]);
    const state = openCheckpoint(target);
    expect(() => state.read({ ...part([0, 0], [2, 4], [2, 4]), name: 'v' })).toThrow(/has no value 'v'/);
    expect(() => state.read(part([0, 0], [2, 4], [2, 5]))).toThrow(
      /'w' in .* is float32\[2, 4\]; the plan has float32\[2, 5\]/,
    );
    state.close();
    const path = join(target, 'device-1.epoch-1.1.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 64;
    writeFileSync(path, bytes);
    const damaged = openCheckpoint(target);
    expect(damaged.read(part([0, 0], [1, 4], [2, 4]))).toHaveLength(16);
    expect(() => damaged.read(part([0, 0], [2, 4], [2, 4]))).toThrow(
      `'w' in ${path} is not what was written`,
    );
    damaged.close();
    writeFileSync(path, bytes.subarray(0, bytes.length - 1));
    const cutOff = openCheckpoint(target);
    expect(() => cutOff.read(part([0, 0], [2, 4], [2, 4]))).toThrow(CorruptFileError);
    expect(() => cutOff.read(part([0, 0], [2, 4], [2, 4]))).toThrow(
      `${path} is not a valid safetensors file`,
    );
    const partial = await write(2, [[part([0, 0], [1, 4], [2, 4])]]);
    expect(() => openCheckpoint(partial).read(part([0, 0], [2, 4], [2, 4]))).toThrow(
      /has 4 of the 8 elements of 'w' that are wanted/,
    );
    writeFileSync(join(target, 'manifest.json'), '{');
    expect(() => openCheckpoint(target)).toThrow(/manifest\.json is damaged/);
  });

  test('a manifest is not written over files that are not there', async () => {
    const target = checkpointFolder(folder, 1);
    const file = await writeShards(target, 0, epoch, [part([0, 0], [1, 1], [1, 1])], bytesOf);
    rmSync(join(target, file!.file));
    const manifest = { version: 1, job: 'j', step: 1, epoch, files: [file!] } as const;
    await expect(writeManifest(target, manifest)).rejects.toThrow(
      /must be one that the scheduler and all workers share/,
    );
    expect(existsSync(join(target, 'manifest.json'))).toBe(false);
  });

  test('replicas are written once, spread over their holders', () => {
    const plan = dataParallelPlan(4);
    const slots = Array.from({ length: 8 }, (_, i) => ({
      ...plan.programs[0].persistent[0],
      slot: `w${i}`,
      name: `w${i}`,
    }));
    const programs: Program[] = plan.programs.map((program) => ({ ...program, persistent: slots }));
    const writers = shardWriters({ programs });
    expect([...writers.values()].map((written) => written.length)).toEqual([2, 2, 2, 2]);
    expect([...writers.values()].flat().sort()).toEqual(slots.map(({ slot }) => slot));
  });

  test('a file of whole values gives parts; values that begin as zeros need not be in it', () => {
    const path = join(folder, 'state.safetensors');
    const whole = part([0, 0], [4, 3], [4, 3]);
    const literal = new TensorLiteral('float32', [4, 3], bytesOf(whole));
    writeFileSync(path, writeSafetensors(new Map([['w', literal]])));
    const state = openWholeState(path, new Set(['momentum']));
    const piece = part([1, 1], [2, 2], [4, 3]);
    expect(state.read(piece)).toEqual(bytesOf(piece));
    expect(state.read({ ...piece, name: 'momentum' })).toEqual(new Uint8Array(16));
    expect(() => state.read({ ...piece, name: 'other' })).toThrow(/has no tensor 'other'/);
    state.close();
  });
});
