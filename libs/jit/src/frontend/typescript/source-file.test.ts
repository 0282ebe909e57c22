// What names are called where they run, from source maps as esbuild makes them.
import { describe, expect, test } from '@jest/globals';
import { TraceMap } from '@jridgewell/trace-mapping';
import { transformSync } from 'esbuild';
import { generatedName } from './source-file.ts';
import { ts } from './typescript.ts';

function syntaxOf(text: string, format: 'esm' | 'cjs') {
  const { code, map } = transformSync(text, { loader: 'ts', format, sourcemap: true, sourcefile: '/a.ts' });
  const file = ts.createSourceFile('/a.ts', text, ts.ScriptTarget.ES2023, true);
  const script = {
    path: '/a.js',
    text: code,
    lines: code.split('\n'),
    map: new TraceMap(map),
    files: new Map(),
  };
  return { file, script };
}

describe('the generated name', () => {
  const text = `import * as F from './functions.ts';
import { zeros } from './tensor.ts';
export const f = (x: number) => F.outer(F.inner(x, 1), zeros(2));
`;
  const at = (name: string) => text.lastIndexOf(name);

  test.each([
    ['esm', 'F.outer', 'F.outer'],
    ['cjs', 'F.outer', 'F.outer'],
    ['cjs', 'zeros(2)', 'import_tensor.zeros'],
  ] as const)('%s: %s is %s', (format, name, generated) => {
    expect(generatedName(syntaxOf(text, format), at(name))).toBe(generated);
  });

  test('is not that of the identifier before, where the map does not mention this one', () => {
    expect([undefined, 'F.inner']).toContain(generatedName(syntaxOf(text, 'esm'), at('F.inner')));
  });
});
