// `switch` as a chain of ifs. Every case ends with break, return or throw, or is the last one; cases may share a body.
import type TS from 'typescript';
import { ts } from './typescript.ts';
import type * as tree from '../tree.ts';
import type { Converter } from './converter.ts';
import { convertExpression } from './expressions.ts';
import { convertStatements } from './statements.ts';

export function convertSwitch(c: Converter, node: TS.SwitchStatement): tree.Statement[] {
  const range = c.range(node);
  const subject: tree.Name = { kind: 'Name', name: c.temporary('switch'), range };
  const start: tree.Statement = {
    kind: 'Assign',
    targets: [subject],
    value: convertExpression(c, node.expression),
    range,
  };
  const arms: { tests: tree.Expression[]; isDefault: boolean; body: tree.Statement[] }[] = [];
  let tests: tree.Expression[] = [];
  let isDefault = false;
  const { clauses } = node.caseBlock;
  for (const [index, clause] of clauses.entries()) {
    if (ts.isDefaultClause(clause)) {
      isDefault = true;
      if (index < clauses.length - 1)
        c.fail(clause, "'default' must be the last case in a scripted function");
    } else {
      const right = convertExpression(c, clause.expression);
      tests.push({
        kind: 'Compare',
        operator: 'same',
        left: subject,
        right,
        range: c.range(clause.expression),
      });
    }
    if (clause.statements.length === 0 && index < clauses.length - 1) continue;
    const body = convertClause(c, clause, index === clauses.length - 1);
    arms.push({ tests, isDefault, body });
    tests = [];
    isDefault = false;
  }
  const chain = arms.reduceRight<tree.Statement[]>((otherwise, arm) => {
    if (arm.isDefault) return arm.body;
    const test = arm.tests.reduce((left, right): tree.Expression => ({
      kind: 'Or',
      left,
      right,
      range: left.range,
    }));
    return [{ kind: 'If', test, then: arm.body, otherwise, range: test.range }];
  }, []);
  return [start, ...chain];
}

function convertClause(c: Converter, clause: TS.CaseOrDefaultClause, isLast: boolean): tree.Statement[] {
  const only = clause.statements.length === 1 ? clause.statements[0] : undefined;
  const statements = [...(only !== undefined && ts.isBlock(only) ? only.statements : clause.statements)];
  const last = statements.at(-1);
  if (last !== undefined && ts.isBreakStatement(last)) statements.pop();
  else if (
    !isLast &&
    (last === undefined ||
      !(ts.isReturnStatement(last) || ts.isThrowStatement(last) || ts.isContinueStatement(last)))
  ) {
    c.fail(clause, 'a case must end with break, return or throw in a scripted function');
  }
  for (const statement of statements) forbidBreak(c, statement);
  return c.inScope(() => convertStatements(c, statements));
}

/** A break that is not the last statement would leave the switch from inside. */
function forbidBreak(c: Converter, node: TS.Node): void {
  if (ts.isBreakStatement(node)) c.fail(node, "'break' may only end a case in a scripted function");
  const isLoop =
    ts.isIterationStatement(node, false) || ts.isSwitchStatement(node) || ts.isFunctionLike(node);
  if (!isLoop) ts.forEachChild(node, (child) => forbidBreak(c, child));
}
