// Where in the user's program an operator was called: the first stack frame outside weft. Only errors ask for it.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SourceRange } from '@weft/ir';

/** Files of weft's own packages: their sources, or what they are built to. */
const own = /[\\/](?:@weft|libs)[\\/](?:ir|ops|devices|tensor|jit|cluster|weft)[\\/](?:src|dist)[\\/]/;
const tests = /\.test\.[cm]?[jt]s$/;

/** The calling line of the user, or undefined when no frame of the stack is outside weft or its file cannot be read. */
export function userLine(stack: string | undefined): SourceRange | undefined {
  for (const line of (stack ?? '').split('\n')) {
    const match = /(?:\(|at )((?:file:\/\/)?\/[^():]+|(?:file:\/\/\/)?[A-Za-z]:[^():]+):(\d+):(\d+)\)?$/.exec(
      line,
    );
    if (match === null || match[1].startsWith('node:')) continue;
    const file = match[1].startsWith('file:') ? fileURLToPath(match[1]) : match[1];
    if ((own.test(file) && !tests.test(file)) || file.includes('/node_modules/')) continue;
    if (!existsSync(file)) return undefined;
    const text = readFileSync(file, 'utf8');
    const lines = text.split('\n');
    const row = Number(match[2]) - 1;
    if (row >= lines.length) return undefined;
    const start = lines.slice(0, row).reduce((sum, each) => sum + each.length + 1, 0);
    const indent = lines[row].length - lines[row].trimStart().length;
    return new SourceRange(file, text, start + indent, start + lines[row].trimEnd().length);
  }
  return undefined;
}
