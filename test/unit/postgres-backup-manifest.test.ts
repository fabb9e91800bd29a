import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { ListedFile } from '../../activities/sources/postgres/backup/backup-manifest.ts';
import { BackupManifestReader } from '../../activities/sources/postgres/backup/backup-manifest.ts';
import { failureTypeOf, findFailure } from '../../workflows/model/failure.ts';

/** A manifest as PostgreSQL 17 writes it; its last line states the SHA-256 of all lines before. */
function manifest(files: string[], head = '"System-Identifier": 7710518351895145958,\n'): Buffer {
  const body = `{ "PostgreSQL-Backup-Manifest-Version": 2,\n${head}"Files": [\n${files.join(',\n')}\n],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }\n],\n`;
  const sum = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}"Manifest-Checksum": "${sum}"}\n`);
}

const file = (path: string, bytes: number, sum: string): string =>
  `{ ${path}, "Size": ${bytes}, "Last-Modified": "2026-11-21 07:09:11 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "${sum}" }`;

const FILES = [
  file('"Path": "backup_label"', 225, '3b5159c8'),
  file('"Path": "with \\"quotes\\" and \\u00e4"', 0, '00000000'),
  file('"Encoded-Path": "626173652ff09f9098"', 8192, '64440205'),
];
const LISTED: ListedFile[] = [
  { path: 'backup_label', bytes: 225, crc32c: 0xc859513b },
  { path: 'with "quotes" and ä', bytes: 0, crc32c: 0 },
  { path: 'base/🐘', bytes: 8192, crc32c: 0x05024464 },
];

function read(chunks: Buffer[]): ListedFile[] {
  const listed: ListedFile[] = [];
  const reader = new BackupManifestReader((entry) => listed.push(entry));
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return listed;
}

test('files come out wherever the manifest is cut, also from a read buffer that is used again', () => {
  const content = manifest(FILES);
  for (let cut = 0; cut <= content.length; cut++) {
    const shared = Buffer.alloc(content.length);
    const listed: ListedFile[] = [];
    const reader = new BackupManifestReader((entry) => listed.push(entry));
    for (const part of [content.subarray(0, cut), content.subarray(cut)]) {
      part.copy(shared);
      reader.push(shared.subarray(0, part.length));
    }
    reader.end();
    assert.deepEqual(listed, LISTED, `cut at ${cut}`);
  }
});

test('the manifest of PostgreSQL 15 has no system identifier', () => {
  assert.deepEqual(read([manifest(FILES, '')]), LISTED);
});

test('a flipped byte anywhere is an Integrity failure', () => {
  const content = manifest(FILES);
  for (let at = 0; at < content.length; at++) {
    const damaged = Buffer.from(content);
    damaged[at] = (damaged[at] ?? 0) ^ 4;
    assert.throws(
      () => read([damaged]),
      (error) => failureTypeOf(error) === 'Integrity',
      `byte ${at}`,
    );
  }
});

const wrong: [string, Buffer, RegExp][] = [
  ['cut before its end', manifest(FILES).subarray(0, -20), /is cut/],
  ['empty', Buffer.alloc(0), /is cut/],
  ['bytes behind its end', Buffer.concat([manifest(FILES), Buffer.from('x\n')]), /goes on/],
  ['a line without an end', Buffer.alloc(70_000, 'x'), /without an end/],
  [
    'a file without a size',
    manifest(['{ "Path": "x", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }']),
    /size/,
  ],
  ['another algorithm', manifest([FILES[0]?.replace('CRC32C', 'SHA256') ?? '']), /CRC-32C/],
  ['a line that is not JSON', manifest(['{ "Path": ']), /not JSON/],
];

for (const [name, content, says] of wrong) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => read([content]),
      (error) => failureTypeOf(error) === 'Integrity' && says.test(findFailure(error)?.message ?? ''),
    );
  });
}
