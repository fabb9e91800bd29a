import { lookup } from 'node:dns/promises';
import { findFailure } from '../../../workflows/model/failure.ts';
import type { Confirmation, Traffic } from '../../../workflows/model/traffic.ts';
import { addressText, describeTraffic, parseAddress, sameTraffic } from '../../../workflows/model/traffic.ts';
import { query, withConnection } from '../../io/postgres/connection.ts';
import type { Run } from '../../io/run.ts';
import type { Use } from './options.ts';
import { throughServer } from './options.ts';
import { isWhole, look } from './state.ts';

/** Led elsewhere: which server answers a query through the pooler. Stopped: no connection to any server is left. */
export async function confirm(use: Use, to: Traffic, run: Run): Promise<Confirmation> {
  const { served, live, entries } = await look(use, run);
  if (!sameTraffic(served, to)) return { ok: false, found: describeTraffic(served) };
  const [only] = Object.keys(to);
  if (only === undefined) {
    const waiting = live.reduce((sum, each) => sum + each.waiting, 0);
    const found = `stopped: no connection to a server, ${waiting} ${waiting === 1 ? 'client waits' : 'clients wait'}`;
    return { ok: isWhole({ served, targets: entries.targets }, to), found };
  }
  const answers = await Promise.all(
    use.options.databases.map((database) => askWho(use, { database, wanted: only }, run)),
  );
  const bad = answers.find(({ ok }) => !ok);
  return bad ? { ok: false, found: bad.found } : { ok: true, found: answers.map(({ found }) => found).join('; ') };
}

interface Answerer extends Record<string, unknown> {
  host: string | null;
  port: number | null;
}

/** `error`: nobody answered. */
export interface Answer extends Confirmation {
  error?: unknown;
}

export async function askWho(use: Use, who: { database: string; wanted: string }, run: Run): Promise<Answer> {
  const { database, wanted } = who;
  const mode = { pooler: true, statementTimeoutMs: use.options.timeout, signal: run.signal };
  try {
    const [row] = await withConnection(throughServer(use, database), mode, (client) =>
      query<Answerer>(
        client,
        'select pg_catalog.host(pg_catalog.inet_server_addr()) as host, pg_catalog.inet_server_port() as port',
      ),
    );
    const found = row?.host && row.port ? addressText({ host: row.host, port: row.port }) : 'a server on a socket';
    return { ok: await isAt(row, wanted), found: `${database} is answered by ${found}` };
  } catch (error) {
    run.signal.throwIfAborted();
    const known = findFailure(error);
    if (!known) throw error;
    return { ok: false, found: `${database}: ${known.message}`, error };
  }
}

/** A server says its address, where we may have its name. */
async function isAt(row: Answerer | undefined, wanted: string): Promise<boolean> {
  const address = parseAddress(wanted);
  if (!address) return false;
  if (row === undefined || row.host === null) return address.host.startsWith('/');
  if (row.port !== address.port) return false;
  const all = await lookup(address.host, { all: true }).catch(() => []);
  return all.some((each) => each.address === row.host);
}
