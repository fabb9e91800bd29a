import type { DumpedTable, LargeObjects } from '../../../../workflows/model/dump.ts';
import type { Measure } from './measure.ts';
import { measureLargeObjects, measureTable } from './measure.ts';
import type { SqlClient } from '../connection.ts';

type Table = Pick<DumpedTable, 'schema' | 'name' | 'partitioned'>;

export interface Measuring {
  /** Sessions that all see the same. */
  sessions: number;
  open<T>(work: (client: SqlClient) => Promise<T>): Promise<T>;
  onTable?(done: number): void;
}

export interface Measured {
  /** In the order of the tables. */
  tables: Measure[];
  largeObjects: LargeObjects;
}

const NOTHING: Measure = { rows: 0, checksum: '0' };

/** Counts and sums every table, several at a time, and the large objects. */
export async function measureAll(tables: readonly Table[], use: Measuring): Promise<Measured> {
  const measures: Measure[] = tables.map(() => NOTHING);
  let next = 0;
  const work = (client: SqlClient): Promise<void> =>
    (async () => {
      for (let index = next++; index < tables.length; index = next++) {
        const table = tables[index];
        if (table && !table.partitioned) measures[index] = await measureTable(client, table);
        use.onTable?.(index + 1);
      }
    })();
  const others = Array.from({ length: use.sessions - 1 }, () => use.open(work));
  const [largeObjects] = await Promise.all([
    use.open(async (client) => {
      const found = await measureLargeObjects(client);
      await work(client);
      return found;
    }),
    ...others,
  ]);
  return { tables: measures, largeObjects };
}
