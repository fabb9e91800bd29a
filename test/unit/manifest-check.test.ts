import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_FILES, checkFileCount } from '../../activities/sources/postgres/backup/most-files.ts';
import { Packer, PartNumbers } from '../../activities/sources/postgres/backup/packer.ts';
import type { PartSink } from '../../activities/sources/part-sink.ts';
import { checkManifest } from '../../activities/vault/manifest/check.ts';
import { textOf } from '../../activities/vault/manifest/store.ts';
import { MANIFEST_FORMAT } from '../../activities/vault/manifest/schema.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { FileEntry, FileTree, Manifest } from '../../workflows/model/manifest.ts';
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

test('a manifest that no reader gets into one string is refused before it is stored', () => {
  const manifest = manifestOf(() => {}) as Manifest;
  const text = JSON.stringify(manifest);
  assert.equal(String(textOf(manifest)), text);
  const endless = { ...manifest, toJSON: () => { throw new RangeError('Invalid string length'); } }; // prettier-ignore
  for (const refused of [() => textOf(manifest, text.length - 1), () => textOf(endless)])
    assert.throws(refused, (error) => {
      assert.equal(failureTypeOf(error), 'Unsupported');
      assert.match(String(error), /files of shop is too long for one point/);
      return true;
    });
});

test('a cluster of more files than a point can list is refused when they are counted, whoever lists them', () => {
  const sink: PartSink = { partBytes: 1, parallel: 1, write: unasked, fill: unasked, ask: unasked };
  const packer = new Packer(sink, { numbers: new PartNumbers(), trees: [treeOf(MOST_FILES - 1)] });
  const entry = { path: 'base/1/2', type: 'file' as const, mode: 0o600, mtimeMs: 0 };
  packer.startEntry(entry);
  assert.throws(() => packer.startEntry(entry), /more than 2500000 files/);
  checkFileCount(MOST_FILES);
  assert.throws(() => checkFileCount(MOST_FILES + 1), (error) => failureTypeOf(error) === 'Unsupported'); // prettier-ignore
});

function unasked(): never {
  throw new Error('nothing is stored');
}

/** As long as it says, and empty. */
function treeOf(length: number): FileTree {
  return { id: 'base', files: new Array<FileEntry>(length) };
}

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
