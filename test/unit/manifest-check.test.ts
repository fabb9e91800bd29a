import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkManifest } from '../../activities/vault/manifest/check.ts';
import { MANIFEST_FORMAT } from '../../activities/vault/manifest/schema.ts';
import type { FileEntry, Manifest } from '../../workflows/model/manifest.ts';
import { factsFor } from '../support/vault.ts';

const AT = { source: 'shop', point: 'p1' };
const PARTS = [{ number: 1, bytes: 3, storedBytes: 9, sha256: '0'.repeat(64) }];
const CONTENT = [Buffer.from('abc')];

function manifestOf(change: (file: Record<string, unknown>) => void): unknown {
  const facts = factsFor(PARTS, CONTENT);
  const manifest: Manifest = { format: MANIFEST_FORMAT, ...AT, kind: 'full', tool: 'test', ...facts };
  const copy = structuredClone(manifest);
  change(copy.trees[0]?.files[0] as unknown as Record<string, unknown>);
  return copy;
}

function wrongOf(change: (file: Record<string, unknown>) => void): string | undefined {
  const checked = checkManifest(manifestOf(change), AT);
  return 'wrong' in checked ? checked.wrong : undefined;
}

test('a manifest as it is made has nothing wrong, and names of unknown meaning are passed over', () => {
  assert.equal(
    wrongOf(() => {}),
    undefined,
  );
  assert.equal(
    wrongOf((file) => (file['tomorrow'] = { more: 1 })),
    undefined,
  );
});

const slice = { part: 1, at: 0, bytes: 3, crc32c: 1 };
const WRONG: [piece: keyof FileEntry, values: unknown[]][] = [
  ['path', [undefined, 7, '/etc/passwd', '../up', 'a/../b', 'a//b', 'a/', './a', 'a\0b']],
  ['type', [undefined, 'device', 1, {}]],
  ['mode', [undefined, -1, 0o10000, 1.5, '384', NaN]],
  ['mtime', [undefined, 0, null]],
  ['bytes', [undefined, -1, 0.5, 2 ** 53, '3', Infinity]],
  ['target', [null, 5]],
  ['crc32c', [-1, 2 ** 32, '1', null]],
  [
    'slices',
    [null, {}, 'x', [null], [[]], [{ ...slice, part: 0 }], [{ ...slice, at: -1 }], [{ ...slice, bytes: '3' }]],
  ],
  ['sums', [null, {}, [null], [{ ...slice, part: 0 }]]],
];

for (const [piece, values] of WRONG) {
  test(`a file whose ${piece} is not one is refused, by its place`, () => {
    for (const value of values) {
      const wrong = wrongOf((file) => {
        if (value === undefined) delete file[piece];
        else file[piece] = value;
      });
      assert.match(wrong ?? '', new RegExp(`^trees\\.0\\.files\\.0\\.${piece}`), JSON.stringify(value));
    }
  });
}

test('what is no file, and what is no list of files, is refused', () => {
  for (const files of [[null], [7], [[]], 'x', { length: 1 }]) {
    const manifest = manifestOf(() => {}) as { trees: { files: unknown }[] };
    (manifest.trees[0] as { files: unknown }).files = files;
    assert.ok('wrong' in checkManifest(manifest, AT), JSON.stringify(files));
  }
});
