import type { Verb } from './verb.ts';

/** Every command of the CLI, in the order of the help. Adding one: a file in commands/ and a line here. */
export const VERBS: readonly Verb[] = [
  { name: 'init', summary: 'write a commented lifeboat.yml and make keys', load: () => import('./commands/init.ts') },
  {
    name: 'config check',
    summary: 'check the configuration and that every secret is there',
    load: () => import('./commands/config-check.ts'),
  },
  {
    name: 'config explain',
    summary: 'show every value in force and where it came from',
    load: () => import('./commands/config-explain.ts'),
  },
  {
    name: 'doctor',
    summary: 'try everything a recovery needs and say how to mend it',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'keys rewrap',
    summary: 'wrap the key files of a vault for another root or recovery key',
    load: () => import('./commands/keys-rewrap.ts'),
  },
  {
    name: 'worker',
    summary: 'run a worker: the process that does the work',
    load: () => import('./commands/worker.ts'),
  },
  {
    name: 'dev',
    summary: 'run a local stack: Temporal with its UI, PostgreSQL and a worker',
    load: () => import('./commands/dev.ts'),
  },
  {
    name: 'apply',
    summary: 'make Schedules, WAL streams and watches what the configuration says',
    load: () => import('./commands/apply.ts'),
  },
  { name: 'backup', summary: 'take a full backup of a source', load: () => import('./commands/backup.ts') },
  {
    name: 'restore',
    summary: 'recover a source to a moment, into a new place, and prove it',
    load: () => import('./commands/restore.ts'),
  },
  {
    name: 'recover',
    summary: 'recover a source and send the traffic of its service there',
    load: () => import('./commands/recover.ts'),
  },
  {
    name: 'failover',
    summary: 'make another server of a service the primary, fenced, approved and measured; or drill that on a clone',
    load: () => import('./commands/failover.ts'),
  },
  {
    name: 'ready',
    summary: 'say whether a service could be failed over now, and what keeps it from that',
    load: () => import('./commands/ready.ts'),
  },
  {
    name: 'watch',
    summary: 'look at the servers of a service all the time: outage, readiness, what would be lost',
    load: () => import('./commands/watch.ts'),
  },
  {
    name: 'rejoin',
    summary: 'make a standby again of a server that was the primary',
    load: () => import('./commands/rejoin.ts'),
  },
  {
    name: 'failback',
    summary: 'go back to the server that was the primary before a failover',
    load: () => import('./commands/failback.ts'),
  },
  {
    name: 'rescue',
    summary: 'bring rows of an earlier moment back, shown and approved before',
    load: () => import('./commands/rescue.ts'),
  },
  {
    name: 'drill',
    summary: 'restore to a moment in a scratch place, prove it, measure it, remove it',
    load: () => import('./commands/drill.ts'),
  },
  {
    name: 'contents',
    summary: 'list the files of a recovery point',
    load: () => import('./commands/contents.ts'),
  },
  {
    name: 'extract',
    summary: 'take one file or one table out of a recovery point',
    load: () => import('./commands/extract.ts'),
  },
  {
    name: 'verify',
    summary: 'read every byte of a recovery point, or of everything stored',
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'retention',
    summary: 'remove the points and the WAL that the rules do not keep',
    load: () => import('./commands/retention.ts'),
  },
  { name: 'hold', summary: 'keep a recovery point, whatever the rules say', load: () => import('./commands/hold.ts') },
  { name: 'release', summary: 'take back a hold', load: () => import('./commands/release.ts') },
  { name: 'list', summary: 'list recovery points', load: () => import('./commands/list.ts') },
  { name: 'show', summary: 'show one recovery point', load: () => import('./commands/show.ts') },
  {
    name: 'wal verify',
    summary: 'read every stored WAL object and follow its records',
    load: () => import('./commands/wal-verify.ts'),
  },
  {
    name: 'wal compact',
    summary: 'make one object of the pieces that a stream left',
    load: () => import('./commands/wal-compact.ts'),
  },
  {
    name: 'wal',
    summary: 'show what WAL the vault holds: ranges, gaps, lag',
    load: () => import('./commands/wal.ts'),
  },
  {
    name: 'reachable',
    summary: 'show exactly which moments can be restored now',
    load: () => import('./commands/reachable.ts'),
  },
  {
    name: 'wal-fetch',
    summary: 'bring one WAL file from the vault to a server (restore_command)',
    load: () => import('./commands/wal-fetch.ts'),
  },
  {
    name: 'report verify',
    summary: 'say whether a report is what was written, without asking anybody',
    load: () => import('./commands/report-verify.ts'),
  },
  { name: 'status', summary: 'list runs, or show and follow one', load: () => import('./commands/status.ts') },
  {
    name: 'approve',
    summary: 'show what a run waits for, and approve it',
    load: () => import('./commands/approve.ts'),
  },
  { name: 'refuse', summary: 'refuse what a run waits for', load: () => import('./commands/refuse.ts') },
  {
    name: 'ack',
    summary: 'say that you are at it: nobody else is called',
    load: () => import('./commands/ack.ts'),
  },
  {
    name: 'notify test',
    summary: 'send a test message to each notifier and say who was told',
    load: () => import('./commands/notify-test.ts'),
  },
  { name: 'cancel', summary: 'cancel a run; it cleans up behind itself', load: () => import('./commands/cancel.ts') },
  {
    name: 'catalog rebuild',
    summary: 'make the index of recovery points again from the stores',
    load: () => import('./commands/catalog-rebuild.ts'),
  },
];
