import assert from 'node:assert/strict';
import dns from 'node:dns';
import { after, before, mock, suite, test } from 'node:test';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { findStore } from '../../activities/stores/index.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { withRetry } from '../../activities/stores/wrap/retry.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { Fate, HttpProxy, Seen } from '../support/http-proxy.ts';
import { startHttpProxy } from '../support/http-proxy.ts';
import { freePort } from '../../activities/io/free-port.ts';
import type { S3Credentials, TestS3 } from '../support/s3.ts';
import { s3Missing, startS3 } from '../support/s3.ts';
import { keysOf, readAll } from '../support/store-contract.ts';
import { s3Options } from '../support/store-places.ts';

const MIB = 1 << 20;
const HOUR_MS = 3_600_000;
/** What is never answered is given up after it; what is answered is so long before, however busy the machine is. */
const SOON = '3s';
const store = findStore('s3');

interface Bench {
  s3: TestS3;
  proxy: HttpProxy;
  bucket: string;
  /** Through the proxy, unless the options name another endpoint. */
  open(options?: Record<string, unknown>, run?: Partial<Run>): Promise<StoreSession>;
  as(credentials: S3Credentials): Record<string, unknown>;
  uploads(): Promise<number>;
}

suite('store s3', { skip: s3Missing() ?? false }, () => {
  let s3: TestS3;
  before(async () => void (s3 = await startS3()));
  after(() => s3[Symbol.asyncDispose]());

  const check = (name: string, body: (bench: Bench) => Promise<void>): void =>
    void test(name, { timeout: 300_000 }, async () => {
      await using proxy = await startHttpProxy(s3.port);
      const bucket = await s3.createBucket(['s3:ListBucket', 's3:GetObject']);
      const as = (credentials: S3Credentials): Record<string, unknown> => s3Options(proxy.origin, credentials);
      const open = (options: Record<string, unknown> = {}, run: Partial<Run> = {}): Promise<StoreSession> =>
        store.open({ bucket, ...as(s3.root), ...options }, plainRun(run));
      const uploads = async (): Promise<number> =>
        (await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads?.length ?? 0;
      await body({ s3, proxy, bucket, open, as, uploads });
    });

  suite('who may not, and what is not there', () => {
    const refusals: [string, string, RegExp, (bench: Bench) => Promise<unknown>][] = [
      ['a bucket that is missing', 'NotFound', /create the bucket/, ({ open }) => open({ bucket: 'no-such-bucket' })],
      [
        'a bucket that is not ours',
        'Denied',
        /bucket policy/,
        async ({ as, open }) => {
          return open({ bucket: await s3.createBucket(), ...as(s3.guest) });
        },
      ],
      [
        'a write without the right',
        'Denied',
        /s3:PutObject/,
        async ({ open, as }) => {
          await using session = await open(as(s3.guest));
          assert.equal(await session.stat('absent'), undefined);
          await session.put('key', Buffer.from('x'));
        },
      ],
      ['a wrong secret', 'Denied', /credentials/, ({ open, as }) => open(as({ ...s3.root, secretAccessKey: 'wrong' }))],
      ['an unknown key id', 'Denied', /credentials/, ({ open, as }) => open(as({ ...s3.root, accessKeyId: 'nobody' }))],
      [
        'no server',
        'Unavailable',
        /start the server/,
        async ({ open }) => {
          return open({ endpoint: `http://127.0.0.1:${await freePort()}` });
        },
      ],
      ['no such host', 'Unavailable', /DNS/, ({ open }) => open({ endpoint: 'http://nowhere.invalid:1' })],
      [
        'http where https is said',
        'Precondition',
        /http: or https:/,
        ({ open, proxy }) => {
          return open({ endpoint: proxy.origin.replace('http:', 'https:') });
        },
      ],
    ];
    for (const [name, type, hint, call] of refusals) {
      check(`${name} is ${type}`, async (bench) => {
        await assert.rejects(call(bench), (error) => {
          assert.equal(failureTypeOf(error), type, String(error));
          assert.match(failureFacts(error).hint ?? '', hint);
          assert.ok(failureFacts(error).place?.startsWith('s3://'));
          return true;
        });
      });
    }
  });

  suite('what a server may answer', () => {
    const answers: [number, string | undefined, string][] = [
      [503, 'SlowDown', 'Busy'],
      [503, undefined, 'Busy'],
      [429, undefined, 'Busy'],
      [500, 'InternalError', 'Unavailable'],
      [502, undefined, 'Unavailable'],
      [501, 'NotImplemented', 'Unsupported'],
      [507, undefined, 'Precondition'],
      [409, 'ConditionalRequestConflict', 'Busy'],
      [301, 'PermanentRedirect', 'ConfigInvalid'],
      [400, 'AuthorizationHeaderMalformed', 'ConfigInvalid'],
      [400, 'ExpiredToken', 'Denied'],
      [400, 'RequestTimeout', 'Unavailable'],
      [400, 'BadDigest', 'Integrity'],
      [400, 'InvalidRequest', 'Unsupported'],
      [403, 'RequestTimeTooSkewed', 'Precondition'],
      [404, 'NoSuchBucket', 'NotFound'],
    ];
    for (const [status, code, type] of answers) {
      check(`${status} ${code ?? 'without a body'} is ${type}`, async ({ proxy, open }) => {
        await using session = await open();
        const body = code && `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
        proxy.fate = () => ({ kind: 'answer', status, headers: { 'retry-after': '7' }, ...(body ? { body } : {}) });
        const calls = [() => session.get('key'), () => session.put('key', Buffer.from('x')), () => keysOf(session)];
        for (const call of calls) {
          await assert.rejects(call, (error) => {
            assert.equal(failureTypeOf(error), type, String(error));
            assert.equal(findFailure(error)?.nextRetryDelay, type === 'Busy' ? 7000 : undefined);
            return true;
          });
        }
      });
    }
  });

  // Most of them wait.
  suite('a network that fails', { concurrency: 6 }, () => {
    const calls: Record<string, (session: StoreSession) => Promise<unknown>> = {
      put: (session) => session.put('key', Buffer.from('x')),
      'put-if-absent': (session) => session.put('key', Buffer.from('x'), { ifAbsent: true }),
      'large put': (session) => session.put('key', Buffer.alloc(20 * MIB)),
      get: (session) => readAll(session, 'there'),
      stat: (session) => session.stat('there'),
      list: (session) => keysOf(session),
      remove: (session) => session.remove('there'),
    };
    for (const [name, call] of Object.entries(calls)) {
      check(`${name} cut before the server hears of it is Unavailable`, async ({ proxy, open }) => {
        await using session = await open();
        proxy.fate = () => ({ kind: 'reset' });
        await assert.rejects(call(session), (error) => failureTypeOf(error) === 'Unavailable');
      });

      check(`${name} that is never answered is Unavailable`, async ({ proxy, open }) => {
        await using session = await open({ timeout: SOON });
        proxy.fate = () => ({ kind: 'mute' });
        await assert.rejects(call(session), (error) => failureTypeOf(error) === 'Unavailable');
      });

      check(`${name} that is never answered ends with the run`, async ({ proxy, open }) => {
        const stop = new AbortController();
        const reason = new Error('enough');
        await using session = await open({}, { signal: stop.signal });
        proxy.fate = () => ({ kind: 'mute' });
        void proxy.arrival(() => true).then(() => stop.abort(reason));
        await assert.rejects(call(session), (error) => error === reason);
      });

      check(`${name} whose reply was lost is Unavailable, and done when repeated`, async ({ proxy, open, uploads }) => {
        await using session = await open();
        await session.put('there', Buffer.from('x'));
        let lost = 0;
        const once = (): Fate => ({ kind: (lost += 1) === 1 ? 'lose-answer' : 'pass' });
        const last = name === 'large put' ? isComplete : (): boolean => true;
        proxy.fate = (request) => (last(request) ? once() : undefined);
        await assert.rejects(call(session), (error) => failureTypeOf(error) === 'Unavailable');
        lost = 0;
        const retried = withRetry(session, plainRun(), { tries: 2, firstDelayMs: 1, longestDelayMs: 1 });
        await call(retried);
        assert.equal(lost, 2, 'it was repeated once');
        if (name.includes('put')) assert.equal((await session.stat('key'))?.bytes, name === 'large put' ? 20 * MIB : 1);
        await session[Symbol.asyncDispose]();
        assert.equal(await uploads(), 0);
      });
    }

    for (const kind of ['cut-answer', 'stall-answer'] as const) {
      check(`a body that ends by ${kind} is Unavailable, and never a short object`, async ({ proxy, open }) => {
        await using session = await open({ timeout: SOON });
        await session.put('long', Buffer.alloc(3 * MIB));
        proxy.fate = () => ({ kind, afterBytes: MIB });
        await assert.rejects(readAll(session, 'long'), (error) => failureTypeOf(error) === 'Unavailable');
        await assert.rejects(
          readAll(session, 'long', { from: 5, to: 2 * MIB }),
          (error) => failureTypeOf(error) === 'Unavailable',
        );
      });
    }

    check('a bit that changes on the way in is Integrity, and nothing is stored', async ({ proxy, open }) => {
      await using session = await open();
      proxy.fate = ({ method }) => (method === 'PUT' ? { kind: 'flip-request' } : undefined);
      for (const bytes of [1000, 20 * MIB]) {
        await assert.rejects(
          session.put('key', Buffer.alloc(bytes)),
          (error) => failureTypeOf(error) === 'Integrity' || assert.fail(String(error)),
        );
      }
      assert.deepEqual(await keysOf(session), []);
    });

    check('a bit that changes on the way out is Integrity', async ({ proxy, open }) => {
      await using session = await open();
      await session.put('key', Buffer.alloc(100_000));
      proxy.fate = () => ({ kind: 'flip-answer' });
      await assert.rejects(
        readAll(session, 'key'),
        (error) => failureTypeOf(error) === 'Integrity' || assert.fail(String(error)),
      );
    });

    check(
      'an upload in parts that hangs or fails in any of its steps leaves nothing',
      async ({ proxy, open, uploads }) => {
        const steps = [isPart, isComplete];
        const fates: Fate[] = [
          { kind: 'mute' },
          { kind: 'reset' },
          { kind: 'answer', status: 500 },
          { kind: 'lose-answer' },
        ];
        for (const step of steps) {
          for (const fate of fates) {
            const session = await open(fate.kind === 'mute' ? { timeout: SOON } : {});
            proxy.fate = (request) => (step(request) ? fate : undefined);
            await assert.rejects(session.put('key', Buffer.alloc(20 * MIB)));
            await session[Symbol.asyncDispose]();
            assert.equal(await uploads(), 0, `${step.name} ${fate.kind}`);
            proxy.fate = () => undefined;
          }
        }
      },
    );

    check(
      'an upload that a dead writer left is removed after a day, and no earlier',
      async ({ proxy, open, uploads }) => {
        const session = await open();
        proxy.fate = ({ method, url }) =>
          method === 'POST' && url.includes('uploads') ? { kind: 'lose-answer' } : undefined;
        await assert.rejects(session.put('key', Buffer.alloc(20 * MIB)));
        await session[Symbol.asyncDispose]();
        assert.equal(await uploads(), 1, 'nobody knows its id');
        const { clock } = plainRun();
        const later = (hours: number): Partial<Run> => ({
          clock: { ...clock, nowMs: () => clock.nowMs() + hours * HOUR_MS },
        });
        await (await open({}, later(23)))[Symbol.asyncDispose]();
        assert.equal(await uploads(), 1);
        await (await open({ prefix: 'elsewhere' }, later(25)))[Symbol.asyncDispose]();
        assert.equal(await uploads(), 1, 'only what is ours');
        await (await open({}, later(25)))[Symbol.asyncDispose]();
        assert.equal(await uploads(), 0);
      },
    );
  });

  suite('what the server is asked', () => {
    const accept: Fate = { kind: 'answer', status: 200, body: '<R><UploadId>1</UploadId></R>' };

    /** The requests of a small and a large put, answered by nobody but the proxy. */
    async function requestsOf({ proxy, open }: Bench, options: Record<string, unknown>): Promise<Seen[]> {
      proxy.fate = () => accept;
      await using session = await open(options);
      proxy.seen.length = 0;
      await session.put('key', Buffer.from('x'), { ifAbsent: true });
      await session.put('key', Buffer.alloc(9 * MIB), { ifAbsent: true });
      return proxy.seen;
    }

    check('storage class and key of the key service go with every object', async (bench) => {
      const options = { storageClass: 'STANDARD_IA', sse: { kmsKeyId: 'arn:aws:kms:eu-west-1:1:key/2' } };
      const seen = await requestsOf(bench, options);
      const creating = seen.filter((request) => !isPart(request) && !isComplete(request));
      assert.equal(creating.length, 2);
      for (const { headers } of creating) {
        assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA');
        assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms');
        assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'arn:aws:kms:eu-west-1:1:key/2');
      }
      for (const { headers } of await requestsOf(bench, {})) {
        assert.equal(headers['x-amz-storage-class'], undefined);
        assert.equal(headers['x-amz-server-side-encryption'], undefined);
      }
    });

    check('every byte goes with a checksum, every conditional write with its condition', async (bench) => {
      const seen = await requestsOf(bench, {});
      const [single] = seen;
      const parts = seen.filter(isPart);
      assert.equal(parts.length, 2);
      for (const { headers } of [single!, ...parts]) assert.match(String(headers['x-amz-checksum-crc32']), /^.{6}==$/);
      for (const { headers } of [single!, ...seen.filter(isComplete)]) assert.equal(headers['if-none-match'], '*');
    });

    check('region, prefix and path style are what the options say', async (bench) => {
      const seen = await requestsOf(bench, { region: 'eu-west-3', prefix: '/shop//eu/' });
      for (const { url, headers } of seen) {
        assert.match(headers.authorization ?? '', /\/eu-west-3\/s3\/aws4_request/);
        assert.ok(url.startsWith(`/${bench.bucket}/shop//eu/key`), url);
      }
    });

    check('without path style the bucket stands in the host name', async (bench) => {
      const { port } = new URL(bench.proxy.origin);
      const names = mock.method(dns, 'lookup', resolveHere);
      await requestsOf(bench, { endpoint: `http://s3.example:${port}`, pathStyle: false });
      names.mock.restore();
      assert.ok(bench.proxy.seen.length > 0);
      for (const { url, headers } of bench.proxy.seen) {
        assert.equal(headers.host, `${bench.bucket}.s3.example:${port}`);
        assert.ok(!url.includes(bench.bucket), url);
      }
    });

    test('half a pair of credentials, and an address that is none, are refused', () => {
      const good = { bucket: 'backups', accessKeyId: { env: 'A' }, secretAccessKey: { env: 'B' } };
      assert.ok(store.schema.safeParse(good).success);
      for (const wrong of [{ secretAccessKey: undefined }, { accessKeyId: undefined }, { endpoint: 'ftp://host' }]) {
        assert.ok(!store.schema.safeParse({ ...good, ...wrong }).success, JSON.stringify(wrong));
      }
    });
  });
});

/** Every host name is this host. */
function resolveHere(_name: string, options: dns.LookupOptions, found: (...answer: unknown[]) => void): void {
  if (options.all) found(null, [{ address: '127.0.0.1', family: 4 }]);
  else found(null, '127.0.0.1', 4);
}

function isPart({ url }: Seen): boolean {
  return url.includes('partNumber=');
}

function isComplete({ method, url }: Seen): boolean {
  return method === 'POST' && url.includes('uploadId=');
}
