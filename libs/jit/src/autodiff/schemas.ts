// Operators that derivatives of torch graphs are made of, besides PyTorch's own.
import { registerSchema } from '@weft/ir';

/** Operands and cotangents of results → cotangents of operands. */
registerSchema('weft::vjp(...) -> ...');
/** A list or tuple like the first operand, of zeros, with the third at the position that the second says. */
registerSchema('weft::place(...) -> ...');
/** Zeros in the shape of a list or tuple of tensors. */
registerSchema('weft::zeros(...) -> ...');
/** The sum of two lists or tuples, item by item. */
registerSchema('weft::add(...) -> ...');
