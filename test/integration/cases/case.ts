/** One case of another project's tests, and where the same thing is checked here. */
export interface PortedCase {
  /** Project and test that it is known from, as "postgres recovery/003" or "pg_probackup delta". */
  from: string;
  /** What must hold. */
  checks: string;
  /** `file: title of the test`, below test/. A title may be a part of a generated one. */
  where: string;
}

/** A case that only needs statements on the source, and the same contents in the copy. Its objects stand in a schema of its name. */
export interface ContentCase {
  name: string;
  from: string;
  checks: string;
  /** Part of the full backup. */
  before?: readonly string[];
  /** Between the full backup and the incremental one on top of it, where there is one. */
  between?: readonly string[];
  /** Only in the WAL behind the newest backup. */
  after?: readonly string[];
  /** Asked of the copy: statement -> its one value. */
  then?: Readonly<Record<string, string>>;
  /** First major version that can do it. */
  since?: number;
}
