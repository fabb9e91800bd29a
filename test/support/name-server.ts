import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { promises as dns } from 'node:dns';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { makeOwned, serverUser } from './postgres.ts';

const LOOK_MS = 20;

export interface TestKey {
  name: string;
  algorithm: 'hmac-sha256' | 'hmac-sha512';
  /** Base64. */
  secret: string;
}

/** May do everything; may read only, by the other algorithm. */
export const KEY: TestKey = {
  name: 'lifeboat',
  algorithm: 'hmac-sha256',
  secret: 'bGlmZWJvYXQgdGVzdCBrZXkgb2YgMzIgYnl0ZXMgISE=',
};
export const READER: TestKey = {
  name: 'reader',
  algorithm: 'hmac-sha512',
  secret: 'cmVhZGVyIHRlc3Qga2V5IG9mIG1hbnkgYnl0ZXMgMDAwMDAwMDA=',
};

export const ZONE = 'lifeboat.test';
/** A zone that nobody may update, with names that may be remembered for an hour. */
export const CLOSED_ZONE = 'closed.test';
/** Seconds. */
export const TTL = 2;

/** A real name server with the zones above, and a real resolver that asks it and remembers what it says. */
export interface NameServer extends AsyncDisposable {
  port: number;
  resolverPort: number;
  /** What a program of others finds there. */
  ask: dns.Resolver;
  /** Lines of the server's log of updates. */
  updates(): Promise<string[]>;
}

/** Names of the zone: a1 ... a40 lead to 10.0.0.7, s1 ... s20 by SRV to db7:5432, c1 ... c4 by CNAME to db7, v1 ... v4 to fd00::7. */
const NAMES = [
  { start: 'a', count: 40, record: 'A 10.0.0.7' },
  { start: 's', count: 20, record: `SRV 0 0 5432 db7.${ZONE}.` },
  { start: 'c', count: 4, record: `CNAME db7.${ZONE}.` },
  { start: 'v', count: 4, record: 'AAAA fd00::7' },
];

function zoneText(
  zone: string,
  lines: readonly string[],
  { ttl, negative }: { ttl: number; negative: number },
): string {
  const soa = `@ ${negative} SOA ns.${zone}. admin\\.of.${zone}. 1 3600 600 86400 ${negative}`;
  return [`$TTL ${ttl}`, `$ORIGIN ${zone}.`, soa, '@ NS ns', 'ns A 127.0.0.1', ...lines, ''].join('\n');
}

function openZone(): string {
  const names = NAMES.flatMap(({ start, count, record }) =>
    Array.from({ length: count }, (_, index) => `${start}${index + 1} ${record}`),
  );
  const more = ['db7 A 10.0.0.7', 'db9 A 10.0.0.9', 'two A 10.0.0.7', 'two A 10.0.0.8', 'taken A 10.0.0.7'];
  const foreign = ['_lifeboat.taken TXT "v=spf1 -all"', 'ranks SRV 0 0 5432 db7', 'ranks SRV 9 0 5432 db9'];
  return zoneText(ZONE, [...names, ...more, ...foreign], { ttl: TTL, negative: 1 });
}

const TIMES = 5;

/** In a folder of the server user's; see `withServerDir`. Somebody else may take a port that was free: then on others. */
export async function startNameServer(parent: string): Promise<NameServer> {
  for (let time = 1; ; time++) {
    const dir = join(parent, `dns-${time}`);
    await makeOwned(dir);
    try {
      return await startIn(dir);
    } catch (error) {
      if (time === TIMES) throw error;
    }
  }
}

async function startIn(dir: string): Promise<NameServer> {
  const { named } = await ensureTools(['named'], { log: () => undefined });
  const [port, resolverPort] = [await freePort(), await freePort()];
  const [primary, resolver] = [join(dir, 'primary'), join(dir, 'resolver')];
  for (const folder of [primary, resolver]) await makeOwned(folder);
  await writeFile(join(primary, 'open.db'), openZone());
  await writeFile(join(primary, 'closed.db'), zoneText(CLOSED_ZONE, ['db A 10.0.0.7'], { ttl: 3600, negative: 3600 }));
  await writeFile(join(primary, 'named.conf'), primaryConf(primary, port));
  await writeFile(join(resolver, 'named.conf'), resolverConf(resolver, { port: resolverPort, primary: port }));
  const servers = [await start(named, primary), await start(named, resolver)];
  const stop = (): Promise<unknown> => Promise.all(servers.map(({ end }) => end()));
  try {
    await Promise.all([answers(port, servers[0]), answers(resolverPort, servers[1])]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ port, resolverPort, ask: resolverAt(port) },
    updates: async () =>
      (await readFile(join(primary, 'update.log'), 'utf8').catch(() => '')).split('\n').filter(Boolean),
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

function optionsText(dir: string, port: number, more: string): string {
  return `options {
  directory "${dir}"; session-keyfile "${dir}/session.key"; pid-file none;
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  dnssec-validation no; empty-zones-enable no; notify no; ${more}
};
controls { };
`;
}

function primaryConf(dir: string, port: number): string {
  const keys = [KEY, READER].map(
    ({ name, algorithm, secret }) => `key "${name}" { algorithm ${algorithm}; secret "${secret}"; };`,
  );
  return `${optionsText(dir, port, 'recursion no;')}${keys.join('\n')}
logging {
  channel updates { file "${dir}/update.log"; severity info; };
  channel said { stderr; severity info; };
  category default { said; };
  category update { updates; };
};
zone "${ZONE}" { type primary; file "open.db"; update-policy { grant ${KEY.name} zonesub ANY; }; };
zone "${CLOSED_ZONE}" { type primary; file "closed.db"; };
`;
}

function resolverConf(dir: string, { port, primary }: { port: number; primary: number }): string {
  const forward = `recursion yes; allow-recursion { any; }; forward only; forwarders { 127.0.0.1 port ${primary}; };`;
  return optionsText(dir, port, forward);
}

interface Started {
  child: ChildProcess;
  said(): string;
  end(): Promise<void>;
}

async function start(named: string, dir: string): Promise<Started> {
  const { uid, gid } = serverUser();
  const as = uid !== undefined && gid !== undefined ? { uid, gid } : {};
  const args = ['-f', '-n', '1', '-c', join(dir, 'named.conf')];
  const child = spawn(named, args, { ...as, cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exited = once(child, 'exit');
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return { child, said: () => said, end };
}

async function answers(port: number, server: Started | undefined): Promise<void> {
  const resolver = resolverAt(port);
  for (;;) {
    // It goes on without an address that it cannot have.
    const isDeaf = server?.said().includes('address in use') === true;
    if (server && (server.child.exitCode !== null || server.child.signalCode !== null || isDeaf))
      throw new Error(`named does not serve: ${server.said()}`);
    const found = await resolver.resolveSoa(ZONE).catch(() => undefined);
    if (found) return;
    await sleep(LOOK_MS);
  }
}

export function resolverAt(port: number): dns.Resolver {
  const resolver = new dns.Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver;
}
