import { availableParallelism } from 'node:os';
import type { Run } from '../../../../io/run.ts';
import { threadModule } from '../../../../io/thread.ts';
import { runAll, Threads } from '../../../../io/threads.ts';
import type { SumForm } from './block-sums.ts';
import { SUM_BYTES } from './block-sums.ts';
import { isSummed } from './list-files.ts';
import type { ListedTree, LocalFile } from './list-files.ts';
import type { ParentSums } from './parent-sums.ts';
import type { Scanned, ScanJob } from './scan-file.ts';

/** What one thread compares at once. */
const SCAN_BYTES = 32 * 1024 * 1024;

interface Piece {
  file: LocalFile;
  job: ScanJob;
}

/**
 * Finds the pages that are not what the parent has, and notes them with the files: `changed`, and the sums of all pages. A
 * file that the parent does not have, or that is not made of whole pages, is left as it is: it is read whole. So it is, bytes
 * compared with bytes, whatever wrote them and whether or not it left a trace in the WAL.
 */
export class Changes {
  readonly #parent: ParentSums;
  readonly #form: SumForm;
  readonly #threads = new Threads<ScanJob, Scanned | undefined>(
    availableParallelism(),
    threadModule('scan-thread', import.meta.url),
  );

  constructor(parent: ParentSums, form: SumForm) {
    this.#parent = parent;
    this.#form = form;
  }

  /** The same trees with what was found; files that are gone meanwhile are not in them. */
  async find(trees: ListedTree[], run: Run): Promise<ListedTree[]> {
    const pieces: Piece[] = [];
    for (const tree of trees) {
      for (const file of tree.files)
        if (isSummed(file, this.#form.pageBytes)) pieces.push(...(await this.#piecesOf(tree, file)));
    }
    const gone = new Set<LocalFile>();
    await runAll(pieces, run.signal, async ({ file, job }, signal) => {
      const found = await this.#threads.run({ job, moved: [], signal });
      if (found) note(file, job, found);
      else gone.add(file);
    });
    for (const { file } of pieces) file.changed?.sort((a, b) => a - b);
    return trees.map((tree) => ({ ...tree, files: tree.files.filter((file) => !gone.has(file)) }));
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  async #piecesOf(tree: ListedTree, file: LocalFile): Promise<Piece[]> {
    const known = await this.#parent.of(tree.id, file.path);
    if (!known) return [];
    const { pageBytes } = this.#form;
    file.changed = [];
    file.sums = new Uint8Array((file.bytes / pageBytes) * SUM_BYTES);
    const pieces: Piece[] = [];
    for (let position = 0; position < file.bytes; position += SCAN_BYTES) {
      const bytes = Math.min(SCAN_BYTES, file.bytes - position);
      const [from, to] = [position, position + bytes].map((at) => (at / pageBytes) * SUM_BYTES);
      // Cloned with the job: no more of them than are of these pages.
      const job = { ...this.#form, path: `${tree.root}/${file.path}`, position, bytes, known: known.slice(from, to) };
      pieces.push({ file, job });
    }
    return pieces;
  }
}

function note(file: LocalFile, { position, pageBytes }: ScanJob, found: Scanned): void {
  for (const page of found.changed) file.changed?.push(page);
  file.sums?.set(found.sums, (position / pageBytes) * SUM_BYTES);
}
