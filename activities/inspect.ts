import { failure, findFailure, isRetryable } from '../workflows/model/failure.ts';
import { chainsOf } from '../workflows/model/chain.ts';
import type { DumpedDatabase } from '../workflows/model/dump.ts';
import type { FailoverDrillMeasurement } from '../workflows/model/failover-drill.ts';
import type { Manifest } from '../workflows/model/manifest.ts';
import { needsWal, summarise } from '../workflows/model/manifest.ts';
import type { InspectOrder } from '../workflows/model/orders.ts';
import { windowsOf } from '../workflows/model/reachable.ts';
import type {
  DumpedDatabaseFacts,
  InspectAnswer,
  PointDetails,
  SourceForecast,
  SourcePoints,
} from '../workflows/model/results.ts';
import { rangeHolding } from '../workflows/model/wal-coverage.ts';
import { contentsOf } from './contents.ts';
import type { Deps } from './deps.ts';
import { examine } from './examine.ts';
import { newestFailoverDrill } from './failover-drills.ts';
import { holdingsOf } from './holdings.ts';
import { forecastRecovery } from './measurements.ts';
import { readReach } from './reachable.ts';
import { tryNotifiers } from './try-notifiers.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import { readWal } from './wal.ts';

/** Questions that change nothing and that only a host with keys and stores can answer. */
export async function inspectVault(deps: Deps, order: InspectOrder): Promise<InspectAnswer> {
  switch (order.what) {
    case 'points':
      return { what: order.what, sources: await eachSource(deps, order.source, pointsOf) };
    case 'point':
      return { what: order.what, point: await findPoint(deps, order) };
    case 'wal':
      return { what: order.what, wal: await readWal(deps, { source: order.source }) };
    case 'reachable':
      return useSource(deps, order.source, async (use) => ({
        ...{ what: order.what, source: order.source },
        copies: await readReach(use),
      }));
    case 'forecast':
      return { what: order.what, sources: await eachSource(deps, order.source, (use) => forecastFor(deps, use)) };
    case 'contents':
      return useSource(deps, order.source, async (use) => ({
        what: order.what,
        page: await contentsOf(deps, use, order),
      }));
    case 'doctor':
      return examine(deps);
    case 'notifiers':
      return { what: order.what, host: deps.host, trials: await tryNotifiers(deps, order) };
    case 'catalog-rebuild':
      return { what: order.what, sources: await eachSource(deps, order.source, rebuildCatalog) };
  }
}

async function eachSource<T>(
  deps: Deps,
  source: string | undefined,
  ask: (use: SourceUse) => Promise<T>,
): Promise<T[]> {
  const names = source === undefined ? Object.keys(deps.config.sources) : [source];
  const answers: T[] = [];
  for (const name of names) answers.push(await useSource(deps, name, ask));
  return answers;
}

async function pointsOf({ name, vault }: SourceUse): Promise<SourcePoints> {
  const { forensic, ...listed } = await vault.points();
  return { source: name, ...listed, ...(forensic.length > 0 ? { forensic } : {}) };
}

async function forecastFor(deps: Deps, use: SourceUse): Promise<SourceForecast> {
  try {
    const forecast = await forecastRecovery(use, deps.clock.nowMs());
    const failoverDrills = await failoverDrillsOf(deps, use);
    return {
      source: use.name,
      ...(forecast ? { forecast } : { reason: 'there is no recovery point' }),
      ...(failoverDrills.length > 0 ? { failoverDrills } : {}),
    };
  } catch (error) {
    const known = findFailure(error);
    if (!known || isRetryable(known)) throw error;
    return { source: use.name, reason: known.message };
  }
}

async function failoverDrillsOf({ config }: Deps, use: SourceUse): Promise<FailoverDrillMeasurement[]> {
  const services = Object.entries(config.services).filter(([, { source, cluster }]) => source === use.name && cluster);
  const drills = await Promise.all(services.map(([service]) => newestFailoverDrill(use, service)));
  return drills.filter((drill) => drill !== undefined);
}

/** The index is made anew from the manifests, which are the truth, and stored beside them for readers that cannot decrypt each. */
async function rebuildCatalog({
  name,
  vault,
}: SourceUse): Promise<{ source: string; points: number; damaged: number; key: string }> {
  const { points, forensic, damaged } = await vault.points();
  const catalog = { format: 'lifeboat-catalog/1', source: name, points, forensic, damaged };
  const { key } = await vault.putReport('catalog.json', Buffer.from(JSON.stringify(catalog)));
  return { source: name, points: points.length, damaged: damaged.length, key };
}

async function findPoint(deps: Deps, { source, point }: { source?: string; point: string }): Promise<PointDetails> {
  const found = await eachSource(deps, source, async (use) => {
    const { points, forensic } = await use.vault.points();
    return [...points, ...forensic].some((each) => each.point === point) ? detailsOf(use, point) : undefined;
  });
  const details = found.find((each) => each !== undefined);
  if (details) return details;
  throw failure('NotFound', `recovery point ${point} does not exist`, {
    place: source === undefined ? 'every source' : `source ${source}`,
    expected: 'a published recovery point',
    found: point,
    hint: `lifeboat list${source === undefined ? '' : ` ${source}`}`,
  });
}

async function detailsOf(use: SourceUse, point: string): Promise<PointDetails> {
  const { manifest } = await use.vault.open(point);
  const summary = summarise(manifest);
  const { systemId, timeline, startLsn, stopLsn } = summary;
  const all = await holdingsOf(use.vault, { systemId, points: (await use.vault.points()).points });
  const holdings = { ...all, points: [summary], links: all.points };
  const chain = chainsOf(all.points)(summary);
  const { kind, serverVersion } = manifest.identity;
  return {
    summary,
    identity: { kind, systemId, serverVersion, timeline },
    pageChecksums: manifest.pageChecksums,
    settings: manifest.settings,
    trees: manifest.trees.map(treeFacts),
    ...('broken' in chain ? { broken: chain.broken } : { chain: chain.links.map((link) => link.point) }),
    walComplete:
      !needsWal(summary) || rangeHolding(holdings.ranges, timeline, { from: startLsn, to: stopLsn }) !== undefined,
    windows: needsWal(summary) ? windowsOf(holdings) : [],
    ...(manifest.dump ? { databases: manifest.dump.databases.map(databaseFacts) } : {}),
  };
}

function databaseFacts({ name, tables, largeObjects, extensions }: DumpedDatabase): DumpedDatabaseFacts {
  const own = tables.filter((table) => !table.partitioned);
  const sum = (pick: 'rows' | 'bytes'): number => own.reduce((total, table) => total + table[pick], 0);
  return {
    ...{ name, tables: own.length, rows: sum('rows'), bytes: sum('bytes') },
    ...{ largeObjects: largeObjects.count, extensions },
  };
}

function treeFacts({ id, location, files }: Manifest['trees'][number]): PointDetails['trees'][number] {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { id, ...(location === undefined ? {} : { location }), files: files.length, bytes };
}
