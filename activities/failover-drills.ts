import { z } from 'zod';
import { failureTypeOf, findFailure } from '../workflows/model/failure.ts';
import type { FailoverDrillMeasurement } from '../workflows/model/failover-drill.ts';
import type { SourceUse } from './use-source.ts';
import type { Vault } from './vault/vault.ts';

/** docs/format.md "Failover drills". */
const PREFIX = 'failover-drill-';
const MOST_KEPT = 20;

const amount = z.number().nonnegative();
const schema = z.object({
  format: z.literal('lifeboat-failover-drill/1'),
  ...{ service: z.string(), node: z.string(), run: z.string(), at: z.iso.datetime() },
  phases: z.object({
    ...{ copy: amount, start: amount, promote: amount, firstWrite: amount, ready: amount, remove: amount },
  }),
  rtoMs: amount.optional(),
});

/** Keeps what a drill took; the oldest of the service go. A repeat writes the same object again. */
export async function keepFailoverDrill(vault: Vault, drill: FailoverDrillMeasurement): Promise<void> {
  const { service, at, run } = drill;
  const stamp = at.replaceAll(/[-:]|\.\d+/g, '');
  const name = `${PREFIX}${service}-${stamp}-${run.replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
  await vault.putReport(name, Buffer.from(JSON.stringify(drill)));
  for (const old of (await namesOf(vault, service)).slice(0, -MOST_KEPT)) await vault.removeReport(old);
}

/** The newest of a service. One that says nothing that we know is passed over; a vault that cannot be asked is thrown. */
export async function newestFailoverDrill(
  { vault, run }: Pick<SourceUse, 'vault' | 'run'>,
  service: string,
): Promise<FailoverDrillMeasurement | undefined> {
  for (const name of (await namesOf(vault, service)).reverse()) {
    try {
      const { success, data } = schema.safeParse(JSON.parse((await vault.readReport(name)).toString('utf8')));
      if (success && data.service === service) return data as FailoverDrillMeasurement;
    } catch (error) {
      const type = failureTypeOf(error);
      if (type !== 'NotFound' && type !== 'Integrity' && !(error instanceof SyntaxError)) throw error;
      run.log.warn(`${name} cannot be read`, { error: findFailure(error)?.message ?? String(error) });
    }
  }
  return undefined;
}

/** Sorted by time: a service whose name begins like another's has names of its own. */
async function namesOf(vault: Vault, service: string): Promise<string[]> {
  const prefix = `${PREFIX}${service}-`;
  const names = await vault.reportNames(prefix);
  return names.filter((name) => /^\d{8}T\d{6}Z-/.test(name.slice(prefix.length)));
}
