// Tensors of an archive: storages are entries of the zip file, tensors views on them with sizes and strides. Tensors that
// shared memory when they were saved share it again.
import type { DeviceBuffer } from '@weft/devices';
import type { DType } from '@weft/ir';
import { UnsupportedError, dtypes } from '@weft/ir';
import { Storage, Tensor, hostDevice } from '@weft/tensor';
import { ArchiveError } from './archive-error.ts';
import { PickledTuple, PickledValue, PickledGlobal } from './pickle-reader.ts';
import type { Pickled } from './pickle-reader.ts';
import type { ZipFile } from './zip-reader.ts';

/** PyTorch's storage classes. */
export const storageTypes: Readonly<Record<string, DType | undefined>> = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
};
export const storageTypeOf = (dtype: DType): string | undefined =>
  Object.keys(storageTypes).find((name) => storageTypes[name] === dtype);

/** A storage with the type of its elements. */
export class TypedStorage {
  constructor(
    readonly storage: Storage,
    readonly dtype: DType,
    readonly length: number,
  ) {}
}

export interface StorageSource {
  readonly zip: ZipFile;
  /** The file's bytes as a device's buffer, when its tensors can be views on them. */
  readonly buffer: DeviceBuffer | undefined;
  readonly bigEndian: boolean;
}

export class StorageReader {
  private readonly storages = new Map<string, Storage>();

  /** @param folder where the storages' entries are, with a slash at its end */
  constructor(
    private readonly source: StorageSource,
    private readonly folder: string,
    private readonly entry: string,
  ) {}

  private refuse(reason: string): never {
    throw new ArchiveError(this.source.zip.file, this.entry, reason);
  }

  /** The storage that a persistent id `('storage', type, key, device, length)` names. */
  persistent(id: Pickled): Pickled {
    const [tag, type, key, , declared] = id instanceof PickledTuple ? id.items : [];
    if (tag !== 'storage' || !(type instanceof PickledGlobal) || typeof key !== 'string') {
      this.refuse('a persistent id is no storage');
    }
    const dtype = storageTypes[type.name];
    if (type.module !== 'torch' || dtype === undefined) {
      throw new UnsupportedError(
        `${this.source.zip.file}, entry '${this.entry}': tensors in a ${type.toString()} cannot be read`,
      );
    }
    const entry = `${this.folder}${key}`;
    const storage = this.storage(entry, dtype);
    const length = Math.floor(storage.byteLength / dtypes[dtype].bytes);
    if (typeof declared !== 'bigint' || declared < 0n || declared > BigInt(length)) {
      this.refuse(`storage '${entry}' has ${length} elements, but ${String(declared)} are declared`);
    }
    return new PickledValue(new TypedStorage(storage, dtype, Number(declared)));
  }

  private storage(entry: string, dtype: DType): Storage {
    const known = this.storages.get(entry);
    if (known !== undefined) return known;
    const { zip, buffer, bigEndian } = this.source;
    const { offset, size, method } = zip.entry(entry);
    const width = dtypes[dtype].bytes;
    let storage: Storage;
    if (buffer !== undefined && method === 'stored' && offset % 16 === 0 && !bigEndian) {
      storage = new Storage(hostDevice(), buffer, offset, size);
    } else {
      storage = Storage.allocate(hostDevice(), size);
      const bytes = zip.readUnchecked(entry);
      const part = dtype.startsWith('complex') ? width / 2 : width;
      storage.write(0, bigEndian && part > 1 ? swapped(bytes, part) : bytes);
    }
    this.storages.set(entry, storage);
    return storage;
  }

  /** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)`. */
  rebuild(given: Pickled): Tensor {
    const [storage, offset, size, stride, requiresGrad] = given instanceof PickledTuple ? given.items : [];
    const typed = storage instanceof PickledValue ? storage.value : undefined;
    if (!(typed instanceof TypedStorage)) this.refuse('a tensor is built on something that is no storage');
    const sizes = this.integers(size, 'sizes');
    const strides = this.integers(stride, 'strides');
    const start = typeof offset === 'bigint' ? Number(offset) : -1;
    if (strides.length !== sizes.length)
      this.refuse(`a tensor has ${sizes.length} sizes, but ${strides.length} strides`);
    const isEmpty = sizes.includes(0);
    const last = sizes.reduce((sum, length, dim) => sum + (length - 1) * strides[dim], start);
    if (!Number.isSafeInteger(start) || start < 0 || (!isEmpty && last >= typed.length)) {
      this.refuse(
        `a tensor of shape [${sizes.join(', ')}] at offset ${start} does not fit in its storage of ${typed.length} elements`,
      );
    }
    const count = sizes.reduce((product, length) => product * length, 1);
    if (!Number.isSafeInteger(count * 16))
      this.refuse(`a tensor of shape [${sizes.join(', ')}] is not possible`);
    const tensor = new Tensor(typed.storage, typed.dtype, sizes, strides, start);
    if (requiresGrad === true) tensor.requiresGrad = true;
    return tensor;
  }

  private integers(value: Pickled, what: string): number[] {
    const items = value instanceof PickledTuple ? value.items : Array.isArray(value) ? value : undefined;
    const numbers = items?.map((item) => (typeof item === 'bigint' ? Number(item) : -1));
    if (numbers === undefined || numbers.some((item) => item < 0 || !Number.isSafeInteger(item))) {
      this.refuse(`the ${what} of a tensor are no natural numbers`);
    }
    return numbers;
  }
}

/** The bytes with every group of `width` reversed. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const copy = Buffer.from(bytes);
  if (width === 2) return copy.swap16();
  return width === 4 ? copy.swap32() : copy.swap64();
}
