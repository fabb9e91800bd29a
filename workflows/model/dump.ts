/** What a logical point holds, in its manifest: databases as pg_dump wrote them, and what they were measured to be. */

/** How a database was made and set; what CREATE DATABASE, ALTER DATABASE and GRANT need. */
export interface DatabaseProperties {
  owner: string;
  comment?: string;
  encoding: string;
  collate: string;
  ctype: string;
  /** libc, icu or builtin. */
  provider: string;
  /** Of the providers icu and builtin. */
  locale?: string;
  icuRules?: string;
  /** -1 = no limit. */
  connectionLimit: number;
  /** Settings of the database, or of one role in it, like pg_db_role_setting. */
  settings: { role?: string; name: string; value: string }[];
  /** Absent: those of a new database. `grantee` absent: everybody. */
  grants?: { grantee?: string; privilege: string; grantable: boolean }[];
}

/** A table with storage of its own; a partitioned one has only its name and its indexes. */
export interface DumpedTable {
  schema: string;
  name: string;
  partitioned?: true;
  /** Partitioned tables that it is a part of, "schema.name", the nearest first. */
  partitionOf?: string[];
  rows: number;
  /** On the source's disk. */
  bytes: number;
  /** Sum of 64 bits of each row's SHA-256, decimal; in whatever order the rows stand. */
  checksum: string;
  /** Path of the archive in the tree "dump" that has its rows. */
  file?: string;
  indexes?: string[];
  /** Sequences that belong to its columns; in its schema, or "schema.name". */
  sequences?: string[];
}

export interface DumpedSequence {
  schema: string;
  name: string;
  /** Absent: not used yet. */
  value?: string;
  increment: string;
  cycle: boolean;
}

export interface LargeObjects {
  count: number;
  bytes: number;
  checksum: string;
}

export interface DumpedDatabase {
  name: string;
  properties: DatabaseProperties;
  /** Archives of pg_dump's custom format, by path in the tree "dump": definitions, and rows. */
  schemaFile: string;
  dataFiles: string[];
  tables: DumpedTable[];
  sequences: DumpedSequence[];
  largeObjects: LargeObjects;
  schemas: string[];
  extensions: string[];
  /** How many there are of each kind: tables, indexes, functions, policies ... */
  objects: Record<string, number>;
  /** Roles that own something or have a right in it. */
  roles: string[];
}

export interface DumpFacts {
  /** Version of pg_dump, like 18. */
  toolMajor: number;
  databases: DumpedDatabase[];
  /** Absent: not wanted. */
  globals?: {
    /** False when the dumping role may not read password hashes. */
    passwords: boolean;
    roles: string[];
  };
}

/** Of a point in a listing: small. */
export interface DumpSummary {
  databases: string[];
  tables: number;
  rows: number;
  largeObjects: number;
  /** Absent: no roles in it. */
  rolePasswords?: boolean;
}

/** What is chosen of a dump, and where it goes. */
export interface ImportPlan {
  /** Absent: all of it. */
  database?: string;
  schema?: string;
  /** "name" or "schema.name". */
  table?: string;
  /** Programs that are older cannot read it. */
  toolMajor: number;
  /** Absent: into a cluster of its own. */
  into?: IntoDatabase;
}

/** A database of a server that runs: made under a name of its own, which it keeps until it is proven. */
export interface IntoDatabase {
  name: string;
  temporary: string;
  /** Name that what stands there now gets; it is never dropped. */
  aside: string;
  /** Something may stand there. */
  replace: boolean;
  /** Roles that the server must have. */
  roles: string[];
}

const MOST_NAMED = 20;

export function summariseDump({ databases, globals }: DumpFacts): DumpSummary {
  const tables = databases.flatMap((database) => database.tables).filter((table) => !table.partitioned);
  return {
    databases: databases.map(({ name }) => name).slice(0, MOST_NAMED),
    tables: tables.length,
    rows: tables.reduce((sum, table) => sum + table.rows, 0),
    largeObjects: databases.reduce((sum, { largeObjects }) => sum + largeObjects.count, 0),
    ...(globals ? { rolePasswords: globals.passwords } : {}),
  };
}

/** Id of the tree that dumps stand in. */
export const DUMP_TREE = 'dump';
/** Roles, their settings, rights and memberships, as pg_dumpall writes them. */
export const ROLES_FILE = 'globals/roles.sql';
export const TABLESPACES_FILE = 'globals/tablespaces.sql';
