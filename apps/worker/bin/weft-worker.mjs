#!/usr/bin/env node
import module from 'node:module';

// Node 22 and later keep compiled code from start to start.
module.enableCompileCache?.();
const { main } = await import('../dist/index.js');
await main(process.argv);
