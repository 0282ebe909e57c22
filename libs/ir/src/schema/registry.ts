// All operator schemas by name. The generated text is indexed by name once, when it is first asked for (a few
// milliseconds), and a name's lines are parsed when that name is; so importing costs nothing.
import type { Node } from '../graph/graph.ts';
import { OperatorError } from '../errors.ts';
import type { TypeBindings } from '../types/lattice.ts';
import { matchType, typesEqual } from '../types/lattice.ts';
import type { Type } from '../types/types.ts';
import { additionalSchemas } from './additional.ts';
import { parseSchema } from './parse.ts';
import type { Schema } from './schema.ts';
import { qualifiedName } from './schema.ts';
import { schemaText } from './schemas.generated.ts';

/** Name → where its lines stand in the generated text (lines of one name stand together), or lines of their own. */
let index: Map<string, string[]> | undefined;
const parsed = new Map<string, Schema[]>();
/** Schemas registered while running, by name. */
const registered = new Map<string, Schema[]>();

function indexed(): Map<string, string[]> {
  if (index !== undefined) return index;
  index = new Map();
  for (const text of [additionalSchemas, schemaText]) {
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const name = nameOfLine(line);
      const lines = index.get(name);
      if (lines === undefined) index.set(name, [line]);
      else lines.push(line);
    }
  }
  return index;
}

function nameOfLine(line: string): string {
  const end = line.indexOf('(');
  const dot = line.indexOf('.');
  return line.slice(0, dot >= 0 && dot < end ? dot : end);
}

/** Every overload of an operator (`aten::add`), the registered ones first; empty when there is none. */
export function schemasOf(name: string): readonly Schema[] {
  let schemas = parsed.get(name);
  if (schemas === undefined) {
    schemas = (indexed().get(name) ?? []).map(parseSchema);
    const own = registered.get(name);
    if (own !== undefined) schemas = [...own, ...schemas];
    parsed.set(name, schemas);
  }
  return schemas;
}

/** Names (without namespace) of all operators of a namespace. */
export function schemaNames(namespace: string): string[] {
  const prefix = `${namespace}::`;
  const names = [...indexed().keys(), ...registered.keys()].filter((name) => name.startsWith(prefix));
  return [...new Set(names)].map((name) => name.slice(prefix.length));
}

/** The schema of a qualified name: `aten::add.Tensor`, `aten::relu`. */
export function findSchema(qualified: string): Schema | undefined {
  const dot = qualified.indexOf('.', qualified.indexOf('::'));
  const name = dot < 0 ? qualified : qualified.slice(0, dot);
  const overload = dot < 0 ? '' : qualified.slice(dot + 1);
  return schemasOf(name).find((schema) => schema.overload === overload);
}

/** Names of all operators. */
export const operatorNames = (): string[] => [...new Set([...registered.keys(), ...indexed().keys()])];

/** Makes an operator known. Throws OperatorError when the qualified name is taken, ParseError when the text is wrong. */
export function registerSchema(text: string): Schema {
  const schema = parseSchema(text);
  if (isKnown(schema)) {
    throw new OperatorError(`operator ${qualifiedName(schema)} is registered already`);
  }
  registered.set(schema.name, [...(registered.get(schema.name) ?? []), schema]);
  parsed.delete(schema.name);
  return schema;
}

/** Whether there is an operator of that qualified name. Programs register some when they start; the index is not made for that. */
function isKnown(schema: Schema): boolean {
  const known = registered.get(schema.name)?.some(({ overload }) => overload === schema.overload);
  const line = `\n${qualifiedName(schema)}(`;
  return known === true || [additionalSchemas, schemaText].some((text) => text.includes(line));
}

/**
 * The schema of a node: the one its overload names, else the overload that its operands' types fit best, which is then
 * remembered in the node. Undefined for operators without schema (`prim::If`, core operators) and when nothing fits.
 */
export function schemaOfNode(node: Node): Schema | undefined {
  if (node.overload !== undefined) {
    return schemasOf(node.kind).find((schema) => schema.overload === node.overload);
  }
  const found = bestOverload(
    schemasOf(node.kind),
    node.inputs.map((input) => input.type),
  );
  if (found !== undefined) node.overload = found.overload;
  return found;
}

/** The overload whose arguments, all given in order, accept these types with the fewest widenings. */
export function bestOverload(schemas: readonly Schema[], types: readonly Type[]): Schema | undefined {
  let best: Schema | undefined;
  let bestScore = Infinity;
  for (const schema of schemas) {
    const score = widenings(schema, types);
    if (score !== undefined && score < bestScore) {
      best = schema;
      bestScore = score;
    }
  }
  return best;
}

/** How many operands are not of exactly the argument's type; undefined when one does not fit. */
function widenings(schema: Schema, types: readonly Type[]): number | undefined {
  const { arguments: formals, isVararg } = schema;
  if (types.length < formals.length || (types.length > formals.length && !isVararg)) return undefined;
  const bindings: TypeBindings = new Map();
  let score = isVararg ? 0.5 : 0;
  for (let position = 0; position < formals.length; position++) {
    const formal = formals[position].type;
    if (!matchType(formal, types[position], bindings)) return undefined;
    if (!typesEqual(formal, types[position])) score++;
  }
  return score;
}
