// Arguments of a method from the command line: files of tensors and JSON, or specs that stand for tensors.
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Tensor, WeftError, hostDevice, ir, jit, readSafetensors } from 'weft';
import type { ImageFlags } from './images.ts';
import { imageArgument, imageExtensions, readImage } from './images.ts';
import { readNpy } from './npy.ts';
import { fromJson, parseJson } from './values.ts';

/** A method that the command line calls. */
export interface Callee {
  readonly name: string;
  /** Without `self`. */
  readonly parameters: readonly ir.Argument[];
}

/** The method of a module. Throws WeftError naming those there are. */
export function calleeOf(module: jit.ScriptModule, method: string): Callee {
  const { methods, name } = module.object.type;
  if (!methods.has(method))
    throw new WeftError(`${name} has no method '${method}'; it has: ${[...methods.keys()].join(', ')}`);
  return { name: method, parameters: module.method(method).schema.arguments.slice(1) };
}

/** Reads a file. Throws WeftError naming it. */
export function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new WeftError(
      code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code ?? 'unknown reason'})`,
    );
  }
}

type Make = (parameter: ir.Argument) => unknown;

/** Arguments as they were given: by name, or for the next parameter that has none. */
class Given {
  private readonly named = new Map<string, Make>();
  private readonly unnamed: Make[] = [];

  constructor(private readonly callee: Callee) {}

  add(name: string | undefined, make: Make, what: string): void {
    const { callee, named } = this;
    if (name === undefined) {
      this.unnamed.push(make);
      return;
    }
    if (!callee.parameters.some((parameter) => parameter.name === name))
      throw new WeftError(
        `${what}: '${callee.name}' has no parameter '${name}'; it takes ${signature(callee)}`,
      );
    if (named.has(name)) throw new WeftError(`${what}: parameter '${name}' is given twice`);
    named.set(name, make);
  }

  /** The values in the order of the parameters. Throws WeftError for missing and left-over arguments. */
  values(): ir.IValue[] {
    const { callee, named, unnamed } = this;
    const conversion = new jit.Conversion({ constructorOf: () => undefined });
    const rest = [...unnamed];
    const values = callee.parameters.map((parameter): ir.IValue => {
      const make = named.get(parameter.name) ?? rest.shift();
      if (make !== undefined)
        return conversion.into(make(parameter), parameter.type, `argument '${parameter.name}'`);
      if (parameter.hasDefault) return parameter.default ?? null;
      throw new WeftError(
        `argument '${parameter.name}' of '${callee.name}' is missing; it takes ${signature(callee)}`,
      );
    });
    if (rest.length > 0)
      throw new WeftError(
        `${named.size + unnamed.length} arguments are given; '${callee.name}' takes ${signature(callee)}`,
      );
    return values;
  }
}

const signature = ({ parameters }: Callee): string =>
  parameters.length === 0
    ? 'none'
    : parameters.map(({ name, type }) => `${name}: ${ir.annotationString(type)}`).join(', ');

const named = (text: string): [string | undefined, string] => {
  const match = /^([A-Za-z_]\w*)=(.*)$/s.exec(text);
  return match === null ? [undefined, text] : [match[1], match[2]];
};

/** Arguments from `file` or `name=file`: .json, .npy, .safetensors, or a picture. */
export async function argumentsFromFiles(
  callee: Callee,
  inputs: readonly string[],
  images: ImageFlags = {},
): Promise<ir.IValue[]> {
  const given = new Given(callee);
  for (const input of inputs) {
    const [name, path] = named(input);
    const bytes = readInput(path);
    const extension = extname(path).toLowerCase();
    switch (extension) {
      case '.json': {
        const json = parseJson(Buffer.from(bytes).toString('utf8'), path);
        given.add(name, ({ type, name: of }) => fromJson(json, type, `${path} for '${of}'`), path);
        break;
      }
      case '.npy': {
        const literal = readNpy(bytes, path);
        given.add(name, () => Tensor.fromLiteral(literal, hostDevice()), path);
        break;
      }
      case '.safetensors':
        addTensors(given, callee, name, tensorsIn(bytes, path), path);
        break;
      default: {
        if (!imageExtensions.includes(extension))
          throw new WeftError(
            `${path}: an input is a .json, .npy or .safetensors file, or a picture (${imageExtensions.join(', ')})`,
          );
        const image = Tensor.fromLiteral(await readImage(bytes, path, images), hostDevice());
        given.add(name, ({ type }) => imageArgument(image, (one) => one.unsqueeze(0) as Tensor, type), path);
      }
    }
  }
  return given.values();
}

function tensorsIn(bytes: Uint8Array, path: string): Map<string, Tensor> {
  try {
    const { tensors } = readSafetensors(bytes);
    return new Map([...tensors].map(([name, literal]) => [name, Tensor.fromLiteral(literal, hostDevice())]));
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    throw new WeftError(`${path}: ${error.message}`);
  }
}

/** Without a name, a file of tensors gives every parameter that one is named for; else its one tensor, or all as a dict. */
function addTensors(
  given: Given,
  callee: Callee,
  name: string | undefined,
  tensors: ReadonlyMap<string, Tensor>,
  path: string,
): void {
  const isAllNamed = [...tensors.keys()].every((key) =>
    callee.parameters.some((parameter) => parameter.name === key),
  );
  if (name === undefined && isAllNamed) {
    for (const [key, value] of tensors) given.add(key, () => value, path);
    return;
  }
  const make: Make = ({ type, name: parameter }) => {
    if (type.kind === 'Dict') return tensors;
    const only = tensors.get(parameter) ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined);
    if (only !== undefined) return only;
    throw new WeftError(
      `${path} holds ${tensors.size} tensors, none of them named '${parameter}': ${[...tensors.keys()].join(', ')}`,
    );
  };
  given.add(name, make, path);
}

/** Arguments from specs: `float32[1,3]` or `x=float32[1,3]` stands for a tensor, anything else is JSON. */
export function argumentsFromSpecs(callee: Callee, specs: readonly string[]): ir.IValue[] {
  const given = new Given(callee);
  for (const text of specs) {
    const [name, spec] = named(text);
    const match = /^([a-z]+\d*)\[([\d,\s]*)\]$/.exec(spec.trim());
    if (match !== null && ir.dtypeNames.includes(match[1] as ir.DType)) {
      const shape = (match[2].match(/\d+/g) ?? []).map(Number);
      const dtype = match[1] as ir.DType;
      const { bytes } = ir.dtypes[dtype];
      const zero = new ir.TensorLiteral(dtype, shape, new Uint8Array(bytes), true);
      given.add(name, () => Tensor.fromLiteral(zero, hostDevice()), text);
    } else {
      const json = parseJson(
        spec,
        `'${text}' (a spec is written as float32[1,3,224,224], other values as JSON)`,
      );
      given.add(name, ({ type, name: of }) => fromJson(json, type, `'${text}' for '${of}'`), text);
    }
  }
  return given.values();
}
