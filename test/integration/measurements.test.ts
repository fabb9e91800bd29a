import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../activities/io/clock.ts';
import { plainRun } from '../../activities/io/run.ts';
import { keepMeasurement, readMeasurements } from '../../activities/measurements.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import type { Measurement } from '../../workflows/model/measurement.ts';
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
    const never = (): Promise<never> => new Promise(() => undefined);
    const readFrom = (changes: Partial<Vault>, enough: Promise<void>, signal?: AbortSignal): Promise<Measurement[]> => {
      const clock = { ...systemClock, sleep: () => enough };
      return readMeasurements({
        vault: { ...vault, ...changes },
        run: plainRun({ clock, ...(signal ? { signal } : {}) }),
      });
    };
    assert.deepEqual(await readFrom({ reportNames: never }, Promise.resolve()), []);
    const others = Promise.withResolvers<void>();
    let awaited = names.length - 1;
    const read = async (name: string): Promise<Buffer> => {
      if (name === names[7]) return never();
      return vault.readReport(name).finally(() => (awaited -= 1) === 0 && setImmediate(others.resolve));
    };
    assert.equal((await readFrom({ readReport: read }, others.promise)).length, 46);
    const stop = new AbortController();
    const stopped = readFrom({ reportNames: never }, never(), stop.signal);
    stop.abort(new Error('stopped'));
    await assert.rejects(stopped, /stopped/);
    await keepMeasurement(vault, { ...reportAt(55), kind: 'demo' });
    assert.equal((await vault.reportNames('measured-')).includes(names[0] ?? ''), true);
  });
});
