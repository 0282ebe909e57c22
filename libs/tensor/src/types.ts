// Names that programs use in annotations: scripts read them as TorchScript's types, TypeScript as plain numbers.

/** A TorchScript int; a JavaScript number that is whole. */
export type int = number;
/** A TorchScript float. */
export type float = number;
/** Kept as written in PyTorch: how a tensor's dimensions lie in memory. */
export type MemoryFormat = 'contiguous_format' | 'preserve_format' | 'channels_last' | 'channels_last_3d';
export type Layout = 'strided';
