import { failure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';
import { withRun } from './activity-run.ts';
import type { SourceConfig } from './config/index.ts';
import type { Deps } from './deps.ts';
import type { Run } from './io/run.ts';
import { findSource } from './sources/index.ts';
import type { CheckWants, SourceSession } from './sources/source.ts';
import { openStore } from './stores/open.ts';
import { openVault } from './vault/index.ts';
import type { Vault } from './vault/vault.ts';

/** A source, opened with the vault of its store. */
export interface SourceUse {
  name: string;
  config: SourceConfig;
  session: SourceSession;
  vault: Vault;
  run: Run;
}

/** NotFound, with the nearest name, when the configuration of this worker has no such source. */
export function sourceConfig(deps: Deps, name: string): SourceConfig {
  const found = deps.config.sources[name];
  if (found) return found;
  const known = Object.keys(deps.config.sources);
  const near = nearestName(name, known);
  throw failure('NotFound', `source ${name} is not configured on host ${deps.host}`, {
    place: `sources in ${deps.config.path}`,
    expected: known.length > 0 ? `one of ${known.join(', ')}` : 'a source',
    found: name,
    hint: near === undefined ? 'lifeboat config explain' : `did you mean ${near}?`,
  });
}

/** Whether backups of what changed are ordered by the clock. */
export function wantsIncrements({ schedule }: SourceConfig): boolean {
  return schedule.incremental !== undefined || schedule.differential !== undefined;
}

/** Which servers of the source's cluster its configuration wants. */
export function fromOf({ backup, wal }: SourceConfig): NonNullable<CheckWants['from']> {
  return {
    ...(backup.from === undefined ? {} : { backup: backup.from }),
    ...(wal.from === undefined ? {} : { wal: wal.from }),
  };
}

/** Opens a source and its vault, runs the work as this activity, closes both. */
export async function useSource<T>(deps: Deps, name: string, work: (use: SourceUse) => Promise<T>): Promise<T> {
  const config = sourceConfig(deps, name);
  return withRun(deps, async (run) => {
    await using session = findSource(config.kind).open(name, config.options, run);
    await using store = await openStore(storeUse(deps, config), run);
    await using vault = await openVault(store, await vaultOptions(deps, name), run);
    return await work({ name, config, session, vault, run });
  });
}

function storeUse(deps: Deps, config: SourceConfig): Parameters<typeof openStore>[0] {
  const store = deps.config.stores[config.store];
  if (!store) throw failure('ConfigInvalid', `store ${config.store} is not configured`, { place: deps.config.path });
  return store;
}

async function vaultOptions(deps: Deps, source: string): Promise<Parameters<typeof openVault>[1]> {
  const { backup } = sourceConfig(deps, source);
  return {
    source,
    keys: await deps.loadKeys(),
    compressionLevel: backup.level,
    partBytes: backup.partBytes,
    parallel: backup.parallel,
    tool: deps.tool,
  };
}
