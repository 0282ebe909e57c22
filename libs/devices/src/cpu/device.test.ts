import { describe, expect, test } from '@jest/globals';
import { runConformance } from '../conformance/run.ts';
import { cpuPlugin } from './device.ts';
import { nativeLibrary } from './library.ts';

const isThere = 'library' in nativeLibrary();

describe('the cpu device', () => {
  test('conforms', async () => {
    const [device] = await cpuPlugin.open({});
    const report = await runConformance(device);
    expect(report.failed.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([]);
    expect(report.skipped).toEqual([]);
  });

  test('conforms without the native library', async () => {
    const [device] = await cpuPlugin.open({ settings: { isa: 'none' } });
    expect(device.info.name).toContain('reference kernels');
    const report = await runConformance(device, { filter: 'float32' });
    expect(report.failed).toEqual([]);
  });

  test('gives memory without what others left in it, but where all of it is overwritten', async () => {
    const [device] = await cpuPlugin.open({});
    const byteLength = (1 << 20) + 4;
    // The C library gives again what was freed; nothing of it may be seen around the bytes, nor in them unless asked for.
    for (let round = 0; round < 20; round++) {
      const { bytes } = device.allocate(byteLength, true);
      const whole = new Uint8Array(bytes!.buffer);
      expect(whole.subarray(0, bytes!.byteOffset).every((byte) => byte === 0)).toBe(true);
      expect(whole.subarray(bytes!.byteOffset + byteLength).every((byte) => byte === 0)).toBe(true);
      whole.fill(255);
    }
    expect(Buffer.from(device.allocate(byteLength).bytes!).equals(Buffer.alloc(byteLength))).toBe(true);
  });

  test.each([
    ['memory', { settings: { memory: '-1' } }, /memory=-1: a whole number of bytes/],
    ['isa', { settings: { isa: 'z80' } }, /instruction set 'z80' is not known/],
  ])('refuses a wrong %s', async (_name, options, message) => {
    if (isThere) await expect(cpuPlugin.open(options)).rejects.toThrow(message);
  });
});
