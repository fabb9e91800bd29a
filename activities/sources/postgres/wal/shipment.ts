import type { SqlClient } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { ShipOptions, WalVault } from '../../source.ts';
import type { OneServer } from '../options.ts';
import type { Patience } from './patience.ts';

/** What one call of `ship` is about. */
export interface Shipment {
  /** The server that sends. */
  options: OneServer;
  ship: ShipOptions;
  vault: WalVault;
  run: Run;
  patience: Patience;
}

/** The same, while one SQL session lasts. */
export interface Session extends Shipment {
  sql: SqlClient;
}
