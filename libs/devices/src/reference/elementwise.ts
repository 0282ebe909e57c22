// Elementwise operators, alone or fused: one loop over the elements that loads the operands, computes every operator of
// the group, and stores the values that are used outside. The loop is generated as JavaScript text around the functions of
// scalar-functions.ts, which V8 inlines, and is shared by all groups with the same text. Where code generation is
// forbidden the same steps are interpreted element by element.
import type { DType, Node } from '@weft/ir';
import { isComplex } from '@weft/ir';
import { generationIsAllowed } from './code-generation.ts';
import { bfloat16Values, float16Values, isHalf } from './half.ts';
import { reducedPrecision } from './reduced-precision.ts';
import type { Kernel, Registers } from './program.ts';
import type { NamedFunction } from './scalar-functions.ts';
import { bitsOf, conversionFunction, halfEncoders, narrowing, scalarFunction } from './scalar-functions.ts';
import type { TypedArray } from './typed-array.ts';
import { stridesOf } from './typed-array.ts';

/** An operand that is read from memory; strides, in elements, are those of the group's dimensions. */
export interface Load {
  readonly register: number;
  readonly dtype: DType;
  readonly strides: readonly number[];
}
/** Where a step's argument comes from. */
export type Argument =
  | { readonly kind: 'step'; readonly index: number }
  | { readonly kind: 'load'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number | bigint };
/** One operator: `narrow(call(arguments, bits))`; either function may be absent. */
export interface Step {
  readonly call: NamedFunction | undefined;
  readonly narrow: NamedFunction | undefined;
  readonly arguments: readonly Argument[];
  /** Passed as the last argument to integer functions. */
  readonly bits: number | undefined;
}
export interface Store {
  readonly register: number;
  readonly dtype: DType;
  readonly step: number;
}
/** A group of elementwise operators over one shape. Stores are row-major. */
export interface Group {
  readonly sizes: readonly number[];
  readonly loads: readonly Load[];
  readonly steps: readonly Step[];
  readonly stores: readonly Store[];
}

const dtypeOf = (node: Node, index: number): DType => {
  const type = node.inputs[index].type;
  return (type as { dtype: DType }).dtype;
};
const resultDType = (node: Node): DType => (node.outputs[0].type as { dtype: DType }).dtype;

/** The step of an elementwise node on real operands, without its arguments; undefined when the node is no such thing. */
export function elementwiseStep(node: Node): Omit<Step, 'arguments'> | undefined {
  if (node.inputs.length === 0 || node.outputs.length !== 1) return undefined;
  const operator = node.operator;
  const result = resultDType(node);
  // The dtype that is computed with: select's first operand is the predicate.
  const dtype = operator === 'select' || operator === 'clamp' ? result : dtypeOf(node, 0);
  if (isComplex(dtype) || isComplex(result)) return undefined;
  if (operator === 'convert') {
    const call = conversionFunction(dtype, result);
    return { call, narrow: narrowing('convert', result), bits: undefined };
  }
  if (operator === 'reduce_precision') {
    const call = reducedPrecision(node.int('exponent_bits'), node.int('mantissa_bits'));
    return { call, narrow: narrowing('convert', result), bits: undefined };
  }
  const direction = operator === 'compare' ? node.get('s', 'comparison_direction') : undefined;
  const call = scalarFunction(operator, dtype, direction);
  if (call === undefined) return undefined;
  return {
    call,
    narrow: narrowing(operator, result),
    bits: call.name.startsWith('int_') && operator !== 'select' ? bitsOf(dtype) : undefined,
  };
}

/** Merges dimensions that every operand walks alike, and drops those of size 1. */
function collapse(group: Group): { sizes: number[]; strides: number[][] } {
  const sizes: number[] = [];
  const strides: number[][] = group.loads.map(() => []);
  group.sizes.forEach((size, dimension) => {
    if (size === 1) return;
    const last = sizes.length - 1;
    const merges =
      last >= 0 &&
      group.loads.every((load, index) => strides[index][last] === load.strides[dimension] * size);
    if (merges) {
      sizes[last] *= size;
      group.loads.forEach((load, index) => (strides[index][last] = load.strides[dimension]));
    } else {
      sizes.push(size);
      group.loads.forEach((load, index) => strides[index].push(load.strides[dimension]));
    }
  });
  if (sizes.length === 0) {
    sizes.push(1);
    for (const row of strides) row.push(0);
  }
  return { sizes, strides };
}

/** What a generated loop is given beside the registers. */
interface Frame {
  readonly sizes: readonly number[];
  /** Strides of loads, load after load. */
  readonly strides: readonly number[];
  readonly loads: readonly number[];
  readonly stores: readonly number[];
  readonly constants: readonly (number | bigint)[];
}
type Scalar = number | bigint;
type Loop = (registers: Registers, frame: Frame) => void;

/** Compiles a group to a kernel. */
export function elementwiseKernel(group: Group): Kernel {
  const { sizes, strides } = collapse(group);
  const constants: (number | bigint)[] = [];
  for (const step of group.steps) {
    for (const argument of step.arguments) if (argument.kind === 'constant') constants.push(argument.value);
  }
  const frame: Frame = {
    sizes,
    strides: strides.flat(),
    loads: group.loads.map((load) => load.register),
    stores: group.stores.map((store) => store.register),
    constants,
  };
  const loop = generateLoop(group, sizes, strides) ?? interpretedLoop(group);
  return (registers) => loop(registers, frame);
}

const loops = new Map<string, Loop>();
function generateLoop(group: Group, sizes: number[], strides: number[][]): Loop | undefined {
  if (!generationIsAllowed()) return undefined;
  const { text, functions } = loopText(group, sizes, strides);
  const known = loops.get(text);
  if (known !== undefined) return known;
  const names = [...functions.keys()];
  const make = new Function(...names, 'values_float16', 'values_bfloat16', text) as (
    ...values: unknown[]
  ) => Loop;
  const loop = make(...functions.values(), float16Values, bfloat16Values);
  loops.set(text, loop);
  return loop;
}

/** The loop as text. Only names minted here, numbers of dimensions and operands enter it, never the user's text. */
function loopText(
  group: Group,
  sizes: number[],
  strides: number[][],
): { text: string; functions: Map<string, unknown> } {
  const functions = new Map<string, unknown>();
  const use = (fn: NamedFunction): string => {
    functions.set(fn.name, fn.call);
    return fn.name;
  };
  const rank = sizes.length;
  const inner = rank - 1;
  const linear = stridesOf(sizes);
  const lines: string[] = ['"use strict";', 'return function loop(registers, frame) {'];
  sizes.forEach((_, dimension) => lines.push(`const n${dimension} = frame.sizes[${dimension}];`));
  group.loads.forEach((load, index) => {
    lines.push(`const a${index} = registers[frame.loads[${index}]]; // ${load.dtype}`);
  });
  group.stores.forEach((store, index) => {
    lines.push(`const o${index} = registers[frame.stores[${index}]]; // ${store.dtype}`);
  });
  const isLinear = strides.map((row) => row.every((stride, dimension) => stride === linear[dimension]));
  const stride = (load: number, dimension: number) => `s${load}_${dimension}`;
  strides.forEach((row, load) => {
    if (isLinear[load]) return;
    row.forEach((step, dimension) => {
      if (step === 0 || (dimension === inner && step === 1)) return;
      lines.push(`const ${stride(load, dimension)} = frame.strides[${load * rank + dimension}];`);
    });
  });
  let constantCount = 0;
  const argumentText = (argument: Argument): string => {
    if (argument.kind === 'step') return `v${argument.index}`;
    if (argument.kind === 'load') return `x${argument.index}`;
    return `c${constantCount++}`;
  };
  const stepTexts = group.steps.map((step, index) => {
    const given = step.arguments.map(argumentText);
    if (step.bits !== undefined) given.push(String(step.bits));
    let value = step.call === undefined ? given[0] : `${use(step.call)}(${given.join(', ')})`;
    if (step.narrow !== undefined) value = `${use(step.narrow)}(${value})`;
    return `const v${index} = ${value};`;
  });
  for (let index = 0; index < constantCount; index++) {
    lines.push(`const c${index} = frame.constants[${index}];`);
  }
  // Outer loops, each with the base of every load that moves in it.
  const base = group.loads.map(() => '0');
  let row = '0';
  for (let dimension = 0; dimension < inner; dimension++) {
    lines.push(`for (let i${dimension} = 0; i${dimension} < n${dimension}; i${dimension}++) {`);
    lines.push(`const r${dimension} = ${row === '0' ? '' : `${row} * n${dimension} + `}i${dimension};`);
    row = `r${dimension}`;
    strides.forEach((steps, load) => {
      if (isLinear[load] || steps[dimension] === 0) return;
      const name = `b${load}_${dimension}`;
      lines.push(
        `const ${name} = ${base[load] === '0' ? '' : `${base[load]} + `}i${dimension} * ${stride(load, dimension)};`,
      );
      base[load] = name;
    });
  }
  if (inner > 0) lines.push(`const r = ${row} * n${inner};`);
  const at = inner > 0 ? 'r + i' : 'i';
  const decode = (load: number, position: string): string => {
    const { dtype } = group.loads[load];
    const element = `a${load}[${position}]`;
    return isHalf(dtype) ? `values_${dtype}[${element}]` : element;
  };
  strides.forEach((steps, load) => {
    if (!isLinear[load] && steps[inner] === 0) lines.push(`const x${load} = ${decode(load, base[load])};`);
  });
  lines.push(`for (let i = 0; i < n${inner}; i++) {`);
  strides.forEach((steps, load) => {
    if (isLinear[load]) lines.push(`const x${load} = ${decode(load, at)};`);
    else if (steps[inner] !== 0) {
      const move = steps[inner] === 1 ? 'i' : `i * ${stride(load, inner)}`;
      lines.push(`const x${load} = ${decode(load, base[load] === '0' ? move : `${base[load]} + ${move}`)};`);
    }
  });
  lines.push(...stepTexts);
  group.stores.forEach((store, index) => {
    const value = `v${store.step}`;
    const encoded = isHalf(store.dtype) ? `${use(halfEncoders[store.dtype])}(${value})` : value;
    lines.push(`o${index}[${at}] = ${encoded};`);
  });
  lines.push('}'.repeat(rank + 1));
  return { text: lines.join('\n'), functions };
}

/** The same loop, interpreted. */
function interpretedLoop(group: Group): Loop {
  const count = group.sizes.reduce((product, size) => product * size, 1);
  const linear = stridesOf(group.sizes);
  const encoders = group.stores.map((store) =>
    isHalf(store.dtype) ? halfEncoders[store.dtype].call : undefined,
  );
  const tables = group.loads.map((load) =>
    load.dtype === 'float16' ? float16Values : load.dtype === 'bfloat16' ? bfloat16Values : undefined,
  );
  return (registers) => {
    const loads = group.loads.map((load) => registers[load.register]);
    const stores = group.stores.map((store) => registers[store.register]);
    const loaded: (number | bigint)[] = [];
    const values: (number | bigint)[] = [];
    const fetch = (argument: Argument): number | bigint =>
      argument.kind === 'step'
        ? values[argument.index]
        : argument.kind === 'load'
          ? loaded[argument.index]
          : argument.value;
    for (let element = 0; element < count; element++) {
      group.loads.forEach((load, index) => {
        let position = 0;
        for (let dimension = 0; dimension < linear.length; dimension++) {
          const coordinate = Math.floor(element / linear[dimension]) % group.sizes[dimension];
          position += coordinate * load.strides[dimension];
        }
        const stored = loads[index][position];
        loaded[index] = tables[index]?.[Number(stored)] ?? stored;
      });
      group.steps.forEach((step, index) => {
        const given = step.arguments.map(fetch);
        if (step.bits !== undefined) given.push(step.bits);
        let value = given[0];
        if (step.call !== undefined)
          value = (step.call.call as (...args: never[]) => Scalar)(...(given as never[]));
        if (step.narrow !== undefined)
          value = (step.narrow.call as (value: never) => number | bigint)(value as never);
        values[index] = value;
      });
      group.stores.forEach((store, index) => {
        const value = values[store.step];
        const encode = encoders[index] as ((value: never) => number | bigint) | undefined;
        storeElement(stores[index], element, encode === undefined ? value : encode(value as never));
      });
    }
  };
}

function storeElement(array: TypedArray, index: number, value: number | bigint): void {
  (array as { [index: number]: number | bigint })[index] = value;
}
