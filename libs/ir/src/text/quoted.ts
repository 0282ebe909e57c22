// Strings as PyTorch writes them in graphs and schemas (c10::printQuotedString): C escapes, and every byte of the UTF-8
// form that is not printable ASCII as a backslash and three "octal digits". PyTorch computes those from a signed char, so a
// byte above 127 gives characters below '0'; the form is kept because it is what PyTorch prints, and it can be read back.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};
const unescapes = new Map(Object.entries(escapes).map(([raw, escaped]) => [escaped.charAt(1), raw]));
const plain = /^[ !#-&(-[\]-~]*$/;

/** The string in double quotes, escaped. */
export function quote(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  let out = '"';
  for (const byte of encoder.encode(text)) {
    const character = String.fromCharCode(byte);
    const escape = byte < 128 ? escapes[character] : undefined;
    if (escape !== undefined) out += escape;
    else if (byte >= 32 && byte < 127) out += character;
    else out += `\\${signedOctal(byte)}`;
  }
  return `${out}"`;
}

/** Reads a quoted string that starts at `start`; undefined when there is none or it does not end. */
export function readQuoted(text: string, start: number): { value: string; end: number } | undefined {
  if (text.charAt(start) !== '"') return undefined;
  let end = start + 1;
  let isPlain = true;
  for (; text.charAt(end) !== '"'; end++) {
    if (end >= text.length) return undefined;
    if (text.charAt(end) === '\\') {
      isPlain = false;
      // The digits of a byte above 127 may be any of the characters from ')' to '0', never a quote.
      end++;
    }
  }
  const body = text.slice(start + 1, end);
  return { value: isPlain ? body : unescape(body), end: end + 1 };
}

function unescape(body: string): string {
  const bytes: number[] = [];
  for (let index = 0; index < body.length; index++) {
    const character = body.charAt(index);
    if (character !== '\\') {
      bytes.push(...encoder.encode(String.fromCodePoint(body.codePointAt(index)!)));
      if (body.codePointAt(index)! > 0xffff) index++;
      continue;
    }
    const raw = unescapes.get(body.charAt(index + 1));
    if (raw !== undefined) {
      bytes.push(raw.charCodeAt(0));
      index += 1;
    } else {
      const digit = (offset: number): number => body.charCodeAt(index + offset) - 48;
      bytes.push((digit(1) * 64 + digit(2) * 8 + digit(3)) & 255);
      index += 3;
    }
  }
  return decoder.decode(Uint8Array.from(bytes));
}

function signedOctal(byte: number): string {
  let rest = byte > 127 ? byte - 256 : byte;
  const digits: string[] = [];
  for (let place = 0; place < 3; place++) {
    digits.unshift(String.fromCharCode(48 + (rest % 8)));
    rest = Math.trunc(rest / 8);
  }
  return digits.join('');
}
