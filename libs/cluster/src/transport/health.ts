// The standard gRPC health service, so that load balancers, Kubernetes and grpc_health_probe can ask a process how it is.
import { grpcLibrary } from './grpc-library.ts';
import type { HealthHandlers } from '../proto/grpc/health/v1/Health.generated.ts';

/** Serving for the whole process ('') and each named service, until `serving` says no. */
export function healthHandlers(services: readonly string[], serving: () => boolean): HealthHandlers {
  const answer = (service: string) =>
    service === '' || services.includes(service)
      ? ({ status: serving() ? 'SERVING' : 'NOT_SERVING' } as const)
      : undefined;
  return {
    Check: (call, callback) => {
      const known = answer(call.request.service);
      if (known === undefined)
        return callback({
          code: grpcLibrary().status.NOT_FOUND,
          details: `no service '${call.request.service}' is here`,
        });
      callback(null, known);
    },
    Watch: (call) => {
      let last = '';
      const tell = () => {
        const now = answer(call.request.service) ?? ({ status: 'SERVICE_UNKNOWN' } as const);
        if (now.status !== last) call.write(now);
        last = now.status;
      };
      tell();
      const timer = setInterval(tell, 1000);
      timer.unref();
      call.on('cancelled', () => clearInterval(timer));
    },
  };
}
