import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TarEntry } from '../../activities/sources/postgres/backup/tar.ts';
import { TarReader } from '../../activities/sources/postgres/backup/tar.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { TAR_END, tarMember } from '../support/tar.ts';
import type { Member } from '../support/tar.ts';

interface Read {
  entries: TarEntry[];
  contents: string[];
  done: number;
}

function read(chunks: Buffer[]): Read {
  const seen: Read = { entries: [], contents: [], done: 0 };
  const reader = new TarReader({
    entry: (entry) => {
      seen.entries.push(entry);
      seen.contents.push('');
    },
    content: (bytes) => (seen.contents[seen.contents.length - 1] += bytes.toString('latin1')),
    done: () => (seen.done += 1),
  });
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return seen;
}

const MEMBERS: (Partial<Member> & { path: string })[] = [
  { path: 'backup_label', content: Buffer.from('START WAL LOCATION\n'), mode: 0o640, mtimeMs: 1_700_000_000_000 },
  { path: 'base/', type: 'directory', mode: 0o700 },
  { path: 'empty' },
  { path: 'base/5/1259', content: Buffer.alloc(512, 1) },
  { path: 'base/5/1260', content: Buffer.alloc(1025, 2) },
  { path: 'pg_tblspc/16385', type: 'symlink', target: '/space/älter' },
  { path: './x'.padEnd(99, 'y'), content: Buffer.from('z') },
];
const ARCHIVE = Buffer.concat([...MEMBERS.map((member) => tarMember(member)), TAR_END]);

test('every member comes out, wherever the stream is cut', () => {
  const whole = read([ARCHIVE]);
  assert.deepEqual(
    whole.entries.map(({ path, type, bytes }) => `${type} ${path} ${bytes}`),
    [
      ...['file backup_label 19', 'directory base 0', 'file empty 0', 'file base/5/1259 512', 'file base/5/1260 1025'],
      ...['symlink pg_tblspc/16385 0', `file ${'x'.padEnd(97, 'y')} 1`],
    ],
  );
  assert.equal(whole.entries[0]?.mode, 0o640);
  assert.equal(whole.entries[0]?.mtimeMs, 1_700_000_000_000);
  assert.equal(whole.entries[5]?.target, '/space/älter');
  assert.equal(whole.contents[4], '\u0002'.repeat(1025));
  assert.equal(whole.done, MEMBERS.length);
  for (let cut = 0; cut <= ARCHIVE.length; cut++)
    assert.deepEqual(read([ARCHIVE.subarray(0, cut), ARCHIVE.subarray(cut)]), whole, `cut at ${cut}`);
});

test('generated archives in generated chunks', () => {
  let state = 42;
  const random = (below: number): number => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  for (let round = 0; round < 200; round++) {
    const members = Array.from({ length: random(6) }, (_, index) => ({
      path: `dir/${round}/${index}`,
      content: Buffer.alloc(random(3) === 0 ? 512 * random(4) : random(3000), index + 1),
    }));
    const archive = Buffer.concat([...members.map((member) => tarMember(member)), ...(random(2) ? [TAR_END] : [])]);
    const chunks: Buffer[] = [];
    for (let at = 0; at < archive.length;) {
      const next = at + 1 + random(1500);
      chunks.push(archive.subarray(at, next));
      at = next;
    }
    const seen = read(chunks);
    assert.deepEqual(
      seen.entries.map(({ path, bytes }) => ({ path, bytes })),
      members.map(({ path, content }) => ({ path, bytes: content.length })),
    );
    assert.deepEqual(
      seen.contents,
      members.map(({ content }) => content.toString('latin1')),
    );
  }
});

test('sizes beyond octal come in base 256', () => {
  const big = 5 * 2 ** 40 + 17;
  const reader = new TarReader({
    entry: (entry) => assert.equal(entry.bytes, big),
    content: () => {},
    done: () => {},
  });
  reader.push(tarMember({ path: 'huge', bytes: big }));
  assert.throws(
    () => reader.end(),
    (error) => failureTypeOf(error) === 'Integrity',
  );
});

test('the prefix field goes before the name', () => {
  const seen = read([tarMember({ path: 'name' }, (header) => header.write('a/long/prefix', 345))]);
  assert.equal(seen.entries[0]?.path, 'a/long/prefix/name');
});

const damaged: [string, Buffer, string][] = [
  ['a flipped bit in a header', flipped(tarMember({ path: 'a' }), 3), 'Integrity'],
  ['a cut header', tarMember({ path: 'a' }).subarray(0, 100), 'Integrity'],
  ['cut content', tarMember({ path: 'a', content: Buffer.alloc(600) }).subarray(0, 700), 'Integrity'],
  ['cut padding', tarMember({ path: 'a', content: Buffer.alloc(600) }).subarray(0, 1200), 'Integrity'],
  ['bytes after the end', Buffer.concat([TAR_END, tarMember({ path: 'a' })]), 'Integrity'],
  ['a size that is no number', tarMember({ path: 'a' }, (header) => header.write('12x', 124)), 'Integrity'],
  ['a member of another type', tarMember({ path: 'a' }, (header) => header.write('x', 156)), 'Unsupported'],
  ['a name that is not UTF-8', tarMember({ path: 'a' }, (header) => (header[0] = 0xe4)), 'Precondition'],
];

for (const [name, archive, type] of damaged) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => read([archive]),
      (error) => failureTypeOf(error) === type,
    );
  });
}

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}
