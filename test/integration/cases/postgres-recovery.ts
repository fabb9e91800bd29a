import type { PortedCase } from './case.ts';

/** PostgreSQL's src/test/recovery: what an archive recovery must do, and what it must refuse. */
export const POSTGRES_RECOVERY: readonly PortedCase[] = [
  {
    from: 'recovery/001',
    checks: 'a slot keeps what a receiver has not confirmed, over a restart of either',
    where: 'faults/wal-shipping: the server is restarted, and killed, while it is streamed from',
  },
  {
    from: 'recovery/002',
    checks: 'WAL and history files come back through restore_command, after a promotion too',
    where: 'integration/recovery-moments: a second recovery after a first, along the new timeline and along the old',
  },
  {
    from: 'recovery/002',
    checks: 'what restore_command cannot get is told apart from what is not there',
    where: 'faults/restore-damage: a store that cannot be asked is waited for, and never taken for the end of WAL',
  },
  {
    from: 'recovery/003',
    checks: 'immediate, time, xid, name and LSN stop where they say',
    where: 'integration/recovery-targets: each kind of target gives exactly the rows of its moment',
  },
  {
    from: 'recovery/003',
    checks: 'two targets at once are refused',
    where: 'unit/model-target: targets: what would silently mean another one is refused',
  },
  {
    from: 'recovery/003',
    checks: 'WAL that ends before the target is an error, not a shorter history',
    where: 'integration/recovery-targets: a target beyond the end of the WAL is refused by the server and told as such',
  },
  {
    from: 'recovery/003',
    checks: 'what is wrong in a target is refused before the server starts',
    where: 'integration/bad-input: restores that cannot be',
  },
  {
    from: 'recovery/004',
    checks: 'a receiver goes on along the new timeline after a promotion',
    where: 'faults/wal-shipping: a standby is promoted under the stream: it follows to the new timeline',
  },
  {
    from: 'recovery/005',
    checks: 'recovery that was paused by somebody goes on to its target',
    where:
      'integration/recovery-moments: a copy that somebody pauses on its way is waited for, and goes on to its target',
  },
  {
    from: 'recovery/007',
    checks: 'a commit waits for the receiver that is named, and for no other',
    where: 'integration/synchronous-commit: commits wait while nothing streams, and go on when it does',
  },
  {
    from: 'recovery/009',
    checks: 'prepared transactions come back as such, with their locks, and can be ended',
    where:
      'integration/recovery-content: prepared transactions and their locks survive; files belong to the user of the server',
  },
  {
    from: 'recovery/009',
    checks: 'a moment between PREPARE and COMMIT PREPARED',
    where:
      'integration/recovery-moments: a moment between PREPARE and COMMIT PREPARED has the transaction prepared, and it can be finished there',
  },
  {
    from: 'recovery/011',
    checks: 'what was in progress when the server was killed is not there afterwards',
    where:
      'faults/restore-interrupted: the recovering server is killed too: the repeat starts it again and reaches the same target',
  },
  {
    from: 'recovery/013',
    checks: 'a server that is killed while it is used comes back, and what used it says so',
    where: 'integration/postgres-backup: the server dies in the middle: Unavailable, and nothing hangs',
  },
  {
    from: 'recovery/014',
    checks: 'unlogged relations are empty after a recovery, and can be used',
    where: 'integration/recovery-content: contents of every kind are those of the source at the target',
  },
  {
    from: 'recovery/015',
    checks: 'a copy that is promoted and killed at once has whole pages',
    where:
      'integration/recovery-moments: a copy that is stopped between replay and open goes to its target again and opens',
  },
  {
    from: 'recovery/016',
    checks: 'no session before the copy is consistent',
    where: 'faults/restore-damage: WAL of the base backup itself is missing: the recovery fails and says so',
  },
  {
    from: 'recovery/017',
    checks: 'two servers never run on one data directory',
    where:
      'integration/restore-in-place: a running server, another cluster, and a WAL folder of an earlier try are refused, and nothing is touched',
  },
  {
    from: 'recovery/019',
    checks: 'a slot that max_slot_wal_keep_size invalidates is told at once',
    where: 'faults/wal-holes: a slot that max_slot_wal_keep_size invalidated is a hole; only what was told is passed',
  },
  {
    from: 'recovery/020',
    checks: 'the copy of a server does not archive again what its source archived',
    where:
      'integration/recovery-isolation: a copy never archives into, cleans, streams from or waits for what its source names',
  },
  {
    from: 'recovery/023',
    checks: 'a prepared transaction from before the base is there at the target',
    where:
      'integration/recovery-moments: a moment between PREPARE and COMMIT PREPARED has the transaction prepared, and it can be finished there',
  },
  {
    from: 'recovery/025',
    checks: 'a stream is never stuck on a timeline that has ended',
    where: 'faults/wal-shipping: a standby is promoted under the stream: it follows to the new timeline',
  },
  {
    from: 'recovery/028',
    checks: 'WAL wanted on one timeline stands in a segment of the next',
    where: 'unit/model-choose: choice: legs change the timeline at the segment of the switch',
  },
  {
    from: 'recovery/028',
    checks: 'recovery along an old timeline while a newer one exists',
    where: 'integration/recovery-moments: a second recovery after a first, along the new timeline and along the old',
  },
  {
    from: 'recovery/033',
    checks: 'a tablespace of the source is never touched by the copy',
    where: "integration/recovery-content: tablespaces go where the plan says, and the source's stay untouched",
  },
  {
    from: 'recovery/035',
    checks: 'a base of a standby, and of a primary that was one',
    where: 'integration/recovery-isolation: a base that was taken of a standby becomes a cluster of its own',
  },
  {
    from: 'recovery/037',
    checks: 'a database whose DROP was cut off is named, and fails the proof',
    where: 'faults/restore-damage: a database that was being dropped at the target fails the proof, which names it',
  },
  {
    from: 'recovery/039',
    checks: 'WAL that ends in the middle of a record ends there; a hole is not the end',
    where: 'faults/restore-damage: a WAL segment that is missing is a failure, not an early end',
  },
  {
    from: 'recovery/040',
    checks: 'slots, subscriptions and what streams do not come along',
    where:
      'integration/recovery-isolation: subscriptions of the source do not run on the copy: they would take over its slot at the publisher',
  },
  {
    from: 'recovery/042',
    checks: 'backup_label and tablespace_map stand in the copy byte for byte',
    where: 'integration/local-backup: files read here are what the server would send, by its own verdict',
  },
  {
    from: 'recovery/042',
    checks: 'a copy without its label is never started',
    where: 'integration/vault-attacks: refused: a backup whose bytes are not those its files were made of',
  },
  {
    from: 'recovery/045',
    checks: 'recovery that was ended goes on from its last restartpoint',
    where:
      'faults/restore-interrupted: the recovering server is killed too: the repeat starts it again and reaches the same target',
  },
  {
    from: 'recovery/050, 052',
    checks: 'the segment of the checkpoint or of its redo is missing',
    where: 'faults/restore-damage: WAL of the base backup itself is missing: the recovery fails and says so',
  },
  {
    from: 'recovery/031',
    checks: 'a table that a transaction of the source locks is named instead of waited for',
    where: 'integration/recovery-held: a table that a prepared transaction locks is not waited for, and is named',
  },
  {
    from: 'recovery/024',
    checks: 'WAL of wal_level = minimal cannot be recovered over: it is a hole',
    where: 'faults/wal-minimal: WAL of wal_level = minimal is a hole, although the server has all of it',
  },
  {
    from: 'recovery/025',
    checks: 'the stream goes to the standby that was promoted, and never back',
    where:
      'faults/wal-failover: a stream goes over to the standby that was promoted, although the old primary writes on, and never back',
  },
  {
    from: 'recovery/003',
    checks: 'the base is chosen so that the transaction or restore point lies behind it',
    where: 'integration/wal-targets: the base that leads to a transaction or a restore point',
  },
  {
    from: 'recovery/033',
    checks: 'a tablespace that is younger than the base is made inside the copy',
    where:
      "integration/recovery-new-tablespace: a tablespace that is younger than the base is made in the copy, not at its source's place",
  },
  {
    from: 'recovery/053',
    checks: 'a login trigger of the source keeps nobody of ours out',
    where: 'integration/recovery-sessions: what the source does to its sessions does not change what a proof reads',
  },
  {
    from: 'recovery/002, 020',
    checks: 'archive_command hears success only when the file is durable',
    where: 'integration/wal-archive: every file is in the vault before the server lets go of it',
  },
];
