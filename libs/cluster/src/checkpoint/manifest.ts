// A checkpoint is a folder: one safetensors file for each device that wrote something, and manifest.json, written last, which says
// where each part of each value is and what its bytes hash to. Without a manifest there is no checkpoint. The parts are found
// by value name and position, so a plan of another shape can load them.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DType, TensorSpec } from '@weft/ir';
import { dtypes, numel } from '@weft/ir';
import { SafetensorsFile, io } from '@weft/tensor';
import { CorruptFileError, messageOf } from '../errors.ts';
import { bytesOfSpec } from '../plan/memory.ts';
import type { PersistentSlot, Plan } from '../plan/program.ts';
import type { Epoch } from '../transport/transport.ts';
import { epochToString } from '../transport/transport.ts';
import { intact } from './intact.ts';

/** One part of a value. */
export interface Shard {
  readonly name: string;
  readonly dtype: DType;
  readonly whole: readonly number[];
  readonly start: readonly number[];
  readonly sizes: readonly number[];
  readonly sha256: string;
}

/** What one device wrote. */
export interface ShardFile {
  readonly file: string;
  readonly bytes: number;
  /** In the order of the file, where part i is named `name` or, of several parts, `name@start`. */
  readonly shards: readonly Shard[];
}

export interface Manifest {
  readonly version: 1;
  readonly job: string;
  readonly step: number;
  readonly epoch: Epoch;
  readonly files: readonly ShardFile[];
}

const manifestName = 'manifest.json';
const keyOf = (shard: Pick<Shard, 'name' | 'start'>): string =>
  shard.start.every((position) => position === 0) ? shard.name : `${shard.name}@${shard.start.join(',')}`;

/** The folder of a step's checkpoint; names sort in the order of steps. */
export const checkpointFolder = (directory: string, step: number): string =>
  join(directory, `step-${String(step).padStart(10, '0')}`);

/** For each logical device, the persistent slots it writes: every part of every value once, spread evenly over its holders. */
export function shardWriters(plan: Pick<Plan, 'programs'>): Map<number, string[]> {
  const load = new Map<number, number>(plan.programs.map(({ device }) => [device, 0]));
  const slots = new Map<number, string[]>(plan.programs.map(({ device }) => [device, []]));
  const holders = new Map<string, { device: number; slot: string; bytes: number }[]>();
  for (const { device, persistent } of plan.programs) {
    for (const slot of persistent) {
      const key = keyOf(slot);
      holders.set(key, [
        ...(holders.get(key) ?? []),
        { device, slot: slot.slot, bytes: bytesOfSpec(slot.spec) },
      ]);
    }
  }
  for (const candidates of holders.values()) {
    const writer = candidates.reduce((best, one) =>
      load.get(one.device)! < load.get(best.device)! ? one : best,
    );
    load.set(writer.device, load.get(writer.device)! + writer.bytes);
    slots.get(writer.device)!.push(writer.slot);
  }
  return slots;
}

/** Writes a device's parts. The file is named after the epoch, so that a fenced writer cannot touch a newer one's. */
export async function writeShards(
  folder: string,
  device: number,
  epoch: Epoch,
  slots: readonly PersistentSlot[],
  bytesOf: (slot: PersistentSlot) => Uint8Array | Promise<Uint8Array>,
): Promise<ShardFile | undefined> {
  if (slots.length === 0) return undefined;
  mkdirSync(folder, { recursive: true });
  const file = `device-${device}.epoch-${epochToString(epoch)}.safetensors`;
  const shards: Shard[] = [];
  const bytes = await io.streamSafetensors(
    join(folder, file),
    slots.map((slot) => ({
      name: keyOf(slot),
      dtype: slot.spec.dtype,
      shape: slot.spec.sizes,
    })),
    async (index) => {
      const slot = slots[index];
      const value = await bytesOf(slot);
      shards.push({
        name: slot.name,
        dtype: slot.spec.dtype,
        whole: slot.whole.sizes,
        start: slot.start,
        sizes: slot.spec.sizes,
        sha256: hashOf(value),
      });
      return value;
    },
  );
  return { file, bytes, shards };
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Makes the checkpoint exist. Throws CorruptFileError when a file is not there whole. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  for (const { file, bytes } of manifest.files) {
    const path = join(folder, file);
    const size = existsSync(path) ? statSync(path).size : undefined;
    if (size !== bytes)
      throw new CorruptFileError(
        `${path} has ${size ?? 'no'} bytes where its worker wrote ${bytes}: the checkpoint folder must be one that the ` +
          `scheduler and all workers share`,
      );
  }
  io.writeAtomically(join(folder, manifestName), (write) =>
    write(Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`)),
  );
}

/** Throws CorruptFileError when the folder has no manifest or not a valid one. */
export function readManifest(folder: string): Manifest {
  const path = join(folder, manifestName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CorruptFileError(`there is no checkpoint in ${folder}: ${messageOf(error)}`);
  }
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.version !== 1 || !Array.isArray(manifest.files)) throw new Error('it is of another version');
    return manifest;
  } catch (error) {
    throw new CorruptFileError(`${path} is damaged: ${messageOf(error)}`);
  }
}

/** The newest complete checkpoint below a directory, or undefined. */
export function latestCheckpoint(
  directory: string,
): { readonly folder: string; readonly step: number } | undefined {
  const steps = checkpointSteps(directory);
  const last = steps.at(-1);
  return last === undefined ? undefined : { folder: checkpointFolder(directory, last), step: last };
}

function checkpointSteps(directory: string): number[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^step-\d+$/.test(name) && existsSync(join(directory, name, manifestName)))
    .map((name) => Number(name.slice(5)))
    .sort((a, b) => a - b);
}

/** Removes all but the newest `keep` checkpoints, and folders of older steps that never got a manifest. */
export function retainCheckpoints(directory: string, keep: number): void {
  if (!existsSync(directory)) return;
  const kept = new Set(checkpointSteps(directory).slice(-Math.max(1, keep)));
  const newest = Math.max(-1, ...kept);
  for (const name of readdirSync(directory)) {
    if (!/^step-\d+$/.test(name)) continue;
    const step = Number(name.slice(5));
    if (kept.has(step) || step > newest) continue;
    // The manifest goes first: a half-removed folder is no checkpoint.
    rmSync(join(directory, name, manifestName), { force: true });
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** Gives any part of any value of a checkpoint, or of a safetensors file of whole values. */
export interface StateReader {
  /** Throws CorruptFileError naming the file or the value. */
  read(slot: Pick<PersistentSlot, 'name' | 'spec' | 'whole' | 'start'>): Uint8Array;
  /** All values, whole. */
  readonly values: ReadonlyMap<string, TensorSpec>;
  close(): void;
}

/** Opens a checkpoint folder. Every part is checked against its hash when it is read. */
export function openCheckpoint(folder: string): StateReader & { readonly manifest: Manifest } {
  const manifest = readManifest(folder);
  const files = new Map<string, SafetensorsFile>();
  const parts = new Map<string, { file: string; shard: Shard }[]>();
  const values = new Map<string, TensorSpec>();
  for (const { file, shards } of manifest.files) {
    for (const shard of shards) {
      parts.set(shard.name, [...(parts.get(shard.name) ?? []), { file, shard }]);
      values.set(shard.name, { kind: 'Tensor', dtype: shard.dtype, sizes: shard.whole });
    }
  }
  const load = (file: string, shard: Shard): Uint8Array => {
    const path = join(folder, file);
    let open = files.get(file);
    if (open === undefined) files.set(file, (open = intact(() => SafetensorsFile.open(path))));
    const { bytes } = intact(() => open.read(keyOf(shard)));
    if (hashOf(bytes) !== shard.sha256)
      throw new CorruptFileError(
        `'${shard.name}' in ${path} is not what was written (its checksum differs): the file is damaged; use an earlier checkpoint`,
      );
    return bytes;
  };
  return {
    manifest,
    values,
    read: (slot) => {
      const found = parts.get(slot.name);
      if (found === undefined)
        throw new CorruptFileError(`the checkpoint in ${folder} has no value '${slot.name}'`);
      checkWhole(slot, found[0].shard.dtype, found[0].shard.whole, folder);
      const region = new Uint8Array(bytesOfSpec(slot.spec));
      let covered = 0;
      for (const { file, shard } of found) {
        const overlap = overlapOf(slot, shard);
        if (overlap === undefined) continue;
        copyRegion(slot, shard, overlap, load(file, shard), region, dtypes[shard.dtype].bytes);
        covered += numel(overlap.sizes);
      }
      if (covered !== numel(slot.spec.sizes))
        throw new CorruptFileError(
          `the checkpoint in ${folder} has ${covered} of the ${numel(slot.spec.sizes)} elements of '${slot.name}' that are wanted`,
        );
      return region;
    },
    close: () => {
      for (const file of files.values()) file.close();
    },
  };
}

/** Opens a safetensors file of whole values; `zeros` names values that it has not and that begin as zeros. */
export function openWholeState(path: string, zeros: ReadonlySet<string> = new Set()): StateReader {
  const file = intact(() => SafetensorsFile.open(path));
  return {
    values: new Map(
      [...file.entries.values()].map(({ name, dtype, shape }) => [
        name,
        { kind: 'Tensor', dtype, sizes: shape },
      ]),
    ),
    read: (slot) => {
      if (!file.entries.has(slot.name) && zeros.has(slot.name)) return new Uint8Array(bytesOfSpec(slot.spec));
      const entry = intact(() => file.entry(slot.name));
      checkWhole(slot, entry.dtype, entry.shape, path);
      const region = new Uint8Array(bytesOfSpec(slot.spec));
      const whole = { start: entry.shape.map(() => 0), sizes: entry.shape };
      const overlap = { start: slot.start, sizes: slot.spec.sizes };
      const { bytes } = intact(() => file.read(slot.name));
      copyRegion(slot, whole, overlap, bytes, region, dtypes[entry.dtype].bytes);
      return region;
    },
    close: () => file.close(),
  };
}

function checkWhole(
  slot: Pick<PersistentSlot, 'name' | 'whole'>,
  dtype: DType,
  sizes: readonly number[],
  where: string,
): void {
  const same = dtype === slot.whole.dtype && sizes.join() === slot.whole.sizes.join();
  if (!same)
    throw new CorruptFileError(
      `'${slot.name}' in ${where} is ${dtype}[${sizes.join(', ')}]; the plan has ${slot.whole.dtype}[${slot.whole.sizes.join(', ')}]`,
    );
}

interface Box {
  readonly start: readonly number[];
  readonly sizes: readonly number[];
}

function overlapOf(slot: Pick<PersistentSlot, 'start' | 'spec'>, shard: Box): Box | undefined {
  const start = slot.start.map((position, i) => Math.max(position, shard.start[i]));
  const sizes = start.map(
    (position, i) => Math.min(slot.start[i] + slot.spec.sizes[i], shard.start[i] + shard.sizes[i]) - position,
  );
  return sizes.every((size) => size > 0) ? { start, sizes } : undefined;
}

/** Copies the overlap of a shard and a wanted part, row by row of the last dimension. */
function copyRegion(
  slot: Pick<PersistentSlot, 'start' | 'spec'>,
  shard: Box,
  overlap: Box,
  from: Uint8Array,
  to: Uint8Array,
  width: number,
): void {
  const rank = overlap.sizes.length;
  if (rank === 0) return to.set(from);
  const row = overlap.sizes[rank - 1] * width;
  const rows = numel(overlap.sizes.slice(0, -1));
  const index = overlap.sizes.map(() => 0);
  const offsetIn = (box: Box): number =>
    overlap.start.reduce(
      (offset, position, i) => offset * box.sizes[i] + position + index[i] - box.start[i],
      0,
    ) * width;
  const target = { start: slot.start, sizes: slot.spec.sizes };
  for (let count = 0; count < rows; count++) {
    const source = offsetIn(shard);
    to.set(from.subarray(source, source + row), offsetIn(target));
    for (let i = rank - 2; i >= 0 && ++index[i] === overlap.sizes[i]; i--) index[i] = 0;
  }
}
