#!/usr/bin/env node
// The weft command. In a checkout that was not built yet, builds it first.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/main.js', import.meta.url);
if (!existsSync(main)) {
  const build = fileURLToPath(new URL('../../../tools/build.mjs', import.meta.url));
  const { status } = spawnSync(process.execPath, [build], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}
// Node 22 and later keep compiled code from start to start.
module.enableCompileCache?.();
const { main: run } = await import(main.href);
await run(process.argv);
