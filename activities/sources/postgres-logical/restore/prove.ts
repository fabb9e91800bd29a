import { selectionsOf } from '../../../../workflows/model/dump-selection.ts';
import type { Check, Proof } from '../../../../workflows/model/recovery.ts';
import { checkOf, compare, look } from '../../../io/postgres/logical/compare.ts';
import type { Destination } from '../../../io/postgres/logical/destination.ts';
import { atDestination } from '../../../io/postgres/logical/destination.ts';
import { missingRoles } from '../../../io/postgres/logical/missing-roles.ts';
import type { PointReader } from '../../source.ts';
import { nameOf } from './destination.ts';
import type { Restore } from './scene.ts';
import { reach } from './scene.ts';

/** Compares every table, large object and sequence with what the source's own snapshot said when it was dumped. */
export async function proveImport(use: Restore, { manifest }: Pick<PointReader, 'manifest'>): Promise<Proof> {
  const { plan, options, run } = use;
  const to = await reach(use);
  const checks: Check[] = [];
  let [relations, rows] = [0, 0];
  for (const selection of selectionsOf(manifest.dump?.databases ?? [], plan.dump ?? { toolMajor: 0 })) {
    const name = nameOf(plan, selection.database);
    const found = await look({ to, name, sessions: options.restore.jobs, run }, selection);
    checks.push(...compare(selection, found));
    relations += found.measured.tables.length;
    rows += found.measured.tables.reduce((sum, table) => sum + table.rows, 0);
  }
  if (!plan.dump?.into) checks.push(await rolesCheck(to, manifest.dump?.globals?.roles ?? []));
  return { ok: checks.length > 0 && checks.every(({ ok }) => ok), checks, relations, rows };
}

async function rolesCheck(to: Destination, wanted: readonly string[]): Promise<Check> {
  const missing = await atDestination(to, {}, (client) => missingRoles(client, wanted));
  return checkOf(
    'roles',
    missing.map((role) => `${role} is missing`),
    {
      expected: `${wanted.length} roles`,
      found: `${wanted.length} roles`,
    },
  );
}
