// `with` statements: prim::Enter and prim::Exit around the body.
import { AnyType, isSubtype } from '@weft/ir';
import type { Value } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import type { Emitter } from './emitter.ts';
import { emitExpression } from './expressions.ts';
import { fail } from './script-error.ts';
import { SimpleValue } from './simple-value.ts';

export function emitWith(e: Emitter, statement: tree.With): void {
  const entered: Value[] = [];
  for (const { context, target } of statement.items) {
    const object = emitExpression(e, context);
    const { range } = context;
    if (object.type.kind !== 'Class') fail(range, 'a with statement needs an object');
    const enter = object.type.methods.get('__enter__');
    const exit = object.type.methods.get('__exit__');
    if (enter === undefined || exit === undefined) {
      fail(range, `${object.type.name} has no __enter__ and __exit__ methods`);
    }
    if (enter.schema.arguments.length !== 1) fail(range, '__enter__ must take self only');
    const exitArguments = exit.schema.arguments.slice(1);
    if (exitArguments.length !== 3 || !exitArguments.every(({ type }) => isSubtype(AnyType, type))) {
      fail(range, '__exit__ must take self and three arguments of type Any');
    }
    const node = e.graph.insert('prim::Enter', [object], [enter.schema.returns[0].type]);
    node.source = range;
    entered.push(object);
    if (target !== undefined) {
      if (target.kind !== 'Name') fail(target.range, 'the target of a with statement is a variable');
      e.environment.set(target.range, target.name, new SimpleValue(node.output));
    }
  }
  e.emitStatements(statement.body);
  for (const object of entered.reverse()) e.graph.insert('prim::Exit', [object], 1);
}
