// TorchScript strings are bytes: `len('é')` is 2. Ours are JavaScript strings, so operators on positions and single
// characters work on the UTF-8 bytes, one character a byte. A byte that belongs to no character becomes a lone surrogate
// U+DC80…U+DCFF (Python's surrogateescape), so that cutting a character in two and joining the parts again loses nothing.

const ascii = /^[\0-\x7f]*$/;
export const isAscii = (text: string): boolean => ascii.test(text);

/** The bytes of a string, each as a character below U+0100. */
export function asBytes(text: string): string {
  if (isAscii(text)) return text;
  let bytes = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) bytes += String.fromCharCode(code - 0xdc00);
    else if (code < 0x80) bytes += character;
    else if (code < 0x800) bytes += String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) {
      bytes += String.fromCharCode(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    } else {
      bytes += String.fromCharCode(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
    }
  }
  return bytes;
}

/** The string of these bytes. */
export function asText(bytes: string): string {
  if (isAscii(bytes)) return bytes;
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const lead = bytes.charCodeAt(at);
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
    const code = length === 0 ? undefined : decode(bytes, at, length);
    if (code === undefined) text += String.fromCharCode(0xdc00 + lead);
    else text += String.fromCodePoint(code);
    at += code === undefined ? 1 : length;
  }
  return text;
}

function decode(bytes: string, at: number, length: number): number | undefined {
  const lead = bytes.charCodeAt(at);
  if (length === 1) return lead;
  let code = lead & (0xff >> (length + 1));
  for (let next = 1; next < length; next++) {
    const byte = bytes.charCodeAt(at + next);
    if (at + next >= bytes.length || (byte & 0xc0) !== 0x80) return undefined;
    code = (code << 6) | (byte & 63);
  }
  const least = [0, 0, 0x80, 0x800, 0x10000][length];
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least || code > 0x10ffff || isSurrogate ? undefined : code;
}
