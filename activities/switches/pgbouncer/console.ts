import { failure, failureTypeOf } from '../../../workflows/model/failure.ts';
import { addressText } from '../../../workflows/model/traffic.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { connect, query } from '../../io/postgres/connection.ts';
import { sqlStateOf } from '../../io/postgres/failures.ts';
import type { Run } from '../../io/run.ts';
import type { Target } from './ini.ts';
import type { Use } from './options.ts';
import { consoleServer } from './options.ts';

/** How the pooler treats one entry now. */
export interface Live extends Target {
  database: string;
  paused: boolean;
  disabled: boolean;
  /** Connections to the server, whatever they do. */
  connections: number;
  /** Clients that wait for one. */
  waiting: number;
}

/** What a pooler says to somebody whom it does not let in (a protocol violation, in its words). */
const NOT_LET_IN = '08P01';

/** The admin console; it knows the simple protocol only. */
export class Console implements AsyncDisposable {
  readonly #use: Use;
  readonly #client: SqlClient;

  private constructor(use: Use, client: SqlClient) {
    this.#use = use;
    this.#client = client;
  }

  static async open(use: Use, run: Run, timeoutMs: number = use.options.timeout): Promise<Console> {
    const mode = { pooler: true, statementTimeoutMs: timeoutMs, signal: run.signal };
    try {
      return new Console(use, await connect(consoleServer(use), mode));
    } catch (error) {
      throw sqlStateOf(error) === NOT_LET_IN ? notLetIn(use, error) : error;
    }
  }

  /** Every entry of the switch. NotFound when the pooler does not know one. */
  async live(): Promise<Live[]> {
    const databases = await this.ask('SHOW DATABASES');
    const pools = await this.ask('SHOW POOLS');
    return this.#use.options.databases.map((database) => {
      const row = databases.find(({ name }) => name === database);
      if (!row) throw unknownEntry(this.#use, database, databases);
      const own = pools.filter((pool) => pool['database'] === database);
      const count = (column: RegExp): number =>
        own
          .flatMap((pool) => Object.entries(pool).filter(([name]) => column.test(name)))
          .reduce((sum, [, value]) => sum + Number(value), 0);
      return {
        ...{ database, host: String(row['host'] ?? ''), port: Number(row['port']) },
        ...{ paused: Number(row['paused']) === 1, disabled: Number(row['disabled']) === 1 },
        ...{ connections: count(/^sv_/), waiting: count(/^cl_waiting$/) },
      };
    });
  }

  async ask(command: string): Promise<Record<string, unknown>[]> {
    return query(this.#client, command);
  }

  /** A command that changes something. OutcomeUnknown when the pooler does not say what it made of it. */
  async tell(command: string): Promise<void> {
    try {
      await query(this.#client, command);
    } catch (error) {
      if (sqlStateOf(error) !== undefined || failureTypeOf(error) === undefined) throw error;
      const { name } = this.#use;
      throw failure('OutcomeUnknown', `switch ${name}: the pooler did not answer ${command}`, {
        ...{ place: placeOf(this.#use), expected: 'an answer', found: (error as Error).message },
        hint: 'it is looked at, and told again',
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }
}

export function placeOf({ options }: Use): string {
  return addressText(options.console);
}

function notLetIn(use: Use, cause: unknown): Error {
  const { user } = use.options.console;
  return failure('Denied', `switch ${use.name}: the pooler does not let ${user} into its console`, {
    ...{ place: placeOf(use), expected: `${user} in admin_users`, found: (cause as Error).message },
    hint: `add ${user} to admin_users and auth_file of pgbouncer.ini, and reload it`,
  });
}

function unknownEntry(use: Use, database: string, rows: readonly Record<string, unknown>[]): Error {
  return failure('NotFound', `switch ${use.name}: the pooler has no entry ${database}`, {
    ...{ place: placeOf(use), expected: `${database} in [databases]` },
    found: rows.map(({ name }) => String(name)).join(', '),
    hint: `correct \`databases\`, or add ${database} to ${use.options.file} and reload the pooler`,
  });
}
