// A process that `weft verify` gives recorded cases to, one after the other: a folder comes in, what came of it goes out.
import { jit } from 'weft';

process.on('message', (folder: string) => {
  process.send!(outcomeOf(folder));
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole foreground group; the parent decides.
process.on('SIGINT', () => {});
process.send!('ready');

function outcomeOf(folder: string): jit.CaseResult {
  try {
    return jit.runCase(folder);
  } catch (error) {
    return { passed: false, failures: [error instanceof Error ? error.message : String(error)] };
  }
}
