import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { test } from 'node:test';
import { ACTIVITY_NAMES } from '../../activities/index.ts';
import { testBundle } from '../support/workflow-bundle.ts';

/** Modules of the bundle, as paths: below this repository, or of a package. */
async function bundledModules(): Promise<string[]> {
  const { code } = await testBundle();
  const [, encoded = ''] = /sourceMappingURL=data:application\/json[^,]*,([A-Za-z0-9+/=]+)/.exec(code) ?? [];
  const { sources } = JSON.parse(Buffer.from(encoded, 'base64').toString()) as { sources: string[] };
  return sources;
}

test('bundle: of this repository it holds the workflows, and nothing that does I/O', async () => {
  const modules = await bundledModules();
  const own = modules.filter((path) => !path.includes('node_modules') && /\.ts$/.test(path));
  assert.ok(
    own.some((path) => path.includes('workflows/backup.ts')),
    own.join('\n'),
  );
  const strangers = own.filter((path) => !/(^|\/)workflows\//.test(path));
  assert.deepEqual(strangers, []);
});

test('bundle: packages are Temporal’s own and what they stand on', async () => {
  const packages = new Set<string>();
  for (const path of await bundledModules()) {
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    if (name !== undefined) packages.add(name);
  }
  const known = ['@temporalio/common', '@temporalio/proto', '@temporalio/workflow', 'long', 'ms', 'nexus-rpc'];
  assert.ok(packages.has('@temporalio/workflow'));
  assert.deepEqual([...packages].filter((name) => !known.includes(name)), []); // prettier-ignore
});

test('bundle: no workflow imports a module of Node', () => {
  for (const file of globSync('workflows/**/*.ts')) {
    for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)) {
      assert.ok(!from.startsWith('node:') && !builtinModules.includes(from), `${file} imports ${from}`);
    }
  }
});

test('bundle: every activity is used by a workflow', () => {
  const code = globSync('workflows/**/*.ts', { exclude: ['workflows/model/**'] })
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const unused = ACTIVITY_NAMES.filter((name) => !new RegExp(`\\.${name}\\(`).test(code));
  assert.deepEqual(unused, []);
});
