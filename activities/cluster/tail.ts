import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { WalTail } from '../../workflows/model/cluster.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { formatLsn, parseLsn, recordEnd, segmentName } from '../../workflows/model/lsn.ts';
import { ProgramFailed, runForeign } from '../io/postgres/foreign-program.ts';
import { walShape } from './control.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, ownerOf } from './node.ts';

export interface TailPlace {
  timeline: number;
  /** Where the timeline that is served now begins. */
  fromLsn: Lsn;
}

/** A line of pg_waldump (src/bin/pg_waldump, XLogDumpDisplayRecord). */
const RECORD =
  /^rmgr: (\w+)\s+len \(rec\/tot\):\s*\d+\/\s*(\d+), tx:\s*\d+, lsn: ([0-9A-F]+\/[0-9A-F]+), .*desc: (\S+)/;

/**
 * What a server that does not run wrote behind a position, to the last whole record; nothing is changed. Undefined when the WAL is not there
 * to tell.
 */
export async function tailOf(use: NodeUse, { timeline, fromLsn }: TailPlace): Promise<WalTail | undefined> {
  const folder = join(use.node.dataDir, 'pg_wal');
  const shape = await walShape(use);
  const start = parseLsn(fromLsn);
  const first = join(folder, segmentName(timeline, start, shape.segmentBytes));
  const isThere = await access(first).then(
    () => true,
    () => false,
  );
  const isBoundary = start % BigInt(shape.segmentBytes) === 0n;
  if (!isThere)
    return isBoundary ? { timeline, fromLsn, endLsn: fromLsn, bytes: 0, records: 0, commits: 0 } : undefined;
  const seen = { end: start, records: 0, commits: 0 };
  await dump(use, ['-p', folder, '-t', String(timeline), '-s', fromLsn], (line) => {
    const [, manager, length, lsn, what] = RECORD.exec(line) ?? [];
    if (lsn === undefined) return;
    seen.end = recordEnd(parseLsn(lsn), Number(length), shape);
    seen.records += 1;
    if (manager === 'Transaction' && what?.startsWith('COMMIT')) seen.commits += 1;
  });
  const { end, records, commits } = seen;
  return { timeline, fromLsn, endLsn: formatLsn(end), bytes: Number(end - start), records, commits };
}

/** It ends with a failure wherever WAL ends, which is where we want to come to. */
async function dump(use: NodeUse, args: string[], take: (line: string) => void): Promise<void> {
  const as = await ownerOf(use);
  const program = join(await binariesOf(use), 'pg_waldump');
  let rest = '';
  const output = async (from: AsyncIterable<Buffer>): Promise<void> => {
    for await (const bytes of from) {
      const lines = (rest + bytes.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    }
  };
  try {
    await runForeign({ program, args, env: {}, signal: use.run.signal, output, ...(as ? { as } : {}) });
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
  }
}
