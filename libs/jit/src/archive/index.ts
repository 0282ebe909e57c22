// Archives: TorchScript's `.pt` files, read and written.
export { ArchiveError } from './archive-error.ts';
export { load } from './read.ts';
export type { LoadOptions } from './read.ts';
