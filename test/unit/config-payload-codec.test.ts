import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultPayloadConverter } from '@temporalio/common';
import { payloadCodec, payloadConverter } from '../../activities/config/payload-codec.ts';
import { isFailure } from '../../workflows/model/failure.ts';
import { withTempDir } from '../support/temp-dir.ts';

const key = randomBytes(32);
const order = { source: 'shop', label: 'before the migration' };

test('payload codec: nothing of a payload is readable, it comes back as it was', async () => {
  const codec = payloadCodec(key, 'payload.key');
  const plain = [defaultPayloadConverter.toPayload(order), defaultPayloadConverter.toPayload(null)];
  const stored = await codec.encode(plain);
  for (const payload of stored) {
    assert.equal(Buffer.from(payload.metadata?.['encoding'] ?? []).toString(), 'binary/encrypted');
    assert.ok(!Buffer.from(payload.data ?? []).includes('migration'));
  }
  assert.notDeepEqual(await codec.encode(plain), stored, 'the same twice does not look the same');
  const back = await codec.decode(stored);
  assert.deepEqual(
    back.map((payload) => defaultPayloadConverter.fromPayload(payload)),
    [order, null],
  );
  assert.deepEqual(await codec.decode(plain), plain, 'what is older than the key stays readable');
});

test('payload codec: another key is Denied, a changed byte anywhere is Integrity', async () => {
  const [stored] = await payloadCodec(key, 'a').encode([defaultPayloadConverter.toPayload(order)]);
  assert.ok(stored?.data);
  await assert.rejects(payloadCodec(randomBytes(32), 'b').decode([stored]), (error) => isFailure(error, 'Denied'));
  const length = stored.data.length;
  for (const at of [0, 11, 12, Math.floor(length / 2), length - 17, length - 1]) {
    const data = Buffer.from(stored.data);
    data[at] = (data[at] ?? 0) ^ 1;
    await assert.rejects(
      payloadCodec(key, 'a').decode([{ ...stored, data }]),
      (error) => isFailure(error, 'Integrity'),
      `byte ${at}`,
    );
  }
  for (const short of [0, 1, 12, 27]) {
    const cut = { ...stored, data: stored.data.slice(0, short) };
    await assert.rejects(
      payloadCodec(key, 'a').decode([cut]),
      (error) => isFailure(error, 'Integrity'),
      `${short} bytes`,
    );
  }
});

test('payload codec: none without a key file; a file that others can read is Denied', async () => {
  assert.equal(await payloadConverter({ temporal: { address: 'x:1', namespace: 'default' } }), undefined);
  await withTempDir(async (dir) => {
    const file = join(dir, 'payload.key');
    await writeFile(file, `${key.toString('base64')}\n`, { mode: 0o600 });
    const temporal = { address: 'x:1', namespace: 'default', encryptionKeyFile: file };
    assert.equal((await payloadConverter({ temporal }))?.payloadCodecs?.length, 1);
    await chmod(file, 0o644);
    await assert.rejects(payloadConverter({ temporal }), (error) => isFailure(error, 'Denied'));
  });
});
