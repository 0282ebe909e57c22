// Tensors in the pickles that are written: views on storages, which are records of their own. Tensors that share a storage refer
// to one record.
import type { DType } from '@weft/ir';
import { UnsupportedError, dtypes } from '@weft/ir';
import type { Storage } from '../storage.ts';
import type { Tensor } from '../tensor.ts';
import type { PickleWriter } from './pickle-writer.ts';
import { storageTypeOf } from './storages.ts';

/** The storages of one pickle, in the order of their keys. */
export class StorageTable {
  readonly storages: Storage[] = [];
  private readonly keys = new Map<Storage, string>();
  private readonly identities = new Map<Storage, Map<DType, object>>();

  /** One object for a storage with one type of elements. */
  identityOf(storage: Storage, dtype: DType): object {
    let types = this.identities.get(storage);
    if (types === undefined) this.identities.set(storage, (types = new Map<DType, object>()));
    let identity = types.get(dtype);
    if (identity === undefined) types.set(dtype, (identity = {}));
    return identity;
  }
  /** The types of elements that a storage was asked for with. */
  typesOf(storage: Storage): DType[] {
    return [...(this.identities.get(storage)?.keys() ?? [])];
  }
  keyOf(storage: Storage): string {
    let key = this.keys.get(storage);
    if (key === undefined) {
      key = String(this.storages.push(storage) - 1);
      this.keys.set(storage, key);
    }
    return key;
  }
}

/**
 * Writes a call of `_rebuild_tensor_v2`. Throws UnsupportedError for dtypes that PyTorch 1.13 does not have.
 * @param path what the tensor is, for errors
 */
export function pickleTensor(
  pickle: PickleWriter,
  storages: StorageTable,
  tensor: Tensor,
  requiresGrad: boolean,
  path: string,
): void {
  const { storage, dtype } = tensor;
  const storageType = storageTypeOf(dtype);
  if (storageType === undefined) {
    throw new UnsupportedError(`${path} cannot be saved: archives have no tensors of ${dtype}`);
  }
  pickle.global('torch._utils', '_rebuild_tensor_v2');
  pickle.tuple(() => {
    // PyTorch makes a storage wherever its id stands, so tensors share one by referring to the first place.
    const shared = storages.identityOf(storage, dtype);
    if (!pickle.reference(shared)) {
      pickle.tuple(() => {
        pickle.string('storage');
        pickle.global('torch', storageType);
        pickle.string(storages.keyOf(storage));
        pickle.string('cpu');
        pickle.int(BigInt(Math.floor(storage.byteLength / dtypes[dtype].bytes)));
      });
      pickle.persistent();
      pickle.defines(shared);
    }
    pickle.int(BigInt(tensor.offset));
    for (const numbers of [tensor.sizes, tensor.strides]) {
      pickle.tuple(() => numbers.forEach((number) => pickle.int(BigInt(number))));
    }
    pickle.bool(requiresGrad);
    emptyOrderedDict(pickle);
  });
  pickle.reduce();
}

export function emptyOrderedDict(pickle: PickleWriter): void {
  pickle.global('collections', 'OrderedDict');
  pickle.emptyTuple();
  pickle.reduce();
}
