import { getServers } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import type { Confirmation, Traffic } from '../../../workflows/model/traffic.ts';
import { describeTraffic, parseAddress } from '../../../workflows/model/traffic.ts';
import { orAborted } from '../../io/or-aborted.ts';
import type { Run } from '../../io/run.ts';
import type { Route53Options } from './options.ts';
import { stoppedValue } from './options.ts';

const ANSWER_MS = 2_000;
const TRIES = 2;

interface Answer {
  values: string[];
  ttl: number | undefined;
}

/**
 * Asks every resolver as a client would: all that answer have to do so with what was wished for, and with nothing else, and half of
 * them at least. Those of a site that is gone must not keep anybody from moving away from it.
 */
export async function confirmByResolvers(options: Route53Options, to: Traffic, run: Run): Promise<Confirmation> {
  const servers = options.resolvers.length > 0 ? options.resolvers : getServers();
  const looks = await Promise.all(servers.map((server) => askOne(options, { server, to }, run)));
  const bad = looks.filter(({ ok }) => !ok);
  const found = bad.map(({ server, found: said }) => `${server}: ${said}`).join('; ');
  const have = looks.filter(({ ok }) => ok).map(({ server }) => server);
  const isEnough = bad.every(({ silent }) => silent) && (servers.length - bad.length) * 2 >= servers.length;
  if (servers.length > 0 && isEnough) {
    const by = `${describeTraffic(to)} by ${servers.length - bad.length} of ${servers.length} resolvers`;
    return { ok: true, found: found === '' ? by : `${by}; ${found}`, have };
  }
  return { ok: false, found: `${servers.length - bad.length} of ${servers.length} resolvers have it; ${found}`, have };
}

interface Look {
  server: string;
  ok: boolean;
  /** It did not answer at all. */
  silent: boolean;
  found: string;
}

const SILENCE: ReadonlySet<string> = new Set(['ETIMEOUT', 'ECONNREFUSED', 'ECANCELLED']);

async function askOne(
  options: Route53Options,
  { server, to }: { server: string; to: Traffic },
  run: Run,
): Promise<Look> {
  const resolver = new Resolver({ timeout: ANSWER_MS, tries: TRIES });
  try {
    resolver.setServers([server]);
    const ask = { resolver, options, run };
    const { values, ttl } = await answerFor(ask, options.record);
    const allowed = await allowedFor(ask, to);
    const ok = values.length > 0 && values.every((value) => allowed.has(value));
    const found = `${values.join(', ') || 'nothing'}${ttl === undefined ? '' : `, for ${ttl} s more`}`;
    return { server, ok, silent: false, found };
  } catch (error) {
    run.signal.throwIfAborted();
    const found = (error as NodeJS.ErrnoException).code ?? String(error);
    return { server, ok: false, silent: SILENCE.has(found), found };
  } finally {
    resolver.cancel();
  }
}

interface Ask {
  resolver: Resolver;
  options: Route53Options;
  run: Run;
}

function answerFor({ resolver, options, run }: Ask, record: string): Promise<Answer> {
  return orAborted(run.signal, async () => {
    if (options.type === 'CNAME') return { values: (await resolver.resolveCname(record)).map(plain), ttl: undefined };
    const records =
      options.type === 'A'
        ? await resolver.resolve4(record, { ttl: true })
        : await resolver.resolve6(record, { ttl: true });
    return { values: records.map(({ address }) => plain(address)), ttl: records[0]?.ttl };
  });
}

/** What an answer may hold; an alias is answered with the addresses of what it stands for. */
async function allowedFor(ask: Ask, to: Traffic): Promise<Set<string>> {
  const { options } = ask;
  const allowed = new Set<string>();
  for (const side of Object.keys(to)) {
    const site = options.sites?.[side];
    if (site?.alias) for (const value of (await answerFor(ask, site.alias.name)).values) allowed.add(value);
    else allowed.add(plain(site?.value ?? parseAddress(side)?.host ?? side));
  }
  const sum = Object.values(to).reduce((total, share) => total + share, 0);
  if (sum < 100) allowed.add(plain(stoppedValue(options)));
  return allowed;
}

function plain(text: string): string {
  return text.toLowerCase().replace(/\.$/, '');
}
