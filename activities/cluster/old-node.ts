import { join } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, parseSegmentName, recordEnd } from '../../workflows/model/lsn.ts';
import type { OldNode, PageDigests, WalTrace } from '../../workflows/model/rejoin.ts';
import { lineUpTo, sharedEnd } from '../../workflows/model/rejoin-choice.ts';
import { historyFileName, parseHistory } from '../../workflows/model/timeline.ts';
import type { TimelineSwitch } from '../../workflows/model/wal.ts';
import { runningServer } from '../io/postgres/server.ts';
import { runCommand } from '../io/run-command.ts';
import { readProgress } from './beside.ts';
import { controlFields } from './control.ts';
import { readNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, ownerOf } from './node.ts';
import type { WalFolder } from './wal-files.ts';
import { comparedRange, digestPages, newestTimeline, oldestBefore, walFolder } from './wal-files.ts';

/** What the files of a server say that is down (live: or runs), in the light of where the primary is. Nothing is changed. */
export async function examine(use: NodeUse, now: WalTrace, live = false): Promise<OldNode> {
  if (!live) await refuseRunning(use);
  const fields = await controlFields(use);
  const of = (name: string): string => fields.get(name) ?? '';
  const folder = await walFolder(use, Number(of('Bytes per WAL segment')));
  const checkpoint = { timeline: Number(of("Latest checkpoint's TimeLineID")), lsn: of('Latest checkpoint location') };
  const replayed = Number(of("Min recovery ending loc's timeline"));
  const timeline = Math.max(checkpoint.timeline, replayed, newestTimeline(folder));
  const ancestors = await ancestorsOf(use, timeline, now);
  const from = checkpoint.timeline === timeline ? checkpoint.lsn : firstOf(folder, timeline);
  const pageBytes = Number(of('WAL block size'));
  const endLsn = from === undefined ? undefined : await endOf(use, { folder, timeline, from, pageBytes });
  const line = { timeline, ancestors: ancestors ?? [] };
  const walFromLsn = endLsn === undefined ? firstOf(folder, timeline) : oldestBefore(folder, line, endLsn);
  const interrupted = (await readProgress(use))?.phase === 'rewinding';
  const old: OldNode = {
    ...{ systemId: of('Database system identifier'), major: await majorOf(use), state: of('Database cluster state') },
    ...{ timeline, rewindable: isRewindable(of), segmentBytes: folder.segmentBytes, interrupted },
    ...(ancestors ? { ancestors } : {}),
    ...(endLsn === undefined ? {} : { endLsn }),
    ...(walFromLsn === undefined ? {} : { walFromLsn }),
  };
  const digests = await digestsOf(folder, old, now);
  return digests ? { ...old, digests } : old;
}

async function digestsOf(folder: WalFolder, old: OldNode, now: WalTrace): Promise<PageDigests | undefined> {
  const { timeline, ancestors = [] } = old;
  const shared = sharedEnd(old, now);
  const range = shared === undefined ? undefined : comparedRange(shared, folder.segmentBytes);
  return range && digestPages(folder, { timeline, ancestors }, range);
}

function isRewindable(of: (name: string) => string): boolean {
  const hints = Number(of('Data page checksum version')) > 0 || of('wal_log_hints setting') === 'on';
  return hints && of("Latest checkpoint's full_page_writes") === 'on';
}

async function majorOf(use: NodeUse): Promise<number> {
  return Number((await readNodeFile(use, 'PG_VERSION'))?.trim());
}

async function ancestorsOf(use: NodeUse, timeline: number, now: WalTrace): Promise<TimelineSwitch[] | undefined> {
  if (timeline === 1) return [];
  const text = await readNodeFile(use, `pg_wal/${historyFileName(timeline)}`);
  return text === undefined ? lineUpTo(now, timeline) : parseHistory(timeline, text).ancestors;
}

/** Beginning of the oldest segment of a timeline. */
function firstOf({ names, segmentBytes }: WalFolder, timeline: number): Lsn | undefined {
  const starts = [...names].flatMap((name) => {
    const segment = parseSegmentName(name, segmentBytes);
    return segment?.timeline === timeline ? [formatLsn(segment.start)] : [];
  });
  return starts.toSorted(compareLsn)[0];
}

interface Walk {
  folder: WalFolder;
  timeline: number;
  from: Lsn;
  pageBytes: number;
}

/** A line of pg_waldump: "... len (rec/tot): 54/ 54, tx: 731, lsn: 0/0155B3C0, prev ...". */
const RECORD = /len \(rec\/tot\):\s*\d+\/\s*(\d+), tx:\s*\d+, lsn: ([0-9A-F]+\/[0-9A-F]+)/;

/** First byte behind the last record that is whole. The program ends badly by design: behind it there is no record. */
async function endOf(use: NodeUse, { folder, timeline, from, pageBytes }: Walk): Promise<Lsn | undefined> {
  const as = await ownerOf(use);
  const program = join(await binariesOf(use), 'pg_waldump');
  const args = ['-p', folder.path, '-t', String(timeline), '-s', from];
  use.run.progress({ phase: `read the WAL of ${use.name}` });
  const { stdout } = await runCommand(program, args, { signal: use.run.signal, ...(as ? { as } : {}) });
  const last = RECORD.exec(stdout.split('\n').findLast((line) => RECORD.test(line)) ?? '');
  if (!last) return undefined;
  const [, total = '', lsn = ''] = last;
  return formatLsn(recordEnd(parseLsn(lsn), Number(total), { segmentBytes: folder.segmentBytes, pageBytes }));
}

async function refuseRunning({ name, node }: NodeUse): Promise<void> {
  const pid = await runningServer(node.dataDir);
  if (pid === undefined) return;
  throw failure('Precondition', `a server runs on the files of ${name}`, {
    ...{ place: node.dataDir, expected: 'none', found: `postmaster ${pid}` },
    hint: 'somebody has started it again: stop what does so, then start again',
  });
}
