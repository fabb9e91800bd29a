import type { Approval, Evidence, Fact } from './approval.ts';
import { failure, findFailure } from './failure.ts';
import type { RestoreOrder } from './orders.ts';
import type { RecoveryPlan, RestoreResult, StoredReport } from './recovery.ts';
import type { ReportSection } from './report.ts';

/** Rows of a moment, brought back into a database that goes on. */
export interface RescueOrder extends Pick<
  RestoreOrder,
  'source' | 'target' | 'timeline' | 'into' | 'port' | 'point' | 'host'
> {
  onlyDatabase: string;
  /** Each "name" or "schema.name"; it has a primary key. */
  tables: string[];
  /** SQL over columns of the copy: rows for which it is true are brought back; absent: all. */
  where?: string;
  /** Rows that are there and differ get the values of the copy, too; absent: they stay as they are. */
  overwrite?: boolean;
  /** Only show what differs; write nothing. */
  compareOnly?: boolean;
  /** Who starts it; they cannot approve it alone. */
  by: string;
}

/** What is compared and written; the same at every look. */
export interface RowsTask {
  source: string;
  plan: RecoveryPlan;
  tables: string[];
  where?: string;
  overwrite?: boolean;
}

/** How a table differs from the copy. Keys are shown as PostgreSQL writes a row: "(17)", "(17,\"a b\")". */
export interface TableDifference {
  /** "schema.name" */
  table: string;
  /** Columns of the primary key. */
  key: string[];
  /** Rows of the copy for which `where` is true. */
  chosen: number;
  /** Chosen, and not there. */
  missing: number;
  /** Chosen, and there with other values. */
  differing: number;
  /** There, and not in the copy. */
  extra: number;
  /** The first keys of each. */
  sample: Record<'missing' | 'differing' | 'extra', string[]>;
  /** Triggers of production that a row fires which is written; absent: there are none, or an older version looked. */
  triggers?: string[];
}

export interface Difference {
  tables: TableDifference[];
  /** SHA-256 over the tables, and over key and content of every row that would be written, as it is in the copy and now. */
  hash: string;
  inserts: number;
  updates: number;
  /** Keys in the store of the source: every row that differs, one JSON object a line; encrypted there. */
  reports: string[];
}

/** Rows of a table that were read back before the transaction was committed, and are others. */
export interface OtherwiseWritten {
  /** "schema.name" */
  table: string;
  rows: number;
  /** Keys of the first of them. */
  first: string[];
  /** Triggers that may have done it. */
  triggers: string[];
}

/** One transaction that has been committed. */
export interface Rescued {
  /** "host:port" */
  server: string;
  /** Of the transaction, 64 bits, decimal. */
  xid: string;
  tables: { table: string; inserted: number; overwritten: number }[];
  /** Rows that were not as the copy has them when all was written: a trigger changed or removed them. Absent: none. */
  otherwise?: OtherwiseWritten[];
  /** Sequences that will give numbers which rows have already: "shop.orders.id: sequence at 3, rows to 900". */
  behind: string[];
}

export interface RescueResult {
  restore: RestoreResult;
  difference: Difference;
  /** Absent: nothing was to be written, or only the difference was wanted. */
  rescued?: Rescued;
  approvals: Approval[];
  evidence?: Evidence;
  /** True when the copy was removed. */
  cleaned: boolean;
  report?: StoredReport;
}

/** Told apart from other reasons to stop: what was approved is not what would be written now. */
interface ChangedEvidence {
  changed: true;
}

export function changedFailure(place: string, use: { expected: string; found: string }): Error {
  const evidence: ChangedEvidence = { changed: true };
  return failure('Precondition', 'rows have changed since they were shown: nothing was written', {
    ...{ place, expected: `rows of hash ${use.expected}`, found: use.found, evidence },
    hint: 'they are shown again, and wait for another approval',
  });
}

export function isChanged(error: unknown): boolean {
  return (findFailure(error)?.details?.[1] as Partial<ChangedEvidence> | undefined)?.changed === true;
}

/** What those who decide are shown of a difference. The hash is for what would be written: a table in use changes beside it. */
export function factsOfDifference(order: RescueOrder, { tables, hash, inserts, updates, reports }: Difference): Fact[] {
  return [
    { name: 'then', value: `one transaction: ${inserts} rows inserted, ${updates} overwritten, none deleted` },
    ...(order.where === undefined ? [] : [{ name: 'chosen by', value: order.where.slice(0, 500) }]),
    ...tables.flatMap(({ table, triggers = [] }) =>
      triggers.length === 0
        ? []
        : [{ name: `triggers of ${table}`, value: `${triggers.join(', ')}: they may change what is written` }],
    ),
    ...tables.map((each) => ({
      ...{ name: each.table, value: countsOf(each, order.overwrite === true), passing: true as const },
    })),
    {
      ...{ name: 'every row', value: reports.length > 0 ? reports.slice(0, 5).join(', ') : 'none differs' },
      passing: true,
    },
    { name: 'hash of the rows', value: hash },
  ];
}

function countsOf({ chosen, missing, differing, extra, sample }: TableDifference, overwrites: boolean): string {
  const shown = (keys: readonly string[]): string => (keys.length === 0 ? '' : ` ${keys.join(' ')}`);
  const stay = overwrites ? 'are overwritten' : 'stay as they are';
  return (
    `${missing} of ${chosen} rows are missing${shown(sample.missing)}; ${differing} differ and ${stay}` +
    `${shown(sample.differing)}; ${extra} came since and stay${shown(sample.extra)}`
  );
}

/** "shop.orders: 3 rows, (1) (2) (4); triggers stamp" */
export function otherwiseText(otherwise: readonly OtherwiseWritten[]): string {
  return otherwise
    .map(({ table, rows, first, triggers }) => {
      const by = triggers.length > 0 ? `; triggers ${triggers.join(', ')}` : '';
      return `${table}: ${rows} rows, ${first.join(' ')}${rows > first.length ? ' ...' : ''}${by}`;
    })
    .join('; ');
}

export function rescuedSection({ xid, server, tables, otherwise = [] }: Rescued): ReportSection {
  const rowsOf = (table: string): string => {
    const found = otherwise.find((each) => each.table === table);
    return found ? `${found.rows}: ${found.first.join(' ')}` : 'none';
  };
  return {
    title: `Transaction ${xid} on ${server}`,
    head: ['table', 'inserted', 'overwritten', 'not as the copy has them'],
    rows: tables.map(({ table, inserted, overwritten }) => [table, `${inserted}`, `${overwritten}`, rowsOf(table)]),
  };
}

/** For the report of the run. */
export function differenceSection({ tables }: Difference): ReportSection {
  return {
    title: 'Rows beside production',
    head: ['table', 'chosen', 'missing', 'differing', 'only in production'],
    rows: tables.map(({ table, chosen, missing, differing, extra }) => [
      table,
      ...[chosen, missing, differing, extra].map(String),
    ]),
  };
}
