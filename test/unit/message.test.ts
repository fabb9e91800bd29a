import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import { AlgorithmSuiteIdentifier, CommitmentPolicy, MultiKeyringNode } from '@aws-crypto/material-management-node';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/raw-aes-keyring-node';
import { RawRsaKeyringNode } from '@aws-crypto/raw-rsa-keyring-node';
import { readMessage } from '../../activities/vault/message-read.ts';
import { FRAME_BYTES, writeMessage } from '../../activities/vault/message-write.ts';
import { readHeader, RECOVERY_NAMESPACE } from '../../activities/vault/message.ts';
import { aesWrapper, rsaWrapper } from '../../activities/vault/wrapped-key.ts';
import type { Wrapper } from '../../activities/vault/wrapped-key.ts';
import { flipBit } from '../support/vault.ts';

/** The AWS Encryption SDK: somebody else's code for the same format. */
const sdk = (() => {
  const policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const client = { commitmentPolicy: policy, maxEncryptedDataKeys: 3 };
  return { ...buildEncrypt(client), ...buildDecrypt(client) };
})();
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;

const kek = { namespace: 'lifeboat-kek', name: 'shop-2026-11/1', key: randomBytes(32) };
const context = { source: 'shop', format: '1', artefact: 'part', point: 'p', part: '7', zebra: 'ö', a: '' };
const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const recovery = { namespace: RECOVERY_NAMESPACE, name: '0123456789abcdef' };

function sdkAes({ namespace, name, key } = kek): RawAesKeyringNode {
  return new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    unencryptedMasterKey: Uint8Array.from(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
}

function sdkRsa(rsaKey: { publicKey: string } | { privateKey: string }): RawRsaKeyringNode {
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;
  return new RawRsaKeyringNode({ keyNamespace: recovery.namespace, keyName: recovery.name, rsaKey, ...padding });
}

function read(message: Buffer, key: Wrapper = aesWrapper(kek), wanted: Record<string, string> = context): Buffer {
  return readMessage(message, readHeader(message, 'here'), { context: wanted, key });
}

async function theirs(plain: Buffer, frameLength = FRAME_BYTES): Promise<Buffer> {
  const { result } = await sdk.encrypt(sdkAes(), plain, { suiteId, frameLength, encryptionContext: context });
  return result;
}

const ours = (plain: Buffer): Buffer => writeMessage(plain, context, [aesWrapper(kek)]);

const LENGTHS = [0, 1, 100, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 5 * FRAME_BYTES + 17];

for (const length of LENGTHS) {
  test(`a message of ${length} bytes: the SDK reads ours, we read the SDK's`, async () => {
    const plain = randomBytes(length);
    const { plaintext, messageHeader } = await sdk.decrypt(sdkAes(), ours(plain));
    assert.ok(plaintext.equals(plain));
    assert.deepEqual({ ...messageHeader.encryptionContext }, context);
    assert.ok(read(ours(plain)).equals(plain));
    assert.ok(read(await theirs(plain)).equals(plain));
    assert.ok(read(await theirs(plain, 1000)).equals(plain));
  });
}

test('a key file of two wrappers is opened by either, of ours and of the SDK', async () => {
  const key = randomBytes(32);
  const openers = [aesWrapper(kek), rsaWrapper(recovery, rsa.privateKey)];
  const own = writeMessage(key, context, [aesWrapper(kek), rsaWrapper(recovery, rsa.publicKey)]);
  for (const keyring of [sdkAes(), sdkRsa({ privateKey: rsa.privateKey })]) {
    assert.ok((await sdk.decrypt(keyring, own)).plaintext.equals(key));
  }
  const keyring = new MultiKeyringNode({ generator: sdkAes(), children: [sdkRsa({ publicKey: rsa.publicKey })] });
  const { result } = await sdk.encrypt(keyring, key, { suiteId, frameLength: FRAME_BYTES, encryptionContext: context });
  for (const opener of openers) {
    assert.ok(read(own, opener).equals(key));
    assert.ok(read(result, opener).equals(key));
  }
});

/** Three frames, small ones of the SDK: every place of it can be tried. */
const small = await theirs(randomBytes(2 * 40 + 3), 40);

test('every truncation is refused, and every byte behind the end', () => {
  for (let length = 0; length < small.length; length++) {
    assert.throws(() => read(small.subarray(0, length)), Error, `the first ${length} bytes`);
  }
  assert.throws(() => read(Buffer.concat([small, Buffer.alloc(1)])), /1 bytes behind the final frame/);
  assert.throws(() => read(Buffer.concat([small, small])), /behind the final frame/);
});

test('every flipped bit is refused', () => {
  for (let at = 0; at < small.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(small);
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      assert.throws(() => read(changed), Error, `bit ${bit} of byte ${at}`);
    }
  }
});

/** Where the frames of `small` stand: two of 40 bytes, one of 3. */
function framesOf(message: Buffer): { head: Buffer; frames: Buffer[] } {
  const { headerBytes } = readHeader(message, 'here');
  const length = 4 + 12 + 40 + 16;
  const rest = message.subarray(headerBytes);
  const frames = [rest.subarray(0, length), rest.subarray(length, 2 * length), rest.subarray(2 * length)];
  return { head: message.subarray(0, headerBytes), frames };
}

test('frames swapped, left out, repeated or from another message are refused', async () => {
  const { head, frames } = framesOf(small);
  const [one, two, last] = frames as [Buffer, Buffer, Buffer];
  assert.equal(read(Buffer.concat([head, one, two, last])).length, 83);
  const other = framesOf(await theirs(randomBytes(2 * 40 + 3), 40)).frames as [Buffer, Buffer, Buffer];
  const refused = [[two, one, last], [one, last], [last], [one, one, two, last], [one, two], [one, other[1], last]];
  for (const [index, order] of refused.entries()) {
    assert.throws(() => read(Buffer.concat([head, ...order])), Error, `order ${index}`);
  }
  // With the number that its place wants, a frame is still another one.
  const renumbered = Buffer.from(two);
  renumbered.writeUInt32BE(1, 0);
  assert.throws(() => read(Buffer.concat([head, renumbered, two, last])));
});

test('another context, another key, another name of the key: each is refused', async () => {
  const message = ours(randomBytes(100));
  assert.throws(() => read(message, aesWrapper(kek), { ...context, part: '8' }), /another context/);
  assert.throws(() => read(message, aesWrapper(kek), { ...context, more: '' }), /another context/);
  assert.throws(() => read(message, aesWrapper({ ...kek, key: randomBytes(32) })));
  assert.throws(() => read(message, aesWrapper({ ...kek, name: 'shop-2026-10/1' })), /no key of this name/);
  const { result } = await sdk.encrypt(sdkAes({ ...kek, key: randomBytes(32) }), randomBytes(10), {
    suiteId,
    encryptionContext: context,
  });
  assert.throws(() => read(result));
});

test('a header that commits to another key is refused before anything is decrypted', () => {
  const message = ours(randomBytes(100));
  const { headerBytes } = readHeader(message, 'here');
  assert.throws(() => read(flipBit(message, headerBytes - 16 - 32)), /commits to another key/);
});

test('more wrapped keys than a key file may have are refused', () => {
  const many = writeMessage(
    randomBytes(32),
    context,
    Array.from({ length: 4 }, () => aesWrapper(kek)),
  );
  assert.throws(() => read(many), /4 wrapped keys/);
});

test('the context is in one form: another order of the same pairs is refused', async () => {
  // The same bytes but for two pairs that changed places, wrapped for that order by who has the key.
  const pairs = { b: '1', a: '2' };
  const message = writeMessage(randomBytes(10), pairs, [aesWrapper(kek)]);
  const { plaintext } = await sdk.decrypt(sdkAes(), message);
  assert.equal(plaintext.length, 10);
  const header = readHeader(message, 'here');
  const swapped = Buffer.from('0002' + '0001620001310001610001' + '32', 'hex');
  assert.equal(swapped.length, header.contextBytes.length);
  assert.throws(
    () => readMessage(message, { ...header, contextBytes: swapped }, { context: pairs, key: aesWrapper(kek) }),
    /another context/,
  );
});
