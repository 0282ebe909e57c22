// For tests and tools/check-round-trip.ts: archives that weft writes, opened by PyTorch and compared, in one process for all.
// What the comparison looks at is in tools/check-round-trip.py.
import { manualSeed } from '@weft/tensor';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trace } from '../frontend/trace/trace.ts';
import { moduleCases } from '../nn-module-cases.ts';
import { script } from '../script.ts';
import type { ScriptModule } from '../script-module.ts';
import { runPython } from './ask-pytorch.ts';
import { load } from './read.ts';
import { recordCase } from './record-case.ts';
import { save } from './write.ts';

/** An archive that weft wrote, and what it is compared with. */
export interface ArchiveCheck {
  readonly name: string;
  readonly saved: string;
  /** A folder with io.json and tensors.bin. */
  readonly record: string;
  /** The archive from which it was loaded, written by PyTorch. Without one the record has the results. */
  readonly original?: string;
}

/** What differs, by name; nothing where all agrees. */
export type Differences = Map<string, readonly string[]>;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Loads recorded archives of PyTorch and saves them again below `folder`.
 * @param failed receives what cannot be loaded or saved
 */
export function savedAgain(
  cases: string,
  names: readonly string[],
  folder: string,
  failed: Differences,
): ArchiveCheck[] {
  return names.flatMap((name) => {
    const record = join(cases, name);
    const original = join(record, 'model.pt');
    const saved = join(folder, `${name}.pt`);
    mkdirSync(join(saved, '..'), { recursive: true });
    try {
      save(load(original), saved);
    } catch (error) {
      failed.set(name, [messageOf(error)]);
      return [];
    }
    return [{ name, saved, record, original }];
  });
}

/**
 * Scripts and traces modules of the library and saves them below `folder` with what they answer.
 * @param names which of the module cases (default: all, one of every class)
 */
export function savedModules(
  folder: string,
  failed: Differences,
  names: readonly string[] = [...moduleCases.keys()],
): ArchiveCheck[] {
  const chosen = [...moduleCases].filter(([name]) => names.includes(name));
  return chosen.flatMap(([name, { make, inputs }]) =>
    (['scripted', 'traced'] as const).flatMap((way) => {
      const title = `${name}, ${way}`;
      manualSeed(0);
      const module = make().eval();
      const given = inputs();
      // A trace takes tensors only.
      if (way === 'traced' && given.some((input) => typeof input !== 'object')) return [];
      const record = join(folder, title.replaceAll(/\W+/g, '-'));
      try {
        const made =
          way === 'scripted'
            ? (script(module) as unknown as ScriptModule)
            : trace(module, given, { checkTrace: false, onWarning: () => undefined });
        recordCase(record, made, [{ inputs: given }, { inputs: given }]);
      } catch (error) {
        failed.set(title, [messageOf(error)]);
        return [];
      }
      return [{ name: title, saved: join(record, 'model.pt'), record }];
    }),
  );
}

/** Asks PyTorch. `program` is tools/check-round-trip.py. */
export function compareInPyTorch(
  program: string,
  checks: readonly ArchiveCheck[],
  folder: string,
): Differences {
  const manifest = join(folder, 'manifest.json');
  writeFileSync(manifest, JSON.stringify(checks));
  const results = runPython(program, manifest) as [name: string, differences: string[]][];
  return new Map(results.filter(([, differences]) => differences.length > 0));
}
