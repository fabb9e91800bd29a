import { quoteName } from '../../../io/postgres/identifier.ts';
import type { Survey } from '../../../io/postgres/logical/survey.ts';

type Table = Survey['tables'][number];

/** Rows of some tables by name; or, as the first group, of all the others, with large objects and sequences. */
export interface Group {
  /** Empty for the group of the others. */
  tables: Table[];
}

/** What a smaller one costs is less than a process of its own. */
const WORTH_BYTES = 8 << 20;
/** Names stand on a command line, which is limited. */
const MOST_NAMED = 400;

/** Deals the largest tables to as many dumps as may run at once, so that all of them take about as long. */
export function dealTables(tables: readonly Table[], jobs: number): Group[] {
  const stored = tables.filter((table) => !table.partitioned).toSorted((a, b) => b.bytes - a.bytes);
  const large = jobs === 1 ? [] : stored.filter(({ bytes }) => bytes >= WORTH_BYTES).slice(0, MOST_NAMED);
  const rest = stored.slice(large.length).reduce((sum, { bytes }) => sum + bytes, 0);
  const loads = Array.from({ length: jobs }, (_, index) => ({ bytes: index === 0 ? rest : 0, tables: [] as Table[] }));
  for (const table of large) {
    const lightest = loads.reduce((least, load) => (load.bytes < least.bytes ? load : least));
    lightest.bytes += table.bytes;
    lightest.tables.push(table);
  }
  const named = loads.slice(1).filter((load) => load.tables.length > 0);
  return [{ tables: [] }, ...named.map(({ tables: own }) => ({ tables: own }))];
}

/** What makes pg_dump take the rows of a group; patterns, in which quoted names stand for themselves. */
export function groupArgs(group: Group, groups: readonly Group[]): string[] {
  if (group.tables.length > 0) return group.tables.map((table) => `--table=${patternOf(table)}`);
  return groups.flatMap(({ tables }) => tables).map((table) => `--exclude-table-data=${patternOf(table)}`);
}

function patternOf({ schema, name }: Table): string {
  return quoteName(schema, name);
}
