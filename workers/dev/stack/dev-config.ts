import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMap, parseDocument } from 'yaml';
import { createKeys, newKeysIn } from '../../../activities/vault/index.ts';
import type { PostgresServer } from './postgres.ts';
import type { TemporalServer } from './temporal.ts';

export const DEV_SOURCE = 'shop';

const TEMPLATE = `# Lifeboat on the local stack, written by: lifeboat dev
# Yours to edit. Addresses, ports and folders of servers are set again at every start.
name: lifeboat-dev
temporal:
keys:
  root: { file: keys/root.key }
  recovery: { public: keys/recovery.pub }
  signing: { file: keys/signing.key }
stores:
  local: { kind: filesystem, path: vault }
sources:
  ${DEV_SOURCE}:
    kind: postgres
    connection:
    store: local
    wal: { shipEvery: 5s }
    objectives: { rto: 5m, rpo: 30s }
    restore:
`;

/** Makes lifeboat.yml and its keys in `dir`, or brings the addresses in it up to date; gives its path. */
export async function writeDevConfig(
  dir: string,
  servers: { temporal: TemporalServer; postgres: PostgresServer },
): Promise<string> {
  const path = join(dir, 'lifeboat.yml');
  await makeKeys(join(dir, 'keys'));
  await writeWhole(join(dir, 'postgres.password'), `${servers.postgres.password}\n`, 0o600);
  // The recovered servers run as another user, who has to reach their folders.
  const scratch = join(dir, 'restores');
  await mkdir(join(dir, 'vault'), { recursive: true });
  await mkdir(scratch, { recursive: true });
  await chmod(scratch, 0o755);
  const text = existsSync(path) ? await readFile(path, 'utf8') : TEMPLATE;
  await writeWhole(path, withServers(text, { ...servers, scratch }), 0o640);
  return path;
}

/** Comments and everything else stay as they are. */
function withServers(
  text: string,
  { temporal, postgres, scratch }: { temporal: TemporalServer; postgres: PostgresServer; scratch: string },
): string {
  const document = parseDocument(text);
  const set = (path: string[], values: Record<string, unknown>): void => {
    const found = document.getIn(path);
    if (!isMap(found)) document.setIn(path, document.createNode(values));
    else for (const [key, value] of Object.entries(values)) found.set(key, document.createNode(value));
  };
  set(['temporal'], { address: temporal.address, namespace: temporal.namespace, ui: temporal.ui });
  const source = ['sources', DEV_SOURCE];
  const { host, port, user, database, binaries, runAs } = postgres;
  set([...source, 'connection'], { host, port, user, database, password: { file: 'postgres.password' } });
  set([...source, 'restore'], { binaries, runAs, scratch });
  return document.toString({ lineWidth: 0 });
}

/** All or none: a second start finds them whole. */
async function makeKeys(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const staging = `${folder}.new-${process.pid}`;
  await mkdir(staging, { mode: 0o700 });
  await createKeys(newKeysIn(staging));
  await rename(staging, folder);
}

async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const staging = `${path}.new`;
  await writeFile(staging, text, { mode });
  await rename(staging, path);
}
