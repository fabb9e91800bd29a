import type { ConnectMode, SqlClient } from '../connection.ts';
import { query, withConnection } from '../connection.ts';
import type { ServerOptions } from '../options.ts';

/**
 * What makes the text of a row the same everywhere, and a reader that sees every row or fails. No name is looked up
 * anywhere but in pg_catalog.
 */
const SETTINGS = `
  set datestyle = 'ISO, MDY'; set timezone = 'UTC'; set intervalstyle = 'postgres'; set extra_float_digits = 1;
  set bytea_output = 'hex'; set xmloption = 'content'; set lc_monetary = 'C'; set row_security = off; set search_path = '';
  set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set standard_conforming_strings = on`;

/** A session whose readings can be compared with those of another server. */
export function withReader<T>(
  options: ServerOptions,
  mode: ConnectMode,
  use: (client: SqlClient) => Promise<T>,
): Promise<T> {
  return withConnection(options, { statementTimeoutMs: 0, ...mode }, async (client) => {
    await query(client, SETTINGS);
    return use(client);
  });
}
