// weft: the one import for users. Re-exports the public parts; there is no logic here.
export * from '@weft/tensor';
export * as jit from '@weft/jit';
export * as ir from '@weft/ir';
export * as devices from '@weft/devices';
export * from '@weft/cluster';
export { OperatorError, ParseError, UnsupportedError, VerifyError, WeftError } from '@weft/ir';
