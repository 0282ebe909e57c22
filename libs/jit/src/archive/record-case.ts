// Writes a recorded case, as `runCase` and PyTorch's side of the comparison (tools/check-round-trip.py) read them: the archive, the
// inputs it is called with and what it answers here.
import type { IValue } from '@weft/ir';
import { Complex, DeviceValue, InternalError, TupleValue, dtypes, isTensorLike } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { manualSeed, noGrad } from '@weft/tensor';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runMethod } from '../executor/index.ts';
import type { ScriptModule } from '../script-module.ts';
import { Conversion } from '../values.ts';
import type { Recorded, Tolerance } from './corpus-values.ts';
import { save } from './write.ts';

/** Values as io.json has them; the bytes of their tensors are collected. */
class ValueRecorder {
  private readonly pieces: Uint8Array[] = [];
  private length = 0;

  get bytes(): Uint8Array {
    return Buffer.concat(this.pieces);
  }

  of(value: IValue): Recorded {
    switch (typeof value) {
      case 'boolean':
        return { bool: value };
      case 'bigint':
        return { int: Number.isSafeInteger(Number(value)) ? Number(value) : String(value) };
      case 'number':
        return { float: numeral(value) };
      case 'string':
        return { str: value };
      default:
    }
    if (value === null) return null;
    if (isTensorLike(value)) return this.tensor(value as Tensor);
    if (value instanceof Complex) return { complex: [numeral(value.re), numeral(value.im)] };
    if (value instanceof DeviceValue) return { device: value.toString() };
    if (value instanceof TupleValue) {
      const { fields, name = '' } = value.type ?? {};
      if (fields === undefined) return { tuple: value.items.map((item) => this.of(item)) };
      const type = name.slice(name.lastIndexOf('.') + 1);
      return { namedtuple: { type, fields: value.items.map((item, at) => [fields[at], this.of(item)]) } };
    }
    if (Array.isArray(value)) return { list: value.map((item) => this.of(item)) };
    if (value instanceof Map) return { dict: [...value].map(([key, item]) => [this.of(key), this.of(item)]) };
    throw new InternalError('a value of this kind cannot be recorded');
  }

  private tensor(tensor: Tensor): Recorded {
    const { dtype, shape, bytes, splat } = tensor.toLiteral();
    const count = shape.reduce((product, size) => product * size, 1);
    const whole = splat ? Buffer.concat(Array.from({ length: count }, () => bytes)) : bytes;
    const padding = new Uint8Array(-this.length & 7);
    const offset = this.length + padding.length;
    this.pieces.push(padding, whole);
    this.length = offset + count * dtypes[dtype].bytes;
    const strides = tensor.isRowMajor ? {} : { strides: [...tensor.strides] };
    return { tensor: { dtype, shape: [...shape], offset, ...strides } };
  }
}

const numeral = (value: number): number | string =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';

/** One call of a method; arguments are JavaScript's, as the module takes them. */
export interface CallToRecord {
  readonly method?: string;
  readonly inputs: readonly unknown[];
}

/** Writes model.pt, io.json and tensors.bin into `folder`, which is made. Every call starts from the seed. */
export function recordCase(
  folder: string,
  module: ScriptModule,
  calls: readonly CallToRecord[],
  tolerance: Tolerance = { rtol: 1e-5, atol: 1e-6 },
  seed = 0,
): void {
  mkdirSync(folder, { recursive: true });
  save(module, join(folder, 'model.pt'));
  const recorder = new ValueRecorder();
  const recorded = calls.map(({ method = 'forward', inputs }) => {
    const conversion = new Conversion({ constructorOf: () => undefined });
    const parameters = module.method(method).schema.arguments.slice(1);
    const given = inputs.map((input, index) =>
      conversion.into(input, parameters[index].type, `argument '${parameters[index].name}'`),
    );
    const before = given.map((value) => recorder.of(value));
    for (const { default: value } of parameters.slice(given.length)) given.push(value ?? null);
    manualSeed(seed);
    const output = noGrad(() => runMethod(module.object, method, given));
    return { method, inputs: before, output: recorder.of(output), seed };
  });
  writeFileSync(join(folder, 'io.json'), JSON.stringify({ kind: 'script', tolerance, calls: recorded }));
  writeFileSync(join(folder, 'tensors.bin'), recorder.bytes);
}
