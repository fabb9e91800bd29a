import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Commit } from '../workflows/model/last-good.ts';
import type { Lsn } from '../workflows/model/lsn.ts';
import { compareLsn } from '../workflows/model/lsn.ts';
import { stretchesOf } from '../workflows/model/rejoin-choice.ts';
import type { TimelineSwitch } from '../workflows/model/wal.ts';
import { peerSlot } from '../workflows/model/cluster.ts';
import type { OldNode, Rewound, Salvage, WalTrace } from '../workflows/model/rejoin.ts';
import { claim } from './cluster/epoch.ts';
import { removeBeside } from './cluster/kept-files.ts';
import { withNode } from './cluster/node.ts';
import type { NodeUse } from './cluster/node.ts';
import { examine } from './cluster/old-node.ts';
import { evidenceFiles, ownWal } from './cluster/own-wal.ts';
import { quarantine } from './cluster/quarantine.ts';
import { nameRelations } from './cluster/relation-names.ts';
import { reseed } from './cluster/reseed.ts';
import { rewind } from './cluster/rewind.ts';
import { ensureSlot } from './cluster/slots.ts';
import { writeStandbyFiles } from './cluster/standby-files.ts';
import { trace } from './cluster/trace.ts';
import type { Deps } from './deps.ts';
import { translateFileError } from './io/file-failure.ts';
import type { MoverTask, NodeTask } from './nodes.ts';
import { nodeUse, onNode } from './nodes.ts';
import { useSource } from './use-source.ts';
import type { SourceUse } from './use-source.ts';
import { logOf } from './wal.ts';

/** Ends whatever server runs on the files of an old primary, and sees to it that the next one is a standby. */
export function quarantineNode(deps: Deps, task: MoverTask): Promise<{ ran: boolean }> {
  return onNode(deps, task, (use) => quarantine(use, task));
}

/** Where the primary is, how it came there, and its WAL of a range in digests. Nothing is changed. */
export function traceWal(deps: Deps, task: NodeTask & { range?: { fromLsn: Lsn; toLsn: Lsn } }): Promise<WalTrace> {
  return onNode(deps, task, (use) => trace(use, task.range));
}

/**
 * How a server that is down ended, as its files say. Nothing is changed. Precondition when one runs; live: then it says how it stands
 * at this moment.
 */
export function examineNode(deps: Deps, task: NodeTask & { now: WalTrace; live?: true }): Promise<OldNode> {
  return onNode(deps, task, (use) => examine(use, task.now, task.live));
}

export interface SalvageTask extends MoverTask {
  /** The primary, which knows names. */
  upstream: string;
  systemId: string;
  segmentBytes: number;
  timeline: number;
  ancestors: TimelineSwitch[];
  fromLsn: Lsn;
  endLsn?: Lsn;
}

const SHOWN = 20;

/**
 * Keeps in the vault what only this server has: its WAL from a position on, histories and control file, and the list of what was committed
 * there. A repeat keeps the same under the same names.
 */
export function salvageNode(deps: Deps, task: SalvageTask): Promise<Salvage> {
  return useSource(deps, task.source, async (source) => {
    const use = nodeUse(deps, task, source.run);
    const { run, vault } = source;
    const prefix = `salvage-${task.node}-${task.run}`;
    const [keys, hash] = [[] as string[], createHash('sha256')];
    let bytes = 0;
    for (const file of await evidenceFiles(use, task)) {
      run.signal.throwIfAborted();
      run.progress({ phase: 'keep what only it has', note: file.name, doneBytes: bytes });
      const content = await translateFileError(file.path, () => readFile(file.path));
      hash.update(`${file.name}:${createHash('sha256').update(content).digest('hex')};`);
      keys.push((await vault.putReport(`${prefix}-${file.name}`, content)).key);
      bytes += content.length;
    }
    const all = await nameRelations(use, task.upstream, await commitsOf(source, use, task));
    const list = Buffer.from(all.map((commit) => `${JSON.stringify(commit)}\n`).join(''));
    keys.push((await vault.putReport(`${prefix}-commits.jsonl`, list)).key);
    const { timeline, fromLsn, endLsn } = task;
    return {
      ...{ timeline, fromLsn, keys, bytes, hash: hash.digest('hex'), commits: all.length, first: all.slice(0, SHOWN) },
      ...(endLsn === undefined ? {} : { endLsn }),
    };
  });
}

/** Of those that its WAL can tell. */
async function commitsOf(source: SourceUse, use: NodeUse, task: SalvageTask): Promise<Commit[]> {
  const { systemId, segmentBytes } = task;
  const wal = await ownWal(use, task);
  const commits: Commit[] = [];
  for (const { timeline, from, to } of stretchesOf(task)) {
    if (to !== undefined && compareLsn(to, task.fromLsn) <= 0) continue;
    const fromLsn = compareLsn(from, task.fromLsn) > 0 ? from : task.fromLsn;
    const search = { systemId, segmentBytes, timeline, fromLsn, ...(to === undefined ? {} : { toLsn: to }) };
    for await (const batch of logOf(source).commits(wal, search)) commits.push(...batch);
  }
  return commits;
}

/** Takes back what a server wrote behind the fork; `ok: false` and why when only a new copy helps. */
export function rewindNode(deps: Deps, task: MoverTask & { upstream: string }): Promise<Rewound> {
  return onNode(deps, task, (use) => rewind(use, task));
}

/** Puts a new copy of the primary in the place of a node's files, which are kept beside. */
export function reseedNode(deps: Deps, task: MoverTask & { upstream: string }): Promise<{ old: string }> {
  return onNode(deps, task, (use) => reseed(use, task));
}

/** Makes a standby of a server that is down; its data stays as it is. */
export function prepareStandby(deps: Deps, task: MoverTask & { upstream: string }): Promise<void> {
  return onNode(deps, task, async (use) => {
    await claim(use, task);
    await writeStandbyFiles(use, task.upstream);
  });
}

/** The primary keeps from here on what `follower` will need. */
export function holdSlot(deps: Deps, task: NodeTask & { follower: string }): Promise<void> {
  return onNode(deps, task, (use) => withNode(use, (sql) => ensureSlot(sql, peerSlot(task.follower))));
}

/** Removes what was kept beside the files of a node that is proven to follow. */
export function tidyNode(deps: Deps, task: MoverTask): Promise<void> {
  return onNode(deps, task, async (use) => {
    await claim(use, task);
    await removeBeside(use);
  });
}
