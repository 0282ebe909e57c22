// Attributes of nodes: PyTorch's kinds, and the few more that core operators need (b, bs, iss).
import type { TensorLiteral, IValue } from '../types/ivalue.ts';
import type { Type } from '../types/types.ts';
import type { Graph } from './graph.ts';

export type Attribute =
  | { readonly kind: 'i'; readonly value: bigint }
  | { readonly kind: 'is'; readonly value: readonly bigint[] }
  /** A list of lists of ints: padding pairs, replica groups. */
  | { readonly kind: 'iss'; readonly value: readonly (readonly bigint[])[] }
  | { readonly kind: 'f'; readonly value: number }
  | { readonly kind: 'fs'; readonly value: readonly number[] }
  | { readonly kind: 'b'; readonly value: boolean }
  | { readonly kind: 'bs'; readonly value: readonly boolean[] }
  | { readonly kind: 's'; readonly value: string }
  | { readonly kind: 'ss'; readonly value: readonly string[] }
  | { readonly kind: 't'; readonly value: TensorLiteral }
  | { readonly kind: 'ts'; readonly value: readonly TensorLiteral[] }
  | { readonly kind: 'g'; readonly value: Graph }
  | { readonly kind: 'ty'; readonly value: Type }
  | { readonly kind: 'tys'; readonly value: readonly Type[] }
  /** Any other constant: lists, tuples, dicts, objects, enums, complex numbers, devices. */
  | { readonly kind: 'ival'; readonly value: IValue };

export type AttributeKind = Attribute['kind'];
type AttributeValues = { readonly [A in Attribute as A['kind']]: A['value'] };
/** The JavaScript type of an attribute of kind K. */
export type AttributeValue<K extends AttributeKind> = AttributeValues[K];
