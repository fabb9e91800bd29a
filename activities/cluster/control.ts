import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import type { ControlFacts } from '../../workflows/model/cluster.ts';
import { formatLsn, parseLsn, recordEnd, segmentName } from '../../workflows/model/lsn.ts';
import { runCommand } from '../io/run-command.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, ownerOf } from './node.ts';

/** States in which nothing was written behind the latest checkpoint. */
const CLEAN = 'shut down';
const CLEAN_STANDBY = 'shut down in recovery';

/** It came to an end that it has written down. */
export function isCleanState(state: string): boolean {
  return state === CLEAN || state === CLEAN_STANDBY;
}

/** What pg_control says of a server that does not run; of one that runs it would be old at once. */
export async function readControl(use: NodeUse): Promise<ControlFacts> {
  const fields = await controlFields(use);
  const of = (name: string): string => fields.get(name) ?? '';
  const state = of('Database cluster state');
  const timeline = Number(of("Latest checkpoint's TimeLineID"));
  const checkpointLsn = of('Latest checkpoint location');
  const sums = Number(of('Data page checksum version')) > 0;
  const rewindable = sums || of('wal_log_hints setting') === 'on';
  const shape = shapeIn(fields);
  const endLsn =
    state === CLEAN
      ? await checkpointEnd(use, { timeline, lsn: checkpointLsn, ...shape })
      : state === CLEAN_STANDBY
        ? of('Minimum recovery ending location')
        : undefined;
  return { state, timeline, checkpointLsn, rewindable, ...(endLsn === undefined ? {} : { endLsn }) };
}

/** How the WAL of a server is laid out. */
export async function walShape(use: NodeUse): Promise<WalShape> {
  return shapeIn(await controlFields(use));
}

export interface WalShape {
  segmentBytes: number;
  pageBytes: number;
}

function shapeIn(fields: ReadonlyMap<string, string>): WalShape {
  const of = (name: string): number => Number(fields.get(name));
  return { segmentBytes: of('Bytes per WAL segment'), pageBytes: of('WAL block size') };
}

/** LC_ALL=C: its words are those of the sources (src/bin/pg_controldata). */
export async function controlFields(use: NodeUse): Promise<Map<string, string>> {
  const as = await ownerOf(use);
  const program = join(await binariesOf(use), 'pg_controldata');
  const options = { signal: use.run.signal, ...(as ? { as } : {}) };
  const { code, stdout, stderr } = await runCommand(program, ['-D', use.node.dataDir], options);
  if (code === 0) {
    const lines = stdout.split('\n').map((line) => /^([^:]+):\s*(.*)$/.exec(line));
    return new Map(lines.flatMap((match) => (match ? [[match[1] ?? '', match[2] ?? '']] : [])));
  }
  throw failure('Integrity', `pg_control of ${use.name} cannot be read: ${stderr.trim().split('\n').at(-1) ?? ''}`, {
    place: use.node.dataDir,
    expected: 'exit 0 of pg_controldata',
    found: `exit ${code ?? 'by a signal'}`,
    hint: `${program} -D ${use.node.dataDir}`,
  });
}

interface CheckpointPlace extends WalShape {
  timeline: number;
  lsn: string;
}

/**
 * First byte behind the record of the latest checkpoint. Its length differs from version to version and stands at its
 * beginning (src/include/access/xlogrecord.h, xl_tot_len), which a page never parts.
 */
async function checkpointEnd({ node }: NodeUse, at: CheckpointPlace): Promise<string | undefined> {
  const { timeline, lsn, segmentBytes, pageBytes } = at;
  const start = parseLsn(lsn);
  const path = join(node.dataDir, 'pg_wal', segmentName(timeline, start, segmentBytes));
  const length = Buffer.alloc(4);
  try {
    const file = await open(path, 'r');
    try {
      const { bytesRead } = await file.read(length, 0, 4, Number(start % BigInt(segmentBytes)));
      if (bytesRead < 4) return undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return formatLsn(recordEnd(start, length.readUInt32LE(0), { segmentBytes, pageBytes }));
}
