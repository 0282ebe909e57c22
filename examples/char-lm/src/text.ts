// Text as data: a vocabulary of characters, tokens, and how hard the text is to guess.
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';

/** The characters of a text, most frequent first; the last entry stands for every rarer one. */
export class Vocabulary {
  private readonly index: ReadonlyMap<string, number>;

  /** @param characters the character of each token; 256 at most, so that a token is a byte */
  constructor(readonly characters: readonly string[]) {
    this.index = new Map(characters.map((character, token) => [character, token]));
  }

  static of(text: string, size = 96): Vocabulary {
    const counts = new Map<string, number>();
    for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
    const frequent = [...counts]
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .map(([character]) => character);
    return new Vocabulary([
      ...frequent.filter((character) => character !== unknown).slice(0, size - 1),
      unknown,
    ]);
  }

  get size(): number {
    return this.characters.length;
  }

  encode(text: string): Uint8Array {
    return Uint8Array.from([...text].map((character) => this.index.get(character) ?? this.size - 1));
  }

  decode(tokens: Iterable<number>): string {
    return [...tokens].map((token) => this.characters[token]).join('');
  }
}

const unknown = '\u{FFFD}';

/** Entropy of the token frequencies, in nats a token: the loss of always guessing by frequency. */
export function unigramEntropy(tokens: Uint8Array): number {
  const counts = new Map<number, number>();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / tokens.length) * Math.log(count / tokens.length);
  return entropy;
}

/** The text of a file, or of all documentation (`.md`, and LICENSE) in a folder and those below it. */
export function readText(path: string): string {
  if (!isFolder(path)) return readFileSync(path, 'utf8');
  return documents(path)
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n\n');
}

function isFolder(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}

const skipped = new Set(['node_modules', 'dist', 'tmp', 'coverage']);

function documents(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.') && !skipped.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return documents(path);
      return extname(entry.name) === '.md' || entry.name === 'LICENSE' ? [path] : [];
    });
}
