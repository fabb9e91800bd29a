import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { InspectAnswer } from '../../workflows/model/results.ts';
import { startHttpProxy } from '../support/http-proxy.ts';
import { s3Missing, startS3 } from '../support/s3.ts';
import type { Running, Tenant } from '../support/system.ts';
import { inStep, withSystem } from '../support/system.ts';
import { assertHolds } from '../support/system-survival.ts';
import { until } from '../support/system-until.ts';

const SLOW = { partSize: '1MiB', maxRate: '4MiB' };

/** What a person sees of a step that does not get on: its last heartbeat, or why its last attempt failed. */
async function toldOf({ handle }: Pick<Running<unknown>, 'handle'>, activity: string): Promise<string> {
  const { raw } = await handle.describe();
  const step = raw.pendingActivities?.find(({ activityType }) => activityType?.name === activity);
  const beat = step?.heartbeatDetails?.payloads?.map(({ data }) => Buffer.from(data ?? []).toString()).join(' ') ?? '';
  return `${beat} ${step?.lastFailure?.message ?? ''}`;
}

function toldThatAway(run: Pick<Running<unknown>, 'handle'>, activity: string, place: RegExp): Promise<true> {
  return until(`${activity} to say that the store is away`, async () =>
    place.test(await toldOf(run, activity)) ? true : undefined,
  );
}

function streamOf({ system, source }: Tenant): Pick<Running<unknown>, 'handle'> {
  return { handle: system.client.workflow.getHandle(workflowId.wal(source)) };
}

test('an S3 server is away while WAL is streamed and a backup is taken', { skip: s3Missing() }, () =>
  withSystem(async (system) => {
    await using s3 = await startS3();
    await using way = await startHttpProxy(s3.port);
    const bucket = await s3.createBucket();
    const remote = {
      ...{ kind: 's3', bucket, endpoint: way.origin, pathStyle: true, timeout: '5s' },
      ...{ accessKeyId: { file: 's3-id' }, secretAccessKey: { file: 's3-secret' } },
    };
    const tenant = await system.tenant({
      ...{
        name: 'remote',
        source: 'shop',
        secrets: { 's3-id': s3.root.accessKeyId, 's3-secret': s3.root.secretAccessKey },
      },
      more: { store: 'remote', backup: SLOW },
      top: { stores: { remote } },
    });
    await tenant.startWorker();
    const backup = await tenant.start<PointSummary>('backup', { source: 'shop' }, workflowId.backup('shop'));
    await inStep(backup, ['takeBackup']);

    way.fate = () => ({ kind: 'reset' });
    await toldThatAway(backup, 'takeBackup', /s3:\/\/bucket/);
    await toldThatAway(streamOf(tenant), 'streamWal', /store refuses WAL|s3:\/\/bucket/);
    way.fate = () => undefined;

    assert.equal((await backup.result).kind, 'full');
    const mark = await system.orders.mark(system.server);
    const wal = await until('the WAL up to the mark', async () => {
      const { result } = await tenant.start<InspectAnswer>('inspect', { what: 'wal', source: 'shop' }, 'inspect/wal');
      const answer = await result;
      assert.ok(answer.what === 'wal');
      const end = answer.wal.ranges.at(-1)?.endLsn;
      return end !== undefined && compareLsn(end, mark.lsn) >= 0 ? answer.wal : undefined;
    });
    assert.deepEqual(wal.gaps, []);
    const { result } = await tenant.start<RestoreResult>('restore', { source: 'shop' }, workflowId.restore('shop'));
    await assertHolds(tenant, await result, mark);
  }),
);
