import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from '../../activities/io/run-command.ts';
import { runCommand } from '../../activities/io/run-command.ts';
import type { SealedReport } from '../../activities/report/chain.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import type { StoredReport } from '../../workflows/model/recovery.ts';
import { ask } from './cli-ask.ts';
import type { Lifeboat } from './lifeboat.ts';
import { tampered } from './sealed-report.ts';

const GUIDE = fileURLToPath(new URL('../../docs/report.md', import.meta.url));

/** The lines of docs/report.md, as somebody without Lifeboat would use them. */
export async function verifiedByGuide(report: string, key: string): Promise<CommandResult> {
  const [, program = ''] = /^```python\n(.*?)^```/ms.exec(await readFile(GUIDE, 'utf8')) ?? [];
  const { python } = await ensureTools(['python'], { log: () => {} });
  return runCommand(python, ['-I', '-c', program, report, key]);
}

/** The report of a run is verified, by Lifeboat and without it; one word of it that is another one is found out by both. */
export async function checkedReport(world: Lifeboat, stored: StoredReport | undefined): Promise<SealedReport> {
  assert.ok(stored?.head);
  const json = stored.file.replace(/\.html$/, '.json');
  const key = join(world.dir, 'keys/signing.pub');
  await ask(world, 'report', 'verify', stored.file, '--head', stored.head);
  const verified = await verifiedByGuide(json, key);
  assert.match(verified.stdout, new RegExp(`events, head ${stored.head}: verified`), verified.stderr);
  await refusesAnother(world, { json, key });
  const kept = (await readdir(join(world.vault, dirname(stored.key)))).filter((name) => name.startsWith(basename(json, '.json'))); // prettier-ignore
  assert.deepEqual(kept.map((name) => name.slice(basename(json, '.json').length)).sort(), ['.html', '.json', '.md']);
  return JSON.parse(await readFile(json, 'utf8')) as SealedReport;
}

async function refusesAnother(world: Lifeboat, { json, key }: { json: string; key: string }): Promise<void> {
  const folder = join(world.dir, `copy-${basename(json, '.json')}`);
  await mkdir(folder);
  for (const name of await readdir(dirname(json)))
    if (name.startsWith(basename(json, '.json'))) await cp(join(dirname(json), name), join(folder, name));
  const copy = join(folder, basename(json));
  const text = await readFile(copy, 'utf8');
  await writeFile(copy, tampered(text, (sealed) => void Object.assign(sealed.events[2] ?? {}, { what: 'all was well' }))); // prettier-ignore
  const said = await world.cli(['report', 'verify', folder, '--json']);
  assert.deepEqual([said.code, (said.json['reports'] as { firstBad?: number }[])[0]?.firstBad], [6, 3], said.out);
  const found = await verifiedByGuide(copy, key);
  assert.ok(found.code !== 0 && found.stderr.includes('event 3 does not fit'), found.stderr);
}
