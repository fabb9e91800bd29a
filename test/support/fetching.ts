import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { FetchEvidence, RecoveryPlan } from '../../workflows/model/recovery.ts';

export interface FetchOrders {
  store: string;
  keyDir: string;
  /** Of the source, as in lifeboat.yml. */
  options: unknown;
  plan: RecoveryPlan;
}

const CHILD = fileURLToPath(new URL('./fetching-child.ts', import.meta.url));

/**
 * Fetches in a process of its own, which gets SIGKILL when it does its n-th thing, or comes to a phase; undefined when it did
 * not come through.
 */
export async function fetchUntil(orders: FetchOrders, moment: number | string): Promise<FetchEvidence | undefined> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(orders)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let steps = 0;
  let evidence: FetchEvidence | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('done ')) evidence = JSON.parse(line.slice(5)) as FetchEvidence;
    else if (++steps === moment || line === moment) child.kill('SIGKILL');
  }
  const [code, signal] = (await closed) as [number | null, string | null];
  if (evidence || signal === 'SIGKILL') return evidence;
  throw new Error(`the fetching process ended with ${code}`);
}
