import { failure } from '../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../workflows/model/lsn.ts';
import type { Target, TimelineChoice } from '../workflows/model/target.ts';
import { parseTargetTime } from '../workflows/model/target-parse.ts';
import { Stop } from './stop.ts';
import type { Call } from './verb.ts';

const FLAGS = ['toTime', 'toLsn', 'toXid', 'toName', 'toImmediate', 'toLatest'] as const;

/** undefined when no target was named. ConfigInvalid for one that cannot be meant. */
export function targetOf(options: Call['options']): Target | undefined {
  const [flag, ...others] = FLAGS.filter((name) => options[name] !== undefined);
  if (others.length > 0) {
    throw new Stop(
      'Usage',
      `options ${[flag, ...others].map((name) => optionName(name ?? '')).join(' and ')} name two moments`,
      {
        hint: 'give one of them',
      },
    );
  }
  const inclusive = options['exclusive'] !== true;
  const target = flag && READERS[flag](String(options[flag]), inclusive);
  if (!inclusive && !(target && 'inclusive' in target)) {
    throw new Stop('Usage', 'option --exclusive needs --to-time, --to-lsn or --to-xid', {
      hint: 'a name, immediate and latest have no "just before"',
    });
  }
  return target;
}

const READERS: Record<(typeof FLAGS)[number], (text: string, inclusive: boolean) => Target> = {
  toTime: (text, inclusive) => ({ kind: 'time', time: parseTargetTime(text), inclusive }),
  toLsn: (text, inclusive) => ({
    ...{ kind: 'lsn', inclusive },
    lsn: formatLsn(parseLsn(matching(text, '--to-lsn', LSN))),
  }),
  toXid: (text, inclusive) => ({ kind: 'xid', xid: matching(text, '--to-xid', XID), inclusive }),
  toName: (text) => ({ kind: 'name', name: matching(text, '--to-name', RESTORE_POINT) }),
  toImmediate: () => ({ kind: 'immediate' }),
  toLatest: () => ({ kind: 'latest' }),
};

interface Form {
  pattern: RegExp;
  says: string;
}

const LSN: Form = { pattern: /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/, says: 'a WAL position, like 16/B374D848' };
/** Epoch and xid together are taken too, as pg_current_xact_id() prints them. */
const XID: Form = {
  pattern: /^[1-9][0-9]{0,19}$/,
  says: 'a transaction id: digits, as pg_current_xact_id() prints it',
};
/** MAXFNAMELEN of src/include/access/xlog_internal.h, less the closing zero. */
const RESTORE_POINT: Form = { pattern: /^[^\0]{1,63}$/, says: 'the name of a restore point, at most 63 characters' };
const TIMELINE: Form = {
  pattern: /^(?:latest|current|[1-9][0-9]{0,9})$/,
  says: 'latest, current or a timeline number',
};
const PORT: Form = {
  pattern: /^(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
  says: 'a port from 1 to 65535',
};
const FOLDER: Form = { pattern: /^\/[^\0]*$/, says: 'an absolute path on the host that restores' };

function matching(text: string, place: string, form: Form): string {
  if (form.pattern.test(text)) return text;
  throw failure('ConfigInvalid', `${place} "${text}" is not usable`, {
    place,
    expected: form.says,
    found: text,
    hint: 'lifeboat restore --help',
  });
}

export function timelineOf(text: unknown): TimelineChoice | undefined {
  if (text === undefined) return undefined;
  const choice = matching(String(text), '--timeline', TIMELINE);
  return choice === 'latest' || choice === 'current' ? choice : Number(choice);
}

export function portOf(text: unknown): number | undefined {
  if (text === undefined) return undefined;
  return Number(matching(String(text), '--port', PORT));
}

export function folderOf(text: unknown, place: string): string | undefined {
  return text === undefined ? undefined : matching(String(text), place, FOLDER);
}

export function tablespacesOf(pairs: readonly string[]): Record<string, string> | undefined {
  const entries = pairs.map((pair) => {
    const at = pair.lastIndexOf('=');
    const [from, to] = [pair.slice(0, at), pair.slice(at + 1)];
    if (at > 0 && to.startsWith('/')) return [from, to] as const;
    throw new Stop('Usage', `option --tablespace is OLD=NEW with an absolute NEW, not "${pair}"`, {
      hint: '--tablespace 16385=/srv/ts1',
    });
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function optionName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
