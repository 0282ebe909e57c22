// Opens TorchScript archives: classes and functions from `code/`, constants and attributes from the pickles. Methods compile
// when they are needed; operators that nothing here gives a meaning are found at once, all of them.
import type { MappedFileOptions } from '@weft/devices';
import type { IValue } from '@weft/ir';
import { ObjectValue, TupleValue } from '@weft/ir';
import { ArchiveError, io } from '@weft/tensor';
import type { ProgramFile } from '../frontend/torchscript/program.ts';
import { customClass } from '../frontend/torchscript/custom-classes.ts';
import { ArchiveProgram } from '../frontend/torchscript/program.ts';
import type { ScriptModule } from '../script-module.ts';
import { scriptModuleOf } from '../script-module.ts';
import { DebugRanges } from './debug-ranges.ts';
import { refuseUnsupported } from './unsupported.ts';
import { ValueReader } from './values-in.ts';

export interface LoadOptions extends MappedFileOptions {
  /** Names of extra files to read; their text is put in. */
  readonly extraFiles?: Record<string, string>;
  /** Loads a module with operators that cannot run, to look at it. */
  readonly allowUnsupported?: boolean;
  /** Compares every record with its checksum, tensors too, which reads the whole file (default: all but the tensors). */
  readonly checkTensors?: boolean;
}

/**
 * Opens an archive written by `save` or by PyTorch's `torch.jit.save`: a path, or the archive's bytes. Tensors of a large file
 * are used where they lie in it, by a private mapping; see MappedFileOptions. Throws ArchiveError when it is none or damaged,
 * ScriptError when its code is wrong, UnsupportedError listing every operator that cannot run.
 */
export function load(source: string | Uint8Array, options: LoadOptions = {}): ScriptModule {
  const { extraFiles = {}, allowUnsupported = false, checkTensors = false } = options;
  const archive =
    typeof source === 'string'
      ? io.ArchiveFile.open(source, options)
      : io.ArchiveFile.from(source, 'archive in memory');
  try {
    if (checkTensors) for (const name of archive.zip.names) archive.zip.check(name);
    const object = readObject(archive);
    if (!allowUnsupported) refuseUnsupported(object.type, archive.file);
    for (const name of Object.keys(extraFiles)) {
      if (archive.has(`extra/${name}`)) extraFiles[name] = archive.text(`extra/${name}`);
    }
    return scriptModuleOf(object);
  } finally {
    archive.close();
  }
}

/** The code of an archive, read at once: methods compile later, when the file may be closed. */
function codeOf(archive: io.ArchiveFile): (path: string) => ProgramFile | undefined {
  const records = new Map(archive.records('code/').map((path) => [path, archive.bytes(`code/${path}`)]));
  return (path) => {
    const bytes = records.get(path);
    if (bytes === undefined) return undefined;
    const record = `code/${path}`;
    const text = archive.decoded(record, bytes);
    const printed = new DebugRanges(record, text, records.get(`${path}.debug_pkl`));
    return { name: `${archive.file}/${record}`, text, printed };
  };
}

/** The root object of an archive. */
export function readObject(archive: io.ArchiveFile): ObjectValue {
  const reader = (name: 'data' | 'constants'): ValueReader => {
    const entry = `${archive.folder}${name}.pkl`;
    return new ValueReader(archive.file, entry, new io.StorageReader(archive, `${name}/`, entry), program);
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
    version: archive.version,
    file: codeOf(archive),
    constant: (index) => table()[index],
    namedType: customClass,
  });
  const root = reader('data').read(archive.bytes('data.pkl'));
  // Methods that compile later use the table when the archive is closed.
  table();
  if (!(root instanceof ObjectValue) || !root.type.isModule) {
    const what = 'it holds data, but no module: what torch.save wrote is read by load, which is not jit.load';
    throw new ArchiveError(archive.file, `${archive.folder}data.pkl`, what);
  }
  return root;
}
