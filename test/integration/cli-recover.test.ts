import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { stringify } from 'yaml';
import type { PendingApproval } from '../../workflows/model/approval.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { RecoverResult, SourcePoints, VerifyResult } from '../../workflows/model/results.ts';
import type { Expected } from '../support/bad-input.ts';
import { assertRefused } from '../support/bad-input.ts';
import { ask } from '../support/cli-ask.ts';
import { vaultHolds, waiting } from '../support/cli-recovering.ts';
import { realTimeHost } from '../support/cli-world.ts';
import type { FileSwitch } from '../support/file-switch.ts';
import { fileSwitch } from '../support/file-switch.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import { sqlOf, timeOf, valueOf } from '../support/recovery.ts';
import type { Row } from '../support/refused.ts';
import { PROMISE, refuse } from '../support/refused.ts';
import { OLD, serviceWith } from '../support/system-take-over.ts';

const COMPLETE = ['--scenario', 'complete-loss', '--as', 'anna'];

/** One service on `shop`, two on `twin`, none on `lone`. */
function configOf(world: Lifeboat, lb: FileSwitch): string {
  const { switches, services } = serviceWith(lb, 'shop') as Record<'switches' | 'services', Record<string, object>>;
  const other = { kind: 'command', run: ['/srv/other'] };
  const all = {
    switches: { ...switches, one: other, two: other },
    services: { ...services, one: { source: 'twin', traffic: ['one'] }, two: { source: 'twin', traffic: ['two'] } },
  };
  const sources = ['shop', 'twin', 'lone'].map((name) => world.source(name));
  return ['name: test', LOCAL_STORE, stringify(all), 'sources:', ...sources].join('\n');
}

function orders(): Row[] {
  return [
    {
      ...{ name: 'a run that is not there', words: ['approve', 'recover/shop'], type: 'NotFound' },
      ...{ message: /recover\/shop/, place: /./, expected: /./, found: /./, next: /lifeboat status/ },
    },
    {
      ...{ name: 'the same refused', words: ['refuse', 'recover/shop', '--reason', 'no'], type: 'NotFound' },
      ...{ message: /recover\/shop/, place: /./, expected: /./, found: /./, next: /lifeboat status/ },
    },
    {
      ...{ name: 'a service of another name', words: ['recover', 'shop', ...COMPLETE, '--service', 'wed'] },
      ...{ type: 'NotFound', message: /^service wed does not stand on source shop/, place: /^services in / },
      ...{ expected: 'one of web', found: 'wed', next: 'did you mean web?' },
    },
    {
      ...{ name: 'several services and no name', words: ['recover', 'twin', ...COMPLETE], type: 'ConfigInvalid' },
      ...{ message: /^several services stand on source twin/, place: /^services in / },
      ...{ expected: 'one of one, two', found: 'no name', next: 'lifeboat recover twin --service one' },
    },
    {
      ...{ name: 'a source without a service', words: ['recover', 'lone', ...COMPLETE], type: 'NotFound' },
      ...{ message: /^no service stands on source lone/, place: /^services in / },
      ...{ expected: 'a service with source: lone', found: 'none', next: /lifeboat restore lone$/ },
    },
    {
      ...{
        name: 'files to copy at no absolute path',
        words: ['recover', 'shop', ...COMPLETE, '--forensic-dir', 'data'],
      },
      ...{ type: 'ConfigInvalid', message: /^--forensic-dir "data" is not usable/, place: '--forensic-dir' },
      ...{ expected: /absolute path/, found: 'data', next: /./ },
    },
    {
      name: 'files to copy where none are copied',
      words: ['recover', 'shop', ...COMPLETE, '--forensic-dir', '/srv/data'],
      ...{ type: 'ConfigInvalid', message: /has files to copy, and does not copy any/, place: /forensicDirectory/ },
      ...{ expected: /corruption/, found: /complete-loss/, next: /--forensic files --forensic-dir DIR/ },
    },
    {
      ...{ name: 'a moment that nobody knows', words: ['recover', 'shop', ...COMPLETE, '--to-time', 'noon'] },
      ...{ type: 'ConfigInvalid', message: /noon/, place: /./, expected: /./, found: /noon/, next: /./ },
    },
  ];
}

/** What the command line itself does not take: told before anything is asked. */
async function usage(world: Lifeboat): Promise<void> {
  const rows: [words: string[], says: RegExp][] = [
    [['recover', 'shop'], /required option .*--scenario/],
    [['recover', 'shop', '--scenario', 'fire'], /--scenario is recent-loss, .*, not "fire"/],
    [['recover', 'shop', '--scenario', 'recent-loss'], /needs the moment before the loss/],
    [['recover', 'shop', ...COMPLETE, '--forensic', 'photo'], /--forensic is backup, files, none, not "photo"/],
    [['recover', 'shop', ...COMPLETE, '--as', ' '], /--as is a name of 1 to 200 letters/],
    [['refuse', 'recover/shop'], /required option .*--reason/],
  ];
  for (const [words, says] of rows) {
    const { code, out, err } = await world.cli(words);
    assert.equal(code, 2, words.join(' '));
    assert.match(err, says);
    assert.equal(out, '');
  }
}

async function words(t: TestContext, world: Lifeboat, { evidence }: PendingApproval): Promise<void> {
  const short = evidence.hash.slice(0, 8);
  const other = short.startsWith('0') ? 'ffffffff' : '00000000';
  const heard = { type: 'Precondition', place: 'recover/shop', expected: 'a word that counts' } as const;
  const next = 'lifeboat approve recover/shop shows what it waits for';
  const rows: (Expected & { name: string; words: string[] })[] = [
    {
      ...{
        ...heard,
        name: 'by who started it',
        words: ['approve', 'recover/shop', '--evidence', short, '--as', 'anna'],
      },
      ...{ message: /anna started this run: another one has to approve/, found: /anna started this run/, next },
    },
    {
      ...{
        ...heard,
        name: 'of what nobody shows',
        words: ['approve', 'recover/shop', '--evidence', other, '--as', 'ben'],
      },
      ...{ message: /the evidence is another one now/, found: new RegExp(short), next },
    },
    {
      ...{
        ...heard,
        name: 'of too little',
        words: ['approve', 'recover/shop', '--evidence', short.slice(0, 3), '--as', 'ben'],
      },
      ...{ message: /the evidence is another one now/, found: /another one now/, next },
    },
    {
      ...{
        ...heard,
        name: 'a refusal without a reason',
        words: ['refuse', 'recover/shop', '--reason', ' ', '--as', 'ben'],
      },
      ...{ message: /a refusal needs a reason/, found: 'a refusal needs a reason', next },
    },
  ];
  for (const row of rows)
    await t.test(row.name, () => assertRefused((more) => world.cli([...row.words, ...more], realTimeHost()), row));
}

/** Lists, verifies and restores; what would write is refused. */
async function readOnly(world: Lifeboat, { config, moment }: { config: string; moment: string }): Promise<void> {
  const place = join(world.dir, 'read-only');
  await mkdir(place);
  for (const words of [
    ['--bind', world.vault, place],
    ['-o', 'remount,ro,bind', place],
  ])
    assert.equal(spawnSync('mount', words).status, 0, words.join(' '));
  try {
    await world.writeConfig(config.replace('path: vault', `path: ${place}`));
    const worker = await world.startWorker();
    const { sources } = await ask<{ sources: SourcePoints[] }>(world, 'list', 'shop');
    const point = sources[0]?.points.at(-1)?.point ?? '';
    const { verified } = await ask<{ verified: VerifyResult }>(world, 'verify', `shop/${point}`);
    assert.ok(verified.checks.every(({ ok }) => ok));
    const target = ['--to-time', moment, '--into', join(world.scratch, 'of-read-only')];
    const { result } = await ask<{ result: RestoreResult }>(world, 'restore', 'shop', ...target);
    assert.equal(await valueOf(sqlOf({ port: result.open.port }), 'select count(*) from orders'), '1001');
    const refused = await world.cli(['hold', `shop/${point}`, '--reason', 'case 12', '--json']);
    assert.equal((refused.json['error'] as { type: string }).type, 'Denied');
    await worker.stop();
  } finally {
    spawnSync('umount', [place]);
  }
}

test('a loss is recovered by the CLI: refused, then approved, and its clients are at the copy', async (t) => {
  await withLifeboat(async (world) => {
    const { server } = world;
    const lb = await fileSwitch(join(world.dir, 'traffic'), OLD);
    await world.writeConfig(configOf(world, lb));
    const worker = await world.startWorker();
    await t.test('command lines that say nothing that could be done', () => usage(world));
    await t.test(PROMISE, (rows) => refuse(rows, world, orders()));

    await server.sql('create table orders as select g as id from generate_series(1, 1000) g');
    await ask(world, 'backup', 'shop');
    await server.sql('insert into orders values (1001)');
    const moment = await timeOf(server.sql);
    await server.sql('delete from orders');
    await vaultHolds(world, moment);
    const loss = ['--scenario', 'recent-loss', '--to-time', moment, '--as', 'anna'];

    await t.test('refused: traffic is where it was, and the command says who and why', async () => {
      await waiting(world, loss);
      assert.deepEqual((await lb.state()).traffic, {});
      await ask(world, 'refuse', 'recover/shop', '--reason', 'not today', '--as', 'ben');
      const said = await world.cli(['status', 'recover/shop', '--follow', '--json']);
      assert.equal(said.code, 15, JSON.stringify(said.json));
      assert.match(String((said.json['error'] as { message: string }).message), /^ben refused: not today/);
      assert.deepEqual((await lb.state()).traffic, OLD);
    });

    await t.test('approved: by another one, and of exactly what was shown', async (t) => {
      const pending = await waiting(world, loss);
      await words(t, world, pending);
      assert.deepEqual((await lb.state()).traffic, {});
      await ask(world, 'approve', 'recover/shop', '--evidence', pending.evidence.hash.slice(0, 8), '--as', 'ben');
      const { result } = await ask<{ result: RecoverResult }>(world, 'status', 'recover/shop', '--follow');
      assert.deepEqual(result.approvals.map(({ by }) => by), ['ben']); // prettier-ignore
      assert.deepEqual((await lb.state()).traffic, { [result.address]: 100 });
      const copy = sqlOf({ port: result.restore.open.port });
      assert.equal(await valueOf(copy, 'select count(*) from orders'), '1001');
      assert.match((await world.cli(['status', 'recover/shop'])).out, /recover\/shop/);
    });

    const skip = process.getuid?.() === 0 ? false : 'a file system can be mounted by root only';
    await t.test('out of a copy of the vault on a read-only file system', { skip }, async () => {
      await worker.stop();
      await readOnly(world, { config: configOf(world, lb), moment });
    });
  });
});
