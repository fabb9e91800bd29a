import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { failure } from '../../../workflows/model/failure.ts';

/** How an API server is reached, and as whom. */
export interface KubeAccess {
  server: string;
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  token?: string | undefined;
  /** Its certificate is not looked at: the kubeconfig says so. */
  insecure?: boolean;
  namespace?: string | undefined;
}

/** Where Kubernetes puts the identity of a pod (Kubernetes, "Accessing the Kubernetes API from a Pod"). */
const POD = '/var/run/secrets/kubernetes.io/serviceaccount';

type Mapping = Record<string, unknown>;

/**
 * From a context of a kubeconfig, its current one where none is named, or the identity of the pod where there is no file.
 * ConfigInvalid, NotFound; Unsupported for plugins that make credentials.
 */
export async function kubeAccess(file: string | undefined, context: string | undefined): Promise<KubeAccess> {
  if (file === undefined) return podAccess();
  const config = asMapping(parsed(file, await textOf(file)));
  const name = context ?? textIn(config, 'current-context') ?? '';
  const chosen = named(file, config, { list: 'contexts', item: 'context', name });
  const cluster = named(file, config, { list: 'clusters', item: 'cluster', name: textIn(chosen, 'cluster') ?? '' });
  const user = named(file, config, { list: 'users', item: 'user', name: textIn(chosen, 'user') ?? '' });
  if (user['exec'] !== undefined || user['auth-provider'] !== undefined)
    throw plugin(file, textIn(chosen, 'user') ?? '');
  const folder = dirname(file);
  const [ca, cert, key] = await Promise.all([
    pemOf(cluster, 'certificate-authority', folder),
    pemOf(user, 'client-certificate', folder),
    pemOf(user, 'client-key', folder),
  ]);
  const server = textIn(cluster, 'server');
  if (server === undefined) throw lacks(file, 'a cluster with a server', 'none');
  return {
    ...{ server: server.replace(/\/$/, ''), ca, cert, key, token: await tokenOf(user, folder) },
    ...{ insecure: cluster['insecure-skip-tls-verify'] === true, namespace: textIn(chosen, 'namespace') },
  };
}

/** What the parser says repeats the line, secrets too. */
function parsed(file: string, text: string): unknown {
  try {
    return parse(text, { prettyErrors: false, logLevel: 'error' });
  } catch {
    throw lacks(file, 'the form of a kubeconfig', 'YAML that cannot be read, not shown because it may hold secrets');
  }
}

async function tokenOf(user: Mapping, folder: string): Promise<string | undefined> {
  const path = textIn(user, 'tokenFile');
  return path === undefined ? textIn(user, 'token') : (await textOf(resolve(folder, path))).trim();
}

async function podAccess(): Promise<KubeAccess> {
  const [token, ca, namespace] = await Promise.all(
    ['token', 'ca.crt', 'namespace'].map((name) => textOf(`${POD}/${name}`)),
  );
  return {
    server: 'https://kubernetes.default.svc',
    ...{ token: (token ?? '').trim(), ca: ca ?? '', namespace: (namespace ?? '').trim() },
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw failure(code === 'ENOENT' ? 'NotFound' : 'Denied', `${path} cannot be read`, {
      ...{ place: path, expected: 'a kubeconfig, or the service account of a pod', found: code, cause: error },
      hint: 'name a kubeconfig of this host in switches:, readable for the worker',
    });
  }
}

function asMapping(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {};
}

function textIn(mapping: Mapping, key: string): string | undefined {
  const value = mapping[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function named(
  file: string,
  config: Mapping,
  { list, item, name }: { list: string; item: string; name: string },
): Mapping {
  const all = (Array.isArray(config[list]) ? (config[list] as unknown[]) : []).map(asMapping);
  const found = all.find((each) => each['name'] === name);
  if (found) return asMapping(found[item]);
  const known = all.map((each) => String(each['name'])).join(', ') || 'none';
  throw lacks(file, `${item} "${name}" under ${list}`, known);
}

function lacks(file: string, expected: string, found: string): Error {
  return failure('ConfigInvalid', `${file} lacks ${expected}`, {
    ...{ place: file, expected, found },
    hint: 'correct context: in switches:, or the kubeconfig',
  });
}

function plugin(file: string, user: string): Error {
  return failure('Unsupported', `${file}: user ${user} gets its credentials from a plugin`, {
    ...{ place: file, expected: 'a token, or a client certificate', found: 'exec or auth-provider' },
    hint: 'make a service account with a token for Lifeboat, and a kubeconfig with it',
  });
}

/** Stands in the file itself, or in one of its own. */
async function pemOf(mapping: Mapping, key: string, folder: string): Promise<string | undefined> {
  const data = textIn(mapping, `${key}-data`);
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  const path = textIn(mapping, key);
  return path === undefined ? undefined : textOf(resolve(folder, path));
}
