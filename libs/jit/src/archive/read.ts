// Opens TorchScript archives: classes and functions from `code/`, constants and attributes from the pickles. Methods compile
// when they are needed; operators that nothing here gives a meaning are found at once, all of them.
import type { IValue } from '@weft/ir';
import { ObjectValue, TupleValue } from '@weft/ir';
import { ArchiveProgram } from '../frontend/torchscript/program.ts';
import type { ScriptModule } from '../script-module.ts';
import { scriptModuleOf } from '../script-module.ts';
import { ArchiveError } from './archive-error.ts';
import { ArchiveFile } from './archive-file.ts';
import { StorageReader } from './storages.ts';
import { refuseUnsupported } from './unsupported.ts';
import { ValueReader } from './values-in.ts';

export interface LoadOptions {
  /** Names of extra files to read; their text is put in. */
  readonly extraFiles?: Record<string, string>;
  /** Loads a module with operators that cannot run, to look at it. */
  readonly allowUnsupported?: boolean;
}

/**
 * Opens an archive written by `save` or by PyTorch's `torch.jit.save`: a path, or the archive's bytes. Throws ArchiveError
 * when it is none or damaged, ScriptError when its code is wrong, UnsupportedError listing every operator that cannot run.
 */
export function load(source: string | Uint8Array, options: LoadOptions = {}): ScriptModule {
  const { extraFiles = {}, allowUnsupported = false } = options;
  const archive =
    typeof source === 'string' ? ArchiveFile.open(source) : ArchiveFile.from(source, 'archive in memory');
  const object = readObject(archive);
  if (!allowUnsupported) refuseUnsupported(object.type, archive.file);
  for (const name of Object.keys(extraFiles)) {
    if (archive.has(`extra/${name}`)) extraFiles[name] = archive.text(`extra/${name}`);
  }
  return scriptModuleOf(object);
}

/** The root object of an archive. */
export function readObject(archive: ArchiveFile): ObjectValue {
  const reader = (name: 'data' | 'constants'): ValueReader => {
    const entry = `${archive.folder}${name}.pkl`;
    const folder = `${archive.folder}${name}/`;
    return new ValueReader(archive.file, entry, new StorageReader(archive, folder, entry), program);
  };
  let constants: readonly IValue[] | undefined;
  const table = (): readonly IValue[] => {
    if (constants === undefined) {
      constants = [];
      if (archive.has('constants.pkl')) {
        const value = reader('constants').read(archive.bytes('constants.pkl'));
        if (!(value instanceof TupleValue)) {
          throw new ArchiveError(
            archive.file,
            `${archive.folder}constants.pkl`,
            'the table of constants is no tuple',
          );
        }
        constants = value.items;
      }
    }
    return constants;
  };
  const program = new ArchiveProgram({
    file: (path) => (archive.has(`code/${path}`) ? archive.text(`code/${path}`) : undefined),
    fileName: (path) => `${archive.file}/code/${path}`,
    constant: (index) => table()[index],
  });
  const root = reader('data').read(archive.bytes('data.pkl'));
  if (!(root instanceof ObjectValue) || !root.type.isModule) {
    const what =
      'it holds data, but no module: it may have been written by torch.save instead of torch.jit.save';
    throw new ArchiveError(archive.file, `${archive.folder}data.pkl`, what);
  }
  return root;
}
