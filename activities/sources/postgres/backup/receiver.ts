import { failure } from '../../../../workflows/model/failure.ts';
import type { FileEntry, FileTree } from '../../../../workflows/model/manifest.ts';
import type { BaseBackupSink, BaseBackupStart } from '../../../io/postgres/base-backup.ts';
import type { Run } from '../../../io/run.ts';
import type { ListedFile } from './backup-manifest.ts';
import { BackupManifestReader, manifestPath } from './backup-manifest.ts';
import type { Packer } from './packer.ts';
import { TarReader } from './tar.ts';

const PROGRESS_BYTES = 1 << 20;

/** Routes the stream: archives through the tar reader into the packer, the server's manifest into packer and comparison. */
export class Receiver implements BaseBackupSink {
  readonly #packer: Packer;
  readonly #run: Run;
  #start: BaseBackupStart | undefined;
  #tar: TarReader | undefined;
  #manifest: BackupManifestReader | undefined;
  #unlisted = new Map<string, FileEntry>();
  #doneBytes = 0;
  #saidBytes = 0;

  constructor(packer: Packer, run: Run) {
    this.#packer = packer;
    this.#run = run;
  }

  /** From here on bytes may have gone to the sink. */
  get hasBegun(): boolean {
    return this.#start !== undefined;
  }

  begin(start: BaseBackupStart): void {
    this.#start = start;
    this.#say();
  }

  archive(name: string): void {
    this.#tar?.end();
    const id = name.replace(/\.tar$/, '');
    this.#packer.startTree(id, this.#start?.tablespaces.get(id));
    this.#tar = new TarReader({
      // The root of a tree is not an entry of it.
      entry: (entry) => entry.path !== '' && this.#packer.startEntry(entry),
      content: (bytes) => this.#packer.add(bytes),
      done: () => this.#packer.endEntry(),
    });
  }

  manifest(): void {
    this.#tar?.end();
    this.#tar = undefined;
    this.#unlisted = filesByPath(this.#packer.trees);
    this.#manifest = new BackupManifestReader((listed) => this.#compare(listed));
    // pg_verifybackup and incremental backups want the server's own manifest in the data directory.
    const mtimeMs = this.#run.clock.nowMs();
    this.#packer.startEntry({ path: 'backup_manifest', type: 'file', mode: 0o600, mtimeMs }, 'base');
  }

  data(bytes: Buffer): void | Promise<void> {
    if (this.#manifest) {
      this.#manifest.push(bytes);
      this.#packer.add(bytes);
    } else if (this.#tar) {
      this.#tar.push(bytes);
    } else {
      throw failure('Integrity', 'base backup sends data before an archive');
    }
    this.#doneBytes += bytes.length;
    if (this.#doneBytes - this.#saidBytes >= PROGRESS_BYTES) this.#say();
    return this.#packer.room();
  }

  /** Every file that the server lists arrived with the bytes it read, and no other. */
  finish(): void {
    if (!this.#manifest) throw failure('Integrity', 'base backup came without a manifest');
    this.#manifest.end();
    this.#packer.endEntry();
    this.#say();
    const [extra] = this.#unlisted.keys();
    if (extra === undefined) return;
    throw failure('Integrity', `server sent ${extra}, which its manifest does not list`, {
      place: extra,
      found: `${this.#unlisted.size} such files`,
      hint: 'run the backup again',
    });
  }

  #compare(listed: ListedFile): void {
    const found = this.#unlisted.get(listed.path);
    this.#unlisted.delete(listed.path);
    if (found?.bytes === listed.bytes && found.crc32c === listed.crc32c) return;
    const say = (bytes: number, sum = 0): string => `${bytes} bytes, CRC-32C ${sum.toString(16).padStart(8, '0')}`;
    throw failure('Integrity', `${listed.path} is not what the server read`, {
      place: listed.path,
      expected: say(listed.bytes, listed.crc32c),
      found: found ? say(found.bytes, found.crc32c) : 'no such file in the stream',
      hint: 'run the backup again; if it repeats, check the network and the memory of both hosts',
    });
  }

  #say(): void {
    this.#saidBytes = this.#doneBytes;
    const totalBytes = Math.max(this.#start?.totalBytes ?? 0, this.#doneBytes);
    this.#run.progress({ phase: 'copy', doneBytes: this.#doneBytes, totalBytes });
  }
}

/** Regular files by the path that the server's manifest gives them. */
function filesByPath(trees: FileTree[]): Map<string, FileEntry> {
  const files = new Map<string, FileEntry>();
  for (const tree of trees) {
    for (const file of tree.files) if (file.type === 'file') files.set(manifestPath(tree, file), file);
  }
  return files;
}
