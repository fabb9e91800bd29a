import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { takeAllIntoUse } from '../../activities/in-use.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { SourceUse } from '../../activities/use-source.ts';
import type { UseNote, Vault } from '../../activities/vault/vault.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { samplePoint } from '../support/sample-report.ts';

test('points that a removal took before they were in use are in no list', async () => {
  const stored = new Set(['p1', 'p2']);
  const notes: UseNote[] = [];
  let isRemoving = true;
  const vault = {
    points: () => {
      const points = [...stored].map((point): PointSummary => ({ ...samplePoint(), point }));
      return Promise.resolve({ points, forensic: [], damaged: [] });
    },
    uses: {
      put: (_: string, note: UseNote) => Promise.resolve(void notes.push(note)),
      // The removal that was announced before ours was read.
      read: () => {
        const removal = isRemoving ? { workflowId: '', runId: '', points: ['p1'], wal: false } : undefined;
        isRemoving = false;
        stored.delete('p1');
        return Promise.resolve(removal);
      },
      storeTime: () => Promise.resolve(undefined),
    },
  } as unknown as Vault;
  const use = { name: 'shop', vault, run: plainRun() } as unknown as SourceUse;
  const environment = new MockActivityEnvironment();
  const listed = await environment.run(() => takeAllIntoUse(use, { wal: true }));
  const { points } = listed as Awaited<ReturnType<Vault['points']>>;
  assert.deepEqual(points.map(({ point }) => point), ['p2']); // prettier-ignore
  assert.deepEqual(notes.map((note) => [note.points, note.wal]), [[['p1', 'p2'], true]]); // prettier-ignore
});
