import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, findFailure, isRetryable } from '../workflows/model/failure.ts';
import type { Config } from './config/index.ts';
import { translateFileError } from './io/file-failure.ts';
import type { Run } from './io/run.ts';
import { findSource } from './sources/index.ts';
import type { LogShipping } from './sources/source.ts';
import type { WalFileWish } from './sources/standby-wishes.ts';
import { openStore } from './stores/open.ts';
import { loadRoot, openVault } from './vault/index.ts';
import type { KeyRing } from './vault/vault.ts';

export interface WalFetchOrder extends Omit<WalFileWish, 'walFolder'> {
  /** Of the configuration. */
  source: string;
  /** Where the file is to stand, beside those that the server has itself; what stands there is replaced. */
  to: string;
}

const AGAIN_MS = 1000;

/**
 * Brings one WAL file from the vault to a server on this host, in this process: no worker has to be there. True when it is in
 * place, whole and checked; false only when the vault was asked and has nothing of it that the server has not itself.
 */
export async function fetchWal(config: Config, order: WalFetchOrder, run: Run): Promise<boolean> {
  const content = await patiently(order, run, () => read(config, order, run));
  if (content === undefined) return false;
  await putInPlace(order.to, content);
  return true;
}

async function read(config: Config, order: WalFetchOrder, run: Run): Promise<Buffer | undefined> {
  await using reader = await openWalReader(config, order.source, run);
  return await reader.file({ ...order, walFolder: dirname(order.to) });
}

/** The WAL of one source, opened to be read. */
export interface WalReader extends AsyncDisposable {
  file(wish: WalFileWish): Promise<Buffer | undefined>;
}

/** Reads with the root key alone, and writes nothing. */
export async function openWalReader(config: Config, name: string, run: Run): Promise<WalReader> {
  const source = config.sources[name];
  const storeUse = config.stores[source?.store ?? ''];
  if (!source || !storeUse) throw failure('ConfigInvalid', `source ${name} has no store`, { place: config.path });
  await using opened = new AsyncDisposableStack();
  const session = opened.use(findSource(source.kind).open(name, source.options, run));
  const log = session.log ?? noLog(name, source.kind);
  const store = opened.use(await openStore(storeUse, run));
  const { level: compressionLevel, partBytes, parallel } = source.backup;
  const keys = await readingKeys(config);
  const options = { source: name, keys, compressionLevel, partBytes, parallel, tool: '' };
  const vault = opened.use(await openVault(store, options, run));
  const kept = opened.move();
  return {
    file: (wish) => log.file(vault.wal, wish),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function noLog(name: string, kind: string): LogShipping {
  throw failure('Unsupported', `source ${name} of kind ${kind} has no WAL`, {
    ...{ place: `source ${name}`, expected: 'a source of kind postgres', found: kind },
    hint: `its moments are its dumps: lifeboat list ${name}`,
  });
}

/** WAL is not signed, and nothing is written: the server's user has to be able to read one key, and no other. */
async function readingKeys({ keys }: Config): Promise<KeyRing> {
  return { root: await loadRoot(keys.root.file), signing: { id: '', privatePem: '' }, trusted: [] };
}

async function patiently<T>({ waitMs }: WalFetchOrder, run: Run, ask: () => Promise<T>): Promise<T> {
  const untilMs = run.clock.nowMs() + waitMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isRetryable(error) || run.clock.nowMs() >= untilMs) throw error;
      run.log.warn(`WAL cannot be fetched now: ${findFailure(error)?.message ?? String(error)}`);
      await run.clock.sleep(AGAIN_MS, run.signal);
    }
  }
}

/** Whole or not at all. PostgreSQL itself removes what begins so and was left behind (xlog.c, RemoveTempXlogFiles). */
async function putInPlace(to: string, content: Buffer): Promise<void> {
  const staged = join(dirname(to), `xlogtemp.${randomUUID()}`);
  try {
    await translateFileError(to, async () => {
      await writeFile(staged, content, { mode: 0o600, flag: 'wx' });
      await rename(staged, to);
    });
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  }
}
