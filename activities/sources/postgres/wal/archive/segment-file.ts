import { failure } from '../../../../../workflows/model/failure.ts';
import { formatLsn } from '../../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../../workflows/model/manifest.ts';

/** First page of a segment: XLogLongPageHeaderData (xlog_internal.h). */
const AT = { magic: 0, info: 2, timeline: 4, address: 8, systemId: 24, segmentBytes: 32 };
const HEADER_BYTES = 40;
const XLP_LONG_HEADER = 0x0002;
/** XLOG_PAGE_MAGIC of each major version. */
export const MAGIC: Readonly<Record<number, number>> = { 15: 0xd110, 16: 0xd113, 17: 0xd116, 18: 0xd118 };
const MAGIC_FAMILY = 0xd1;

export interface SegmentPlace {
  path: string;
  timeline: number;
  start: bigint;
}

/** Precondition unless the bytes are the segment of that name, written by that cluster and version. */
export function checkSegment(bytes: Buffer, { path, timeline, start }: SegmentPlace, identity: Identity): void {
  const wrong = (what: string, expected: string, found: string): Error =>
    failure('Precondition', `WAL file ${path} is not of this cluster: ${what}`, {
      ...{ place: path, expected, found },
      hint: 'archive_command of another server, or of a restored copy, names this socket: give that server a source of its own',
    });
  if (bytes.length !== identity.segmentBytes)
    throw wrong('its length', `${identity.segmentBytes} bytes`, `${bytes.length} bytes`);
  const magic = bytes.readUInt16LE(AT.magic);
  const expected = MAGIC[Math.floor(identity.serverVersion / 10_000)];
  const isMagic = expected === undefined ? magic >> 8 === MAGIC_FAMILY : magic === expected;
  if (bytes.length < HEADER_BYTES || !isMagic || (bytes.readUInt16LE(AT.info) & XLP_LONG_HEADER) === 0)
    throw wrong(
      'its version',
      `WAL of PostgreSQL ${Math.floor(identity.serverVersion / 10_000)}`,
      `magic ${magic.toString(16)}`,
    );
  const systemId = String(bytes.readBigUInt64LE(AT.systemId));
  if (systemId !== identity.systemId)
    throw wrong('its system identifier', `system identifier ${identity.systemId}`, `system identifier ${systemId}`);
  const address = bytes.readBigUInt64LE(AT.address);
  if (address !== start) throw wrong('its position', formatLsn(start), formatLsn(address));
  if (bytes.readUInt32LE(AT.segmentBytes) !== identity.segmentBytes)
    throw wrong('its segment size', String(identity.segmentBytes), String(bytes.readUInt32LE(AT.segmentBytes)));
  // The first segment of a timeline begins with pages of the one before it.
  const written = bytes.readUInt32LE(AT.timeline);
  if (written < 1 || written > timeline)
    throw wrong('its timeline', `timeline ${timeline}, or one before it`, String(written));
}
