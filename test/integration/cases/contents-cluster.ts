import type { ContentCase } from './case.ts';

/** What belongs to the cluster or to a whole database. `$SPACE` is a folder for tablespaces. */
export const CLUSTER_CASES: readonly ContentCase[] = [
  {
    name: 'create_database',
    from: 'postgres recovery/034, combinebackup/006; pg_probackup delta: create_db',
    checks: 'databases made by either strategy from a template that was written to just before',
    before: ['create database case_template'],
    between: [
      '\\case_template create table t as select generate_series(1, 500) as id',
      'create database case_file template case_template strategy file_copy',
      'create database case_wal template case_template strategy wal_log',
    ],
    after: [
      '\\case_template insert into t values (-1)',
      'create database case_late template case_template strategy file_copy',
      '\\case_file delete from t where id > 100',
    ],
    then: {
      '\\case_file select count(*) from t': '100',
      '\\case_wal select count(*) from t': '500',
      '\\case_late select count(*) from t': '501',
    },
  },
  {
    name: 'database_again',
    from: 'postgres recovery/032',
    checks: 'a database dropped and made again under its name has the new contents',
    before: ['create database case_again', '\\case_again create table t as select 1 as id'],
    between: [
      'drop database case_again',
      'create database case_again',
      '\\case_again create table t as select 2 as id',
    ],
    after: [
      'drop database case_again',
      'create database case_again strategy file_copy',
      '\\case_again create table t as select 3 as id',
    ],
    then: { '\\case_again select id from t': '3' },
  },
  {
    name: 'database_dropped',
    from: 'pg_probackup backup: drop_db_during_full_backup',
    checks: 'databases that are gone in the increment, or in the WAL, are gone',
    before: [
      'create database case_gone',
      'create database case_gone_too',
      '\\case_gone create table t as select 1 as id',
    ],
    between: ['drop database case_gone'],
    after: ['drop database case_gone_too'],
    then: { "select count(*) from pg_database where datname like 'case_gone%'": '0' },
  },
  {
    name: 'mapped_catalogs',
    from: 'pg_probackup backup: incr_backup_filenode_map; incr_restore: incremental_pg_filenode_map',
    checks: 'catalogs under new files: the file map of the database goes with them',
    between: ['vacuum full pg_class', 'vacuum full pg_attribute', 'reindex table pg_index'],
    after: ['vacuum full pg_proc', 'create table t as select 1 as id'],
  },
  {
    name: 'shared_catalogs',
    from: 'pg_probackup backup: incr_backup_filenode_map',
    checks: 'catalogs of the whole cluster under new files; roles and their settings',
    before: ['create role case_role', 'create table kept (id int)'],
    between: ['vacuum full pg_authid', "alter role case_role set work_mem = '7MB'"],
    after: [
      'vacuum full pg_database',
      "alter role case_role set work_mem = '9MB'",
      "comment on role case_role is 'of a case'",
    ],
    then: { "select setconfig[1] from pg_db_role_setting where setrole = 'case_role'::regrole": 'work_mem=9MB' },
  },
  {
    name: 'tablespaces',
    from: 'pg_probackup backup: tablespace_handling_1; wal-g tablespace_support; postgres recovery/033',
    checks: 'relations in a tablespace, moved in and out of it',
    before: [
      '\\! space case_space',
      'create table a tablespace case_space as select generate_series(1, 2000) as id',
      'create table b as select generate_series(1, 2000) as id',
    ],
    between: ['alter table b set tablespace case_space', 'insert into a values (-1)'],
    after: [
      'alter table a set tablespace pg_default',
      'create index on b (id) tablespace case_space',
      'update b set id = -id where id % 9 = 0',
    ],
    then: {
      "select spcname from pg_class c join pg_tablespace s on s.oid = c.reltablespace where c.oid = 'tablespaces.b'::regclass":
        'case_space',
    },
  },
  {
    name: 'database_moved',
    from: 'pg_probackup delta: alter_database_set_tablespace_delta',
    checks: 'a database that was moved to a tablespace, and back',
    before: [
      '\\! space case_other',
      'create database case_moved',
      '\\case_moved create table t as select generate_series(1, 700) as id',
      'create database case_returned tablespace case_other',
      '\\case_returned create table t as select 1 as id',
    ],
    between: ['alter database case_moved set tablespace case_other'],
    after: ['alter database case_returned set tablespace pg_default', '\\case_moved delete from t where id > 70'],
    then: { '\\case_moved select count(*) from t': '70', '\\case_returned select count(*) from t': '1' },
  },
  {
    name: 'read_only_default',
    from: 'pg_probackup backup: basic_backup_default_transaction_read_only',
    checks: 'a database whose sessions are read-only by default is backed up and proven',
    before: [
      'create database case_readonly',
      '\\case_readonly create table t as select 5 as id',
      'alter database case_readonly set default_transaction_read_only = on',
    ],
    after: ['\\case_readonly set transaction read write; insert into t values (6)'],
    then: { '\\case_readonly select count(*) from t': '2' },
  },
  {
    name: 'not_for_sessions',
    from: 'pg_probackup backup: regress_issue_585',
    checks: 'a database that takes no connections, and one with a limit of none',
    before: [
      'create database case_closed',
      'alter database case_closed allow_connections false',
      'create database case_full connection limit 0',
    ],
    then: { "select count(*) from pg_database where datname in ('case_closed', 'case_full')": '2' },
  },
  {
    name: 'search_paths',
    from: 'pg_probackup CVE_2018_1058',
    checks: 'functions and tables under names of the catalog, in front of it by search_path, change nothing',
    before: [
      'create database case_path',
      "\\case_path create schema evil; create table evil.pg_class (relname text); create function evil.count(anyelement) returns int language sql as 'select 0'",
      "\\case_path create function evil.pg_is_in_recovery() returns bool language sql as 'select true'",
      'alter database case_path set search_path = evil, pg_catalog, public',
    ],
    after: ['\\case_path create table public.t as select 1 as id'],
    then: { '\\case_path select id from public.t': '1' },
  },
];
