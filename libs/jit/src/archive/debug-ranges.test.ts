// Where the code of an archive was printed from: errors show the lines that somebody wrote, as PyTorch shows them.
import { describe, expect, test } from '@jest/globals';
import { printGraph } from '@weft/ir';
import type { Tensor, int } from '@weft/tensor';
import { io, nn, ones } from '@weft/tensor';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScriptModule } from '../script-module.ts';
import { script } from '../script.ts';
import { askPyTorch, hasPyTorch } from './ask-pytorch.ts';
import { DebugRanges } from './debug-ranges.ts';
import { load, save, saveToBytes } from './index.ts';

interface Recorded {
  readonly archive: string;
  readonly errors: readonly (readonly [number, string])[];
}
const { errors } = JSON.parse(readFileSync(join(__dirname, 'pytorch.fixture.json'), 'utf8')) as {
  readonly errors: Readonly<Record<string, Recorded>>;
};
const archiveOf = (form: string): Uint8Array => Buffer.from(errors[form].archive, 'base64');

/** The error of a call. */
function errorOf(module: ScriptModule, ...args: readonly unknown[]): string {
  try {
    module.forward(...args);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing went wrong');
}

describe.each(Object.keys(errors))('debug information in the form %s', (form) => {
  test.each(errors[form].errors)('an error with n = %d reads as in PyTorch', (n, expected) => {
    expect(errorOf(load(archiveOf(form)), ones([2]), n)).toBe(expected.trimEnd());
  });
});

test('graphs name the lines that somebody wrote', () => {
  const text = (form: string): string => printGraph(load(archiveOf(form)).graph, { sources: true });
  expect(text('table')).toMatch(/prim::CallMethod.* # model\.py:21:16\n/);
  expect(text('none')).toMatch(/prim::CallMethod.* # archive in memory\/code\/__torch__\/model\.py:17:\d+\n/);
});

class Inner extends nn.Module {
  forward(x: Tensor, n: int): Tensor {
    // Größe: letters that take more bytes than characters
    const y = x.add(n);
    return y.view([3, n]);
  }
}
class Outer extends nn.Module {
  inner = new Inner();
  forward(x: Tensor, n: int): Tensor {
    if (n > 100) throw new Error(`too large: ${n}`);
    return this.inner.forward(x.mul(2), n);
  }
}

describe('what is written', () => {
  const module = script(new Outer());
  const lines = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('  File "'));

  test.each([7, 101])('shows the lines of the TypeScript program for n = %d', (n) => {
    const live = errorOf(module, ones([2]), n);
    const loaded = load(saveToBytes(module));
    const again = load(saveToBytes(loaded));
    const [serialized, original] = errorOf(loaded, ones([2]), n).split(
      '\n\nTraceback of TorchScript, original code',
    );
    expect(lines(live)[0]).toContain(__filename);
    expect(lines(serialized)[0]).toContain('"code/__torch__.py"');
    // What the live program shows, but for the lines that are shown around the stored ones.
    expect(lines(original)).toEqual(lines(live));
    expect(original.split('\n').filter((line) => line.includes('<---'))).toEqual(
      live.split('\n').filter((line) => line.includes('<---')),
    );
    expect(errorOf(again, ones([2]), n)).toBe(errorOf(loaded, ones([2]), n));
  });

  (hasPyTorch() ? test : test.skip)('is what PyTorch shows', () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-debug-'));
    try {
      const path = join(folder, 'model.pt');
      save(module, path);
      const found = askPyTorch(
        `
m = torch.jit.load(args[0])
out = []
for n in (7, 101):
    try: m(torch.ones(2), n)
    except Exception as e: out.append(str(e))
print(json.dumps(out))`,
        path,
      );
      expect(found).toEqual([7, 101].map((n) => `${errorOf(load(path), ones([2]), n)}\n`));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('damaged debug information is none', () => {
  const code = 'def f():\n  pass\n';
  const originalOf = (bytes: Uint8Array): unknown => {
    const ranges = new DebugRanges('code/f.py', code, bytes);
    const [item] = [...code].map((_, at) => at);
    return ranges.originalOf({ start: item } as Parameters<DebugRanges['originalOf']>[0]);
  };
  const raw = (text: string): Uint8Array => Buffer.from(text, 'latin1');
  test.each([
    ['no pickle', raw('nothing')],
    ['cut off', raw('\x80\x02(K\x00')],
    ['other values', raw('\x80\x02K\x01.')],
    ['a list of numbers', raw('\x80\x02](K\x01K\x02e.')],
    ['a name that is called', raw('\x80\x02cos\nsystem\n(X\x01\x00\x00\x00xtR.')],
    [
      'lines that are not in the table',
      raw(
        '\x80\x02X\x18\x00\x00\x00FORMAT_WITH_STRING_TABLE)(K\x00](K\x07eK\x00K\x01\x87K\x00K\x02\x87K\x00\x87t\x87.',
      ),
    ],
  ])('%s', (_, bytes) => expect(originalOf(bytes)).toBeUndefined());

  test('a text put together from ever the same line has a limit', () => {
    const pickle = new io.PickleWriter();
    const line = 'x'.repeat(1 << 22);
    pickle.tuple(() => {
      pickle.string('FORMAT_WITH_STRING_TABLE');
      pickle.tuple(() => pickle.string(line));
      pickle.tuple(() =>
        pickle.tuple(() => {
          pickle.int(0n);
          pickle.tuple(() => {
            pickle.tuple(() => {
              pickle.list(() => Array.from({ length: 100 }, () => pickle.int(0n)));
              pickle.int(0n);
              pickle.int(1n);
            });
            pickle.int(0n);
            pickle.int(1n);
          });
        }),
      );
    });
    expect(originalOf(pickle.finish())).toBeUndefined();
  });
});
