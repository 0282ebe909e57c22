// The second half of a variant's guard: the module's attributes are what they were when it was made. Tensors are compared by
// identity and geometry; their contents are operands, so they may change.
import type { IValue, ObjectValue } from '@weft/ir';
import { TupleValue } from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import { Tensor } from '@weft/tensor';

export class StateGuard {
  /** The objects that are watched, what their slots held, and their versions when these were last compared. */
  private readonly objects: readonly ObjectValue[];
  private readonly expected: readonly (readonly IValue[])[];
  private readonly versions: number[];
  private readonly tensors: readonly Tensor[];
  private readonly sizes: readonly (readonly number[])[];
  private readonly requiresGrad: readonly boolean[];
  private readonly containers: readonly { container: IValue; expected: IValue }[];

  constructor(objects: readonly ObjectValue[]) {
    const tensors = new Set<Tensor>();
    const containers = new Map<IValue, IValue>();
    const visit = (value: IValue): void => {
      if (value instanceof Tensor) tensors.add(value);
      else if (Array.isArray(value) || value instanceof Map) {
        containers.set(value, Array.isArray(value) ? [...value] : new Map(value));
        for (const item of value.values()) visit(item);
      } else if (value instanceof TupleValue) value.items.forEach(visit);
    };
    for (const { slots } of objects) slots.forEach(visit);
    this.objects = [...objects];
    this.expected = objects.map(({ slots }) => [...slots]);
    this.versions = objects.map(({ version }) => version);
    this.tensors = [...tensors];
    this.sizes = this.tensors.map(({ sizes }) => sizes);
    this.requiresGrad = this.tensors.map(({ requiresGrad }) => requiresGrad);
    this.containers = [...containers].map(([container, expected]) => ({ container, expected }));
  }

  holds(): boolean {
    const { objects, versions, tensors, sizes, requiresGrad, containers } = this;
    for (let at = 0; at < objects.length; at++) {
      if (objects[at].version !== versions[at] && !this.holdsAsBefore(at)) return false;
    }
    for (let at = 0; at < tensors.length; at++) {
      const tensor = tensors[at];
      if (tensor.sizes !== sizes[at] || tensor.requiresGrad !== requiresGrad[at]) return false;
    }
    for (let at = 0; at < containers.length; at++) {
      if (!sameItems(containers[at].container, containers[at].expected)) return false;
    }
    return true;
  }

  /** Whether the slots of an object, some of which were assigned, hold what they did. */
  private holdsAsBefore(at: number): boolean {
    const { slots, version } = this.objects[at];
    const expected = this.expected[at];
    if (slots.length !== expected.length || !slots.every((value, slot) => Object.is(value, expected[slot])))
      return false;
    this.versions[at] = version;
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
