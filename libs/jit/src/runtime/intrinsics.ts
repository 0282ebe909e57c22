// Operators that need more than their operands: the run (to print, to warn, to call methods of user classes) or the
// node (whose output type says what is asked for).
import type { IValue, Node, Type } from '@weft/ir';
import type { Complex, FutureValue } from '@weft/ir';
import { ObjectValue, dtypes, tagContainer } from '@weft/ir';
import { HostError, compareValues, copyList, formatValue } from '@weft/ops';
import type { Tensor } from '@weft/tensor';
import type { ContextCallee } from './instruction.ts';
import type { RunContext } from './frame.ts';
import { methodOf } from './methods.ts';

/** Sorts in place by `__lt__` of user classes, lexicographically for tuples. Stable, as Python's sort. */
function sortAny(context: RunContext, list: IValue[], reverse: boolean): void {
  const isBefore = (a: IValue, b: IValue): boolean =>
    a instanceof ObjectValue ? context.call(methodOf(a, '__lt__'), [a, b]) === true : compareValues(a, b) < 0;
  const order = (a: IValue, b: IValue): number => (isBefore(a, b) ? -1 : isBefore(b, a) ? 1 : 0);
  list.sort((a, b) => (reverse ? order(b, a) : order(a, b)));
}

function submodule(module: ObjectValue, name: string): IValue {
  if (!module.type.attributes.some((attribute) => attribute.name === name)) {
    throw new HostError(
      `${module.type.name} (of Python compilation unit at: 0x...) does not have a field with name '${name}'`,
    );
  }
  return module.get(name);
}

const identities = new WeakMap<object, bigint>();
let lastIdentity = 0n;

function identityOf(value: IValue): bigint {
  if (value === null) return 0n;
  let identity = identities.get(value as object);
  if (identity === undefined) identities.set(value as object, (identity = ++lastIdentity));
  return identity;
}

/** Operators by qualified name that use the run. */
export const contextOperators: Readonly<Record<string, ContextCallee>> = {
  'prim::Print': (context, args) => {
    context.print(`${args.map(formatValue).join(' ')}\n`);
    return null;
  },
  'aten::warn': (context, args) => {
    context.warn(`UserWarning: ${args[0] as string}\n`);
    return null;
  },
  'aten::wait': (_, args) => (args[0] as FutureValue).wait(),
  'aten::sort.any': (context, args) => {
    sortAny(context, args[0] as IValue[], args[1] === true);
    return null;
  },
  'aten::sorted.any': (context, args) => {
    const list = copyList(args[0] as IValue[]);
    sortAny(context, list, false);
    return list;
  },
  'prim::ModuleContainerIndex.list': (_, [module, index]) => submodule(module as ObjectValue, String(index)),
  'prim::ModuleContainerIndex.dict': (_, [module, key]) => submodule(module as ObjectValue, key as string),
  'prim::id': (_, args) => identityOf(args[0]),
};

/** Operators by kind whose meaning depends on the node. */
export const nodeOperators: Readonly<Record<string, (node: Node) => ContextCallee>> = {
  'prim::tolist': (node) => {
    const { type } = node.output;
    return (_, args) => toList(args[0] as unknown as Tensor, type);
  },
};

function toList(tensor: Tensor, type: Type): IValue {
  let element = type;
  let rank = 0;
  for (; element.kind === 'List'; rank++) ({ element } = element);
  const { category } = dtypes[tensor.dtype];
  const fits =
    element.kind === 'float'
      ? category === 'float'
      : element.kind === 'int'
        ? tensor.dtype === 'int64'
        : element.kind === category;
  if (!fits)
    throw new HostError(
      'Output annotation element type and runtime tensor element type must match for tolist()',
    );
  if (rank !== tensor.shape.length) {
    throw new HostError(
      'Output annotation list dimension and runtime tensor dimension must match for tolist()',
    );
  }
  const convert = (item: unknown, level: Type): IValue => {
    if (level.kind === 'List') {
      const inner = level.element;
      return tagContainer(
        (item as unknown[]).map((each) => convert(each, inner)),
        level,
      );
    }
    if (element.kind === 'int') return BigInt(item as bigint | number);
    if (element.kind === 'float') return Number(item);
    return item as boolean | Complex;
  };
  return convert(tensor.tolist(), type);
}
