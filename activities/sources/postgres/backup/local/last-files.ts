import type { FileTree, Identity, PartRef } from '../../../../../workflows/model/manifest.ts';
import type { ConfigFile } from '../config-files.ts';
import { addConfigFiles } from '../config-files.ts';
import type { BackupUse } from '../order.ts';
import { Packer, PartNumbers } from '../packer.ts';
import type { ControlFile } from './control-file.ts';
import { CONTROL_FILE } from './exclusions.ts';
import type { FilesRead } from './read-parts.ts';
import { backupManifest } from './server-manifest.ts';

export interface LastFiles {
  read: FilesRead;
  /** As it was when all else had been read. */
  control: ControlFile;
  identity: Identity;
  timeline: number;
  startLsn: string;
  stopLsn: string;
  /** backup_label and tablespace_map as the server gave them; the second is empty without tablespaces. */
  label: string;
  map: string;
  configFiles: ConfigFile[];
}

/** Adds what is known only when the backup has stopped, in parts behind the others (manual 25.3.4.1). */
export async function addLastFiles(
  { out, run }: BackupUse,
  last: LastFiles,
): Promise<{ parts: PartRef[]; trees: FileTree[] }> {
  const { read, control, identity, label, map } = last;
  const packer = new Packer(out, { numbers: new PartNumbers(read.parts.length), trees: read.trees });
  const mtimeMs = run.clock.nowMs();
  const add = (path: string, bytes: Buffer, stats = { mode: 0o600, mtimeMs }): void => {
    packer.startEntry({ path, type: 'file', ...stats }, 'base');
    packer.add(bytes);
    packer.endEntry();
  };
  try {
    add('backup_label', Buffer.from(label));
    if (map !== '') add('tablespace_map', Buffer.from(map));
    const { mode, mtimeMs: writtenMs } = control;
    add(CONTROL_FILE, control.bytes, { mode, mtimeMs: writtenMs });
    await addManifest(packer, { ...last, ...identity, trees: read.trees, mtimeMs });
    addConfigFiles(packer, last.configFiles);
    return { parts: [...read.parts, ...(await packer.finish())], trees: packer.trees };
  } finally {
    // Parts in flight must not outlive the attempt that wrote them.
    await packer.settle();
  }
}

async function addManifest(
  packer: Packer,
  facts: Parameters<typeof backupManifest>[0] & { mtimeMs: number },
): Promise<void> {
  const { mtimeMs } = facts;
  // Made of the files as they are now: it does not list itself.
  const pieces = backupManifest({ ...facts, trees: facts.trees.map((tree) => ({ ...tree, files: [...tree.files] })) });
  packer.startEntry({ path: 'backup_manifest', type: 'file', mode: 0o600, mtimeMs }, 'base');
  for (const piece of pieces) {
    packer.add(piece);
    await packer.room();
  }
  packer.endEntry();
}
