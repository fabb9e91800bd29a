import type { PortedCase } from './case.ts';

/** Scenarios of pg_probackup and WAL-G that are more than contents. */
export const OTHER_TOOLS: readonly PortedCase[] = [
  {
    from: 'pg_probackup restore: restore_to_time',
    checks: 'to a moment, with every acknowledged write before it and none after',
    where: 'integration/recovery-moments: every acknowledged write before the moment is there, and none after it',
  },
  {
    from: 'pg_probackup restore: restore_to_xid_inclusive, restore_to_lsn_not_inclusive',
    checks: 'inclusive and exclusive, by each kind of target',
    where: 'integration/recovery-targets: each kind of target gives exactly the rows of its moment',
  },
  {
    from: 'pg_probackup restore: restore_to_specific_timeline',
    checks: 'along a timeline that was left',
    where: 'integration/recovery-moments: a second recovery after a first, along the new timeline and along the old',
  },
  {
    from: 'pg_probackup restore: restore_with_tablespace_mapping_1',
    checks: 'tablespaces to new places; a place that holds something is refused',
    where: 'integration/bad-input: restores that cannot be',
  },
  {
    from: 'pg_probackup restore: restore_with_missing_or_corrupted_tablespace_map',
    checks: 'a tablespace that no map names fails the backup',
    where: 'unit/tablespace-map: a tablespace that the server names and that was not read fails the backup',
  },
  {
    from: 'pg_probackup restore: restore_chain_with_corrupted_backup',
    checks: 'a chain with a broken link: which one, and what can be restored instead',
    where: 'integration/incremental-cli: a point whose chain is broken',
  },
  {
    from: 'pg_probackup restore: zags_block_corrupt',
    checks: 'damaged blocks of a table are found by the proof',
    where: 'faults/restore-damage: a damaged page of ',
  },
  {
    from: 'pg_probackup restore: lost_non_data_file',
    checks: 'a file that is missing in the backup fails it',
    where: 'integration/vault-attacks: refused: ',
  },
  {
    from: 'pg_probackup restore: concurrent_restore',
    checks: 'two restores into one directory: one of them',
    where: 'faults/two-at-once: a backup is taken while the source is restored, and one directory takes one restore',
  },
  {
    from: 'pg_probackup restore: drop_postgresql_auto_conf',
    checks: 'settings of an earlier recovery in the files of the source',
    where:
      'integration/recovery-isolation: leftovers of an earlier recovery in the files of the source do not become a second target',
  },
  {
    from: 'pg_probackup restore: pg_11_group_access',
    checks: 'files get the rights of their owner alone',
    where: 'unit/restore-parts: files come out of their parts with every byte and only the rights of their owner',
  },
  {
    from: 'pg_probackup restore: restore_backup_from_future',
    checks: 'a backup of a newer format or server is refused',
    where: 'integration/vault-attacks: refused: ',
  },
  {
    from: 'pg_probackup backup: backup_detect_corruption, backup_detect_invalid_block_header',
    checks: 'damaged pages by file and block, headers too',
    where: 'unit/page-checksum: wrong pages are found, new ones and those of the backup itself are passed over',
  },
  {
    from: 'pg_probackup backup: backup_truncate_misaligned',
    checks: 'files whose length is no number of pages',
    where:
      'integration/local-backup: parts smaller than a file split it between pages, and files of odd lengths stay whole',
  },
  {
    from: 'pg_probackup backup: sigint_handling, sigterm_handling',
    checks: 'a backup that is told to end leaves nothing',
    where: 'integration/demo: leaves nothing behind',
  },
  {
    from: 'pg_probackup backup: backup_with_least_privileges_role',
    checks: 'a role with replication alone, and what it lacks by name',
    where: 'integration/postgres-check: a good server passes every check, a plain role is told what it lacks',
  },
  {
    from: 'pg_probackup backup: parent_choosing_1, parent_choosing_2',
    checks: 'the parent is the newest point that can be read, or none',
    where:
      'unit/model-chain: parent: nothing is built beside a newer point that cannot be read; an older one is nobody’s business',
  },
  {
    from: 'pg_probackup backup: missing_replication_permission',
    checks: 'a line for pg_hba.conf in the message',
    where: 'unit/postgres-failures: the line for pg_hba.conf fits the way we come',
  },
  {
    from: 'pg_probackup backup: pg_stop_backup_missing_permissions',
    checks: 'a function that was taken away is asked back',
    where: 'integration/postgres-check: a function that was taken away is asked back by its name',
  },
  {
    from: 'pg_probackup backup: persistent_slot_for_stream_backup',
    checks: 'the WAL of a backup is kept until it is stored',
    where:
      'faults/wal-lost-in-backup: a hole that an overtaken upload leaves is none: the backup waits until it is filled',
  },
  {
    from: 'pg_probackup validate: basic_validate_corrupted_intermediate_backup',
    checks: 'a damaged point hides no other',
    where: 'integration/vault-attacks: refused: a damaged point is reported, and hides no other',
  },
  {
    from: 'pg_probackup validate: validate_corrupt_wal_1, validate_wal_lost_segment_1',
    checks: 'lost WAL: what can be reached, and what not',
    where:
      'unit/model-choose: choice: what lies outside of the WAL is refused with the windows and the nearest moments',
  },
  {
    from: 'pg_probackup validate: validate_corrupt_wal_between_backups',
    checks: 'a hole between two bases: the second goes on',
    where: 'unit/model-choose: choice: a hole ends what its base reaches; the base behind it goes on',
  },
  {
    from: 'pg_probackup validate: validate_target_lsn',
    checks: 'a target inside the base backup',
    where: 'integration/recovery-moments: a target that never comes is refused, and so is one inside the base backup',
  },
  {
    from: 'pg_probackup incr_restore: basic_incr_restore_sanity',
    checks: 'only a copy of the same cluster is restored in place',
    where:
      'integration/restore-in-place: a running server, another cluster, and a WAL folder of an earlier try are refused, and nothing is touched',
  },
  {
    from: 'pg_probackup incr_restore: incr_checksum_corruption_detection',
    checks: 'damage in the old files is mended, not kept',
    where:
      'integration/restore-in-place: a damaged copy is made whole where it stands: only what differs is fetched, and its WAL is kept',
  },
  {
    from: 'pg_probackup merge: continue_failed_merge',
    checks: 'putting a chain together, killed at every stage',
    where:
      'faults/restore-chain: a process that puts a chain together is killed at every stage: the next goes on to the same files',
  },
  {
    from: 'pg_probackup archive: pgpro434_2',
    checks: 'recoveries and promotions one after the other, each new history apart',
    where: 'integration/recovery-moments: a second recovery after a first, along the new timeline and along the old',
  },
  {
    from: 'pg_probackup archive: archive_push_file_exists',
    checks: 'the same bytes again are fine, others are refused',
    where: 'faults/wal-shipping: objects that are stored twice are told apart from two histories',
  },
  {
    from: 'pg_probackup archive: archiving_and_slots',
    checks: 'the slot keeps WAL only until it is durable in the vault',
    where: 'integration/wal-shipping: a restart goes on without a hole and stores nothing twice',
  },
  {
    from: 'pg_probackup archive: archive_get_prefetch_corruption',
    checks: 'what was fetched ahead is never taken half',
    where: 'unit/restore-command: a segment that is ready is taken at once, and nothing is asked',
  },
  {
    from: 'pg_probackup archive: hexadecimal_timeline',
    checks: 'timelines beyond 9',
    where: 'unit/model-lsn: segments: names as the server gives them (pg_walfile_name)',
  },
  {
    from: 'pg_probackup archive: multi_timeline_recovery_prefetching',
    checks: 'fetching ahead over a switch of timelines',
    where: 'unit/model-choose: choice: legs change the timeline at the segment of the switch',
  },
  {
    from: 'pg_probackup replica: instance_from_the_past',
    checks: 'a server with older WAL of the same system is refused',
    where: 'integration/wal-shipping: another server that writes the same timeline is refused',
  },
  {
    from: 'pg_probackup locking: locking_running_validate_1',
    checks: 'two orders of the same thing are one run',
    where: 'faults/two-at-once: the same backup asked for twice is one run; another one beside it is as good',
  },
  {
    from: 'pg_probackup exclude: exclude_temp_files, exclude_unlogged_tables_1, exclude_log_dir',
    checks: 'temporary files, contents of unlogged tables and stale state stay out',
    where: 'integration/local-backup: files read here are what the server would send, by its own verdict',
  },
  {
    from: 'pg_probackup checkdb: checkdb_amcheck_only_sanity',
    checks: 'structure by amcheck, without leaving the extension behind',
    where: 'integration/recovery-content: contents of every kind are those of the source at the target',
  },
  {
    from: 'wal-g full_backup',
    checks: 'seed, backup, wreck, restore, compare by pg_dump and amcheck',
    where: 'integration/ported-contents: contents of the ported cases come back as pg_dump sees them at the source',
  },
  {
    from: 'wal-g crypto',
    checks: 'nothing readable in the store; a wrong key opens nothing',
    where: 'integration/vault-keys: with the root key, a planted key file does not open, whoever signed what',
  },
  {
    from: 'wal-g ghost_table',
    checks: 'a file without a relation, left by a crash, does no harm',
    where: 'integration/local-backup: files read here are what the server would send, by its own verdict',
  },
  {
    from: 'wal-g wal_restore',
    checks: 'WAL from the store by a program without Lifeboat',
    where: 'integration/read-backup-attacks: read-backup.py exports WAL up to the first hole, and names it',
  },
  {
    from: 'wal-g prefetch',
    checks: 'segments fetched ahead end with the recovery',
    where:
      'unit/restore-feeder: nothing is fed any more once the work is over: what is under way is waited for, and written nowhere',
  },
  {
    from: 'wal-g receive_wal',
    checks: 'WAL by streaming alone, through restarts',
    where:
      'integration/wal-shipping: what is in the vault is byte for byte what the server wrote, and whole chunks replace pieces',
  },
  {
    from: 'wal-g delete_end_to_end',
    checks: 'an object that appears late never makes half a backup',
    where:
      'faults/vault-store-faults: a publish that was given up at any call happens after the discard: it is a whole point, or none',
  },
  {
    from: 'wal-g full_backup_streamed, remote_backup',
    checks: 'without a file of the server in reach',
    where: 'integration/local-backup: where the files cannot be read the walsender sends them, unless that is refused',
  },
  {
    from: 'wal-g tablespace_restore_spec',
    checks: 'tablespaces to other places',
    where: "integration/recovery-content: tablespaces go where the plan says, and the source's stay untouched",
  },
  {
    from: 'pg_probackup archive: archive_push_sanity',
    checks: 'names, clusters and contents that do not fit are refused',
    where: 'integration/wal-archive: a duplicate is fine; other bytes, another cluster, other names are not',
  },
  {
    from: 'pg_probackup archive: archive_push_partial_file_exists',
    checks: 'unfinished segments and history files after a promotion',
    where: 'integration/wal-archive: a promotion: history, unfinished segment and the new timeline',
  },
  {
    from: 'pg_probackup archive: concurrent_archiving',
    checks: 'a backup of a source that archives instead of streaming',
    where:
      'integration/archive-backup: a source that cannot stream: archive_command fills the vault, a backup waits for it, a drill proves it',
  },
  {
    from: 'pg_probackup replica: take_backup_from_delayed_replica',
    checks: 'a standby that lags',
    where:
      'integration/standby-backup: a standby that lags is refused with its lag, or passed over where it is only preferred',
  },
  {
    from: 'pg_probackup replica: replica_promote',
    checks: 'a standby promoted in the middle of its backup',
    where:
      'integration/standby-backup: promoted meanwhile: nothing is kept, and the next attempt finds the primary of then',
  },
  {
    from: 'pg_probackup replica: replica_stop_lsn_null_offset',
    checks: 'a standby whose primary is idle',
    where: 'integration/standby-backup: what changed, of an idle cluster',
  },
  {
    from: 'wal-g partial_restore',
    checks: 'single files and relations out of a backup',
    where:
      'integration/selective-restore: a file, or a relation with all that belongs to it, out of a chain: the bytes that PostgreSQL itself would combine',
  },
  {
    from: 'wal-g archiving_ready_rename',
    checks: 'files that wait are brought ahead, and acknowledged when asked',
    where: 'integration/wal-archive: many segments in a row, with the time of their newest commit',
  },
  {
    from: 'wal-g daemon_client',
    checks: 'a helper without its daemon fails, and the server keeps the file',
    where: 'integration/wal-archive: no worker: the helper says so, and the server keeps the file until there is one',
  },
];
