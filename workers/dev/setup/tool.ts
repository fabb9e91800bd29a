/** Where the tools are: programs by path, PostgreSQL by the folder of its programs. */
export interface Tools {
  /** The Temporal CLI with its dev server and UI. */
  temporal: string;
  /** initdb, pg_ctl and postgres of the npm package, where an unprivileged user can read them. */
  postgresEmbedded: string;
  /** Server, client tools and contrib of these major versions. */
  postgres15: string;
  postgres17: string;
  postgres18: string;
  /** An S3 server for the tests. */
  versitygw: string;
  /** Python 3 with the packages that docs/read-backup.py needs. */
  python: string;
  /** Python 3 with the simulator of AWS that the tests use. */
  moto: string;
  /** The helper for archive_command. */
  walPush: string;
  /** BIND 9: the name server of the tests. */
  named: string;
  /** The pooler of the tests. */
  pgbouncer: string;
  /** Of the benchmark beside it. */
  pgbackrest: string;
}

export type ToolName = keyof Tools;

export interface SetupContext {
  log(line: string): void;
  signal: AbortSignal;
}

/** Makes one tool ready. Does nothing when it is; says in `how` where it came from. */
export type SetUpTool = (context: SetupContext) => Promise<{ path: string; how: string }>;
