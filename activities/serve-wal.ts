import { stat } from 'node:fs/promises';
import { failure, isFailure } from '../workflows/model/failure.ts';
import type { Config } from './config/index.ts';
import { openWalReader } from './fetch-wal.ts';
import type { WalReader } from './fetch-wal.ts';
import type { Reply } from './io/line-server.ts';
import { serveLines } from './io/line-server.ts';
import { reasonLine } from './io/one-line.ts';
import type { Run } from './io/run.ts';
import type { WalFileWish } from './sources/standby-wishes.ts';
import { WalAhead } from './wal-ahead.ts';

const AGAIN_MS = 30_000;
/** Servers of one host that recover at once, each with what is read ahead for it. */
const MOST_SERVERS = 4;
/** Of segments that are read or on their way to a server. */
const MOST_BYTES = 256 * 2 ** 20;

/** A source whose WAL this worker gives to the servers of its host. */
export interface ServedWal {
  source: string;
  socket: string;
  socketMode: number;
}

/**
 * Gives WAL files of one source to servers on this host that recover, by the helper behind `restore_command`, until the signal
 * fires. Who gets no answer, or any but the file and "the vault does not have it", fetches it in a process of its own.
 */
export async function serveWal(config: Config, served: ServedWal, run: Run): Promise<void> {
  const { socket, socketMode: mode, source } = served;
  while (!run.signal.aborted) {
    await using files = new ServedFiles(config, source, run);
    try {
      const server = await serveLines({ socket, mode, answer: (request) => files.answer(request) });
      run.log.info('WAL is given to servers that recover', { source, socket });
      await aborted(run.signal);
      await server.close();
    } catch (error) {
      run.log.warn('WAL is not given to servers that recover', { source, socket, error: reasonLine(error) });
      await run.clock.sleep(AGAIN_MS, run.signal).catch(() => undefined);
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

type Wish = WalFileWish & {
  systemId: string;
  segmentBytes: number;
  /** Device and inode of the folder with the server's own WAL, as the server sees it. */
  folder: string;
};

class ServedFiles implements AsyncDisposable {
  readonly #config: Config;
  readonly #source: string;
  readonly #run: Run;
  #reader: Promise<WalReader> | undefined;
  readonly #ahead = new Map<string, WalAhead>();
  #givenBytes = 0;

  constructor(config: Config, source: string, run: Run) {
    this.#config = config;
    this.#source = source;
    this.#run = run;
  }

  async answer(request: string): Promise<Reply> {
    let wish: Wish | undefined;
    try {
      wish = wishIn(request, this.#source);
      const wanted = wish;
      return await this.#withRoom(wanted, async () => {
        const content = await this.#contentOf(wanted);
        return content ? { line: `here ${content.length}`, body: content } : { line: 'absent' };
      });
    } catch (error) {
      this.#run.log.warn('WAL file not given', { request: request.slice(0, 200), error: reasonLine(error) });
      // What failed may have been the place, or the key that it was opened with: it is opened again. What is wrong with one file is
      // no reason, and others are being read.
      const isOfOne = !wish || isFailure(error, 'Precondition') || isFailure(error, 'Integrity');
      if (!isOfOne) await this.#close();
      return { line: `no ${reasonLine(error)}` };
    }
  }

  /** Whoever comes when there is no room is told so, and fetches it himself; one is always served, however long its segments are. */
  async #withRoom({ segmentBytes }: Wish, work: () => Promise<Reply>): Promise<Reply> {
    if (this.#givenBytes > 0 && this.#givenBytes + segmentBytes > MOST_BYTES)
      return { line: 'no too much is given at once' };
    this.#givenBytes += segmentBytes;
    const sent = (): void => void (this.#givenBytes -= segmentBytes);
    try {
      return { ...(await work()), sent };
    } catch (error) {
      sent();
      throw error;
    }
  }

  async #contentOf(wish: Wish): Promise<Buffer | undefined> {
    const { name } = wish;
    const ahead = this.#aheadFor(wish);
    const reader = await this.#open();
    const whole = (await ahead.take(name)) ?? (await reader.file({ ...wish, wholeOnly: true }));
    if (!whole) return this.#unfinished(reader, wish);
    ahead.goOn(name);
    return whole;
  }

  /** Not in the place of more that the server has itself, which takes to see it: in a container it has folders of its own. */
  async #unfinished(reader: WalReader, wish: Wish): Promise<Buffer | undefined> {
    const { walFolder, folder } = wish;
    const seen = await stat(walFolder, { bigint: true }).then(({ dev, ino }) => `${dev}:${ino}`, () => 'none'); // prettier-ignore
    if (seen === folder) return reader.file(wish);
    throw failure('Precondition', `${walFolder} is not on this host as the server sees it`, {
      ...{ place: walFolder, expected: folder, found: seen },
      hint: 'what is not whole is fetched where the server is',
    });
  }

  #aheadFor(wish: Wish): WalAhead {
    const { systemId, segmentBytes, keepInside, walFolder } = wish;
    const key = JSON.stringify([systemId, segmentBytes, keepInside ?? false, walFolder]);
    const known = this.#ahead.get(key);
    if (known) return known;
    const [oldest] = this.#ahead.keys();
    if (this.#ahead.size >= MOST_SERVERS && oldest !== undefined) this.#ahead.delete(oldest);
    const made = new WalAhead(
      async (name) => (await this.#open()).file({ ...wish, name, wholeOnly: true }),
      segmentBytes,
    );
    this.#ahead.set(key, made);
    return made;
  }

  /** Open as long as it is of use: to open it takes longer than to read a segment. */
  #open(): Promise<WalReader> {
    if (!this.#reader) {
      const opening = openWalReader(this.#config, this.#source, this.#run);
      opening.catch(() => {
        if (this.#reader === opening) this.#reader = undefined;
      });
      this.#reader = opening;
    }
    return this.#reader;
  }

  async #close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    if (!reader) return;
    await reader.then((open) => open[Symbol.asyncDispose]()).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

/** Source, system identifier, bytes of a segment, name, place of tablespaces, identity and path of the server's WAL folder. */
const REQUEST = /^fetch\t([^\t]+)\t(\d+)\t([1-9]\d*)\t([^\t]+)\t(inside|plain)\t([^\t]+)\t(\/[^\t]*)$/;

function wishIn(request: string, source: string): Wish {
  const match = REQUEST.exec(request);
  if (!match) throw new Error(`request "${request.slice(0, 100)}" is not understood: is the helper of this version?`);
  const [of, systemId, bytes, name, place, folder, walFolder] = match.slice(1) as Words;
  if (of !== source) {
    throw failure('ConfigInvalid', `this socket gives WAL of ${source}, not of ${of}`, {
      ...{ place: 'wal.fetchSocket', expected: source, found: of },
      hint: 'a socket is that of one source',
    });
  }
  const keepInside = place === 'inside' ? { keepInside: true } : {};
  // Nobody waits here for what is on its way: who asked does, in a process of its own.
  const asked = { name, data: '/', folder, walFolder, systemId, segmentBytes: Number(bytes), waitMs: 0 };
  return { ...asked, ...keepInside };
}

type Words = [string, string, string, string, string, string, string];
