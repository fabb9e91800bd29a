import type { Commit } from '../../workflows/model/last-good.ts';
import { findFailure } from '../../workflows/model/failure.ts';
import { query, withConnection } from '../io/postgres/connection.ts';
import type { NodeUse } from './node.ts';
import { connectionOf, peerOf } from './node.ts';

/** "base/5/16384": of the default tablespace. */
const PATH = /^base\/(\d+)\/(\d+)$/;

/**
 * Calls the relations of commits as the primary does, which has them from before the fork; what was made or rewritten since goes by its
 * file. A primary that does not answer leaves all of them as they are.
 */
export async function nameRelations(use: NodeUse, upstream: string, commits: readonly Commit[]): Promise<Commit[]> {
  const paths = commits.flatMap(({ relations = [] }) => relations.map(({ relation }) => relation));
  const names = await namesOf(use, upstream, [...new Set(paths)]);
  return commits.map((commit) =>
    commit.relations
      ? {
          ...commit,
          relations: commit.relations.map((each) => ({ ...each, relation: names.get(each.relation) ?? each.relation })),
        }
      : commit,
  );
}

async function namesOf(use: NodeUse, upstream: string, paths: readonly string[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  try {
    for (const [oid, files] of filesByDatabase(paths)) {
      for (const { node, name } of await namesIn(use, upstream, { oid, files })) names.set(`base/${oid}/${node}`, name);
    }
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    use.run.log.warn('relations cannot be named', { error: findFailure(error)?.message ?? '' });
  }
  return names;
}

function filesByDatabase(paths: readonly string[]): Map<number, string[]> {
  const files = new Map<number, string[]>();
  for (const path of paths) {
    const [, database, node] = PATH.exec(path) ?? [];
    if (database === undefined || node === undefined) continue;
    files.set(Number(database), [...(files.get(Number(database)) ?? []), node]);
  }
  return files;
}

async function namesIn(
  use: NodeUse,
  upstream: string,
  { oid, files }: { oid: number; files: readonly string[] },
): Promise<{ node: string; name: string }[]> {
  const at = connectionOf({ node: peerOf(use, upstream), cluster: use.cluster }, true);
  const mode = { signal: use.run.signal };
  const database = await withConnection(at, mode, async (sql) => {
    const [row] = await query<{ name: string }>(sql, 'select datname as name from pg_database where oid = $1', [oid]);
    return row?.name;
  });
  if (database === undefined) return [];
  return withConnection(at, { ...mode, database }, (sql) =>
    query<{ node: string; name: string }>(
      sql,
      `select f as node, format('%s.%s.%s', current_database(), n.nspname, c.relname) as name
         from unnest($1::text[]) f
         join pg_class c on c.oid = pg_filenode_relation(0, f::oid) join pg_namespace n on n.oid = c.relnamespace`,
      [files],
    ),
  );
}
