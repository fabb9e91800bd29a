import type { PointSummary } from '../workflows/model/manifest.ts';
import type { BringPlan, PartialPlan } from '../workflows/model/partial.ts';
import { describeLeftOut, hasHollow } from '../workflows/model/partial.ts';
import type { Route } from '../workflows/model/reachable.ts';
import type { RecoveryPlan } from '../workflows/model/recovery.ts';
import { filesOf } from './extract.ts';
import type { PlanTask } from './plan.ts';
import { checkPlace, intoNotes, intoOf } from './plan-dump.ts';
import type { SourceUse } from './use-source.ts';

/** What is fetched of each point, when all of it is or when one database is wanted. */
export interface Portion {
  partial?: PartialPlan;
  /** Of the route, with the bytes that are fetched of each. */
  chain: readonly PointSummary[];
}

/** Reads the catalogs of one database out of the point; a restore of everything reads nothing. */
export async function portionOf(use: SourceUse, route: Route, task: PlanTask): Promise<Portion> {
  const { onlyDatabase: database, onlySchema: schema, onlyTable: table } = task;
  if (database === undefined) return { chain: route.chain };
  checkPlace(task);
  const reader = await use.vault.open(route.base.point);
  const chain = route.chain.map(({ point }) => point);
  const wish = {
    ...{ database, tables: table === undefined ? [] : [table] },
    ...(schema === undefined ? {} : { schema }),
  };
  const { partial, needs } = await filesOf(use).choose({ reader, chain }, wish);
  const of = new Map(needs.map((need) => [need.point, need]));
  return {
    partial: { ...partial, ...bringOf(task) },
    chain: route.chain.map((point) => ({ ...point, ...of.get(point.point) })),
  };
}

/** Whoever takes rows of the copy hears at once of what keeps them from the database of now. */
export async function checkRows({ session }: SourceUse, plan: RecoveryPlan, { rows }: PlanTask): Promise<void> {
  if (rows) await session.rows?.check(plan, rows);
}

function bringOf(task: PlanTask): { bring?: BringPlan } {
  const { onlySchema: schema, onlyTable: table, intoDatabase: name } = task;
  if (name === undefined) return {};
  return {
    bring: {
      ...(schema === undefined ? {} : { schema }),
      ...(table === undefined ? {} : { table }),
      // Whom things belong to is known when the copy is there.
      into: intoOf(task, name, []),
    },
  };
}

/** What a person should know who gets less than a cluster. */
export function partialNotes(plan: RecoveryPlan): string[] {
  const { partial } = plan;
  if (!partial) return [];
  const { database, leftOut, whole, bring } = partial;
  const notes = [`database ${database} is restored and proven; not ${describeLeftOut(leftOut)}`];
  if (whole !== undefined)
    notes.push(`the files of the others are restored, too, and nothing of them is proven: ${whole}`);
  if (bring) {
    notes.push(...intoNotes(bring.into));
    notes.push('roles that it needs and the server lacks are made there, and cannot log in; the copy is removed');
  } else if (hasHollow(plan)) {
    notes.push('the others have no content in the copy, and nobody can connect to them');
  }
  return notes;
}
