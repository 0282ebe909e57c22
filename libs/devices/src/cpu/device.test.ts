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

  test.each([
    ['memory', { settings: { memory: '-1' } }, /memory=-1: a whole number of bytes/],
    ['isa', { settings: { isa: 'z80' } }, /instruction set 'z80' is not known/],
  ])('refuses a wrong %s', async (_name, options, message) => {
    if (isThere) await expect(cpuPlugin.open(options)).rejects.toThrow(message);
  });
});
