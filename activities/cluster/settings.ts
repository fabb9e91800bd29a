import { failure } from '../../workflows/model/failure.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import { quoteLiteral } from '../io/postgres/identifier.ts';
import { resolveSecret } from '../io/secret.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';

/** Settings of ours: the names are fixed, so that they need no quotes. */
export type OwnSetting =
  'primary_conninfo' | 'primary_slot_name' | 'default_transaction_read_only' | 'synchronous_standby_names';

/** Into postgresql.auto.conf, whole or not at all; in force after a reload, or where it needs that a start. */
export async function setSetting(sql: SqlClient, name: OwnSetting, value: string | undefined): Promise<void> {
  if (value === undefined) await query(sql, `alter system reset ${name}`);
  else await query(sql, `alter system set ${name} = ${quoteLiteral(value)}`);
}

export async function reload(sql: SqlClient): Promise<void> {
  await query(sql, 'select pg_reload_conf()');
}

const POLL_MS = 20;
const RELOAD_MS = 10_000;

/** Waits until sessions that begin now have the value: the reload of a server is nothing that it waits for itself. */
export async function untilInForce(use: NodeUse, name: OwnSetting, value: string): Promise<void> {
  const { run } = use;
  const deadline = run.clock.nowMs() + RELOAD_MS;
  for (;;) {
    const found = await withNode(use, (sql) => settingOf(sql, name), { settings: {} });
    if (found === value) return;
    if (run.clock.nowMs() > deadline) throw notInForce(use, { name, value, found });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

async function settingOf(sql: SqlClient, name: OwnSetting): Promise<string | undefined> {
  const [row] = await query<{ setting: string }>(sql, 'select setting from pg_settings where name = $1', [name]);
  return row?.setting;
}

function notInForce(
  { name: node }: NodeUse,
  { name, value, found }: { name: string; value: string; found: string | undefined },
): Error {
  return failure('Precondition', `${node} does not take ${name}`, {
    place: `${name} of ${node}`,
    expected: value === '' ? 'empty' : value,
    found: found ?? 'unknown',
    hint: `see pg_settings of ${node}: its command line, a role or a database may set it`,
  });
}

/** How `standby` reaches its primary, as primary_conninfo takes it (manual 32.1.1). */
export function conninfoOf({ cluster, name: standby }: Pick<NodeUse, 'cluster' | 'name'>, primary: string): string {
  const node = cluster.nodes[primary];
  if (!node) throw failure('Bug', `no node ${primary}`);
  const { user, password } = cluster.replication;
  const fields = {
    ...{ host: node.address, port: String(node.port), user, application_name: standby },
    ...{ connect_timeout: '5', keepalives_idle: '10', keepalives_interval: '5', keepalives_count: '3' },
    ...(cluster.connection.tls ? { sslmode: cluster.connection.tls.mode } : {}),
    ...(password ? { password: resolveSecret(password, 'cluster.replication.password').reveal() } : {}),
  };
  return Object.entries(fields)
    .map(([key, value]) => `${key}='${value.replaceAll(/['\\]/g, '\\$&')}'`)
    .join(' ');
}
