// The second half of a variant's guard: the module's attributes are what they were when it was made. Tensors are compared by
// identity and geometry; their contents are operands, so they may change.
import type { IValue, ObjectValue } from '@weft/ir';
import { TupleValue } from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import { Tensor } from '@weft/tensor';

interface Watched {
  readonly slots: readonly IValue[];
  readonly expected: readonly IValue[];
}

export class StateGuard {
  private readonly objects: readonly Watched[];
  private readonly tensors: readonly { tensor: Tensor; sizes: readonly number[]; requiresGrad: boolean }[];
  private readonly containers: readonly { container: IValue; expected: IValue }[];

  constructor(objects: readonly ObjectValue[]) {
    this.objects = objects.map(({ slots }) => ({ slots, expected: [...slots] }));
    const tensors = new Set<Tensor>();
    const containers = new Map<IValue, IValue>();
    const visit = (value: IValue): void => {
      if (value instanceof Tensor) tensors.add(value);
      else if (Array.isArray(value) || value instanceof Map) {
        containers.set(value, Array.isArray(value) ? [...value] : new Map(value));
        for (const item of value.values()) visit(item);
      } else if (value instanceof TupleValue) value.items.forEach(visit);
    };
    for (const { expected } of this.objects) expected.forEach(visit);
    this.tensors = [...tensors].map((tensor) => {
      const { sizes, requiresGrad } = tensor;
      return { tensor, sizes, requiresGrad };
    });
    this.containers = [...containers].map(([container, expected]) => ({ container, expected }));
  }

  holds(): boolean {
    for (const { slots, expected } of this.objects) {
      for (let index = 0; index < expected.length; index++) {
        if (slots[index] !== expected[index] && !Object.is(slots[index], expected[index])) return false;
      }
    }
    for (const { tensor, sizes, requiresGrad } of this.tensors) {
      if (tensor.sizes !== sizes || tensor.requiresGrad !== requiresGrad) return false;
    }
    for (const { container, expected } of this.containers) if (!sameItems(container, expected)) return false;
    return true;
  }
}

/** Items that are tensors or containers are compared by identity: they are watched on their own. */
function sameItems(container: IValue, expected: IValue): boolean {
  if (Array.isArray(container) && Array.isArray(expected)) {
    return (
      container.length === expected.length &&
      container.every((item, index) => sameItem(item, expected[index]))
    );
  }
  if (!(container instanceof Map) || !(expected instanceof Map) || container.size !== expected.size)
    return false;
  const before = [...expected];
  let at = 0;
  for (const [key, item] of container) {
    const [wasKey, wasItem] = before[at++];
    if (!Object.is(key, wasKey) || !sameItem(item, wasItem)) return false;
  }
  return true;
}

const sameItem = (item: IValue, expected: IValue): boolean =>
  Object.is(item, expected) ||
  (typeof item === 'object' &&
    !(item instanceof Tensor) &&
    !Array.isArray(item) &&
    !(item instanceof Map) &&
    valuesEqual(item, expected));
