import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../activities/io/clock.ts';
import { plainRun } from '../../activities/io/run.ts';
import { keepMeasurement, readMeasurements } from '../../activities/measurements.ts';
import { keepSteps, stepsBefore } from '../../activities/step-history.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import type { Measurement } from '../../workflows/model/measurement.ts';
import type { Report } from '../../workflows/model/report.ts';
import { sampleReport } from '../support/sample-report.ts';
import { failoverReport } from '../support/sealed-report.ts';
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

/** A failover whose one step took so long. */
function took(run: number, ms: number, changes: Partial<Report> = {}): Report {
  const finishedAt = new Date(Date.UTC(2026, 0, 5, 3, run)).toISOString();
  const step = { name: 'promote db-b', from: finishedAt, to: finishedAt, ms };
  return { ...failoverReport(), run: `failover/web ${run}`, finishedAt, steps: [step], ...changes };
}

test('steps are compared with those of earlier runs of the same kind that ended well, twenty at most, and not with their own', () =>
  withTempDir(async (dir) => {
    await using vault = await (await testVault(dir)).open();
    const beforeOf = async (report: Report): Promise<unknown> => (await stepsBefore(vault, report))[0]?.before;
    assert.equal(await beforeOf(took(1, 5)), undefined);
    for (const [run, ms] of [[1, 5], [2, 100], [3, 7]] as const) await keepSteps(vault, took(run, ms)); // prettier-ignore
    await keepSteps(vault, took(3, 7));
    await keepSteps(vault, took(4, 9999, { outcome: 'failed' }));
    await keepSteps(vault, took(5, 9999, { drill: true }));
    assert.deepEqual(await beforeOf(took(9, 6)), { runs: 3, medianMs: 7, longestMs: 100 });
    assert.deepEqual(await beforeOf(took(2, 100)), { runs: 2, medianMs: 5, longestMs: 7 });
    for (let run = 10; run < 40; run++) await keepSteps(vault, took(run, run));
    assert.deepEqual(await beforeOf(took(50, 1)), { runs: 20, medianMs: 29, longestMs: 39 });
    const [name = ''] = (await vault.reportNames('steps-web-failover')).filter((each) => !each.endsWith('-drill'));
    for (const damaged of ['no JSON', '{"format":"lifeboat-steps/2"}']) {
      await vault.putReport(name, Buffer.from(damaged));
      assert.equal(await beforeOf(took(51, 1)), undefined);
    }
  }));
