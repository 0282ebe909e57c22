// Tensors of an archive: storages are records of the file, tensors views on them with sizes and strides. Tensors that shared
// memory when they were saved share it again. Storages are used where they lie in the file, unless they are not aligned there,
// compressed, or of the other byte order.
import type { DType } from '@weft/ir';
import { UnsupportedError, dtypes } from '@weft/ir';
import { hostDevice } from '../devices.ts';
import { callOperator } from '../dispatch/call.ts';
import { Storage } from '../storage.ts';
import { Tensor } from '../tensor.ts';
import type { ArchiveFile } from './archive-file.ts';
import { ArchiveError } from './archive-error.ts';
import type { Pickled } from './pickle-reader.ts';
import { PickledGlobal, PickledTuple, PickledValue } from './pickle-reader.ts';

/** PyTorch's storage classes. */
const storageTypes: Readonly<Record<string, DType>> = {
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
const storageNames = new Map(Object.entries(storageTypes).map(([name, dtype]) => [dtype, name]));
/** The storage class for a dtype; undefined for dtypes that PyTorch 1.13 does not have. */
export const storageTypeOf = (dtype: DType): string | undefined => storageNames.get(dtype);

/** dtypes by PyTorch's names, which are ours and some older ones. */
const dtypeNames: ReadonlyMap<string, DType> = new Map([
  ...Object.keys(dtypes).map((name): [string, DType] => [name, name as DType]),
  ['float', 'float32'],
  ['double', 'float64'],
  ['half', 'float16'],
  ['long', 'int64'],
  ['int', 'int32'],
  ['short', 'int16'],
]);
/** The dtype that a global such as `torch.float32` names. */
export const dtypeOfGlobal = ({ module, name }: PickledGlobal): DType | undefined =>
  module === 'torch' ? dtypeNames.get(name) : undefined;

const untyped: ReadonlySet<string> = new Set([
  'torch.UntypedStorage',
  'torch.storage.UntypedStorage',
  'torch.storage._UntypedStorage',
]);
const typedStorage = /^torch\.(?:cuda\.)?(\w+Storage)$/;

/** Whether a global is the class of a storage. */
export const isStorageType = (global: PickledGlobal): boolean =>
  typedStorage.test(global.toString()) || untyped.has(global.toString());

/** A storage that the pickle refers to; without a dtype until a tensor says which. */
class PickledStorage {
  constructor(
    readonly record: string,
    readonly dtype: DType | undefined,
    readonly declared: bigint,
  ) {}
}

export class StorageReader {
  private readonly storages = new Map<string, Storage>();

  /**
   * @param folder where the storages' records are in the archive, with a slash at its end
   * @param entry the pickle that refers to them, for errors
   */
  constructor(
    private readonly archive: ArchiveFile,
    private readonly folder: string,
    private readonly entry: string,
  ) {}

  private refuse(reason: string): never {
    throw new ArchiveError(this.archive.file, this.entry, reason);
  }

  /** The storage that a persistent id `('storage', type, key, device, length)` names. */
  persistent(id: Pickled): Pickled {
    const [tag, type, key, , declared] = id instanceof PickledTuple ? id.items : [];
    if (tag !== 'storage' || !(type instanceof PickledGlobal) || typeof key !== 'string') {
      this.refuse('a persistent id is no storage');
    }
    if (typeof declared !== 'bigint' || declared < 0n)
      this.refuse(`a storage of ${String(declared)} elements is declared`);
    return new PickledValue(new PickledStorage(this.folder + key, this.elementType(type), declared));
  }

  private elementType(type: PickledGlobal): DType | undefined {
    const name = type.toString();
    if (untyped.has(name)) return undefined;
    const dtype = storageTypes[typedStorage.exec(name)?.[1] ?? ''];
    if (dtype === undefined) {
      throw new UnsupportedError(
        `${this.archive.file}, entry '${this.entry}': tensors in a ${name} cannot be read`,
      );
    }
    return dtype;
  }

  private storage(record: string, dtype: DType): Storage {
    const known = this.storages.get(record);
    if (known !== undefined) return known;
    if (!this.archive.has(record)) this.refuse(`the archive lacks the storage '${record}'`);
    const { buffer, byteOffset, byteLength } = this.archive.part(record);
    let storage = new Storage(hostDevice(), buffer, byteOffset, byteLength);
    const { bigEndian } = this.archive;
    if (bigEndian || byteOffset % 16 !== 0) {
      const bytes = storage.read(0, byteLength);
      storage = Storage.allocate(hostDevice(), byteLength);
      storage.write(0, bigEndian ? swapped(bytes, wordSize(dtype)) : bytes);
    }
    this.storages.set(record, storage);
    return storage;
  }

  /**
   * The tensor of `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks, bits)`, or of
   * `_rebuild_tensor_v3`, which has the dtype after the hooks.
   */
  rebuild(given: Pickled, withDtype = false): Tensor {
    const items = given instanceof PickledTuple ? given.items : [];
    const [reference, offset, size, stride, requiresGrad] = items;
    const stored = reference instanceof PickledValue ? reference.value : undefined;
    if (!(stored instanceof PickledStorage)) this.refuse('a tensor is built on something that is no storage');
    const given3 = items[6];
    const dtype = withDtype && given3 instanceof PickledGlobal ? dtypeOfGlobal(given3) : stored.dtype;
    if (dtype === undefined) {
      const name =
        withDtype && given3 instanceof PickledGlobal ? `of ${given3.toString()}` : 'without a dtype';
      throw new UnsupportedError(
        `${this.archive.file}, entry '${this.entry}': tensors ${name} cannot be read`,
      );
    }
    const storage = this.storage(stored.record, dtype);
    const width = dtypes[dtype].bytes;
    const declaredBytes =
      stored.declared * BigInt(stored.dtype === undefined ? 1 : dtypes[stored.dtype].bytes);
    if (declaredBytes > BigInt(storage.byteLength)) {
      this.refuse(
        `storage '${stored.record}' has ${storage.byteLength} bytes, but ${declaredBytes} are declared`,
      );
    }
    const length = Math.floor(Number(declaredBytes) / width);
    const sizes = this.integers(size, 'sizes');
    const strides = this.integers(stride, 'strides');
    const start = typeof offset === 'bigint' ? Number(offset) : -1;
    if (strides.length !== sizes.length)
      this.refuse(`a tensor has ${sizes.length} sizes, but ${strides.length} strides`);
    const isEmpty = sizes.includes(0);
    const last = sizes.reduce((sum, extent, dim) => sum + (extent - 1) * strides[dim], start);
    if (!Number.isSafeInteger(start) || start < 0 || (!isEmpty && last >= length)) {
      this.refuse(
        `a tensor of shape [${sizes.join(', ')}] at offset ${start} does not fit in its storage of ${length} elements`,
      );
    }
    const count = sizes.reduce((product, extent) => product * extent, 1);
    if (!Number.isSafeInteger(count * 16))
      this.refuse(`a tensor of shape [${sizes.join(', ')}] is not possible`);
    const tensor = this.withBits(new Tensor(storage, dtype, sizes, strides, start), items[withDtype ? 7 : 6]);
    if (requiresGrad === true && /float|complex/.test(dtype)) tensor.requiresGrad = true;
    return tensor;
  }

  /** PyTorch conjugates and negates lazily, by bits of the tensor; here it is done at once. */
  private withBits(tensor: Tensor, bits: Pickled | undefined): Tensor {
    if (!(bits instanceof Map)) return tensor;
    let result = tensor;
    if (bits.get('conj') === true) result = callOperator('aten::conj_physical', [result]) as Tensor;
    if (bits.get('neg') === true) result = callOperator('aten::neg', [result]) as Tensor;
    return result;
  }

  private integers(value: Pickled, what: string): number[] {
    const items = value instanceof PickledTuple ? value.items : Array.isArray(value) ? value : undefined;
    const numbers = items?.map((item) => (typeof item === 'bigint' ? Number(item) : -1));
    if (numbers === undefined || numbers.some((item) => item < 0 || !Number.isSafeInteger(item))) {
      this.refuse(`the ${what} of a tensor are no natural numbers`);
    }
    if (numbers.length > mostDimensions)
      this.refuse(`a tensor of ${numbers.length} dimensions is not possible: at most ${mostDimensions}`);
    return numbers;
  }
}

/** PyTorch's own limit. */
const mostDimensions = 64;

/** Bytes of what is swapped as one: the parts of complex numbers each on its own. */
const wordSize = (dtype: DType): number =>
  dtype.startsWith('complex') ? dtypes[dtype].bytes / 2 : dtypes[dtype].bytes;

/** The bytes with every group of `width` reversed; bytes that fill no group stay out. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  if (width === 1) return bytes;
  const copy = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % width)));
  if (width === 2) return copy.swap16();
  return width === 4 ? copy.swap32() : copy.swap64();
}
