import assert from 'node:assert/strict';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { RescueResult } from '../../workflows/model/rescue.ts';
import type { Tell } from './system-stories.ts';
import { survive } from './system-survival.ts';
import { approveAll } from './system-take-over.ts';
import { shippedTo } from './system-vault.ts';
import type { System, Tenant } from './system.ts';
import { recoveredIn } from './system.ts';

const SOURCE = 'shop';

/** A table with rows, and a note of every row that is ever inserted. */
async function makeTable({ server, vault }: System, name: string): Promise<{ lsn: string }> {
  await server.sql(`create table ${name} (id int primary key, body text); create table ${name}_noted (id int)`);
  await server.sql(`insert into ${name} select g, md5(g::text) from generate_series(1, 300) g`);
  await server.sql(
    `create function ${name}_note() returns trigger language plpgsql as
       'begin insert into public.${name}_noted values (new.id); return null; end';
     create trigger noted after insert on ${name} for each row execute function ${name}_note()`,
  );
  const [row] = await server.sql('select pg_current_wal_lsn()::text as lsn');
  const lsn = String(row?.['lsn']);
  await server.sql(`delete from ${name} where id % 3 = 0`);
  const [end] = await server.sql('select pg_current_wal_insert_lsn()::text as lsn');
  await shippedTo(vault, SOURCE, String(end?.['lsn']));
  return { lsn };
}

async function countIn({ server }: System, query: string, database?: string): Promise<number> {
  return Number(Object.values((await server.sql(query, database))[0] ?? {})[0]);
}

function tenantFor(system: System, activity: string): Promise<Tenant> {
  return system.tenant({ name: activity.toLowerCase(), source: SOURCE });
}

/** Every row comes back, each once, whatever died on the way; no copy stays. */
export async function duringRescue(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const { system } = stage;
  const tenant = await tenantFor(system, activity);
  const name = `rescued_${activity.toLowerCase()}`;
  const { lsn } = await makeTable(system, name);
  const order = {
    ...{ source: SOURCE, by: 'anna', onlyDatabase: 'postgres', tables: [name] },
    target: { kind: 'lsn', lsn, inclusive: true },
  };
  const id = `${workflowId.rescue(SOURCE)}/${activity}`;
  const { handle, result } = await tenant.start<RescueResult>('rescue', order, id);
  const approving = approveAll(handle, 'ben', result);
  await survive(tenant, deaths, result);
  const { rescued, cleaned, difference } = await result;
  await approving;
  assert.deepEqual(rescued?.tables, [{ table: `public.${name}`, inserted: 100, overwritten: 0 }]);
  assert.equal(difference.inserts, 100);
  assert.equal(await countIn(system, `select count(*) from ${name}`), 300);
  assert.equal(await countIn(system, `select count(*) from ${name}_noted`), 100);
  assert.equal(cleaned, true);
  assert.deepEqual(await recoveredIn(tenant), []);
}

/** The database is there under its new name, whole, and nothing stands beside it. */
export async function duringBringOver(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const { system } = stage;
  const tenant = await tenantFor(system, activity);
  const { lsn } = await makeTable(system, 'brought');
  const order = {
    ...{ source: SOURCE, onlyDatabase: 'postgres', intoDatabase: 'brought_back' },
    target: { kind: 'lsn', lsn, inclusive: true },
  };
  const id = `${workflowId.restore(SOURCE)}/${activity}`;
  const { result } = await tenant.start<RestoreResult>('restore', order, id);
  await survive(tenant, deaths, result);
  const { brought } = await result;
  assert.equal(brought?.database, 'brought_back');
  assert.ok(brought.checks.every(({ ok }) => ok) && brought.rows >= 300);
  assert.equal(await countIn(system, 'select count(*) from brought', 'brought_back'), 300);
  assert.equal(await countIn(system, `select count(*) from pg_database where datname like 'lifeboat\\_%'`), 0);
  assert.deepEqual(await recoveredIn(tenant), []);
}
