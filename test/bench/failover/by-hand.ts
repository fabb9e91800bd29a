import { setTimeout as sleep } from 'node:timers/promises';
import type { Field, Turn } from './turns.ts';
import { changed } from './turns.ts';

const POLL_MS = 20;

/**
 * The bare steps of a switchover as a runbook has them, without a look before, a lock, a fence or a proof: traffic off, stop, wait until the standby
 * has the last checkpoint, promote, traffic on.
 */
export async function switchByHand(field: Field): Promise<Turn> {
  const { world, primary: old, standby: next } = field;
  const fromMs = Date.now();
  await old.becomeStandbyOf(next);
  const steps = await stepped({
    'stop traffic': () => world.balancer.send(undefined),
    stop: () => old.stop('fast'),
    received: async () => {
      const lsn = await old.lastCheckpoint();
      const behind = 'select pg_last_wal_receive_lsn() <= $1::pg_lsn as behind';
      while ((await next.sql<{ behind: boolean }>(behind, [lsn]))[0]?.behind !== false) await sleep(POLL_MS);
    },
    promote: () => next.promote(),
    repoint: () => world.balancer.send(next.address),
  });
  const shown = await changed(field, fromMs);
  await old.start();
  return { ...shown, steps };
}

/** A primary that is known to be dead: promote, repoint. That it is noticed is not part of it. */
export async function replaceByHand(field: Field): Promise<Turn> {
  const { world, primary: old, standby: next } = field;
  const fromMs = Date.now();
  await old.kill();
  const steps = await stepped({
    promote: () => next.promote(),
    repoint: () => world.balancer.send(next.address),
  });
  const shown = await changed(field, fromMs);
  await old.follow(next);
  return { ...shown, steps };
}

async function stepped(works: Record<string, () => Promise<void> | void>): Promise<Record<string, number>> {
  const took: Record<string, number> = {};
  for (const [name, work] of Object.entries(works)) {
    const startMs = performance.now();
    await work();
    took[name] = performance.now() - startMs;
  }
  return took;
}
