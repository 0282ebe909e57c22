// Run-time values outside of programs: read from JSON by the type a parameter has, shown as Python shows them, written as JSON.
// A tensor in JSON is nested lists, or { "dtype", "shape", "data" } where the dtype has to be said.
import { Tensor, WeftError, hostDevice, ir, tensor } from 'weft';

/** A JSON file's data, with what JSON.parse forgets: whether any number was written as a float. */
export interface JsonData {
  readonly data: unknown;
  readonly hasFloats: boolean;
}

/** Parses JSON. Throws WeftError naming `origin`. */
export function parseJson(text: string, origin: string): JsonData {
  try {
    const data = JSON.parse(text) as unknown;
    const hasFloats = /\d[.eE]/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'));
    return { data, hasFloats };
  } catch (error) {
    throw new WeftError(`${origin} is no JSON: ${(error as Error).message}`);
  }
}

/**
 * The value that JSON data stands for where `type` is expected: JavaScript data with tensors in it, as a call takes them.
 * Throws WeftError naming `what`.
 */
export function fromJson({ data, hasFloats }: JsonData, type: ir.Type, what: string): unknown {
  const read = (value: unknown, expected: ir.Type, name: string): unknown => {
    switch (expected.kind) {
      case 'Tensor':
        return tensorFromJson(value, hasFloats, name);
      case 'Optional':
        return value === null ? null : read(value, expected.element, name);
      case 'List':
        return Array.isArray(value)
          ? value.map((item, index) => read(item, expected.element, `${name}[${index}]`))
          : value;
      case 'Tuple':
        return Array.isArray(value)
          ? value.map((item, index) =>
              index < expected.elements.length
                ? read(item, expected.elements[index], `${name}[${index}]`)
                : item,
            )
          : value;
      case 'Dict':
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
        return new Map(
          Object.entries(value).map(([key, item]) => [
            keyOf(key, expected.key),
            read(item, expected.value, `${name}[${key}]`),
          ]),
        );
      default:
        return value;
    }
  };
  return read(data, type, what);
}

/** JSON has text keys only. */
function keyOf(text: string, type: ir.Type): unknown {
  if (type.kind === 'bool') return text === 'true';
  return type.kind === 'int' || type.kind === 'float' ? Number(text) : text;
}

interface TensorJson {
  readonly dtype: ir.DType;
  readonly shape?: readonly number[];
  readonly data: never;
}

function tensorFromJson(value: unknown, hasFloats: boolean, what: string): Tensor {
  try {
    if (typeof value === 'object' && value !== null && 'data' in value && 'dtype' in value) {
      const { dtype, shape, data } = value as TensorJson;
      if (!ir.dtypeNames.includes(dtype))
        throw new WeftError(`'${String(dtype)}' is no dtype; known are ${ir.dtypeNames.join(', ')}`);
      const made = tensor(unspell(data) as never, { dtype });
      return shape === undefined ? made : (made.reshape([...shape]) as Tensor);
    }
    const data = unspell(value) as never;
    return hasFloats && !isBoolean(value) ? tensor(data, { dtype: 'float32' }) : tensor(data);
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    throw new WeftError(`${what} is no tensor: ${error.message}`);
  }
}

const isBoolean = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 && isBoolean(value[0]) : typeof value === 'boolean';

const spelled = new Map([
  ['nan', NaN],
  ['inf', Infinity],
  ['-inf', -Infinity],
]);

/** Nested lists of numbers; those that JSON lacks are spelled out, complex ones are { "re", "im" }. */
function unspell(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unspell);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'string' && spelled.has(value)) return spelled.get(value);
  if (typeof value === 'object' && value !== null && 're' in value && 'im' in value)
    return new ir.Complex(Number(value.re), Number(value.im));
  throw new WeftError(`nested lists of numbers are expected, ${JSON.stringify(value)} is given`);
}

// ---- out ----------------------------------------------------------------------------------------------------------

const asTensor = (value: ir.TensorLike): Tensor =>
  value instanceof Tensor ? value : Tensor.fromLiteral(value as ir.TensorLiteral, hostDevice());

/** A value as Python prints it in its prompt. */
export function pythonText(value: ir.IValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return floatText(value);
  if (typeof value === 'string') return stringText(value);
  if (ir.isTensorLike(value)) return asTensor(value).toString();
  if (Array.isArray(value)) return `[${value.map(pythonText).join(', ')}]`;
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${pythonText(key)}: ${pythonText(item)}`).join(', ')}}`;
  if (value instanceof ir.TupleValue) {
    const { fields, name } = value.type ?? {};
    if (fields !== undefined && name !== undefined) {
      const items = value.items.map((item, index) => `${fields[index]}=${pythonText(item)}`);
      return `${name.slice(name.lastIndexOf('.') + 1)}(${items.join(', ')})`;
    }
    return `(${value.items.map(pythonText).join(', ')}${value.items.length === 1 ? ',' : ''})`;
  }
  if (value instanceof ir.Complex)
    return `(${shortFloat(value.re)}${value.im < 0 || Object.is(value.im, -0) ? '' : '+'}${shortFloat(value.im)}j)`;
  if (value instanceof ir.DeviceValue)
    return value.index === null
      ? `device(type='${value.type}')`
      : `device(type='${value.type}', index=${value.index})`;
  if (value instanceof ir.EnumValue)
    return `<${value.type.name.slice(value.type.name.lastIndexOf('.') + 1)}.${value.name}: ${pythonText(value.value)}>`;
  if (value instanceof ir.ObjectValue) return `<${value.type.name} object>`;
  return '<Future>';
}

function floatText(value: number): string {
  const text = shortFloat(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function shortFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e16 || size < 1e-4))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return String(value);
}

const stringText = (text: string): string => {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return quote + escaped.replaceAll(quote, `\\${quote}`) + quote;
};

/** A value as JSON data: what JSON lacks is spelled out. */
export function toJson(value: ir.IValue): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'bigint')
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
      ? Number(value)
      : String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : shortFloat(value);
  if (ir.isTensorLike(value)) {
    const { dtype, sizes } = asTensor(value);
    return { dtype, shape: sizes, data: elements(asTensor(value).tolist()) };
  }
  if (value instanceof ir.TupleValue) return value.items.map(toJson);
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Map)
    return Object.fromEntries(
      [...value].map(([key, item]) => [typeof key === 'string' ? key : pythonText(key), toJson(item)]),
    );
  if (value instanceof ir.Complex) return { re: value.re, im: value.im };
  if (value instanceof ir.DeviceValue) return value.toString();
  if (value instanceof ir.EnumValue) return toJson(value.value);
  return pythonText(value);
}

const elements = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(elements) : toJson(value as ir.IValue);

/** The tensors in a value with the way to each: `output`, `output.0`, `output.logits`. */
export function tensorsOf(
  value: ir.IValue,
  path: string,
  into = new Map<string, ir.TensorLiteral>(),
): Map<string, ir.TensorLiteral> {
  if (typeof value !== 'object' || value === null) return into;
  if (ir.isTensorLike(value)) into.set(path, asTensor(value).toLiteral());
  else if (value instanceof Map)
    for (const [key, item] of value) tensorsOf(item, `${path}.${String(key)}`, into);
  else if (Array.isArray(value) || value instanceof ir.TupleValue)
    [...(value instanceof ir.TupleValue ? value.items : value)].forEach((item, index) =>
      tensorsOf(item, `${path}.${index}`, into),
    );
  return into;
}
