// What the operators of the syntax tree are in the graph, and which methods of users' classes they call.
import type { BinaryOperator, CompareOperator } from '../frontend/tree.ts';

export const binaryOperators: Readonly<Record<BinaryOperator, string>> = {
  add: 'aten::add',
  sub: 'aten::sub',
  mul: 'aten::mul',
  div: 'aten::div',
  pow: 'aten::pow',
  mod: 'aten::remainder',
  rem: 'aten::fmod',
  floordiv: 'aten::floordiv',
  matmul: 'aten::matmul',
  and: 'aten::__and__',
  or: 'aten::__or__',
  xor: 'aten::__xor__',
  shl: 'aten::__lshift__',
  shr: 'aten::__rshift__',
  and32: 'aten::__and__',
  or32: 'aten::__or__',
  xor32: 'aten::__xor__',
  shl32: 'aten::__lshift__',
  shr32: 'aten::__rshift__',
};

export const compareOperators: Readonly<Partial<Record<CompareOperator, string>>> = {
  lt: 'aten::lt',
  le: 'aten::le',
  gt: 'aten::gt',
  ge: 'aten::ge',
  eq: 'aten::eq',
  ne: 'aten::ne',
};

/** Methods of users' classes. */
export const magicMethods: Readonly<Record<string, string | undefined>> = {
  add: '__add__',
  sub: '__sub__',
  mul: '__mul__',
  div: '__truediv__',
  pow: '__pow__',
  mod: '__mod__',
  and: '__and__',
  or: '__or__',
  xor: '__xor__',
  shl: '__lshift__',
  shr: '__rshift__',
  lt: '__lt__',
  le: '__le__',
  gt: '__gt__',
  ge: '__ge__',
  eq: '__eq__',
  ne: '__ne__',
};

/** In-place operators of `x op= y` on tensors (and `+=` on lists). */
export const inPlaceOperators: Readonly<Partial<Record<BinaryOperator, string>>> = {
  add: 'aten::add_',
  sub: 'aten::sub_',
  mul: 'aten::mul_',
  div: 'aten::div_',
  mod: 'aten::fmod_',
  or: 'aten::bitwise_or',
  and: 'aten::bitwise_and',
  xor: 'aten::bitwise_xor',
  shl: 'aten::__lshift__',
  shr: 'aten::__irshift__',
  pow: 'aten::pow',
};
/** `x op= y` on anything else; `%=` is fmod there, as in PyTorch. */
export const augmentedOperators: Readonly<Partial<Record<BinaryOperator, string>>> = { mod: 'aten::fmod' };
