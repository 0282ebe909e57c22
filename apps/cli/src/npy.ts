// NumPy's .npy format: magic, version, a header that is a Python dict (descr, fortran_order, shape), then the elements.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { WeftError, ir } from 'weft';

const kinds: Partial<Record<ir.DType, string>> = {
  float64: 'f8',
  float32: 'f4',
  float16: 'f2',
  int64: 'i8',
  int32: 'i4',
  int16: 'i2',
  int8: 'i1',
  uint64: 'u8',
  uint32: 'u4',
  uint16: 'u2',
  uint8: 'u1',
  bool: 'b1',
  complex64: 'c8',
  complex128: 'c16',
};
const dtypeOfKind = new Map(Object.entries(kinds).map(([dtype, kind]) => [kind, dtype as ir.DType]));
const magic = Buffer.from('\x93NUMPY', 'latin1');

/** The tensor in a file's bytes. Throws WeftError saying what is wrong with them. */
export function readNpy(bytes: Uint8Array, file: string): ir.TensorLiteral {
  const fail = (reason: string): never => {
    throw new WeftError(`${file} is no .npy file that can be read: ${reason}`);
  };
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.length < 10 || !data.subarray(0, 6).equals(magic)) fail('it does not begin with \\x93NUMPY');
  const isLong = data[6] >= 2;
  const start = isLong ? 12 : 10;
  if (data.length < start) fail('it ends in its header');
  const end = start + (isLong ? data.readUInt32LE(8) : data.readUInt16LE(8));
  if (end > data.length) fail('it ends in its header');
  const header = data.toString('latin1', start, end);
  const descr = /'descr'\s*:\s*'([<>|=]?)([a-z]\d+)'/.exec(header);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header);
  const sizes = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(header);
  if (descr === null || order === null || sizes === null) return fail(`its header is ${header.trim()}`);
  const dtype = dtypeOfKind.get(descr[2]);
  if (dtype === undefined || descr[1] === '>')
    return fail(`its elements are '${descr[1]}${descr[2]}'; little-endian numbers or booleans are expected`);
  const shape = (sizes[1].match(/\d+/g) ?? []).map(Number);
  const width = ir.dtypes[dtype].bytes;
  const count = ir.numel(shape);
  if (data.length - end !== count * width)
    fail(
      `${data.length - end} bytes follow its header; [${shape.join(', ')}] of ${dtype} takes ${count * width}`,
    );
  const elements = new Uint8Array(data.subarray(end));
  return new ir.TensorLiteral(
    dtype,
    shape,
    order[1] === 'True' ? rowMajor(elements, shape, width) : elements,
  );
}

/** Elements whose first dimension is the fastest, in row-major order. */
function rowMajor(elements: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  const result = new Uint8Array(elements.length);
  const index = shape.map(() => 0);
  for (let to = 0; to < elements.length; to += width) {
    const from = index.reduceRight((position, at, dim) => position * shape[dim] + at, 0) * width;
    result.set(elements.subarray(from, from + width), to);
    for (let dim = shape.length - 1; dim >= 0 && ++index[dim] === shape[dim]; dim--) index[dim] = 0;
  }
  return result;
}

/** The bytes of a .npy file. Throws WeftError for a dtype that NumPy does not have. */
export function writeNpy(literal: ir.TensorLiteral): Uint8Array {
  const kind = kinds[literal.dtype];
  if (kind === undefined)
    throw new WeftError(`NumPy has no ${literal.dtype}: write .safetensors or .json instead`);
  const { shape } = literal;
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const order = kind.endsWith('1') ? '|' : '<';
  const dict = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + dict.length + 1) / 64) * 64;
  const head = Buffer.alloc(length, ' ', 'latin1');
  magic.copy(head);
  // Version 1.0.
  head.writeUInt16LE(1, 6);
  head.writeUInt16LE(length - 10, 8);
  head.write(dict, 10, 'latin1');
  head.write('\n', length - 1, 'latin1');
  return Buffer.concat([head, literal.bytes]);
}
