import type { PortedCase } from './case.ts';

/** PostgreSQL's src/bin: pg_combinebackup, pg_verifybackup, pg_basebackup, pg_receivewal, pg_rewind. */
export const POSTGRES_TOOLS: readonly PortedCase[] = [
  {
    from: 'combinebackup/001',
    checks: 'a chain without its full backup, or with nothing in it',
    where: 'unit/model-chain: chain: broken by',
  },
  {
    from: 'combinebackup/002',
    checks: 'what is put together is byte for byte what pg_combinebackup makes',
    where: 'integration/incremental-chain: a chain comes out as pg_combinebackup makes it, and recovers',
  },
  {
    from: 'combinebackup/002',
    checks: 'and a backup put together recovers to the same moment as a full one',
    where: 'integration/ported-contents: contents of the ported cases come back as pg_dump sees them at the source',
  },
  {
    from: 'combinebackup/003',
    checks: 'an increment on top of a parent of the same history goes over a promotion',
    where:
      'integration/incremental-fallback: a chain across a switch of page checksums: a full backup; across a promotion: none',
  },
  {
    from: 'combinebackup/004',
    checks: 'the restored directory holds no manifest of another backup',
    where: 'integration/incremental-chain: a chain comes out as pg_combinebackup makes it, and recovers',
  },
  {
    from: 'combinebackup/005',
    checks: 'links of other systems, out of order, twice, or missing are refused',
    where: 'faults/restore-chain: a chain that does not fit together is refused before anything is touched',
  },
  {
    from: 'combinebackup/005',
    checks: 'a parent that cannot be read, or is damaged: a full backup that says so',
    where: 'integration/incremental-fallback: what changed cannot be had: a full backup instead, with the reason',
  },
  {
    from: 'combinebackup/006',
    checks: 'databases copied file by file between the backups',
    where: 'integration/ported-contents: contents of the ported cases come back as pg_dump sees them at the source',
  },
  {
    from: 'combinebackup/008',
    checks: 'a promotion between parent and increment',
    where:
      'integration/incremental-fallback: a chain across a switch of page checksums: a full backup; across a promotion: none',
  },
  {
    from: 'combinebackup/009',
    checks: 'changed blocks with nothing under them are refused',
    where: 'unit/increment-file: changed blocks are refused: nothing stands where they belong',
  },
  {
    from: 'combinebackup/010',
    checks: 'restoring leaves the stored backups as they were',
    where: 'integration/vault-attacks: an untouched backup verifies and gives back its bytes',
  },
  {
    from: 'combinebackup/011',
    checks: 'a relation cut to nothing, or just beyond a segment',
    where: 'unit/increment-file: changed blocks: generated files',
  },
  {
    from: 'verifybackup/001',
    checks: "a backup is good by the server's own verdict",
    where: "integration/postgres-backup: a backup is what the server sent, by the server's own verdict",
  },
  {
    from: 'verifybackup/002',
    checks: 'every file has its own checksum, whatever the server was asked for',
    where:
      'unit/postgres-backup-manifest: files come out wherever the manifest is cut, also from a read buffer that is used again',
  },
  {
    from: 'verifybackup/003',
    checks: 'a byte changed, a part cut, swapped, missing or too many: each refused',
    where: 'integration/vault-attacks: refused: ',
  },
  {
    from: 'verifybackup/003',
    checks: 'the same by a reader that shares no code with us',
    where: 'integration/read-backup-attacks: read-backup.py against ',
  },
  {
    from: 'verifybackup/003',
    checks: 'system identifiers that differ',
    where: 'faults/restore-chain: a chain that does not fit together is refused before anything is touched',
  },
  {
    from: 'verifybackup/005',
    checks: 'a manifest that is cut, malformed, or has a wrong sum of its own',
    where: 'unit/postgres-backup-manifest: a flipped byte anywhere is an Integrity failure',
  },
  {
    from: 'verifybackup/005',
    checks: 'each wrong line of a manifest has its message',
    where: 'unit/postgres-backup-manifest: refused: ',
  },
  {
    from: 'verifybackup/006',
    checks: 'file names that are no UTF-8 or need escapes',
    where: 'unit/postgres-tar: every member comes out, wherever the stream is cut',
  },
  {
    from: 'verifybackup/007',
    checks: 'a backup without the WAL that makes it consistent is none',
    where: 'integration/read-backup: refused: a backup whose WAL does not reach its end',
  },
  {
    from: 'verifybackup/007',
    checks: 'and is not published as one',
    where: 'faults/wal-lost-in-backup: a hole that opens while a backup waits for its WAL ends that wait, and is named',
  },
  {
    from: 'verifybackup/008, 010',
    checks: 'tar archives of the server read wherever they are cut',
    where: 'unit/postgres-tar: generated archives in generated chunks',
  },
  {
    from: 'basebackup/010',
    checks: 'what must not be in a backup is not in it; empty folders are',
    where: 'integration/local-backup: files read here are what the server would send, by its own verdict',
  },
  {
    from: 'basebackup/010',
    checks: 'a page with a wrong checksum is counted and named',
    where:
      'integration/local-backup: a page with a wrong checksum is reported by relation and block, and the rest is kept',
  },
  {
    from: 'basebackup/010',
    checks: 'tablespaces are mapped, whatever stands in their names',
    where: 'unit/tablespace-map: a path in tablespace_map may hold escaped line ends and backslashes',
  },
  {
    from: 'basebackup/010',
    checks: 'a target folder that holds something is refused',
    where:
      'faults/restore-interrupted: a directory with files is refused; set aside, it is kept until discard puts it back as it was',
  },
  {
    from: 'basebackup/010',
    checks: 'an end in the middle leaves no walsender, no slot, no half backup',
    where: 'integration/postgres-backup: an abort in the middle leaves no walsender behind',
  },
  {
    from: 'basebackup/010',
    checks: 'rights and settings that are missing are named before it begins',
    where: 'integration/postgres-backup: refused with the setting to change: ',
  },
  {
    from: 'basebackup/010',
    checks: 'a server that takes no more walsenders',
    where: 'integration/postgres-backup: refused with the setting to change: every walsender is in use',
  },
  {
    from: 'basebackup/010',
    checks: 'sizes beyond what octal digits hold',
    where: 'unit/postgres-tar: sizes beyond octal come in base 256',
  },
  {
    from: 'receivewal/020',
    checks: 'streaming goes on where it ended, without a gap or a byte twice',
    where: 'integration/wal-shipping: a restart goes on without a hole and stores nothing twice',
  },
  {
    from: 'receivewal/020',
    checks: 'nothing is confirmed to the server before it is durable',
    where:
      'faults/wal-shipping: store away while the database writes: nothing is reported durable, memory is bounded, then all is caught up',
  },
  {
    from: 'receivewal/020',
    checks: 'a partial segment becomes a whole one',
    where:
      'integration/wal-shipping: what is in the vault is byte for byte what the server wrote, and whole chunks replace pieces',
  },
  {
    from: 'receivewal/020',
    checks: 'it follows a timeline switch and keeps the history file',
    where:
      'integration/read-backup: WAL goes on through a promotion: history files, and the segment that two timelines share',
  },
  {
    from: 'rewind/001',
    checks: "only what differs is fetched, and the result is the source's",
    where:
      'integration/restore-in-place: a damaged copy is made whole where it stands: only what differs is fetched, and its WAL is kept',
  },
  {
    from: 'rewind/003',
    checks: 'files and folders that are too many go, those that are missing come',
    where:
      'integration/restore-in-place: a damaged copy is made whole where it stands: only what differs is fetched, and its WAL is kept',
  },
  {
    from: 'rewind/006',
    checks: 'a running server, or another cluster, is refused',
    where:
      'integration/restore-in-place: a running server, another cluster, and a WAL folder of an earlier try are refused, and nothing is touched',
  },
  {
    from: 'rewind/009',
    checks: 'an end in the middle can be taken up again',
    where: 'integration/restore-in-place: stopped in the middle and taken up again, and with changed blocks on top',
  },
  {
    from: 'rewind/010',
    checks: 'the WAL of the old directory is kept',
    where:
      'integration/restore-in-place: killed while the directory is taken out of use: the repeat finishes that, and keeps its WAL',
  },
  {
    from: 'combinebackup/007',
    checks: 'increments over a period of wal_level = minimal',
    where: 'faults/wal-minimal: WAL of wal_level = minimal is a hole, although the server has all of it',
  },
  {
    from: 'combinebackup/008',
    checks: 'a standby that is promoted while it is backed up',
    where:
      'integration/standby-backup: promoted meanwhile: nothing is kept, and the next attempt finds the primary of then',
  },
  {
    from: 'basebackup/011',
    checks: 'tablespaces in the data directory itself',
    where:
      'integration/recovery-new-tablespace: a tablespace in the data directory itself comes back where it was, whoever reads the files',
  },
];
