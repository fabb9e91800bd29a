import { failure } from '../workflows/model/failure.ts';
import type { DumpSummary } from '../workflows/model/dump.ts';
import type { ForensicSummary } from '../workflows/model/forensic.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import { needsWal } from '../workflows/model/manifest.ts';
import type { PointDetails } from '../workflows/model/results.ts';
import { formatBytes } from '../workflows/model/units.ts';
import type { Session } from './connect.ts';
import { knownSource } from './sources.ts';
import { windowLines } from './restore-lines.ts';
import { pairLines } from './table.ts';

export interface PointName {
  /** Absent: whichever source has it. */
  source?: string;
  point: string;
}

/** "20260301T020000Z-1a2b3c4d-1" or "shop/20260301T020000Z-1a2b3c4d-1". ConfigInvalid for anything else. */
export function parsePointName(text: string): PointName {
  const [first = '', second, ...more] = text.split('/');
  const name: PointName = second === undefined ? { point: first } : { source: first, point: second };
  if (more.length === 0 && /^[A-Za-z0-9-]{1,80}$/.test(name.point) && name.source !== '') return name;
  throw failure('ConfigInvalid', `"${text}" is not the name of a recovery point`, {
    place: 'POINT',
    expected: 'POINT or SOURCE/POINT, as lifeboat list shows them',
    found: text,
    hint: 'lifeboat list',
  });
}

/** The same name, its source checked against the configuration. */
export function checkedPointName(session: Session, text: string): PointName {
  const name = parsePointName(text);
  return name.source === undefined ? name : { ...name, source: knownSource(session.config, name.source) };
}

export function pointLines(point: PointSummary): string[] {
  return pairLines(pointPairs(point));
}

function pointPairs(point: PointSummary): [string, string | undefined][] {
  return [
    ['point', `${point.source}/${point.point}`],
    ['kind', point.forensic ? 'forensic copy of files: evidence, no backup' : point.kind],
    ['stands on', point.parent],
    ['instead of less', point.fallback],
    ['taken from', takenFromText(point)],
    ['DAMAGED', damageText(point)],
    ['taken', `${point.startedAt} to ${point.stoppedAt}`],
    ['size', `${formatBytes(point.bytes)} in ${point.files} files`],
    ['stored', `${formatBytes(point.storedBytes)} in ${point.parts} parts`],
    ['dump of', point.dump && dumpText(point.dump)],
    ['found', point.forensic && `${point.forensic.directory}, ${point.forensic.state}`],
    ['NOT READ', point.forensic && unreadText(point.forensic)],
    ['WAL', !needsWal(point) ? undefined : `${point.startLsn} to ${point.stopLsn}, timeline ${point.timeline}`],
    ['cluster', `${point.systemId}, server ${versionText(point.serverVersion)}`],
    ['made by', `lifeboat ${point.tool}`],
  ];
}

function takenFromText({ takenFrom }: PointSummary): string | undefined {
  if (!takenFrom) return undefined;
  const { server, role, instead, unseen } = takenFrom;
  const why = instead === undefined ? '' : `, instead of a standby: ${instead}`;
  return `${server}, the ${role}${why}${unseen === undefined ? '' : `, whose primary was not seen: ${unseen}`}`;
}

function dumpText({ databases, tables, rows, largeObjects, rolePasswords }: DumpSummary): string {
  const roles = rolePasswords === undefined ? 'no roles' : `roles with${rolePasswords ? '' : 'out'} passwords`;
  return `${databases.join(', ')}: ${tables} tables, ${rows} rows, ${largeObjects} large objects; ${roles}`;
}

function unreadText({ unread, first }: ForensicSummary): string | undefined {
  return unread === 0 ? undefined : `${unread} places, zeros or absent in the copy: ${first.join('; ')}`;
}

function damageText({ damaged }: PointSummary): string | undefined {
  return damaged && `${damaged.pages} pages were wrong on the source: ${damaged.first.join(', ')}`;
}

export function detailLines(point: PointDetails): string[] {
  return [
    ...pairLines([
      ...pointPairs(point.summary),
      ['chain', point.broken === undefined ? chainText(point.chain) : `BROKEN: ${point.broken}; it cannot be restored`],
      ...(point.databases ?? []).map((each): [string, string] => [
        `database ${each.name}`,
        `${each.tables} tables, ${each.rows} rows, ${formatBytes(each.bytes)}, ${each.largeObjects} large objects`,
      ]),
      [
        'checksums',
        point.summary.dump ? undefined : point.pageChecksums ? 'page checksums were verified' : 'off on the source',
      ],
      ['complete', completeText(point)],
      ...point.trees.map((tree): [string, string] => [
        `tree ${tree.id}`,
        `${tree.files} files, ${formatBytes(tree.bytes)}${tree.location === undefined ? '' : `, from ${tree.location}`}`,
      ]),
    ]),
    ...windowLines(point.windows),
  ];
}

function completeText({ summary, walComplete }: PointDetails): string | undefined {
  if (summary.forensic) return undefined;
  return walComplete ? 'yes' : 'NO: WAL up to its end is not in the vault, it cannot be restored';
}

function chainText(chain: readonly string[] = []): string | undefined {
  return chain.length > 1 ? `${chain.length} points, from ${chain[0]}` : undefined;
}

/** 180004 is 18.4 (server_version_num). */
export function versionText(number: number): string {
  return `${Math.floor(number / 10_000)}.${number % 10_000}`;
}
