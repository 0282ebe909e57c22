// For tests: what PyTorch itself says about a file, where it is installed.
import { execFileSync } from 'node:child_process';

const python = process.env.WEFT_PYTHON ?? '/usr/bin/python3';

let isThere: boolean | undefined;
/** Whether there is a PyTorch to ask. */
export function hasPyTorch(): boolean {
  if (isThere === undefined) {
    try {
      execFileSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
      isThere = true;
    } catch {
      isThere = false;
    }
  }
  return isThere;
}

/** Runs a file of Python with arguments; gives what it prints, read as JSON. */
export const runPython = (file: string, ...args: readonly string[]): unknown =>
  JSON.parse(
    execFileSync(python, [file, ...args], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    }),
  );

/** Runs a program that sees `torch`, `json` and its arguments as `args`; gives what it prints, read as JSON. */
export function askPyTorch(program: string, ...args: readonly string[]): unknown {
  const whole = `import torch, json, sys\nargs = sys.argv[1:]\n${program}`;
  return JSON.parse(execFileSync(python, ['-c', whole, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 }));
}
