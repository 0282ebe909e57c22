// weft: the one import for users. Re-exports the public parts; there is no logic here.
export * from '@weft/tensor';
export * as jit from '@weft/jit';
