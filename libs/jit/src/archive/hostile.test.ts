// Files that are no archives, damaged ones and malicious ones: a clear error that names the file and the entry, at once.
import { afterAll, describe, expect, test } from '@jest/globals';
import type { Tensor } from '@weft/tensor';
import { ArchiveError, io, nn } from '@weft/tensor';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { script } from '../script.ts';
import { load, saveToBytes } from './index.ts';

class Small extends nn.Module {
  linear = new nn.Linear(2, 2);
  forward(x: Tensor): Tensor {
    return this.linear.forward(x);
  }
}
const { MemorySource, PickleWriter, ZipFile, ZipWriter } = io;
const archive = saveToBytes(script(new Small()));

const folder = mkdtempSync(join(tmpdir(), 'weft-hostile-'));
afterAll(() => rmSync(folder, { recursive: true }));

function zipOf(entries: Readonly<Record<string, Uint8Array | string>>): Uint8Array {
  const pieces: Uint8Array[] = [];
  const zip = new ZipWriter((bytes) => pieces.push(bytes.slice()));
  for (const [name, contents] of Object.entries(entries)) zip.add(name, Buffer.from(contents));
  zip.finish();
  return Buffer.concat(pieces);
}
/** The archive with some entries replaced. */
function changed(entries: Readonly<Record<string, Uint8Array | string>>): Uint8Array {
  const zip = new ZipFile(new MemorySource(archive), 'good.pt');
  const all = Object.fromEntries(zip.names.map((name) => [name, zip.read(name)]));
  return zipOf({ ...all, ...entries });
}
const raw = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** One zip entry by hand; fields can lie. */
function handmade(options: {
  name: string;
  data: Uint8Array;
  method?: number;
  size?: number;
  compressed?: number;
  header?: number;
  twice?: boolean;
}): Uint8Array {
  const { name, data, method = 0, size = data.length, compressed = data.length, header = 0, twice } = options;
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(method, 10);
  central.writeUInt32LE(crc32(data), 16);
  central.writeUInt32LE(compressed, 20);
  central.writeUInt32LE(size, 24);
  central.writeUInt16LE(name.length, 28);
  central.writeUInt32LE(header, 42);
  const record = Buffer.concat([central, Buffer.from(name)]);
  const records = twice === true ? Buffer.concat([record, record]) : record;
  const body = Buffer.concat([local, Buffer.from(name), data]);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(twice === true ? 2 : 1, 10);
  end.writeUInt32LE(records.length, 12);
  end.writeUInt32LE(body.length, 16);
  return Buffer.concat([body, records, end]);
}

const refused = (bytes: Uint8Array, message: RegExp): void => {
  const started = performance.now();
  expect(() => load(bytes)).toThrow(ArchiveError);
  expect(() => load(bytes)).toThrow(message);
  expect(performance.now() - started).toBeLessThan(2000);
};

describe('a file that is no archive', () => {
  test('is named with the reason', () => {
    const path = join(folder, 'text.pt');
    writeFileSync(path, 'just some text\n'.repeat(10));
    expect(() => load(path)).toThrow(`${path}: this is no zip file`);
    expect(() => load(join(folder, 'missing.pt'))).toThrow('missing.pt: there is no such file');
    expect(() => load(folder)).toThrow(ArchiveError);
  });
  test('an empty file', () => refused(new Uint8Array(0), /no zip file/));
  test('another zip file', () => refused(zipOf({ 'a/b.txt': 'x' }), /no archive of PyTorch/));
  test('what torch.save wrote', () => {
    refused(changed({ 'archive/data.pkl': raw('\x80\x02}.') }), /torch\.save/);
  });
});

describe('a damaged archive', () => {
  test.each([1, 2, 3, 5, 9, 17].map((part) => Math.floor((archive.length * part) / 18)))(
    'cut off after %d bytes',
    (length) => refused(archive.subarray(0, length), /zip file|end/),
  );
  test('a record that is missing', () => {
    const zip = new ZipFile(new MemorySource(archive), 'good.pt');
    const rest = zip.names.filter((name) => !name.endsWith('data.pkl'));
    refused(
      zipOf(Object.fromEntries(rest.map((name) => [name, zip.read(name)]))),
      /data\.pkl.*no such entry/s,
    );
  });
  test('a changed byte of a pickle', () => {
    const copy = archive.slice();
    const pickle = new ZipFile(new MemorySource(archive), 'good.pt').read('archive/data.pkl');
    copy[Buffer.from(copy.buffer).indexOf(pickle) + 5] ^= 1;
    refused(copy, /data\.pkl.*checksum/s);
  });
  test('a version of the future', () => refused(changed({ 'archive/version': '4711' }), /version 4711/));
  test('no version', () => refused(changed({ 'archive/version': 'new' }), /'new' is no version/));
  test('code that is no text', () => {
    refused(changed({ 'archive/code/__torch__.py': raw('\xff\xfe') }), /no UTF-8/);
  });
});

describe('a malicious zip file', () => {
  const data = raw('hello');
  test('names outside the archive', () => {
    for (const name of ['../evil', '/etc/x', 'a/../../b', 'c:\\x', 'a\\b']) {
      refused(handmade({ name, data }), /no plain path/);
    }
  });
  test('a size that is not there', () => {
    refused(handmade({ name: 'a/data.pkl', data, size: 2 ** 31, compressed: 2 ** 31 }), /beyond the end/);
  });
  test('a bomb', () => {
    refused(
      handmade({ name: 'a/version', data: deflateRawSync(data), method: 8, size: 2 ** 31 }),
      /cannot have/,
    );
    const bomb = deflateRawSync(Buffer.alloc(1 << 20));
    refused(handmade({ name: 'a/version', data: bomb, method: 8, size: 100 }), /compressed data is damaged/);
  });
  test('the same entry twice', () => refused(handmade({ name: 'a/version', data, twice: true }), /twice/));
  test('a header somewhere else', () => {
    refused(handmade({ name: 'a/version', data, header: 3 }), /overlaps/);
    const moved = handmade({ name: 'a/version', data });
    moved[0] ^= 1;
    refused(moved, /'a\/version': its header is not where/);
    const renamed = handmade({ name: 'a/version', data });
    renamed[30] ^= 1;
    refused(renamed, /'a\/version': its header has another name/);
  });
  test('an unknown packing', () => refused(handmade({ name: 'a/v', data, method: 12 }), /method 12/));
});

describe('a malicious pickle', () => {
  const withData = (pickle: Uint8Array): Uint8Array => changed({ 'archive/data.pkl': pickle });
  test.each(['os\nsystem', 'builtins\neval', 'torch\nload', 'posix\nsystem', 'torch.jit._pickle\nevil'])(
    'names %s',
    (name) => {
      const call = withData(raw(`\x80\x02c${name}\n(X\x02\x00\x00\x00lstR.`));
      refused(call, new RegExp(`data\\.pkl.*'${name.replace('\n', '.')}', which may not be loaded`, 's'));
    },
  );
  test('an unknown class', () => {
    const pickle = new PickleWriter();
    pickle.global('__torch__', 'Nothing');
    pickle.emptyTuple();
    pickle.newObject();
    refused(withData(pickle.finish()), /no class '__torch__\.Nothing'/);
  });
  test('nested deeply', () => {
    refused(withData(raw(`\x80\x02${'('.repeat(100_000)}.`)), /nested deeper/);
    refused(withData(raw(`\x80\x02)${'\x85'.repeat(100_000)}.`)), /nested deeper/);
  });
  test('cut off, and with instructions that are not read', () => {
    refused(withData(raw('\x80\x02X\xff\xff\xff\x7fabc')), /cut off/);
    refused(withData(raw('\x80\x02')), /cut off/);
    refused(withData(raw('\x80\x02i')), /0x69 is not read/);
    refused(withData(raw('\x80\x02R.')), /more from its stack/);
  });
  test('a tensor that does not fit in its storage', () => {
    const zip = new ZipFile(new MemorySource(archive), 'good.pt');
    const pickle = Buffer.from(zip.read('archive/data.pkl'));
    // Sizes of the weight: (2, 2) becomes (2, 200).
    const at = pickle.indexOf(raw('(K\x02K\x02t'));
    pickle[at + 4] = 200;
    refused(withData(pickle), /does not fit in its storage of 4 elements/);
  });
  test('an attribute of another type', () => {
    const pickle = new PickleWriter();
    pickle.global('__torch__', 'Small');
    pickle.emptyTuple();
    pickle.newObject();
    pickle.emptyDict();
    pickle.setItems(() => {
      pickle.string('training');
      pickle.int(3n);
    });
    pickle.build();
    refused(withData(pickle.finish()), /'training' of '__torch__\.Small'/);
  });
});
