// Whether operators are recorded for differentiation: on by default, switched for the length of a call.

let enabled = true;

export const isGradEnabled = (): boolean => enabled;

/** Switches recording until it is switched again; prefer `noGrad` and `enableGrad`. Returns the old setting. */
export function setGradEnabled(on: boolean): boolean {
  const old = enabled;
  enabled = on;
  return old;
}

function withGrad<T>(on: boolean, body: () => T): T {
  const old = setGradEnabled(on);
  try {
    return body();
  } finally {
    enabled = old;
  }
}

/** Runs `body` without recording: its results do not require gradients. */
export const noGrad = <T>(body: () => T): T => withGrad(false, body);

/** Runs `body` with recording, also inside `noGrad`. */
export const enableGrad = <T>(body: () => T): T => withGrad(true, body);
