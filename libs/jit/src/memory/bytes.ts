// Memory limits as users write them, and the error of one that cannot be kept.
import { WeftError } from '@weft/ir';

/** A limit that cannot be kept. */
export class MemoryLimitError extends WeftError {}

const units: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** Bytes of a limit: a number of them, or text such as `512MB`, `1.5 GiB`. Throws WeftError for anything else. */
export function limitInBytes(limit: number | string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMG]i?B|B)\s*$/i.exec(String(limit));
  const bytes =
    typeof limit === 'number'
      ? limit
      : match === null
        ? NaN
        : Number(match[1]) * units[match[2].toUpperCase()];
  if (Number.isFinite(bytes) && bytes > 0) return bytes;
  throw new WeftError(
    `memoryLimit is ${typeof limit === 'string' ? `'${limit}'` : limit}; it is a number of bytes, or text such as '512MB' or '1.5GiB'`,
  );
}

export const bytesText = (bytes: number): string =>
  bytes < 1e4 ? `${Math.ceil(bytes)} bytes` : bytes < 1e7 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`; // prettier-ignore
