// Files: PyTorch's zip archives and pickles, and safetensors.
export { ArchiveError } from './archive-error.ts';
export { syncFolder, writeAtomically, writeAtomicallyAsync } from './atomic-file.ts';
export { layoutSafetensors, streamSafetensors } from './safetensors.ts';
export type { SafetensorsLayout, SafetensorsTensor } from './safetensors.ts';
export { ArchiveFile } from './archive-file.ts';
export { ZipFile } from './zip-reader.ts';
export type { ZipEntry } from './zip-reader.ts';
export { ZipWriter, recordAlignment } from './zip-writer.ts';
export { MemorySource } from './byte-source.ts';
export type { ByteSource } from './byte-source.ts';
export { PickledGlobal, PickledObject, PickledTuple, PickledValue, readPickle } from './pickle-reader.ts';
export type { Pickled, PickleRules } from './pickle-reader.ts';
export { PickleWriter } from './pickle-writer.ts';
export { StorageReader } from './storages.ts';
export { StorageTable, pickleTensor } from './tensor-pickle.ts';
export { callTensorGlobal, isTensorGlobal } from './tensor-globals.ts';
