import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import type { Isolation } from '../../workflows/model/failover-drill.ts';
import type { Check } from '../../workflows/model/recovery.ts';
import { addressText } from '../../workflows/model/traffic.ts';
import { query } from '../io/postgres/connection.ts';
import { quoteLiteral } from '../io/postgres/identifier.ts';
import { runCommand } from '../io/run-command.ts';
import { clonePlace, cloneUse } from './clone.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, withNode } from './node.ts';
import { reload, setSetting } from './settings.ts';

const POLL_MS = 20;
const RELOAD_MS = 10_000;

/** Tries, as the clone, what it must not be able to do. What is not ok means that it can. `network`: its namespace, or why it has none. */
export async function proveIsolation(use: NodeUse, network: string | { why: string }): Promise<Isolation> {
  const checks = [await itself(use), await follows(use)];
  if (typeof network !== 'string') {
    const found = `that of its host: ${network.why}`;
    const ok = use.cluster.drill.isolation !== 'namespace';
    const none: Check = { name: 'network', ok, expected: 'one of its own, where one can be made', found };
    return { by: 'settings', checks: [...checks, none] };
  }
  return { by: 'namespace', namespace: network, checks: [...checks, ...(await reaches(use))] };
}

/** It is the clone that answers, with no address and no archive. */
function itself(use: NodeUse): Promise<Check> {
  const { data } = clonePlace(use.node);
  return withNode(cloneUse(use), async (sql) => {
    const [row] = await query<{ data: string; listens: string; archives: string }>(
      sql,
      `select current_setting('data_directory') as data, current_setting('listen_addresses') as listens,
              current_setting('archive_mode') as archives`,
    );
    const found = `${row?.data}, listens on "${row?.listens}", archive_mode ${row?.archives}`;
    const ok = row?.data === data && row.listens === '' && row.archives === 'off';
    return { name: 'no address and no archive', ok, expected: `${data}, listens on "", archive_mode off`, found };
  });
}

/** It is told to follow another node, and does not: what was given to it on its command line stands. */
async function follows(use: NodeUse): Promise<Check> {
  const clone = cloneUse(use);
  const { cluster, name, run } = use;
  const [other] = Object.entries(cluster.nodes).filter(([each]) => each !== name);
  if (!other) throw failure('Bug', 'a cluster of one node');
  const [peer, { address, port }] = other;
  const field = (text: string): string => text.replaceAll(/['\\]/g, '\\$&');
  const conninfo = `host='${field(address)}' port='${port}' user='${field(cluster.replication.user)}' application_name='lifeboat-drill'`;
  const loaded = (): Promise<string> =>
    withNode(clone, async (sql) => {
      const [row] = await query<{ at: string }>(sql, 'select pg_conf_load_time()::text as at');
      return row?.at ?? '';
    });
  const before = await loaded();
  await withNode(clone, async (sql) => {
    await setSetting(sql, 'primary_conninfo', conninfo);
    await reload(sql);
  });
  const deadline = run.clock.nowMs() + RELOAD_MS;
  while ((await loaded()) === before && run.clock.nowMs() < deadline) await run.clock.sleep(POLL_MS, run.signal);
  return withNode(clone, async (sql) => {
    const [row] = await query<{ set: string; receivers: number }>(
      sql,
      `select current_setting('primary_conninfo') as set, (select count(*) from pg_stat_wal_receiver)::int as receivers`,
    );
    await setSetting(sql, 'primary_conninfo', undefined);
    const ok = row?.set === '' && row.receivers === 0;
    const found = ok ? 'told to, and does not' : `primary_conninfo ${row?.set === '' ? 'empty' : 'taken'}, receivers ${row?.receivers}`; // prettier-ignore
    return { name: `does not follow ${peer}`, ok, expected: 'told to, and does not', found };
  });
}

/** By pg_isready: 0 and 1 are an answer of a server, 2 is none (manual, pg_isready, "Exit Status"). */
const ANSWERS: readonly (number | undefined)[] = [0, 1];
const SILENT = 2;
const WAIT_S = 3;

/** The clone itself tries to reach each server; that it cannot counts where the worker, beside it, can. */
async function reaches(use: NodeUse): Promise<Check[]> {
  const program = join(await binariesOf(use), 'pg_isready');
  const tried = await Promise.all(
    Object.entries(use.cluster.nodes).map(async ([name, { address, port }]) => {
      const args = ['-h', address, '-p', String(port), '-t', String(WAIT_S)];
      const { code } = await runCommand(program, args, { signal: use.run.signal });
      return { name, at: addressText({ host: address, port }), args, outside: ANSWERS.includes(code) };
    }),
  );
  const checks: Check[] = [];
  for (const { name, at, args, outside } of tried) {
    const inside = await fromInside(use, [program, ...args]);
    const found = `the clone: exit ${inside}; the worker: ${outside ? 'reached' : 'not reached'}`;
    checks.push({ name: `cannot reach ${name}`, ok: inside === SILENT, expected: `no answer at ${at}`, found });
  }
  const shown = tried.filter(({ outside }) => outside).length;
  const expected = 'a server that the worker reaches and the clone does not';
  return [...checks, { name: 'the attempts count', ok: shown > 0, expected, found: `reached by the worker: ${shown}` }];
}

/** Run by the server itself (manual, COPY, "PROGRAM"), which leaves the exit code in its folder. */
async function fromInside(use: NodeUse, command: readonly string[]): Promise<number> {
  const path = join(clonePlace(use.node).folder, 'reach');
  const shell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const line = `cat >/dev/null; ${command.map(shell).join(' ')} >/dev/null 2>&1; echo $? >${shell(path)}`;
  await withNode(cloneUse(use), (sql) => query(sql, `copy (select 1) to program ${quoteLiteral(line)}`));
  return Number((await readFile(path, 'utf8')).trim());
}
