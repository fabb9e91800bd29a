import type { Socket } from 'node:net';
import { failure } from '../../../workflows/model/failure.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import type { Run } from '../run.ts';
import type { SqlClient } from './connection.ts';
import { sessionOf, socketOf } from './connection.ts';
import type { Address } from './failures.ts';
import { placeOf, postgresFailure } from './failures.ts';
import { ReusingSocket } from './socket.ts';
import { columnNames, encodeMessage, MESSAGE, MessageReader, rowValues, ServerMessage } from './wire.ts';

export type RawRow = Record<string, Buffer | null>;

/** What one command may want to hear. A promise stops reading from the socket until it settles. */
export interface CommandHandlers {
  /** A row set is complete; called in order. */
  onRows?(rows: RawRow[], index: number): void;
  /** The server switched to COPY, to us or in both directions. */
  onCopyStart?(): void;
  /**
   * The server wants bytes of us: `send` takes them, and settles when there is room for more. What this rejects with ends
   * the COPY on the server too, and is what the command fails with.
   */
  onCopyIn?(send: (bytes: Buffer) => Promise<void>): Promise<void>;
  /** A whole CopyData message; valid until the call, and the promise it may return, settles. */
  onCopy?(message: Buffer): void | Promise<void>;
  /** Instead of onCopy: pieces of CopyData messages as they arrive, without a copy. */
  onCopyPiece?(piece: Buffer, first: boolean, last: boolean): void | Promise<void>;
  /** The server's side of the COPY ended. */
  onCopyDone?(): void;
  onNotice?(notice: ServerMessage): void;
  /** Nothing came for `silenceMs`, and we were reading: return true to wait once more. Absent: the connection is closed. */
  onSilence?(): boolean;
  /** The server is taken for dead when nothing comes from it for so long, milliseconds; 0 = never. */
  silenceMs?: number;
}

interface Exchange {
  handlers: CommandHandlers;
  sets: RawRow[][];
  columns: string[] | undefined;
  rows: RawRow[];
  error: unknown;
  /** Bytes for the server are being made ready: it has no reason to say anything. */
  isBringing: boolean;
  resolve(sets: RawRow[][]): void;
  reject(error: unknown): void;
}

const SILENCE_MS = 60_000;

/**
 * A walsender connection (manual 55.4). node-postgres makes the connection, speaks TLS and proves who we are; from then
 * on this class reads the socket itself, so that COPY data reaches its handler without being copied or collected first.
 * One command at a time; each settles exactly once, and any doubt closes the socket.
 */
export class ReplicationConnection implements AsyncDisposable {
  readonly address: Address;
  readonly clock: Run['clock'];
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #reader: MessageReader;
  #exchange: Exchange | undefined;
  #failed: unknown;
  #closed = false;
  #reading = true;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(client: SqlClient, run: Pick<Run, 'signal' | 'clock'>) {
    this.address = sessionOf(client).at;
    this.clock = run.clock;
    this.#signal = run.signal;
    this.#socket = socketOf(client);
    this.#reader = new MessageReader({
      message: (type, body) => this.#onMessage(type, body),
      copyPiece: (piece, first, last) => this.#exchange?.handlers.onCopyPiece?.(piece, first, last),
    });
    const onData = (chunk: Buffer): void => this.#onData(chunk);
    if (this.#socket instanceof ReusingSocket) this.#socket.takeOver(onData);
    else this.#socket.removeAllListeners('data').on('data', onData);
    this.#socket.on('error', (error) => this.fail(postgresFailure(this.address, error)));
    this.#socket.once('close', () => this.#onClose());
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get place(): string {
    return placeOf(this.address);
  }

  /** Sends one command and gives its row sets. */
  run(text: string, handlers: CommandHandlers = {}): Promise<RawRow[][]> {
    if (this.#signal.aborted) return Promise.reject(this.#signal.reason as Error);
    if (this.#closed) return Promise.reject((this.#failed ?? this.#lost()) as Error);
    if (this.#exchange) return Promise.reject(failure('Bug', 'replication connection runs a command already'));
    return new Promise((resolve, reject) => {
      this.#exchange = {
        ...{ handlers, sets: [], columns: undefined, rows: [], error: undefined, isBringing: false },
        ...{ resolve, reject },
      };
      this.#reader.streaming = handlers.onCopyPiece !== undefined;
      this.#arm();
      this.#socket.write(encodeMessage('Q', Buffer.from(`${text}\0`)));
    });
  }

  sendCopyData(body: Buffer): void {
    if (this.#socket.writable) this.#socket.write(encodeMessage('d', body));
  }

  sendCopyDone(): void {
    if (this.#socket.writable) this.#socket.write(encodeMessage('c', Buffer.alloc(0)));
  }

  /** Whether nothing is read at present because a handler has not settled yet. */
  get paused(): boolean {
    return !this.#reading;
  }

  /** Ends the running command with `error` and closes the socket: a server cannot be told to stop in the middle of a COPY. */
  fail(error: unknown): void {
    this.#failed ??= error;
    this.#settle(this.#failed);
    this.#socket.destroy();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    if (this.#exchange || !this.#socket.writable) this.fail(this.#lost());
    else this.#socket.end(encodeMessage('X', Buffer.alloc(0)), () => this.#socket.destroy());
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onAbort = (): void => this.fail(this.#signal.reason);

  #onClose(): void {
    this.#closed = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#settle(this.#failed ?? this.#lost());
  }

  #lost(): Error {
    return postgresFailure(this.address, new Error('the server closed the connection'));
  }

  #onData(chunk: Buffer): void {
    this.#watchdog?.refresh();
    try {
      const wait = this.#reader.feed(chunk);
      if (wait) this.#holdBack(wait);
    } catch (error) {
      this.fail(error);
    }
  }

  #holdBack(wait: Promise<void>): void {
    this.#reading = false;
    this.#socket.pause();
    wait.then(
      () => {
        this.#reading = true;
        this.#watchdog?.refresh();
        this.#socket.resume();
      },
      (error: unknown) => this.fail(error),
    );
  }

  #arm(): void {
    clearTimeout(this.#watchdog);
    const silenceMs = this.#exchange?.handlers.silenceMs ?? SILENCE_MS;
    this.#watchdog = silenceMs === 0 ? undefined : setTimeout(() => this.#onSilence(silenceMs), silenceMs);
  }

  /** While we do not read on purpose, silence says nothing about the server. */
  #onSilence(silenceMs: number): void {
    if (!this.#reading || this.#exchange?.isBringing || this.#exchange?.handlers.onSilence?.()) return this.#arm();
    const wait = formatDuration(silenceMs);
    const message = `postgres ${this.place} fell silent for ${wait}`;
    this.fail(failure('Unavailable', message, { place: this.place, found: `no byte in ${wait}` }));
  }

  #onMessage(type: number, body: Buffer): void | Promise<void> {
    const exchange = this.#exchange;
    if (!exchange) return;
    if (type === MESSAGE.copyData) return exchange.handlers.onCopy?.(body);
    if (type === MESSAGE.errorResponse) exchange.error ??= postgresFailure(this.address, new ServerMessage(body));
    else if (type === MESSAGE.readyForQuery) this.#settle(exchange.error);
    else if (!notify(exchange.handlers, type, body)) this.#onRowMessage(exchange, { type, body });
  }

  #onRowMessage(exchange: Exchange, { type, body }: { type: number; body: Buffer }): void {
    if (type === MESSAGE.rowDescription) {
      exchange.columns = columnNames(body);
    } else if (type === MESSAGE.dataRow) {
      const { columns = [] } = exchange;
      exchange.rows.push(Object.fromEntries(rowValues(body).map((value, index) => [columns[index] ?? '', value])));
    } else if (type === MESSAGE.commandComplete && exchange.columns) {
      const { rows, sets } = exchange;
      Object.assign(exchange, { rows: [], columns: undefined });
      sets.push(rows);
      exchange.handlers.onRows?.(rows, sets.length - 1);
    } else if (type === MESSAGE.copyIn) {
      const { onCopyIn } = exchange.handlers;
      if (!onCopyIn) throw failure('Bug', 'server asks for data that this command does not have');
      void this.#bring(exchange, (send) => onCopyIn(send));
    }
  }

  async #bring(exchange: Exchange, source: NonNullable<CommandHandlers['onCopyIn']>): Promise<void> {
    const isOver = (): boolean => this.#exchange !== exchange;
    try {
      exchange.isBringing = true;
      await source(async (bytes) => {
        // The server has said why it wants no more of them, or is gone.
        if (isOver()) throw (exchange.error ?? this.#lost()) as Error;
        exchange.isBringing = false;
        if (!this.#socket.write(encodeMessage('d', bytes))) await this.#drained();
        exchange.isBringing = true;
      });
      if (!isOver()) this.sendCopyDone();
    } catch (error) {
      exchange.error ??= error;
      if (!isOver() && this.#socket.writable) this.#socket.write(encodeMessage('f', Buffer.from('no more data\0')));
    } finally {
      exchange.isBringing = false;
      this.#watchdog?.refresh();
    }
  }

  /** When the socket takes more, or never will. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
      if (this.#closed) done();
    });
  }

  #settle(error: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    clearTimeout(this.#watchdog);
    if (!exchange) return;
    // What the server said last explains a closed connection better than that it is closed.
    if (error === undefined) exchange.resolve(exchange.sets);
    else exchange.reject(exchange.error ?? error);
  }
}

/** What a handler only wants to know of; false when the message is something else. */
function notify(handlers: CommandHandlers, type: number, body: Buffer): boolean {
  if (type === MESSAGE.copyOut || type === MESSAGE.copyBoth) handlers.onCopyStart?.();
  else if (type === MESSAGE.copyDone) handlers.onCopyDone?.();
  else if (type === MESSAGE.noticeResponse) handlers.onNotice?.(new ServerMessage(body));
  else return false;
  return true;
}
