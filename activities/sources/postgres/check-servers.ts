import { failureFacts, findFailure } from '../../../workflows/model/failure.ts';
import type { ServerWish } from '../../../workflows/model/server-role.ts';
import type { ChosenServer } from '../../io/postgres/choose-server.ts';
import { chooseServer, describeServer, lookAtServers, serverPlace, wishOf } from '../../io/postgres/choose-server.ts';
import { serversOf } from '../../io/postgres/options.ts';
import type { Run } from '../../io/run.ts';
import type { CheckWants, SourceCheck } from '../source.ts';
import { checkOneServer } from './check.ts';
import type { PostgresOptions } from './options.ts';

/**
 * Tries everything that backup and WAL shipping need, and tells each with the setting to change. Changes nothing. Of several
 * servers those that are chosen, or every one when that is wanted: the faults of the others keep no backup from being taken.
 */
export async function checkSource(options: PostgresOptions, run: Run, wants: CheckWants = {}): Promise<SourceCheck[]> {
  const servers = serversOf(options.connection);
  const { choices, checks } = await checkChoices(options, run, wants);
  const chosen = new Set(choices.map(({ place }) => place));
  const wanted = servers.filter((server) => wants.every === true || chosen.has(serverPlace(server)));
  const found = await Promise.all(
    wanted.map(async (connection) => {
      const place = serverPlace(connection);
      const each = await checkOneServer({ ...options, connection }, run, wants);
      if (servers.length === 1) return each;
      return each.map((check) => ({
        ...check,
        name: `${check.name} at ${place}`,
        ...(check.ok || chosen.has(place) ? {} : { backupGoesOn: true as const }),
      }));
    }),
  );
  return [...checks, ...found.flat()];
}

interface Choices {
  choices: ChosenServer[];
  checks: SourceCheck[];
}

/** Which server backups and WAL come from. One that is asked for no role is looked at by its own checks. */
async function checkChoices(options: PostgresOptions, run: Run, { from = {} }: CheckWants): Promise<Choices> {
  const { connection } = options;
  const wishes = { 'backups from': wishOf(connection, from.backup), 'WAL from': wishOf(connection, from.wal) };
  const choices: ChosenServer[] = [];
  const checks: SourceCheck[] = [];
  for (const [name, want] of Object.entries(wishes)) {
    const choice = await choose(options, run, want);
    if ('chosen' in choice) choices.push(choice.chosen);
    if (want === undefined) continue;
    checks.push({
      name,
      ...('chosen' in choice ? { ok: true, found: describeChosen(choice.chosen) } : choice.refused),
    });
  }
  if (checks.length > 0) checks.unshift(await overview(options, run));
  return { choices, checks };
}

type Choice = { chosen: ChosenServer } | { refused: Omit<SourceCheck, 'name'> };

async function choose(options: PostgresOptions, run: Run, want: ServerWish | undefined): Promise<Choice> {
  try {
    return { chosen: await chooseServer(options.connection, { signal: run.signal, want }) };
  } catch (error) {
    run.signal.throwIfAborted();
    const { hint } = failureFacts(error);
    const found = (findFailure(error)?.message ?? String(error)).replace(` (hint: ${hint})`, '');
    return { refused: { ok: false, found, ...(hint === undefined ? {} : { hint }) } };
  }
}

function describeChosen({ place, role }: ChosenServer): string {
  return role === undefined ? place : `${place}, the ${role}`;
}

/** A server that is away is told, and keeps nothing from going on while another one fits. */
async function overview(options: PostgresOptions, run: Run): Promise<SourceCheck> {
  const all = await lookAtServers(options.connection, run);
  const ok = all.every((server) => 'role' in server);
  const found = all.map(describeServer).join('; ');
  const hint = 'start what does not answer, or take it out of connection.host';
  return { name: 'servers', ok, found, ...(ok ? {} : { hint, backupGoesOn: true }) };
}
