// Names of TorchScript source.

/** Names that variables of printed code may not have. */
export const reservedNames: ReadonlySet<string> = new Set(
  (
    '_ as aten attribute CONSTANTS fork getattr inf nan infj nanj ops __torch__ torch and assert async await break class ' +
    'continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass ' +
    'raise return True try with while yield uninitialized unchecked_cast annotate int float bool str print range isinstance'
  ).split(' '),
);

export const isIdentifier = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
