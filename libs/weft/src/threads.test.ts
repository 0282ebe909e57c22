// Weights once a process: threads that run the same archive map the same memory, and share what programs keep of it.
import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jit, manualSeed, nn, zeros } from './index.ts';

interface Memory {
  readonly threads: number;
  readonly mapped: number;
  readonly changed: number;
  readonly kept: number;
}

(process.platform === 'linux' ? test : test.skip)(
  'eight threads over one archive have its weights, and what is packed of them, once',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-threads-'));
    try {
      manualSeed(0);
      const network = new nn.Sequential(
        new nn.Conv2d(3, 128, 3, { padding: 1 }),
        new nn.ReLU(),
        new nn.Conv2d(128, 128, 3, { padding: 1 }),
        new nn.ReLU(),
        new nn.Conv2d(128, 256, 3, { stride: 2 }),
      ).eval();
      const path = join(folder, 'model.pt');
      jit.save(jit.trace(network, [zeros([1, 3, 32, 32])]), path);
      const tool = resolve(dirname(fileURLToPath(import.meta.url)), '../../../tools/measure-threads.mjs');
      const out = execFileSync(process.execPath, [tool, path, '1,3,32,32', '8'], { encoding: 'utf8' });
      const [one, eight] = out.trim().split('\n').map((line) => JSON.parse(line) as Memory); // prettier-ignore
      expect([one.threads, eight.threads]).toEqual([1, 8]);
      expect(one.kept).toBeGreaterThan(0);
      expect(eight.kept).toBe(one.kept);
      const size = statSync(path).size;
      expect(size).toBeGreaterThan(1_500_000);
      expect(one.mapped).toBeGreaterThan(0.8 * size);
      // Some pages are of two mappings, or were not looked at by the first thread.
      expect(eight.mapped).toBeLessThan(1.1 * size + 65_536);
      expect(eight.changed).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  120_000,
);
