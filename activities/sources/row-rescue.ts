import type { RowsWish } from '../../workflows/model/orders.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { Difference, Rescued, RowsTask } from '../../workflows/model/rescue.ts';

/** A row that differs, for the list of all of them. */
export interface DifferingRow {
  table: string;
  what: 'missing' | 'differing' | 'extra';
  /** As PostgreSQL writes a row of the key columns. */
  key: string;
  /** SHA-256 of the row's text, hex: in the copy, and now. */
  copy?: string;
  now?: string;
}

/** Rows of a recovered copy beside those of the database that goes on. `finish` of the recovery comes too late for both. */
export interface RowRescue {
  /**
   * Looks at production as it is now, before there is a copy: that rows of the plan's base belong there and can be written, and
   * the tables. Precondition (another cluster or database, a standby), NotFound, ConfigInvalid, Unsupported, Denied.
   */
  check(plan: RecoveryPlan, wish: RowsWish): Promise<void>;
  /**
   * Compares tables by their primary keys, both read in the order of the key, each on one snapshot; `note` takes each row that
   * differs. NotFound, ConfigInvalid (a name), Unsupported (no key), Precondition (other columns, another cluster).
   */
  compare(task: RowsTask, note: (row: DifferingRow) => Promise<void>): Promise<Omit<Difference, 'reports'>>;
  /**
   * Writes what the comparison of this very moment gives, in one transaction, when its hash is the one that was approved; else
   * nothing, and the failure says so (isChanged). A repeat looks whether the transaction was committed, and tells what it did.
   */
  write(task: RowsTask & { hash: string }): Promise<Rescued>;
}
