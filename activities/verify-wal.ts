import { failure } from '../workflows/model/failure.ts';
import { compareLsn, lsnDistanceBytes } from '../workflows/model/lsn.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import type { VerifyWalOrder } from '../workflows/model/orders.ts';
import { rangesOf } from '../workflows/model/wal-coverage.ts';
import { parseSince } from '../workflows/model/wal-since.ts';
import type { Since } from '../workflows/model/wal-since.ts';
import type { WalFault, WalVerdict, WalVerified } from '../workflows/model/wal-verify.ts';
import { verdictOf, WAL_TOLD } from '../workflows/model/wal-verify.ts';
import type { WalObject } from '../workflows/model/wal.ts';
import type { Deps } from './deps.ts';
import type { FindingsState } from './findings.ts';
import { Findings } from './findings.ts';
import { endUse, takeAllIntoUse } from './in-use.ts';
import type { CheckedHistories, WalCheck } from './sources/stored-wal-care.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import { noteWal, nothingStored } from './verify.ts';
import type { Vault } from './vault/vault.ts';
import { logOf } from './wal.ts';

type Totals = Pick<WalVerified, 'objects' | 'storedBytes' | 'walBytes' | 'records'>;

/** Where an attempt is, for the next one. */
interface Reached {
  systemId: string;
  after?: WalCheck['after'];
  totals: Totals;
  findings: FindingsState<WalFault>;
}

/**
 * Reads every object of the stored WAL: cipher and length, pages, records from one to the next, timeline histories. What is
 * wrong is told with what it costs, and stops nothing. Another attempt goes on where the one before was heard last.
 */
export function verifyWal(deps: Deps, order: VerifyWalOrder): Promise<WalVerified> {
  return useSource(deps, order.source, async (use) => {
    logOf(use);
    try {
      return await new Reader(use, order, await takeAllIntoUse(use, { wal: true })).read();
    } finally {
      await endUse(use).catch((error: unknown) => use.run.log.warn('a note of use stays', { error: String(error) }));
    }
  });
}

/** All that is stored of one cluster. */
interface Cluster extends Pick<WalCheck, 'systemId' | 'segmentBytes' | 'objects' | 'serverVersion'>, CheckedHistories {
  points: PointSummary[];
}

type Listed = Awaited<ReturnType<Vault['points']>>;

class Reader {
  readonly #use: SourceUse;
  readonly #order: VerifyWalOrder;
  readonly #points: PointSummary[];
  readonly #unreadable: number;
  readonly #reached: Reached | undefined;
  readonly #findings: Findings<WalFault>;
  readonly #totals: Totals;

  constructor(use: SourceUse, order: VerifyWalOrder, { points, damaged }: Listed) {
    this.#use = use;
    this.#order = order;
    this.#points = points;
    this.#unreadable = damaged.length;
    this.#reached = use.run.resume as Reached | undefined;
    this.#findings = new Findings(use.vault, 'wal-verify', this.#reached?.findings);
    this.#totals = this.#reached?.totals ?? { objects: 0, storedBytes: 0, walBytes: 0, records: 0 };
  }

  async read(): Promise<WalVerified> {
    const systems = (await this.#use.vault.wal.systems()).sort();
    const all = [...new Set([...systems, ...this.#points.map(({ systemId }) => systemId)])].sort();
    for (const systemId of all.filter((each) => each >= (this.#reached?.systemId ?? ''))) {
      const cluster = await this.#cluster(systemId);
      await this.#readCluster(cluster);
    }
    if (this.#totals.objects === 0) this.#refuseNothing();
    return this.#judge(all);
  }

  async #cluster(systemId: string): Promise<Cluster> {
    const { vault } = this.#use;
    const log = logOf(this.#use);
    const objects = await vault.wal.list({ systemId });
    const points = this.#points.filter((point) => point.systemId === systemId);
    const [known] = points;
    const segmentBytes = known?.segmentBytes ?? (await log.segmentBytes(vault.wal, objects)) ?? 2 ** 24;
    const timelines = points.map(({ timeline }) => timeline);
    const checked = await log.checkHistories(vault.wal, { systemId, segmentBytes, objects, timelines });
    const version = known ? { serverVersion: known.serverVersion } : {};
    return { systemId, objects, points, segmentBytes, ...version, ...checked };
  }

  async #readCluster(cluster: Cluster): Promise<void> {
    const { vault, run } = this.#use;
    const { systemId } = cluster;
    const objects = selected(cluster.objects, this.#order);
    const after = this.#reached?.systemId === systemId ? this.#reached.after : undefined;
    const left = rangesOf(objects.filter((object) => !after || isBehind(object, after)));
    const totalBytes =
      this.#totals.walBytes + left.reduce((sum, range) => sum + lsnDistanceBytes(range.startLsn, range.endLsn), 0);
    const check = { ...cluster, objects, ...(after ? { after } : {}) };
    for await (const checked of logOf(this.#use).check(vault.wal, check)) {
      const { timeline, endLsn: lsn, chain, faults } = checked;
      for (const name of ['objects', 'storedBytes', 'walBytes', 'records'] as const)
        this.#totals[name] += checked[name];
      await this.#findings.add(faults);
      const resume: Reached = {
        ...{ systemId, totals: { ...this.#totals }, findings: this.#findings.state },
        after: { timeline, lsn, ...(chain === undefined ? {} : { chain }) },
      };
      const note = `timeline ${timeline} at ${lsn}`;
      run.progress({ phase: 'read WAL', note, doneBytes: this.#totals.walBytes, totalBytes, resume });
    }
  }

  async #judge(systems: readonly string[]): Promise<WalVerified> {
    const bad = new Set((await this.#findings.all()).map(({ place }) => place));
    const verdict: WalVerdict = { holes: [], lost: [], unusable: [] };
    const timelines = new Set<string>();
    for (const systemId of systems) {
      const { faults, ...cluster } = await this.#cluster(systemId);
      await this.#findings.add(faults);
      for (const { timeline } of cluster.objects) timelines.add(`${systemId}/${timeline}`);
      const { holes, lost, unusable } = verdictOf({ ...cluster, bad });
      verdict.holes.push(...holes);
      verdict.lost.push(...lost);
      verdict.unusable.push(...unusable);
    }
    const faults = await this.#findings.all();
    const { holes, lost, unusable } = verdict;
    await this.#note(unusable);
    // Of those without a base behind them the moments from there on are lost until there is one.
    holes.sort((a, b) => Number(a.until !== undefined) - Number(b.until !== undefined));
    return {
      source: this.#use.name,
      ok: faults.length === 0 && unusable.length === 0 && holes.every(({ until }) => until !== undefined),
      ...this.#totals,
      timelines: timelines.size,
      points: this.#points.length,
      faults: faults.slice(0, WAL_TOLD),
      faultCount: faults.length,
      reports: await this.#findings.reports(WAL_TOLD),
      holes: holes.slice(0, WAL_TOLD),
      holeCount: holes.length,
      lost: lost.slice(0, WAL_TOLD),
      unusable: unusable.slice(0, WAL_TOLD),
      unusableCount: unusable.length,
    };
  }

  /** Only who read all of it takes back what was found before. */
  async #note(unusable: WalVerdict['unusable']): Promise<void> {
    for (const { point, reason } of unusable) await noteWal(this.#use, point, reason);
    if (this.#order.since !== undefined || this.#order.timeline !== undefined) return;
    const wrong = new Set(unusable.map(({ point }) => point));
    const { marks } = await this.#use.vault.catalog(new Map(this.#points.map((point) => [point.point, point])));
    for (const { point } of this.#points)
      if (!wrong.has(point) && marks.get(point)?.wrongWal) await noteWal(this.#use, point);
  }

  #refuseNothing(): void {
    const { source, since, timeline } = this.#order;
    if (since === undefined && timeline === undefined) {
      if (this.#points.length === 0 && this.#unreadable === 0) throw nothingStored(this.#use);
      return;
    }
    const what = [
      timeline === undefined ? [] : `timeline ${timeline}`,
      since === undefined ? [] : `since ${since}`,
    ].flat();
    throw failure('NotFound', `vault holds no WAL of ${source}: ${what.join(', ')}`, {
      place: `source ${source}`,
      expected: 'a timeline and a moment of which WAL is stored',
      found: what.join(', '),
      hint: `lifeboat wal ${source}`,
    });
  }
}

function isBehind({ timeline, startLsn }: WalObject, after: NonNullable<WalCheck['after']>): boolean {
  return timeline > after.timeline || (timeline === after.timeline && compareLsn(startLsn, after.lsn) >= 0);
}

/** Ascending, as they are listed. */
function selected(objects: readonly WalObject[], { since, timeline }: VerifyWalOrder): WalObject[] {
  const own = objects.filter((object) => timeline === undefined || object.timeline === timeline);
  if (since === undefined) return own;
  const from = parseSince(since);
  const timelines = [...new Set(own.map((object) => object.timeline))];
  return timelines.flatMap((each) =>
    newer(
      own.filter((object) => object.timeline === each),
      from,
    ),
  );
}

/** From the first object on that has something of it. */
function newer(objects: readonly WalObject[], from: Since): WalObject[] {
  if ('lsn' in from) return objects.filter(({ endLsn }) => compareLsn(endLsn, from.lsn) > 0);
  const first = objects.findIndex(({ lastCommitMicros = 0 }) => lastCommitMicros >= from.micros);
  return first < 0 ? [] : objects.slice(first);
}
