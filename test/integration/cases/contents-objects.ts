import type { ContentCase } from './case.ts';

/** Kinds of objects, and what a transaction can do with them. */
export const OBJECT_CASES: readonly ContentCase[] = [
  {
    name: 'subtransactions',
    from: 'postgres recovery/012',
    checks: 'more savepoints than a snapshot holds, some of them undone',
    before: ['create table t (id int)'],
    after: [
      `do $$ begin for i in 1..200 loop begin insert into subtransactions.t values (i);
         if i % 3 = 0 then raise exception 'undone'; end if; exception when others then null; end; end loop; end $$`,
    ],
    then: { 'select count(*) from subtransactions.t': '134' },
  },
  {
    name: 'rolled_back',
    from: 'postgres recovery/012; pg_probackup incr_restore: incr_checksum_long_xact',
    checks: 'a table, an index and rows of a transaction that was rolled back are not there',
    before: ['create table t (id int)'],
    between: ['begin; create table gone (id int); insert into t values (1); insert into gone values (1); rollback'],
    after: ['begin; create index gone_too on t (id); insert into t values (2); rollback', 'insert into t values (3)'],
  },
  {
    name: 'filled_when_made',
    from: 'postgres recovery/018',
    checks: 'a table that its own transaction made, filled, emptied and filled again',
    after: [
      'begin; create table t (id int primary key); insert into t select generate_series(1, 900); truncate t; insert into t select generate_series(1, 90); savepoint s; truncate t; rollback to s; insert into t values (-1); commit',
    ],
    then: { 'select count(*) from filled_when_made.t': '91' },
  },
  {
    name: 'row_triggers',
    from: 'postgres recovery/018',
    checks: 'rows that a trigger changes while they are copied in',
    before: [
      'create table t (id int, seen int default 0)',
      `create function mark() returns trigger language plpgsql as 'begin new.seen := new.id * 2; return new; end'`,
      'create trigger mark before insert or update on t for each row execute function mark()',
    ],
    after: ['insert into t select generate_series(1, 500)', 'update t set id = id + 1 where id % 5 = 0'],
  },
  {
    name: 'sequences',
    from: 'postgres recovery/054; wal-g full_backup',
    checks: 'a sequence never gives what it gave before, nor does an identity column',
    before: ['create sequence s cache 10', 'create table t (id int generated always as identity, n bigint)'],
    between: ["insert into t (n) select nextval('s') from generate_series(1, 55)"],
    after: ["insert into t (n) select nextval('s') from generate_series(1, 20)"],
    then: {
      "select nextval('sequences.s') > (select max(n) from sequences.t)": 'true',
      'with x as (insert into sequences.t (n) values (0) returning id) select (select id from x) > max(id) from sequences.t':
        'true',
    },
  },
  {
    name: 'unlogged_sequences',
    from: 'postgres recovery/054',
    checks: 'an unlogged table and the sequence of its identity begin again, and can be used',
    since: 15,
    before: [
      'create unlogged table t (id int generated always as identity, body text)',
      "insert into t (body) select 'x' from generate_series(1, 50)",
      'create table kept (id int)',
    ],
    after: ["insert into t (body) values ('y')"],
    then: {
      "with x as (insert into unlogged_sequences.t (body) values ('z') returning id) select id >= 1 from x": 'true',
    },
  },
  {
    name: 'becomes_unlogged',
    from: 'postgres recovery/014',
    checks: 'SET LOGGED keeps its rows, SET UNLOGGED loses them, in the increment and in the WAL',
    before: [
      'create unlogged table a as select generate_series(1, 300) as id',
      'create unlogged table b as select generate_series(1, 300) as id',
    ],
    between: ['alter table a set logged'],
    after: ['alter table b set logged'],
    then: { 'select (select count(*) from becomes_unlogged.a) + (select count(*) from becomes_unlogged.b)': '600' },
  },
  {
    name: 'partitions',
    from: 'postgres recovery/027',
    checks: 'partitions attached, detached and sorted into, with an index over all of them',
    before: [
      'create table t (id int, body text) partition by range (id)',
      'create index on t (id)',
      'create table t1 partition of t for values from (0) to (100)',
      'create table t2 (id int, body text)',
    ],
    between: [
      "insert into t select g, 'x' from generate_series(0, 99) g",
      "insert into t2 select g, 'y' from generate_series(100, 199) g",
      'alter table t attach partition t2 for values from (100) to (200)',
    ],
    after: [
      'alter table t detach partition t1',
      'create table t3 partition of t default',
      "insert into t values (5000, 'z')",
    ],
  },
  {
    name: 'index_kinds',
    from: 'postgres recovery/027',
    checks: 'an index of each access method is good for a search, and passes amcheck',
    before: [
      'create table t as select g as id, array[g, g + 1] as list, point(g, g) as at, md5(g::text) as body from generate_series(1, 3000) g',
      'create index on t using btree (body)',
      'create index on t using hash (body)',
      'create index on t using gin (list)',
      'create index on t using gist (at)',
      'create index on t using spgist (at)',
      'create index on t using brin (id)',
    ],
    between: ['update t set body = md5(body), list = list || 7 where id % 9 = 0'],
    after: [
      "insert into t select g, array[g], point(g, -g), 'n' || g from generate_series(3001, 4000) g",
      'delete from t where id % 11 = 0',
      'vacuum t',
      // So that the question is answered by the index.
      'alter database cases set enable_seqscan = off',
    ],
    then: { 'select count(*) from index_kinds.t where list @> array[7]': '305' },
  },
  {
    name: 'constraints',
    from: 'postgres recovery/027',
    checks: 'foreign keys, exclusion, checks that are not valid yet, deferrable ones',
    before: [
      'create table a (id int primary key, during int4range, exclude using gist (during with &&))',
      'create table b (id int primary key, a int references a deferrable initially deferred)',
      'insert into a select g, int4range(g * 10, g * 10 + 5) from generate_series(1, 300) g',
    ],
    between: [
      'insert into b select g, g from generate_series(1, 300) g',
      'alter table b add check (id > 100) not valid',
    ],
    after: ['begin; insert into b values (999, 999); insert into a values (999, null); commit'],
  },
  {
    name: 'large_objects',
    from: 'pg_probackup backup: full_backup; wal-g full_backup',
    checks: 'large objects made, overwritten in part, cut and removed',
    before: ["select lo_from_bytea(70001, decode(repeat('ab', 60000), 'hex')), lo_from_bytea(70002, 'gone')"],
    between: ["select lo_put(70001, 30000, decode(repeat('cd', 5000), 'hex')), lo_unlink(70002)"],
    after: ["select lo_from_bytea(70003, 'late'), lo_put(70001, 0, 'head')"],
  },
  {
    name: 'views_and_rules',
    from: 'postgres recovery/027',
    checks: 'materialized views refreshed, with and without data; rules and views',
    before: [
      'create table t as select generate_series(1, 100) as id',
      'create materialized view m as select sum(id) from t',
      'create materialized view n as select 1 as x with no data',
      'create view v as select id from t where id > 50',
    ],
    between: ['insert into t values (1000)', 'refresh materialized view m'],
    after: [
      'create rule r as on insert to v do instead insert into t values (new.id)',
      'insert into v values (77)',
      'refresh materialized view n',
    ],
  },
  {
    name: 'security',
    from: 'postgres recovery/027',
    checks: 'grants, row security, default privileges, comments and security labels of functions',
    before: [
      'create role case_reader',
      'create table t (id int, owner text)',
      'alter table t enable row level security',
      'create policy p on t to case_reader using (owner = current_user)',
    ],
    between: ['grant select on t to case_reader', "comment on table t is 'what it holds'"],
    after: [
      'alter default privileges in schema security grant select on tables to case_reader',
      'create table late (id int)',
    ],
    then: { "select has_table_privilege('case_reader', 'security.late', 'select')": 'true' },
  },
  {
    name: 'names',
    from: 'postgres verifybackup/006',
    checks: 'names with quotes, spaces, upper case, other scripts, and as long as may be',
    before: ['create table "Ж a""b\'; --" ("select" int)', `create table "${'n'.repeat(63)}" (id int)`],
    after: ['insert into "Ж a""b\'; --" values (1)', 'create index "%d$HOME" on "Ж a""b\'; --" ("select")'],
  },
  {
    name: 'big_record',
    from: 'pg_probackup page: page_huge_xlog_record; postgres recovery/026 and 043',
    checks: 'records that fill many WAL pages and cross a segment',
    before: ['create table t (body text)', 'alter table t alter body set storage plain'],
    after: [
      `do $$ begin for i in 1..40 loop perform pg_logical_emit_message(true, 'case', repeat('x', 400000)); end loop; end $$`,
      "insert into t select repeat('y', 7000) from generate_series(1, 50)",
      'select pg_switch_wal()',
      "insert into t values ('behind the switch')",
    ],
  },
  {
    name: 'many_commits',
    from: 'pg_probackup backup: backup_modes_archive; wal-g wal_perftest',
    checks: 'each of many small transactions is there once',
    before: ['create table t (id serial primary key, at xid8 default pg_current_xact_id())'],
    after: ['do $$ begin for i in 1..3000 loop insert into many_commits.t default values; commit; end loop; end $$'],
    then: { 'select count(*) = count(distinct at) and count(*) = 3000 from many_commits.t': 'true' },
  },
  {
    name: 'compressed_values',
    from: 'pg_probackup merge: merge_different_compression_algo',
    checks: 'values that are compressed already, and some that cannot be',
    before: [
      'create table t (id int, body bytea)',
      "insert into t select g, decode(md5(g::text) || md5((g * 7)::text), 'hex') from generate_series(1, 3000) g",
    ],
    after: ['update t set body = sha512(body) where id % 5 = 0'],
  },
];
