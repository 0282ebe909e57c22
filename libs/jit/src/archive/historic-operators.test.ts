// Archives of old versions: their operators mean what they meant when the archive was written, also after saving again.
import { describe, expect, test } from '@jest/globals';
import { WeftError } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { io, tensor } from '@weft/tensor';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load, saveToBytes } from './index.ts';

interface Case {
  readonly body: string;
  readonly version: number;
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** False when PyTorch refuses the archive. */
  readonly loads?: false;
  readonly dtype?: string;
  readonly result?: readonly number[];
  readonly error?: string;
}
const { historic } = JSON.parse(readFileSync(join(__dirname, 'pytorch.fixture.json'), 'utf8')) as {
  readonly historic: readonly Case[];
};

/** An archive with one class whose `forward(x, y)` has this body. */
function archiveOf(body: string, version: number, firstLines = ''): Uint8Array {
  const pickle = new io.PickleWriter();
  pickle.global('__torch__', 'Main');
  pickle.emptyTuple();
  pickle.newObject();
  pickle.emptyDict();
  pickle.setItems(() => {
    pickle.string('training');
    pickle.bool(true);
  });
  pickle.build();
  const code = `${firstLines}class Main(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.Main,
    x: Tensor,
    y: Tensor) -> Tensor:
    ${body}
`;
  const pieces: Uint8Array[] = [];
  const zip = new io.ZipWriter((bytes) => pieces.push(bytes.slice()));
  zip.add('main/data.pkl', pickle.finish());
  zip.add('main/code/__torch__.py', Buffer.from(code));
  zip.add('main/constants.pkl', Buffer.from('\x80\x02).', 'latin1'));
  zip.add('main/version', Buffer.from(`${version}\n`));
  zip.finish();
  return Buffer.concat(pieces);
}
const isInteger = (values: readonly number[]): boolean => values.every(Number.isInteger);

describe('as PyTorch', () => {
  test.each(historic.map((each) => [each.version, each.body, each.x.join(), each] as const))(
    'version %d: %s of %s',
    (version, body, _, { x, y, loads, dtype, result, error }) => {
      const given = (values: readonly number[]): Tensor =>
        tensor([...values], { dtype: isInteger(x) ? 'int64' : 'float32' });
      const archive = archiveOf(body, version);
      if (loads === false) {
        expect(() => load(archive)).toThrow(WeftError);
        return;
      }
      const module = load(archive);
      for (const each of [module, load(saveToBytes(module))]) {
        if (error !== undefined) {
          expect(() => each.forward(given(x), given(y))).toThrow(error);
          continue;
        }
        const found = each.forward(given(x), given(y)) as Tensor;
        expect(found.dtype).toBe(dtype);
        const values = found.tolist() as number[];
        expect(values).toHaveLength(result!.length);
        values.forEach((value, index) => expect(value).toBeCloseTo(result![index], 4));
      }
    },
  );
});

test('the operator that PyTorch tests this with', () => {
  const run = (version: number, call: string): unknown =>
    (
      load(archiveOf(`return torch._test_serialization_subcmul(${call})`, version)).forward(
        tensor([1, 2]),
        tensor([10, 20]),
      ) as Tensor
    ).tolist();
  expect(run(2, 'x, y')).toEqual([8, 16]);
  expect(run(2, 'x, y, 3')).toEqual([7, 14]);
  expect(run(3, 'x, y')).toEqual([-9, -18]);
  expect(run(3, 'x, y, alpha=3')).toEqual([-29, -58]);
});

test('the version that each file of code begins with in the oldest archives is no code', () => {
  const module = load(archiveOf('return torch.add(x, y)', 1, 'op_version_set = 1\nimport __torch__\n'));
  expect((module.forward(tensor([1]), tensor([2])) as Tensor).tolist()).toEqual([3]);
});

test('saving writes the lowest version whose operators mean what the code means', () => {
  const versionOf = (body: string, version: number): string => {
    const bytes = saveToBytes(load(archiveOf(body, version)));
    const archive = io.ArchiveFile.from(bytes, 'saved');
    return String(archive.version);
  };
  expect(versionOf('return torch.add(x, y)', 10)).toBe('3');
  expect(versionOf('return torch.div(x, y)', 3)).toBe('4');
  expect(versionOf('return torch.full([2], 3)', 4)).toBe('5');
  expect(versionOf('return torch.linspace(0, 5)', 7)).toBe('8');
  expect(versionOf('return torch.logspace(0, 5)', 7)).toBe('9');
  expect(versionOf('return torch.gelu(x)', 9)).toBe('10');
});
