import type { Catalog } from './catalogs.ts';
import { Catalogs } from './catalogs.ts';
import type { Gathering } from './gather.ts';
import { nameAt } from './heap.ts';
import { relationFile } from './paths.ts';

/** Oids of catalogs and tablespaces (catalog/pg_*_d.h), the same in every version. */
const PG_DATABASE = 1262;
const PG_CLASS = 1259;
const PG_NAMESPACE = 2615;
const PG_DEFAULT = 1663;
const PG_GLOBAL = 1664;
/** Columns at the front of pg_class. */
const SCHEMA_AT = 68;
const NODE_AT = 88;
const SPACE_AT = 92;
const NAME_AT = 4;

/** Name of the relation that a file belongs to, as database.schema.name; of a shared one pg_catalog.name. */
export type NameOf = (path: string) => string | undefined;

/**
 * Reads names of relations out of the catalogs in a point: of every database only three catalogs are fetched. The copy was
 * taken of a running cluster: what was made or renamed meanwhile may go by its older name, or have none.
 */
export async function relationNames(use: Gathering, scratch: string): Promise<NameOf> {
  const catalogs = new Catalogs(use, scratch);
  await catalogs.fetchMaps();
  const shared = catalogs.mapped('global');
  const databaseList: Catalog = { folder: 'global', node: shared.get(PG_DATABASE) };
  const homes = (await catalogs.folders()).filter((folder) => folder !== 'global');
  const classes = homes.map((folder): Catalog => ({ folder, node: catalogs.mapped(folder).get(PG_CLASS) }));
  await catalogs.fetchAll([databaseList, ...classes]);
  const schemas = classes.map((each): Catalog => ({ ...each, node: namespaceNode(catalogs, each) }));
  await catalogs.fetchAll(schemas);
  const databases = new Map<string, string>();
  for (const row of catalogs.rows(databaseList)) databases.set(String(oidOf(row)), nameAt(row, NAME_AT));
  const names = new Map<string, string>();
  for (const [index, list] of classes.entries()) {
    const database = databases.get(oidIn(list.folder));
    if (database !== undefined)
      addNames(names, { catalogs, database, list, schemas: schemas[index] as Catalog, shared });
  }
  return (path) => {
    const file = relationFile(path);
    return file && names.get(keyOf(file.folder, file.node));
  };
}

/** Name of every database by its oid; of every other catalog nothing is fetched. */
export async function databaseNames(use: Gathering, scratch: string): Promise<Map<number, string>> {
  const catalogs = new Catalogs(use, scratch);
  await catalogs.fetchShared();
  const list: Catalog = { folder: 'global', node: catalogs.mapped('global').get(PG_DATABASE) };
  await catalogs.fetchAll([list]);
  return namesIn(catalogs, list);
}

/** "schema.name" of every relation of one database, tables and what is not stored among them. */
export async function relationsOf(
  use: Gathering,
  { folder: scratch, database }: { folder: string; database: number },
): Promise<string[]> {
  const catalogs = new Catalogs(use, scratch);
  await catalogs.fetchShared(database);
  const [folder] = (await catalogs.folders()).filter((each) => each !== 'global');
  if (folder === undefined) return [];
  const list: Catalog = { folder, node: catalogs.mapped(folder).get(PG_CLASS) };
  await catalogs.fetchAll([list]);
  const schemas: Catalog = { folder, node: namespaceNode(catalogs, list) };
  await catalogs.fetchAll([schemas]);
  const names = namesIn(catalogs, schemas);
  const relations: string[] = [];
  for (const row of catalogs.rows(list)) {
    const schema = names.get(row.readUInt32LE(SCHEMA_AT));
    if (schema !== undefined) relations.push(`${schema}.${nameAt(row, NAME_AT)}`);
  }
  return relations;
}

/** A row is read at once: the next page comes into the same memory. */
function namesIn(catalogs: Catalogs, list: Catalog): Map<number, string> {
  const names = new Map<number, string>();
  for (const row of catalogs.rows(list)) names.set(oidOf(row), nameAt(row, NAME_AT));
  return names;
}

function namespaceNode(catalogs: Catalogs, list: Catalog): number | undefined {
  for (const row of catalogs.rows(list)) if (oidOf(row) === PG_NAMESPACE) return row.readUInt32LE(NODE_AT);
  return undefined;
}

interface Database {
  catalogs: Catalogs;
  database: string;
  list: Catalog;
  schemas: Catalog;
  shared: Map<number, number>;
}

function addNames(names: Map<string, string>, { catalogs, database, list, schemas, shared }: Database): void {
  const schemaNames = namesIn(catalogs, schemas);
  const own = catalogs.mapped(list.folder);
  for (const row of catalogs.rows(list)) {
    const schema = schemaNames.get(row.readUInt32LE(SCHEMA_AT));
    if (schema === undefined) continue;
    const [space, name] = [row.readUInt32LE(SPACE_AT), `${schema}.${nameAt(row, NAME_AT)}`];
    const isShared = space === PG_GLOBAL;
    const node = row.readUInt32LE(NODE_AT) || (isShared ? shared : own).get(oidOf(row));
    if (!node) continue;
    if (isShared) names.set(keyOf('global', node), name);
    else names.set(keyOf(folderOf(list.folder, space), node), `${database}.${name}`);
  }
}

/** A relation that names no tablespace stands beside the catalogs of its database. */
function folderOf(home: string, space: number): string {
  if (space === 0) return home;
  return space === PG_DEFAULT ? `base/${oidIn(home)}` : `pg_tblspc/${space}/PG/${oidIn(home)}`;
}

/** Names of versions stand in the paths of tablespaces only. */
function keyOf(folder: string, node: number | string): string {
  return `${folder.replace(/\/PG_\d+_\d+\//, '/PG/')}/${node}`;
}

function oidIn(folder: string): string {
  return folder.slice(folder.lastIndexOf('/') + 1);
}

function oidOf(row: Buffer): number {
  return row.readUInt32LE(0);
}
