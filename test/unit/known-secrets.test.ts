import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Config } from '../../activities/config/index.ts';
import { redactor } from '../../activities/known-secrets.ts';
import { priorityOf, tellsOf } from '../../workflows/model/severity.ts';
import { secretOf } from '../support/notifier-receivers.ts';
import { withTempDir } from '../support/temp-dir.ts';

const NOTHING = { stores: {}, notifiers: {}, switches: {}, sources: {}, services: {} };

test('secrets of the configuration are taken out of what people are told, in every form', async () => {
  await withTempDir(async (dir) => {
    const file = join(dir, 'hook');
    await writeFile(file, 'https://hooks.example/T0/abc123\nsecond-line\n');
    const config = {
      ...NOTHING,
      sources: { shop: { options: { connection: { password: secretOf('pa"ss/word 1') } } } },
      stores: {
        s3: { options: { secretAccessKey: secretOf('pa"ss/word 1 and more'), other: [{ env: 'LIFEBOAT_UNSET' }] } },
      },
      notifiers: { hook: { kind: 'webhook', options: { url: { file } }, tells: {} } },
      switches: { lb: { kind: 'command', options: { token: secretOf('lb') } } },
      services: {
        web: { cluster: { fence: [{ by: 'command', environment: { TOKEN: secretOf('of the power switch') } }] } },
      },
    } as unknown as Config;
    const clean = redactor(config);
    assert.equal(clean('as it is: pa"ss/word 1.'), 'as it is: [secret].');
    assert.equal(clean('the longer first: pa"ss/word 1 and more'), 'the longer first: [secret]');
    assert.equal(clean('postgres://u:pa%22ss%2Fword%201@h'), 'postgres://u:[secret]@h');
    assert.equal(clean('{"a":"pa\\"ss/word 1"}'), '{"a":"[secret]"}');
    assert.equal(clean('POST https://hooks.example/T0/abc123 second-line'), 'POST [secret] [secret]');
    assert.equal(clean('exit 1: login of the power switch refused'), 'exit 1: login [secret] refused');
    assert.equal(clean('a word like lb stays'), 'a word like lb stays');
  });
});

test('what a notifier tells: what is usual for its kind, and what its configuration says', () => {
  assert.deepEqual(['critical', 'error', 'warning', 'info'].map((each) => priorityOf(each as 'info')), ['P1', 'P2', 'P3', 'P4']); // prettier-ignore
  assert.deepEqual(tellsOf({ priorities: ['P1', 'P2', 'P3', 'P4'] }, {}), {
    ...{ P1: 0, P2: 900_000, P3: 3_600_000, P4: 86_400_000 },
  });
  assert.deepEqual(tellsOf({ priorities: ['P1', 'P4'], atOnce: true }, { after: { P4: 5 } }), { P1: 0, P4: 5 });
  assert.deepEqual(tellsOf({ priorities: ['P1'] }, { severities: ['P2'], after: { P2: 0 } }), { P2: 0 });
});
