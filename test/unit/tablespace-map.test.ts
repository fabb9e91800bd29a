import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkTablespaces, oidsOf } from '../../activities/sources/postgres/backup/local/tablespaces.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';

test('a path in tablespace_map may hold escaped line ends and backslashes', () => {
  assert.deepEqual(oidsOf(''), []);
  assert.deepEqual(oidsOf('16385 /a\\\n7 b\n16386 /c\\\\\n16387 /d e\n'), ['16385', '16386', '16387']);
});

test('a tablespace that the server names and that was not read fails the backup', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lifeboat-map-'));
  try {
    const base = { id: 'base', root, files: [], strange: [], vanished: false };
    assert.deepEqual([...(await checkTablespaces(root, '', [base]))], []);
    await assert.rejects(checkTablespaces(root, '16385 /srv/a\n', [base]), (error) => {
      assert.equal(failureTypeOf(error), 'Integrity');
      assert.match(String(error), /tablespace 16385.*run it again/);
      return true;
    });
  } finally {
    await rm(root, { recursive: true });
  }
});
