import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Traces } from '../../activities/cluster/ended.ts';
import { unseenBy } from '../../activities/cluster/ended.ts';

const LOCK = '4242\n/srv/data\n1796080000\n5432\n/run/postgresql\n10.0.0.1\n  6585679   6815745\nready   \n';

/** As /proc/sysvipc/shm has it, with so many processes at the segment of LOCK. */
function segments(attached: number, key = '6585679'): string {
  return [
    '       key      shmid perms                  size  cpid  lpid nattch   uid   gid',
    '   6806304    7241730   600                    56 27001 27023      7 65534 65534',
    `   ${key}    6815745   600                    56 30483 30491      ${attached} 65534 65534`,
  ].join('\n');
}

const ALONE: Traces = { lock: undefined, segments: segments(3), state: 'shut down', seesAll: false };

const CASES: [name: string, traces: Partial<Traces>, says: RegExp | undefined][] = [
  ['shut down, in a container', {}, undefined],
  ['shut down as a standby', { state: 'shut down in recovery' }, undefined],
  ['crashed here', { lock: LOCK, segments: segments(0), state: 'in production' }, undefined],
  ['it lives in another container of one pod', { lock: LOCK }, /^3 processes that are not seen from here/],
  ['and is seen by none of the whole machine', { lock: LOCK, seesAll: true }, /^3 processes/],
  ['its memory is in another container', { lock: LOCK, segments: segments(0, '77') }, /postmaster\.pid names process 4242.*another container/], // prettier-ignore
  ['and the whole machine is seen', { lock: LOCK, segments: '', seesAll: true }, undefined],
  ['no lock, and it did not end', { state: 'in production' }, /pg_control says: in production, and it may run/],
  ['no lock, and nothing to read', { state: undefined }, /pg_control says: nothing/],
  ['the same, and the whole machine is seen', { state: 'in production', seesAll: true }, undefined],
  ['a lock of another form', { lock: '4242\n' }, /names process 4242/],
];

test('a server of which no process is seen: by its lock file, its shared memory and pg_control', () => {
  for (const [name, traces, says] of CASES) {
    const found = unseenBy({ ...ALONE, ...traces });
    if (says) assert.match(found ?? '', says, name);
    else assert.equal(found, undefined, name);
  }
  const negative = LOCK.replace('6585679', String(2n ** 64n - 5n));
  assert.equal(unseenBy({ ...ALONE, lock: negative, segments: segments(0, '-5') }), undefined);
});
