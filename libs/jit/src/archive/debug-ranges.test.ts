// Where the code of an archive was printed from: errors show the lines that somebody wrote, as PyTorch shows them.
import { describe, expect, test } from '@jest/globals';
import { printGraph } from '@weft/ir';
import { io, ones } from '@weft/tensor';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ScriptRuntimeError } from '../runtime/index.ts';
import { DebugRanges } from './debug-ranges.ts';
import { load } from './index.ts';

interface Recorded {
  readonly archive: string;
  readonly errors: readonly (readonly [number, string])[];
}
const { errors } = JSON.parse(readFileSync(join(__dirname, 'pytorch.fixture.json'), 'utf8')) as {
  readonly errors: Readonly<Record<string, Recorded>>;
};
const archiveOf = (form: string): Uint8Array => Buffer.from(errors[form].archive, 'base64');

describe.each(Object.keys(errors))('debug information in the form %s', (form) => {
  test.each(errors[form].errors)('an error with n = %d reads as in PyTorch', (n, expected) => {
    expect.assertions(1);
    try {
      load(archiveOf(form)).forward(ones([2]), n);
    } catch (error) {
      expect((error as ScriptRuntimeError).message).toBe(expected.trimEnd());
    }
  });
});

test('graphs name the lines that somebody wrote', () => {
  const text = (form: string): string => printGraph(load(archiveOf(form)).graph, { sources: true });
  expect(text('table')).toMatch(/prim::CallMethod.* # model\.py:21:16\n/);
  expect(text('none')).toMatch(/prim::CallMethod.* # archive in memory\/code\/__torch__\/model\.py:17:\d+\n/);
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
