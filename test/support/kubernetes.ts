import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

type Json = Record<string, unknown>;
export type KubeFault = 'lost' | 'hang' | 'garbage' | 'busy';

/**
 * The few calls of an API server that a switch makes, with its optimistic concurrency: a merge patch that names another
 * resourceVersion is refused with 409, each write makes a new one (Kubernetes API conventions, "Concurrency control"). It is
 * no API server: it checks no schema and runs no controller, so status is what a test says.
 */
export interface FakeKubernetes extends AsyncDisposable {
  /** "/apis/apps/v1/namespaces/shop/deployments/web" to the object. */
  objects: Map<string, Json>;
  /** Writes that changed more than metadata: path and body. */
  changes: { path: string; body: Json }[];
  /** Rights that are missing, "patch deployments". */
  denied: Set<string>;
  /** At the next of these. */
  fault: KubeFault | undefined;
  /** Before a write is done. */
  beforeWrite: () => void;
  /** A path of a kubeconfig that leads here. */
  kubeconfig(dir: string): Promise<string>;
  put(path: string, object: Json): void;
}

const TOKEN = 'token of a test';

export async function startFakeKubernetes(): Promise<FakeKubernetes> {
  let version = 100;
  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  const fake: FakeKubernetes = {
    objects: new Map(),
    changes: [],
    denied: new Set(),
    fault: undefined,
    beforeWrite: () => {},
    kubeconfig: async (dir) => {
      const path = `${dir}/kubeconfig`;
      const { port } = server.address() as AddressInfo;
      const config = {
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'here' },
        contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
        clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
        users: [{ name: 'u', user: { token: TOKEN } }],
      };
      await writeFile(path, JSON.stringify(config));
      return path;
    },
    put: (path, object) => {
      const { metadata, ...rest } = object as { metadata?: Json };
      fake.objects.set(path, { ...rest, metadata: { ...metadata, resourceVersion: String((version += 1)) } });
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return fake;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const [path = '', query = ''] = url.split('?');
    const send = (status: number, body: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (headers.authorization !== `Bearer ${TOKEN}`) return send(401, { message: 'who are you' });
    const given = method === 'GET' ? {} : ((await json(request)) as Json);
    if (method === 'POST') return send(201, review(given));
    if (query !== '') return send(200, { items: listed(fake, path, query) });
    const found = fake.objects.get(path);
    if (!found) return send(404, { message: 'not found' });
    if (method === 'GET') return send(200, found);
    const refused = refusalOf(path, headers['content-type']);
    if (refused) return send(refused.status, refused);
    return write({ path, body: given, send, request });
  }

  function refusalOf(path: string, type: string | undefined): { status: number; message: string } | undefined {
    const [plural = ''] = path.split('/').slice(-2);
    if (fake.denied.has(`patch ${plural}`)) return { status: 403, message: 'cannot patch' };
    return type === 'application/merge-patch+json' ? undefined : { status: 415, message: 'no merge patch' };
  }

  /** SelfSubjectAccessReview */
  function review(given: Json): Json {
    const { spec } = given as { spec: { resourceAttributes: { verb: string; resource: string } } };
    const { verb, resource } = spec.resourceAttributes;
    return { status: { allowed: !fake.denied.has(`${verb} ${resource}`) } };
  }

  function write(asked: {
    path: string;
    body: Json;
    send: (status: number, body: unknown) => void;
    request: IncomingMessage;
  }): void {
    const { path, body, send, request } = asked;
    const isChange = Object.keys(body).some((key) => key !== 'metadata');
    const fault = isChange ? fake.fault : undefined;
    if (isChange) fake.fault = undefined;
    if (fault === 'busy') return send(429, { message: 'too many requests' });
    fake.beforeWrite();
    const found = fake.objects.get(path) ?? {};
    const named = (body['metadata'] as Json | undefined)?.['resourceVersion'];
    if (named !== undefined && named !== (found['metadata'] as Json)['resourceVersion'])
      return send(409, { message: 'the object has been modified' });
    fake.put(path, merged(found, body) as Json);
    if (isChange) fake.changes.push({ path, body });
    if (fault === 'hang') return;
    if (fault === 'lost') return void request.socket.resetAndDestroy();
    send(200, fault === 'garbage' ? 'well done' : fake.objects.get(path));
  }
}

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? (target as Json) : {};
  const result: Json = { ...base };
  for (const [key, value] of Object.entries(patch as Json)) {
    if (value === null) delete result[key];
    else result[key] = merged(base[key], value);
  }
  return result;
}

function listed(fake: FakeKubernetes, path: string, query: string): Json[] {
  const labels = (new URLSearchParams(query).get('labelSelector') ?? '').split(',').map((pair) => pair.split('='));
  return [...fake.objects]
    .filter(([key]) => key.startsWith(`${path}/`))
    .map(([, object]) => object)
    .filter(({ metadata }) => {
      const own = ((metadata as Json)['labels'] ?? {}) as Json;
      return labels.every(([key = '', value]) => own[key] === value);
    });
}
