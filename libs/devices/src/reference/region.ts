// Regions over scalars: the bodies of reduce, scatter, sort and the like, called once an element. A body of elementwise
// operators becomes one generated function; any other body is run as the little program it is, over registers of one
// element. Scalars are JavaScript numbers or bigints, halves decoded, complex numbers two entries.
import type { Block, DType, TensorSpec, Value } from '@weft/ir';
import { isComplex, numel } from '@weft/ir';
import { generationIsAllowed } from './code-generation.ts';
import { elementwiseStep } from './elementwise.ts';
import { halfEncoder, halfValues, isHalf } from './half.ts';
import type { Registers, Site } from './program.ts';
import { runKernels } from './program.ts';
import { rootOf } from './schedule.ts';
import type { TypedArray } from './typed-array.ts';
import { arrayOfLiteral, lanes } from './typed-array.ts';

export type Scalar = number | bigint;
/** Reads `given` (all parameters, in order) and writes `results`. */
export type RegionFunction = (registers: Registers, given: Scalar[], results: Scalar[]) => void;

const specOf = (value: Value): TensorSpec => value.type as TensorSpec;

/** Reads element `index` of an array into `to[at…]`; returns the position after it. */
export type ScalarReader = (array: TypedArray, index: number, to: Scalar[], at: number) => void;
export type ScalarWriter = (array: TypedArray, index: number, from: readonly Scalar[], at: number) => void;

export function scalarReader(dtype: DType): ScalarReader {
  if (isComplex(dtype)) {
    return (array, index, to, at) => {
      to[at] = array[2 * index];
      to[at + 1] = array[2 * index + 1];
    };
  }
  if (isHalf(dtype)) {
    const values = halfValues(dtype);
    return (array, index, to, at) => {
      to[at] = values[array[index] as number];
    };
  }
  return (array, index, to, at) => {
    to[at] = array[index];
  };
}

export function scalarWriter(dtype: DType): ScalarWriter {
  if (isComplex(dtype)) {
    return (array, index, from, at) => {
      (array as Float64Array)[2 * index] = from[at] as number;
      (array as Float64Array)[2 * index + 1] = from[at + 1] as number;
    };
  }
  if (isHalf(dtype)) {
    const encode = halfEncoder(dtype);
    return (array, index, from, at) => {
      (array as Uint16Array)[index] = encode(from[at] as number);
    };
  }
  return (array, index, from, at) => {
    (array as Float64Array)[index] = from[at] as number;
  };
}

/** Compiles a region over scalars. */
export function regionFunction(site: Site, block: Block): RegionFunction {
  return generatedFunction(block) ?? programFunction(site, block);
}

function programFunction(site: Site, block: Block): RegionFunction {
  const region = site.region(block);
  const side = (values: readonly Value[], registers: readonly number[]) => {
    let at = 0;
    return values.map((value, index) => {
      const { dtype } = specOf(value);
      const entry = { register: registers[index], at, read: scalarReader(dtype), write: scalarWriter(dtype) };
      at += lanes(dtype);
      return entry;
    });
  };
  const parameters = side(block.inputs, region.parameters);
  const results = side(block.outputs, region.results);
  return (registers, given, out) => {
    for (const { register, at, write } of parameters) write(registers[register], 0, given, at);
    runKernels(region.kernels, registers);
    for (const { register, at, read } of results) read(registers[register], 0, out, at);
  };
}

/** The body as one function, if all of it is elementwise on real scalars made here. */
function generatedFunction(block: Block): RegionFunction | undefined {
  if (!generationIsAllowed()) return undefined;
  const functions = new Map<string, unknown>();
  const names = new Map<Value, string>();
  const constants: Scalar[] = [];
  const lines: string[] = [];
  block.inputs.forEach((input, index) => {
    names.set(input, `p${index}`);
    lines.push(`const p${index} = given[${index}];`);
  });
  if (block.inputs.some((input) => isComplex(specOf(input).dtype))) return undefined;
  for (const node of block.nodes()) {
    if (node.kind === 'core::constant') {
      const literal = node.get('t', 'value');
      if (isComplex(literal.dtype) || numel(literal.shape) !== 1) return undefined;
      const [element] = arrayOfLiteral(literal);
      constants.push(isHalf(literal.dtype) ? halfValues(literal.dtype)[Number(element)] : element);
      names.set(node.output, `c${constants.length - 1}`);
      continue;
    }
    if (node.kind === 'core::reshape') continue;
    const step = elementwiseStep(node);
    if (step === undefined || numel(specOf(node.output).sizes) !== 1) return undefined;
    const given = node.inputs.map((input) => names.get(rootOf(input)));
    if (given.includes(undefined)) return undefined;
    if (step.bits !== undefined) given.push(String(step.bits));
    let text = given[0]!;
    if (step.call !== undefined) {
      functions.set(step.call.name, step.call.call);
      text = `${step.call.name}(${given.join(', ')})`;
    }
    if (step.narrow !== undefined) {
      functions.set(step.narrow.name, step.narrow.call);
      text = `${step.narrow.name}(${text})`;
    }
    const name = `v${names.size}`;
    names.set(node.output, name);
    lines.push(`const ${name} = ${text};`);
  }
  for (const [index, output] of block.outputs.entries()) {
    const name = names.get(rootOf(output));
    if (name === undefined) return undefined;
    lines.push(`results[${index}] = ${name};`);
  }
  const parameters = [...functions.keys(), ...constants.map((_, index) => `c${index}`)];
  const text = `"use strict"; return function region(registers, given, results) {\n${lines.join('\n')}\n}`;
  const make = new Function(...parameters, text) as (...values: unknown[]) => RegionFunction;
  return make(...functions.values(), ...constants);
}

/** The operator when a body is just `operator(parameter 0, parameter 1)`, in either order for commutative ones. */
export function simpleBody(block: Block): string | undefined {
  if (block.inputs.length !== 2 || block.outputs.length !== 1) return undefined;
  const [node, ...others] = [...block.nodes()];
  if (node === undefined || others.length > 0 || block.outputs[0] !== node.outputs[0]) return undefined;
  if (node.inputs.length !== 2) return undefined;
  const [a, b] = node.inputs;
  const [p, q] = block.inputs;
  if (a === p && b === q) return node.operator;
  return a === q && b === p && commutative.has(node.operator) ? node.operator : undefined;
}
const commutative = new Set(['add', 'multiply', 'maximum', 'minimum', 'and', 'or']);

/** Whether a body returns its second parameter: the update replaces what was there. */
export const returnsSecond = (block: Block): boolean =>
  block.inputs.length === 2 && block.outputs.length === 1 && rootOf(block.outputs[0]) === block.inputs[1];
