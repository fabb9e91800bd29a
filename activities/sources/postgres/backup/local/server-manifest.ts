import { createHash } from 'node:crypto';
import type { FileTree } from '../../../../../workflows/model/manifest.ts';
import { manifestPath } from '../backup-manifest.ts';

export interface ManifestFacts {
  systemId: string;
  serverVersion: number;
  timeline: number;
  startLsn: string;
  stopLsn: string;
  trees: FileTree[];
}

const LINES = 1_000;

/**
 * The backup manifest as the server would write it (manual, "Backup Manifest Format"): pg_verifybackup and the server's own
 * incremental backups want it. In pieces, because there may be millions of files.
 */
export function* backupManifest(facts: ManifestFacts): Generator<Buffer> {
  const hash = createHash('sha256');
  for (const text of bodyOf(facts)) {
    const bytes = Buffer.from(text);
    hash.update(bytes);
    yield bytes;
  }
  yield Buffer.from(`"Manifest-Checksum": "${hash.digest('hex')}"}\n`);
}

function* bodyOf({ systemId, serverVersion, timeline, startLsn, stopLsn, trees }: ManifestFacts): Generator<string> {
  // Version 2 names the cluster; servers before 17 do not know it.
  const head = serverVersion >= 170_000 ? `2,\n"System-Identifier": ${systemId}` : '1';
  yield `{ "PostgreSQL-Backup-Manifest-Version": ${head},\n"Files": [`;
  let lines: string[] = [];
  let separator = '\n';
  for (const line of fileLines(trees)) {
    lines.push(separator, line);
    separator = ',\n';
    if (lines.length < LINES) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');
  yield `\n],\n"WAL-Ranges": [\n`;
  yield `{ "Timeline": ${timeline}, "Start-LSN": "${startLsn}", "End-LSN": "${stopLsn}" }\n],\n`;
}

function* fileLines(trees: FileTree[]): Generator<string> {
  for (const tree of trees) {
    for (const file of tree.files) {
      if (file.type !== 'file') continue;
      const sum = Buffer.alloc(4);
      sum.writeUInt32LE(file.crc32c ?? 0);
      const modified = file.mtime.replace('T', ' ').replace(/(\.\d+)?Z$/, ' GMT');
      yield (
        `{ "Path": ${JSON.stringify(manifestPath(tree, file))}, "Size": ${file.bytes}, "Last-Modified": "${modified}", ` +
        `"Checksum-Algorithm": "CRC32C", "Checksum": "${sum.toString('hex')}" }`
      );
    }
  }
}
