import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { serverUser } from './postgres.ts';

const exec = promisify(execFile);

/** Three places of servers and observers, and the test itself, where clients and Temporal are. */
const SITES = ['east', 'west', 'office', 'root'] as const;
export type SiteName = (typeof SITES)[number];

/** Whose packets get lost on their way, in one direction. */
export interface Cut {
  from: SiteName;
  /** Absent: to everybody. */
  to?: SiteName;
  /** Only what comes from this TCP port. */
  port?: number;
}

/**
 * Sites as network namespaces around a router of their own, which drops without a word what is cut: nobody's link goes down, and nobody is told.
 */
export interface NetworkSites extends AsyncDisposable {
  address(site: SiteName): string;
  /** Words before a program that runs there; `as`: the server user. */
  enter(site: SiteName, as?: 'server'): string[];
  cut(...cuts: Cut[]): Promise<void>;
  mend(...cuts: Cut[]): Promise<void>;
  /** The same as a command of a shell. */
  cutCommand(cut: Cut): string;
}

/** Of namespaces; the number is that of the process that made them. */
const PREFIX = 'lifeboat-t';
const FOLDER = '/run/netns';

/** Why there can be none here; undefined: there can. */
export function noNamespaces(): string | undefined {
  const name = `${PREFIX}${process.pid}-try`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.error) return 'there is no program "ip" (iproute2) here';
  if (made.status !== 0) return `network namespaces are not permitted here: ${made.stderr.trim()}`;
  const ruled = spawnSync('ip', ['-n', name, 'rule', 'add', 'from', '10.0.0.1', 'ipproto', 'tcp', 'sport', '1', 'blackhole'], { encoding: 'utf8' }); // prettier-ignore
  spawnSync('ip', ['netns', 'del', name]);
  return ruled.status === 0 ? undefined : `the kernel has no policy routing: ${ruled.stderr.trim()}`;
}

/** Everything is gone afterwards; fails when a program was left in one of them. */
export async function networkSites(): Promise<NetworkSites> {
  await removeAbandoned();
  const net = networkOf(process.pid);
  try {
    await build(net);
  } catch (error) {
    await remove(net);
    throw error;
  }
  const { uid = 0, gid = 0 } = serverUser();
  const rule = (verb: string, { from, to, port }: Cut): string[] => [
    ...['-n', net.hub, 'rule', verb, 'from', net.address(from), ...(to ? ['to', net.address(to)] : [])],
    ...[...(port === undefined ? [] : ['ipproto', 'tcp', 'sport', String(port)]), 'blackhole'],
  ];
  return {
    address: net.address,
    enter: (site, as) => [
      ...(site === 'root' ? [] : ['nsenter', `--net=${FOLDER}/${net.space(site)}`]),
      ...(as && uid > 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : []),
    ],
    cut: async (...cuts) => {
      for (const each of cuts) await ip(...rule('add', each));
    },
    mend: async (...cuts) => {
      for (const each of cuts) await ip(...rule('del', each));
    },
    cutCommand: (cut) => ['ip', ...rule('add', cut)].join(' '),
    [Symbol.asyncDispose]: async () => {
      const left = await remove(net);
      if (left.length > 0) throw new Error(`left in network namespaces: ${left.join('; ')}`);
    },
  };
}

interface Network {
  hub: string;
  /** Interface of the test's own namespace. */
  own: string;
  space(site: SiteName): string;
  /** Of a site, and of the router towards it. */
  address(site: SiteName): string;
  gateway(site: SiteName): string;
  range: string;
}

/** Addresses that no other run has at the same time: private ones, by the number of the process. */
function networkOf(pid: number): Network {
  const number = pid % 16_384;
  const base = `10.${192 + (number >> 8)}.${number & 255}`;
  const at = (site: SiteName, which: number): string => `${base}.${SITES.indexOf(site) * 4 + which}`;
  return {
    ...{ hub: `${PREFIX}${pid}-hub`, own: `lbt${pid}`, range: `${base}.0/24` },
    space: (site) => `${PREFIX}${pid}-${site}`,
    address: (site) => at(site, 2),
    gateway: (site) => at(site, 1),
  };
}

async function build(net: Network): Promise<void> {
  await ip('netns', 'add', net.hub);
  for (const site of SITES) {
    const isOwn = site === 'root';
    const [space, link] = [net.space(site), isOwn ? net.own : 'wan'];
    if (!isOwn) await ip('netns', 'add', space);
    await ip('link', 'add', net.own, 'type', 'veth', 'peer', 'name', site, 'netns', net.hub);
    await ip('-n', net.hub, 'addr', 'add', `${net.gateway(site)}/30`, 'dev', site);
    await ip('-n', net.hub, 'link', 'set', site, 'up');
    if (!isOwn) await ip('link', 'set', net.own, 'netns', space, 'name', link);
    const there = isOwn ? [] : ['-n', space];
    await ip(...there, 'addr', 'add', `${net.address(site)}/30`, 'dev', link);
    await ip(...there, 'link', 'set', link, 'up');
    if (!isOwn) await ip(...there, 'link', 'set', 'lo', 'up');
    await ip(...there, 'route', 'add', isOwn ? net.range : 'default', 'via', net.gateway(site));
  }
  await exec('nsenter', [`--net=${FOLDER}/${net.hub}`, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
}

async function ip(...words: string[]): Promise<string> {
  return (await exec('ip', words)).stdout;
}

/** With what runs in them, which is the answer. */
async function remove(net: Network): Promise<string[]> {
  const left: string[] = [];
  for (const name of [...SITES.map(net.space), net.hub]) {
    if (!existsSync(`${FOLDER}/${name}`)) continue;
    const pids = (await ip('netns', 'pids', name)).split('\n').filter((pid) => pid !== '');
    for (const pid of pids) left.push(`process ${pid} in ${name}`);
    for (const pid of pids) kill(Number(pid));
    await ip('netns', 'del', name);
  }
  return left;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** What a killed run has left, with its servers. */
async function removeAbandoned(): Promise<void> {
  const names = await readdir(FOLDER).catch(() => []);
  const pids = names.flatMap((name) => new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1] ?? []);
  for (const pid of new Set(pids)) if (!existsSync(`/proc/${pid}`)) await remove(networkOf(Number(pid)));
}
