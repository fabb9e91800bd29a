import { chainsOf } from '../workflows/model/chain.ts';
import { findFailure } from '../workflows/model/failure.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import { needsWal } from '../workflows/model/manifest.ts';
import type { DamagedPoint, PointsVerified } from '../workflows/model/verify-result.ts';
import { DAMAGED_TOLD } from '../workflows/model/verify-result.ts';
import type { Deps } from './deps.ts';
import type { FindingsState } from './findings.ts';
import { Findings } from './findings.ts';
import { endUse, takeAllIntoUse } from './in-use.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import { noteGood, noteWrong, nothingStored, walCheck } from './verify.ts';

type Totals = Pick<PointsVerified, 'points' | 'parts' | 'bytes' | 'storedBytes'>;

/** Where an attempt is, for the next one. */
interface Reached {
  /** Of the points that are read, the newest: what is published meanwhile is the next run's. */
  newest: string;
  /** Everything from the newest to it is read. */
  read: string;
  totals: Totals;
  findings: FindingsState<DamagedPoint>;
}

/** What makes a point useless for good; anything else is tried again. */
const FOR_GOOD = ['Integrity', 'NotFound', 'Unsupported'];

/**
 * Reads every point of a source, newest first, each part once however many points stand on it, and the WAL that makes each
 * consistent. What is damaged is told and stops nothing. Another attempt goes on where the one before was heard last.
 */
export function verifyPoints(deps: Deps, { source }: { source: string }): Promise<PointsVerified> {
  return useSource(deps, source, async (use) => {
    try {
      const { points: backups, forensic, damaged } = await takeAllIntoUse(use, { wal: false });
      const points = [...backups, ...forensic].sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1));
      const isEmpty = points.length === 0 && damaged.length === 0;
      if (isEmpty && (await use.vault.wal.systems()).length === 0) throw nothingStored(use);
      return await new Reader(use, points).read(damaged);
    } finally {
      await endUse(use).catch((error: unknown) => use.run.log.warn('a note of use stays', { error: String(error) }));
    }
  });
}

function ageOf({ stoppedAt, point }: PointSummary): string {
  return `${stoppedAt} ${point}`;
}

class Reader {
  readonly #use: SourceUse;
  /** Newest first. */
  readonly #points: PointSummary[];
  readonly #chainOf: ReturnType<typeof chainsOf>;
  readonly #reached: Reached | undefined;
  readonly #findings: Findings<DamagedPoint>;
  readonly #totals: Totals;
  /** What is wrong with the points that were read: of each itself, without what it stands on. */
  readonly #own = new Map<string, string | undefined>();
  /** Read, and not noted: what they stand on is not read yet. */
  #open: PointSummary[] = [];

  constructor(use: SourceUse, points: PointSummary[]) {
    this.#use = use;
    this.#reached = use.run.resume as Reached | undefined;
    const newest = this.#reached?.newest;
    this.#points = points.filter(({ point }) => newest === undefined || point <= newest).toReversed();
    this.#chainOf = chainsOf(points);
    this.#findings = new Findings(use.vault, 'verify', this.#reached?.findings);
    this.#totals = this.#reached?.totals ?? { points: 0, parts: 0, bytes: 0, storedBytes: 0 };
  }

  async read(unreadable: readonly DamagedPoint[]): Promise<PointsVerified> {
    await this.#remember();
    const due = this.#points.filter(({ point }) => !this.#own.has(point));
    const totalBytes = due.reduce((sum, { bytes }) => sum + bytes, this.#totals.bytes);
    for (const point of due) {
      await this.#readPoint(point, totalBytes);
      await this.#settle();
      const newest = this.#points[0]?.point ?? point.point;
      const resume: Reached = {
        ...{ newest, read: point.point, totals: { ...this.#totals }, findings: this.#findings.state },
      };
      this.#tell(point.point, { totalBytes, resume });
    }
    await this.#findings.add(unreadable);
    const damaged = await this.#findings.all();
    return {
      ...{ source: this.#use.name, ...this.#totals, points: this.#totals.points + unreadable.length },
      damaged: damaged.slice(0, DAMAGED_TOLD),
      damagedCount: damaged.length,
      reports: await this.#findings.reports(DAMAGED_TOLD),
    };
  }

  /** What the attempt before found. */
  async #remember(): Promise<void> {
    const reached = this.#reached;
    if (!reached) return;
    const known = new Map((await this.#findings.all()).map(({ point, reason }) => [point, reason]));
    const read = this.#points.filter(({ point }) => point >= reached.read);
    for (const { point } of read) this.#own.set(point, known.get(point));
    this.#open = read.filter((point) => !known.has(point.point) && !this.#isDecided(point));
  }

  async #readPoint(point: PointSummary, totalBytes: number): Promise<void> {
    const wrong = await this.#wrongIn(point, totalBytes);
    this.#totals.points += 1;
    this.#own.set(point.point, wrong);
    if (wrong === undefined) this.#open.push(point);
    else await this.#found(point.point, wrong);
  }

  async #wrongIn(point: PointSummary, totalBytes: number): Promise<string | undefined> {
    const { vault, run } = this.#use;
    let doneBytes = this.#totals.bytes;
    try {
      const read = await vault.verify(point.point, (bytes) => {
        doneBytes += bytes;
        run.progress({ phase: 'read points', note: point.point, doneBytes, totalBytes });
      });
      for (const what of ['parts', 'bytes', 'storedBytes'] as const) this.#totals[what] += read[what];
      if (!needsWal(point)) return undefined;
      const wal = await walCheck(vault, point);
      return wal.ok ? undefined : `${wal.name}: ${wal.expected} is ${wal.found}`;
    } catch (error) {
      const known = findFailure(error);
      if (!known || !FOR_GOOD.includes(known.type ?? '')) throw error;
      return known.message;
    }
  }

  #isDecided(point: PointSummary): boolean {
    const chain = this.#chainOf(point);
    return 'broken' in chain || chain.links.every((link) => this.#own.has(link.point));
  }

  /** Says of each point of which all is read how it was found. */
  async #settle(): Promise<void> {
    for (const point of this.#open.filter((each) => this.#isDecided(each))) {
      this.#open = this.#open.filter((each) => each !== point);
      const chain = this.#chainOf(point);
      const broken = 'broken' in chain ? chain.broken : undefined;
      const link = 'links' in chain ? chain.links.find((each) => this.#own.get(each.point) !== undefined) : undefined;
      if (broken !== undefined) await this.#found(point.point, broken);
      else if (link) await this.#found(point.point, `stands on ${link.point}, which is damaged`);
      else await noteGood(this.#use, point.point);
    }
  }

  async #found(point: string, reason: string): Promise<void> {
    await this.#findings.add([{ point, reason }]);
    await noteWrong(this.#use, point, reason);
  }

  #tell(note: string, more: { totalBytes: number; resume: Reached }): void {
    this.#use.run.progress({ phase: 'read points', note, doneBytes: this.#totals.bytes, ...more });
  }
}
