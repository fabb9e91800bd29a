import type { Unread } from '../../../../../workflows/model/forensic.ts';
import type { DamagedPage, FileEntry, FileSlice, FileTree, PartRef } from '../../../../../workflows/model/manifest.ts';
import { isoTime } from '../../../../io/clock.ts';
import { crc32cCombine } from '../../../../io/crc32c.ts';
import type { Run } from '../../../../io/run.ts';
import { threadModule } from '../../../../io/thread.ts';
import type { PartSink } from '../../../part-sink.ts';
import type { PartNumbers } from '../packer.ts';
import type { SumForm } from './block-sums.ts';
import { SUM_BYTES } from './block-sums.ts';
import type { ListedTree, LocalFile } from './list-files.ts';
import type { PartLimits, PlannedPart } from './part-pieces.ts';
import { planParts } from './part-pieces.ts';
import type { ReadJob, ReadSaid, UnreadRange } from './read-part.ts';

const READ_PART = threadModule('read-part', import.meta.url).href;
/** More than anybody looks at, and a manifest stays small however bad the disk is. */
const MOST_DAMAGED = 10_000;

export interface ReadUse {
  out: PartSink;
  trees: ListedTree[];
  limits: PartLimits;
  /** LSN at which the backup started; absent when the cluster has no page checksums. */
  since?: bigint;
  maxRateBytes?: number;
  run: Run;
  /** Of the parts, which others of the same backup are numbered by too. */
  numbers: PartNumbers;
  /** How sums of pages are made; absent when none are wanted. */
  form?: SumForm;
  /** Nobody writes to the files: what cannot be read of them is zeros, and told. */
  asFound?: true;
}

export interface FilesRead {
  parts: PartRef[];
  trees: FileTree[];
  damaged: DamagedPage[];
  /** Highest LSN of a page that was passed over, and whose it is. */
  newest?: { lsn: bigint; tree: string; path: string };
  /** What could not be read of files that are taken as found: how many ranges, and the first of them; absent when there is none. */
  unread?: { count: number; first: Unread[] };
  /** What each file of the trees was listed as, with the sums of its pages where they are wanted. */
  origins: Map<FileEntry, LocalFile>;
}

/** Reads every listed file into parts, several at a time, in threads. Files that are gone meanwhile are not in the result. */
export async function readFiles(use: ReadUse): Promise<FilesRead> {
  const { out, run, form } = use;
  const gathered = new Gathering(use.trees, use.limits.pageBytes);
  const parts = planParts(use.trees, { ...use.limits, ...(form ? { sums: true } : {}) }, use.numbers);
  const refs: PartRef[] = [];
  const totalBytes = use.trees.reduce(
    (sum, { files }) => sum + files.reduce((bytes, file) => bytes + bytesToRead(file, use.limits), 0),
    0,
  );
  const startedMs = run.clock.nowMs();
  let doneBytes = 0;
  let failed: { error: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (const planned of parts) {
      if (failed) return;
      run.signal.throwIfAborted();
      const job: ReadJob = {
        pieces: planned.pieces,
        pageBytes: use.limits.pageBytes,
        ...(use.since === undefined ? {} : { since: String(use.since) }),
        ...(form ? { key: form.key } : {}),
        ...(use.asFound ? { asFound: true } : {}),
      };
      const { part, said } = await out.fill<ReadSaid>(planned.number, { module: READ_PART, job });
      gathered.add(planned, said);
      gathered.addUnread(planned, said.unread);
      refs.push(part);
      doneBytes += part.bytes;
      run.progress({ phase: 'copy', doneBytes, totalBytes });
      await keepRate(use, doneBytes, startedMs);
    }
  };
  const workers = Array.from({ length: out.parallel }, () =>
    work().catch((error: unknown) => void (failed ??= { error })),
  );
  await Promise.all(workers);
  if (failed) throw failed.error;
  return { parts: refs.sort((a, b) => a.number - b.number), ...gathered.result() };
}

function bytesToRead({ bytes, changed }: LocalFile, { pageBytes }: PartLimits): number {
  return changed ? changed.length * pageBytes : bytes;
}

async function keepRate({ maxRateBytes, run }: ReadUse, doneBytes: number, startedMs: number): Promise<void> {
  if (maxRateBytes === undefined) return;
  const dueMs = startedMs + (doneBytes / maxRateBytes) * 1000;
  const waitMs = dueMs - run.clock.nowMs();
  if (waitMs > 0) await run.clock.sleep(waitMs, run.signal);
}

/** Entries of the manifest, put together from what the threads say of pieces that come in any order. */
class Gathering {
  readonly #trees: FileTree[];
  readonly #listed: ListedTree[];
  readonly #pageBytes: number;
  readonly #gone = new Set<FileEntry>();
  readonly #damaged: DamagedPage[] = [];
  #newest: FilesRead['newest'];
  #unread: FilesRead['unread'];

  constructor(trees: ListedTree[], pageBytes: number) {
    this.#listed = trees;
    this.#pageBytes = pageBytes;
    this.#trees = trees.map(({ id, root, files }) => ({
      ...{ id, ...(id === 'base' ? {} : { location: root }) },
      files: files.map(({ path, type, mode, mtimeMs }) => ({
        ...{ path, type, mode, mtime: isoTime(mtimeMs), bytes: 0 },
        ...(type === 'file' ? { crc32c: 0, slices: [] } : {}),
      })),
    }));
  }

  add({ number, pieces, owners }: PlannedPart, { sums, pageSums, damaged, newest }: ReadSaid): void {
    let at = 0;
    for (const [index, { bytes, position }] of pieces.entries()) {
      const { file, slice } = this.#owned(owners[index]);
      const crc32c = sums[index];
      if (crc32c === undefined) {
        this.#gone.add(file);
        continue;
      }
      (file.slices ??= [])[slice] = { part: number, at, bytes, crc32c };
      const known = pageSums.get(index);
      if (known) this.#keepSums(this.#local(owners[index]), position, known);
      at += bytes;
    }
    for (const { piece, block } of damaged) {
      const { tree, file } = this.#owned(owners[piece]);
      if (this.#damaged.length < MOST_DAMAGED) this.#damaged.push({ tree: tree.id, path: file.path, block });
    }
    if (newest === undefined || BigInt(newest.lsn) <= (this.#newest?.lsn ?? 0n)) return;
    const { tree, file } = this.#owned(owners[newest.piece]);
    this.#newest = { lsn: BigInt(newest.lsn), tree: tree.id, path: file.path };
  }

  addUnread({ owners }: PlannedPart, ranges: readonly UnreadRange[] = []): void {
    for (const { piece, ...range } of ranges) {
      const { tree, file } = this.#owned(owners[piece]);
      this.#unread ??= { count: 0, first: [] };
      this.#unread.count += 1;
      const { first } = this.#unread;
      if (first.length < MOST_DAMAGED) first.push({ tree: tree.id, path: file.path, ...range });
    }
  }

  result(): Omit<FilesRead, 'parts'> {
    const origins = this.#origins();
    const trees = this.#trees.map((tree) => ({ ...tree, files: tree.files.filter((file) => !this.#gone.has(file)) }));
    for (const file of trees.flatMap(({ files }) => files)) sumUp(file);
    return {
      ...{ trees, origins, damaged: this.#damaged },
      ...(this.#newest ? { newest: this.#newest } : {}),
      ...(this.#unread ? { unread: this.#unread } : {}),
    };
  }

  /** What was read may be newer than what was compared: the sums are those of what is in the backup. */
  #keepSums(file: LocalFile, position: number, sums: Uint8Array): void {
    file.sums ??= new Uint8Array((file.bytes / this.#pageBytes) * SUM_BYTES);
    file.sums.set(sums, (position / this.#pageBytes) * SUM_BYTES);
  }

  #local(owner: PlannedPart['owners'][number] | undefined): LocalFile {
    const { tree, file } = owner as PlannedPart['owners'][number];
    return this.#listed[tree]?.files[file] as LocalFile;
  }

  #origins(): Map<FileEntry, LocalFile> {
    const origins = new Map<FileEntry, LocalFile>();
    for (const [tree, { files }] of this.#trees.entries()) {
      for (const [index, file] of files.entries()) {
        if (!this.#gone.has(file)) origins.set(file, this.#local({ tree, file: index, slice: 0 }));
      }
    }
    return origins;
  }

  #owned(owner: PlannedPart['owners'][number] | undefined): { tree: FileTree; file: FileEntry; slice: number } {
    const { tree: treeIndex, file: fileIndex, slice } = owner as PlannedPart['owners'][number];
    const tree = this.#trees[treeIndex] as FileTree;
    return { tree, file: tree.files[fileIndex] as FileEntry, slice };
  }
}

/** Pieces that stand one behind the other in a part are one slice. */
function joined(slices: FileSlice[]): FileSlice[] {
  const joined: FileSlice[] = [];
  for (const { ...slice } of slices) {
    const last = joined.at(-1);
    if (last?.part !== slice.part || last.at + last.bytes !== slice.at) joined.push(slice);
    else {
      last.crc32c = crc32cCombine(last.crc32c, slice.crc32c, slice.bytes);
      last.bytes += slice.bytes;
    }
  }
  return joined;
}

function sumUp(file: FileEntry): void {
  if (file.slices) file.slices = joined(file.slices);
  for (const { bytes, crc32c } of file.slices ?? []) {
    file.crc32c = file.bytes === 0 ? crc32c : crc32cCombine(file.crc32c ?? 0, crc32c, bytes);
    file.bytes += bytes;
  }
}
