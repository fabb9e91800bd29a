import { failure } from '../../../workflows/model/failure.ts';

/** Message types of the frontend/backend protocol (manual 55.7) that a replication connection sees. */
export const MESSAGE = {
  copyData: 0x64,
  copyDone: 0x63,
  copyIn: 0x47,
  copyOut: 0x48,
  copyBoth: 0x57,
  rowDescription: 0x54,
  dataRow: 0x44,
  commandComplete: 0x43,
  errorResponse: 0x45,
  noticeResponse: 0x4e,
  readyForQuery: 0x5a,
  parameterStatus: 0x53,
  notification: 0x41,
  emptyQuery: 0x49,
} as const;

const HEADER_BYTES = 5;
/** Nothing a server sends in one message comes near; a length beyond it means that we lost our place in the stream. */
const LONGEST_MESSAGE = 1 << 28;

export interface MessageHandler {
  /** Body of a whole message; valid until the call, and the promise it may return, settles. */
  message(type: number, body: Buffer): void | Promise<void>;
  /** While `streaming`: bytes of a CopyData body as they arrive; `first` and `last` mark the ends of a message. */
  copyPiece(piece: Buffer, first: boolean, last: boolean): void | Promise<void>;
}

/**
 * Cuts the server's byte stream into messages, in order and one at a time: while a handler's promise is pending nothing
 * else is delivered, and `feed` returns a promise that the owner of the socket waits for before it reads on.
 * Bytes are copied only where a message is cut by the end of a chunk, and not even there while `streaming`.
 */
export class MessageReader {
  streaming = false;
  readonly #handler: MessageHandler;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #type = 0;
  /** Body bytes still to come. */
  #left = 0;
  #first = false;
  #partial: Buffer = Buffer.alloc(0);
  #partialBytes = 0;
  #wait: void | Promise<void> = undefined;

  constructor(handler: MessageHandler) {
    this.#handler = handler;
  }

  feed(chunk: Buffer): void | Promise<void> {
    return this.#from(chunk, 0);
  }

  #from(chunk: Buffer, start: number): void | Promise<void> {
    for (let at = start; at < chunk.length;) {
      const next = this.#headerBytes < HEADER_BYTES ? this.#readHeader(chunk, at) : this.#readBody(chunk, at);
      const wait = this.#wait;
      if (wait) {
        this.#wait = undefined;
        return wait.then(() => this.#from(chunk, next));
      }
      at = next;
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    const next = Math.min(at + HEADER_BYTES - this.#headerBytes, chunk.length);
    chunk.copy(this.#header, this.#headerBytes, at, next);
    this.#headerBytes += next - at;
    if (this.#headerBytes < HEADER_BYTES) return next;
    this.#type = this.#header[0] as number;
    this.#left = this.#header.readUInt32BE(1) - 4;
    this.#first = true;
    this.#partialBytes = 0;
    if (this.#left < 0 || this.#left > LONGEST_MESSAGE) {
      throw failure('Integrity', `message of the server claims ${this.#left} bytes`, {
        expected: `at most ${LONGEST_MESSAGE} bytes`,
        found: `type 0x${this.#type.toString(16)}, ${this.#left} bytes`,
      });
    }
    if (this.#left === 0) this.#deliver(chunk.subarray(next, next));
    return next;
  }

  #readBody(chunk: Buffer, at: number): number {
    const next = Math.min(at + this.#left, chunk.length);
    this.#left -= next - at;
    if (this.streaming && this.#type === MESSAGE.copyData) this.#deliverPiece(chunk.subarray(at, next));
    else if (this.#left === 0 && this.#partialBytes === 0) this.#deliver(chunk.subarray(at, next));
    else this.#collect(chunk.subarray(at, next));
    return next;
  }

  #deliverPiece(piece: Buffer): void {
    const first = this.#first;
    const last = this.#left === 0;
    this.#first = false;
    if (last) this.#headerBytes = 0;
    this.#wait = this.#handler.copyPiece(piece, first, last);
  }

  #collect(piece: Buffer): void {
    const total = this.#partialBytes + piece.length + this.#left;
    if (this.#partialBytes === 0 && this.#partial.length < total) this.#partial = Buffer.allocUnsafeSlow(total);
    piece.copy(this.#partial, this.#partialBytes);
    this.#partialBytes += piece.length;
    if (this.#left === 0) this.#deliver(this.#partial.subarray(0, this.#partialBytes));
  }

  #deliver(body: Buffer): void {
    this.#headerBytes = 0;
    this.#wait = this.#handler.message(this.#type, body);
  }
}

/** What the server said went wrong, or what it wanted us to know (ErrorResponse, NoticeResponse). */
export class ServerMessage extends Error {
  readonly severity: string;
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly routine: string | undefined;

  constructor(body: Buffer) {
    const fields = fieldsOf(body);
    super(fields.get('M') ?? 'no message');
    this.name = 'ServerMessage';
    this.severity = fields.get('V') ?? fields.get('S') ?? '';
    this.code = fields.get('C') ?? '';
    this.detail = fields.get('D');
    this.hint = fields.get('H');
    this.routine = fields.get('R');
  }
}

function fieldsOf(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at] as number), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}

/** Column names of a RowDescription. */
export function columnNames(body: Buffer): string[] {
  const names: string[] = [];
  const count = body.readUInt16BE(0);
  for (let at = 2; names.length < count;) {
    const end = body.indexOf(0, at);
    names.push(body.toString('utf8', at, end));
    at = end + 19;
  }
  return names;
}

/** Values of a DataRow, copied; null where the column is NULL. */
export function rowValues(body: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  const count = body.readUInt16BE(0);
  for (let at = 2; values.length < count;) {
    const bytes = body.readInt32BE(at);
    at += 4;
    values.push(bytes < 0 ? null : Buffer.from(body.subarray(at, at + bytes)));
    at += Math.max(bytes, 0);
  }
  return values;
}

/** A message of ours: type, length, body. */
export function encodeMessage(type: string, body: Buffer): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  message.write(type, 0, 'latin1');
  message.writeUInt32BE(body.length + 4, 1);
  body.copy(message, HEADER_BYTES);
  return message;
}
