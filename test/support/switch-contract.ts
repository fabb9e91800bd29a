import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { Traffic } from '../../workflows/model/traffic.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import { withTempDir } from './temp-dir.ts';

/**
 * What goes wrong at the next move. `lost`: it was made, and the reply does not come through; `garbage`: it was made, and the
 * reply cannot be read; `hang`: it was made, and nobody answers; `busy`: it was not made, and may be asked for again.
 */
export type SwitchFault = 'lost' | 'hang' | 'garbage' | 'busy';

/** What the suite needs of a kind: a new switch at `home`, and somebody else who knows what it really did. */
export interface SwitchPlace {
  home: Traffic;
  away: Traffic;
  /** Somewhere else still; absent: stopped. */
  third?: Traffic;
  open(options?: { signal?: AbortSignal; timeout?: string }): SwitchSession;
  fail(fault: SwitchFault): Promise<void>;
  /** Changes that were made, oldest first; a new token for the same traffic is none. */
  changes(): Promise<string[]>;
}

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;

/** The promises of activities/switches/switch.ts; `placeIn` makes a place of its own for each of them. */
export function switchContract(kind: string, placeIn: (dir: string) => Promise<SwitchPlace>, form = ''): void {
  const at = (name: string, work: (place: SwitchPlace) => Promise<void>): void => {
    const title = form === '' ? kind : `${kind}, ${form}`;
    test(`switch ${title}: ${name}`, () => withTempDir(async (dir) => work(await placeIn(dir))));
  };

  at('says where traffic goes, moves it, and confirms it from outside', async (place) => {
    const { home, away, third = STOPPED } = place;
    await using session = place.open();
    assert.deepEqual(await session.where(), { traffic: home, token: 0 });
    await session.move({ from: home, to: third, token: 2 });
    assert.deepEqual(await session.where(), { traffic: third, token: 2 });
    assert.equal((await session.confirm(third)).ok, true);
    assert.equal((await session.confirm(away)).ok, false);
    await session.move({ from: third, to: away, token: 2 });
    assert.deepEqual(await session.where(), { traffic: away, token: 2 });
  });

  at('a repeat changes nothing and succeeds', async (place) => {
    const { home, away } = place;
    await using session = place.open();
    for (let time = 0; time < 3; time++) await session.move({ from: home, to: away, token: 4 });
    assert.equal((await place.changes()).length, 1);
  });

  at('a stale token and another place are refused, and nothing is changed', async (place) => {
    const { home, away, third = STOPPED } = place;
    await using session = place.open();
    await session.move({ from: home, to: third, token: 6 });
    await assert.rejects(session.move({ from: third, to: away, token: 5 }), typeOf('Precondition'));
    await assert.rejects(session.move({ from: home, to: away, token: 7 }), typeOf('Precondition'));
    assert.deepEqual(await session.where(), { traffic: third, token: 6 });
    assert.equal((await place.changes()).length, 1);
  });

  at('it stays where it is under a newer token, which keeps late moves away', async (place) => {
    const { home, away } = place;
    await using session = place.open();
    await session.move({ from: home, to: home, token: 9 });
    assert.deepEqual(await session.where(), { traffic: home, token: 9 });
    await assert.rejects(session.move({ from: home, to: away, token: 8 }), typeOf('Precondition'));
    assert.deepEqual(await place.changes(), []);
  });

  at(
    'a reply that is lost or cannot be read leaves the outcome unknown; a look tells, and a repeat does no harm',
    async (place) => {
      const { home, away } = place;
      await using session = place.open();
      let from = home;
      for (const [index, fault] of (['lost', 'garbage'] as const).entries()) {
        const to = from === home ? away : home;
        await place.fail(fault);
        await assert.rejects(session.move({ from, to, token: 2 }), typeOf('OutcomeUnknown'), fault);
        assert.deepEqual((await session.where()).traffic, to);
        await session.move({ from, to, token: 2 });
        assert.equal((await place.changes()).length, index + 1);
        from = to;
      }
    },
  );

  at('one that hangs is ended at its time limit, its outcome unknown', async (place) => {
    const { home, away } = place;
    await using session = place.open({ timeout: '2s' });
    await place.fail('hang');
    await assert.rejects(session.move({ from: home, to: away, token: 2 }), typeOf('OutcomeUnknown'));
  });

  at('one that is busy has changed nothing and is to be asked again', async (place) => {
    const { home, away } = place;
    await using session = place.open();
    await place.fail('busy');
    const again = (error: unknown): boolean => ['Unavailable', 'Busy'].includes(failureTypeOf(error) ?? '');
    await assert.rejects(session.move({ from: home, to: away, token: 2 }), again);
    assert.deepEqual((await session.where()).traffic, home);
  });

  at('a cancelled run ends the call with its reason', async (place) => {
    const { home, away } = place;
    const stop = new AbortController();
    await using session = place.open({ signal: stop.signal });
    await place.fail('hang');
    const moving = session.move({ from: home, to: away, token: 2 });
    moving.catch(() => undefined);
    await using other = place.open();
    while ((await place.changes()).length === 0) await other.where();
    stop.abort(new Error('enough'));
    await assert.rejects(moving, { message: 'enough' });
  });
}
