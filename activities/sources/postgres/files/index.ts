import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import { nearestName } from '../../../../workflows/model/nearest.ts';
import { exclusively } from '../../../io/exclusive.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import type { Run } from '../../../io/run.ts';
import type { Chained, PointFiles } from '../../point-files.ts';
import type { PostgresOptions } from '../options.ts';
import { checkExtractTarget, extractFiles, removeStaging } from './extract.ts';
import { chooseDatabase } from './choose-database.ts';
import { listedFiles } from './list.ts';
import type { NameOf } from './names.ts';
import { relationNames } from './names.ts';
import { relationFile } from './paths.ts';

export function createPointFiles(options: PostgresOptions, run: Run): PointFiles {
  const inFolder = <T>(work: (folder: string) => Promise<T>): Promise<T> => withCatalogs(options, work);
  const names = (from: Chained): Promise<NameOf> => inFolder((folder) => relationNames({ ...from, run }, folder));
  return {
    list: ({ reader }) => listedFiles(reader.manifest),
    names,
    choose: (from, wish) => inFolder((folder) => chooseDatabase({ ...from, run }, { wish, folder })),
    find: async (from, what) => {
      if ('all' in what) return findAll(from);
      return 'file' in what ? findFile(from, what.file) : findRelation(from, what.relation, names);
    },
    checkTarget: checkExtractTarget,
    // A late attempt would write into what its successor has published.
    extract: (plan, from) => exclusively(plan.to, run, () => extractFiles(plan, { ...from, run })),
    discard: (plan) => exclusively(plan.to, run, () => removeStaging(plan)),
  };
}

/** Catalogs are fetched into a folder of their own, which is gone afterwards. */
async function withCatalogs<T>({ restore }: PostgresOptions, work: (folder: string) => Promise<T>): Promise<T> {
  const scratch = join(restore.scratch, `.catalogs-${randomUUID()}`);
  try {
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    return await work(scratch);
  } catch (error) {
    throw fileFailure(scratch, error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Of a backup they are no cluster without its WAL: what makes one of it is a restore. */
function findAll({ reader }: Chained): string {
  const { source, point, forensic } = reader.manifest;
  if (forensic) return '.';
  throw failure('Precondition', `point ${point} is a backup: its files alone are no cluster`, {
    place: `${source}/${point}`,
    expected: 'a forensic copy, which is taken out as it is',
    found: 'a backup',
    hint: `lifeboat restore ${source} --point ${point} --into DIR`,
  });
}

function findFile({ reader }: Chained, wanted: string): string {
  const paths: string[] = [];
  for (const { path, type } of listedFiles(reader.manifest)) {
    if (type !== 'file') continue;
    if (path === wanted) return path;
    paths.push(path);
  }
  throw nothing(reader.manifest, { what: `file ${wanted}`, found: wanted, near: nearestName(wanted, paths) });
}

/** Path of its main file. */
async function findRelation(from: Chained, wanted: string, names: (from: Chained) => Promise<NameOf>): Promise<string> {
  const nameOf = await names(from);
  const known = new Set<string>();
  for (const { path } of listedFiles(from.reader.manifest)) {
    const file = relationFile(path);
    const name = file?.fork === 'main' && file.segment === 0 ? nameOf(path) : undefined;
    if (name === wanted) return path;
    if (name !== undefined) known.add(name);
  }
  throw nothing(from.reader.manifest, {
    what: `relation ${wanted}`,
    found: wanted,
    near: nearestName(wanted, [...known]),
  });
}

function nothing(
  { source, point }: { source: string; point: string },
  { what, found, near }: { what: string; found: string; near: string | undefined },
): Error {
  return failure('NotFound', `${what} is not in ${point}`, {
    ...{ place: `${source}/${point}`, found },
    expected: 'a path as lifeboat contents shows it, or database.schema.name',
    hint: near === undefined ? `lifeboat contents ${source}/${point} --relations` : `did you mean ${near}?`,
  });
}
