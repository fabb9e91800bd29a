import assert from 'node:assert/strict';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { Certificate } from '../support/certificate.ts';
import { selfSigned } from '../support/certificate.ts';
import { memorySink } from '../support/folder-sink.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { serverUser, withPostgres } from '../support/postgres.ts';
import { withTempDir } from '../support/temp-dir.ts';

async function present(server: TestPostgres, { cert, key }: Certificate): Promise<void> {
  const { uid, gid } = serverUser();
  for (const [name, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    const path = join(server.dataDir, name);
    await writeFile(path, text, { mode: 0o600 });
    if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
  }
  await server.sql('alter system set ssl = on');
  await server.stop();
  await server.start();
}

function backup(server: TestPostgres, tls: object): Promise<unknown> {
  const options = postgresSchema.parse({ connection: { ...server.connection, tls } });
  return takeBackup(options, { out: memorySink(), backup: { checkpoint: 'fast', label: 'test' }, run: plainRun() });
}

interface Case {
  name: string;
  shown: Certificate;
  /** What `ca` names: absent = not set; undefined = a file that is not there. */
  ca?: string | undefined;
  type: string;
  hint: RegExp;
}

const OURS = selfSigned('127.0.0.1');
const STRANGER = selfSigned('127.0.0.1');
const ELSEWHERE = selfSigned('localhost');
const EXPIRED = selfSigned('127.0.0.1', '20210101000000Z');

const cases: Case[] = [
  { name: 'nobody we know signed it', shown: OURS, type: 'Denied', hint: /connection\.tls\.ca/ },
  { name: 'somebody else signed it', shown: OURS, ca: STRANGER.cert, type: 'Denied', hint: /connection\.tls\.ca/ },
  { name: 'it is of another name', shown: ELSEWHERE, ca: ELSEWHERE.cert, type: 'Denied', hint: /connection\.host/ },
  { name: 'it is too old', shown: EXPIRED, ca: EXPIRED.cert, type: 'Denied', hint: /ssl_cert_file.*connection\.tls/ },
  { name: 'ca is no certificate', shown: OURS, ca: 'hello', type: 'Denied', hint: /connection\.tls\.ca/ },
  { name: 'ca is not there', shown: OURS, ca: undefined, type: 'NotFound', hint: /connection\.tls\.ca/ },
];

test('a certificate that does not fit is refused with the setting to change', async (t) => {
  await withPostgres({ version: 18 }, async (server) => {
    await withTempDir(async (dir) => {
      for (const { name, shown, type, hint, ...given } of cases) {
        await t.test(name, async () => {
          await present(server, shown);
          const ca = join(dir, `${name}.pem`);
          if (given.ca !== undefined) await writeFile(ca, given.ca);
          const tls = { mode: 'verify-full', ...('ca' in given ? { ca } : {}) };
          await assert.rejects(backup(server, tls), (error) => {
            assert.equal(failureTypeOf(error), type, String(error));
            assert.match(failureFacts(error).hint ?? '', hint);
            return true;
          });
        });
      }
      await t.test('one that fits is taken', async () => {
        await present(server, OURS);
        await writeFile(join(dir, 'ours.pem'), OURS.cert);
        await backup(server, { mode: 'verify-full', ca: join(dir, 'ours.pem') });
      });
    });
  });
});
