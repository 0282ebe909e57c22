// Ctrl-C and its kin: what a command started is closed first, then the process ends. A second signal does not wait.

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Calls `stop` at the first signal, which has to end what runs; a second one ends the process at once. Returns a
 * function that takes the handlers away.
 */
export function onSignal(stop: (signal: string, status: number) => void): () => void {
  let seen = false;
  const handlers = Object.entries(signals).map(([signal, status]) => {
    const handler = (): void => {
      if (seen) process.exit(status);
      seen = true;
      stop(signal, status);
    };
    process.on(signal, handler);
    return () => void process.off(signal, handler);
  });
  return () => handlers.forEach((remove) => remove());
}
