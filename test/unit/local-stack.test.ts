import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { localStack, parseStack } from '../../workers/dev/stack/compose-file.ts';
import { isFailure } from '../../workflows/model/failure.ts';

const text = readFileSync(new URL('../../temporal-dev.yml', import.meta.url), 'utf8');

test('the local stack is what the compose file says', () => {
  const { temporal, postgres } = localStack();
  assert.match(text, new RegExp(`image: temporalio/temporal:${temporal.version}\n`));
  assert.match(text, new RegExp(`127.0.0.1:${temporal.port}:7233.*127.0.0.1:${temporal.uiPort}:8233`));
  assert.ok(temporal.searchAttributes.includes('LifeboatDrill=Bool'));
  assert.equal(text.split('--search-attribute=').length - 1, temporal.searchAttributes.length);
  assert.match(text, new RegExp(`image: postgres:${postgres.major}\n`));
  assert.equal(postgres.settings['wal_level'], 'replica');
  assert.equal(postgres.settings['hba_file'], undefined);
  assert.match(postgres.hba, /^host replication all all scram-sha-256$/m);
});

test('a change of the file is a change of the stack', () => {
  const changed = text
    .replace('127.0.0.1:55432:5432', '127.0.0.1:6000:5432')
    .replace('max_wal_senders=10', 'max_wal_senders=3');
  const { postgres } = parseStack(changed, 'here');
  assert.deepEqual([postgres.port, postgres.settings['max_wal_senders']], [6000, '3']);
});

test('an edit that takes away what the stack needs is refused with its place', () => {
  for (const [from, to] of [
    ['127.0.0.1:55432:5432', '127.0.0.1:55432:5433'],
    ['- --ui-port=8233\n', ''],
    ['temporalio/temporal:1.9.1', 'temporalio/temporal:latest'],
    ['POSTGRES_PASSWORD', 'PASSWORD'],
  ] as const) {
    assert.throws(
      () => parseStack(text.replace(from, to), 'here.yml'),
      (error: Error) => isFailure(error, 'ConfigInvalid') && JSON.stringify(error).includes('here.yml'),
      from,
    );
  }
});
