import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import type { SealedReport } from '../../activities/report/chain.ts';
import { sealedReportSchema } from '../../activities/report/schema.ts';
import { fakeHost } from '../support/cli-host.ts';
import type { Said } from '../support/cli-world.ts';
import { say } from '../support/cli-world.ts';
import { sampleReport } from '../support/sample-report.ts';
import { newSigner, tampered, writtenFailover } from '../support/sealed-report.ts';
import { withTempDir } from '../support/temp-dir.ts';

const verify = (...words: string[]): Promise<Said> => say(['report', 'verify', ...words], fakeHost());

interface Folder {
  dir: string;
  key: string;
  other: string;
  head: string;
  /** Path of one of the files. */
  of(ending: string): string;
}

/** A folder with one report, and keys beside it. */
function withReport(callback: (folder: Folder) => Promise<void>): Promise<void> {
  return withTempDir(async (dir) => {
    const signer = newSigner();
    const { json, html, markdown, postMortem = '', head } = writtenFailover(signer);
    const of = (ending: string): string => join(dir, `20260105T030000Z-failover-web-1${ending}`);
    const [key, other] = [join(dir, 'signing.pub'), join(dir, 'other.pub')];
    const files: [string, string][] = [
      ...([[of('.json'), json], [of('.html'), html], [of('.md'), markdown], [of('-post-mortem.md'), postMortem]] as [string, string][]), // prettier-ignore
      [key, signer.trusted[0]?.publicPem ?? ''],
      [other, newSigner().trusted[0]?.publicPem ?? ''],
    ];
    for (const [path, content] of files) await writeFile(path, content);
    await callback({ dir, key, other, head, of });
  });
}

test('report verify: a report by any of its files, or a folder, with no configuration; a post-mortem may be written in', () =>
  withReport(async ({ dir, key, head, of }) => {
    await writeFile(of('-post-mortem.md'), 'what we know by now');
    for (const path of [dir, of('.json'), of('.html'), of('.md')]) {
      const said = await verify(path, '--key', key, '--json');
      assert.equal(said.code, 0, said.out);
      const [report] = said.json['reports'] as { file: string; head: string; signature: string }[];
      assert.deepEqual([report?.file, report?.head, report?.signature], [of('.json'), head, 'good']);
    }
    const said = await verify(of('.html'), '--key', key, '--head', head);
    assert.match(
      said.out,
      /verified\n {2}run +failover\/web 1 \(proven\)\n {2}events +5, head [0-9a-f]{64}\n {2}signature +signed by/,
    );
    assert.match((await verify(dir, '--chain-only')).out, /^(?!.*verified).*WHO WROTE IT IS NOT KNOWN\n/);
    assert.match((await verify(dir, '--chain-only')).out, /signature +not looked at: it may have been written anew/);
  }));

test('report verify: a good report under the name of another one is not that one', () =>
  withReport(async ({ dir, key, of }) => {
    for (const ending of ['.json', '.html', '.md'])
      await writeFile(join(dir, `20260106T030000Z-failover-web-1${ending}`), await readFile(of(ending)));
    const said = await verify(dir, '--key', key);
    assert.equal(said.code, 6);
    assert.match(said.out, /20260105T030000Z-failover-web-1\.json: verified\n/);
    assert.match(
      said.out,
      /20260106T030000Z-failover-web-1\.json: NOT VERIFIED\n[^]*: that of 20260105T030000Z-failover-web-1;/,
    );
  }));

test('report verify: what was changed is named, and ends it with 6', () =>
  withReport(async ({ dir, key, other, of }) => {
    const json = await readFile(of('.json'), 'utf8');
    const changed = tampered(json, (sealed) => void Object.assign(sealed.events[1] ?? {}, { what: 'all was well' }));
    await writeFile(of('.json'), changed);
    const said = await verify(dir, '--key', key, '--json');
    assert.deepEqual([said.code, said.json['ok'], said.json['exitCode']], [6, false, 6]);
    assert.equal((said.json['reports'] as { firstBad: number }[])[0]?.firstBad, 2);
    assert.match(
      (await verify(dir, '--key', key)).out,
      /NOT VERIFIED\n.*event 2 of 5 \(2026-01-05T03:00:08.000Z, all was well\)/s,
    );
    await writeFile(of('.json'), json);
    assert.match((await verify(dir, '--key', other)).out, /signed by ANOTHER KEY/);
    assert.equal((await verify(dir, '--key', other, '--key', key)).code, 0);
    const head = await verify(of('.json'), '--key', key, '--head', 'cd'.repeat(32));
    assert.deepEqual([head.code, /the head: /.test(head.out)], [6, true]);
    await rm(of('.json'));
    const gone = await verify(dir, '--key', key);
    assert.deepEqual([gone.code, /the report of the pages beside it/.test(gone.out)], [6, true]);
  }));

test('report verify: bad input is one error with what to do', () =>
  withReport(async ({ dir, key, of }) => {
    const rows: [words: string[], code: number, says: RegExp][] = [
      [[of('.json'), '--key', join(dir, 'none.pub')], 4, /none\.pub does not exist/],
      [[of('.json'), '--key', of('.html')], 3, /key file .* is not usable/],
      [[join(dir, 'none.json'), '--key', key], 4, /none\.json does not exist/],
      [[of('-post-mortem.md'), '--key', key], 4, /there is no report at/],
      [[of('.json'), '--key', key, '--chain-only'], 2, /--key and --chain-only/],
      [[of('.json'), '--key', key, '--head', '3F2A'], 2, /--head is a hash/],
      [[dir, '--key', key, '--head', 'cd'.repeat(32)], 2, /--head is of one report/],
      [[of('.json'), '--config', join(dir, 'none.yml')], 4, /none\.yml/],
    ];
    for (const [words, code, says] of rows) {
      const said = await verify(...words);
      assert.equal(said.code, code, `${words.join(' ')}: ${said.err}`);
      assert.match(said.err, says);
      assert.match(said.err, /\n {2}next: /);
    }
  }));

test('docs/report.schema.json is the schema, and names all that a report has', async () => {
  const stored = JSON.parse(
    await readFile(new URL('../../docs/report.schema.json', import.meta.url), 'utf8'),
  ) as object;
  const made = JSON.parse(JSON.stringify(z.toJSONSchema(sealedReportSchema))) as object;
  assert.deepEqual(stored, made, `write this into it:\n${JSON.stringify(made)}`);
  const { shape } = sealedReportSchema;
  const sealed = JSON.parse(writtenFailover(newSigner()).json) as SealedReport;
  const unnamed = (names: object, known: object): string[] => Object.keys(names).filter((name) => !(name in known));
  assert.deepEqual(unnamed({ ...sampleReport(), ...sealed }, shape), []);
  assert.deepEqual(unnamed(sealed.change ?? {}, shape.change.unwrap().shape), []);
  assert.ok(sealedReportSchema.safeParse(sealed).success);
});
