// Values in and out of files: .npy as NumPy writes it, JSON by the type of a parameter, text as Python prints it.
import { expect, test } from '@jest/globals';
import type { Tensor } from 'weft';
import { ir, tensor } from 'weft';
import { readNpy, writeNpy } from './npy.ts';
import { fromJson, parseJson, pythonText, tensorsOf, toJson } from './values.ts';

test('.npy files read back as they were written, in every dtype NumPy has', () => {
  for (const dtype of ir.dtypeNames) {
    const literal = new ir.TensorLiteral(
      dtype,
      [2, 1],
      new Uint8Array(2 * ir.dtypes[dtype].bytes).map((_, i) => i % 2),
    );
    if (dtype === 'bfloat16') expect(() => writeNpy(literal)).toThrow('NumPy has no bfloat16');
    else
      expect(readNpy(writeNpy(literal), 'x.npy')).toMatchObject({
        dtype,
        shape: [2, 1],
        bytes: literal.bytes,
      });
  }
  expect(writeNpy(tensor(1.5).toLiteral()).length % 64).toBe(4);
});

test('.npy files in Fortran order become row-major', () => {
  const file = Buffer.from(writeNpy(tensor([0, 3, 1, 4, 2, 5]).reshape([2, 3]).toLiteral()));
  const at = file.indexOf('False');
  file.write('True ', at, 'latin1');
  const { shape, bytes } = readNpy(file, 'x.npy');
  expect(shape).toEqual([2, 3]);
  expect([...new BigInt64Array(new Uint8Array(bytes).buffer)]).toEqual([0n, 1n, 2n, 3n, 4n, 5n]);
});

test('.npy files that are damaged say how', () => {
  const file = writeNpy(tensor([1, 2]).toLiteral());
  expect(() => readNpy(file.subarray(0, 40), 'x.npy')).toThrow(
    'x.npy is no .npy file that can be read: it ends',
  );
  expect(() => readNpy(file.subarray(0, -1), 'x.npy')).toThrow(/15 bytes follow its header/);
  const big = Buffer.from(file);
  big.write('>', big.indexOf('<'), 'latin1');
  expect(() => readNpy(big, 'x.npy')).toThrow(/little-endian/);
});

test('JSON becomes what the type of a parameter says', () => {
  const read = (text: string, type: string): unknown =>
    fromJson(parseJson(text, 'x.json'), ir.parseType(type), 'x');
  const dtypeOf = (text: string): string => (read(text, 'Tensor') as Tensor).dtype;
  expect(dtypeOf('[[1, 2]]')).toBe('int64');
  expect(dtypeOf('[1.0, 2]')).toBe('float32');
  expect(dtypeOf('[true, false]')).toBe('bool');
  expect(dtypeOf('{"dtype": "float64", "data": [1, "nan"]}')).toBe('float64');
  expect((read('{"dtype": "int8", "shape": [2, 1], "data": [1, 2]}', 'Tensor') as Tensor).sizes).toEqual([
    2, 1,
  ]);
  expect(read('3', 'int')).toBe(3);
  expect(read('null', 'Tensor?')).toBe(null);
  expect((read('[[1], [2]]', 'Tensor[]') as Tensor[]).map((x) => x.sizes)).toEqual([[1], [1]]);
  expect([...(read('{"1": [2]}', 'Dict(int, Tensor)') as Map<number, Tensor>).keys()]).toEqual([1]);
  expect(() => read('["a"]', 'Tensor')).toThrow(
    /x is no tensor: nested lists of numbers are expected, "a" is given/,
  );
  expect(() => read('{"dtype": "f32", "data": []}', 'Tensor')).toThrow(/'f32' is no dtype/);
});

test('values print as in Python, and as JSON', () => {
  const cases: [ir.IValue, string, unknown][] = [
    [null, 'None', null],
    [true, 'True', true],
    [3n, '3', 3],
    [3, '3.0', 3],
    [1e20, '1e+20', 1e20],
    [0.00001, '1e-05', 0.00001],
    [NaN, 'nan', 'nan'],
    ["it's", `"it's"`, "it's"],
    [[1n, 2n], '[1, 2]', [1, 2]],
    [new ir.TupleValue([1n]), '(1,)', [1]],
    [new Map<ir.IValue, ir.IValue>([['a', 1]]), "{'a': 1.0}", { a: 1 }],
    [new ir.Complex(1, -2), '(1-2j)', { re: 1, im: -2 }],
    [tensor([1.5, 2]), 'tensor([1.5000, 2.0000])', { dtype: 'float32', shape: [2], data: [1.5, 2] }],
  ];
  for (const [value, text, json] of cases) {
    expect(pythonText(value)).toBe(text);
    expect(toJson(value)).toEqual(json);
  }
  const nested = new Map<ir.IValue, ir.IValue>([['a', [tensor(1), new ir.TupleValue([tensor(2)])]]]);
  expect([...tensorsOf(nested, 'output').keys()]).toEqual(['output.a.0', 'output.a.1.0']);
});
