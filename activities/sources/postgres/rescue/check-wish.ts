import type { RowsWish } from '../../../../workflows/model/orders.ts';
import { failure, findFailure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, queryOne } from '../../../io/postgres/connection.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import { conditionOf, ROW } from './rows.ts';
import type { Table } from './tables.ts';
import { tableNamed } from './tables.ts';

/** Classes of SQLSTATE for a statement that says nothing the server understands, and the state of one that writes. */
const NOT_UNDERSTOOD = /^(?:42|22|0A|25006)/;
const DENIED = '42501';

/**
 * Every reason why rows of these tables cannot be taken that shows before there is a copy; touches nothing. Functions without
 * side effects are called while the statement is planned, and only say that they have none: the server keeps them from writing.
 */
export async function checkWish(client: SqlClient, database: string, wish: RowsWish): Promise<void> {
  await query(client, 'begin transaction read only');
  try {
    for (const name of wish.tables) {
      const table = await tableNamed(client, name, `database ${database}`);
      await checkCondition(client, table, wish.where);
    }
  } finally {
    await query(client, 'rollback').catch(() => undefined);
  }
}

async function checkCondition(client: SqlClient, table: Table, where: string | undefined): Promise<void> {
  try {
    await queryOne(client, `explain select ${conditionOf(where)} from ${table.from} as ${ROW}`);
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    if (where === undefined || state === DENIED || !NOT_UNDERSTOOD.test(state)) throw error;
    // The innermost failure is the one that counts: what the server said goes along without ours around it.
    throw failure('ConfigInvalid', `the condition is none over columns of ${table.name}`, {
      ...{
        place: 'where',
        expected: `SQL that is true or false for a row of ${table.name}; functions with their schema`,
      },
      ...{
        found: `${where.slice(0, 200)}: ${findFailure(error)?.message ?? ''}`.slice(0, 500),
        cause: (error as Error).cause,
      },
      hint: `columns: ${table.columns.map((column) => column.name).join(', ')}`.slice(0, 500),
    });
  }
}
