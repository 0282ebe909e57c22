// gRPC and its service definitions, loaded when the first channel or server is made: programs that use no cluster never wait
// for them.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as grpc from '@grpc/grpc-js';
import type * as protoLoader from '@grpc/proto-loader';
import { InternalError } from '@weft/ir';
import type { ProtoGrpcType as BulkTypes } from '../proto/bulk.generated.ts';
import type { ProtoGrpcType as ClientTypes } from '../proto/client.generated.ts';
import type { ProtoGrpcType as HealthTypes } from '../proto/health.generated.ts';
import type { ProtoGrpcType as SchedulerTypes } from '../proto/scheduler.generated.ts';

const require = createRequire(import.meta.url);
let library: typeof grpc | undefined;

/** The package itself. */
export function grpcLibrary(): typeof grpc {
  if (library === undefined) {
    library = require('@grpc/grpc-js') as typeof grpc;
    // Failures reach the caller as errors; grpc-js would print some of them as well.
    library.setLogVerbosity(library.logVerbosity.NONE);
  }
  return library;
}

type Packages = BulkTypes & SchedulerTypes & ClientTypes & HealthTypes;
let packages: Packages | undefined;

function definitions(): Packages {
  if (packages === undefined) {
    const { loadSync } = require('@grpc/proto-loader') as typeof protoLoader;
    const files = ['weft/v1/bulk.proto', 'weft/v1/scheduler.proto', 'weft/v1/client.proto', 'grpc/health/v1/health.proto']; // prettier-ignore
    const options = { longs: Number, enums: String, defaults: true, arrays: true, oneofs: true };
    const definition = loadSync(files, { includeDirs: [protoFolder()], ...options });
    packages = grpcLibrary().loadPackageDefinition(definition) as unknown as Packages;
  }
  return packages;
}

/** The clients and services of weft. */
export const wire = (): Packages['weft']['v1'] => definitions().weft.v1;
export const healthService = (): Packages['grpc']['health']['v1']['Health'] =>
  definitions().grpc.health.v1.Health;

/** Clients, by their service. */
export type Client<Service extends 'Bulk' | 'Client' | 'Scheduler'> = InstanceType<
  Packages['weft']['v1'][Service]
>;

/** The folder of the .proto files: above this file, in the repository as in the built package. */
function protoFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'proto');
    if (existsSync(join(candidate, 'weft/v1/scheduler.proto'))) return candidate;
    if (dirname(folder) === folder) throw new InternalError('proto/weft/v1 is not above the cluster package');
  }
}
