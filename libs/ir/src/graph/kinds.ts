// Kinds of nodes, each once, so that kinds and operators compare as fast as numbers.
/** A kind and its parts: `core::add` is `add` of the namespace `core`. */
interface Kind {
  readonly kind: string;
  readonly namespace: string;
  readonly operator: string;
}

const kinds = new Map<string, Kind>();

export function kindOf(name: string): Kind {
  let kind = kinds.get(name);
  if (kind === undefined) {
    const at = name.indexOf('::');
    kinds.set(name, (kind = { kind: name, namespace: name.slice(0, at), operator: name.slice(at + 2) }));
  }
  return kind;
}
