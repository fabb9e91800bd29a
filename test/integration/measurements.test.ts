import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepMeasurement, readMeasurements } from '../../activities/measurements.ts';
import { sampleReport } from '../support/sample-report.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { heldThreads, testVault } from '../support/vault.ts';

heldThreads();

test('measurements: kept in the vault, fifty at most, a repeat changes nothing, one that is damaged hides no other', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await using vault = await at.open();
    const reportAt = (minute: number) => ({
      ...sampleReport(),
      run: `drill/shop ${minute}`,
      startedAt: new Date(Date.UTC(2026, 0, 5, 3, minute)).toISOString(),
      finishedAt: new Date(Date.UTC(2026, 0, 5, 3, minute, 30)).toISOString(),
    });
    for (let minute = 0; minute < 53; minute++) await keepMeasurement(vault, reportAt(minute));
    await keepMeasurement(vault, reportAt(52));
    await vault.putReport('catalog.json', Buffer.from('{}'));
    const names = await vault.reportNames('measured-');
    assert.equal(names.length, 50);
    const [first] = await readMeasurements({ vault, run: at.run });
    assert.deepEqual(
      [first?.run, first?.at, first?.host, first?.load.walBytes],
      ['drill/shop 3', '2026-01-05T03:03:30.000Z', 'db1', 30_000_000],
    );
    await at.store.put(`shop/reports/${names[1]}`, Buffer.from('no message'));
    await vault.putReport(names[2] ?? '', Buffer.from('{"format":"lifeboat-measured/2"}'));
    await vault.putReport(names[3] ?? '', Buffer.from('not JSON'));
    assert.equal((await readMeasurements({ vault, run: at.run })).length, 47);
    await keepMeasurement(vault, { ...reportAt(55), kind: 'demo' });
    assert.equal((await vault.reportNames('measured-')).includes(names[0] ?? ''), true);
  });
});
