// Whether functions may be made from text. Some hosts forbid it (`--disallow-code-generation-from-strings`, a content security
// policy); then loops are shared or interpreted instead.

let allowed: boolean | undefined;

/** Switches generated functions off, or on again: for tests of the ways that serve without them. */
export function allowCodeGeneration(allow: boolean): void {
  allowed = allow ? undefined : false;
}

/** Found out by the first attempt. */
export function generationIsAllowed(): boolean {
  if (allowed === undefined) {
    try {
      new Function('');
      allowed = true;
    } catch {
      allowed = false;
    }
  }
  return allowed;
}
