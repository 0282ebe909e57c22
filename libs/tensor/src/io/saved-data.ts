// The files of PyTorch's torch.save: state dicts, checkpoints and other data of tensors, dicts, lists and plain values, in and
// out. Nothing but data is read: every name that a file's pickle may use is on a list.
import type { MappedFileOptions } from '@weft/devices';
import { Complex, DeviceValue, UnsupportedError } from '@weft/ir';
import { basename } from 'node:path';
import { Parameter } from '../nn/parameter.ts';
import { Tensor } from '../tensor.ts';
import { ArchiveError } from './archive-error.ts';
import { ArchiveFile } from './archive-file.ts';
import { writeAtomically } from './atomic-file.ts';
import type { Pickled, PickleRules } from './pickle-reader.ts';
import { PickledObject, PickledTuple, PickledValue, readPickle } from './pickle-reader.ts';
import { PickleWriter } from './pickle-writer.ts';
import { StorageReader, dtypeOfGlobal } from './storages.ts';
import { callTensorGlobal, isTensorGlobal } from './tensor-globals.ts';
import { StorageTable, emptyOrderedDict, pickleTensor } from './tensor-pickle.ts';
import { ZipWriter } from './zip-writer.ts';

/** What a file of `torch.save` holds. Dicts are maps, lists are arrays, tuples frozen arrays, None is null. */
export type SavedValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Complex
  | DeviceValue
  | Tensor
  | readonly SavedValue[]
  | Map<SavedValue, SavedValue>;

/** Python's OrderedDict, which state dicts of modules are. A plain map is a dict. */
export class OrderedDict<K = SavedValue, V = SavedValue> extends Map<K, V> {
  /** The versions of the modules that a state dict is of (`_metadata`), which PyTorch's `load_state_dict` looks at. */
  metadata: SavedValue | undefined;
}

export interface LoadOptions extends MappedFileOptions {
  /** Compares tensors with their checksums, which reads the whole file (default: no). */
  readonly checkTensors?: boolean;
}

const deepest = 1000;

// ---- Reading ----------------------------------------------------------------------------------------------------------

/**
 * What `save` or PyTorch's `torch.save` wrote: a path, or the file's bytes. A dict comes as a Map (an OrderedDict as an
 * OrderedDict), a tuple as a frozen array, an integer as a number or, beyond 2⁵³, as a bigint, a dtype as its name. Tensors that
 * shared memory share it again; those of a large file are used where they lie in it. All are on the host.
 * Throws ArchiveError when the file is none of these or damaged, or names something that is no data, and UnsupportedError for
 * tensors of kinds that weft does not have.
 */
export function load(source: string | Uint8Array, options: LoadOptions = {}): SavedValue {
  const archive =
    typeof source === 'string'
      ? ArchiveFile.open(source, options)
      : ArchiveFile.from(source, 'saved data in memory');
  try {
    if (archive.has('constants.pkl')) {
      throw new ArchiveError(archive.file, undefined, 'it is a TorchScript archive: load it with jit.load');
    }
    if (options.checkTensors === true) for (const name of archive.zip.names) archive.zip.check(name);
    return new DataReader(archive).read();
  } finally {
    archive.close();
  }
}

class DataReader {
  readonly file: string;
  readonly entry: string;
  private readonly storages: StorageReader;
  private readonly converted = new Map<object, SavedValue>();

  constructor(private readonly archive: ArchiveFile) {
    this.file = archive.file;
    this.entry = `${archive.folder}data.pkl`;
    this.storages = new StorageReader(archive, 'data/', this.entry);
  }

  private refuse(reason: string): never {
    throw new ArchiveError(this.file, this.entry, reason);
  }

  read(): SavedValue {
    const pickle = this.archive.bytes('data.pkl');
    return this.convert(readPickle(pickle, this.rules, this.file, this.entry), 0);
  }

  private readonly rules: PickleRules = {
    allows: (global) => {
      const name = global.toString();
      if (name === '_codecs.encode' || isTensorGlobal(global, this)) return true;
      return this.refuse(
        `it wants '${name}', which may not be loaded: only data is read; save the state_dict() of modules and optimizers`,
      );
    },
    call: (global, given) => {
      if (global.toString() === '_codecs.encode') return this.encoded(given);
      const made = callTensorGlobal(global, given, this.storages, this);
      if (made === undefined) this.refuse(`${global.toString()} cannot be called`);
      return global.name === 'OrderedDict' ? new OrderedDict(made as Map<Pickled, Pickled>) : made;
    },
    persistent: (id) => this.storages.persistent(id),
    attributes: (object, state) => {
      const metadata = state instanceof Map ? state.get('_metadata') : undefined;
      if (object instanceof OrderedDict && metadata !== undefined) {
        this.metadata.set(object, metadata);
      }
    },
  };
  private readonly metadata = new Map<object, Pickled>();

  /** Bytes, which pickles of protocol 2 hold as text. */
  private encoded(given: Pickled): Uint8Array {
    const [text, encoding] = given instanceof PickledTuple ? given.items : [];
    if (typeof text !== 'string' || encoding !== 'latin1') this.refuse('bytes are made of no latin1 text');
    return new Uint8Array(Buffer.from(text, 'latin1'));
  }

  private convert(value: Pickled, depth: number): SavedValue {
    if (depth > deepest) this.refuse(`values are nested deeper than ${deepest}`);
    if (typeof value === 'bigint') {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
    if (value === null || typeof value !== 'object') return value;
    const known = this.converted.get(value);
    if (known !== undefined) return known;
    const remembered = <T extends SavedValue>(result: T): T => {
      this.converted.set(value, result);
      return result;
    };
    if (Array.isArray(value)) {
      const list = remembered<SavedValue[]>([]);
      for (const item of value) list.push(this.convert(item, depth + 1));
      return list;
    }
    if (value instanceof Map) return this.dict(value, remembered, depth);
    if (value instanceof PickledTuple) {
      return remembered(Object.freeze(value.items.map((item) => this.convert(item, depth + 1))));
    }
    if (value instanceof Uint8Array) return remembered(value.slice());
    if (value instanceof PickledValue) {
      const { value: made } = value;
      if (made instanceof Tensor || made instanceof Complex || made instanceof DeviceValue) return made;
      this.refuse('a storage stands where a value is expected');
    }
    if (value instanceof PickledObject)
      this.refuse(`an object of '${value.type.toString()}' stands where data is expected`);
    const dtype = dtypeOfGlobal(value);
    return dtype ?? this.refuse(`${value.toString()} stands where a value is expected`);
  }

  private dict(
    given: Map<Pickled, Pickled>,
    remembered: <T extends SavedValue>(result: T) => T,
    depth: number,
  ): SavedValue {
    const dict = remembered(
      given instanceof OrderedDict ? new OrderedDict() : new Map<SavedValue, SavedValue>(),
    );
    for (const [key, item] of given) dict.set(this.convert(key, depth + 1), this.convert(item, depth + 1));
    const metadata = this.metadata.get(given);
    if (dict instanceof OrderedDict && metadata !== undefined) {
      dict.metadata = this.convert(metadata, depth + 1);
    }
    return dict;
  }
}

// ---- Writing ----------------------------------------------------------------------------------------------------------

/**
 * Writes data for `load` and for PyTorch's `torch.load`: tensors, maps, plain objects (dicts; keys like `0` become integers),
 * arrays (lists; frozen ones tuples), strings, booleans, null, bytes, complex numbers and devices. A number without a fraction
 * becomes an int, any other a float. Tensors that share memory are stored with that memory once, all of it, as PyTorch does.
 * The file appears whole or not at all. Throws UnsupportedError naming what cannot be stored, and ArchiveError when the file
 * cannot be written.
 */
export function save(value: unknown, path: string): void {
  const stem = basename(path).replace(/\.[^.]*$/, '') || 'archive';
  try {
    writeAtomically(path, (write) => writeData(value, stem, write));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined) throw new ArchiveError(path, undefined, `cannot be written (${code})`, { cause });
    throw cause;
  }
}

/** The bytes of such a file. */
export function saveToBytes(value: unknown): Uint8Array {
  const pieces: Uint8Array[] = [];
  writeData(value, 'archive', (bytes) => pieces.push(bytes.slice()));
  const { buffer, byteOffset, byteLength } = Buffer.concat(pieces);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function writeData(value: unknown, name: string, write: (bytes: Uint8Array) => void): void {
  const writer = new DataWriter();
  const pickle = writer.write(value);
  const zip = new ZipWriter(write);
  zip.add(`${name}/data.pkl`, pickle);
  zip.add(`${name}/byteorder`, Buffer.from('little'));
  writer.storages.storages.forEach((storage, index) =>
    zip.add(`${name}/data/${index}`, storage.read(0, storage.byteLength)),
  );
  zip.add(`${name}/version`, Buffer.from('3\n'));
  zip.finish();
}

class DataWriter {
  readonly storages = new StorageTable();
  private readonly pickle = new PickleWriter();

  write(value: unknown): Uint8Array {
    this.value(value, 'the value', 0);
    return this.pickle.finish();
  }

  /** @param path where the value is, for errors */
  private value(value: unknown, path: string, depth: number): void {
    const { pickle } = this;
    if (depth > deepest)
      throw new UnsupportedError(`${path}: values nested deeper than ${deepest} cannot be saved`);
    switch (typeof value) {
      case 'boolean':
        return pickle.bool(value);
      case 'number':
        return Number.isSafeInteger(value) && !Object.is(value, -0)
          ? pickle.int(BigInt(value))
          : pickle.float(value);
      case 'bigint':
        if (BigInt.asIntN(64, value) !== value)
          throw new UnsupportedError(`${path} cannot be saved: ${value} has more than 64 bits`);
        return pickle.int(value);
      case 'string':
        return pickle.string(value);
      case 'object':
        return value === null ? pickle.none() : this.object(value, path, depth);
      default:
        throw new UnsupportedError(`${path} cannot be saved: it is ${typeof value}`);
    }
  }

  private object(value: object, path: string, depth: number): void {
    const { pickle } = this;
    if (pickle.reference(value)) return;
    if (value instanceof Tensor) return this.tensor(value, path);
    if (Array.isArray(value)) return this.list(value, path, depth);
    if (value instanceof Map) return this.dict(value, value, path, depth);
    if (value instanceof Uint8Array) {
      pickle.global('_codecs', 'encode');
      pickle.tuple(() => {
        pickle.string(Buffer.from(value).toString('latin1'));
        pickle.string('latin1');
      });
      pickle.reduce();
      return pickle.defines(value);
    }
    if (value instanceof Complex) return pickle.complex(value);
    if (value instanceof DeviceValue) return pickle.device(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      const entries = Object.entries(value).map(([key, item]): [unknown, unknown] => [keyOf(key), item]);
      return this.dict(value, entries, path, depth);
    }
    const advice = 'stateDict' in value ? '; save its stateDict()' : '';
    throw new UnsupportedError(
      `${path} cannot be saved: it is an object of class ${value.constructor.name}${advice}`,
    );
  }

  private list(list: readonly unknown[], path: string, depth: number): void {
    const { pickle } = this;
    const items = (): void => list.forEach((item, index) => this.value(item, `${path}[${index}]`, depth + 1));
    if (Object.isFrozen(list)) {
      pickle.tuple(items);
      pickle.defines(list);
    } else {
      pickle.emptyList();
      pickle.defines(list);
      pickle.append(items);
    }
  }

  private dict(
    identity: object,
    entries: Iterable<readonly [unknown, unknown]>,
    path: string,
    depth: number,
  ): void {
    const { pickle } = this;
    if (identity instanceof OrderedDict) emptyOrderedDict(pickle);
    else pickle.emptyDict();
    pickle.defines(identity);
    pickle.setItems(() => {
      for (const [key, item] of entries) {
        if (typeof key === 'object' && key !== null && !(Array.isArray(key) && Object.isFrozen(key))) {
          throw new UnsupportedError(`a key of ${path} cannot be saved: it is no plain value`);
        }
        const where = `${path}[${typeof key === 'string' ? JSON.stringify(key) : String(key)}]`;
        this.value(key, where, depth + 1);
        this.value(item, where, depth + 1);
      }
    });
    if (!(identity instanceof OrderedDict) || identity.metadata === undefined) return;
    pickle.emptyDict();
    pickle.setItems(() => {
      pickle.string('_metadata');
      this.value(identity.metadata, `${path}.metadata`, depth + 1);
    });
    pickle.build();
  }

  private tensor(tensor: Tensor, path: string): void {
    const { pickle, storages } = this;
    const [other = tensor.dtype] = storages.typesOf(tensor.storage);
    if (other !== tensor.dtype) {
      throw new UnsupportedError(
        `${path} cannot be saved: it is ${tensor.dtype} in memory that is saved as ${other}; clone() it`,
      );
    }
    if (tensor instanceof Parameter) {
      pickle.global('torch._utils', '_rebuild_parameter');
      pickle.tuple(() => {
        pickleTensor(pickle, storages, tensor, false, path);
        pickle.bool(tensor.requiresGrad);
        emptyOrderedDict(pickle);
      });
      pickle.reduce();
    } else pickleTensor(pickle, storages, tensor, tensor.requiresGrad, path);
    pickle.defines(tensor);
  }
}

/** Objects have no keys that are numbers; what looks as JavaScript writes one there was one. */
const keyOf = (key: string): string | number => (/^(0|[1-9]\d{0,14})$/.test(key) ? Number(key) : key);
