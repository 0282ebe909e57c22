// Makes recorded calls (record.py) on eager tensors and prints how the answers differ from PyTorch's, grouped by operator:
//   npx tsx tools/differential/compare.ts FOLDER --list       writes FOLDER/operators.txt, the operators to record
//   npx tsx tools/differential/compare.ts FOLDER [--ops REGEX] [--show 5]
// It runs what is built: `node tools/build.mjs` first.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { qualifiedName, schemaNames, schemasOf } from '@weft/ir';
import { isPlain } from '../../libs/tensor/src/dispatch/overloads.ts';
import { isCallable } from '../../libs/tensor/src/index.ts';
import type { RecordedCall } from '../../libs/tensor/src/operators/recorded-call.ts';
import { callText, differenceFromPyTorch } from '../../libs/tensor/src/operators/recorded-call.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ops: { type: 'string', default: '' },
    show: { type: 'string', default: '5' },
    list: { type: 'boolean', default: false },
  },
});
const folder = positionals[0];

function callable(): string[] {
  return schemaNames('aten').flatMap((name) =>
    schemasOf(`aten::${name}`)
      .filter((schema) => isPlain(schema) && isCallable(qualifiedName(schema)))
      .map(qualifiedName),
  );
}

function compare(operator: string): { calls: number; differences: string[] } {
  const path = join(folder, `${operator.slice('aten::'.length)}.jsonl`);
  if (!existsSync(path)) return { calls: 0, differences: [] };
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  const differences = lines.flatMap((line, index) => {
    const call = JSON.parse(line) as RecordedCall;
    const problem = differenceFromPyTorch(call, index % 3 === 2);
    return problem === null ? [] : [`  ${callText(call)}\n      ${problem}`];
  });
  return { calls: lines.length, differences };
}

if (values.list) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'operators.txt'), callable().join('\n') + '\n');
} else {
  let [calls, different, operators] = [0, 0, 0];
  for (const name of readFileSync(join(folder, 'operators.txt'), 'utf8').split('\n')) {
    if (name === '' || !new RegExp(values.ops).test(name)) continue;
    const found = compare(name);
    calls += found.calls;
    different += found.differences.length;
    if (found.differences.length === 0) continue;
    operators++;
    console.log(`${name}: ${found.differences.length} of ${found.calls}`);
    for (const each of found.differences.slice(0, Number(values.show))) console.log(each);
  }
  console.log(`${calls} calls, ${different} of them differ, in ${operators} operators`);
}
