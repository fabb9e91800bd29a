import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { passedOver } from '../../activities/sources/postgres/recovery/passed-over.ts';
import type { Place } from '../../activities/sources/postgres/recovery/place.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';

const KEPT = 16400;
const PLAN = { partial: { kept: [KEPT], leftOut: { count: 1 } } } as unknown as RecoveryPlan;

function told(database: number): string {
  return `${JSON.stringify({ message: `page 7 of relation base/${database}/1259 does not exist` })}\n`;
}

test('what any start of the server passed over counts, and is wrong in the database that is kept', async () => {
  await withTempDir(async (log) => {
    const place = { log } as Place;
    await writeFile(join(log, 'server.json.1'), told(16500));
    await writeFile(join(log, 'server.json.2'), told(16500));
    await writeFile(join(log, 'server.json'), '{"message":"redo done"}\n');
    assert.equal(await passedOver(PLAN, place), 2);
    await writeFile(join(log, 'server.json.1'), told(KEPT));
    await assert.rejects(passedOver(PLAN, place), (error) => failureTypeOf(error) === 'Integrity');
  });
});
