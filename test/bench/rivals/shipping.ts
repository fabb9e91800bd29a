import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { parseLsn } from '../../../workflows/model/lsn.ts';
import { endSegment, flushLsn, WriteLoad } from '../cluster.ts';
import type { Shipping, Work } from './contestant.ts';
import type { Grounds } from './grounds.ts';

const LOOK_MS = 20;
const MEGABYTE = 1e6;

export interface ShipWork extends Work {
  writtenMBs: number;
  /** From the first byte of the load until all of it was durable. */
  storedMBs: number;
  /** From when a position was on the server's disk until the server was told that it is durable elsewhere. */
  lagP50Ms: number;
  lagP99Ms: number;
  lagMaxMs: number;
  cpuSecondsPerGb: number;
}

interface Look {
  atMs: number;
  written: bigint;
  durable: bigint;
}

/** Writes as fast as the server takes it, until there is so much WAL, while it is shipped, and until all of it is durable. */
export async function measureShipping(grounds: Grounds, shipping: Shipping, bytes: number): Promise<ShipWork> {
  const { server } = grounds.cluster;
  const client = await server.connect();
  try {
    const from = parseLsn(await flushLsn(server));
    const looks: Look[] = [];
    const look = async (): Promise<Look> => {
      const last = await lookAt(client, shipping, looks.at(-1)?.durable ?? 0n);
      looks.push(last);
      return last;
    };
    const { atMs: startedMs } = await look();
    const load = new WriteLoad(server);
    while (Number((await look()).written - from) < bytes) await delay(LOOK_MS);
    await load.end();
    const loaded = await look();
    const count = looks.length;
    if (shipping.wholeSegments) await endSegment(server);
    while ((await look()).durable < loaded.written) await delay(LOOK_MS);
    const storedMs = (looks.at(-1)?.atMs ?? Number.NaN) - startedMs;
    const used = await shipping.end();
    const written = Number(loaded.written - from);
    return {
      wallMs: storedMs,
      walBytes: written,
      ...used,
      writtenMBs: written / MEGABYTE / ((loaded.atMs - startedMs) / 1000),
      storedMBs: written / MEGABYTE / (storedMs / 1000),
      cpuSecondsPerGb: used.cpuSeconds / (written / 1e9),
      ...lags(looks, count),
    };
  } finally {
    await client.end();
  }
}

async function lookAt(client: pg.Client, { durable }: Shipping, before: bigint): Promise<Look> {
  const { rows } = await client.query<{ written: string; durable: string | null }>(
    `select pg_current_wal_flush_lsn()::text as written, (${durable.sql}) as durable`,
  );
  const told = rows[0]?.durable ? durable.endOf(rows[0].durable) : undefined;
  return { atMs: performance.now(), written: parseLsn(rows[0]?.written ?? ''), durable: told ?? before };
}

/** Of the first `count` looks: how long until what was written then was durable. */
export function lags(looks: readonly Look[], count: number): Pick<ShipWork, 'lagP50Ms' | 'lagP99Ms' | 'lagMaxMs'> {
  const found: number[] = [];
  let at = 0;
  for (const [index, { atMs, written }] of looks.slice(0, count).entries()) {
    at = Math.max(at, index);
    while (at < looks.length && (looks[at]?.durable ?? 0n) < written) at += 1;
    const then = looks[at];
    if (then) found.push(then.atMs - atMs);
  }
  const sorted = found.toSorted((a, b) => a - b);
  const quantile = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { lagP50Ms: quantile(0.5), lagP99Ms: quantile(0.99), lagMaxMs: quantile(1) };
}
