import type { CalendarSpec, DayOfWeek, Month, ScheduleSpec } from '@temporalio/client';
import { DAYS_OF_WEEK, MONTHS } from '@temporalio/client';
import type { Config, CronFields, ScheduleConfig } from '../../activities/config/index.ts';
import { parseCron } from '../../activities/config/index.ts';
import { scheduleId, TASK_QUEUE } from '../../workflows/model/names.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { ScheduleDefinition, When } from './definition.ts';
import { catchupOf } from './definition.ts';

export interface Desired extends ScheduleDefinition {
  spec: ScheduleSpec;
}

/** Every Schedule that the configuration asks for, by id. */
export function desiredSchedules(config: Config): Desired[] {
  return Object.entries(config.sources).flatMap(([source, { schedule }]) =>
    (['backup', 'drill'] as const).flatMap((workflow) => {
      const at = schedule[workflow];
      return at ? [desired(config.name, { source, workflow }, at)] : [];
    }),
  );
}

function desired(
  owner: string,
  { source, workflow }: { source: string; workflow: 'backup' | 'drill' },
  at: ScheduleConfig,
): Desired {
  return {
    id: scheduleId(source, workflow),
    owner,
    when: whenOf(at),
    catchupWindowMs: catchupOf('everyMs' in at ? at.everyMs : undefined),
    overlap: 'SKIP',
    workflow: 'scheduled',
    taskQueue: TASK_QUEUE,
    order: { workflow, input: { source } },
    pause: at.paused === true ? 'by configuration' : 'no',
    spec: specOf(at),
  };
}

function whenOf(at: ScheduleConfig): When {
  if ('everyMs' in at) return { key: intervalKey(at.everyMs), text: `every ${formatDuration(at.everyMs)}` };
  return { key: calendarKey(parseCron(at.cron), at.timezone), text: `${at.cron} ${at.timezone}` };
}

export function intervalKey(everyMs: number): string {
  return `every ${everyMs}`;
}

export function calendarKey(fields: CronFields, timezone: string): string {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = fields;
  return JSON.stringify({ minute, hour, dayOfMonth, month, dayOfWeek, timezone });
}

/** Calendars rather than a cron text: the server hands them back as they were, so that a difference can be seen. */
function specOf(at: ScheduleConfig): ScheduleSpec {
  if ('everyMs' in at) return { intervals: [{ every: at.everyMs }] };
  const fields = parseCron(at.cron);
  const calendar: CalendarSpec = {
    second: 0,
    minute: fields.minute,
    hour: fields.hour,
    dayOfMonth: fields.dayOfMonth,
    month: fields.month.map((number) => MONTHS[number - 1] as Month),
    dayOfWeek: fields.dayOfWeek.map((number) => DAYS_OF_WEEK[number] as DayOfWeek),
    comment: `${at.cron} ${at.timezone}`,
  };
  return { calendars: [calendar], timezone: at.timezone };
}
