// The weft side of compare-gradients.py: reads calls of operators (one JSON object a line), runs each eagerly with gradients, and
// writes outputs and first and second gradients, one line each. Use `node tools/build.mjs` first.
import { createInterface } from 'node:readline';
import { Complex, findSchema, dtypes, isComplex, isFloatingPoint } from '../libs/ir/dist/index.js';
import { literalOf } from '../libs/ops/dist/index.js';
import { Tensor, callOperator, grad, hostDevice, manualSeed, viewAsReal } from '../libs/tensor/dist/index.js';

const codes = new Map();
for (const name of Object.keys(dtypes)) codes.set(name, BigInt(dtypes[name].scalarType ?? -1));

const number = (value) =>
  value === 'nan' ? NaN : value === 'inf' ? Infinity : value === '-inf' ? -Infinity : Number(value);

function decode(value, type, listSize) {
  if (value === null) return null;
  if (type.kind === 'Optional') return decode(value, type.element, listSize);
  if (typeof value === 'object' && 't' in value) {
    return Tensor.fromLiteral(literalOf(value.t, value.s, value.d.map(number)), hostDevice());
  }
  if (Array.isArray(value)) {
    return value.map((each) => decode(each, type.kind === 'List' ? type.element : type));
  }
  if (type.kind === 'List') return new Array(listSize ?? 1).fill(decode(value, type.element));
  if (typeof value === 'object') {
    if ('dtype' in value) return codes.get(value.dtype);
    if ('c' in value) return new Complex(value.c[0], value.c[1]);
    return number(value.f);
  }
  if (typeof value === 'number') return type.kind === 'float' ? value : BigInt(value);
  return value;
}

const tensorsIn = (value) =>
  value instanceof Tensor ? [value] : Array.isArray(value) ? value.flatMap(tensorsIn) : [];
const differentiable = ({ dtype }) => isFloatingPoint(dtype) || isComplex(dtype);

function encode(value) {
  if (value === null) return null;
  const plain = value.detach();
  const parts = isComplex(value.dtype) ? viewAsReal(plain) : plain;
  const wide = isFloatingPoint(parts.dtype)
    ? parts.to('float64')
    : parts.dtype === 'bool'
      ? parts.to('int64')
      : parts;
  const text = (each) =>
    typeof each === 'number' && !Number.isFinite(each)
      ? String(each).replace('Infinity', 'inf').toLowerCase()
      : Number(each);
  return { t: value.dtype, s: value.sizes, d: [wide.reshape([-1]).tolist()].flat().map(text) };
}

function cotangent(like, shift) {
  const count = like.sizes.reduce((product, size) => product * size, 1);
  const ramp = Array.from({ length: count }, (_, index) => (((37 * (index + shift)) % 11) - 4) / 4);
  const data = isComplex(like.dtype) ? ramp.flatMap((x) => [x, -0.5 * x]) : ramp;
  return Tensor.fromLiteral(literalOf(like.dtype, like.sizes, data), hostDevice());
}

function run({ op, args, second }) {
  const schema = findSchema(op);
  const values = schema.arguments.map((formal, index) =>
    index < args.length ? decode(args[index], formal.type, formal.listSize) : (formal.default ?? null),
  );
  const leaves = tensorsIn(values).filter(differentiable);
  for (const leaf of leaves) leaf.requiresGrad = true;
  // What is written to is a copy: leaves may not be.
  if (schema.arguments[0]?.alias?.isWrite || schema.arguments[0]?.alias?.contained?.isWrite) {
    values[0] = Array.isArray(values[0]) ? values[0].map((each) => each.clone()) : values[0].clone();
  }
  manualSeed(0);
  const results = tensorsIn(callOperator(op, values));
  const outputs = results.map(encode);
  const requires = results.map((result) => result.requiresGrad);
  const roots = results.filter((result) => result.requiresGrad);
  if (roots.length === 0 || leaves.length === 0) return { outputs, requires };
  let first;
  try {
    first = grad(
      roots,
      leaves,
      roots.map((root) => cotangent(root, 0)),
      { allowUnused: true, createGraph: second },
    );
  } catch (error) {
    return { outputs, requires, gradError: error.message.split('\n')[0] };
  }
  const grads = first.map(encode);
  if (!second) return { outputs, requires, grads };
  const again = first.map((each) => each !== null && each.requiresGrad);
  const seeds = first.filter((each) => each !== null && each.requiresGrad);
  if (seeds.length === 0) return { outputs, requires, grads, again };
  try {
    const found = grad(
      seeds,
      leaves,
      seeds.map((each) => cotangent(each, 3)),
      { allowUnused: true },
    );
    return { outputs, requires, grads, again, grads2: found.map(encode) };
  } catch (error) {
    return { outputs, requires, grads, again, grad2Error: error.message.split('\n')[0] };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = run(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error.message ?? error).split('\n')[0], kind: error.name };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
