import type { Message } from '../../activities/notifiers/notifier.ts';

/** With everything in it that somebody might take for their own: markup, mentions, letters of others. */
export const MESSAGE: Message = {
  ...{ severity: 'critical', priority: 'P1', state: 'open' },
  title: 'shop: nothing new in the vault for 6 minutes <!channel> & "more"',
  body: 'Objective **5 min**. Üsed: 6 min, at <b>db1</b>.',
  ...{ source: 'shop', run: 'wal/shop', key: 'wal/shop rpo 1', group: 'mine/wal/shop stream' },
  at: '2026-01-05T03:00:00.000Z',
};

export function messageOf(changes: Partial<Message>): Message {
  return { ...MESSAGE, ...changes };
}
