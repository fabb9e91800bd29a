import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { runCli } from '../../client/program.ts';
import type { FakeHost } from './cli-host.ts';
import { fakeHost } from './cli-host.ts';
import { withTempDir } from './temp-dir.ts';
import { newKeyRing } from './vault.ts';

/** What one command said. */
export interface Said {
  code: number;
  out: string;
  err: string;
  /** The last line of `out`, when it is JSON. */
  json: Record<string, unknown>;
}

export interface CliWorld {
  dir: string;
  /** host:port of the Temporal server. */
  address: string;
  client: Client;
  /** Writes lifeboat.yml (or another name) beside the keys; `body` is the rest, also where Temporal is if it says so. */
  writeConfig(body: string, file?: string): Promise<string>;
  /** Runs one command in this process. `--config` is added unless it is given. */
  cli(words: readonly string[], host?: FakeHost): Promise<Said>;
}

/** A Temporal server of the test's own, a folder with keys, and the CLI on both. */
export async function withCliWorld<T>(callback: (world: CliWorld) => Promise<T>): Promise<T> {
  return withTempDir(async (dir) => {
    const { temporal: path } = await ensureTools(['temporal'], { log: () => undefined });
    const server = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'existing-path', path } },
    });
    try {
      await newKeyRing(join(dir, 'keys'));
      return await callback(worldOf(dir, server.address, server.client));
    } finally {
      await server.teardown();
    }
  });
}

function worldOf(dir: string, address: string, client: Client): CliWorld {
  const place = `temporal: { address: "${address}" }`;
  const keys = [
    'keys: { root: { file: keys/root.key }, recovery: { public: keys/recovery.pub }, signing: { file: keys/signing.key } }',
  ];
  const config = join(dir, 'lifeboat.yml');
  return {
    ...{ dir, address, client },
    writeConfig: async (body, file = 'lifeboat.yml') => {
      const path = join(dir, file);
      const head = body.includes('temporal:') ? keys : [place, ...keys];
      await writeFile(path, [...head, body].join('\n'));
      return path;
    },
    cli: (words, host = realTimeHost()) =>
      say(words.includes('--config') ? words : [...words, '--config', config], host),
  };
}

/** As `fakeHost`, with the real clock: what waits for a server needs one. */
export function realTimeHost(options: Parameters<typeof fakeHost>[0] = {}): FakeHost {
  return Object.assign(fakeHost(options), { nowMs: () => Date.now() });
}

/** Its clock runs twenty times as fast: what is given up after a while is given up soon. */
export function hurriedHost(): FakeHost {
  const startMs = Date.now();
  return Object.assign(fakeHost(), { nowMs: () => startMs + (Date.now() - startMs) * 20 });
}

export async function say(words: readonly string[], host: FakeHost): Promise<Said> {
  const code = await runCli(words, host);
  const last = host.out.trimEnd().split('\n').at(-1) ?? '';
  const json = (last.startsWith('{') ? JSON.parse(last) : {}) as Record<string, unknown>;
  return { code, out: host.out, err: host.err, json };
}

export async function connectTo(address: string): Promise<Client> {
  return new Client({ connection: await Connection.connect({ address }) });
}
