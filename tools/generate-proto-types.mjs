// Types of the wire messages from proto/, into libs/cluster/src/proto: run after every change of a .proto file. The
// options are those that libs/cluster/src/transport/wire.ts loads the files with.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const output = resolve(root, 'libs/cluster/src/proto');
const files = ['tensor', 'bulk', 'scheduler', 'client'].map((name) => `weft/v1/${name}.proto`);

rmSync(output, { recursive: true, force: true });
execFileSync(
  resolve(root, 'node_modules/.bin/proto-loader-gen-types'),
  [
    ...['--longs', 'Number', '--enums', 'String', '--defaults', '--arrays', '--oneofs'],
    ...[
      '--grpcLib=@grpc/grpc-js',
      '--targetFileExtension',
      '.generated.ts',
      '--importFileExtension',
      '.generated.ts',
    ],
    ...['-I', '.', '-O', output, ...files, 'grpc/health/v1/health.proto'],
  ],
  { cwd: resolve(root, 'proto'), stdio: 'inherit' },
);
