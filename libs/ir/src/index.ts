// @weft/ir: graphs, types, operator schemas and their text form; the core dialect. Knows nothing of running.
export * from './errors.ts';
export * from './types/dtype.ts';
export * from './types/types.ts';
export * from './types/ivalue.ts';
export * from './types/lattice.ts';
export { unionOf } from './types/union.ts';
export * from './schema/schema.ts';
export { parseSchema, schemaToString } from './schema/parse.ts';
export * from './schema/registry.ts';
export { annotationString, parseType, typeToString } from './text/type-text.ts';
export type { TypeParseOptions, TypeResolver } from './text/type-text.ts';
export * from './graph/source-range.ts';
export * from './graph/attribute.ts';
export * from './graph/graph.ts';
export * from './graph/function.ts';
export * from './core/operator.ts';
export * from './core/builder.ts';
import './core/ops/index.ts';
