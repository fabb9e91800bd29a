import type { ContentCase } from './case.ts';

const rows = (from: number, to: number): string =>
  `select g as id, repeat(md5(g::text), 8) as body from generate_series(${from}, ${to}) g`;

/** Files that grow, shrink, go and come again: what block-level increments and replay get wrong first. */
export const BLOCK_CASES: readonly ContentCase[] = [
  {
    name: 'vacuum_truncate',
    from: 'pg_probackup delta: basic_delta_vacuum_truncate; postgres combinebackup/011',
    checks: 'a relation that VACUUM cut shorter comes back as short',
    before: [`create table t as ${rows(1, 4000)}`],
    between: ['delete from t where id > 500', 'vacuum (truncate) t'],
    then: { "select pg_relation_size('vacuum_truncate.t') < 300000": 'true' },
  },
  {
    name: 'truncate_regrow',
    from: 'pg_probackup delta: delta_vacuum_truncate_1',
    checks: 'cut, and grown again with other rows, between the same two backups',
    before: [`create table t as ${rows(1, 4000)}`],
    between: [
      'delete from t where id > 500',
      'vacuum (truncate) t',
      `insert into t select id + 90000, reverse(body) from (${rows(1, 3000)}) s`,
    ],
  },
  {
    name: 'truncate_twice',
    from: 'pg_probackup delta: delta_vacuum_truncate_2; page: page_vacuum_truncate_1',
    checks: 'cut before the increment and again behind it',
    before: [`create table t as ${rows(1, 4000)}`],
    between: ['delete from t where id > 2500', 'vacuum (truncate) t'],
    after: ['delete from t where id > 300', 'vacuum (truncate) t', 'insert into t values (-1, null)'],
  },
  {
    name: 'fsm_truncation',
    from: 'postgres recovery/008',
    checks: 'the free space map knows of no block behind the end: rows can be inserted',
    before: [`create table t as ${rows(1, 4000)}`, 'vacuum t'],
    after: ['delete from t where id > 100', 'vacuum (truncate) t', 'checkpoint'],
    then: {
      'with x as (insert into fsm_truncation.t select 1, body from fsm_truncation.t limit 50 returning 1) select count(*) from x':
        '50',
    },
  },
  {
    name: 'vacuum_full',
    from: 'pg_probackup delta: delta_vacuum_full',
    checks: 'a relation that was written anew under another file',
    before: [`create table t as ${rows(1, 3000)}`, 'create index on t (md5(body))'],
    between: ['delete from t where id % 3 = 0', 'vacuum full t'],
    after: ['vacuum full t', 'reindex table t'],
  },
  {
    name: 'cluster_by',
    from: 'pg_probackup incr_restore: incremental_pg_filenode_map',
    checks: 'CLUSTER and ALTER TABLE that rewrite, in both places',
    before: [`create table t as ${rows(1, 2000)}`, 'create index by_sum on t (md5(body))'],
    between: ['cluster t using by_sum'],
    after: ['alter table t alter id type bigint', 'alter table t add made text default clock_timestamp()::text'],
  },
  {
    name: 'dropped',
    from: 'pg_probackup backup: drop_table; delta: drop_rel_during_backup_delta',
    checks: 'a relation of the full backup that is gone in the increment, and one that is gone in the WAL',
    before: [`create table a as ${rows(1, 500)}`, `create table b as ${rows(1, 500)}`, 'create table kept (id int)'],
    between: ['drop table a'],
    after: ['drop table b'],
  },
  {
    name: 'truncated_dropped',
    from: 'postgres recovery/036',
    checks: 'emptied, filled and dropped: replay meets blocks of a file that is gone',
    before: [`create table a as ${rows(1, 2000)}`, 'create table kept (id int)'],
    after: [
      'truncate a',
      `insert into a ${rows(1, 1500)}`,
      'delete from a where id > 700',
      'vacuum (truncate) a',
      'drop table a',
    ],
  },
  {
    name: 'emptied',
    from: 'pg_probackup delta: delta_delete',
    checks: 'every row deleted; TRUNCATE; and a table that never had one',
    before: [`create table a as ${rows(1, 900)}`, `create table b as ${rows(1, 900)}`, 'create table never (id int)'],
    between: ['delete from a', 'vacuum a', 'truncate b'],
    after: ['insert into b values (1, null)'],
  },
  {
    name: 'came',
    from: 'pg_probackup delta: exists_in_previous_backup',
    checks: 'a relation that the parent does not have is whole in the increment',
    between: [`create table t as ${rows(1, 3000)}`, 'create index on t (id)'],
    after: ['update t set body = id::text where id % 500 = 0'],
  },
  {
    name: 'untouched',
    from: 'pg_probackup backup: incremental_backup_without_full; postgres combinebackup/002',
    checks: 'what nobody wrote to since the full backup stands in the chain all the same',
    before: [`create table t as ${rows(1, 3000)}`],
  },
  {
    name: 'one_block_of_many',
    from: 'pg_probackup delta: delta_multiple_segments',
    checks: 'single changed blocks at the start, in the middle and at the end of a large relation',
    before: [`create table t as ${rows(1, 20000)}`, 'alter table t add primary key (id)'],
    between: ["update t set body = 'x' where id in (1, 9999, 20000)"],
    after: ["update t set body = 'y' where id in (2, 10001, 19998)"],
  },
  {
    name: 'hot_and_dead',
    from: 'wal-g several_delta_backups',
    checks: 'rows updated over and over in the same blocks, with and without VACUUM between',
    before: [`create table t as ${rows(1, 500)}`],
    between: ['update t set id = -id', 'update t set id = -id', 'vacuum t', 'update t set body = id::text'],
    after: ['update t set id = id + 1', 'update t set id = id + 1'],
  },
  {
    name: 'visibility',
    from: 'postgres recovery/021',
    checks: 'rows frozen, locked, or deleted by a transaction that was rolled back',
    before: [`create table t as ${rows(1, 1000)}`],
    between: ['vacuum (freeze) t', 'begin; delete from t where id < 500; rollback'],
    after: [
      'begin; select 1 from t where id < 100 for update; update t set body = null where id = 7; commit',
      'vacuum (freeze) t',
    ],
  },
  {
    name: 'zero_length',
    from: 'pg_probackup incr_restore: incr_restore_zero_size_file_checksum',
    checks: 'files without a byte are there',
    before: [
      'create table never (id int, body text)',
      'create index on never (id)',
      'create table part (id int) partition by list (id)',
    ],
    between: ['create table never_too (id int, body text)'],
    then: { "select pg_relation_size('zero_length.never_too')": '0' },
  },
  {
    name: 'toasted',
    from: 'pg_probackup replica: replica_toast; page: multithread_page_backup_with_toast',
    checks: 'values out of line, compressed or not, replaced and dropped',
    before: [
      'create table t (id int primary key, a text, b text)',
      'alter table t alter a set storage external',
      "insert into t select g, repeat(md5(g::text), 900), repeat('z', 100000) from generate_series(1, 60) g",
    ],
    between: ['update t set a = repeat(md5(a), 700) where id % 4 = 0'],
    after: ["update t set b = a, a = 'short' where id % 6 = 0", 'delete from t where id % 7 = 0', 'vacuum t'],
  },
];
