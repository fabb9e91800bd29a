import { join } from 'node:path';
import type { Manifest } from '../../../../workflows/model/manifest.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { nearestName } from '../../../../workflows/model/nearest.ts';
import type { PartialPlan } from '../../../../workflows/model/partial.ts';
import { ALWAYS_KEPT, leftOutOf } from '../../../../workflows/model/partial.ts';
import type { ChosenDatabase, DatabaseWish } from '../../point-files.ts';
import type { Link } from '../recovery/chain.ts';
import { usesOf } from '../recovery/link-places.ts';
import type { Gathering } from './gather.ts';
import { openPoint } from './gather.ts';
import { databaseNames, relationsOf } from './names.ts';

const MOST_NAMED = 20;

/**
 * Whose files a restore of one database takes. The catalog is that of the base: a database that was made after it is in none of
 * its files, and may have been copied from one that is left out.
 */
export async function chooseDatabase(
  use: Gathering,
  { wish, folder }: { wish: DatabaseWish; folder: string },
): Promise<ChosenDatabase> {
  const { manifest } = use.reader;
  const { database } = wish;
  const names = await databaseNames(use, folder);
  const [oid] = [...names].find(([, name]) => name === database) ?? [];
  if (oid === undefined) throw absent(manifest, database, [...names.values()]);
  if (wish.schema !== undefined || wish.tables.length > 0)
    checkNames(manifest, wish, await relationsOf(use, { folder: join(folder, 'one'), database: oid }));
  const isKept = ([id, name]: [number, string]): boolean => id === oid || ALWAYS_KEPT.includes(name);
  const others = [...names].filter((each) => !isKept(each)).map(([, name]) => name);
  const whole = whyWhole(manifest);
  const partial: PartialPlan = {
    ...{ database, oid, kept: [...names].filter(isKept).map(([id]) => id), leftOut: leftOutOf(others.sort()) },
    ...(whole === undefined ? {} : { whole }),
  };
  return { partial, needs: await needsOf(use, partial) };
}

/** Without them nearly every record of the WAL changes a page that has no content, and each is told in a line of the log. */
function whyWhole({ settings }: Manifest): string | undefined {
  return settings['full_page_writes'] === 'off' ? 'full_page_writes was off on the source' : undefined;
}

async function needsOf({ reader, chain }: Gathering, partial: PartialPlan): Promise<ChosenDatabase['needs']> {
  const needs: ChosenDatabase['needs'] = [];
  for (const [index, point] of chain.entries()) {
    const nextPoint = chain[index + 1];
    const link: Link = {
      reader: await openPoint(reader, point),
      ...(nextPoint === undefined ? {} : { next: await openPoint(reader, nextPoint) }),
    };
    needs.push({ point, ...partsFor(link, partial) });
  }
  return needs;
}

/** A part is fetched when a piece of any wanted file is in it. */
function partsFor(link: Link, partial: PartialPlan): { bytes: number; storedBytes: number } {
  const { parts, trees } = link.reader.manifest;
  const useOf = usesOf(link, partial);
  const wanted = new Set<number>();
  for (const tree of trees) {
    for (const file of tree.files) {
      const use = useOf(tree, file);
      if (use && use.as !== 'size') for (const { part } of file.slices ?? []) wanted.add(part);
    }
  }
  const sum = { bytes: 0, storedBytes: 0 };
  for (const { number, bytes, storedBytes } of parts) {
    if (!wanted.has(number)) continue;
    sum.bytes += bytes;
    sum.storedBytes += storedBytes;
  }
  return sum;
}

/** A typing mistake must not be found out when everything has been restored. */
function checkNames({ point }: Manifest, { database, schema, tables }: DatabaseWish, known: readonly string[]): void {
  const missing = (what: 'Schema' | 'Table', found: string, names: readonly string[]): Error => {
    const near = nearestName(found, [...names]);
    const later = `one that was made after the base comes with the whole database: --only-database ${database}`;
    return failure('NotFound', `${what.toLowerCase()} ${found} is not in database ${database} of ${point}`, {
      ...{ place: `only${what}`, found, expected: `a ${what.toLowerCase()} that the base has` },
      hint: near === undefined ? later : `did you mean ${near}?`,
    });
  };
  const schemas = [...new Set(known.map((name) => name.slice(0, name.indexOf('.'))))];
  if (schema !== undefined && !schemas.includes(schema)) throw missing('Schema', schema, schemas);
  for (const table of tables) {
    const isIt = (name: string): boolean =>
      (name === table || name.slice(name.indexOf('.') + 1) === table) &&
      (schema === undefined || name.startsWith(`${schema}.`));
    if (!known.some(isIt)) throw missing('Table', table, known);
  }
}

function absent({ source, point }: Manifest, database: string, names: string[]): Error {
  const near = nearestName(database, names);
  return failure('NotFound', `database ${database} is not in ${point}`, {
    place: 'onlyDatabase',
    expected: `one of ${names.sort().slice(0, MOST_NAMED).join(', ')}`,
    found: database,
    hint:
      near === undefined
        ? `one that was made later is in a later point, or in a restore of the whole cluster: lifeboat restore ${source}`
        : `did you mean ${near}?`,
  });
}
