// A compiled function or method: a name, a schema and a graph.
import type { FunctionRef } from '../types/types.ts';
import type { Schema } from '../schema/schema.ts';
import type { Graph } from './graph.ts';

/** Methods have `self` as the first argument of both the schema and the graph. */
export class ScriptFunction implements FunctionRef {
  private compiled: Graph | undefined;

  /**
   * @param name qualified, such as `__torch__.Cell.forward`
   * @param declared the schema, or how to find it when that takes compiling the body (no return type is written)
   * @param define makes the graph when it is first asked for, so that functions may call each other
   */
  constructor(
    readonly name: string,
    private readonly declared: Schema | (() => Schema),
    private readonly define: () => Graph,
  ) {}

  get schema(): Schema {
    return typeof this.declared === 'function' ? this.declared() : this.declared;
  }

  get graph(): Graph {
    return (this.compiled ??= this.define());
  }
}
