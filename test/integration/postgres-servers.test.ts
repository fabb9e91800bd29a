import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { chooseServer } from '../../activities/io/postgres/choose-server.ts';
import { connectionSchema } from '../../activities/io/postgres/options.ts';
import { plainRun } from '../../activities/io/run.ts';
import { checkSource } from '../../activities/sources/postgres/check-servers.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import type { CheckWants, SourceCheck } from '../../activities/sources/source.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { ServerWish } from '../../workflows/model/server-role.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { withPostgres } from '../support/postgres.ts';
import { withStandby } from '../support/standby.ts';

const at = (port: number): string => `127.0.0.1:${port}`;
const connectionTo = (ports: number[]): { host: string[]; user: string } => ({ host: ports.map(at), user: 'postgres' });

async function chosen(ports: number[], want?: ServerWish): Promise<string> {
  try {
    const options = connectionSchema.parse(connectionTo(ports));
    const { place, role } = await chooseServer(options, { signal: plainRun().signal, want });
    return `${place} ${role ?? 'unasked'}`;
  } catch (error) {
    return `${failureTypeOf(error)}: ${findFailure(error)?.message}`;
  }
}

async function checks(ports: number[], wants: CheckWants): Promise<Map<string, SourceCheck>> {
  const options = postgresSchema.parse({ connection: connectionTo(ports) });
  return new Map((await checkSource(options, plainRun(), wants)).map((check) => [check.name, check]));
}

const stopping = (found: Map<string, SourceCheck>): string[] =>
  [...found.values()].filter((check) => !check.ok && !check.backupGoesOn).map((check) => check.name);

interface World {
  primary: TestPostgres;
  standby: TestPostgres;
  nobody: number;
}

async function withWorld(use: (world: World) => Promise<void>): Promise<void> {
  await withPostgres({ version: 15 }, (primary) =>
    withStandby(primary, {}, async (standby) => use({ primary, standby, nobody: await freePort() })),
  );
}

test('of several servers the one that fits is used, and what answers is checked', async (t) => {
  await withWorld(async (world) => {
    await choices(t, world);
    await doctor(t, world);
    await promoted(t, world);
  });
});

async function choices(t: TestContext, { primary, standby, nobody }: World): Promise<void> {
  const [p, s] = [primary.port, standby.port];
  await t.test('the role decides, then the order', async () => {
    const rows: [number[], ServerWish | undefined, string][] = [
      [[s, p], undefined, `${at(p)} primary`],
      [[s, p], 'primary', `${at(p)} primary`],
      [[nobody, p, s], 'standby', `${at(s)} standby`],
      [[p, s], 'prefer-standby', `${at(s)} standby`],
      [[p, nobody], 'prefer-standby', `${at(p)} primary`],
      [[s, nobody], undefined, `${at(s)} standby`],
      [[s], undefined, `${at(s)} unasked`],
    ];
    for (const [ports, want, expected] of rows) assert.equal(await chosen(ports, want), expected);
  });

  await t.test('none fits: what each answered; tried again only while one is silent', async () => {
    assert.match(
      await chosen([p], 'standby'),
      /^Precondition: no standby among.*is a primary on timeline 1 .*backup.from/,
    );
    assert.match(await chosen([s], 'primary'), /^Precondition: no primary among.*is a standby on timeline 1/);
    assert.match(
      await chosen([s, nobody], 'primary'),
      /^Unavailable: no primary among.*standby.*; 127[^;]*ECONNREFUSED/,
    );
  });

  await t.test('servers of two clusters are refused', async () => {
    await withPostgres({ version: 15 }, async (stranger) => {
      const message = await chosen([p, stranger.port]);
      assert.match(message, /^Precondition: connection.host names servers of different clusters/);
    });
  });
}

async function doctor(t: TestContext, { primary, standby, nobody }: World): Promise<void> {
  const [p, s] = [primary.port, standby.port];
  await t.test('the doctor tries every server; one that is away keeps no backup from being taken', async () => {
    const found = await checks([p, s, nobody], { every: true, from: { backup: 'prefer-standby' } });
    assert.equal(found.get('backups from')?.found, `${at(s)}, the standby`);
    assert.equal(found.get('WAL from')?.found, `${at(p)}, the primary`);
    for (const port of [p, s]) assert.equal(found.get(`replication connection at ${at(port)}`)?.ok, true);
    assert.equal(found.get(`connection at ${at(nobody)}`)?.ok, false);
    assert.equal(found.get('servers')?.ok, false);
    assert.deepEqual(stopping(found), []);
  });

  await t.test('no server of the role that is wanted: the backup is refused', async () => {
    const found = await checks([p, p], { from: { backup: 'standby' } });
    assert.deepEqual(stopping(found), ['backups from']);
    assert.match(found.get('backups from')?.hint ?? '', /backup.from: prefer-standby or primary/);
  });
}

/** A primary that was failed over from and came up again, with the same system identifier. */
async function promoted(t: TestContext, { primary, standby }: World): Promise<void> {
  await t.test('two primaries: the one on the newer timeline, whatever their order', async () => {
    await standby.sql('select pg_promote()');
    for (const ports of [
      [primary.port, standby.port],
      [standby.port, primary.port],
    ])
      assert.equal(await chosen(ports, 'primary'), `${at(standby.port)} primary`);
    assert.match(await chosen([primary.port, standby.port], 'standby'), /^Precondition: no standby/);
  });
}

test('a server that lets nobody in is told with its own hint', async () => {
  await withPostgres({ version: 15, hba: 'local all all trust\n' }, async (server) => {
    const options = connectionSchema.parse({ host: [at(server.port), at(server.port)], user: 'postgres' });
    await assert.rejects(chooseServer(options, { signal: plainRun().signal }), (error) => {
      assert.equal(failureTypeOf(error), 'Denied', String(error));
      assert.match(failureFacts(error).hint ?? '', /pg_hba\.conf/);
      return true;
    });
  });
});
