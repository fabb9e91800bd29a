import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PortedCase } from './cases/case.ts';
import { OTHER_TOOLS } from './cases/other-tools.ts';
import { POSTGRES_RECOVERY } from './cases/postgres-recovery.ts';
import { POSTGRES_TOOLS } from './cases/postgres-tools.ts';

const TESTS = join(import.meta.dirname, '..');

/** Titles as they stand in the file; of a generated one, the text around what is filled in. */
function titlesIn(file: string): string[] {
  const source = readFileSync(join(TESTS, `${file}.test.ts`), 'utf8');
  const found = source.matchAll(/\b(?:(?:test|it)\(|title:)\s*(['"`])((?:\\.|(?!\1).)*)\1/gs);
  return [...found].map(([, , title = '']) => title.replaceAll(/\\(.)/g, '$1'));
}

function isChecked({ where }: PortedCase): boolean {
  const [file = '', title = ''] = [where.slice(0, where.indexOf(': ')), where.slice(where.indexOf(': ') + 2)];
  return existsSync(join(TESTS, `${file}.test.ts`)) && titlesIn(file).some((each) => each.includes(title));
}

test('each ported case names a test that is there', () => {
  const lines = [...POSTGRES_RECOVERY, ...POSTGRES_TOOLS, ...OTHER_TOOLS];
  assert.deepEqual(
    lines.filter((line) => !isChecked(line)).map(({ from, where }) => `${from}: ${where}`),
    [],
  );
  const known = lines.map(({ from, checks, where }) => `${from}|${checks}|${where}`);
  assert.equal(new Set(known).size, known.length, 'a case stands there twice');
});

test('a case whose test was renamed or removed is seen', () => {
  const [line] = POSTGRES_RECOVERY;
  assert.ok(line && isChecked(line));
  assert.ok(!isChecked({ ...line, where: `${line.where} by nobody` }));
  assert.ok(!isChecked({ ...line, where: 'integration/no-such-file: anything' }));
});
