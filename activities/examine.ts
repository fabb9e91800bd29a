import { failureFacts, findFailure } from '../workflows/model/failure.ts';
import type { DoctorCheck, InspectAnswer } from '../workflows/model/results.ts';
import { describeTraffic } from '../workflows/model/traffic.ts';
import { withRun } from './activity-run.ts';
import type { Deps } from './deps.ts';
import { leftSlots, slotsOf } from './slots.ts';
import { checkStore } from './stores/check.ts';
import { findStore } from './stores/index.ts';
import { findSwitch } from './switches/index.ts';
import { fromOf, useSource, wantsIncrements } from './use-source.ts';

/** Tries every store, the keys, every source and every switch as this worker would use them. */
export async function examine(deps: Deps): Promise<InspectAnswer & { what: 'doctor' }> {
  const checks = [
    ...(await attempt(`worker ${deps.host}`, 'keys', async () => [await keysCheck(deps)])),
    ...(await Promise.all(Object.keys(deps.config.stores).map((name) => examineStore(deps, name)))).flat(),
    ...(await Promise.all(Object.keys(deps.config.sources).map((name) => examineSource(deps, name)))).flat(),
    ...(await Promise.all(Object.keys(deps.config.switches).map((name) => examineSwitch(deps, name)))).flat(),
  ];
  return { what: 'doctor', host: deps.host, ok: checks.every((check) => check.ok), checks };
}

async function keysCheck(deps: Deps): Promise<DoctorCheck> {
  const { root, signing } = await deps.loadKeys();
  return { scope: `worker ${deps.host}`, name: 'keys', ok: true, found: `root ${root.id}, signing ${signing.id}` };
}

function examineStore(deps: Deps, name: string): Promise<DoctorCheck[]> {
  const scope = `store ${name}`;
  return attempt(scope, 'open', () =>
    withRun(deps, async (run) => {
      const { kind = '', options } = deps.config.stores[name] ?? {};
      await using session = await findStore(kind).open(options, run);
      return (await checkStore(session)).map((check) => ({ scope, ...check }));
    }),
  );
}

function examineSource(deps: Deps, name: string): Promise<DoctorCheck[]> {
  const scope = `source ${name}`;
  return attempt(scope, 'open', () =>
    useSource(deps, name, async ({ session, vault, config }) => {
      const checks = (
        await session.check({
          increments: wantsIncrements(config),
          archive: config.wal.archive !== undefined,
          slots: slotsOf(config),
          leftSlots: leftSlots(deps, name),
          from: fromOf(config),
          every: true,
        })
      ).map((check) => ({
        scope,
        ...check,
      }));
      const { points, damaged } = await vault.points();
      const found =
        damaged.length > 0 ? damaged.map((each) => each.point).join(', ') : `${points.length}, all readable`;
      return [...checks, { scope, name: 'recovery points', ok: damaged.length === 0, found }];
    }),
  );
}

/** One that another host has to move is looked at by that host's worker. */
function examineSwitch(deps: Deps, name: string): Promise<DoctorCheck[]> {
  const scope = `switch ${name}`;
  const { kind = '', options, host } = deps.config.switches[name] ?? {};
  if (host !== undefined && host !== deps.host)
    return Promise.resolve([
      { scope, name: 'where', ok: true, found: `is moved by host ${host}, and not looked at here` },
    ]);
  return attempt(scope, 'where', () =>
    withRun(deps, async (run) => {
      await using session = findSwitch(kind).open(name, options, run);
      const { traffic, token, note } = await session.where();
      const found = `${describeTraffic(traffic)}, token ${token}${note === undefined ? '' : `; ${note}`}`;
      const where = { scope, name: 'where', ok: true, found };
      return [where, ...((await session.check?.()) ?? []).map((check) => ({ scope, ...check }))];
    }),
  );
}

/** A thing that cannot even be opened is a finding of its own, and hides no other one. */
async function attempt(scope: string, name: string, work: () => Promise<DoctorCheck[]>): Promise<DoctorCheck[]> {
  try {
    return await work();
  } catch (error) {
    const { hint } = failureFacts(error);
    const found = findFailure(error)?.message ?? String(error);
    return [{ scope, name, ok: false, found, ...(hint === undefined ? {} : { hint }) }];
  }
}
