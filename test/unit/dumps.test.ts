import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortly } from '../../activities/io/postgres/foreign-program.ts';
import { libpqPlace } from '../../activities/io/postgres/libpq.ts';
import { serverSchema } from '../../activities/io/postgres/options.ts';
import { dealTables, groupArgs } from '../../activities/sources/postgres-logical/dump/groups.ts';
import { chosenLines } from '../../activities/io/postgres/logical/contents-list.ts';
import { splitNames } from '../../activities/io/postgres/logical/database.ts';
import type { DumpedDatabase, DumpedTable } from '../../workflows/model/dump.ts';
import { checkForm } from '../../workflows/model/dump-order.ts';
import { fullName, selectionsOf } from '../../workflows/model/dump-selection.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { SourceFacts } from '../../workflows/model/results.ts';
import { factsOf } from '../support/workflow-answers.ts';

const DUMPED: SourceFacts = factsOf('crm', { kind: 'postgres-logical', dumps: true });
const STREAMED: SourceFacts = factsOf('shop');

test('an order that asks of a kind of source what only the other has is refused', () => {
  const source = 'crm';
  const refused: [object, SourceFacts, string][] = [
    [{ source, target: { kind: 'time', time: '2026-01-01T00:00:00Z', inclusive: true } }, DUMPED, 'target'],
    [{ source, target: { kind: 'xid', xid: '7', inclusive: true } }, DUMPED, 'target'],
    [{ source, timeline: 2 }, DUMPED, 'timeline'],
    [{ source, inPlace: true }, DUMPED, 'inPlace'],
    [{ source, tablespaces: { '1': '/x' } }, DUMPED, 'tablespaces'],
    [{ source, action: 'pause' }, DUMPED, 'action'],
    [{ source, type: 'incremental' }, DUMPED, 'type'],
  ];
  for (const [order, facts, place] of refused) {
    assert.throws(
      () => checkForm(order as never, facts),
      (error) =>
        failureTypeOf(error) === 'Unsupported' &&
        failureFacts(error).place === place &&
        failureFacts(error).hint !== undefined,
      JSON.stringify(order),
    );
  }
  for (const order of [
    { source },
    { source, target: { kind: 'latest' } },
    { source, type: 'full' },
    { source, onlySchema: 'sales' },
  ])
    assert.doesNotThrow(() => checkForm(order as never, DUMPED));
  for (const order of [
    { source, timeline: 2, inPlace: true },
    { source, type: 'incremental' },
  ])
    assert.doesNotThrow(() => checkForm(order as never, STREAMED));
});

function table(schema: string, name: string, more: Partial<DumpedTable> = {}): DumpedTable {
  return { schema, name, rows: 1, bytes: 8192, checksum: '1', ...more };
}

function database(name: string, tables: DumpedTable[]): DumpedDatabase {
  const properties = {
    owner: 'o',
    encoding: 'UTF8',
    collate: 'C',
    ctype: 'C',
    provider: 'libc',
    connectionLimit: -1,
    settings: [],
  };
  return {
    ...{
      name,
      properties,
      tables,
      schemaFile: 's',
      dataFiles: ['d'],
      sequences: [],
      extensions: [],
      objects: {},
      roles: [],
    },
    ...{
      schemas: [...new Set(tables.map(({ schema }) => schema))],
      largeObjects: { count: 0, bytes: 0, checksum: '0' },
    },
  };
}

const CRM = database('crm', [
  table('public', 'people'),
  table('sales', 'people'),
  table('sales', 'deals', { partitioned: true }),
  table('sales', 'deals_1', { partitionOf: ['sales.deals'] }),
  table('sales', 'deals_2', { partitionOf: ['sales.deals'] }),
]);

test('a table is chosen with its partitions, and a partition with what it is a part of', () => {
  const chosen = (choice: object): string[] | undefined =>
    selectionsOf([CRM], { toolMajor: 18, ...choice })[0]?.only?.tables.map(fullName);
  assert.equal(chosen({}), undefined);
  assert.deepEqual(chosen({ table: 'deals' }), ['sales.deals', 'sales.deals_1', 'sales.deals_2']);
  assert.deepEqual(chosen({ table: 'deals_1' }), ['sales.deals', 'sales.deals_1']);
  assert.deepEqual(chosen({ table: 'sales.people' }), ['sales.people']);
  assert.deepEqual(chosen({ table: 'people', schema: 'public' }), ['public.people']);
  assert.deepEqual(chosen({ schema: 'public' }), ['public.people']);
});

test('what is not in a dump, or is not clear, is refused with its place and what is there', () => {
  const refusals: [object, DumpedDatabase[], string, RegExp][] = [
    [{ database: 'crn' }, [CRM], 'onlyDatabase', /did you mean crm\?/],
    [{ table: 'people' }, [CRM], 'onlyTable', /SCHEMA\.TABLE/],
    [{ table: 'persons' }, [CRM], 'onlyTable', /./],
    [{ schema: 'sale' }, [CRM], 'onlySchema', /did you mean sales\?/],
    [{ table: 'people' }, [CRM, database('other', [])], 'onlyDatabase', /--only-database/],
  ];
  for (const [choice, databases, place, hint] of refusals) {
    assert.throws(
      () => selectionsOf(databases, { toolMajor: 18, ...choice }),
      (error) => failureFacts(error).place === place && hint.test(failureFacts(error).hint ?? ''),
      JSON.stringify(choice),
    );
  }
});

const LIST = [
  ';',
  '; Archive created at 2026-01-01',
  '6; 2615 16400 SCHEMA - sales o',
  '2; 3079 16401 EXTENSION - citext ',
  '900; 1247 16402 TYPE sales state o',
  '220; 1259 16403 TABLE sales deals o',
  '221; 1259 16404 TABLE sales deals_old o',
  '222; 1259 16405 SEQUENCE sales deals_id_seq o',
  '3400; 2604 16406 DEFAULT sales deals id o',
  '3500; 2606 16407 CONSTRAINT sales deals deals_pkey o',
  '3501; 2606 16408 FK CONSTRAINT sales deals deals_owner_fkey o',
  '3600; 1259 16409 INDEX sales deals_note o',
  '3601; 1259 16410 INDEX sales deals_old_note o',
  '3700; 0 0 ACL sales TABLE deals o',
  '3701; 0 0 COMMENT public TABLE people o',
  '223; 1259 16411 TABLE public people o',
];

test('of a list of contents those lines are chosen that make a table or a schema, with what they stand on', () => {
  const numbers = (only: Parameters<typeof chosenLines>[1]): number[] =>
    chosenLines(LIST.join('\n'), only).map((line) => Number.parseInt(line, 10));
  const deals = table('sales', 'deals', { indexes: ['deals_note', 'deals_pkey'], sequences: ['deals_id_seq'] });
  assert.deepEqual(numbers({ tables: [deals] }), [6, 2, 900, 220, 222, 3400, 3500, 3501, 3600, 3700]);
  assert.deepEqual(numbers({ schema: 'public', tables: [] }), [6, 2, 900, 3701, 223]);
});

test('the largest tables are dealt to as many dumps as may run, and every table is in exactly one', () => {
  const tables = [900, 500, 400, 300, 1].map((mib, index) => table('s', `t${index}`, { bytes: mib << 20 }));
  const groups = dealTables([...tables, table('s', 'p', { partitioned: true })], 3);
  assert.deepEqual(
    groups.map((group) => group.tables.map(({ name }) => name)),
    [[], ['t0'], ['t1']],
  );
  assert.deepEqual(
    groupArgs(groups[0] ?? { tables: [] }, groups),
    ['t0', 't1'].map((name) => `--exclude-table-data="s"."${name}"`),
  );
  assert.deepEqual(groupArgs({ tables: [table('a "b"', 'c.d')] }, groups), ['--table="a ""b"""."c.d"']);
  assert.deepEqual(dealTables(tables, 1), [{ tables: [] }]);
});

test('what a program said is short, and without statements, rows or passwords', () => {
  const said = `pg_restore: error: could not execute query: ERROR:  role "x" does not exist
Command was: CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2' PUBLICATION p;
pg_restore: detail: Key (card)=(4111) exists
pg_dump: error: connection failed: password=hunter2`;
  assert.equal(
    shortly(said),
    'pg_restore: error: could not execute query: ERROR:  role "x" does not exist; pg_dump: error: connection failed: password=…',
  );
  assert.equal(shortly(''), 'nothing said');
});

test('a password is in the environment of a program, and never on its command line', () => {
  process.env['DUMPS_TEST_PASSWORD'] = "it's \\ secret";
  const options = serverSchema.parse({ host: 'db', user: "o'neil", password: { env: 'DUMPS_TEST_PASSWORD' } });
  const { conninfo, env } = libpqPlace(options, { database: 'a b' });
  assert.doesNotMatch(conninfo, /secret/);
  assert.match(conninfo, /user='o\\'neil' dbname='a b'/);
  assert.equal(env['PGPASSWORD'], "it's \\ secret");
  assert.equal(env['PGSSLMODE'], 'require');
});

test('a list of names in the catalog comes apart into its names', () => {
  assert.deepEqual(splitNames('"$user", public, "Odd "", name"'), ['$user', 'public', 'Odd ", name']);
  assert.deepEqual(splitNames(''), []);
});
