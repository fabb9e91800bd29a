import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverUser } from './postgres.ts';
import type { TestVault } from './vault.ts';

export const LIFEBOAT = fileURLToPath(new URL('../../client/lifeboat.sh', import.meta.url));

export interface Called {
  code: number | null;
  said: string;
}

/** The command as PostgreSQL runs it: in a folder, with next to no environment. */
export async function call(
  program: string,
  args: readonly string[],
  ...[cwd, as]: [string, { uid: number; gid: number }?]
): Promise<Called> {
  const env = { PATH: '/usr/bin:/bin' };
  const child = spawn(program, args, { ...as, cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  child.on('error', () => undefined);
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, said: signal === null ? said : `${said}ended by ${signal}` };
}

/** A lifeboat.yml with the vault of a test as source "shop". */
export async function writeFetchConfig(dir: string, { keyDir, root }: TestVault): Promise<string> {
  const path = join(dir, 'lifeboat.yml');
  const lines = [
    `keys: { root: { file: ${join(keyDir, 'root.key')} }, signing: { file: ${join(keyDir, 'signing.key')} } }`,
    `stores: { local: { kind: filesystem, path: ${root} } }`,
    'sources:',
    '  shop: { kind: postgres, connection: { host: 127.0.0.1, port: 1, user: nobody }, store: local }',
  ];
  await writeFile(path, lines.join('\n'));
  return path;
}

/**
 * Makes what the server's user has to read readable to it: configuration, root key and vault, what comes later as well. False
 * when it cannot run this checkout.
 */
export async function letServerFetch({ dir, vault }: { dir: string; vault: string }): Promise<boolean> {
  const { uid, gid } = serverUser();
  if (uid === undefined || gid === undefined) return true;
  await chmod(dir, 0o755);
  await chown(join(dir, 'keys/root.key'), uid, gid);
  const share = `chgrp -R ${gid} '${vault}' && find '${vault}' -type d -exec chmod 2775 {} +`;
  assert.equal((await call('/bin/sh', ['-c', share], '/')).code, 0);
  return (await call(LIFEBOAT, ['--version'], '/', { uid, gid })).code === 0;
}

export interface Relay extends AsyncDisposable {
  /** What a standby's plan has as its command. */
  fetch: string[];
  /** Names of the files that were brought, in order. */
  brought: string[];
}

/**
 * `lifeboat wal-fetch` for a server whose user may not be able to read this checkout: a script of its own hands each call
 * to this process, which makes it.
 */
export async function startRelay(shared: string, config: string): Promise<Relay> {
  const folder = join(shared, 'relay');
  await mkdir(folder);
  await chmod(folder, 0o777);
  const script = join(shared, 'lifeboat');
  await writeFile(script, SCRIPT.replace('FOLDER', folder), { mode: 0o755 });
  const relay = { brought: [] as string[], ended: false };
  const serving = serve(folder, relay);
  return {
    fetch: [script, 'wal-fetch', 'shop', '%f', '%p', '--config', config, '--standby', '--keep-inside'],
    brought: relay.brought,
    [Symbol.asyncDispose]: async () => {
      relay.ended = true;
      await serving;
    },
  };
}

const SCRIPT = `#!/bin/sh
ask=FOLDER/$$
printf '%s\\n' "$PWD" "$@" >"$ask.part" || exit 254
mv "$ask.part" "$ask.ask" || exit 254
while [ ! -e "$ask.done" ]; do sleep 0.02; done
cat "$ask.said" >&2
read -r code <"$ask.done"
rm -f "$ask.done" "$ask.said"
exit "$code"
`;

async function serve(folder: string, relay: { brought: string[]; ended: boolean }): Promise<void> {
  while (!relay.ended) {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.ask')) await answer(folder, name.slice(0, -'.ask'.length), relay.brought);
    }
    await new Promise((next) => setTimeout(next, 20));
  }
}

async function answer(folder: string, id: string, brought: string[]): Promise<void> {
  const at = (kind: string): string => join(folder, `${id}.${kind}`);
  const [cwd = '/', ...args] = (await readFile(at('ask'), 'utf8')).trimEnd().split('\n');
  await rm(at('ask'));
  const { code, said } = await call(LIFEBOAT, args, cwd);
  const [, , name = '', path = ''] = args;
  const { uid, gid } = serverUser();
  if (code === 0) {
    brought.push(name);
    if (uid !== undefined && gid !== undefined) await chown(resolve(cwd, path), uid, gid);
  }
  await writeFile(at('said'), said, { mode: 0o644 });
  await writeFile(at('part'), `${code ?? 254}\n`, { mode: 0o644 });
  await rename(at('part'), at('done'));
}
