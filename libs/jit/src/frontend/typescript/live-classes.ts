// Users' classes: fields with their types, the constructor as `__init__`, methods (inherited ones too), getters and setters.
import type { ClassType, Value } from '@weft/ir';
import type TS from 'typescript';
import { ts } from './typescript.ts';
import type { SelfBinding } from '../../emit/emitter.ts';
import { SimpleValue } from '../../emit/simple-value.ts';
import { resolveType } from '../../emit/type-expressions.ts';
import type * as tree from '../tree.ts';
import { Converter } from './converter.ts';
import { valueOf } from './expressions.ts';
import type { LivePrograms } from './live-programs.ts';
import { LiveResolver } from './live-resolver.ts';
import type { FunctionSyntax } from './source-file.ts';
import { classSyntax } from './source-file.ts';
import { typeExpression } from './types.ts';

type ClassSyntax = FunctionSyntax<TS.ClassLikeDeclaration>;
type AnyFunction = (...given: never[]) => unknown;

export function compileClass(programs: LivePrograms, constructor: AnyFunction, type: ClassType): void {
  const self: SelfBinding = { type, sugared: (value: Value) => new SimpleValue(value) };
  const chain = classChain(constructor);
  // Fields with a type are attributes from the start, so that `this.items = []` knows what it holds.
  for (const { live, syntax } of [...chain].reverse()) declareFields(programs, live, syntax, type);
  const init = initOf(programs, chain, self, type);
  if (init !== undefined) type.methods.set('__init__', init);
  defineMethods(programs, constructor, type, self, () => false);
  if (init !== undefined) void init.graph;
}

interface Link {
  readonly live: AnyFunction;
  readonly syntax: ClassSyntax;
}

/** The class and those it extends, itself first. */
function classChain(constructor: AnyFunction): Link[] {
  const chain: Link[] = [];
  for (
    let live: AnyFunction = constructor;
    /^class\b/.test(Function.prototype.toString.call(live));
    live = Object.getPrototypeOf(live) as AnyFunction
  ) {
    chain.push({ live, syntax: classSyntax(live) });
  }
  return chain;
}

function declareFields(
  programs: LivePrograms,
  live: AnyFunction,
  syntax: ClassSyntax,
  type: ClassType,
): void {
  const converter = new Converter(syntax.file, 'self');
  const resolver = new LiveResolver(programs, live, syntax, converter.free);
  for (const { name, written } of fieldsOf(syntax.node)) {
    if (written === undefined || type.attributes.some((attribute) => attribute.name === name)) continue;
    type.attributes.push({ name, type: resolveType({ resolver }, typeExpression(syntax.file, written)) });
  }
}

/** Declared fields, parameter properties included. */
export function fieldsOf(
  node: TS.ClassLikeDeclaration,
): { name: string; written: TS.TypeNode | undefined; isReadonly: boolean }[] {
  const isReadonly = (member: TS.PropertyDeclaration | TS.ParameterDeclaration): boolean =>
    (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Readonly) !== 0;
  return node.members.flatMap((member) => {
    if (ts.isPropertyDeclaration(member) && !isStatic(member) && ts.isIdentifier(member.name)) {
      return [{ name: member.name.text, written: member.type, isReadonly: isReadonly(member) }];
    }
    if (!ts.isConstructorDeclaration(member)) return [];
    return member.parameters.flatMap((parameter) =>
      ts.isParameterPropertyDeclaration(parameter, member) && ts.isIdentifier(parameter.name)
        ? [{ name: parameter.name.text, written: parameter.type, isReadonly: isReadonly(parameter) }]
        : [],
    );
  });
}

const isStatic = (node: TS.Declaration): boolean =>
  (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Static) !== 0;

/** The constructor as a method: field initialisers, parameter properties, then its body; `super(…)` runs the base's. */
function initOf(
  programs: LivePrograms,
  chain: readonly Link[],
  self: SelfBinding,
  type: ClassType,
): ReturnType<LivePrograms['compile']> | undefined {
  const [{ live, syntax }, ...bases] = chain;
  const base = bases.length > 0 ? initOf(programs, bases, self, type) : undefined;
  const baseName = `_super_${bases.length}_init`;
  if (base !== undefined) {
    type.methods.set(baseName, base);
    void base.graph;
  }
  const name = '__init__';
  const converter = new Converter(syntax.file, 'self');
  const written = syntax.node.members.find(
    (member): member is TS.ConstructorDeclaration =>
      ts.isConstructorDeclaration(member) && member.body !== undefined,
  );
  const range = converter.range(syntax.node.name ?? syntax.node);
  const assignField = (field: string, value: tree.Expression): tree.Statement => ({
    kind: 'Assign',
    targets: [
      { kind: 'Member', object: { kind: 'Name', name: 'self', range }, name: field, range: value.range },
    ],
    value,
    range: value.range,
  });
  const none: tree.TypeExpression = { kind: 'Name', name: 'NoneType', range };
  let def: tree.Def;
  if (written === undefined) {
    if (
      base !== undefined &&
      syntax.node.members.every(
        (member) => !ts.isPropertyDeclaration(member) || member.initializer === undefined,
      )
    ) {
      return base;
    }
    converter.declare('self');
    def = {
      kind: 'Def',
      name,
      parameters: [{ name: 'self', range }],
      returns: none,
      body: initialisers(),
      range,
    };
  } else {
    const whole = converter.def(written, name);
    const properties = written.parameters.flatMap((parameter): tree.Statement[] =>
      ts.isParameterPropertyDeclaration(parameter, written) && ts.isIdentifier(parameter.name)
        ? [
            assignField(parameter.name.text, {
              kind: 'Widen',
              operand: converter.name(parameter.name),
              range: converter.range(parameter),
            }),
          ]
        : [],
    );
    const body = [...whole.body];
    const superIndex = body.findIndex(isSuperCall);
    if (superIndex >= 0) {
      const call = (body[superIndex] as tree.ExpressionStatement).expression as tree.Invoke;
      const replacement: tree.Statement[] =
        base === undefined
          ? []
          : [
              {
                kind: 'ExpressionStatement',
                expression: {
                  ...call,
                  callee: {
                    kind: 'Member',
                    object: { kind: 'Name', name: 'self', range },
                    name: baseName,
                    range,
                  },
                },
                range: call.range,
              },
            ];
      body.splice(superIndex, 1, ...replacement, ...properties, ...initialisers());
    } else body.unshift(...properties, ...initialisers());
    def = { ...whole, body };
  }
  return programs.compile(live, name, `${type.name}.${name}`, self, {
    adapt: (own) => {
      for (const [free, offset] of converter.free) own.free.set(free, offset);
      return def;
    },
  });

  function initialisers(): tree.Statement[] {
    return syntax.node.members.flatMap((member) =>
      ts.isPropertyDeclaration(member) &&
      !isStatic(member) &&
      member.initializer !== undefined &&
      ts.isIdentifier(member.name)
        ? [assignField(member.name.text, valueOf(converter, member.initializer))]
        : [],
    );
  }
}

const isSuperCall = (statement: tree.Statement): boolean =>
  statement.kind === 'ExpressionStatement' &&
  statement.expression.kind === 'Invoke' &&
  statement.expression.callee.kind === 'Name' &&
  statement.expression.callee.name === '$super';

/**
 * Defines the methods, getters and setters that instances of `constructor` have, own ones first.
 * @param stop where the chain of prototypes ends
 * @param wanted which members are defined
 */
export function defineMethods(
  programs: LivePrograms,
  constructor: AnyFunction,
  type: ClassType,
  self: SelfBinding,
  stop: (prototype: object) => boolean,
  wanted: (name: string) => boolean = () => true,
): void {
  const chain: object[] = [];
  for (
    let prototype = constructor.prototype as object;
    Object.getPrototypeOf(prototype) !== null && !stop(prototype);
    prototype = Object.getPrototypeOf(prototype) as object
  ) {
    chain.push(prototype);
  }
  // A method that is overridden further down is reached through super only.
  const key = (depth: number, name: string): string =>
    chain.slice(0, depth).some((prototype) => Object.hasOwn(prototype, name))
      ? `_super_${depth}_${name}`
      : name;
  for (const [depth, prototype] of chain.entries()) {
    const superMethod = (name: string): string => {
      const above = chain.findIndex((candidate, index) => index > depth && Object.hasOwn(candidate, name));
      return key(above < 0 ? depth : above, name);
    };
    const define = (name: string, method: object): void => {
      if (type.methods.has(name)) return;
      type.methods.set(name, programs.compile(method, name, `${type.name}.${name}`, self, { superMethod }));
      programs.onFailure(() => {
        type.methods.delete(name);
        type.properties.delete(name.replace(/^_[gs]et_/, ''));
      });
    };
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === 'constructor' || !wanted(name)) continue;
      if (typeof property.value === 'function') define(key(depth, name), property.value as object);
      else if (!type.properties.has(name)) {
        if (property.get !== undefined) define(`_get_${name}`, property.get);
        const setter = property.set === undefined ? undefined : `_set_${name}`;
        if (setter !== undefined) define(setter, property.set!);
        type.properties.set(name, { getter: `_get_${name}`, setter });
      }
    }
  }
}
